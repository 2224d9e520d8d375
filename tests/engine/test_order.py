"""Whoever was received first is judged first, whatever the writer was busy with meanwhile; and what that protects."""

import asyncio
import json
import sqlite3

import pytest

from luota.alerts.messages import body_of
from luota.alerts.notice import notice_of
from luota.core.errors import Code, LuotaError
from luota.core.model import Kind, RunState, Status
from luota.core.spec.ingest import Close, Ping, Start
from luota.core.spec.monitors import definition_json
from luota.engine import Engine, Judge, channels, incidents, monitors, retention
from luota.engine.channels import tell_gaps
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from luota.store.deliveries import Evidence, due
from luota.store.monitors import definition_of
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of

HOUR = 3_600_000


async def made(engine, **doc):
    workspace = workspace_of(engine)
    return await engine.submit(monitors.create(workspace, {"name": "job", **doc}, ACTOR))


async def minutely(engine):
    live = await made(engine, mode="heartbeat", schedule={"every": 60}, graceSeconds=1)
    await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    return live


async def started(engine, live, name="run"):
    return (await engine.submit(StartRun(live.id, Start(name), engine.clock.now()))).run


async def hook(engine):
    workspace = workspace_of(engine)
    return await engine.submit(
        channels.add(workspace, {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}, ACTOR)
    )


def state(engine, live):
    return engine.registry.monitors[live.id].state


async def rows(engine, sql):
    return await fetch(engine.reader, sql)


async def test_a_ping_received_in_time_behind_a_tick_opens_nothing_however_late_the_writer_is(engine, clock):
    live = await minutely(engine)
    clock.advance(60_000)
    tick = engine.submit(Judge([live.id]))  # the expected moment has come
    clock.advance(500)
    ping = engine.submit(RecordPing(live.id, Ping(), clock.now()))
    clock.advance(5_000)  # and only now the writer gets to them
    await asyncio.gather(tick, ping)
    assert await rows(engine, "SELECT count(*) FROM incidents") == [(0,)]
    assert state(engine, live).status is Status.HEALTHY


async def test_a_success_received_before_its_limit_behind_a_tick_is_not_stuck(engine, clock):
    live = await made(engine, mode="run", schedule={"every": 3}, graceSeconds=60, maxRuntimeSeconds=4)
    run = await started(engine, live)
    clock.advance(3_000)
    tick = engine.submit(Judge([live.id]))
    clock.advance(700)
    close = engine.submit(CloseRun(run.id, RunState.SUCCESS, Close(), clock.now()))
    clock.advance(2_000)
    await asyncio.gather(tick, close)
    assert await rows(engine, "SELECT count(*) FROM incidents") == [(0,)]


async def test_an_edit_belongs_to_the_instant_at_which_it_was_asked_for(engine, clock):
    live = await minutely(engine)
    clock.advance(60_500)
    edit = engine.submit(monitors.edit(live.id, {"graceSeconds": 600}, ACTOR))
    clock.advance(5_000)
    await edit
    assert await rows(engine, "SELECT count(*) FROM incidents") == [(0,)]


async def test_a_ping_that_waits_while_the_clock_is_set_back_delays_no_verdict(engine, clock):
    live = await minutely(engine)
    ping = engine.submit(RecordPing(live.id, Ping(), clock.now()))
    clock.step(-HOUR)
    await ping
    assert state(engine, live).deadline_at == clock.now() + 61_000


async def test_a_window_in_a_future_that_did_not_come_excuses_nothing(engine, clock):
    live = await minutely(engine)
    clock.step(24 * HOUR)
    await engine.stamp()
    clock.step(-24 * HOUR)
    await engine.stamp()
    assert all(window.end <= clock.now() for window in engine.registry.windows.all)
    assert await rows(engine, f"SELECT count(*) FROM blind_windows WHERE ended_at > {clock.now()}") == [(0,)]
    await engine.submit(RecordPing(live.id, Ping(), clock.now()))
    for _ in range(130):
        clock.advance(1_000)
        await engine.stamp()
        await engine.judge(clock.now())
    assert state(engine, live).incident is Kind.MISSED


async def test_a_refused_change_leaves_nothing_in_the_file_even_when_a_blind_window_ends_with_it(engine, clock):
    live = await minutely(engine)
    clock.step(HOUR)
    with pytest.raises(LuotaError):
        await engine.submit(monitors.edit(live.id, {"graceSeconds": 7, "channels": ["nobody"]}, ACTOR))
    assert await rows(engine, "SELECT grace_ms FROM monitors") == [(1_000,)]
    await engine.stamp()
    assert len(engine.registry.windows.all) == 1


async def test_of_two_edits_at_once_that_expect_the_same_version_one_is_refused(engine):
    live = await minutely(engine)
    seen = monitors.version(definition_json(await definition_of(engine.reader, live.id)))
    edits = [engine.submit(monitors.edit(live.id, {"graceSeconds": s}, ACTOR, expected=seen)) for s in (7, 8)]
    edited, refusal = await asyncio.gather(*edits, return_exceptions=True)
    assert (edited.rules.grace, refusal.code, refusal.field) == (7_000, Code.CONFLICT, None)
    assert await rows(engine, "SELECT grace_ms FROM monitors") == [(7_000,)]


async def test_the_window_of_a_failed_write_begins_with_the_oldest_signal_that_was_refused(engine, clock):
    live = await minutely(engine)
    clock.advance(60_900)
    received = clock.now()
    (pages,) = (await fetch(engine._db, "PRAGMA page_count"))[0]
    await fetch(engine._db, f"PRAGMA max_page_count = {pages}")
    big = Ping(payload='{"x":"' + "y" * 30_000 + '"}')
    ping = engine.submit(RecordPing(live.id, big, received))
    clock.advance(300)  # its deadline passes while the commit fails
    with pytest.raises(LuotaError) as refused:
        await ping
    assert refused.value.code is Code.UNAVAILABLE
    await fetch(engine._db, "PRAGMA max_page_count = 1000000")
    while await engine.judge(clock.now()):
        pass
    assert engine.registry.windows.all[-1].start == received
    assert await rows(engine, "SELECT count(*) FROM incidents") == [(0,)]


async def test_an_incident_names_the_run_that_it_is_about(engine, clock):
    live = await made(engine, mode="run", maxRuntimeSeconds=60)
    await started(engine, live, "one")
    await started(engine, live, "two")
    clock.advance(60_000)
    await engine.judge(clock.now())
    ((summary, run_id),) = await rows(engine, "SELECT summary, run_id FROM incidents")
    assert run_id in summary


async def test_what_a_window_is_found_to_have_hidden_after_its_digest_is_told_too_unless_it_was_named(engine, clock):
    await hook(engine)
    await minutely(engine)
    patient = await made(engine, name="patient", mode="run", maxRuntimeSeconds=20 * 3600)
    await started(engine, patient)
    clock.step(2 * HOUR)
    await engine.stamp()
    while await engine.judge(clock.now()):
        pass
    await engine.submit(tell_gaps)
    (notice,) = [json.loads(text) for (text,) in await rows(engine, "SELECT notice FROM deliveries")]
    assert [one["name"] for one in notice["unverified"]] == ["job"]
    assert [one["name"] for one in notice["undecided"]] == ["patient"]
    clock.advance(20 * HOUR)
    while await engine.judge(clock.now()):
        pass
    assert state(engine, patient).status is Status.UNVERIFIED
    await engine.submit(tell_gaps)
    assert await rows(engine, "SELECT count(*) FROM deliveries WHERE type = 'watch.gap'") == [(1,)]

    async def forget(tx):
        await tx.execute("UPDATE blind_windows SET told = '[]'")

    await engine.submit(forget)
    await engine.submit(tell_gaps)
    newest = json.loads((await rows(engine, "SELECT notice FROM deliveries ORDER BY seq DESC LIMIT 1"))[0][0])
    assert "patient" in [one["name"] for one in newest["unverified"]]


async def test_what_a_window_hid_of_a_run_during_an_incident_is_told_once_the_incident_ends(engine, clock):
    await hook(engine)
    live = await made(engine, mode="run", schedule={"every": 3600}, maxRuntimeSeconds=2 * 3600)
    await started(engine, live)
    clock.advance(HOUR + 300_001)
    await engine.judge(clock.now())
    clock.step(2 * HOUR)
    await engine.stamp()
    await engine.judge(clock.now())
    await engine.submit(tell_gaps)
    engine.unverified_found = False
    sql = "SELECT notice FROM deliveries WHERE type = 'watch.gap'"
    assert (state(engine, live).status, await rows(engine, sql)) == (Status.INCIDENT, [])
    run = await started(engine, live, "next")
    assert (state(engine, live).status, engine.unverified_found) == (Status.UNVERIFIED, True)
    await engine.submit(tell_gaps)
    ((notice,),) = await rows(engine, sql)
    said = f"run {run.id} started, but the outcome of an earlier one is unknown"
    assert [one["reason"] for one in json.loads(notice)["unverified"]] == [said]


async def test_an_incident_that_opens_as_its_monitor_is_routed_elsewhere_is_told_where_it_was_routed(engine, clock):
    first, live = await hook(engine), await minutely(engine)
    doc = {"type": "webhook", "name": "other", "url": "http://192.0.2.1/"}
    await engine.submit(monitors.edit(live.id, {"channels": ["hook"]}, ACTOR))
    await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))
    clock.advance(2 * 60_000)
    await engine.submit(monitors.edit(live.id, {"channels": ["other"]}, ACTOR))
    assert await rows(engine, "SELECT channel_id, type FROM deliveries") == [(first, "incident.opened")]


async def test_further_misses_stand_on_the_timeline_one_by_one_up_to_a_bound_and_notify_nobody(engine, clock):
    await hook(engine)
    await minutely(engine)
    clock.advance(61_000)
    await engine.judge(clock.now())
    for _ in range(3):
        clock.advance(60_000)
        await engine.judge(clock.now())
    assert await rows(engine, "SELECT type, count(*) FROM incident_events GROUP BY type ORDER BY type") == [
        ("counted", 3),
        ("opened", 1),
    ]
    clock.advance(200 * 60_000)
    while await engine.judge(clock.now()):
        pass
    assert await rows(engine, "SELECT evidence_count FROM incidents") == [(204,)]
    assert await rows(engine, "SELECT count(*) FROM incident_events WHERE type = 'counted'") == [(100,)]
    assert await rows(engine, "SELECT count(*) FROM deliveries") == [(1,)]


async def test_an_acknowledged_incident_that_gets_worse_is_told_as_acknowledged(engine, clock):
    channel_id = await hook(engine)
    live = await made(engine, mode="run", maxRuntimeSeconds=60)
    run = await started(engine, live)
    clock.advance(60_000)
    await engine.judge(clock.now())
    ((incident_id,),) = await rows(engine, "SELECT id FROM incidents")
    await engine.submit(incidents.acknowledge(incident_id, "on it", ACTOR))
    clock.advance(1_000)
    await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="bad"), clock.now()))

    async def sent(tx):
        await tx.execute("UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL WHERE seq = 1")

    await engine.submit(sent)
    (updated,) = await due(engine.reader, channel_id, clock.now(), 10)
    assert body_of(notice_of(updated, "hook", None, Evidence()))["incident"]["state"] == "acknowledged"


async def test_retention_outlives_a_file_that_cannot_be_read_for_a_while(engine, monkeypatch):
    tries = []

    async def unreadable(*_):
        tries.append(1)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(retention, "fetch", unreadable)
    monkeypatch.setattr(retention, "EVERY_S", 0.01)
    task = asyncio.ensure_future(retention.prune_for_ever(engine))
    while len(tries) < 3:
        await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()


async def test_when_the_writer_dies_nobody_waits_for_ever_and_the_directory_is_given_back(tmp_path, clock):
    engine = await Engine.open(tmp_path, clock, "a test")
    died = []
    await engine.watch(lambda name, error: died.append((name, type(error))))

    async def broken(_):
        raise ZeroDivisionError

    engine.writer._launch = lambda: broken(None)
    with pytest.raises(LuotaError, match="writer has ended"):
        await engine.stamp()
    assert died == [("writer", ZeroDivisionError)]
    await engine.close()
    again = await Engine.open(tmp_path, clock, "a test")
    await again.close()


async def test_a_tick_of_thousands_of_open_runs_is_quick(engine, clock):
    live = await made(engine, mode="run", maxRuntimeSeconds=60)
    waiting = [engine.submit(StartRun(live.id, Start(str(n)), clock.now())) for n in range(3_000)]
    await asyncio.gather(*waiting)
    clock.advance(61_000)
    async with asyncio.timeout(10):
        await engine.judge(clock.now())
    assert await rows(engine, "SELECT state, count(*) FROM runs GROUP BY state") == [("stuck", 3_000)]
    assert await rows(engine, "SELECT count(*) FROM incidents") == [(1,)]
