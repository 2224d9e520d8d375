"""What people read of incidents, deliveries and channels."""

import pytest

from luota.core.retry import AttemptResult
from luota.engine import channels as commands
from luota.engine import incidents as acts
from luota.engine.audit import Actor
from luota.engine.deliveries import RecordAttempt
from luota.store import incidents, packet
from tests.served import NOW, serve, served  # noqa: F401

ACTOR = Actor("ann", "test")


async def add(served, name):
    workspace = next(iter(served.engine.registry.workspaces.values()))
    doc = {"type": "slack", "name": name, "url": "http://192.0.2.1/"}
    return workspace, await served.engine.submit(commands.add(workspace, doc, ACTOR))


async def test_the_last_delivery_of_a_channel_is_the_one_queued_last(served):
    workspace, channel = await add(served, "desk")
    sent = [await served.engine.submit(commands.test(workspace.id, channel, "desk", ACTOR)) for _ in range(3)]
    (found,) = await incidents.channels(served.engine.reader, workspace.id)
    assert found.last.id == sent[-1]


async def attempt(served, channel, delivery, number, *, ok=False, again=None):
    """Record an attempt that ends now, with the next one after `again` milliseconds, if one follows."""
    now = served.clock.now()
    result = AttemptResult(ok, error=None if ok else "HTTP 503 from the receiver")
    at = None if again is None else now + again
    await served.engine.submit(RecordAttempt(delivery, channel, number, now, now, result, at))


async def trusted(served, workspace):
    (found,) = await incidents.channels(served.engine.reader, workspace.id)
    return found.failing, found.last.id


@pytest.mark.parametrize("later", ["queued", "cancelled", "delivered"])
async def test_a_channel_fails_while_a_notice_is_tried_again_whatever_was_queued_after_it(served, later):
    workspace, channel = await add(served, "desk")
    sent = [await served.engine.submit(commands.test(workspace.id, channel, "desk", ACTOR)) for _ in range(3)]
    await attempt(served, channel, sent[0], 1, ok=True)
    assert await trusted(served, workspace) == (False, sent[0])
    await attempt(served, channel, sent[1], 1, again=1000)
    if later == "cancelled":
        await served.engine.writer._db.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL WHERE id = ?", (sent[2],)
        )
    if later == "delivered":
        await attempt(served, channel, sent[2], 1, ok=True)
    assert await trusted(served, workspace) == (True, sent[1])
    served.clock.advance(1000)
    await attempt(served, channel, sent[1], 2, ok=True)
    assert await trusted(served, workspace) == (False, sent[1])


async def test_a_channel_fails_when_its_notice_was_cancelled_after_an_attempt_in_vain(served):
    workspace, channel = await add(served, "desk")
    sent = await served.engine.submit(commands.test(workspace.id, channel, "desk", ACTOR))
    await attempt(served, channel, sent, 1, again=1000)
    await served.engine.writer._db.execute("UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL")
    assert await trusted(served, workspace) == (True, sent)


async def test_a_route_is_told_as_retrying_after_five_minutes_and_until_its_notice_has_an_end(served):
    workspace, channel = await add(served, "desk")
    await add(served, "other")
    sent = await served.engine.submit(commands.test(workspace.id, channel, "desk", ACTOR))
    served.clock.advance(600_000)  # waiting for the first attempt is no failure

    async def told():
        return await incidents.retrying(served.engine.reader, workspace.id, served.clock.now())

    assert await told() == []
    await attempt(served, channel, sent, 1, again=600_000)
    served.clock.advance(300_000)
    assert await told() == []
    served.clock.advance(1)
    assert await told() == ["desk"]
    await attempt(served, channel, sent, 2, ok=True)
    assert await told() == []


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
