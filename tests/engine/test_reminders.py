"""Reminders: while an incident is open, unacknowledged and its monitor not paused; never in heaps."""

import pytest

from luota.alerts.notice import notice_of
from luota.alerts.words import title
from luota.core.model import RunState
from luota.core.spec.ingest import Close, Start
from luota.engine import channels, incidents, monitors
from luota.engine.deliveries import gather
from luota.engine.ingest import CloseRun, StartRun
from luota.engine.reminders import remind
from luota.store import deliveries
from luota.store.reads import fetch
from tests.engines import ACTOR, workspace_of

HOUR = 3_600_000


@pytest.fixture
async def engine(engine):
    engine.workspace = workspace_of(engine)
    doc = {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}
    engine.channel = await engine.submit(channels.add(engine.workspace, doc, ACTOR))
    return engine


async def failed(engine, **doc):
    work = monitors.create(engine.workspace, {"name": "job", "mode": "run", **doc}, ACTOR)
    live = await engine.submit(work)
    run = (await engine.submit(StartRun(live.id, Start("1"), engine.clock.now()))).run
    await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="broke"), engine.clock.now()))
    await delivered(engine)
    return live


async def delivered(engine):
    async def work(tx):
        await tx.execute("UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL")

    await engine.submit(work)


async def reminders(engine):
    return (await fetch(engine.reader, "SELECT count(*) FROM deliveries WHERE type = 'incident.reminder'"))[0][0]


async def later(engine, hours):
    engine.clock.advance(hours * HOUR)
    await engine.submit(remind)


async def test_nobody_is_reminded_by_default(engine):
    await failed(engine)
    await later(engine, 1000)
    assert await reminders(engine) == 0


async def test_an_open_incident_is_reminded_of_at_its_pace_and_says_for_how_long_it_is_open(engine):
    await failed(engine, reminderSeconds="4h")
    await later(engine, 3)
    assert await reminders(engine) == 0
    await later(engine, 1)
    await engine.submit(remind)
    assert await reminders(engine) == 1
    (outgoing,) = await deliveries.due(engine.reader, engine.channel, engine.clock.now(), 5)
    assert title(notice_of(outgoing, "hook", None, deliveries.Evidence())) == "job: failed (still open after 4 h)"
    await delivered(engine)
    await later(engine, 4)
    assert await reminders(engine) == 2


async def test_reminders_do_not_pile_up_before_a_route_that_is_down(engine):
    await failed(engine, reminderSeconds="1h")
    for _ in range(5):
        await later(engine, 1)
    assert await reminders(engine) == 1


async def test_acknowledging_pausing_and_resolving_end_them(engine):
    await failed(engine, reminderSeconds=3600)
    paused = await failed(engine, reminderSeconds=3600)
    await engine.submit(monitors.pause(paused.id, {}, ACTOR))
    ((first,), (second,)) = await fetch(engine.reader, "SELECT id FROM incidents ORDER BY rowid")
    await engine.submit(incidents.acknowledge(first, "", ACTOR))
    await later(engine, 2)
    assert await reminders(engine) == 0
    await engine.submit(monitors.resume(paused.id, ACTOR))
    await engine.submit(remind)
    assert await reminders(engine) == 1
    await engine.submit(incidents.resolve(second, "", ACTOR))
    await delivered(engine)
    await later(engine, 10)
    assert await reminders(engine) == 1


async def test_a_channel_that_wants_no_openings_gets_no_reminders(engine):
    changes = {"notify": ["resolved"]}
    await engine.submit(channels.edit(engine.workspace.id, engine.channel, "hook", changes, ACTOR))
    await failed(engine, reminderSeconds=3600)
    await later(engine, 2)
    assert await reminders(engine) == 0


async def test_nobody_is_reminded_while_a_digest_that_tells_the_incident_is_on_its_way(engine):
    for name in ("one", "two"):
        await failed(engine, name=name, reminderSeconds="1h")
    await later(engine, 1)
    waiting = await fetch(engine.reader, "SELECT id FROM deliveries WHERE type = 'incident.reminder'")
    await engine.submit(gather(engine.workspace.id, engine.channel, [row[0] for row in waiting]))
    await later(engine, 1)
    assert await reminders(engine) == 2
    await delivered(engine)
    await later(engine, 1)
    assert await reminders(engine) == 4


async def test_a_reminder_that_is_the_first_notice_is_held_by_the_delay_of_the_channel(engine):
    await failed(engine, reminderSeconds="1h")
    workspace = engine.registry.workspaces[engine.workspace.id]
    doc = {"type": "webhook", "name": "late", "url": "http://192.0.2.1/"}
    late = await engine.submit(channels.add(workspace, doc, ACTOR))
    for channel in (late, engine.channel):
        changes = {"delaySeconds": 600}
        await engine.submit(channels.edit(engine.workspace.id, channel, "x", changes, ACTOR))
    await later(engine, 1)
    sql = "SELECT channel_id, next_attempt_at - queued_at FROM deliveries WHERE type = 'incident.reminder'"
    assert dict(await fetch(engine.reader, sql)) == {engine.channel: 0, late: 600_000}
