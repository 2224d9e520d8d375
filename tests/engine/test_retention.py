"""Retention: signals by days and count, incidents kept longer, open ones kept for good, in small transactions."""

import pytest

from luota.core.model import RunState
from luota.core.spec.ingest import Close, Ping, Start
from luota.engine import channels, monitors, retention
from luota.engine.deliveries import gather
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from luota.engine.retention import DAY, prune
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0)


async def kept(engine, days=90, most=10_000, incident_days=730):
    async def work(tx):
        sql = "UPDATE workspaces SET retention_days = ?, retention_count = ?, incident_retention_days = ?"
        await tx.execute(sql, days, most, incident_days)

    await engine.submit(work)


async def created(engine, **doc):
    workspace = workspace_of(engine)
    return await engine.submit(monitors.create(workspace, {"name": "job", **doc}, ACTOR))


async def heartbeat(engine):
    return await created(engine, mode="heartbeat", schedule={"every": "365d"})


async def count(engine, table):
    return (await fetch(engine.reader, f"SELECT count(*) FROM {table}"))[0][0]


async def run_to_its_end(engine, live, name, state=RunState.SUCCESS):
    clock = engine.clock
    run = (await engine.submit(StartRun(live.id, Start(name), clock.now()))).run
    clock.advance(1000)
    return await engine.submit(CloseRun(run.id, state, Close(summary="it broke"), clock.now()))


async def test_heartbeats_older_than_the_days_go_and_newer_ones_stay(engine, clock):
    live = await heartbeat(engine)
    await kept(engine, days=10)
    for _ in range(20):
        await engine.submit(RecordPing(live.id, Ping(), clock.now()))
        clock.advance(DAY)
    assert await prune(engine) == 10
    assert await count(engine, "heartbeats") == 10
    assert await prune(engine) == 0


async def test_a_monitor_keeps_its_newest_signals_up_to_the_count(engine, clock):
    live, other = await heartbeat(engine), await heartbeat(engine)
    await kept(engine, most=5)
    await engine.submit(RecordPing(other.id, Ping(), clock.now()))
    for _ in range(12):
        clock.advance(1000)
        await engine.submit(RecordPing(live.id, Ping(), clock.now()))
    assert await prune(engine) == 7
    rows = await fetch(engine.reader, "SELECT received_at FROM heartbeats WHERE monitor_id = ?", (live.id,))
    assert [at for (at,) in rows] == [clock.now() - 1000 * back for back in (4, 3, 2, 1, 0)]
    assert await count(engine, "heartbeats") == 6


async def test_closed_runs_go_and_running_ones_stay(engine, clock):
    live = await created(engine, mode="run", maxRuntimeSeconds="365d")
    await kept(engine, days=10)
    await run_to_its_end(engine, live, "closed")
    await engine.submit(StartRun(live.id, Start("running"), clock.now()))
    clock.advance(11 * DAY)
    assert await prune(engine) == 1
    assert (await fetch(engine.reader, "SELECT external_run_id FROM runs"))[0] == ("running",)


async def test_resolved_incidents_go_with_all_that_belongs_to_them_and_open_ones_never(engine, clock):
    workspace = workspace_of(engine)
    doc = {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}
    await engine.submit(channels.add(workspace, doc, ACTOR))
    healed, broken = await created(engine, mode="run"), await created(engine, mode="run")
    await run_to_its_end(engine, healed, "a", RunState.FAILED)
    clock.advance(1000)
    await run_to_its_end(engine, healed, "b")
    await run_to_its_end(engine, broken, "c", RunState.FAILED)
    await kept(engine, days=10, incident_days=100)
    clock.advance(101 * DAY)
    await prune(engine)
    assert await count(engine, "incidents") == 2  # its notices are still to be sent

    async def give_up(tx):
        await tx.execute("UPDATE deliveries SET state = 'failed_terminal', next_attempt_at = NULL")

    await engine.submit(give_up)
    await prune(engine)
    assert (await fetch(engine.reader, "SELECT monitor_id, state FROM incidents")) == [(broken.id, "open")]
    for table in ("incident_events", "deliveries"):
        assert await count(engine, table) == 1
    assert list(await fetch(engine.reader, "PRAGMA foreign_key_check")) == []


async def test_a_digest_is_kept_with_its_attempts_until_the_last_incident_that_it_tells_goes(engine, clock):
    doc = {"type": "slack", "name": "hook", "url": "http://192.0.2.1/"}
    channel_id = await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))
    jobs = [await created(engine, mode="run") for _ in range(3)]
    for live in jobs:
        await run_to_its_end(engine, live, "a", RunState.FAILED)
    openings = [row[0] for row in await fetch(engine.reader, "SELECT id FROM deliveries")]
    await engine.submit(gather(workspace_of(engine).id, channel_id, openings))

    async def arrive(tx):
        await tx.execute(
            "INSERT INTO attempts (delivery_id, number, started_at, finished_at, ok) "
            "SELECT id, 1, 1, 1, 1 FROM deliveries WHERE type = 'incident.digest' AND next_attempt_at IS NOT NULL"
        )
        await tx.execute(
            "UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL"
        )

    await engine.submit(arrive)
    await kept(engine, incident_days=7)
    for live, left in zip(jobs, (3, 2, 1), strict=True):
        clock.advance(40 * DAY)
        await prune(engine)
        assert await count(engine, "attempts") == 1
        assert await count(engine, "deliveries WHERE told_by IS NOT NULL") == left
        await run_to_its_end(engine, live, "b")
        await engine.submit(arrive)
    clock.advance(40 * DAY)
    await prune(engine)
    assert (await count(engine, "attempts"), await count(engine, "deliveries")) == (0, 0)


async def test_an_incident_is_kept_until_the_digest_has_ended_that_is_to_tell_its_end(engine, clock):
    doc = {"type": "slack", "name": "hook", "url": "http://192.0.2.1/"}
    channel_id = await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))
    for _ in range(2):
        live = await created(engine, mode="run")
        for state in (RunState.FAILED, RunState.SUCCESS):
            clock.advance(1000)
            await run_to_its_end(engine, live, state.value, state)
    waiting = [row[0] for row in await fetch(engine.reader, "SELECT id FROM deliveries WHERE state = 'queued'")]
    await engine.submit(gather(workspace_of(engine).id, channel_id, waiting))
    await kept(engine, incident_days=7)
    for ends, left in ((False, 2), (True, 0)):
        if ends:
            sql = "UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL WHERE next_attempt_at IS NOT NULL"
            await engine.submit(lambda tx: tx.execute(sql))  # noqa: B023
        clock.advance(40 * DAY)
        await prune(engine)
        assert await count(engine, "incidents") == left


async def test_retention_finds_what_a_digest_tells_by_an_index(engine):
    plan = await fetch(engine.reader, f"EXPLAIN QUERY PLAN {retention._OLD_DELIVERIES}", ("x", 0, 1, 0))
    steps = [row[3] for row in plan]
    assert all(step.startswith(("SEARCH", "CORRELATED")) for step in steps), steps
    assert any("deliveries_told_by" in step for step in steps)


async def test_no_transaction_deletes_more_than_a_few_rows(engine, clock):
    live = await heartbeat(engine)
    await kept(engine, days=1)
    for _ in range(1000):
        engine.writer.submit(RecordPing(live.id, Ping(), clock.now()))
    await engine.stamp()
    clock.advance(2 * DAY)
    left = []
    committed = engine.writer.committed
    engine.writer.committed = lambda batch: (left.append(batch), committed(batch))
    assert await prune(engine) == 1000
    assert len(left) >= 1000 / retention.MOST_ROWS


async def test_the_log_is_moved_into_the_file_between_deletions(engine, clock):
    live = await heartbeat(engine)
    await kept(engine, days=1)
    for _ in range(8000):
        engine.writer.submit(RecordPing(live.id, Ping(payload='{"rows":1}'), clock.now()))
        if len(engine.writer._queue) > 1000:
            await engine.stamp()
    await engine.stamp()
    clock.advance(2 * DAY)
    await fetch(engine._db, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert await prune(engine) == 8000
    log, file = ((engine.data_dir / name).stat().st_size for name in ("luota.db-wal", "luota.db"))
    assert log < file  # all deletions wrote more than that; a disk that is nearly full would be by then
