"""A clock that is set back makes nobody wait: what the outbox remembers of the future comes as much earlier."""

import pytest

from luota.core.model import RunState
from luota.core.retry import AttemptResult
from luota.core.spec.ingest import Close, Start
from luota.engine import channels, monitors
from luota.engine.deliveries import RecordAttempt
from luota.engine.ingest import CloseRun, StartRun
from luota.engine.reminders import remind
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of

HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture
async def hook(engine):
    doc = {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}
    return await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))


async def failed(engine, **doc):
    live = await engine.submit(monitors.create(workspace_of(engine), {"name": "job", "mode": "run", **doc}, ACTOR))
    run = (await engine.submit(StartRun(live.id, Start("1"), engine.clock.now()))).run
    await engine.submit(CloseRun(run.id, RunState.FAILED, Close(), engine.clock.now()))


async def rows(engine, sql):
    """Return the first row of a query, instants from now on."""
    ((*instants,),) = await fetch(engine.reader, sql)
    return [instant - engine.clock.now() for instant in instants]


async def refused(engine, hook):
    """Let a webhook be refused now, which is to be tried again in 10 s and rests for an hour."""
    await failed(engine)
    ((delivery_id,),) = await fetch(engine.reader, "SELECT id FROM deliveries")
    now, answer = engine.clock.now(), AttemptResult(ok=False, status=429)
    await engine.submit(RecordAttempt(delivery_id, hook, 1, now, now, answer, now + 10_000, rests_until=now + HOUR))


async def test_what_waits_waits_no_longer_when_the_clock_is_set_back(engine, clock, hook):
    await refused(engine, hook)
    clock.step(-30 * DAY)
    await engine.stamp()
    assert await rows(engine, "SELECT queued_at, next_attempt_at FROM deliveries") == [0, 10_000]
    assert await rows(engine, "SELECT started_at, finished_at FROM attempts") == [0, 0], "from it on, 72 h are counted"
    assert await rows(engine, "SELECT rests_until FROM channels") == [HOUR]


async def test_what_a_small_step_back_leaves_in_the_past_stays_as_it_was(engine, clock, hook):
    await refused(engine, hook)
    clock.advance(5_000)
    clock.step(-2_000)
    await engine.stamp()
    assert await rows(engine, "SELECT queued_at, next_attempt_at FROM deliveries") == [-3_000, 5_000]
    assert await rows(engine, "SELECT started_at, finished_at FROM attempts") == [-3_000, -3_000]


async def test_two_steps_back_are_taken_once_each(engine, clock, hook):
    await refused(engine, hook)
    for _ in range(2):
        clock.step(-DAY)
        await engine.stamp()
        await engine.stamp()
    assert await rows(engine, "SELECT rests_until FROM channels") == [HOUR]


async def test_a_reminder_comes_one_pace_after_the_clock_was_set_back(engine, clock, hook):
    await failed(engine, reminderSeconds="4h")
    clock.step(-30 * DAY)
    await engine.stamp()

    async def delivered(tx):
        await tx.execute("UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL")

    await engine.submit(delivered)
    for hours, reminders in ((3, 0), (1, 1)):
        clock.advance(hours * HOUR)
        await engine.submit(remind)
        sql = "SELECT count(*) FROM deliveries WHERE type = 'incident.reminder'"
        assert await fetch(engine.reader, sql) == [(reminders,)]
