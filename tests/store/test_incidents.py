"""What people read of incidents, deliveries and channels."""

from luota.engine import channels as commands
from luota.engine.audit import Actor
from luota.store import incidents
from tests.served import serve, served  # noqa: F401

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
