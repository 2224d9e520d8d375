"""An incident and its notices are in one transaction, and nothing is true before its COMMIT (invariants 1 and 2)."""

import asyncio
import contextlib
import shutil
import sqlite3

import pytest

from luota.core.errors import Code, LuotaError
from luota.core.model import Kind, RunState
from luota.core.spec.ingest import Close, Ping, Start
from luota.engine import channels, monitors
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from tests.engines import ACTOR, workspace_of

CHANNELS = 3


@pytest.fixture
async def engine(engine):
    for number in range(CHANNELS):
        doc = {"type": "webhook", "name": f"hook-{number}", "url": "http://192.0.2.1/"}
        await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))
    return engine


async def beat(engine):
    """A heartbeat monitor that signalled now, and falls due in an hour."""
    workspace = workspace_of(engine)
    doc = {"name": "beat", "mode": "heartbeat", "schedule": {"every": 3600}}
    live = await engine.submit(monitors.create(workspace, doc, ACTOR))
    await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    return live


async def started(engine, live, name):
    return (await engine.submit(StartRun(live.id, Start(name), engine.clock.now()))).run.id


async def runs(engine):
    workspace = workspace_of(engine)
    return await engine.submit(monitors.create(workspace, {"name": "runs", "mode": "run"}, ACTOR))


def close(engine, run_id, state=RunState.FAILED):
    return engine.submit(CloseRun(run_id, state, Close(summary="it broke"), engine.clock.now()))


def found(data_dir, sql):
    """Read the file as another process would: what it shows is committed."""
    with contextlib.closing(sqlite3.connect(data_dir / "luota.db")) as db:
        return db.execute(sql).fetchall()


class Instants:
    """What a kill would leave behind at each statement that the writer executes, as copies of its files."""

    def __init__(self, engine, directory):
        self.engine, self.directory = engine, directory
        self.copies = []

    def take(self, statement=""):
        copy = self.directory / f"instant-{len(self.copies)}"
        copy.mkdir()
        for name in ("luota.db", "luota.db-wal"):
            shutil.copyfile(self.engine.data_dir / name, copy / name)
        self.copies.append((statement, copy))

    async def __aenter__(self):
        await self.engine._db.set_trace_callback(self.take)
        return self

    async def __aexit__(self, *_):
        await self.engine._db.set_trace_callback(None)
        self.take()


NOTICES = """
SELECT (SELECT count(*) FROM incident_events WHERE type = 'opened'), count(DISTINCT incident_id), count(*),
       (SELECT count(*) FROM monitor_states WHERE incident_id IS NOT NULL) FROM deliveries
"""


async def test_at_whatever_instant_it_is_killed_an_incident_its_state_and_its_notices_are_there_together_or_not_at_all(
    engine, tmp_path
):
    await beat(engine)
    engine.clock.advance(2 * 3_600_000)
    async with Instants(engine, tmp_path) as instants:
        while await engine.judge(engine.clock.now()):
            pass
    assert len(instants.copies) > 5
    seen = [found(copy, NOTICES)[0] for _, copy in instants.copies]
    assert seen[0] == (0, 0, 0, 0)
    assert seen[-1] == (1, 1, CHANNELS, 1)
    assert set(seen) == {seen[0], seen[-1]}, "a kill would leave an incident that nobody is told of"


@pytest.fixture
async def commits_of_incidents_fail(engine):
    """Make the COMMIT itself fail, and no statement before it, whenever an incident was opened or resolved."""
    for sql in (
        "CREATE TABLE trap (id TEXT REFERENCES workspaces (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER spring AFTER INSERT ON incident_events BEGIN INSERT INTO trap VALUES ('nobody'); END",
    ):
        await engine._db.execute(sql)

    async def disarm():
        await engine._db.execute("DROP TRIGGER spring")

    return disarm


async def test_a_failed_commit_leaves_neither_incident_nor_notice_nor_live_state_and_the_next_attempt_has_them_all(
    engine, commits_of_incidents_fail
):
    live = await runs(engine)
    run_id = await started(engine, live, "run-1")
    before = engine.registry.monitors[live.id]
    with pytest.raises(sqlite3.IntegrityError):
        await close(engine, run_id)
    assert engine.registry.monitors[live.id] is before
    assert found(engine.data_dir, NOTICES) == [(0, 0, 0, 0)]
    assert found(engine.data_dir, "SELECT state FROM runs") == [("running",)]
    assert not engine.notices_queued.is_set()

    await commits_of_incidents_fail()
    await close(engine, run_id)
    assert engine.registry.monitors[live.id].state.incident is Kind.FAILED
    assert found(engine.data_dir, NOTICES) == [(1, 1, CHANNELS, 1)]
    assert engine.notices_queued.is_set()


async def test_a_verdict_whose_commit_fails_falls_due_again(engine, commits_of_incidents_fail):
    live = await beat(engine)
    engine.clock.advance(2 * 3_600_000)
    with pytest.raises(sqlite3.IntegrityError):
        await engine.judge(engine.clock.now())
    assert engine.registry.monitors[live.id].state.incident is None
    assert found(engine.data_dir, NOTICES) == [(0, 0, 0, 0)]
    await commits_of_incidents_fail()
    await engine.stamp()
    assert engine.registry.deadlines.next() is not None
    while await engine.judge(engine.clock.now()):
        pass
    assert found(engine.data_dir, NOTICES) == [(1, 1, CHANNELS, 1)]
    assert engine.registry.monitors[live.id].state.incident is Kind.MISSED


async def test_nobody_is_answered_before_the_commit_that_makes_it_true(engine):
    live = await runs(engine)
    commits, answered_after = 0, []
    after_commit = engine.writer.committed

    def committed(batch):
        nonlocal commits
        commits += 1
        after_commit(batch)

    engine.writer.committed = committed
    for number in range(20):
        answer = engine.writer.submit(StartRun(live.id, Start(f"run-{number}"), engine.clock.now()))
        answer.add_done_callback(lambda _: answered_after.append(commits))
        run_id = (await answer).run.id
        assert found(engine.data_dir, f"SELECT count(*) FROM runs WHERE id = '{run_id}'") == [(1,)]
    assert answered_after == list(range(1, 21))


async def test_several_incidents_of_one_monitor_in_one_transaction_are_kept_in_their_order(engine):
    live = await runs(engine)
    run_ids = [await started(engine, live, f"run-{number}") for number in range(6)]
    engine.clock.advance(1000)
    commits, calls = [], []
    committed = engine.writer.committed
    engine.writer.committed = lambda batch: (commits.append(batch), committed(batch))
    for number, run_id in enumerate(run_ids):  # all wait for the writer together, and share its next transaction
        engine.clock.advance(1000)
        calls.append(close(engine, run_id, RunState.SUCCESS if number % 2 else RunState.FAILED))
    await asyncio.gather(*calls)
    assert len(commits) == 1
    assert found(engine.data_dir, "SELECT state, count(*) FROM incidents GROUP BY state") == [("resolved", 3)]
    types = found(engine.data_dir, "SELECT type FROM deliveries ORDER BY seq")
    assert types == ([("incident.opened",)] * CHANNELS + [("incident.resolved",)] * CHANNELS) * 3
