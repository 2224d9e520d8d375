"""A clock that is set back makes nobody wait: what the outbox remembers of the future comes as much earlier."""

import pytest

from luota.core.model import RunState
from luota.core.retry import AttemptResult
from luota.core.spec.ingest import Close, Start
from luota.engine import channels, monitors
from luota.engine.deliveries import BeginAttempt, RecordAttempt, gather, record_cut_off, renew
from luota.engine.ingest import CloseRun, StartRun
from luota.engine.reminders import remind
from luota.store.deliveries import first_attempt_at
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of

HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture
async def hook(engine):
    doc = {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}
    return await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))


async def failed(engine, **doc):
    live = await engine.submit(monitors.create(workspace_of(engine), {"name": "job", "mode": "run", **doc}, ACTOR))
    await ended(engine, live, RunState.FAILED)
    return live


async def ended(engine, live, state):
    run = (await engine.submit(StartRun(live.id, Start(state.value), engine.clock.now()))).run
    await engine.submit(CloseRun(run.id, state, Close(), engine.clock.now()))


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


async def test_an_attempt_that_was_cut_off_before_the_clock_was_set_back_is_none_of_the_future(engine, clock, hook):
    await failed(engine)
    ((delivery_id,),) = await fetch(engine.reader, "SELECT id FROM deliveries")
    await engine.submit(BeginAttempt(delivery_id))
    clock.step(-30 * DAY)
    await engine.submit(record_cut_off)
    assert await rows(engine, "SELECT started_at, finished_at FROM attempts") == [0, 0]


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


async def test_a_digest_is_tried_no_longer_for_the_attempts_of_those_before_it(engine, clock, hook):
    jobs = [await failed(engine) for _ in range(2)]
    ids = [id_ for (id_,) in await fetch(engine.reader, "SELECT id FROM deliveries")]
    await engine.submit(gather(workspace_of(engine).id, hook, ids))
    ((digest_id,),) = await fetch(engine.reader, "SELECT id FROM deliveries WHERE type = 'incident.digest'")
    now, answer = clock.now(), AttemptResult(ok=False, status=503)
    await engine.submit(RecordAttempt(digest_id, hook, 1, now, now, answer, now))
    clock.advance(1000)
    await ended(engine, jobs[0], RunState.SUCCESS)
    await engine.submit(renew(digest_id))
    sql = f"SELECT {first_attempt_at('d')} FROM deliveries d WHERE next_attempt_at IS NOT NULL"
    for back in (0, 30 * DAY):
        clock.step(-back)
        await engine.stamp()
        assert await rows(engine, sql) == [-1000]


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
