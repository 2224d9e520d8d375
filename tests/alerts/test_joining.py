"""A channel that joins, by a route, newly added or with other rules, while an incident is open that nobody heard of."""

import asyncio

import pytest

from luota.core.model import RunState
from luota.core.retry import AttemptResult
from luota.engine import channels, people
from luota.engine.deliveries import RecordAttempt, gather, give_up
from luota.engine.routes import tell_channel
from luota.store.reads import fetch
from tests.alerts.test_routes import (
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


async def given_up(rig, receiver, **more):
    """Let a run fail of which `a` is told in vain; return the monitor."""
    receiver.default = reply(410)
    await rig.channel("a", receiver.url)
    live = await rig.monitor(**more)
    await rig.start()
    await rig.fail(live)
    await rig.until(lambda rows: rows[0][1] == "failed_terminal")
    return live


async def test_a_channel_that_is_added_hears_of_what_was_given_up_before_to_all_where_its_monitor_goes(rig):
    async with Receiver() as a, Receiver() as b:
        live = await given_up(rig, a, channels=["a"])
        await rig.channel("b", b.url)
        await route(rig, live, "a", "b")
        await rig.until(lambda rows: len(rows) == 3 and [row[1] for row in rows[1:]] == ["delivered"] * 2)
        assert sorted(await ledger(rig)) == [
            ("a", "opened", "failed_terminal"),
            ("b", "channel.failed", "delivered"),
            ("b", "opened", "delivered"),
        ]
        (told,) = (one.json for one in b.requests if one.json["type"] == "incident.opened")
        assert told["incident"]["firstNotice"] is True


async def test_a_channel_that_is_added_hears_of_what_was_given_up_before_and_no_other_does_again(rig):
    async with Receiver() as a, Receiver() as b:
        await given_up(rig, a)
        await rig.channel("b", b.url)
        await rig.until(lambda rows: len(rows) == 3 and [row[1] for row in rows[1:]] == ["delivered"] * 2)
        assert sorted(await ledger(rig)) == [
            ("a", "opened", "failed_terminal"),
            ("b", "channel.failed", "delivered"),
            ("b", "opened", "delivered"),
        ]


async def test_a_channel_that_is_added_hears_of_what_is_open_and_could_be_told_to_nobody(timed):
    live = await failed(timed)
    over = await failed(timed)
    await healed(timed, over)
    await timed.monitor()
    first = await timed.channel("a", NOWHERE)
    assert await ledger(timed) == [("a", "opened", "queued")]
    await timed.channel("b", NOWHERE)
    assert await ledger(timed) == [("a", "opened", "queued"), ("b", "opened", "queued")], "nobody knows of it yet"
    await removed(timed, first)
    assert await ledger(timed) == [("a", "opened", "cancelled"), ("b", "opened", "queued")]
    assert await fetch(timed.engine.reader, "SELECT DISTINCT monitor_id FROM deliveries") == [(live.id,)]


async def test_a_channel_that_is_added_hears_of_what_was_lost_with_the_only_one(timed):
    first = await timed.channel("a", NOWHERE)
    await failed(timed)
    await removed(timed, first)
    await timed.channel("b", NOWHERE)
    assert await ledger(timed) == [("a", "opened", "cancelled"), ("b", "opened", "queued")]


async def test_a_channel_that_is_added_hears_of_nothing_that_was_told_nor_of_a_monitor_that_goes_elsewhere(routed):  # noqa: F811
    for names in (None, ["a"]):
        await failed(routed, channels=names)
    await routed.sent()
    before = await ledger(routed)
    await routed.channel("d", NOWHERE)
    assert await ledger(routed) == before
    await failed(routed, channels=["a"])
    await routed.channel("e", NOWHERE)
    assert len(await ledger(routed)) == len(before) + 1


async def test_a_channel_that_is_added_hears_of_nothing_in_another_workspace(timed):
    other = await timed.engine.submit(people.create_workspace("Other", None, ACTOR))
    await timed.engine.submit(channels.add(other, {"type": "webhook", "name": "theirs", "url": NOWHERE}, ACTOR))
    await failed(timed)
    doc = {"type": "webhook", "name": "theirs too", "url": NOWHERE}
    await timed.engine.submit(channels.add(other, doc, ACTOR))
    assert await ledger(timed) == []


@pytest.fixture
async def giving_up(rig):
    """A function that lets a webhook `a` refuse for good what it is being told once something was done meanwhile."""
    go_on = asyncio.Event()
    async with Receiver() as receiver:
        receiver.default = after(go_on, reply(410))
        await rig.channel("a", receiver.url)

        async def meanwhile(*done):
            await rig.start()
            await receiver.wait(1)
            for one in done:
                await one
            go_on.set()
            async with asyncio.timeout(10):
                while not await fetch(rig.engine.reader, "SELECT 1 FROM attempts WHERE status = 410"):
                    await asyncio.sleep(0.01)
            await rig.stop()

        yield meanwhile


async def told(rig):
    return [row[:2] for row in await ledger(rig) if row[1] != "channel.failed"]


async def test_a_channel_that_is_added_while_the_only_one_is_told_hears_of_it_once_though_that_is_given_up(
    rig, giving_up
):
    await rig.fail(await rig.monitor())
    await giving_up(rig.channel("b", NOWHERE))
    assert await told(rig) == [("a", "opened"), ("b", "opened")]


async def test_a_channel_to_which_a_monitor_goes_while_its_only_one_is_told_hears_of_it_once_though_that_is_given_up(
    rig, giving_up
):
    for name in "bc":
        await rig.channel(name, NOWHERE)
    live = await rig.monitor(channels=["a"])
    await rig.fail(live)
    await giving_up(route(rig, live, "a", "b"))
    assert await told(rig) == [("a", "opened"), ("b", "opened")]


async def test_a_channel_that_joined_hears_of_the_end_once_when_it_came_before_the_notice_was_given_up(rig, giving_up):
    live = await rig.monitor()
    await rig.fail(live)
    await giving_up(rig.channel("b", NOWHERE), rig.succeed(live))
    assert (await ledger(rig))[0] == ("a", "opened", "cancelled")
    assert [row for row in await told(rig) if row[0] == "b"] == [("b", "opened"), ("b", "resolved")]


async def test_a_channel_that_joins_while_a_digest_is_under_way_hears_of_each_incident_once_though_that_is_given_up(
    timed,
):
    first = await timed.channel("a", NOWHERE)
    for _ in range(2):
        await failed(timed)
    await timed.engine.submit(gather(timed.workspace.id, first, [row[5] for row in await timed.rows()]))
    digest, now = (await timed.rows())[-1], timed.engine.clock.now()
    assert digest[0] == "incident.digest"
    await timed.channel("b", NOWHERE)
    record = RecordAttempt(digest[5], first, 1, now, now, AttemptResult(ok=False, terminal=True), None)
    await timed.engine.submit(give_up(record, digest[0]))
    assert [row for row in await ledger(timed) if row[:2] == ("b", "opened")] == [("b", "opened", "queued")] * 2


async def test_a_channel_that_wants_more_kinds_hears_of_what_is_open_of_them_and_could_be_told_to_nobody(timed):
    first = await timed.channel("a", NOWHERE)
    await edited(timed, first, kinds=["missed"])
    await failed(timed)
    assert await ledger(timed) == []
    await edited(timed, first, kinds=["missed", "stuck"])
    assert await ledger(timed) == []
    await edited(timed, first, kinds=["missed", "failed"])
    assert await ledger(timed) == [("a", "opened", "queued")]


async def test_a_channel_that_wants_openings_too_hears_of_what_is_open_and_could_be_told_to_nobody(timed):
    first = await timed.channel("a", NOWHERE)
    await edited(timed, first, notify=["resolved"])
    await failed(timed)
    assert await ledger(timed) == []
    await edited(timed, first, notify=["opened"])
    assert await ledger(timed) == [("a", "opened", "queued")]


async def test_a_channel_that_wants_more_kinds_hears_of_nothing_that_was_told_nor_of_a_monitor_that_goes_elsewhere(
    routed,  # noqa: F811
):
    await edited(routed, routed.ids["b"], kinds=["missed"])
    await edited(routed, routed.ids["c"], kinds=["missed"])
    await failed(routed, channels=["a", "b"])
    await routed.sent()
    await failed(routed, channels=["c"])
    before = await ledger(routed)
    await edited(routed, routed.ids["b"], kinds=None)
    assert await ledger(routed) == before


async def refused(rig, *names):
    """Let everything be refused for good that waits for the channels of these names."""
    sql = (
        "SELECT d.id, d.channel_id, d.type FROM deliveries d JOIN channels c ON c.id = d.channel_id "
        "WHERE d.next_attempt_at IS NOT NULL AND c.name = ? ORDER BY d.seq"
    )
    now, result = rig.engine.clock.now(), AttemptResult(ok=False, terminal=True)
    for name in names:
        for delivery_id, channel_id, type_ in await fetch(rig.engine.reader, sql, (name,)):
            await rig.engine.submit(give_up(RecordAttempt(delivery_id, channel_id, 1, now, now, result, None), type_))


async def openings(rig):
    return [row for row in await ledger(rig) if row[1] == "opened"]


async def test_each_incident_of_a_monitor_whose_every_channel_is_a_dead_route_is_told_to_the_others_to_its_end(rig):
    async with Receiver() as a, Receiver() as b:
        await rig.channel("b", b.url)
        live = await given_up(rig, a, channels=["a"])
        for count in (2, 1):
            await b.wait(count)
            await rig.succeed(live)
            await b.wait(count + 1)
            b.requests.clear()
            await rig.fail(live)
        await rig.until(lambda rows: all(row[3] is None for row in rows))
    assert [row[1:] for row in await ledger(rig) if row[0] == "b"] == [
        ("channel.failed", "delivered"),
        ("opened", "delivered"),
        ("resolved", "delivered"),
        ("opened", "delivered"),
        ("resolved", "delivered"),
        ("opened", "delivered"),
    ]


async def test_an_incident_goes_beyond_its_channels_once_it_was_given_up_to_the_last_and_to_nobody_twice(routed):  # noqa: F811
    live = await failed(routed, channels=["a", "b"])
    await refused(routed, "a")
    assert await openings(routed) == [("a", "opened", "failed_terminal"), ("b", "opened", "queued")]
    await refused(routed, "b")
    dead = [("a", "opened", "failed_terminal"), ("b", "opened", "failed_terminal")]
    assert await openings(routed) == [*dead, ("c", "opened", "queued")]
    await refused(routed, "c")
    await route(routed, live, "a")
    assert await openings(routed) == [*dead, ("c", "opened", "failed_terminal")]


async def test_each_incident_of_a_digest_that_is_given_up_is_told_beyond_its_channels(routed):  # noqa: F811
    for _ in range(2):
        await failed(routed, channels=["a"])
    await routed.engine.submit(gather(routed.workspace.id, routed.ids["a"], [row[5] for row in await routed.rows()]))
    await refused(routed, "a")
    assert [row for row in await openings(routed) if row[0] != "a"] == [(name, "opened", "queued") for name in "bcbc"]


async def test_beyond_its_channels_an_incident_is_told_as_each_channel_wants_and_what_waits_there_stays(routed):  # noqa: F811
    await edited(routed, routed.ids["b"], kinds=["missed"])
    await edited(routed, routed.ids["c"], delaySeconds=300)
    clock = routed.engine.clock
    run = await routed.begin(await routed.monitor(maxRuntimeSeconds=60, channels=["a"]))
    clock.advance(61_000)
    await routed.engine.judge(clock.now())
    await refused(routed, "a")
    told, due = [("a", "opened", "failed_terminal"), ("c", "opened", "queued")], clock.now() + 300_000
    assert await openings(routed) == told
    clock.advance(60_000)
    await routed.end(run, RunState.FAILED)
    await refused(routed, "a")
    assert await openings(routed) == told
    await routed.channel("d", NOWHERE)
    assert await openings(routed) == [*told, ("d", "opened", "queued")], "nobody knows of it yet"
    waiting = [row[3] for row in await routed.rows() if row[:2] == ("incident.opened", "queued")]
    assert waiting == [due, clock.now()]


async def test_what_a_monitors_own_channels_do_not_want_to_hear_of_is_told_to_no_other(routed):  # noqa: F811
    await edited(routed, routed.ids["a"], kinds=["missed"])
    await failed(routed, channels=["a"])
    await routed.channel("d", NOWHERE)
    assert await ledger(routed) == []


async def test_when_the_channel_beyond_is_removed_the_next_one_hears_and_the_removed_one_nothing_more(routed):  # noqa: F811
    await removed(routed, routed.ids["c"], "c")
    await failed(routed, channels=["a"])
    await refused(routed, "a")
    await removed(routed, routed.ids["b"], "b")
    await routed.channel("d", NOWHERE)
    assert await openings(routed) == [
        ("a", "opened", "failed_terminal"),
        ("b", "opened", "cancelled"),
        ("d", "opened", "queued"),
    ]


async def queries(rig, change):
    """Make a change; return what the writer asked the file meanwhile."""
    asked = []
    await rig.engine._db.set_trace_callback(asked.append)
    await change
    await rig.engine._db.set_trace_callback(None)
    return [statement for statement in asked if statement.startswith("SELECT")]


async def digest_refused(rig):
    """Let all that waits for `a` be told by one digest, and that be given up; return the queries of the latter."""
    sql = "SELECT id FROM deliveries WHERE next_attempt_at IS NOT NULL AND channel_id = ?"
    waiting = [row[0] for row in await fetch(rig.engine.reader, sql, (rig.ids["a"],))]
    await rig.engine.submit(gather(rig.workspace.id, rig.ids["a"], waiting))
    return await queries(rig, refused(rig, "a"))


async def kind_added(rig):
    await edited(rig, rig.ids["a"], kinds=["missed"])
    return await queries(rig, edited(rig, rig.ids["a"], kinds=["missed", "failed"]))


async def channel_added(rig):
    return await queries(rig, rig.channel(f"d{rig.number}", NOWHERE))


async def channel_removed(rig):
    return await queries(rig, removed(rig, rig.ids.popitem()[1]))


@pytest.mark.parametrize("change", [channel_added, channel_removed, kind_added, digest_refused])
async def test_as_many_queries_find_who_is_to_hear_however_many_incidents_are_open(routed, change):  # noqa: F811
    asked = []
    for count in (2, 4):
        for _ in range(count):
            await failed(routed)
        await routed.sent()
        for _ in range(count):
            await failed(routed, channels=["a"])
        asked.append(len(await change(routed)))
    assert asked[0] == asked[1] > 0


async def test_an_edit_by_which_a_channel_wants_no_opening_more_asks_nothing_of_incidents(routed):  # noqa: F811
    await failed(routed)
    changes = (
        {"kinds": ["failed"]},
        {"delaySeconds": 60},
        {"notify": ["opened"]},
        {"notify": ["resolved"]},
        {"kinds": None},
    )
    for change in changes:
        asked = await queries(routed, edited(routed, routed.ids["a"], **change))
        assert [statement for statement in asked if "FROM incidents" in statement] == []


async def test_a_channel_that_joins_is_not_asked_about_monitors_that_name_others_while_nothing_was_lost(routed):  # noqa: F811
    await failed(routed, channels=["a"])

    async def work(tx):
        await tell_channel(tx, routed.workspace.id, routed.ids["b"])
        return tx.batch.queued_notice

    assert await routed.engine.submit(work) is False
