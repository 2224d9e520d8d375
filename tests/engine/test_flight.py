"""Transactions behind transactions: the next one is decided while the one before is still being committed."""

import asyncio
import contextlib
import threading

import pytest

from luota.core.errors import Code, LuotaError
from luota.core.spec.ingest import Ping, Start
from luota.engine import Judge, monitors
from luota.engine.ingest import RecordPing, StartRun
from luota.engine.writer import AHEAD
from luota.store.db import in_thread
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of


async def made(engine, **doc):
    workspace = workspace_of(engine)
    return await engine.submit(monitors.create(workspace, {"name": "job", **doc}, ACTOR))


async def minutely(engine, **doc):
    live = await made(engine, mode="heartbeat", schedule={"every": 60}, graceSeconds=1, **doc)
    await ping(engine, live)
    return live


def ping(engine, live, payload=None):
    return engine.submit(RecordPing(live.id, Ping(payload=payload), engine.clock.now()))


async def rows(engine, sql):
    return await fetch(engine.reader, sql)


@contextlib.asynccontextmanager
async def held(engine):
    """Keep the driver's thread busy, so that commits wait, until the block ends."""
    gate = threading.Event()
    in_thread(engine._db, lambda _: gate.wait(20))
    try:
        yield
        for _ in range(20):  # the writer comes to decide all that it can decide now
            await asyncio.sleep(0)
    finally:
        gate.set()


async def outcomes(futures):
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_a_transaction_is_decided_on_top_of_one_that_is_still_being_committed(engine, clock):
    live = await minutely(engine)
    clock.advance(120_000)
    await engine.submit(Judge([live.id]))
    async with held(engine):
        first = ping(engine, live)
        await asyncio.sleep(0.05)
        behind = [ping(engine, live) for _ in range(AHEAD)]
    await outcomes([first, *behind])
    assert await rows(engine, "SELECT count(*) FROM heartbeats") == [(2 + AHEAD,)]
    assert await rows(engine, "SELECT type FROM incident_events ORDER BY recorded_at, type") == [
        ("opened",),
        ("resolved",),
    ]


async def test_two_transactions_are_under_way_at_once_under_load(engine):
    live = await minutely(engine)
    begun = []
    plan = engine.writer._plan
    engine.writer._plan = lambda items, window, before: begun.append(before) or plan(items, window, before)
    async with held(engine):
        first = ping(engine, live)
        await asyncio.sleep(0.05)
        behind = [ping(engine, live) for _ in range(AHEAD)]
    await outcomes([first, *behind])
    assert begun[0] is None
    assert begun[1] is not None


async def test_a_repeated_start_behind_the_first_is_the_same_run(engine):
    live = await made(engine, mode="run")
    starts = [StartRun(live.id, Start("nightly"), engine.clock.now()) for _ in range(1 + AHEAD)]
    async with held(engine):
        first = engine.submit(starts[0])
        await asyncio.sleep(0.05)
        behind = [engine.submit(start) for start in starts[1:]]
    results = await outcomes([first, *behind])
    assert len({result.run.id for result in results}) == 1
    assert await rows(engine, "SELECT count(*) FROM runs") == [(1,)]


async def test_what_stood_behind_a_broken_transaction_is_decided_anew_and_kept(engine):
    live = await minutely(engine)
    await engine._db.execute(
        "CREATE TRIGGER spring BEFORE INSERT ON heartbeats WHEN NEW.payload = '{\"bad\":1}' "
        "BEGIN SELECT RAISE(ABORT, 'sprung'); END"
    )
    async with held(engine):
        bad = ping(engine, live, '{"bad":1}')
        await asyncio.sleep(0.05)
        behind = [ping(engine, live) for _ in range(AHEAD)]
    refused, *kept = await outcomes([bad, *behind])
    assert isinstance(refused, Exception)
    ids = {result.heartbeat_id for result in kept}
    assert len(ids) == AHEAD
    assert ids <= {id_ for (id_,) in await rows(engine, "SELECT id FROM heartbeats")}
    assert await rows(engine, "SELECT count(*) FROM heartbeats") == [(1 + AHEAD,)]


async def test_what_a_broken_transaction_had_in_it_comes_before_what_stood_behind_it(engine, clock):
    live = await minutely(engine)
    await engine._db.execute(
        "CREATE TRIGGER spring BEFORE INSERT ON heartbeats WHEN NEW.payload = '{\"bad\":1}' "
        "BEGIN SELECT RAISE(ABORT, 'sprung'); END"
    )
    async with held(engine):
        first = [ping(engine, live), ping(engine, live, '{"bad":1}')]
        await asyncio.sleep(0.05)
        clock.advance(1_000)
        behind = [ping(engine, live) for _ in range(AHEAD)]
    await outcomes([*first, *behind])
    known = engine.registry.monitors[live.id].state.signal_at
    assert known == clock.now()
    assert await rows(engine, "SELECT signal_at FROM monitor_states") == [(known,)]


async def test_what_stood_behind_a_full_disk_is_refused_or_kept_but_never_half(engine):
    live = await minutely(engine)
    await engine._db.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size for it
    large = '{"x":"' + "y" * 30_000 + '"}'
    async with held(engine):
        first = [ping(engine, live, large) for _ in range(2)]
        await asyncio.sleep(0.05)
        behind = [ping(engine, live, large) for _ in range(AHEAD)]
    results = await outcomes([*first, *behind])
    await engine._db.execute("PRAGMA max_page_count = 1073741823")
    assert all(isinstance(result, LuotaError) and result.code is Code.UNAVAILABLE for result in results)
    assert await rows(engine, "SELECT count(*) FROM heartbeats") == [(1,)]
    await ping(engine, live)
    assert await rows(engine, "SELECT signal_at FROM monitor_states") == [
        (engine.registry.monitors[live.id].state.signal_at,)
    ]


async def test_a_change_of_a_monitor_waits_for_the_signals_before_it(engine):
    live = await minutely(engine)
    async with held(engine):
        signals = [ping(engine, live) for _ in range(3)]
        await asyncio.sleep(0.05)
        signals += [ping(engine, live) for _ in range(AHEAD)]
        archived = engine.submit(monitors.archive(live.id, ACTOR))
        late = ping(engine, live)
    results = await outcomes([*signals, archived, late])
    assert not any(isinstance(result, Exception) for result in results[:-1])
    assert isinstance(results[-1], LuotaError)
    assert results[-1].code is Code.NOT_FOUND
    assert await rows(engine, "SELECT count(*) FROM heartbeats") == [(4 + AHEAD,)]
