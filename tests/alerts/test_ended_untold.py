"""An incident that ended before all to whom its monitor goes refused to hear of it: the other channels hear of it."""

import asyncio

import pytest

from luota.engine.deliveries import BeginAttempt, gather
from luota.store.deliveries import waiting_first
from luota.store.reads import fetch
from tests.alerts.test_joining import refused
from tests.alerts.test_routes import (
    edited,
    failed,
    healed,
    ledger,
    routed,  # noqa: F401 (a fixture)
)
from tests.receiver import Receiver, after, reply

MINUTE = 60_000


async def ended(rig, **more):
    """Let a run of a new monitor fail and the next one succeed before anybody was told; return the monitor."""
    live = await failed(rig, **more)
    await healed(rig, live)
    return live


async def ends(rig):
    return [(name, state) for name, type_, state in await ledger(rig) if type_ == "resolved"]


async def test_an_end_during_the_last_attempt_of_the_opening_is_told_to_the_others_in_one_message_that_tells_both(rig):
    go_on = asyncio.Event()
    async with Receiver() as a, Receiver() as b:
        a.answers[:], a.default = [after(go_on, reply(410))], reply(410)
        await rig.channel("a", a.url)
        await rig.channel("b", b.url)
        live = await rig.monitor(channels=["a"])
        await rig.start()
        await rig.fail(live)
        await a.wait(1)
        await rig.succeed(live)
        go_on.set()
        await rig.until(lambda rows: len(rows) > 3 and all(row[3] is None for row in rows))
    assert [row for row in await ledger(rig) if row[1] != "channel.failed"] == [
        ("a", "opened", "cancelled"),
        ("a", "resolved", "failed_terminal"),
        ("b", "resolved", "delivered"),
    ]
    assert [one.json["type"] for one in b.requests].count("channel.failed") == 1, "the dead route is announced once"
    of_a, (of_b,) = a.requests[-1].json, [one.json for one in b.requests if one.json["type"] == "incident.resolved"]
    assert of_b["incident"]["firstNotice"] is True
    assert "3 of 14 failed" in of_b["incident"]["openedSummary"]
    assert {**of_b, "delivery": None} == {**of_a, "delivery": None}


async def test_an_end_is_told_beyond_its_channels_once_the_last_of_them_refused_and_to_nobody_twice(routed):  # noqa: F811
    await ended(routed, channels=["a", "b"])
    await refused(routed, "a")
    assert await ends(routed) == [("a", "failed_terminal"), ("b", "queued")]
    await refused(routed, "b")
    dead = [("a", "failed_terminal"), ("b", "failed_terminal")]
    assert await ends(routed) == [*dead, ("c", "queued")]
    await refused(routed, "c")
    assert await ends(routed) == [*dead, ("c", "failed_terminal")]


async def test_an_end_that_is_given_up_is_told_to_no_other_where_somebody_was_told_of_the_incident(routed):  # noqa: F811
    live = await failed(routed, channels=["a"])
    await routed.sent()
    await healed(routed, live)
    await refused(routed, "a")
    assert await ends(routed) == [("a", "failed_terminal")]


async def test_an_end_that_is_told_beyond_its_channels_counts_as_not_tried_there_yet(routed):  # noqa: F811
    await ended(routed, channels=["a"])
    (waiting,) = [row for row in await routed.rows() if row[1] == "queued"]
    await routed.engine.submit(BeginAttempt(waiting[5]))
    await refused(routed, "a")
    now = routed.engine.clock.now()
    assert len(await waiting_first(routed.engine.reader, routed.ids["b"], now)) == 1, "a storm may gather it"


async def test_each_end_of_a_digest_that_is_given_up_is_told_beyond_its_channels(routed):  # noqa: F811
    for _ in range(2):
        await ended(routed, channels=["a"])
    sql = "SELECT id FROM deliveries WHERE next_attempt_at IS NOT NULL"
    waiting = [delivery_id for (delivery_id,) in await fetch(routed.engine.reader, sql)]
    await routed.engine.submit(gather(routed.workspace.id, routed.ids["a"], waiting))
    await refused(routed, "a")
    assert [row for row in await ends(routed) if row[0] != "a"] == [(name, "queued") for name in "bcbc"]


@pytest.mark.parametrize(
    "rules", [{"kinds": ["missed"]}, {"notify": ["opened"]}, {"delaySeconds": 60}], ids=["kinds", "notify", "delay"]
)
async def test_an_end_is_told_beyond_its_channels_as_each_channel_wants(routed, rules):  # noqa: F811
    await edited(routed, routed.ids["b"], **rules)
    await ended(routed, channels=["a"])
    routed.engine.clock.advance(2 * MINUTE)  # the delay counts till the end, not till it was given up
    await refused(routed, "a")
    assert await ends(routed) == [("a", "failed_terminal"), ("c", "queued")]


async def test_the_end_of_a_drill_that_is_given_up_is_told_to_no_other(routed):  # noqa: F811
    await ended(routed, channels=["a"])

    async def label(tx):
        await tx.execute("UPDATE deliveries SET notice = json_set(notice, '$.drill', json('true'))")

    await routed.engine.submit(label)
    await refused(routed, "a")
    assert await ends(routed) == [("a", "failed_terminal")]
