"""What people read of incidents, deliveries and channels."""

from luota.engine import channels as commands
from luota.engine import incidents as acts
from luota.engine.audit import Actor
from luota.store import incidents, packet
from tests.served import NOW, serve, served  # noqa: F401

ACTOR = Actor("ann", "test")


async def add(served, name):
    workspace = next(iter(served.engine.registry.workspaces.values()))
    doc = {"type": "slack", "name": name, "url": "http://192.0.2.1/"}
    return workspace, await served.engine.submit(commands.add(workspace, doc, ACTOR))


async def test_unproven_are_the_channels_by_which_nothing_was_delivered_and_none_tells_that_there_is_no_channel(served):
    reader = served.engine.reader
    workspace = next(iter(served.engine.registry.workspaces.values()))
    assert await incidents.unproven(reader, workspace.id) is None
    _, second = await add(served, "second")
    _, first = await add(served, "first")
    assert await incidents.unproven(reader, workspace.id) == ["first", "second"]
    db = served.engine.writer._db
    await db.execute("UPDATE channels SET proven_at = 1 WHERE id = ?", (first,))
    assert await incidents.unproven(reader, workspace.id) == ["second"]
    await db.execute("UPDATE channels SET proven_at = 1 WHERE id = ?", (second,))
    assert await incidents.unproven(reader, workspace.id) == []


async def test_the_last_delivery_of_a_channel_is_the_one_queued_last(served):
    workspace, channel = await add(served, "desk")
    sent = [await served.engine.submit(commands.test(workspace.id, channel, "desk", ACTOR)) for _ in range(3)]
    (found,) = await incidents.channels(served.engine.reader, workspace.id)
    assert found["lastDelivery"]["id"] == sent[-1]


async def test_the_channels_are_read_by_one_query_however_many_there_are(served):
    workspace, _ = await add(served, "desk")
    reader, asked = served.engine.reader, []
    await reader.set_trace_callback(asked.append)
    await incidents.channels(reader, workspace.id)
    once = len(asked)
    for number in range(3):
        _, channel = await add(served, f"pager-{number}")
        await served.engine.submit(commands.test(workspace.id, channel, "pager", ACTOR))
    asked.clear()
    assert len(await incidents.channels(reader, workspace.id)) == 4
    assert len(asked) == once == 1


async def test_events_of_one_instant_stay_in_the_order_in_which_they_happened(served):
    monitor = await served.monitor("run")
    await monitor.fail(await monitor.started())
    incident = (await monitor.shown())["incidentId"]
    await served.engine.submit(acts.acknowledge(incident, "0", ACTOR))
    for number in range(1, 20):
        await served.engine.submit(acts.note(incident, str(number), ACTOR))
    await served.engine.submit(acts.resolve(incident, "", ACTOR))
    await served.engine.submit(acts.note(incident, "after", ACTOR))
    workspace = next(iter(served.engine.registry.workspaces))
    shown = await incidents.incident(served.engine.reader, workspace, incident)
    told = [event["text"] for event in shown["events"][1:]]
    assert [*told[:20], told[21]] == [*(str(number) for number in range(20)), "after"]
    assert told[20].startswith("resolved by hand")
    whole = await packet.packet(served.engine.reader, workspace, incident, NOW, "1")
    assert [event.text for event in whole.events[1:]] == told
