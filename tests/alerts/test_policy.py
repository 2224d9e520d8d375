"""What is sent, what is not, and who hears of a route that is dead."""

import asyncio

import pytest

from luota.core.model import RunState
from luota.core.spec.ingest import Close, Start
from luota.engine import channels
from luota.engine.ingest import CloseRun, StartRun
from luota.store import incidents
from luota.store.reads import fetch
from tests.engines import ACTOR, engine_on, workspace_of
from tests.receiver import Receiver, after, hang, reply


async def listed(rig):
    return {one.name: one for one in await incidents.channels(rig.engine.reader, rig.workspace.id)}


async def due_now(rig):
    await rig.stop()

    async def work(tx):
        await tx.execute("UPDATE deliveries SET next_attempt_at = ? WHERE next_attempt_at IS NOT NULL", tx.now)

    await rig.engine.submit(work)
    await rig.start()


async def test_a_recovery_cancels_the_opening_that_was_not_delivered_and_tells_both(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        live = await rig.first(receiver, "failed_retrying")
        await rig.succeed(live)
        rows = await rig.until(lambda rows: len(rows) == 2 and rows[1][1] == "delivered")
        assert rows[0][1] == "cancelled"
        assert "tells both" in rows[0][4]
        body = receiver.requests[-1].json
        assert body["type"] == "incident.resolved"
        assert body["incident"]["firstNotice"] is True
        assert "3 of 14 failed" in body["incident"]["openedSummary"]
        assert body["incident"]["durationSeconds"] is not None


async def test_a_recovery_after_a_delivered_opening_is_no_first_notice(rig):
    async with Receiver() as receiver:
        live = await rig.first(receiver, "delivered")
        await rig.succeed(live)
        await rig.until(lambda rows: len(rows) == 2 and rows[1][1] == "delivered")
        assert [request.json["incident"]["firstNotice"] for request in receiver.requests] == [True, False]


async def test_an_opening_under_way_when_the_incident_ends_counts_as_delivered_if_it_arrives(rig):
    async with Receiver() as receiver:
        go_on = asyncio.Event()
        receiver.answers[:] = [after(go_on, reply(200))]
        await rig.channel("hook", receiver.url)
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        await receiver.wait(1)
        await rig.succeed(live)
        assert (await rig.rows())[0][1] == "cancelled"
        go_on.set()
        rows = await rig.until(lambda rows: rows[1][1] == "delivered")
        assert rows[0][1] == "delivered"
        assert [request.json["type"] for request in receiver.requests] == ["incident.opened", "incident.resolved"]


def announced(receiver):
    return [one.json["channel"]["name"] for one in receiver.requests if one.json["type"] == "channel.failed"]


async def settled(rig, count):
    return await rig.until(lambda rows: len(rows) == count and all(row[1] != "queued" for row in rows))


async def test_a_dead_route_is_announced_once_through_the_other_channels_until_it_works_again(rig):
    async with Receiver() as dead, Receiver() as alive:
        dead.default = reply(410)
        dead_id = await rig.channel("dead", dead.url)
        await rig.channel("alive", alive.url)
        lives = [await rig.monitor() for _ in range(3)]
        await rig.start()
        for live in lives:
            await rig.fail(live)
        await settled(rig, 7)
        (told,) = (r.json["channel"] for r in alive.requests if r.json["type"] == "channel.failed")
        assert (told["name"], told["error"]) == ("dead", "HTTP 410 from the receiver")
        assert dead.url not in alive.requests[-1].body.decode()
        assert (await listed(rig))["dead"].failed_at is not None

        dead.default = reply(200)
        await rig.test(dead_id, "dead")
        assert (await listed(rig))["dead"].failed_at is None
        assert (await listed(rig))["dead"].proven_at is not None

        dead.default = reply(410)
        for _ in range(2):
            await rig.fail(await rig.monitor())
        await settled(rig, 13)
        assert announced(alive) == ["dead"] * 2


async def test_an_announcement_that_is_given_up_makes_a_dead_route_too_but_is_not_announced_itself(rig):
    async with Receiver() as one, Receiver() as two, Receiver() as three:
        one.default = two.default = reply(410)
        for name, receiver in (("one", one), ("two", two), ("three", three)):
            await rig.channel(name, receiver.url)
        await rig.start()
        await rig.fail(await rig.monitor(channels=["one", "three"]))
        rows = await settled(rig, 4)
        assert [row[0] for row in rows] == ["incident.opened"] * 2 + ["channel.failed"] * 2
        found = await listed(rig)
        assert [found[name].failed_at is not None for name in ("one", "two", "three")] == [True, True, False]


async def test_a_dead_route_is_announced_by_its_first_notice_that_may_be_though_an_announcement_was_given_up(rig):
    async with Receiver() as one, Receiver() as two, Receiver() as three:
        one.default = two.default = reply(410)
        ids = [await rig.channel(name, at.url) for name, at in (("one", one), ("two", two), ("three", three))]
        await rig.start()
        await rig.fail(await rig.monitor(channels=["one", "three"]))
        await settled(rig, 4)
        await rig.test(ids[1], "two")
        for _ in range(2):
            await rig.fail(await rig.monitor(channels=["two", "three"]))
        await settled(rig, 11)
        assert announced(three) == ["one", "two"]


async def test_a_dead_route_is_announced_once_though_the_clock_was_set_back_since_an_announcement_was_given_up(timed):
    async with Receiver() as one, Receiver() as two, Receiver() as three:
        one.default = two.default = reply(410)
        for name, receiver in (("one", one), ("two", two), ("three", three)):
            await timed.channel(name, receiver.url)
        await timed.start()
        await timed.fail(await timed.monitor(channels=["one", "three"]))
        await settled(timed, 4)
        timed.engine.clock.step(-1000)
        for rows_then in (8, 10):
            await timed.fail(await timed.monitor(channels=["two", "three"]))
            await settled(timed, rows_then)
        assert announced(three) == ["one", "two"]


async def test_a_failed_test_announces_nothing(rig):
    async with Receiver() as one, Receiver() as two:
        one.default = reply(410)
        one_id = await rig.channel("one", one.url)
        await rig.channel("two", two.url)
        await rig.start()
        await rig.test(one_id, "one")
        assert len(await rig.rows()) == 1


async def test_a_channel_is_unproven_until_something_was_delivered(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        channel_id = await rig.channel("hook", receiver.url)
        assert (await listed(rig))["hook"].proven_at is None
        await rig.start()
        for proven in (False, True):
            await rig.test(channel_id)
            assert ((await listed(rig))["hook"].proven_at is not None) == proven


async def edited(rig, channel_id, **changes):
    await rig.engine.submit(channels.edit(rig.workspace.id, channel_id, "hook", changes, ACTOR))


async def types_of(rig):
    return [(row[0], row[1]) for row in await rig.rows()]


async def test_a_channel_hears_only_of_the_kinds_and_moments_that_it_wants(rig):
    async with Receiver() as receiver:
        channel_id = await rig.channel("hook", receiver.url)
        await edited(rig, channel_id, kinds=["missed"])
        other = await rig.monitor()
        await rig.fail(other)
        await rig.succeed(other)
        assert await rig.rows() == []
        await edited(rig, channel_id, kinds=None, notify=["resolved"])
        live = await rig.monitor()
        await rig.fail(live)
        await rig.succeed(live)
        assert await types_of(rig) == [("incident.resolved", "queued")]
        await edited(rig, channel_id, notify=["opened"])
        other = await rig.monitor()
        await rig.fail(other)
        assert await types_of(rig) == [("incident.resolved", "queued"), ("incident.opened", "queued")]


async def test_a_channel_that_wants_no_ends_is_told_of_the_one_that_came_before_its_opening_was_delivered(rig):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(503)]
        await edited(rig, await rig.channel("hook", receiver.url), kinds=["failed"], notify=["opened"])
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        await rig.succeed(live)
        opened, resolved = await rig.until(lambda rows: rows[-1][1] == "delivered")
        assert (opened[1], "tells both" in opened[4]) == ("cancelled", True)
        assert resolved[0] == "incident.resolved"
        assert [request.json["incident"]["state"] for request in receiver.requests] == ["open", "resolved"]
        assert receiver.requests[-1].json["incident"]["firstNotice"] is True
        await rig.fail(live)
        await rig.until(lambda rows: rows[-1][:2] == ("incident.opened", "delivered"))
        await rig.succeed(live)
        assert len(await rig.rows()) == 3, "what was delivered as open needs no word of its end"


async def test_a_channel_that_wants_no_ends_hears_of_none_in_the_place_of_a_change_that_it_does_not_want(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await edited(timed, channel_id, notify=["opened"])
    live, run = await stuck(timed)
    await timed.engine.submit(delivered)
    await edited(timed, channel_id, kinds=["stuck"], notify=["opened"])
    await then(timed, live, run, RunState.FAILED, RunState.SUCCESS)
    assert await types_of(timed) == [("incident.opened", "delivered")]


async def test_a_change_that_was_not_delivered_before_the_end_is_not_told_as_open_either(timed):
    await edited(timed, await timed.channel("hook", "http://192.0.2.1/"), notify=["opened"])
    live, run = await stuck(timed)
    await timed.engine.submit(delivered)
    await then(timed, live, run, RunState.FAILED, RunState.SUCCESS)
    assert await types_of(timed) == [
        ("incident.opened", "delivered"),
        ("incident.updated", "cancelled"),
        ("incident.resolved", "queued"),
    ]


async def test_a_channel_that_wants_no_ends_hears_of_none_within_its_delay(timed):
    await edited(timed, await timed.channel("hook", "http://192.0.2.1/"), notify=["opened"], delaySeconds=3600)
    await stuck_then(timed, RunState.FAILED, RunState.SUCCESS)
    assert await types_of(timed) == [("incident.opened", "cancelled"), ("incident.updated", "cancelled")]


async def test_an_incident_that_ends_within_the_delay_is_not_told_at_all(rig):
    async with Receiver() as receiver:
        channel_id = await rig.channel("hook", receiver.url)
        await edited(rig, channel_id, delaySeconds=3600)
        live = await rig.monitor()
        await rig.start()
        await rig.fail(live)
        await rig.succeed(live)
        assert await types_of(rig) == [("incident.opened", "cancelled"), ("incident.resolved", "cancelled")]
        assert "within the delay" in (await rig.rows())[1][4]
        assert receiver.requests == []


async def test_an_incident_that_outlasts_the_delay_is_told_after_it_and_so_is_its_end(rig):
    async with Receiver() as receiver:
        channel_id = await rig.channel("hook", receiver.url)
        await edited(rig, channel_id, delaySeconds=1)
        live = await rig.monitor()
        await rig.start()
        before = rig.engine.clock.now()
        await rig.fail(live)
        await receiver.wait(1)
        assert receiver.requests[0].at >= before + 1000
        await rig.until(lambda rows: rows[0][1] == "delivered")
        await rig.succeed(live)
        await receiver.wait(2)
        await rig.until(lambda rows: rows[1][1] == "delivered")


async def delivered(tx):
    """Be the sender to whom all went out."""
    await tx.execute("UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL, attempts = 1")


async def stuck(rig):
    """Let a run be stuck; return the monitor and the run."""
    live = await rig.monitor(maxRuntimeSeconds=60)
    run = (await rig.engine.submit(StartRun(live.id, Start("first"), rig.engine.clock.now()))).run
    rig.engine.clock.advance(61_000)
    await rig.engine.judge(rig.engine.clock.now())
    return live, run


async def stuck_then(rig, *ends):
    """Let a run be stuck, and then close it and what follows with the states."""
    await then(rig, *await stuck(rig), *ends)


async def then(rig, live, run, *ends):
    for number, state in enumerate(ends):
        rig.engine.clock.advance(1000)
        if number:
            run = (await rig.engine.submit(StartRun(live.id, Start(str(number)), rig.engine.clock.now()))).run
            rig.engine.clock.advance(1000)
        await rig.engine.submit(CloseRun(run.id, state, Close(summary="broke"), rig.engine.clock.now()))


@pytest.mark.parametrize(
    ("wants", "told"),
    [
        ({"kinds": ["stuck"]}, ["incident.opened", "incident.resolved"]),
        ({"kinds": ["missed"]}, []),
    ],
)
async def test_who_was_told_of_the_beginning_is_told_of_the_end_whatever_its_kind_is_by_then(timed, wants, told):
    await edited(timed, await timed.channel("hook", "http://192.0.2.1/"), **wants)
    await stuck_then(timed, RunState.FAILED, RunState.SUCCESS)
    assert await types_of(timed) == [
        (type_, "cancelled" if i < len(told) - 1 else "queued") for i, type_ in enumerate(told)
    ]


async def test_the_first_notice_is_held_by_the_delay_though_it_is_no_opening(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await edited(timed, channel_id, kinds=["failed"], delaySeconds=3600)
    await stuck_then(timed, RunState.FAILED)
    ((type_, state, _, due, *_),) = await timed.rows()
    assert (type_, state) == ("incident.updated", "queued")
    assert due > timed.engine.clock.now() + 3_500_000


async def test_what_is_told_of_first_by_an_update_and_ends_within_the_delay_is_not_told_at_all(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await edited(timed, channel_id, kinds=["failed"], delaySeconds=3600)
    await stuck_then(timed, RunState.FAILED, RunState.SUCCESS)
    assert await types_of(timed) == [("incident.updated", "cancelled"), ("incident.resolved", "cancelled")]
    said = "the incident was resolved within the delay after the first notice of it to this channel"
    assert [row[4] for row in await timed.rows()] == [said] * 2, "it was open for longer than that, without one"


async def test_an_update_after_a_notice_that_was_sent_is_not_held(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    _, run = await stuck(timed)
    await timed.engine.submit(delivered)
    await edited(timed, channel_id, delaySeconds=3600)
    timed.engine.clock.advance(1000)
    await timed.engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="x"), timed.engine.clock.now()))
    opened, updated = await timed.rows()
    assert (opened[0], updated[0]) == ("incident.opened", "incident.updated")
    assert updated[3] == timed.engine.clock.now()


async def test_a_channel_that_wants_ends_alone_hears_of_none_within_the_delay(timed):
    channel_id = await timed.channel("hook", "http://192.0.2.1/")
    await edited(timed, channel_id, notify=["resolved"], delaySeconds=3600)
    live = await timed.monitor()
    await timed.fail(live)
    timed.engine.clock.advance(1)
    await timed.succeed(live)
    timed.engine.clock.advance(1)
    assert await types_of(timed) == [("incident.resolved", "cancelled")]
    await edited(timed, channel_id, delaySeconds=0)
    await timed.fail(live)
    await edited(timed, channel_id, delaySeconds=1)
    timed.engine.clock.advance(1001)
    await timed.succeed(live)
    assert (await types_of(timed))[1:] == [("incident.resolved", "queued")]


async def test_what_a_channel_wants_outlives_a_restart(rig):
    channel_id = await rig.channel("hook", "http://192.0.2.1/")
    await edited(rig, channel_id, kinds=["stuck"], delaySeconds=60)
    wants = rig.workspace.wants[channel_id]
    data_dir, clock = rig.engine.data_dir, rig.engine.clock
    await rig.engine.close()
    async with engine_on(data_dir, clock) as again:
        assert workspace_of(again).wants[channel_id] == wants


async def test_a_hundred_at_once_are_few_messages_to_people_with_each_named_and_one_each_to_machines(rig):
    async with Receiver() as people, Receiver() as machines:
        await rig.channel("hook", machines.url)
        await rig.add("slack", "team", url=people.url)
        lives = [await rig.monitor(name=f"job {n:03}") for n in range(100)]
        await rig.start()
        for live in lives:
            await rig.fail(live)
        await machines.wait(100, timeout=60)
        rows = await rig.until(lambda rows: not any(row[1] in ("queued", "failed_retrying") for row in rows), within=60)
        assert len(people.requests) <= 12
        said = "".join(request.body.decode() for request in people.requests)
        assert all(f"job {n:03}" in said for n in range(100))
        assert len({request.json["incident"]["id"] for request in machines.requests}) == 100
        told = [row for row in rows if row[1] == "cancelled"]
        assert all("is to tell of it" in row[4] for row in told)
        people.requests.clear()
        for live in lives[:3]:
            await rig.succeed(live)
        await rig.until(lambda rows: not any(row[1] in ("queued", "failed_retrying") for row in rows), within=60)
        said = "".join(request.json["text"] for request in people.requests)
        assert 1 <= len(people.requests) <= 3
        assert said.count("resolved") >= 3
