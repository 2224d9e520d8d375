"""What waited for its turn is looked at again right before it is sent."""

import asyncio
import contextlib

import pytest

from luota.alerts.resolver import Resolver
from luota.alerts.sender import AT_ONCE
from luota.alerts.types import routes
from luota.clock import SystemClock
from luota.core.errors import LuotaError
from luota.engine import channels
from luota.engine.deliveries import BeginAttempt
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, Rig, plain_client
from tests.clock import FakeClock
from tests.e2e.test_storage_failures import full, small_disk  # noqa: F401 (small_disk is a fixture)
from tests.engine.test_writer import filling_pings, hourly
from tests.engines import ACTOR, engine_on
from tests.receiver import Receiver, after, reply

MANY = 2


@contextlib.asynccontextmanager
async def turn_awaited(rig, receiver):
    """Let openings wait for their turn at a hook of Slack as long as this lasts; its pace lets them go at once then."""
    rig.hook = await rig.add("slack", "team", url=receiver.url)
    rig.lives = [await rig.monitor(name=f"job {number}") for number in range(MANY)]
    for live in rig.lives:
        await rig.fail(live)
    clock = FakeClock()
    async with plain_client(LOOPBACK, Resolver()) as client:
        table = routes(client, clock)
        clock.advance(60_000)
        async with table["slack"].turn({"url": receiver.url}, False):
            rig.send_by(table)
            await rig.taken_up(MANY)
            yield
        async with asyncio.timeout(10):
            while rig.sender._attempts._under_way:
                await asyncio.sleep(0.01)
            await rig.until(lambda rows: all(row[3] is None or row[3] > rig.engine.clock.now() for row in rows))
        await rig.stop()


async def test_an_opening_whose_incident_ended_while_it_waited_is_not_sent(rig):
    async with Receiver() as receiver:
        async with turn_awaited(rig, receiver):
            for live in rig.lives:
                await rig.succeed(live)
    assert len(receiver.requests) == MANY
    assert all("failed (resolved" in request.json["text"] for request in receiver.requests)
    assert [row[1] for row in await rig.rows()] == ["cancelled"] * MANY + ["delivered"] * MANY
    assert await fetch(rig.engine.reader, "SELECT count(*) FROM attempts") == [(MANY,)]


async def test_an_attempt_that_was_under_way_when_the_incident_ended_is_counted_with_the_opening(rig):
    go_on = asyncio.Event()
    async with Receiver() as receiver:
        receiver.answers[:] = [after(go_on, reply(503))]
        await rig.channel("hook", receiver.url)
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        await receiver.wait(1)
        await rig.succeed(live)
        go_on.set()
        opening, end = await rig.until(lambda rows: rows[-1][1] == "delivered")
    why = "the incident was resolved first; the message about its end tells both"
    assert opening[1:5] == ("cancelled", 1, None, why)
    sql = "SELECT delivery_id, status FROM attempts ORDER BY started_at"
    assert await fetch(rig.engine.reader, sql) == [(opening[5], 503), (end[5], 200)]


async def test_nothing_is_sent_to_a_channel_that_was_removed_while_it_waited(rig):
    async with Receiver() as receiver:
        async with turn_awaited(rig, receiver):
            await rig.engine.submit(channels.remove(rig.workspace.id, rig.hook, "team", ACTOR))
    assert receiver.requests == []
    assert [row[1] for row in await rig.rows()] == ["cancelled"] * MANY


async def test_what_a_longer_delay_put_off_while_it_waited_is_not_sent_yet(rig):
    async with Receiver() as receiver:
        async with turn_awaited(rig, receiver):
            await rig.engine.submit(channels.edit(rig.workspace.id, rig.hook, "team", {"delaySeconds": 300}, ACTOR))
        assert receiver.requests == []
        await rig.engine.submit(channels.edit(rig.workspace.id, rig.hook, "team", {"delaySeconds": 0}, ACTOR))
        assert all(row[3] <= rig.engine.clock.now() for row in await rig.rows()), "nor does it count as begun"


async def test_an_opening_whose_incident_ended_while_others_had_all_places_is_not_sent(rig):
    go_on = asyncio.Event()
    async with Receiver() as receiver:
        receiver.default = after(go_on, reply(200))
        await rig.channel("hook", receiver.url)
        lives = [await rig.monitor(name=f"job {number}") for number in range(AT_ONCE + 1)]
        for live in lives:
            await rig.fail(live)
        await rig.start()
        await receiver.wait(AT_ONCE)
        await rig.succeed(lives[-1])
        go_on.set()
        await rig.until(lambda rows: all(row[3] is None for row in rows))
    told = [(request.json["monitor"]["name"], request.json["type"]) for request in receiver.requests]
    assert [type_ for name, type_ in told if name == f"job {AT_ONCE}"] == ["incident.resolved"]


async def test_what_is_on_disk_is_sent_though_nothing_can_be_written(small_disk):  # noqa: F811
    async with Receiver() as receiver, engine_on(small_disk / "data", SystemClock()) as engine:
        rig = Rig(engine)
        await rig.channel("hook", receiver.url)
        await rig.fail(await rig.monitor())
        live = await hourly(engine)
        with full(small_disk):
            await filling_pings(engine, live)
            await engine.stamp()  # takes what was kept for such a day
            with pytest.raises(LuotaError):
                await engine.submit(BeginAttempt("nothing"))
            await rig.start()
            await receiver.wait(1)
            await rig.stop()
    assert len(receiver.requests) == 1
