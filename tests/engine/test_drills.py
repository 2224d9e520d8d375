"""What a drill changes: a twin that nobody else sees, three at a time, all put away at the end."""

import pytest

from luota.core.drills import DrillKind, DrillState, StepState
from luota.core.errors import Code, LuotaError
from luota.core.spec.ingest import Ping
from luota.engine import Engine, channels, drills, monitors
from luota.engine.audit import Actor
from luota.engine.channels import tell_gaps
from luota.engine.ingest import RecordPing
from luota.engine.retention import prune
from luota.store import deliveries, incidents
from luota.store import drills as rows
from luota.store.monitors import archived, definition_of
from luota.store.reads import fetch
from tests.clock import FakeClock
from tests.engines import no_death, workspace_of

ACTOR = Actor("ann", "test")
DAY = 86_400_000
DEAD_END = "http://127.0.0.1:9/"


@pytest.fixture
def engine(engine):
    engine.workspace = workspace_of(engine)
    return engine


async def channel(engine, name, **rules):
    doc = {"type": "slack", "name": name, "url": "http://192.0.2.1/"}
    channel_id = await engine.submit(channels.add(engine.workspace, doc, ACTOR))
    if rules:
        await engine.submit(channels.edit(engine.workspace.id, channel_id, name, rules, ACTOR))
    return channel_id


async def monitor(engine, name="backup", **doc):
    doc = {"name": name, "mode": "heartbeat", "schedule": {"every": 3600}, "tags": {"a": "b"}, **doc}
    return await engine.submit(monitors.create(engine.workspace, doc, ACTOR))


async def begun(engine, live, kind=DrillKind.MISSED):
    url = DEAD_END if kind is DrillKind.DEAD_ROUTE else None
    return await engine.submit(drills.begin(live.id, kind, url, ACTOR))


async def missed(engine, drill):
    """Ping the twin of a drill, and let its deadline pass."""
    await engine.submit(RecordPing(drill.twin.id, Ping(), engine.clock.now()))
    engine.clock.advance(3_001)
    await engine.judge(engine.clock.now())


async def ended(engine, drill, reason="why"):
    await engine.submit(drills.put_away(drill.twin.id, drill.id))
    return await engine.submit(drills.end(drill.id, drill.monitor_id, drill.twin.id, drill.steps, reason))


async def test_a_twin_has_the_words_and_channels_of_its_monitor_and_is_labelled(engine):
    await channel(engine, "desk")
    night = await channel(engine, "night")
    live = await monitor(engine, channels=["night"])
    drill = await begun(engine, live)
    twin = engine.registry.monitors[drill.twin.id]
    assert (twin.drill_of, engine.registry.channels_of(twin)) == (live.id, (night,))
    definition = await definition_of(engine.reader, twin.id)
    assert (definition.name, definition.tags, definition.channels) == ("backup (drill)", {"a": "b"}, ("night",))
    assert engine.registry.monitors[live.id] == live


async def test_a_twin_and_its_dead_route_are_still_so_after_a_restart(tmp_path):
    async def opened():
        engine = await Engine.open(tmp_path, FakeClock(), "a test")
        await engine.watch(no_death)
        engine.workspace = workspace_of(engine)
        return engine

    engine = await opened()
    drill = await begun(engine, await monitor(engine), DrillKind.DEAD_ROUTE)
    await engine.close()
    engine = await opened()
    try:
        assert engine.registry.monitors[drill.twin.id].drill_of == drill.monitor_id
        assert engine.workspace.channels == ()
    finally:
        await engine.close()


async def test_one_drill_runs_per_monitor_and_three_in_all(engine):
    first = await begun(engine, await monitor(engine, "one"))
    with pytest.raises(LuotaError) as refused:
        await begun(engine, engine.registry.monitors[first.monitor_id], DrillKind.DEAD_ROUTE)
    assert refused.value.code is Code.CONFLICT
    for name in ("two", "three"):
        await begun(engine, await monitor(engine, name))
    fourth = await monitor(engine, "four")
    with pytest.raises(LuotaError, match="3 drills are running"):
        await begun(engine, fourth)
    await ended(engine, first)
    await begun(engine, fourth)


async def test_a_twin_is_not_drilled(engine):
    drill = await begun(engine, await monitor(engine))
    with pytest.raises(LuotaError) as refused:
        await begun(engine, engine.registry.monitors[drill.twin.id])
    assert refused.value.code is Code.NOT_FOUND


async def test_the_notices_and_the_incident_of_a_twin_say_that_they_are_of_a_drill(engine):
    await channel(engine, "desk")
    live = await monitor(engine)
    drill = await begun(engine, live)
    await missed(engine, drill)
    assert await fetch(engine.reader, "SELECT json_extract(notice, '$.drill') FROM deliveries") == [(1,)]
    (incident,) = await incidents.incidents(engine.reader, engine.workspace.id, None, None, 5)
    assert (incident["drillOf"], incident["monitorName"]) == (live.id, "backup (drill)")


async def test_in_a_storm_the_notice_of_a_drill_is_neither_held_nor_gathered(engine):
    desk = await channel(engine, "desk")
    drill = await begun(engine, await monitor(engine))
    jobs = [await monitor(engine, f"job {n}", schedule={"every": 2}, graceSeconds=1) for n in range(12)]
    for job in jobs:
        await engine.submit(RecordPing(job.id, Ping(), engine.clock.now()))
    await missed(engine, drill)
    now = engine.clock.now()
    waiting = await deliveries.waiting_first(engine.reader, desk, now)
    assert len(waiting) == len(jobs)
    (outgoing,) = await deliveries.due(engine.reader, desk, now, 50, storm=True)
    assert outgoing.monitor_id == drill.twin.id
    assert await deliveries.next_due(engine.reader, desk, storm=True) == outgoing.queued_at


async def test_a_gap_notice_names_no_twin(engine):
    await channel(engine, "desk")
    drill = await begun(engine, await monitor(engine))
    await engine.submit(RecordPing(drill.twin.id, Ping(), engine.clock.now()))
    engine.clock.step(600_000)  # the host was suspended
    await engine.judge(engine.clock.now())
    assert engine.registry.monitors[drill.twin.id].state.unverified
    await engine.submit(tell_gaps)
    assert await fetch(engine.reader, "SELECT 1 FROM deliveries WHERE type = 'watch.gap'") == []


async def test_the_result_is_kept_until_retention_and_counts_for_ninety_days(engine):
    live = await monitor(engine)
    drill = await begun(engine, live)
    (running,) = await rows.running(engine.reader)
    assert (running.id, running.state, running.actor) == (drill.id, DrillState.RUNNING, "ann")
    assert await rows.latest(engine.reader, live.id) == {}
    proven = [type(step)(step.key, step.text, StepState.PROVEN, 1, "x") for step in drill.steps]
    await engine.submit(drills.report(drill.id, live.id, proven))
    (shown,) = await rows.drills(engine.reader, live.id)
    assert shown.steps == tuple(proven)
    await engine.submit(drills.end(drill.id, live.id, drill.twin.id, proven, "why"))
    now = engine.clock.now()
    last = (await rows.latest(engine.reader, live.id))[DrillKind.MISSED]
    assert (last.state, last.finished_at) == (DrillState.PROVEN, now)
    assert last.proves(now + 90 * DAY)
    assert not last.proves(now + 90 * DAY + 1)
    engine.clock.advance(731 * DAY)
    await prune(engine)
    assert await rows.drills(engine.reader, live.id) == []


async def test_an_end_settles_what_waits_archives_the_twin_and_hides_it_from_those_put_away(engine):
    live = await monitor(engine)
    drill = await begun(engine, live)
    await missed(engine, drill)
    assert await ended(engine, drill, "time is up") is DrillState.NOT_PROVEN
    assert drill.twin.id not in engine.registry.monitors
    found = await rows.drill(engine.reader, engine.workspace.id, drill.id)
    assert {(step.state, step.detail) for step in found.steps if step.key != "told"} == (
        {(StepState.NOT_PROVEN, "time is up")}
    )
    assert await archived(engine.reader, engine.workspace.id) == []
    incident = await incidents.incident(engine.reader, engine.workspace.id, found.incident_id)
    assert incident["state"] == "resolved"
    await ended(engine, drill)  # as after a crash in between


async def test_a_dead_route_is_the_twins_alone_and_leaves_nothing_behind(engine):
    desk = await channel(engine, "desk")
    live = await monitor(engine)
    drill = await begun(engine, live, DrillKind.DEAD_ROUTE)
    twin = engine.registry.monitors[drill.twin.id]
    (route,) = engine.registry.channels_of(twin)
    assert engine.registry.channels_of(live) == (desk,) == engine.registry.workspaces[live.workspace_id].channels
    assert [one.name for one in await incidents.channels(engine.reader, engine.workspace.id)] == ["desk"]
    with pytest.raises(LuotaError, match="There is no channel"):
        await monitor(engine, "other", channels=[route])
    await missed(engine, drill)
    await engine.submit(RecordPing(twin.id, Ping(), engine.clock.now()))
    found = await fetch(engine.reader, "SELECT channel_id, type, state FROM deliveries")
    assert found == [(route, "incident.opened", "queued")]  # the end does not overtake what is retried
    engine.clock.advance(3_001)
    await engine.judge(engine.clock.now())
    await ended(engine, drill)
    assert {row[0] for row in await fetch(engine.reader, "SELECT state FROM deliveries")} == {"cancelled"}
    assert await deliveries.channel_of(engine.reader, route) is None
    assert engine.registry.dead_routes == set()
    assert route not in engine.registry.workspaces[live.workspace_id].wants
    assert twin.id not in engine.registry.routes


async def test_a_channel_that_joins_while_a_drill_runs_hears_nothing_of_it(engine):
    drill = await begun(engine, await monitor(engine))
    await missed(engine, drill)
    await channel(engine, "desk")
    assert await fetch(engine.reader, "SELECT 1 FROM deliveries") == []


async def test_what_a_drill_rises_to_is_told_to_no_other_though_its_channels_refused_to_hear_of_it(engine):
    await channel(engine, "desk")
    await channel(engine, "night")
    drill = await begun(engine, await monitor(engine, channels=["night"]))
    await missed(engine, drill)

    async def refuse(tx):
        await tx.execute("UPDATE deliveries SET state = 'failed_terminal', next_attempt_at = NULL")
        facts = {"at": tx.now, "kind": "failed", "state": "open", "reason": "worse"}
        twin = tx.batch.live(drill.twin.id)
        tx.batch.notify(twin, "incident.updated", twin.incident_id, facts)

    await engine.submit(refuse)
    sql = "SELECT c.name, d.type FROM deliveries d JOIN channels c ON c.id = d.channel_id ORDER BY d.seq"
    assert await fetch(engine.reader, sql) == [("night", "incident.opened"), ("night", "incident.updated")]


async def test_the_state_of_the_monitor_is_the_same_to_the_byte(engine):
    live = await monitor(engine)
    await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    sql = "SELECT * FROM monitor_states WHERE monitor_id = ?"
    before = await fetch(engine.reader, sql, (live.id,))
    drill = await begun(engine, live)
    await missed(engine, drill)
    await ended(engine, drill)
    assert await fetch(engine.reader, sql, (live.id,)) == before
    assert engine.registry.monitors[live.id].rules == live.rules
