"""A notice of a blind window that nobody got, and is lost or lost with its channel, is told elsewhere, and later on."""

import asyncio

import pytest

from luota.core.retry import AttemptResult
from luota.core.spec.values import DAY
from luota.core.spec.ingest import Ping
from luota.engine import channels, people, retention, routes
from luota.engine.channels import tell_gaps
from luota.engine.deliveries import RecordAttempt, give_up, prove
from luota.engine.ingest import RecordPing
from luota.store.reads import fetch
from tests.alerts.test_routes import HOUR, NOWHERE, edited, ledger, removed
from tests.engines import ACTOR
from tests.receiver import Receiver, reply

GONE = AttemptResult(ok=False, terminal=True, status=410, error="HTTP 410 from the receiver")
TAKEN = AttemptResult(ok=True, status=200)


@pytest.fixture
async def blind(timed):
    """A rig with a channel a, to which the notice of a blind window waits; nothing is sent but what the test says."""
    timed.ids = {}
    await join(timed, "a")
    await blinded(timed)
    assert await gaps(timed) == [("a", "queued")]
    return timed


async def blinded(rig):
    """Let the clock be set two hours forward, so that nobody knows what became of a monitor meanwhile."""
    live = await rig.monitor(mode="heartbeat", schedule={"every": 60})
    await rig.engine.submit(RecordPing(live.id, Ping(), rig.engine.clock.now()))
    await stepped(rig, 2 * HOUR)
    while await rig.engine.judge(rig.engine.clock.now()):
        pass
    await rig.engine.submit(tell_gaps)


async def stepped(rig, ms):
    rig.engine.clock.step(ms)
    await rig.engine.stamp()


async def join(rig, *names):
    for name in names:
        rig.ids[name] = await rig.channel(name, NOWHERE)


async def gaps(rig):
    return [(name, state) for name, type_, state in await ledger(rig) if type_ == "watch.gap"]


async def answered(rig, name, result):
    """Let the notice of the window that waits for a channel be answered so, for good."""
    sql = "SELECT id FROM deliveries WHERE type = 'watch.gap' AND next_attempt_at IS NOT NULL AND channel_id = ?"
    ((delivery_id,),) = await fetch(rig.engine.reader, sql, (rig.ids[name],))
    now = rig.engine.clock.now()
    record = RecordAttempt(delivery_id, rig.ids[name], 1, now, now, result, None, rig.workspace.id)
    await rig.engine.submit(record if result.ok else give_up(record, "watch.gap"))


async def leaves(rig):
    await removed(rig, rig.ids["a"])


async def refuses(rig):
    await answered(rig, "a", GONE)


@pytest.mark.parametrize("lose", [leaves, refuses])
async def test_a_blind_window_that_nobody_heard_of_is_told_to_the_others_in_the_same_words(blind, lose):
    await join(blind, "b", "c")
    await lose(blind)
    (_, state), *others = await gaps(blind)
    assert (state != "queued", others) == (True, [("b", "queued"), ("c", "queued")])
    told = await fetch(blind.engine.reader, "SELECT DISTINCT notice FROM deliveries WHERE type = 'watch.gap'")
    assert len(told) == 1


async def test_a_blind_window_that_another_channel_hears_of_or_has_heard_of_is_told_to_no_third(blind):
    await join(blind, "b")
    await refuses(blind)
    await join(blind, "c", "d")
    await removed(blind, blind.ids["b"], "b")
    before = [("a", "failed_terminal"), ("b", "cancelled"), ("c", "queued"), ("d", "queued")]
    assert await gaps(blind) == before
    await answered(blind, "c", GONE)
    assert await gaps(blind) == [*before[:2], ("c", "failed_terminal"), ("d", "queued")], "it is on its way"
    await answered(blind, "d", TAKEN)
    await join(blind, "e")
    assert len(await gaps(blind)) == 4


async def test_a_blind_window_that_was_heard_of_is_told_to_no_other_when_what_waits_elsewhere_is_lost(blind):
    await join(blind, "b", "c")
    await refuses(blind)
    await answered(blind, "b", TAKEN)
    await join(blind, "d")
    await answered(blind, "c", GONE)
    assert [row[0] for row in await gaps(blind)] == ["a", "b", "c"]


async def test_a_notice_that_is_given_up_everywhere_is_lost_once_in_each_channel_though_the_clock_was_set_back(timed):
    async with Receiver() as a, Receiver() as b:
        a.default = b.default = reply(410)
        await timed.channel("a", a.url)
        await timed.channel("b", b.url)
        await blinded(timed)
        timed.engine.clock.advance(1000)
        await stepped(timed, -2 * HOUR)
        await timed.start()
        await timed.until(lambda rows: all(row[3] is None for row in rows))
        await asyncio.sleep(0.5)
        assert sorted(await gaps(timed)) == [("a", "failed_terminal"), ("b", "failed_terminal")]
        assert [len(one.requests) for one in (a, b)] == [2, 2], "the blind window, and that the other is a dead route"


async def test_a_channel_that_is_removed_is_told_of_no_blind_window_though_the_clock_was_set_back(blind):
    await join(blind, "b")
    await stepped(blind, -HOUR)
    await leaves(blind)
    assert await gaps(blind) == [("a", "cancelled"), ("b", "queued")]


async def proven(rig, name):
    """Let a test of a channel arrive."""
    delivery_id = await rig.engine.submit(channels.test(rig.workspace.id, rig.ids[name], name, ACTOR))
    now = rig.engine.clock.now()
    record = RecordAttempt(delivery_id, rig.ids[name], 1, now, now, TAKEN, None, rig.workspace.id)
    await rig.engine.submit(prove(record))


async def added(rig):
    await join(rig, "b")


async def mended(rig):
    await proven(rig, "a")


async def widened(rig):
    await edited(rig, rig.ids["a"], kinds=["missed"])
    await edited(rig, rig.ids["a"], kinds=None)


@pytest.mark.parametrize(("joins", "name"), [(added, "b"), (mended, "a"), (widened, "a")])
async def test_a_blind_window_given_up_by_the_only_channel_is_told_once_to_one_that_joins(blind, joins, name):
    await refuses(blind)
    await joins(blind)
    told = [("a", "failed_terminal"), (name, "queued")]
    assert await gaps(blind) == told
    await proven(blind, name)
    assert await gaps(blind) == told, "it is on its way"
    await answered(blind, name, TAKEN)
    await proven(blind, name)
    await join(blind, "c")
    assert await gaps(blind) == [*told[:1], (name, "delivered")], "it was heard of"
    words = await fetch(blind.engine.reader, "SELECT DISTINCT notice FROM deliveries WHERE type = 'watch.gap'")
    assert len(words) == 1


async def test_a_channel_that_was_mended_hears_of_a_blind_window_while_another_is_still_tried_and_may_lose_it(blind):
    await join(blind, "b")
    await refuses(blind)
    await mended(blind)
    told = [("a", "failed_terminal"), ("b", "queued"), ("a", "queued")]
    assert await gaps(blind) == told
    await mended(blind)
    await answered(blind, "b", GONE)
    assert await gaps(blind) == [told[0], ("b", "failed_terminal"), told[2]]


async def test_retention_keeps_who_heard_of_a_blind_window_while_that_decides_who_else_is_to(blind):
    await join(blind, "b")
    await answered(blind, "a", TAKEN)
    await blind.engine.submit(
        people.edit_workspace(blind.workspace.id, {"retentionDays": 1, "incidentRetentionDays": 1}, ACTOR)
    )
    blind.engine.clock.advance(2 * DAY)
    before = await gaps(blind)
    await retention.prune(blind.engine)
    assert await gaps(blind) == before
    blind.engine.clock.advance(9 * DAY)
    await retention.prune(blind.engine)
    assert {state for _, state in await gaps(blind)} == {"queued"}


async def test_a_blind_window_lost_with_the_only_channel_is_told_to_one_that_is_added_after_that(blind):
    await leaves(blind)
    await join(blind, "a")
    assert await gaps(blind) == [("a", "cancelled"), ("a", "queued")]


async def test_a_channel_that_joins_hears_of_each_blind_window_that_nobody_heard_of_in_their_order(blind):
    await refuses(blind)
    await blinded(blind)
    await refuses(blind)
    await join(blind, "b")
    told = await fetch(
        blind.engine.reader,
        "SELECT notice ->> '$.to' FROM deliveries WHERE type = 'watch.gap' AND next_attempt_at IS NOT NULL ORDER BY seq",
    )
    now = blind.engine.clock.now()
    assert told == [(now - 2 * HOUR,), (now,)]


@pytest.mark.parametrize(("later", "hears"), [(7 * DAY, True), (7 * DAY + 1, False)])
async def test_a_channel_that_joins_hears_of_blind_windows_of_the_last_seven_days(blind, later, hears):
    await refuses(blind)
    blind.engine.clock.advance(later)
    await join(blind, "b")
    assert (("b", "queued") in await gaps(blind)) is hears


async def test_a_channel_that_joins_hears_of_no_blind_window_of_another_workspace(blind):
    await refuses(blind)
    other = await blind.engine.submit(people.create_workspace("Other", None, ACTOR))
    await blind.engine.submit(channels.add(other, {"type": "webhook", "name": "theirs", "url": NOWHERE}, ACTOR))
    assert await gaps(blind) == [("a", "failed_terminal")]


@pytest.mark.parametrize(("sql", "values"), [(routes._GAPS_LOST, ('["x"]',)), (routes._GAPS_TO_JOINING, ("x", 1, "y"))])
async def test_who_heard_of_a_blind_window_is_found_by_an_index(blind, sql, values):
    plan = await fetch(blind.engine.reader, f"EXPLAIN QUERY PLAN {sql}", values)
    steps = [row[3] for row in plan]
    assert sum("SEARCH e USING INDEX deliveries_of_gaps (workspace_id=? AND <expr>=?)" in one for one in steps) == 2
    assert any(one.startswith("SEARCH d ") for one in steps), steps
