"""The alarm: judges at the deadline, in pieces, and tells of blind windows once."""

import asyncio
import contextlib
import json

from luota.alarm import Alarm
from luota.clock import SystemClock
from luota.core.model import Status
from luota.core.spec.ingest import Ping
from luota.engine import channels, monitors
from luota.engine.ingest import RecordPing
from luota.store.reads import fetch
from tests.clock import FakeClock
from tests.engines import ACTOR, engine_on, workspace_of

HOUR = 3_600_000
TOLD = "SELECT count(*) FROM deliveries WHERE type = 'watch.gap'"


async def created(engine, count, **more):
    workspace = workspace_of(engine)
    doc = {"name": "job", "mode": "heartbeat", "schedule": {"every": 3600}, **more}
    lives = [await engine.submit(monitors.create(workspace, doc, ACTOR)) for _ in range(count)]
    for live in lives:
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    return lives


async def until(condition, within=10.0):
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.01)


async def count(engine, sql):
    return (await fetch(engine.reader, sql))[0][0]


@contextlib.asynccontextmanager
async def running(alarm):
    task = asyncio.ensure_future(alarm.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def hook(engine, name):
    doc = {"type": "webhook", "name": name, "url": "http://192.0.2.1/"}
    await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))


async def test_it_opens_an_incident_at_the_deadlines_own_instant_in_real_time(tmp_path):
    async with engine_on(tmp_path, SystemClock()) as engine:
        alarm = Alarm(engine)
        assert alarm.sickness() == "the alarm has not ticked yet"
        async with running(alarm):
            (live,) = await created(engine, 1, schedule={"every": 1})
            deadline = engine.registry.monitors[live.id].state.deadline_at
            await until(lambda: _true(count(engine, "SELECT count(*) FROM incidents")))
            assert await count(engine, "SELECT opened_at FROM incidents") == deadline
            assert alarm.sickness() is None


async def _true(coroutine):
    return bool(await coroutine)


async def test_many_deadlines_are_judged_in_pieces_that_let_a_ping_in_between(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        await created(engine, 300)
        clock.advance(HOUR)
        sizes = []
        while True:
            before = await count(engine, "SELECT count(*) FROM incidents")
            if not await engine.judge(clock.now()):
                break
            sizes.append(await count(engine, "SELECT count(*) FROM incidents") - before)
        assert sum(sizes) == 300
        assert max(sizes) <= 128


async def test_a_monitor_whose_tick_came_too_early_is_woken_again(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        (live,) = await created(engine, 1)
        assert await engine.judge(clock.now() + HOUR)  # the heap's instant has come, the clock's has not
        assert engine.registry.deadlines.next() == clock.now() + HOUR


async def test_one_digest_per_channel_tells_of_a_blind_window_and_of_what_is_still_undecided(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        for name in ("one", "two"):
            await hook(engine, name)
        lives = await created(engine, 3)
        patient = await created(engine, 1, name="patient", graceSeconds=10 * 3600)
    clock.advance(2 * HOUR)
    async with engine_on(tmp_path, clock) as engine, running(Alarm(engine)):
        await until(lambda: _true(count(engine, TOLD)))
        for _ in range(3):
            await engine.stamp()
        assert await count(engine, TOLD) == 2
        assert await count(engine, "SELECT count(*) FROM incidents") == 0
        notice = json.loads(await count(engine, "SELECT notice FROM deliveries"))
        assert sorted(one["id"] for one in notice["unverified"]) == sorted(live.id for live in lives)
        assert [one["id"] for one in notice["undecided"]] == [patient[0].id]
        assert {engine.registry.monitors[live.id].state.status for live in lives} == {Status.UNVERIFIED}


async def test_a_window_whose_teller_died_is_told_by_the_next_process(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        await hook(engine, "a")
        await created(engine, 1)
    clock.advance(2 * HOUR)
    async with engine_on(tmp_path, clock) as engine:
        while await engine.judge(clock.now()):
            pass
        assert await count(engine, TOLD) == 0
    async with engine_on(tmp_path, clock) as engine, running(Alarm(engine)):
        await until(lambda: _true(count(engine, TOLD)))


async def test_an_alarm_that_has_stopped_is_called_sick(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        alarm = Alarm(engine)
        alarm.ticked_at = clock.monotonic()
        assert alarm.sickness() is None
        clock.advance(91_000)
        assert alarm.sickness() == "the alarm does not tick"


async def test_an_alarm_with_nothing_to_judge_stays_well_while_stamps_are_committed(tmp_path):
    clock = FakeClock()
    async with engine_on(tmp_path, clock) as engine:
        alarm = Alarm(engine)
        async with running(alarm):
            for _ in range(40):
                clock.advance(4_000)
                await engine.stamp()
                async with asyncio.timeout(5):
                    while alarm.sickness() is not None:
                        await asyncio.sleep(0.001)
