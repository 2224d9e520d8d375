"""Of two rests the later one holds, for a channel and for all others of its address; each is written and told once."""

import asyncio
import contextlib

import pytest

from luota.alerts.resolver import Resolver
from luota.alerts.types import routes
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client
from tests.receiver import Receiver, reply

SECOND, HOUR = 1_000, 3_600_000


@contextlib.asynccontextmanager
async def sending(rig):
    """Run a sender meanwhile, whose pace lets messages go at once."""
    async with plain_client(LOOPBACK, Resolver()) as client:
        table = routes(client, rig.engine.clock)
        rig.engine.clock.advance(2 * SECOND)
        rig.send_by(table)
        try:
            yield
        finally:
            await rig.stop()


async def rest(rig, until):
    """Let channels rest on file, each until an instant, by their names."""

    async def work(tx):
        sql = "UPDATE channels SET rests_until = ? WHERE name = ?"
        await tx.execute_many(sql, [(at, name) for name, at in until.items()])

    await rig.engine.submit(work)


async def read_to_rest(rig, until):
    """Wait until all channels are read to rest until an instant."""
    async with asyncio.timeout(10):
        while {at for (at,) in await fetch(rig.engine.reader, "SELECT rests_until FROM channels")} != {until}:
            await asyncio.sleep(0.01)


async def looked(rig):
    """Let the lanes look for what is due, and give them the time to send that."""
    rig.engine.notices_queued.set()
    await asyncio.sleep(0.3)


@pytest.mark.parametrize("longer", ["a", "b"])
async def test_after_a_restart_all_channels_of_one_hook_rest_until_the_last_of_them_does(timed, longer):
    async with Receiver() as receiver:
        for name in ("a", "b", "c"):
            await timed.add("slack", name, url=receiver.url)
        ends = timed.engine.clock.now() + HOUR
        await rest(timed, {"a": ends - HOUR + 10 * SECOND, "b": ends - HOUR + 10 * SECOND, longer: ends})
        await timed.fail(await timed.monitor())
        async with sending(timed):
            await read_to_rest(timed, ends)
            timed.engine.clock.advance(60 * SECOND)
            await looked(timed)
            assert receiver.requests == []
            timed.engine.clock.advance(HOUR)
            timed.engine.notices_queued.set()
            await receiver.wait(1)


@pytest.mark.parametrize("type_", ["slack", "webhook"])
async def test_a_shorter_rest_that_follows_ends_none_that_is_longer_before_and_after_a_restart(timed, type_):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "3600"}), reply(429, {"retry-after": "10"})]
        channel = await timed.add(type_, "hook", url=receiver.url)
        await timed.fail(await timed.monitor())
        async with sending(timed):
            await timed.until(lambda rows: rows[0][1] == "failed_retrying")
            ends = timed.engine.clock.now() + HOUR
            await timed.test(channel)
            await read_to_rest(timed, ends)
            await timed.fail(await timed.monitor(name="other"))
            await looked(timed)
            assert len(receiver.requests) == 2
            timed.engine.clock.advance(60 * SECOND)
            await looked(timed)
            assert len(receiver.requests) == 2
        async with sending(timed):
            await looked(timed)
            assert len(receiver.requests) == 2


async def test_while_channels_of_one_hook_rest_nobody_hears_of_a_change_however_often_their_lanes_look(timed):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "3600"})]
        await timed.add("slack", "team", url=receiver.url)
        await timed.fail(await timed.monitor(channels=["team"]))
        async with sending(timed):
            await timed.until(lambda rows: rows[0][1] == "failed_retrying")
            ends = timed.engine.clock.now() + HOUR
            await timed.add("slack", "ops", url=receiver.url)
            await timed.fail(await timed.monitor(name="other", channels=["ops"]))
            await read_to_rest(timed, ends)
            await looked(timed)
            heard = timed.engine.changes.number(timed.workspace.id)
            for _ in range(3):
                await looked(timed)
            assert timed.engine.changes.number(timed.workspace.id) == heard
            assert len(receiver.requests) == 1
