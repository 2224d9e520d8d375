"""The live stream of a page: for those alone who may still see it."""

import asyncio

import pytest

LONG = 30.0


@pytest.fixture
async def sign_in(served):
    """Returns clients that are signed in, each with its CSRF token."""
    clients = []

    async def signed_in(role):
        client, csrf = await served.sign_in(role)
        clients.append(client)
        return client, csrf

    yield signed_in
    for client in clients:
        await client.aclose()


async def user_id(served, email):
    return next(u["id"] for u in (await served.api("GET", "/api/users"))["users"] if u["email"] == email)


async def rest(lines):
    """Return all that a stream tells until it ends."""
    async with asyncio.timeout(LONG):
        return [line async for line in lines]


@pytest.mark.parametrize("ended", ["membership", "session", "password"])
async def test_an_open_stream_ends_as_soon_as_its_visitor_may_not_see_it_any_more(served, sign_in, ended):
    owner, csrf = await sign_in("owner")
    viewer, own = await sign_in("viewer")
    async with viewer.stream("GET", "/w/default/stream") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        began = asyncio.get_running_loop().time()
        if ended == "membership":
            path = f"/w/default/members/{await user_id(served, 'viewer@example.org')}/remove"
            assert (await owner.post(path, data={"csrf": csrf})).status_code == 303
        elif ended == "session":
            assert (await viewer.post("/sign-out", data={"csrf": own})).status_code == 303
        else:
            path = f"/w/default/members/{await user_id(served, 'viewer@example.org')}/link"
            page = (await owner.post(path, data={"csrf": csrf})).text
            link = "/password/" + page.partition("/password/")[2].partition("<")[0].partition('"')[0]
            chosen = await served.tcp.post(link, data={"password": "another horse"}, headers={"origin": served.base})
            assert chosen.status_code == 303, chosen.text
        assert "event: signedout" in await rest(lines)
        # Silence would have told within 15 s.
        assert asyncio.get_running_loop().time() - began < 10


async def test_a_stream_that_is_never_silent_ends_with_its_session_too(served, sign_in):
    viewer, _ = await sign_in("viewer")
    monitor = await served.monitor()
    async with viewer.stream("GET", "/w/default/stream") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        served.clock.advance(31 * 86_400_000)
        await monitor.ping()
        async with asyncio.timeout(10):  # silence would have told within 15 s
            assert "event: signedout" in await rest(lines)
