"""Several tabs of one browser that sign in and out: over real HTTP."""

import re
from contextlib import aclosing

import pytest

PASSWORD = "correct horse battery"
ANN, BOB = "operator@example.org", "viewer@example.org"


def csrf_of(page):
    return re.search(r'name="csrf" value="([^"]+)"', page.text)[1]


async def signed_in_as(served, cookie):
    """Return where a browser with that cookie stands: the address of who is signed in, or None."""
    page = await served.call("GET", "/account", headers={"cookie": cookie})
    return None if page.status_code == 303 else re.search(r'<summary title="([^"]+)"', page.text)[1]


@pytest.mark.parametrize("email", [ANN, BOB], ids=["the same person", "another"])
async def test_a_second_tab_signs_in_anew_goes_on_and_ends_the_session_of_the_first(served, email):
    client, _ = await served.sign_in("operator")
    other, _ = await served.sign_in("viewer")
    await other.aclose()
    async with aclosing(client):
        before = f"luota={client.cookies['luota']}"
        form = {"email": email, "password": PASSWORD, "next": "/w/default/incidents"}
        answer = await client.post("/sign-in", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/w/default/incidents")
        assert f"luota={client.cookies['luota']}" != before
        assert await signed_in_as(served, f"luota={client.cookies['luota']}") == email
    assert await signed_in_as(served, before) is None, "whoever planted or copied the cookie has nothing of it"


async def test_a_second_tab_that_fails_to_sign_in_ends_nothing(served):
    client, _ = await served.sign_in("operator")
    async with aclosing(client):
        answer = await client.post("/sign-in", data={"email": BOB, "password": "wrong horse battery"})
        assert answer.status_code == 401
        assert await signed_in_as(served, f"luota={client.cookies['luota']}") == ANN


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": ""}])
@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_page_of_another_site_signs_nobody_in(served, headers, signed_in):
    client, _ = await served.sign_in("operator")
    async with aclosing(client):
        if not signed_in:
            client.cookies.clear()
        answer = await client.post("/sign-in", data={"email": ANN, "password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


async def test_a_form_of_a_tab_that_was_signed_out_elsewhere_leads_back_to_its_page_and_says_that_it_did_nothing(
    served,
):
    monitor = await served.monitor()
    client, csrf = await served.sign_in("operator")
    page = f"/w/default/monitors/{monitor.slug}"
    async with aclosing(client):
        assert (await client.post("/sign-out", data={"csrf": csrf})).headers["location"] == "/sign-in"
        answer = await client.post(f"{page}/pause", data={"csrf": csrf, "for": "1h"})
        assert answer.status_code == 303
        door = await client.get(answer.headers["location"])
        assert "You were signed out before this arrived: nothing was changed." in door.text
        where = re.search(r'name="next" value="([^"]+)"', door.text)[1]
        answer = await client.post("/sign-in", data={"email": ANN, "password": PASSWORD, "next": where})
        for _ in range(2):
            assert answer.status_code == 303
            answer = await client.get(answer.headers["location"])
        assert answer.url.path == page
        assert (await monitor.shown())["status"] == "draft"
        # A sign-out that comes too late has nothing to do again.
        client.cookies.clear()
        assert (await client.post("/sign-out", data={"csrf": csrf})).headers["location"] == "/sign-in"


async def test_a_form_of_an_earlier_session_is_refused_with_what_to_do(served):
    client, csrf = await served.sign_in("operator")
    async with aclosing(client):
        form = {"email": ANN, "password": PASSWORD}
        assert (await client.post("/sign-in", data=form)).status_code == 303
        answer = await client.post("/w/default/monitors/x/pause", data={"csrf": csrf})
        assert answer.status_code == 403
        assert "This page is from before you signed in" in answer.text
        fresh = csrf_of(await client.get("/account"))
        assert (await client.post("/w/default/monitors/x/pause", data={"csrf": fresh})).status_code == 404


async def test_what_an_open_page_asks_for_without_a_session_is_refused_for_its_script_to_lead_to_the_sign_in(served):
    answer = await served.call("GET", "/w/default/rows?ids=", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers.get("location")) == (401, None)
