"""The forms of people's own accounts: all that is wrong with one is said at once, beside its fields."""

import re

import pytest

from luota.engine import people
from luota.engine.audit import Actor
from luota.web.auth import SETUP_LINK, hash_of
from tests.web.monitor_page import owner, sign_in

PASSWORD, OTHER = "correct horse battery", "another horse battery"


def wrongs(page):
    """What the page says beside its fields, by field; each stands in the summary as well."""
    said = dict(re.findall(r'<p class="wrong" id="e-(\w+)"><span class="sr">Error: </span>(.*?)</p>', page.text))
    assert dict(re.findall(r'<li><a href="#f-(\w+)">(.*?)</a>', page.text)) == said
    return said


async def test_a_wrong_present_password_and_a_short_new_one_are_said_at_once(served, owner):
    client, csrf = owner
    page = await client.post("/account", data={"csrf": csrf, "current": "wrong horse battery", "password": "short"})
    assert page.status_code == 401
    said = {
        "current": "The present password is wrong.",
        "password": "New password must have at least 12 characters.",
    }
    assert wrongs(page) == said
    page = await client.post("/account", data={"csrf": csrf, "current": PASSWORD, "password": "short"})
    assert (page.status_code, wrongs(page)) == (400, {"password": said["password"]})
    page = await client.post("/account", data={"csrf": csrf, "current": "wrong horse battery", "password": OTHER})
    assert (page.status_code, wrongs(page)) == (401, {"current": said["current"]})
    page = await client.post("/account", data={"csrf": csrf, "current": PASSWORD, "password": OTHER})
    assert (page.status_code, page.headers["location"]) == (303, "/account")
    assert "The password is changed. Every other session" in (await client.get("/account")).text


async def test_a_change_of_password_gives_the_browser_another_token_and_the_one_before_opens_nothing(served, owner):
    client, csrf = owner
    copied = {"cookie": f"luota={client.cookies['luota']}"}
    assert (await served.call("GET", "/account", headers=copied)).status_code == 200
    page = await client.post("/account", data={"csrf": csrf, "current": PASSWORD, "password": OTHER})
    assert page.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax")
    door = await served.call("GET", "/account", headers=copied)
    assert (door.status_code, door.headers["location"]) == (303, "/sign-in?next=%2Faccount")
    assert (await client.get("/account")).status_code == 200


async def test_all_that_is_wrong_with_the_first_owner_is_said_at_once(served):
    ends = served.clock.now() + SETUP_LINK
    await served.engine.submit(
        people.make_link("setup", None, hash_of("a-token"), ends, Actor("luota", "start"), maker_id=None)
    )
    form = {"email": "ann", "name": "", "password": "short"}
    page = await served.tcp.post("/setup/a-token", data=form, headers={"origin": served.base})
    assert page.status_code == 400
    assert list(wrongs(page)) == ["email", "password"]


@pytest.mark.parametrize("where", ["/w/default/drills", "/w/%64efault/drills", "/w/default%2Fdrills", "/account"])
async def test_who_is_signed_in_goes_on_from_the_sign_in_to_a_page_that_they_may_see(served, owner, where):
    client, _ = owner
    page = await client.get("/sign-in", params={"next": where})
    assert (page.status_code, page.headers["location"]) == (303, where)
    assert (await client.get(where)).status_code == 200


@pytest.mark.parametrize("where", ["/w/other/drills", "/w/%6Fther", "/%77/other", "/w/no-such-one/x", "/w/"])
async def test_who_is_signed_in_is_shown_their_workspaces_alone_where_the_page_is_of_one_of_others_or_of_none(
    served, owner, sign_in, where
):
    client, _ = await sign_in(served, "viewer")
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    page = await client.get("/sign-in", params={"next": where})
    assert page.status_code == 200
    assert "<h1>There is no such workspace, or you are not a member of it</h1>" in page.text
    assert re.findall(r'class="button button-quiet" href="(.*?)"', page.text) == ["/w/default"]
    assert (await client.get(where)).status_code == 404, "the page itself"


async def test_a_short_password_of_an_invited_member_is_said_beside_its_field(served, owner):
    client, csrf = owner
    await client.post("/w/default/members", data={"csrf": csrf, "email": "new@example.org", "role": "viewer"})
    invited = await client.get("/w/default/members")
    link = re.search(r"/password/[\w-]+", invited.text)[0]
    page = await served.tcp.post(link, data={"password": "short"}, headers={"origin": served.base})
    assert (page.status_code, wrongs(page)) == (400, {"password": "Password must have at least 12 characters."})
