"""The live stream of a page: for those alone who may still see it."""

import asyncio
import contextlib

import msgspec
import pytest

from luota.core.spec.values import DAY
from luota.engine.sessions import IDLE
from luota.web.dashboard import stream
from luota.web.dashboard.stream import MOST_ALONE, MOST_OF_ONE

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


async def of(client, workspace="default"):
    """What a page of somebody is drawn for."""
    page = (await client.get(f"/w/{workspace}")).text
    return page.partition('data-stream="')[2].partition('"')[0]


async def address(client, *workspaces):
    """The address of the stream of somebody's pages."""
    return "/stream?" + "&".join([f"of={await of(client, slug)}" for slug in workspaces or ("default",)])


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
    asked = await address(viewer)
    async with viewer.stream("GET", asked) as answer:
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
            page = (await owner.get((await owner.post(path, data={"csrf": csrf})).headers["location"])).text
            link = "/password/" + page.partition("/password/")[2].partition("<")[0].partition('"')[0]
            chosen = await served.tcp.post(link, data={"password": "another horse"}, headers={"origin": served.base})
            assert chosen.status_code == 303, chosen.text
        said = await rest(lines)
        # Silence would have told within 15 s.
        assert asyncio.get_running_loop().time() - began < 10
    assert ("event: signedout" in said) is (ended == "membership")
    assert (said[-2:] == ["retry: 500", ""]) is (ended != "membership"), "the browser asks anew, and is told then"
    assert await whole(viewer, asked) == [("signedout", {"of": asked.partition("=")[2]})]


async def test_a_stream_that_is_never_silent_ends_with_its_session_too(served, sign_in):
    viewer, _ = await sign_in("viewer")
    monitor = await served.monitor()
    async with viewer.stream("GET", await address(viewer)) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        served.clock.advance(31 * 86_400_000)
        await monitor.ping()
        async with asyncio.timeout(10):  # silence would have told within 15 s
            assert (await rest(lines))[-2:] == ["retry: 500", ""]


async def test_a_stream_says_every_few_seconds_that_it_is_alive(served, sign_in):
    viewer, _ = await sign_in("viewer")
    async with viewer.stream("GET", await address(viewer)) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        async with asyncio.timeout(12):  # twice four seconds, and some for a machine that is busy
            for _ in range(2):
                while await anext(lines) != "event: alive":
                    pass


def told(line):
    return msgspec.json.decode(line.removeprefix("data: "))


async def events(lines):
    """Yield each event of a stream, with what it says."""
    async for line in lines:
        if line.startswith("event: "):
            yield line.removeprefix("event: "), told(await anext(lines))


async def whole(client, asked):
    """Return all events of a stream that ends at once."""
    async with asyncio.timeout(LONG), client.stream("GET", asked) as answer:
        return [event async for event in events(answer.aiter_lines())]


@pytest.mark.parametrize(("role", "other"), [("operator", "viewer"), ("viewer", "operator")])
async def test_a_page_of_another_role_than_its_visitor_has_now_is_told_at_once_open_or_opened_again(
    served, sign_in, role, other
):
    owner, csrf = await sign_in("owner")
    one, _ = await sign_in(role)
    of_it = await of(one)
    async with one.stream("GET", f"/stream?of={of_it}") as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        began = asyncio.get_running_loop().time()
        path = f"/w/default/members/{await user_id(served, f'{role}@example.org')}/role"
        assert (await owner.post(path, data={"csrf": csrf, "role": other})).status_code == 303
        assert "event: other" in await rest(lines)
        assert asyncio.get_running_loop().time() - began < 2
    assert await whole(one, f"/stream?of={of_it}") == [("other", {"of": of_it})]
    async with one.stream("GET", await address(one)) as answer:
        assert await anext(answer.aiter_lines()) == "retry: 2000"


async def test_a_stream_whose_session_goes_on_under_a_new_token_ends_for_the_next_one_to_tell_its_pages(
    served, sign_in
):
    viewer, csrf = await sign_in("viewer")
    asked = await address(viewer)
    async with viewer.stream("GET", asked) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        form = {"csrf": csrf, "current": "correct horse battery", "password": "another horse battery"}
        assert (await viewer.post("/account", data=form)).status_code == 303
        async with asyncio.timeout(10):  # silence would have told within 15 s
            said = await rest(lines)
    assert "event: signedout" not in said
    assert await whole(viewer, asked) == [("other", {"of": asked.partition("=")[2]})]


async def test_a_page_of_an_earlier_session_is_told_to_be_loaded_anew(served, sign_in):
    viewer, _ = await sign_in("viewer")
    of_it = await of(viewer)
    again = await viewer.post("/sign-in", data={"email": "viewer@example.org", "password": "correct horse battery"})
    assert again.status_code == 303
    assert await whole(viewer, f"/stream?of={of_it}") == [("other", {"of": of_it})]


async def test_who_is_not_signed_in_or_no_member_is_told_so_by_the_stream_itself(served, sign_in):
    viewer, csrf = await sign_in("viewer")
    of_it = await of(viewer)
    (hostile,) = [of_it.replace("default", "hostile")]
    await served.api("POST", "/api/workspaces", {"name": "Hostile", "slug": "hostile"})
    for what in (hostile, "nowhere.viewer-12345678", "x"):
        assert await whole(viewer, f"/stream?of={what}") == [("signedout", {"of": what})], what
    assert (await viewer.post("/sign-out", data={"csrf": csrf})).status_code == 303
    assert await whole(viewer, f"/stream?of={of_it}&of={hostile}") == [
        ("signedout", {"of": of_it}),
        ("signedout", {"of": hostile}),
    ]


async def test_one_stream_follows_several_workspaces_and_each_to_its_own_end(served, sign_in):
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    owner, csrf = await sign_in("owner")
    viewer, _ = await sign_in("viewer")
    added = {"email": "viewer@example.org", "role": "viewer"}
    await served.api("POST", "/api/workspaces/other/members", added)
    here, there = await of(viewer), await of(viewer, "other")
    stranger = "default.owner-12345678"
    async with viewer.stream("GET", f"/stream?of={here}&of={there}&of={stranger}") as answer, asyncio.timeout(LONG):
        lines = events(answer.aiter_lines())
        assert await anext(lines) == ("other", {"of": stranger})
        begins = [await anext(lines) for _ in range(2)]
        assert [(kind, said["of"], said["count"]) for kind, said in begins] == [("live", here, 0), ("live", there, 0)]
        monitor = await served.monitor()
        kind, said = await anext(lines)
        assert (kind, said["of"]) == ("changed", here)
        assert monitor.id in said["ids"]
        assert said["number"] > begins[0][1]["number"]
        path = f"/w/default/members/{await user_id(served, 'viewer@example.org')}/remove"
        assert (await owner.post(path, data={"csrf": csrf})).status_code == 303
        while (event := await anext(lines))[0] == "alive":
            pass
        assert event == ("signedout", {"of": here})
        await monitor.ping()
        doc = {"name": "there", "mode": "heartbeat", "schedule": {"every": 3600}}
        made = (await served.api("POST", "/api/monitors?workspace=other", doc))["monitor"]["id"]
        while (event := await anext(lines))[0] == "alive":
            pass
        assert (event[0], event[1]["of"]) == ("changed", there)
        assert made in event[1]["ids"]


async def test_a_stream_tells_nothing_of_another_workspace_not_even_that_something_happened(served, sign_in):
    other = (await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"}))["workspace"]["id"]
    viewer, _ = await sign_in("viewer")
    here = await served.monitor()

    async def there(name):
        """Change all sorts of things in the other workspace."""
        doc = {"name": "there", "mode": "heartbeat", "schedule": {"every": 3600}}
        made = (await served.api("POST", f"/api/monitors?workspace={other}", doc))["monitor"]["id"]
        hook = {"type": "webhook", "name": name, "url": "https://hooks.example.org/x"}
        await served.api("POST", f"/api/channels?workspace={other}", hook)
        await served.api("POST", f"/api/monitors/{made}/archive?workspace={other}")

    await there("before")
    of_it = await of(viewer)
    async with viewer.stream("GET", f"/stream?of={of_it}") as answer:
        lines = answer.aiter_lines()
        begins = [await anext(lines) for _ in range(4)]
        live = told(begins[2])
        assert (begins[:2], begins[3]) == (["retry: 2000", "event: live"], "")
        assert live == {"of": of_it, "number": live["number"], "count": 0}
        await there("meanwhile")
        await here.ping()
        heard = [await anext(lines) for _ in range(2)]
        assert heard[0] == "event: changed"
        assert told(heard[1]) == {"of": of_it, "number": live["number"] + 1, "ids": [here.id]}
        served.engine.changes.end()
        assert await rest(lines) == [""]


async def test_a_stream_tells_how_many_incidents_are_open_at_first_and_when_that_changes(served, sign_in):
    viewer, _ = await sign_in("viewer")
    jobs = [await served.monitor("run") for _ in range(2)]
    await jobs[0].fail(await jobs[0].started())
    async with viewer.stream("GET", await address(viewer)) as answer, asyncio.timeout(LONG):
        lines = events(answer.aiter_lines())

        async def counted(by):
            while (event := await anext(lines))[0] != by:
                pass
            return event[1]["count"]

        assert await counted("live") == 1
        await jobs[1].fail(await jobs[1].started())
        assert await counted("count") == 2


@contextlib.asynccontextmanager
async def many():
    """A function that opens streams, which stay open to the end."""
    kept = []  # who forgets the lines of an answer closes it
    async with contextlib.AsyncExitStack() as open_ones:

        async def opened(client, asked):
            kept.append((await open_ones.enter_async_context(client.stream("GET", asked))).aiter_lines())
            assert await anext(kept[-1]) == "retry: 2000"

        yield opened


async def test_one_person_gets_some_streams_and_takes_none_from_others_and_the_page_that_got_none_is_told(
    served, sign_in
):
    greedy, _ = await sign_in("operator")
    viewer, _ = await sign_in("viewer")
    asked = await address(greedy)
    async with many() as opened:
        for _ in range(MOST_OF_ONE):
            await opened(greedy, asked)
        ((event, said),) = await whole(greedy, asked)
        assert event == "full"
        assert f"You have {MOST_OF_ONE} live connections already" in said["why"]
        await opened(viewer, await address(viewer))


async def test_a_browser_whose_tabs_share_no_stream_keeps_connections_for_its_pages(served, sign_in):
    one, _ = await sign_in("viewer")
    another, _ = await sign_in("operator")
    async with many() as opened:
        for _ in range(MOST_ALONE):
            await opened(one, await address(one) + "&alone=1")
        ((event, said),) = await whole(one, await address(one) + "&alone=1")
        assert event == "full"
        assert f"has {MOST_ALONE} already" in said["why"]
        await opened(one, await address(one))
        await opened(another, await address(another) + "&alone=1")


async def test_a_stream_that_ends_just_after_a_browser_asked_anew_makes_room_for_the_new_one(served, sign_in):
    viewer, _ = await sign_in("viewer")
    asked = await address(viewer) + "&alone=1"
    async with many() as opened:
        for _ in range(MOST_ALONE - 1):
            await opened(viewer, asked)
        async with many() as left:
            await left(viewer, asked)
            anew = asyncio.ensure_future(opened(viewer, asked))
            await asyncio.sleep(0.2)
            assert not anew.done(), "it waits"
        async with asyncio.timeout(LONG):
            await anew


async def test_beyond_a_number_of_streams_nobody_gets_one(served, sign_in, monkeypatch):
    monkeypatch.setattr(stream, "MOST", 1)
    first, _ = await sign_in("operator")
    second, _ = await sign_in("viewer")
    async with many() as opened:
        await opened(first, await address(first))
        assert [event for event, _ in await whole(second, await address(second))] == ["full"]


async def test_a_page_that_lies_open_keeps_no_session_from_ending(served, sign_in):
    viewer, _ = await sign_in("viewer")
    monitor, asked = await served.monitor(), await address(viewer)

    async def looked():
        async with viewer.stream("GET", asked) as answer:
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            await monitor.ping()
            served.clock.advance(16_000)  # so that the session is looked at
            await monitor.ping()
            while await anext(lines) != "event: changed":
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
