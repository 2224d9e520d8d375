"""The writer: one order, one commit for all that waits, and blind windows when it cannot hear or write."""

import asyncio

import pytest

from luota.core.errors import Code, LuotaError
from luota.core.model import Status, Window
from luota.core.spec.ingest import Ping, Start
from luota.engine import Engine, monitors
from luota.engine.ingest import RecordPing, StartRun
from luota.engine.clocks import STILL
from luota.engine.outage import QUIET, REACH
from luota.store.reads import fetch
from tests.engines import ACTOR, engine_on, no_death, workspace_of

HOUR = 3_600_000


async def hourly(engine, name="hourly", **more):
    workspace = workspace_of(engine)
    doc = {"name": name, "mode": "heartbeat", "schedule": {"every": 3600}, "graceSeconds": 300, **more}
    return await engine.submit(monitors.create(workspace, doc, ACTOR))


async def ping(engine, live):
    return await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))


def state(engine, live):
    return engine.registry.monitors[live.id].state


async def commits_fail(engine):
    """Make every transaction that needs a new page fail, as on a full disk."""
    await engine._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = next(iter(await engine._db.execute_fetchall("PRAGMA page_count")))
    await engine._db.execute(f"PRAGMA max_page_count = {pages}")


async def commits_work(engine):
    await engine._db.execute("PRAGMA max_page_count = 1073741823")


async def filling_pings(engine, live):
    """Ping with payloads that need new pages; return the first refusal."""
    for _ in range(50):
        try:
            ping_ = Ping(payload='{"x":"' + "y" * 20_000 + '"}')
            await engine.submit(RecordPing(live.id, ping_, engine.clock.now()))
        except LuotaError as error:
            return error
    raise AssertionError("the file never filled up")


async def test_all_that_waits_shares_one_transaction(engine):
    live = await hourly(engine)
    commits = []
    committed = engine.writer.committed
    engine.writer.committed = lambda batch: (commits.append(batch), committed(batch))
    await asyncio.gather(*(ping(engine, live) for _ in range(100)))
    assert len(commits) == 1
    assert (await fetch(engine.reader, "SELECT count(*) FROM heartbeats"))[0] == (100,)


async def test_a_cancelled_caller_does_not_cancel_its_write(engine):
    live = await hourly(engine)
    caller = asyncio.ensure_future(ping(engine, live))
    await asyncio.sleep(0)
    caller.cancel()
    await engine.stamp()
    assert (await fetch(engine.reader, "SELECT count(*) FROM heartbeats"))[0] == (1,)
    assert state(engine, live).status is Status.HEALTHY


async def test_a_failed_commit_changes_no_live_state_and_says_unavailable(engine):
    live = await hourly(engine)
    await commits_fail(engine)
    refused = await filling_pings(engine, live)
    assert refused.code is Code.UNAVAILABLE
    assert refused.retry_after is not None
    signals = (await fetch(engine.reader, "SELECT count(*), max(received_at) FROM heartbeats"))[0]
    rows = await fetch(engine.reader, "SELECT signal_at FROM monitor_states")
    assert rows[0][0] == state(engine, live).signal_at
    assert engine.sickness() is not None
    await commits_work(engine)
    await ping(engine, live)
    assert engine.sickness() is None
    assert (await fetch(engine.reader, "SELECT count(*) FROM heartbeats"))[0] == (signals[0] + 1,)


async def test_a_stretch_in_which_nothing_could_be_written_is_a_blind_window(engine, clock):
    live = await hourly(engine)
    await ping(engine, live)
    await commits_fail(engine)
    await filling_pings(engine, live)
    failed_at = clock.now()
    clock.advance(2 * HOUR)
    await commits_work(engine)
    await engine.stamp()
    (window,) = engine.registry.windows.all
    assert (window.start, window.end) == (failed_at, clock.now())
    assert "could not" not in window.reason
    assert "could be written" in window.reason
    while await engine.judge(clock.now()):
        pass
    assert state(engine, live).status is Status.UNVERIFIED


async def test_large_writes_that_fail_while_small_ones_pass_are_one_blind_window_and_few_words_in_the_log(
    engine, clock, caplog
):
    live = await hourly(engine)
    await ping(engine, live)
    await commits_fail(engine)
    began = clock.now()
    for _ in range(20):
        await filling_pings(engine, live)
        clock.advance(4_000)
        await engine.stamp()
        clock.advance(26_000)
    (window,) = engine.registry.windows.all
    assert (window.start, window.end) == (began, clock.now() - 26_000)
    assert await fetch(engine.reader, "SELECT started_at, ended_at FROM blind_windows") == [(began, window.end)]
    await commits_work(engine)
    clock.advance(QUIET)
    await engine.stamp()
    await engine.stamp()
    assert engine.registry.windows.all == (window,)
    said = [record.message.partition(":")[0] for record in caplog.records if record.name == "luota.engine.outage"]
    again = "storage works again"
    assert said == ["nothing can be written", again, "some writes fail, others work", again]


async def test_a_deadline_whose_signals_were_refused_is_unverified_although_small_writes_passed(engine, clock):
    live = await hourly(engine)
    await ping(engine, live)
    clock.advance(HOUR)
    await commits_fail(engine)
    for _ in range(6):
        await filling_pings(engine, live)
        clock.advance(4_000)
        await engine.stamp()
        clock.advance(26_000)
    clock.advance(HOUR)
    while await engine.judge(clock.now()):
        pass
    assert state(engine, live).status is Status.UNVERIFIED


async def test_a_failure_long_after_the_last_one_begins_a_blind_window_of_its_own(engine, clock):
    live = await hourly(engine)
    await commits_fail(engine)
    for _ in range(2):
        began = clock.now()
        await filling_pings(engine, live)
        clock.advance(4_000)
        await engine.stamp()
        clock.advance(QUIET)
    assert [window.start for window in engine.registry.windows.all] == [began - QUIET - 4_000, began]


async def test_a_forward_jump_of_the_wall_clock_is_a_blind_window_before_anything_is_judged(engine, clock):
    live = await hourly(engine)
    await ping(engine, live)
    before = clock.now()
    clock.step(2 * HOUR)
    await ping(engine, live)
    assert engine.registry.windows.all[-1].start == before
    assert engine.registry.windows.all[-1].end == clock.now()
    assert (await fetch(engine.reader, "SELECT count(*) FROM incidents"))[0] == (0,)


async def test_a_jump_of_five_seconds_is_the_clock_being_set_and_no_window(engine, clock):
    clock.step(5_000)
    await engine.stamp()
    assert engine.registry.windows.all == ()


async def test_a_pause_of_the_process_is_a_blind_window_before_anything_is_judged_once_stamps_come_regularly(
    engine, clock
):
    live = await hourly(engine)
    await engine.stamp(regular=True)
    clock.advance(STILL)
    await ping(engine, live)
    assert engine.registry.windows.all == ()
    before = clock.now()
    clock.advance(2 * HOUR)
    while await engine.judge(clock.now()):
        pass
    (window,) = engine.registry.windows.all
    assert (window.start, window.end, window.reason) == (before, clock.now(), "Luota stood still")
    assert state(engine, live).status is Status.UNVERIFIED


async def test_while_some_writes_fail_for_long_a_dead_job_gets_an_incident_and_luota_is_not_called_well(engine, clock):
    dead = await hourly(engine)
    await ping(engine, dead)
    await commits_fail(engine)
    for _ in range(200):
        await filling_pings(engine, dead)
        clock.advance(4_000)
        await engine.stamp()
        clock.advance(56_000)
        while await engine.judge(clock.now()):
            pass
    assert all(window.end - window.start <= REACH + 60_000 for window in engine.registry.windows.all)
    assert state(engine, dead).status is Status.INCIDENT
    await engine.stamp()
    assert engine.sickness().startswith("some writes fail, others work: ")
    await commits_work(engine)
    clock.advance(QUIET + 1)
    await engine.stamp()
    assert engine.sickness() is None


async def test_a_backward_jump_clamps_what_is_remembered_of_the_future(engine, clock):
    live = await hourly(engine)
    clock.step(10 * HOUR)
    await ping(engine, live)
    clock.step(-10 * HOUR)
    await engine.stamp()
    now = clock.now()
    after = state(engine, live)
    assert after.signal_at == now
    assert after.deadline_at == now + HOUR + 300_000


async def test_by_how_much_short_windows_have_moved_a_limit_outlives_a_restart(tmp_path, clock):
    async with engine_on(tmp_path, clock) as engine:
        doc = {"name": "job", "mode": "run", "maxRuntimeSeconds": 3600}
        live = await engine.submit(monitors.create(workspace_of(engine), doc, ACTOR))
        run = (await engine.submit(StartRun(live.id, Start("1"), clock.now()))).run
        clock.advance(HOUR - 1_000)
        await engine.stamp()
        clock.step(10_000)
        await engine.stamp()
        await engine.judge(clock.now())
        (moved,) = state(engine, live).runs
        assert (moved.id, moved.limit_at, moved.moved) == (run.id, clock.now() + 60_000, 69_000)
    async with engine_on(tmp_path, clock) as engine:
        assert state(engine, live).runs == (moved,)


async def test_a_jump_that_could_not_be_recorded_is_part_of_one_window_once_storage_works(engine, clock):
    live = await hourly(engine)
    await ping(engine, live)
    before = clock.now()
    clock.step(2 * HOUR)
    await commits_fail(engine)
    await filling_pings(engine, live)
    assert engine.registry.windows.all == ()
    clock.advance(HOUR)
    await commits_work(engine)
    await engine.stamp()
    (window,) = engine.registry.windows.all
    assert (window.start, window.end) == (before, clock.now())
    assert (await fetch(engine.reader, "SELECT count(*) FROM blind_windows"))[0] == (1,)


async def test_a_defect_in_one_command_takes_no_other_with_it(engine, caplog):
    live = await hourly(engine)

    class Defect(RecordPing):
        def plan(self, batch):
            raise ZeroDivisionError

    bad = engine.writer.submit(Defect(live.id, Ping(), engine.clock.now()))
    good = ping(engine, live)
    assert (await good).status is Status.HEALTHY
    with pytest.raises(ZeroDivisionError):
        await bad
    assert (await fetch(engine.reader, "SELECT count(*) FROM heartbeats"))[0] == (1,)


async def test_the_window_of_a_restart_begins_at_the_last_commit(tmp_path, clock):
    engine = await Engine.open(tmp_path, clock, "a test")
    assert await engine.watch(no_death) is None
    clock.advance(1_000)
    await engine.stamp()
    last = clock.now()
    await engine.close()
    clock.advance(90_000)
    engine = await Engine.open(tmp_path, clock, "a test")
    assert await engine.watch(no_death) == Window(last, last + 90_000, "Luota was not running")
    await engine.close()


async def test_a_command_that_runs_by_itself_does_not_pass_for_a_daemon_that_listened(tmp_path, clock):
    engine = await Engine.open(tmp_path, clock, "a test")
    await engine.watch(no_death)
    live = await hourly(engine)
    await ping(engine, live)
    last = clock.now()
    await engine.close()
    clock.advance(2 * HOUR)
    engine = await Engine.open(tmp_path, clock, "a command")
    engine.work(no_death)
    await engine.submit(monitors.pause(live.id, {}, ACTOR))
    await engine.submit(monitors.resume(live.id, ACTOR))
    assert (await fetch(engine.reader, "SELECT count(*) FROM incidents"))[0] == (0,)
    await engine.close()
    clock.advance(1_000)
    engine = await Engine.open(tmp_path, clock, "a test")
    window = await engine.watch(no_death)
    assert window is not None
    assert window.start == last
    await engine.close()
