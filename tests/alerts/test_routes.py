"""Who hears of an incident whose monitor is routed elsewhere, or whose channel is added, edited or removed meanwhile."""

import asyncio

import pytest

from luota.core.model import RunState
from luota.core.spec.ingest import Close, Ping
from luota.engine import channels, monitors
from luota.engine.deliveries import gather
from luota.engine.ingest import CloseRun, RecordPing
from luota.store.reads import fetch
from tests.engines import ACTOR
from tests.receiver import Receiver, after, reply

HOUR = 3_600_000
NOWHERE = "http://192.0.2.1/"


async def ledger(rig):
    sql = "SELECT c.name, d.type, d.state FROM deliveries d JOIN channels c ON c.id = d.channel_id ORDER BY d.seq"
    return [
        (name, type_.removeprefix("incident."), state) for name, type_, state in await fetch(rig.engine.reader, sql)
    ]


async def route(rig, live, *names):
    await rig.engine.submit(monitors.edit(live.id, {"channels": list(names) or None}, ACTOR))


async def edited(rig, channel_id, **changes):
    await rig.engine.submit(channels.edit(rig.workspace.id, channel_id, "a", changes, ACTOR))


async def removed(rig, channel_id, name="a"):
    await rig.engine.submit(channels.remove(rig.workspace.id, channel_id, name, ACTOR))


async def failed(rig, **more):
    """Let the run of a new monitor fail; return the monitor."""
    live = await rig.monitor(**more)
    await rig.fail(live)
    rig.engine.clock.advance(1000)
    return live


async def healed(rig, live):
    rig.engine.clock.advance(1000)
    await rig.succeed(live)


@pytest.fixture
async def routed(timed):
    """A rig with the channels a, b and c, by which nothing is sent but what the test says was."""
    timed.ids = {name: await timed.channel(name, NOWHERE) for name in "abc"}

    async def sent(tx):
        sql = "UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL, attempts = 1 "
        await tx.execute(sql + "WHERE next_attempt_at IS NOT NULL")

    timed.sent = lambda: timed.engine.submit(sent)
    return timed


async def test_who_has_an_opening_on_its_way_gets_the_end_in_its_place_though_the_monitor_was_routed_elsewhere(rig):
    async with Receiver() as a, Receiver() as b:
        a.answers[:] = [reply(503)]
        await rig.channel("a", a.url)
        await rig.channel("b", b.url)
        live = await rig.monitor(channels=["a"])
        await rig.start()
        await rig.fail(live)
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        await route(rig, live, "b")
        await rig.until(lambda rows: len(rows) == 2 and rows[1][1] == "delivered")
        await rig.succeed(live)
        await rig.until(lambda rows: len(rows) == 4 and all(row[3] is None for row in rows))
        assert sorted(await ledger(rig)) == [
            ("a", "opened", "cancelled"),
            ("a", "resolved", "delivered"),
            ("b", "opened", "delivered"),
            ("b", "resolved", "delivered"),
        ]
        ends = [receiver.requests[-1].json["incident"] for receiver in (a, b)]
        assert [end["state"] for end in ends] == ["resolved"] * 2
        assert [end["firstNotice"] for end in ends] == [True, False]


async def test_who_was_told_of_the_beginning_is_told_of_the_end_though_the_monitor_was_routed_elsewhere(routed):
    live = await failed(routed, channels=["a"])
    await routed.sent()
    await route(routed, live, "b")
    await healed(routed, live)
    assert await ledger(routed) == [
        ("a", "opened", "delivered"),
        ("b", "resolved", "queued"),
        ("a", "resolved", "queued"),
    ]


async def test_who_was_told_by_a_digest_is_told_of_the_end_though_the_monitor_was_routed_elsewhere(routed):
    live, _ = [await failed(routed, channels=["a"]) for _ in range(2)]
    ids = [row[5] for row in await routed.rows()]
    await routed.engine.submit(gather(routed.workspace.id, routed.ids["a"], ids))
    await routed.sent()
    await route(routed, live, "b")
    await healed(routed, live)
    assert ("a", "resolved", "queued") in await ledger(routed)


async def test_the_end_that_comes_to_one_who_never_heard_of_the_beginning_tells_both(rig):
    async with Receiver() as a, Receiver() as b:
        await rig.channel("a", a.url)
        await rig.channel("b", b.url)
        live = await rig.monitor(channels=["a"])
        await rig.start()
        await rig.fail(live)
        await rig.until(lambda rows: rows[0][1] == "delivered")
        await route(rig, live, "b")
        await rig.succeed(live)
        await rig.until(lambda rows: len(rows) == 3 and all(row[1] == "delivered" for row in rows))
        (told,) = b.requests
        assert told.json["incident"]["firstNotice"] is True
        assert "3 of 14 failed" in told.json["incident"]["openedSummary"]


async def test_a_change_for_the_worse_is_told_only_where_the_monitor_is_routed(routed):
    live = await routed.monitor(maxRuntimeSeconds=60, channels=["a"])
    run = await routed.begin(live)
    routed.engine.clock.advance(61_000)
    await routed.engine.judge(routed.engine.clock.now())
    await routed.sent()
    await route(routed, live, "b")
    routed.engine.clock.advance(1000)
    await routed.engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="x"), routed.engine.clock.now()))
    assert await ledger(routed) == [("a", "opened", "delivered"), ("b", "updated", "queued")]


async def test_a_removed_channel_is_not_told_of_the_end(routed):
    live = await failed(routed, channels=["a"])
    await routed.sent()
    await removed(routed, routed.ids["a"])
    await healed(routed, live)
    assert [row[:2] for row in await ledger(routed)] == [("a", "opened"), ("b", "resolved"), ("c", "resolved")]


async def test_an_end_within_the_delay_of_a_channel_is_not_told_there_though_the_monitor_was_routed_elsewhere(routed):
    await edited(routed, routed.ids["a"], delaySeconds=3600)
    live = await failed(routed, channels=["a"])
    await route(routed, live, "b")
    await healed(routed, live)
    assert [row for row in await ledger(routed) if row[0] == "a"] == [("a", "opened", "cancelled")]


async def test_a_shorter_delay_holds_for_what_waits_and_what_is_due_by_it_goes_out_at_once(rig):
    async with Receiver() as a:
        channel_id = await rig.channel("a", a.url)
        await edited(rig, channel_id, delaySeconds=3600)
        await rig.start()
        live = await rig.monitor()
        await rig.fail(live)
        await edited(rig, channel_id, delaySeconds=0)
        await rig.until(lambda rows: rows[0][1] == "delivered")
        await rig.succeed(live)
        await rig.until(lambda rows: rows[-1][:2] == ("incident.resolved", "delivered"))


async def test_what_is_held_is_due_by_the_new_delay_after_it_was_queued_but_never_before_the_edit(routed):
    await edited(routed, routed.ids["a"], delaySeconds=7200)
    queued_at = routed.engine.clock.now()
    await failed(routed, channels=["a"])
    for delay in (3600, 7200):
        await edited(routed, routed.ids["a"], delaySeconds=delay)
        assert [row[3] for row in await routed.rows()] == [queued_at + delay * 1000]
    routed.engine.clock.advance(HOUR)
    await edited(routed, routed.ids["a"], delaySeconds=60)
    due = await routed.rows()
    assert [row[3] for row in due] == [routed.engine.clock.now()], "a storm is told by what is due"
    routed.engine.clock.advance(1000)
    await edited(routed, routed.ids["a"], notify=["opened"], delaySeconds=60)
    assert await routed.rows() == due, "the delay is as it was"


async def test_another_delay_holds_no_notice_of_another_channel_and_none_that_no_delay_concerns(routed):
    live = await failed(routed, channels=["a", "b"])
    await routed.sent()
    await healed(routed, live)
    await routed.engine.submit(channels.test(routed.workspace.id, routed.ids["a"], "a", ACTOR))
    other = await failed(routed, channels=["b"])
    before = await routed.rows()
    await edited(routed, routed.ids["a"], delaySeconds=3600)
    assert await routed.rows() == before
    assert other.id != live.id


async def test_another_delay_leaves_what_is_tried_again_to_its_own_pauses(rig):
    async with Receiver() as a:
        a.answers[:] = [reply(503)]
        await rig.first(a, "failed_retrying")
        before = await rig.rows()
        ((channel_id,),) = await fetch(rig.engine.reader, "SELECT id FROM channels")
        await edited(rig, channel_id, delaySeconds=3600)
        assert await rig.rows() == before


async def test_an_opening_that_was_lost_with_its_channel_is_told_where_the_monitor_goes_from_then_on(rig):
    async with Receiver() as a, Receiver() as b:
        a.default = reply(503)
        channel_id = await rig.channel("a", a.url)
        await rig.channel("b", b.url)
        live = await rig.monitor(channels=["a"])
        await rig.start()
        await rig.fail(live)
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        await removed(rig, channel_id)
        await rig.until(lambda rows: len(rows) == 2 and rows[1][1] == "delivered")
        (told,) = b.requests
        assert told.json["type"] == "incident.opened"
        assert told.json["incident"]["firstNotice"] is True
        assert (told.json["incident"]["kind"], told.json["incident"]["state"]) == ("failed", "open")
        assert "3 of 14 failed" in told.json["summary"]
        assert told.json["run"]["summary"] == "3 of 14 failed"


async def test_an_opening_that_was_lost_with_its_channel_is_told_to_the_monitors_other_channels_alone(routed):
    live = await failed(routed, channels=["a"])
    await edited(routed, routed.ids["b"], kinds=["stuck"])
    await route(routed, live, "a", "b")
    await edited(routed, routed.ids["b"], kinds=None)
    await removed(routed, routed.ids["a"])
    assert await ledger(routed) == [("a", "opened", "cancelled"), ("b", "opened", "queued")]


async def test_a_monitor_whose_only_channel_is_removed_is_told_to_all_if_that_one_did_not_want_to_hear(routed):
    await edited(routed, routed.ids["a"], kinds=["stuck"])
    await failed(routed, channels=["a"])
    assert await ledger(routed) == []
    await removed(routed, routed.ids["a"])
    assert await ledger(routed) == [("b", "opened", "queued"), ("c", "opened", "queued")]


async def test_a_removal_tells_nobody_anew_of_what_somebody_was_told_of(routed):
    await failed(routed, channels=["a"])
    await routed.sent()
    await removed(routed, routed.ids["a"])
    assert await ledger(routed) == [("a", "opened", "delivered")]


async def test_a_removal_tells_nobody_anew_of_what_is_on_its_way_to_another_channel_of_the_monitor(routed):
    await failed(routed, channels=["a", "b"])
    await removed(routed, routed.ids["a"])
    assert await ledger(routed) == [("a", "opened", "cancelled"), ("b", "opened", "queued")]


async def test_a_removal_tells_of_no_end_that_was_told_and_of_no_incident_that_the_channel_did_not_hear_of(routed):
    live = await failed(routed, channels=["a"])
    await healed(routed, live)
    await routed.sent()
    await edited(routed, routed.ids["b"], kinds=["stuck"])
    await route(routed, live, "b")
    for one in (live, await routed.monitor(channels=["b"])):
        await routed.fail(one)
    await edited(routed, routed.ids["b"], kinds=None)
    before = len(await ledger(routed))
    await removed(routed, routed.ids["a"])
    assert len(await ledger(routed)) == before


async def test_a_monitor_that_is_routed_elsewhere_before_anybody_was_told_is_told_there_at_once(routed):
    live = await failed(routed, channels=["a"])
    await route(routed, live, "b")
    assert await ledger(routed) == [("a", "opened", "cancelled"), ("b", "opened", "queued")]
    await route(routed, live)
    assert await ledger(routed) == [
        ("a", "opened", "cancelled"),
        ("b", "opened", "queued"),
        ("a", "opened", "queued"),
        ("c", "opened", "queued"),
    ], "b has one on its way"


async def test_a_monitor_that_is_routed_elsewhere_after_somebody_was_told_tells_nobody_anew(routed):
    live = await failed(routed, channels=["a"])
    await routed.sent()
    await route(routed, live, "b")
    assert await ledger(routed) == [("a", "opened", "delivered")]


async def test_an_incident_that_opens_with_the_edit_itself_is_told_once(routed):
    live = await routed.monitor(mode="heartbeat", schedule={"every": 60}, channels=["a"])
    await routed.engine.submit(RecordPing(live.id, Ping(), routed.engine.clock.now()))
    routed.engine.clock.advance(HOUR)
    await route(routed, live, "a", "b")
    assert await ledger(routed) == [("a", "opened", "queued")]


async def slowly(rig, receiver, go_on):
    """Let a run fail of which `a` is being told, until `go_on` is set; return the monitor and the channel's id."""
    receiver.answers[:] = [after(go_on, reply(200))]
    channel_id = await rig.channel("a", receiver.url)
    live = await rig.monitor(channels=["a"])
    await rig.start()
    await rig.fail(live)
    await receiver.wait(1)
    return live, channel_id


async def test_who_is_being_told_of_the_beginning_is_told_of_the_end_though_a_longer_delay_was_set_meanwhile(rig):
    async with Receiver() as a:
        go_on = asyncio.Event()
        live, channel_id = await slowly(rig, a, go_on)
        await edited(rig, channel_id, delaySeconds=300)
        await rig.succeed(live)
        go_on.set()
        await rig.until(lambda rows: len(rows) == 2 and all(row[3] is None for row in rows))
        assert await ledger(rig) == [("a", "opened", "delivered"), ("a", "resolved", "delivered")]


async def test_who_is_being_told_of_the_beginning_is_told_of_the_end_though_the_monitor_was_routed_elsewhere(rig):
    async with Receiver() as a, Receiver() as b:
        go_on = asyncio.Event()
        await rig.channel("b", b.url)
        live, _ = await slowly(rig, a, go_on)
        await route(rig, live, "b")
        await b.wait(1)
        go_on.set()
        await rig.until(lambda rows: all(row[1] == "delivered" for row in rows))
        await rig.succeed(live)
        await rig.until(lambda rows: len(rows) == 4 and all(row[1] == "delivered" for row in rows))
        assert [request.json["type"] for request in a.requests] == ["incident.opened", "incident.resolved"]


async def test_what_a_delay_holds_back_is_called_off_with_all_behind_it_when_the_monitor_is_routed_elsewhere(routed):
    await edited(routed, routed.ids["a"], delaySeconds=3600)
    live = await routed.monitor(maxRuntimeSeconds=60, channels=["a"])
    run = await routed.begin(live)
    routed.engine.clock.advance(61_000)
    await routed.engine.judge(routed.engine.clock.now())
    await routed.engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="x"), routed.engine.clock.now()))
    assert await ledger(routed) == [("a", "opened", "queued"), ("a", "updated", "queued")]
    await route(routed, live, "b")
    assert await ledger(routed) == [
        ("a", "opened", "cancelled"),
        ("a", "updated", "cancelled"),
        ("b", "opened", "queued"),
    ]
    assert "routed to other channels" in (await routed.rows())[0][4]
    await routed.sent()
    await route(routed, live, "a")
    assert len(await ledger(routed)) == 3, "somebody was told of it"
    await healed(routed, live)
    assert [row[:2] for row in (await ledger(routed))[3:]] == [("a", "resolved"), ("b", "resolved")]


async def test_a_reroute_calls_off_nothing_of_a_channel_that_keeps_the_monitor_nor_of_another_incident(routed):
    await edited(routed, routed.ids["a"], delaySeconds=3600)
    live, _ = [await failed(routed, channels=["a", "c"]) for _ in range(2)]
    await route(routed, live, "a", "b")
    assert sorted(await ledger(routed)) == [
        ("a", "opened", "queued"),
        ("a", "opened", "queued"),
        ("b", "opened", "queued"),
        ("c", "opened", "cancelled"),
        ("c", "opened", "queued"),
    ]
