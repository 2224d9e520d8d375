"""A channel leaves, is removed or mended, while somebody is still to be told: what nobody was told of is told elsewhere."""

import asyncio

import pytest

from luota.core.model import RunState
from luota.engine import monitors
from luota.engine.deliveries import gather
from luota.engine.reminders import remind
from luota.store.reads import fetch
from tests.alerts.test_ended_untold import ended, ends
from tests.alerts.test_joining import openings, refused
from tests.alerts.test_routes import (
    HOUR,
    NOWHERE,
    edited,
    failed,
    healed,
    ledger,
    removed,
    route,
    routed,  # noqa: F401 (a fixture)
)
from tests.engines import ACTOR
from tests.receiver import Receiver, after, reply


async def waiting_of(rig, name):
    """Return the notices of incidents that wait for a channel: id, type, state and when each is due."""
    sql = (
        "SELECT d.id, d.type, d.state, d.next_attempt_at FROM deliveries d JOIN channels c ON c.id = d.channel_id "
        "WHERE c.name = ? AND d.incident_id IS NOT NULL AND d.next_attempt_at IS NOT NULL ORDER BY d.seq"
    )
    return await fetch(rig.engine.reader, sql, (name,))


async def risen(rig, **more):
    """Let a run of a new monitor be stuck, refused by `a`, and fail then; return the monitor."""
    live = await rig.monitor(maxRuntimeSeconds=60, channels=["a"], **more)
    run = await rig.begin(live)
    rig.engine.clock.advance(61_000)
    await rig.engine.judge(rig.engine.clock.now())
    await refused(rig, "a")
    await rig.end(run, RunState.FAILED)
    return live


@pytest.mark.parametrize("delay", [0, 15], ids=["a storm or a rest", "its delay"])
@pytest.mark.parametrize("update", [False, True])
async def test_the_removal_of_another_channel_leaves_alone_what_waits_for_its_first_attempt(routed, delay, update):  # noqa: F811
    await edited(routed, routed.ids["c"], delaySeconds=delay)
    if update:
        await risen(routed)
    else:
        await failed(routed, channels=["a"])
        await refused(routed, "a")
    before = await waiting_of(routed, "c")
    assert [row[1] for row in before] == ["incident.opened", "incident.updated"][: 1 + update]
    await removed(routed, routed.ids["b"], "b")
    assert await waiting_of(routed, "c") == before


async def test_the_removal_of_another_channel_leaves_a_reminder_alone_that_waits_for_its_first_attempt(routed):  # noqa: F811
    live = await failed(routed, channels=["a", "c"])
    await refused(routed, "a", "c")
    await routed.engine.submit(monitors.edit(live.id, {"reminderSeconds": 300}, ACTOR))
    routed.engine.clock.advance(HOUR)
    await routed.engine.submit(remind)
    before = await waiting_of(routed, "c")
    assert "incident.reminder" in [row[1] for row in before]
    await removed(routed, routed.ids["b"], "b")
    assert await waiting_of(routed, "c") == before


async def test_a_reroute_calls_off_nothing_of_a_channel_to_which_the_monitor_did_not_go_before(routed):  # noqa: F811
    await edited(routed, routed.ids["c"], delaySeconds=15)
    live = await failed(routed, channels=["a"])
    await refused(routed, "a")
    before = await waiting_of(routed, "c")
    await routed.channel("d", NOWHERE)
    await route(routed, live, "a", "d")
    assert await waiting_of(routed, "c") == before
    assert [row for row in await openings(routed) if row[0] == "d"] == [("d", "opened", "queued")]


async def test_an_end_that_is_lost_with_its_channel_is_told_to_the_others_in_one_message_that_tells_both(rig):
    async with Receiver() as a, Receiver() as b:
        a.default = reply(503)
        channel_id = await rig.channel("a", a.url)
        await rig.channel("b", b.url)
        live = await rig.monitor(channels=["a"])
        await rig.start()
        await rig.fail(live)
        await rig.until(lambda rows: rows[0][1] == "failed_retrying")
        await rig.succeed(live)
        await rig.until(lambda rows: len(rows) == 2 and rows[1][1] == "failed_retrying")
        await removed(rig, channel_id)
        await rig.until(lambda rows: rows[-1][1] == "delivered")
        assert await ledger(rig) == [
            ("a", "opened", "cancelled"),
            ("a", "resolved", "cancelled"),
            ("b", "resolved", "delivered"),
        ]
        (told,) = b.requests
        assert told.json["incident"]["firstNotice"] is True
        assert "3 of 14 failed" in told.json["incident"]["openedSummary"]


async def test_each_incident_of_a_digest_that_is_lost_with_its_channel_is_told_to_the_others_be_it_open_or_not(routed):  # noqa: F811
    lives = [await failed(routed, channels=["a"]) for _ in range(3)]
    await routed.engine.submit(gather(routed.workspace.id, routed.ids["a"], [row[5] for row in await routed.rows()]))
    await healed(routed, lives[0])
    await removed(routed, routed.ids["c"], "c")
    await removed(routed, routed.ids["a"])
    assert sorted(row for row in await ledger(routed) if row[0] == "b") == [
        ("b", "opened", "queued"),
        ("b", "opened", "queued"),
        ("b", "resolved", "queued"),
    ]


async def test_an_end_that_is_lost_with_its_channel_is_told_to_nobody_while_it_is_on_its_way_to_another(routed):  # noqa: F811
    await ended(routed, channels=["a", "b"])
    await removed(routed, routed.ids["a"])
    assert await ends(routed) == [("a", "cancelled"), ("b", "queued")]
    await removed(routed, routed.ids["b"], "b")
    assert await ends(routed) == [("a", "cancelled"), ("b", "cancelled"), ("c", "queued")]


async def test_an_opening_that_is_lost_with_its_channel_goes_beyond_those_of_the_monitor_that_do_not_want_it(routed):  # noqa: F811
    await edited(routed, routed.ids["b"], kinds=["stuck"])
    await failed(routed, channels=["a", "b"])
    await removed(routed, routed.ids["a"])
    assert await ledger(routed) == [("a", "opened", "cancelled"), ("c", "opened", "queued")]


async def test_what_was_given_up_to_some_and_lost_with_the_last_of_a_monitors_channels_is_told_to_the_others(routed):  # noqa: F811
    await failed(routed, channels=["a", "b"])
    await refused(routed, "b")
    assert [row[0] for row in await openings(routed)] == ["a", "b"]
    await removed(routed, routed.ids["a"])
    assert [row for row in await openings(routed) if row[0] == "c"] == [("c", "opened", "queued")]


async def test_what_a_reroute_calls_off_and_the_channels_it_goes_to_do_not_want_is_told_to_no_other(routed):  # noqa: F811
    await edited(routed, routed.ids["b"], kinds=["stuck"])
    live = await failed(routed, channels=["a"])
    await route(routed, live, "b")
    await routed.channel("d", NOWHERE)
    assert await ledger(routed) == [("a", "opened", "cancelled")]


async def test_the_removal_of_a_channel_of_which_a_reroute_had_called_all_off_loses_nothing(routed):  # noqa: F811
    await edited(routed, routed.ids["b"], kinds=["stuck"])
    live = await failed(routed, channels=["a"])
    await route(routed, live, "b")
    await removed(routed, routed.ids["a"])
    await routed.channel("d", NOWHERE)
    assert await ledger(routed) == [("a", "opened", "cancelled")]


async def test_a_rise_to_a_kind_that_the_monitors_own_channels_do_not_want_is_told_to_the_others_if_nobody_knows(
    routed,
):  # noqa: F811
    await edited(routed, routed.ids["a"], kinds=["stuck"])
    for name in "bc":
        await edited(routed, routed.ids[name], kinds=["failed"])
    await risen(routed)
    assert [row[:2] for row in await ledger(routed) if row[0] != "a" and row[1] != "channel.failed"] == [
        ("b", "updated"),
        ("c", "updated"),
    ]


async def test_a_channel_that_joins_hears_of_what_was_lost_to_its_monitors_channels_though_they_are_tried_again(routed):  # noqa: F811
    await risen(routed)
    assert [row[1] for row in await waiting_of(routed, "a")] == ["incident.updated"]
    await routed.channel("d", NOWHERE)
    assert [row[1] for row in await waiting_of(routed, "d")] == ["incident.opened"]


@pytest.mark.parametrize("known", [False, True])
async def test_of_others_a_rise_is_told_to_those_alone_that_were_told_of_the_opening_in_place_of_the_monitors_own(
    routed,  # noqa: F811
    known,
):
    if known:
        await edited(routed, routed.ids["a"], kinds=["stuck"])
        await edited(routed, routed.ids["b"], kinds=["failed"])
    live = await routed.monitor(maxRuntimeSeconds=60, channels=["a"])
    run = await routed.begin(live)
    routed.engine.clock.advance(61_000)
    await routed.engine.judge(routed.engine.clock.now())
    if known:
        await refused(routed, "a")
        await routed.sent()
    await routed.end(run, RunState.FAILED)
    told = [row[0] for row in await ledger(routed) if row[1] == "updated" and row[0] != "a"]
    assert told == (["c"] if known else [])


async def mended(rig, receiver, **more):
    """Let a run fail of which `a` is told in vain, mend that and test it; return the channel's id."""
    receiver.default = reply(410)
    channel_id = await rig.channel("a", receiver.url)
    await rig.fail(await rig.monitor(**more))
    await rig.start()
    await rig.until(lambda rows: rows[0][1] == "failed_terminal")
    receiver.default = reply(200)
    await rig.test(channel_id, "a")
    return channel_id


async def test_a_channel_by_which_a_test_is_delivered_hears_anew_of_what_is_open_and_nobody_was_told_of(rig):
    async with Receiver() as a:
        channel_id = await mended(rig, a)
        await rig.until(lambda rows: len(rows) == 3 and rows[2][1] == "delivered")
        assert await ledger(rig) == [
            ("a", "opened", "failed_terminal"),
            ("a", "channel.test", "delivered"),
            ("a", "opened", "delivered"),
        ]
        assert a.requests[-1].json["incident"]["firstNotice"] is True
        await rig.test(channel_id, "a")
        assert len(await openings(rig)) == 2, "it was told"


async def test_a_test_that_is_refused_tells_nobody_anew_of_what_is_open(rig):
    async with Receiver() as a:
        a.default = reply(410)
        channel_id = await rig.channel("a", a.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await rig.until(lambda rows: rows[0][1] == "failed_terminal")
        await rig.test(channel_id, "a")
        assert await openings(rig) == [("a", "opened", "failed_terminal")]


async def test_a_channel_that_was_removed_while_its_test_was_under_way_hears_of_nothing_more(rig):
    go_on = asyncio.Event()
    async with Receiver() as a:
        a.default = reply(410)
        channel_id = await rig.channel("a", a.url)
        await rig.start()
        await rig.fail(await rig.monitor())
        await rig.until(lambda rows: rows[0][1] == "failed_terminal")
        a.default = after(go_on, reply(200))
        test = asyncio.ensure_future(rig.test(channel_id, "a"))
        await a.wait(2)
        await removed(rig, channel_id)
        go_on.set()
        await test
        assert await ledger(rig) == [("a", "opened", "failed_terminal"), ("a", "channel.test", "delivered")]


async def to_each_in_vain(rig):
    """Let a run fail of a monitor that names `a`, and `a`, `b` and `c` refuse to hear of it; return the monitor."""
    live = await failed(rig, channels=["a"])
    await refused(rig, "a", "b", "c")
    return live


async def routed_there(rig, live):
    await route(rig, live, "b", "c")


async def more_wanted(rig, _):
    for name in "bc":
        await edited(rig, rig.ids[name], kinds=["missed"])
        await edited(rig, rig.ids[name], kinds=None)


async def own_removed(rig, _):
    await removed(rig, rig.ids["a"])


@pytest.mark.parametrize("joins", [routed_there, more_wanted, own_removed])
async def test_a_channel_that_joins_hears_anew_of_what_was_given_up_to_it_if_nobody_was_told(routed, joins):  # noqa: F811
    live = await to_each_in_vain(routed)
    before = await openings(routed)
    assert [row[2] for row in before] == ["failed_terminal"] * 3
    await joins(routed, live)
    assert await openings(routed) == [*before, ("b", "opened", "queued"), ("c", "opened", "queued")]
