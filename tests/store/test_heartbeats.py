"""The walks over a monitor's heartbeats find what a scan of the whole table finds, and retention leaves nothing behind."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luota.core.spec.ingest import Ping
from luota.engine import Engine, monitors, retention
from luota.engine.ingest import RecordPing
from luota.engine.retention import DAY
from luota.store import heartbeats
from luota.store.reads import fetch
from tests.clock import FakeClock
from tests.engines import ACTOR, engine_on, no_death, workspace_of

HOURS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([0, 1, 20, 400, -1, -30])), min_size=40, max_size=120
)


async def three(engine):
    doc = {"mode": "heartbeat", "schedule": {"every": "366d"}}
    workspace = workspace_of(engine)
    return [await engine.submit(monitors.create(workspace, {"name": f"job {n}", **doc}, ACTOR)) for n in range(3)]


async def pinged(engine, lives, hours):
    """Send pings, each so many hours after the one before; those of one instant share a transaction.

    Before some the clock is set back instead.
    """
    sent = []
    for which, later in hours:
        if later:
            await asyncio.gather(*sent)
            sent = []
            (engine.clock.advance if later > 0 else engine.clock.step)(later * 3_600_000)
        sent.append(engine.submit(RecordPing(lives[which].id, Ping(), engine.clock.now())))
    await asyncio.gather(*sent)


async def scanned(engine, live):
    """Return (received_at, id) of a monitor's heartbeats, the newest first, by a scan of the table."""
    sql = "SELECT received_at, id FROM heartbeats WHERE monitor_id = ? ORDER BY seq DESC"
    return await fetch(engine.reader, sql, (live.id,))


@pytest.fixture
async def engine(tmp_path):
    async with engine_on(tmp_path / "data", FakeClock()) as engine:
        yield engine


@settings(max_examples=25, deadline=None)
@given(hours=HOURS, ask=st.integers(0, 400), most=st.integers(1, 60))
def test_each_walk_finds_what_a_scan_finds(tmp_path_factory, hours, ask, most):
    async def check():
        clock = FakeClock()
        async with engine_on(tmp_path_factory.mktemp("data"), clock) as engine:
            lives = await three(engine)
            began = clock.now()
            await pinged(engine, lives, hours)
            at = began + ask * DAY
            for live in lives:
                rows = await scanned(engine, live)
                columns = "h.received_at, h.id"
                walked = await fetch(engine.reader, f"{heartbeats.newest_first(columns)} LIMIT ?2", (live.id, most))
                assert walked == rows[:most]
                sql = f"{heartbeats.newest_first(columns, since=True)} LIMIT ?3"
                since = [row for row in rows if row[0] >= at]
                assert await fetch(engine.reader, sql, (live.id, at, most)) == since[:most]
                until = [row for row in rows if row[0] <= at]
                sql = f"{heartbeats.back_from(columns)} LIMIT ?3"
                assert await fetch(engine.reader, sql, (live.id, at, most)) == until[:most]
                first = await fetch(engine.reader, heartbeats.first_since(), (live.id, at))
                assert first == [(row[0],) for row in since[-1:]]

    asyncio.run(check())


@settings(max_examples=25, deadline=None)
@given(before=HOURS, after=HOURS, days=st.integers(1, 400), most=st.integers(1, 60))
def test_retention_leaves_the_newest_within_the_days_and_the_walks_find_them_all(
    tmp_path_factory, before, after, days, most
):
    async def check():
        clock, where = FakeClock(), tmp_path_factory.mktemp("data")
        async with engine_on(where, clock) as engine:
            lives = await three(engine)
            await pinged(engine, lives, before)
            await pruned_and_checked(engine, lives, days, most)
        engine = await Engine.open(where, clock, "a test")
        try:
            await engine.watch(no_death)
            await pinged(engine, lives, after)
            await pruned_and_checked(engine, lives, days, most)
        finally:
            await engine.close()

    asyncio.run(check())


async def pruned_and_checked(engine, lives, days, most):
    async def keep(tx):
        await tx.execute("UPDATE workspaces SET retention_days = ?, retention_count = ?", days, most)

    await engine.submit(keep)
    from_ = engine.clock.now() - days * DAY
    kept = {live.id: [row for row in (await scanned(engine, live))[:most] if row[0] >= from_] for live in lives}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "PAUSE_S", 0)
        await retention.prune(engine)
    for live in lives:
        assert await scanned(engine, live) == kept[live.id]
        sql = f"{heartbeats.newest_first('h.received_at, h.id')} LIMIT 1000"
        assert await fetch(engine.reader, sql, (live.id,)) == kept[live.id]


async def test_no_walk_scans_the_table(engine):
    queries = [heartbeats.newest_first("h.id"), heartbeats.newest_first("h.id", since=True)]
    queries += [heartbeats.back_from("h.id"), heartbeats.at_place("h.id"), heartbeats.first_since()]
    for sql in (*queries, heartbeats.EXPIRED):
        values = [1] * len(set(re.findall(r"\?\d", sql)))
        plan = [row[3] for row in await fetch(engine.reader, f"EXPLAIN QUERY PLAN {sql}", values)]
        assert not [step for step in plan if re.match("SCAN (heartbeats|h|monitor_states)", step)], (sql, plan)


async def test_a_place_that_is_not_there_is_looked_for_among_those_of_its_instant_alone(engine):
    live, other, _ = await three(engine)
    await pinged(engine, [live], [(0, 1)] * 200)
    place, *_ = await scanned(engine, live)
    found, one = await counted(engine, live, place)
    assert found == [(place[1],)]
    missing, all_that_is_read = await counted(engine, live, (place[0], other.id))
    assert missing == []
    assert all_that_is_read < 2 * one


async def counted(engine, live, place):
    """Look for a place in the history of a monitor; return what is found, and how many steps SQLite took."""
    steps = []
    await engine.reader.set_progress_handler(lambda: steps.append(1), 1)
    found = await fetch(engine.reader, heartbeats.at_place("h.id"), (live.id, *place))
    await engine.reader.set_progress_handler(None, 1)
    return found, len(steps)


async def test_only_a_few_heartbeats_are_in_an_index(engine):
    live, *_ = await three(engine)
    for _ in range(100):
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    indexes = await fetch(
        engine.reader, "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'heartbeats'"
    )
    assert [sql for (sql,) in indexes if f"number % {heartbeats.EACH} = 0" not in sql] == []
    sql = f"SELECT count(*) FROM heartbeats WHERE number % {heartbeats.EACH} = 0"
    assert await fetch(engine.reader, sql) == [(100 // heartbeats.EACH,)]
