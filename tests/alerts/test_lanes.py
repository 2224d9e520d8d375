"""Lanes that end, and tests beside lanes that rest or hang."""

import asyncio

import pytest
from msgspec import structs

from luota.alerts.resolver import Resolver
from luota.alerts.sender import AT_ONCE, STUCK_MS
from luota.alerts.types import routes
from luota.core.retry import LONGEST_REST
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client
from tests.engines import ACTOR
from tests.receiver import Receiver, hang, reply


async def proof(rig, channel_id):
    """Send a test; return its state, its error and how many attempts of it were made."""
    delivery_id = await rig.test(channel_id)
    sql = "SELECT state, last_error, attempts FROM deliveries WHERE id = ?"
    return (await fetch(rig.engine.reader, sql, (delivery_id,)))[0]


async def test_a_channel_that_was_removed_leaves_no_sickness_behind(timed):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        await timed.first(receiver, "failed_retrying")
        (channel_id,) = timed.workspace.channels
        await timed.engine.submit(channels.remove(timed.workspace.id, channel_id, "hook", ACTOR))
        async with asyncio.timeout(10):
            while timed.sender._lanes:
                timed.engine.notices_queued.set()
                await asyncio.sleep(0.01)
        timed.engine.clock.advance(STUCK_MS + 1)
        assert timed.sender.sickness() is None
        assert timed.sender._attempts.rests == {}


async def test_a_test_is_sent_while_its_channel_rests_and_shows_what_the_provider_says(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"}), reply(503)]
        channel_id = await rig.channel("hook", receiver.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        assert await proof(rig, channel_id) == ("failed_terminal", "HTTP 503 from the receiver", 1)
        assert await proof(rig, channel_id) == ("delivered", None, 1)
        await rig.fail(await rig.monitor())
        await asyncio.sleep(0.2)
        assert [request.json["type"] for request in receiver.requests[1:]] == ["channel.test"] * 2, "it rests on"


async def test_a_test_is_sent_beside_a_backlog_whose_attempts_hang(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [hang] * AT_ONCE
        channel_id = await rig.channel("hook", receiver.url)
        for _ in range(AT_ONCE + 2):
            await rig.fail(await rig.monitor())
        await rig.start()
        await receiver.wait(AT_ONCE)
        assert await proof(rig, channel_id) == ("delivered", None, 1)
        assert len(receiver.requests) == AT_ONCE + 1


async def test_a_test_that_was_waiting_when_the_process_ended_is_sent_once_at_the_next_start(rig):
    async with Receiver() as receiver:
        channel_id = await rig.channel("hook", receiver.url)
        await rig.engine.submit(channels.test(rig.workspace.id, channel_id, "hook", ACTOR))
        await rig.start()
        await rig.until(lambda rows: rows[0][1] == "delivered")
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("seconds", ["600", "5"], ids=["long", "no longer than the pause of any failure"])
async def test_a_channel_that_rests_rests_on_after_a_restart(rig, seconds):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": seconds})]
        await rig.first(receiver, "failed_retrying")
        await rig.stop()
        await rig.fail(await rig.monitor())
        await rig.start()
        await asyncio.sleep(0.2)
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with another of its address"])
async def test_a_channel_rests_no_longer_when_the_clock_is_set_back(timed, shared):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        timed.engine.clock.step(-86_400_000)  # once before, too
        await timed.engine.stamp()
        timed.client = plain_client(LOOPBACK, Resolver())
        route = routes(timed.client, timed.engine.clock)["webhook"]
        address = (lambda settings: settings["url"]) if shared else None
        timed.send_by({"webhook": structs.replace(route, address=address)})
        await timed.channel("hook", receiver.url)
        await timed.fail(await timed.monitor())
        await timed.until(lambda rows: rows[0][1] == "failed_retrying")
        if shared:
            await timed.channel("other", receiver.url)
        timed.engine.clock.step(-30 * 86_400_000)
        await timed.engine.stamp()
        await timed.fail(await timed.monitor(name="other"))
        await asyncio.sleep(0.2)
        assert len(receiver.requests) == 1, "it rests on"
        timed.engine.clock.advance(601_000)
        timed.engine.notices_queued.set()
        await timed.until(lambda rows: {row[1] for row in rows} == {"delivered"})


async def test_a_channel_rests_on_after_a_restart_though_the_incident_ended_whose_notice_was_refused(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        live = await rig.first(receiver, "failed_retrying")
        await rig.stop()
        await rig.succeed(live)
        assert [row[1] for row in await rig.rows()] == ["cancelled", "queued"]
        await rig.start()
        await asyncio.sleep(0.2)
        assert len(receiver.requests) == 1


async def test_a_channel_rests_on_after_a_restart_though_it_was_a_test_that_was_refused(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        channel_id = await rig.channel("hook", receiver.url)
        await rig.start()
        assert (await proof(rig, channel_id))[0] == "failed_terminal"
        await rig.stop()
        await rig.fail(await rig.monitor())
        await rig.start()
        await asyncio.sleep(0.2)
        assert len(receiver.requests) == 1
        assert await proof(rig, channel_id) == ("delivered", None, 1), "a test is sent all the same"


async def test_after_a_restart_a_channel_rests_at_most_an_hour_from_the_answer(timed):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "80000"})]
        await timed.first(receiver, "failed_retrying")
        await timed.stop()
        timed.engine.clock.advance(LONGEST_REST)
        await timed.fail(await timed.monitor())
        await timed.start()
        await timed.until(lambda rows: rows[1][1] == "delivered")


@pytest.mark.parametrize("answer", [reply(429), reply(503, {"retry-after": "600"})])
async def test_after_a_restart_no_channel_rests_that_was_not_told_how_long(rig, answer):
    async with Receiver() as receiver:
        receiver.answers[:] = [answer]
        await rig.first(receiver, "failed_retrying")
        await rig.stop()
        await rig.fail(await rig.monitor())
        await rig.start()
        await rig.until(lambda rows: rows[1][1] == "delivered", within=5)
