"""The page of the members: whom an owner adds, and what is asked first."""

import re
from contextlib import aclosing

import pytest

from tests.served import NOBODY
from tests.web.reading import words

PASSWORD = "correct horse battery"


async def add(client, csrf, email, workspace="default", **fields):
    form = {"csrf": csrf, "email": email, "role": "owner", **fields}
    return await client.post(f"/w/{workspace}/members", data=form)


def roles(served, email):
    sql = (
        "SELECT w.slug, m.role FROM members m JOIN users u ON u.id = user_id JOIN workspaces w ON w.id = workspace_id "
        "WHERE u.email = ? ORDER BY 1"
    )
    return served.rows(sql, email)


async def test_an_account_that_another_workspaces_owner_may_have_made_is_added_only_after_that_was_said(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        await served.api("POST", "/api/workspaces", {"name": "Hostile"})
        known = {"email": "new@example.org", "role": "viewer", "password": PASSWORD}
        await served.api("POST", "/api/users?workspace=hostile", known)
        asked = await add(client, csrf, "new@example.org")
        assert asked.status_code == 200
        assert "new@example.org has an account already" in asked.text
        assert "An owner of another workspace may have made it, and may know its password" in asked.text
        assert "no password yet" not in asked.text
        assert roles(served, "new@example.org") == [("hostile", "viewer")]
        added = await add(client, csrf, "new@example.org", known="yes")
        assert (added.status_code, added.headers["location"]) == (303, "/w/default/members")
        assert roles(served, "new@example.org") == [("default", "owner"), ("hostile", "viewer")]
        again = await add(client, csrf, "new@example.org")
        assert again.status_code == 409
        assert "is a member already" in again.text


async def test_the_link_to_an_account_opens_nothing_once_it_is_added_to_another_workspace(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        made = await client.post("/api/workspaces", json={"name": "Hostile"}, headers={"x-csrf-token": csrf})
        assert made.status_code == 200, made.text
        invited = await client.get((await add(client, csrf, "new@example.org", "hostile")).headers["location"])
        link = re.search(r"/password/[\w-]+", invited.text)[0]
        assert (await served.call("GET", link)).status_code == 200
        asked = await add(client, csrf, "new@example.org")
        assert "It has no password yet" in asked.text
        assert (await served.call("GET", link)).status_code == 200, "asked about, not added"
        assert (await add(client, csrf, "new@example.org", known="yes")).status_code == 303
    form = {"password": PASSWORD, "again": PASSWORD}
    assert (await served.tcp.post(link, data=form, headers={"origin": served.base})).status_code == 404
    sql = "SELECT password_hash FROM users WHERE email = 'new@example.org'"
    assert served.row(sql) == (None,)


def member(page, email):
    """The part of the page that is about one member."""
    (found,) = [one for one in re.findall('<li class="member".*?</li>', page.text, re.S) if email in one]
    return found


@pytest.mark.parametrize(("action", "form"), [("role", {"role": "viewer"}), ("remove", {})])
async def test_what_the_last_owner_is_refused_stands_beside_them_on_the_page(served, action, form):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        await served.api("POST", "/api/users", {"email": "new@example.org", "role": "viewer", "password": PASSWORD})
        (user_id,) = served.row("SELECT id FROM users WHERE email = 'owner@example.org'")
        page = await client.post(f"/w/default/members/{user_id}/{action}", data={"csrf": csrf, **form})
        assert page.status_code == 409
        assert "This is the last owner of Default" in member(page, "owner@example.org")
        assert "make somebody else an owner first" not in member(page, "new@example.org")
        assert f'href="#f-{user_id}"' in page.text
        assert f'id="f-{user_id}"' in page.text
        assert roles(served, "owner@example.org") == [("default", "owner")]


async def test_an_unknown_role_and_a_link_that_may_not_be_made_are_said_beside_the_member(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        await served.api("POST", "/api/workspaces", {"name": "Other"})
        both = {"email": "new@example.org", "role": "viewer", "password": PASSWORD}
        await served.api("POST", "/api/users?workspace=other", both)
        await add(client, csrf, "new@example.org", known="yes")
        (user_id,) = served.row("SELECT id FROM users WHERE email = 'new@example.org'")
        page = await client.post(f"/w/default/members/{user_id}/role", data={"csrf": csrf, "role": "king"})
        assert (page.status_code, "must be one of" in member(page, "new@example.org")) == (400, True)
        page = await client.post(f"/w/default/members/{user_id}/link", data={"csrf": csrf})
        assert page.status_code == 409
        assert "luota user link new@example.org --workspace default" in member(page, "new@example.org")


async def test_what_was_done_to_a_member_is_said_once_on_the_page(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        await served.api("POST", "/api/users", {"email": "new@example.org", "role": "viewer", "password": PASSWORD})
        (user_id,) = served.row("SELECT id FROM users WHERE email = 'new@example.org'")
        for action, said in (("role", "The role of new is operator now."), ("remove", "new is no member any more.")):
            form = {"csrf": csrf, "role": "operator"}
            answer = await client.post(f"/w/default/members/{user_id}/{action}", data=form)
            for there in (True, False):
                assert (said in words(await client.get(answer.headers["location"]))) is there
        answer = await add(client, csrf, "new@example.org", known="yes", role="viewer")
        assert "new@example.org is a member now, as viewer." in words(await client.get(answer.headers["location"]))


async def test_who_is_no_member_any_more_is_said_on_the_page_of_those_who_are(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        for action in ("role", "remove", "link"):
            form = {"csrf": csrf, "role": "viewer"}
            page = await client.post(f"/w/default/members/{NOBODY}/{action}", data=form)
            assert page.status_code == 404
            assert "<h1>Members</h1>" in page.text
            assert "There is no such" in page.text


async def test_all_that_is_wrong_with_a_new_member_is_said_at_once(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        page = await add(client, csrf, "nobody", name="x" * 121, role="king")
        assert page.status_code == 400
        assert re.findall('href="#f-(.*?)"', page.text) == ["email", "name", "role"]
        assert 'value="nobody"' in page.text
        assert " novalidate>" in page.text, "a browser would say one at a time"
        assert served.rows("SELECT email FROM users") == [("owner@example.org",)]


async def test_an_address_keeps_its_case_where_a_sentence_begins_with_it(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        page = await add(client, csrf, "owner@example.org")
        assert "owner@example.org is a member already." in words(page)
        assert "Owner@" not in page.text


async def test_what_is_short_of_an_address_is_told_what_one_is(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        said = words(await add(client, csrf, "zz", name="x" * 121))
        assert "Email must be an address such as ann@example.org." in said
        assert "Name must have at most 120 characters; it has 121." in said


async def test_what_each_role_may_do_is_told_from_the_least_on(served):
    client, _ = await served.sign_in()
    async with aclosing(client):
        page = await client.get("/w/default/members")
        assert re.findall("<dt>(.*?)</dt>", page.text) == ["viewer", "operator", "owner"]


async def test_a_link_is_shown_once_and_a_reload_of_the_page_that_shows_it_makes_no_other(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        answers = [await add(client, csrf, "new@example.org")]
        (user_id,) = served.row("SELECT id FROM users WHERE email = 'new@example.org'")
        answers.append(await client.post(f"/w/default/members/{user_id}/link", data={"csrf": csrf}))
        for answer in answers:
            assert (answer.status_code, answer.headers["location"]) == (303, "/w/default/members")
        shown = await client.get("/w/default/members")
        assert "new@example.org chooses a password here" in words(shown)
        link = re.search(r"/password/[\w-]+", shown.text)[0]
        assert "/password/" not in (await client.get("/w/default/members")).text
        assert (await served.call("GET", link)).status_code == 200


@pytest.mark.parametrize(
    ("host", "reached_at", "hint"),
    [
        ("127.0.0.1", None, "The link opens on this machine alone, until [server] host and public_url are set."),
        ("0.0.0.0", None, "The link opens on this machine alone, until [server] public_url is set."),
        ("127.0.0.1", "http://192.0.2.7:8080", "elsewhere the link opens through a reverse proxy here"),
        ("0.0.0.0", "http://192.0.2.7:8080", None),
    ],
)
async def test_a_link_that_others_may_be_unable_to_open_comes_with_what_to_set(serve, host, reached_at, hint):
    served = await serve(host=host, reached_at=reached_at)
    client, csrf = await served.sign_in()
    async with aclosing(client):
        said = words(await client.get((await add(client, csrf, "new@example.org")).headers["location"]))
    assert hint in said if hint else "on this machine" not in said
