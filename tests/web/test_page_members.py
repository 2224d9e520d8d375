"""The page of the members: whom an owner adds, and what is asked first."""

import re
from contextlib import aclosing

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
        assert again.status_code == 400
        assert "is a member already" in again.text


async def test_the_link_to_an_account_opens_nothing_once_it_is_added_to_another_workspace(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        made = await client.post("/api/workspaces", json={"name": "Hostile"}, headers={"x-csrf-token": csrf})
        assert made.status_code == 200, made.text
        invited = await add(client, csrf, "new@example.org", "hostile")
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
