"""When a delivery is tried next: what people read is what the sender does."""

import asyncio

import pytest
from msgspec import structs

from luota.alerts.resolver import Resolver
from luota.alerts.types import routes
from luota.core.errors import Code, LuotaError
from luota.core.model import RunState
from luota.core.packet import to_json
from luota.core.retry import AttemptResult
from luota.core.spec.values import format_instant
from luota.engine import channels
from luota.engine.deliveries import RecordAttempt, Rest, gather
from luota.store import deliveries, drills, incidents, packet
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client
from tests.alerts.test_notice import created, engine, ran  # noqa: F401 (engine is a fixture)
from tests.engines import ACTOR
from tests.receiver import Receiver, reply

MINUTE = 60_000


async def told(engine):  # noqa: F811
    """When each delivery about an incident is tried next, and what for it waits, in order; all readers say the same."""
    reader, workspace_id = engine.reader, next(iter(engine.registry.workspaces))
    ids = [id_ for (id_,) in await fetch(reader, "SELECT id FROM deliveries WHERE incident_id NOT NULL ORDER BY seq")]
    pages = await deliveries.deliveries(reader, ids)
    for listed in await incidents.incidents(reader, workspace_id, None, None, 50):
        shown = await incidents.incident(reader, workspace_id, listed["id"])
        found = await packet.packet(reader, workspace_id, listed["id"], engine.clock.now(), "1")
        for document in (listed, shown, to_json(found)):
            for one in document["deliveries"]:
                if one["id"] in pages:
                    at = pages[one["id"]].next_attempt_at
                    assert one["nextAttemptAt"] == (None if at is None else format_instant(at))
        drilled = [one.next_attempt_at for one in (await drills.facts(reader, listed["monitorId"], None)).tellings]
        assert drilled == [one.next_attempt_at for one in found.deliveries if one.id in pages]
    return [(pages[id_].next_attempt_at, pages[id_].waits_for) for id_ in ids]


async def look_again(rig):
    """Let the sender look for what is due, and give it the time to send that."""
    rig.engine.notices_queued.set()
    await asyncio.sleep(0.2)


async def test_what_waits_while_its_channel_rests_is_tried_when_it_rests_no_more_and_not_before(timed):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "3600"})]
        await timed.first(receiver, "failed_retrying")
        await timed.fail(await timed.monitor())
        ends = timed.engine.clock.now() + 60 * MINUTE
        assert await told(timed.engine) == [(ends, None), (ends, "rest")]
        timed.engine.clock.advance(60 * MINUTE - 1)
        await look_again(timed)
        assert len(receiver.requests) == 1
        timed.engine.clock.advance(1)
        await look_again(timed)
        await timed.until(lambda rows: {row[1] for row in rows} == {"delivered"})
        assert await told(timed.engine) == [(None, None)] * 2


async def test_what_stands_behind_a_notice_that_is_tried_again_is_tried_with_it_and_not_before(timed):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        await timed.first(receiver, "failed_retrying")

        async def updated(tx):  # as if a kind had risen
            ((monitor_id, incident_id),) = await tx.fetch("SELECT monitor_id, id FROM incidents")
            facts = {"at": tx.now, "kind": "failed", "state": "open", "reason": "worse"}
            tx.batch.notify(tx.batch.live(monitor_id), "incident.updated", incident_id, facts)

        await timed.engine.submit(updated)
        ((again, _), (behind, why)) = await told(timed.engine)
        assert again > timed.engine.clock.now()
        assert (behind, why) == (again, "order")
        timed.engine.clock.advance(again - timed.engine.clock.now() - 1)
        await look_again(timed)
        assert len(receiver.requests) == 1
        timed.engine.clock.advance(1)
        await look_again(timed)
        await timed.until(lambda rows: {row[1] for row in rows} == {"delivered"})
        assert [one.json["type"] for one in receiver.requests[1:]] == ["incident.opened", "incident.updated"]


async def test_an_end_behind_the_digest_that_tells_its_opening_is_tried_when_the_digest_is(engine):  # noqa: F811
    jobs = [await created(engine, name=f"job {n}", mode="run") for n in range(2)]
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED, summary="disk full")
    waiting = [one[0] for one in await deliveries.waiting_first(engine.reader, engine.channel, engine.clock.now())]
    await engine.submit(gather(next(iter(engine.registry.workspaces)), engine.channel, waiting))
    ((digest,),) = await fetch(engine.reader, "SELECT id FROM deliveries WHERE type = 'incident.digest'")
    await ran(engine, jobs[0], "2", RunState.SUCCESS)
    now = engine.clock.now()
    refused = AttemptResult(ok=False, error="HTTP 503")
    await engine.submit(RecordAttempt(digest, engine.channel, 1, now, now, refused, now + 5 * MINUTE))
    assert await told(engine) == [(None, None), (None, None), (now + 5 * MINUTE, "order")]


async def test_what_the_delay_of_its_channel_holds_back_is_tried_after_it_and_a_rest_that_ends_before_says_nothing(
    timed,
):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await timed.engine.submit(channels.edit(timed.workspace.id, channel_id, "hook", {"delaySeconds": 600}, ACTOR))
    await timed.fail(await timed.monitor())
    now = timed.engine.clock.now()
    assert await told(timed.engine) == [(now + 10 * MINUTE, "delay")]
    await timed.engine.writer._db.execute("UPDATE channels SET rests_until = ?", (now + 9 * MINUTE,))
    assert await told(timed.engine) == [(now + 10 * MINUTE, "delay")]


async def test_a_test_is_tried_at_once_though_its_channel_rests(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await timed.engine.writer._db.execute("UPDATE channels SET rests_until = ?", (timed.engine.clock.now() + MINUTE,))
    sent = await timed.engine.submit(channels.test(timed.workspace.id, channel_id, "hook", ACTOR))
    shown = (await deliveries.deliveries(timed.engine.reader, [sent]))[sent]
    assert (shown.next_attempt_at, shown.waits_for) == (shown.queued_at, None)


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "not at first"])
async def test_a_channel_of_the_address_of_one_that_rests_is_read_to_rest_as_well(timed, monkeypatch, writable):
    submit, refused = timed.engine.submit, asyncio.Event()

    async def but_for_rests(change):
        if isinstance(change, Rest):
            refused.set()
            raise LuotaError(Code.UNAVAILABLE, "Storage unavailable: the disk is full.")
        return await submit(change)

    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "600"})]
        timed.client = plain_client(LOOPBACK, Resolver())
        route = routes(timed.client, timed.engine.clock)["webhook"]
        timed.send_by({"webhook": structs.replace(route, address=lambda settings: settings["url"])})
        await timed.channel("one", receiver.url)
        await timed.fail(await timed.monitor(channels=["one"]))
        await timed.until(lambda rows: rows[0][1] == "failed_retrying")
        await timed.channel("other", receiver.url)
        with monkeypatch.context() as full:
            if not writable:
                full.setattr(timed.engine, "submit", but_for_rests)
            await timed.fail(await timed.monitor(channels=["other"]))
            if not writable:
                await asyncio.wait_for(refused.wait(), 10)
        timed.engine.notices_queued.set()
        rests = timed.engine.clock.now() + 10 * MINUTE
        async with asyncio.timeout(10):
            while await fetch(timed.engine.reader, "SELECT rests_until FROM channels") != [(rests,)] * 2:
                await asyncio.sleep(0.01)
        assert await told(timed.engine) == [(rests, None), (rests, "rest")]
        assert len(receiver.requests) == 1
