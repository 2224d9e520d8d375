"""Lanes that end, and tests beside lanes that rest or hang."""

import asyncio

from luota.alerts.sender import AT_ONCE, STUCK_MS
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import Rig
from tests.engines import ACTOR, engine_on
from tests.clock import FakeClock
from tests.receiver import Receiver, hang, reply


async def proof(rig, channel_id):
    """Send a test; return its state, its error and how many attempts of it were made."""
    workspace_id = next(iter(rig.engine.registry.workspaces))
    delivery_id = await rig.engine.submit(channels.test(workspace_id, channel_id, "hook", ACTOR))
    async with asyncio.timeout(5):
        await rig.sender.prove(delivery_id)
    sql = "SELECT state, last_error, attempts FROM deliveries WHERE id = ?"
    return (await fetch(rig.engine.reader, sql, (delivery_id,)))[0]


async def test_a_channel_that_was_removed_leaves_no_sickness_behind(tmp_path):
    async with engine_on(tmp_path, clock := FakeClock()) as engine, Receiver() as receiver:
        rig = Rig(engine)
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        channel_id = await rig.channel("hook", receiver.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        workspace_id = next(iter(engine.registry.workspaces))
        await engine.submit(channels.remove(workspace_id, channel_id, "hook", ACTOR))
        async with asyncio.timeout(10):
            while rig.sender._lanes:
                engine.notices_queued.set()
                await asyncio.sleep(0.01)
        clock.advance(STUCK_MS + 1)
        assert rig.sender.sickness() is None
        assert rig.sender._rests == {}
        await rig.stop()


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
        workspace_id = next(iter(rig.engine.registry.workspaces))
        await rig.engine.submit(channels.test(workspace_id, channel_id, "hook", ACTOR))
        await rig.start()
        await rig.until(lambda rows: rows[0][1] == "delivered")
        assert len(receiver.requests) == 1
