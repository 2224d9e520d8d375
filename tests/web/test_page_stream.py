"""The live stream of a page: for those alone who may still see it."""

import asyncio
import contextlib

import msgspec
import pytest

from luota.core.spec.values import DAY
from luota.engine.sessions import IDLE
from luota.web.dashboard import stream
from luota.web.dashboard.stream import MOST_OF_ONE

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


async def test_a_stream_says_every_few_seconds_that_it_is_alive(served, sign_in):
    viewer, _ = await sign_in("viewer")
    async with viewer.stream("GET", "/w/default/stream") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        async with asyncio.timeout(12):  # twice four seconds, and some for a machine that is busy
            for _ in range(2):
                while await anext(lines) != "event: alive":
                    pass


OTHER = "event: other\ndata: {}\n\n"


async def whole(client, address):
    """Return all of a stream that ends at once."""
    async with asyncio.timeout(LONG):
        return (await client.get(address)).text


def stream_of(page):
    """The address of a page's stream."""
    return page.text.partition('data-stream="')[2].partition('"')[0].replace("&amp;", "&")


@pytest.mark.parametrize(("role", "other"), [("operator", "viewer"), ("viewer", "operator")])
async def test_a_page_of_another_role_than_its_visitor_has_now_is_told_at_once_open_or_opened_again(
    served, sign_in, role, other
):
    owner, csrf = await sign_in("owner")
    one, _ = await sign_in(role)
    address = stream_of(await one.get("/w/default"))
    async with one.stream("GET", address) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        began = asyncio.get_running_loop().time()
        path = f"/w/default/members/{await user_id(served, f'{role}@example.org')}/role"
        assert (await owner.post(path, data={"csrf": csrf, "role": other})).status_code == 303
        assert "event: other" in await rest(lines)
        assert asyncio.get_running_loop().time() - began < 2
    assert await whole(one, address) == OTHER
    async with one.stream("GET", stream_of(await one.get("/w/default"))) as answer:
        assert await anext(answer.aiter_lines()) == "retry: 2000"


async def test_a_page_of_an_earlier_session_is_told_to_be_loaded_anew(served, sign_in):
    viewer, _ = await sign_in("viewer")
    address = stream_of(await viewer.get("/w/default"))
    again = await viewer.post("/sign-in", data={"email": "viewer@example.org", "password": "correct horse battery"})
    assert again.status_code == 303
    assert await whole(viewer, address) == OTHER


def told(line):
    return msgspec.json.decode(line.removeprefix("data: "))


async def test_a_stream_tells_nothing_of_another_workspace_not_even_that_something_happened(served, sign_in):
    other = (await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"}))["workspace"]["id"]
    viewer, _ = await sign_in("viewer")
    here = await served.monitor()
    page = (await viewer.get("/w/default")).text
    seen = page.partition("&amp;seen=")[2].partition('"')[0]

    async def there(name):
        """Change all sorts of things in the other workspace."""
        doc = {"name": "there", "mode": "heartbeat", "schedule": {"every": 3600}}
        made = (await served.api("POST", f"/api/monitors?workspace={other}", doc))["monitor"]["id"]
        hook = {"type": "webhook", "name": name, "url": "https://hooks.example.org/x"}
        await served.api("POST", f"/api/channels?workspace={other}", hook)
        await served.api("POST", f"/api/monitors/{made}/archive?workspace={other}")

    await there("before")
    async with viewer.stream("GET", f"/w/default/stream?seen={seen}") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == ["retry: 2000", "event: live", "data: {}", ""]
        await there("meanwhile")
        await here.ping()
        assert (await anext(lines), told(await anext(lines))) == ("event: changed", [here.id])
        served.engine.changes.end()
        assert await rest(lines) == [""]


async def test_one_person_gets_some_streams_and_takes_none_from_others_and_the_page_that_got_none_is_told(
    served, sign_in
):
    greedy, _ = await sign_in("operator")
    viewer, _ = await sign_in("viewer")
    kept = []  # who forgets the lines of an answer closes it
    async with contextlib.AsyncExitStack() as open_ones:

        async def opened(client):
            kept.append((await open_ones.enter_async_context(client.stream("GET", "/w/default/stream"))).aiter_lines())
            assert await anext(kept[-1]) == "retry: 2000"

        for _ in range(MOST_OF_ONE):
            await opened(greedy)
        refused = await greedy.get("/w/default/stream")
        assert refused.status_code == 200
        event, said, *_ = refused.text.splitlines()
        assert event == "event: full"
        assert f"You have {MOST_OF_ONE} pages open already" in told(said)
        await opened(viewer)


async def test_beyond_a_number_of_streams_nobody_gets_one(served, sign_in, monkeypatch):
    monkeypatch.setattr(stream, "MOST", 1)
    first, _ = await sign_in("operator")
    second, _ = await sign_in("viewer")
    async with first.stream("GET", "/w/default/stream") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        assert (await second.get("/w/default/stream")).text.startswith("event: full\n")


async def test_a_page_that_lies_open_keeps_no_session_from_ending(served, sign_in):
    viewer, _ = await sign_in("viewer")
    monitor = await served.monitor()

    async def looked():
        async with viewer.stream("GET", "/w/default/stream") as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            await monitor.ping()
            served.clock.advance(16_000)  # so that the session is looked at
            await monitor.ping()
            while not (await anext(lines)).startswith("data: ["):
                pass
        live = {"hx-request": "true", "x-luota-live": "1"}
        return (await viewer.get("/w/default/rows?ids=", headers=live)).status_code

    served.clock.advance(IDLE - DAY)
    assert await looked() == 200
    served.clock.advance(DAY)
    assert (await viewer.get("/w/default")).status_code == 303


async def test_a_person_who_uses_a_page_keeps_the_session(served, sign_in):
    viewer, _ = await sign_in("viewer")
    for _ in range(2):
        served.clock.advance(IDLE - DAY)
        assert (await viewer.get("/w/default")).status_code == 200
