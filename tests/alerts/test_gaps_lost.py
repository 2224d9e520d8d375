"""A notice of a blind window that nobody got, and is lost with its channel, is told elsewhere."""

import pytest

from luota.core.retry import AttemptResult
from luota.core.spec.ingest import Ping
from luota.engine import routes
from luota.engine.channels import tell_gaps
from luota.engine.deliveries import RecordAttempt, give_up
from luota.engine.ingest import RecordPing
from luota.store.reads import fetch
from tests.alerts.test_routes import HOUR, NOWHERE, ledger, removed

GONE = AttemptResult(ok=False, terminal=True, status=410, error="HTTP 410 from the receiver")
TAKEN = AttemptResult(ok=True, status=200)


@pytest.fixture
async def blind(timed):
    """A rig with a channel a, to which the notice of a blind window waits; nothing is sent but what the test says."""
    timed.ids = {}
    await join(timed, "a")
    live = await timed.monitor(mode="heartbeat", schedule={"every": 60})
    await timed.engine.submit(RecordPing(live.id, Ping(), timed.engine.clock.now()))
    timed.engine.clock.step(2 * HOUR)
    await timed.engine.stamp()
    while await timed.engine.judge(timed.engine.clock.now()):
        pass
    await timed.engine.submit(tell_gaps)
    assert await gaps(timed) == [("a", "queued")]
    return timed


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
    await join(blind, "e")
    await answered(blind, "c", GONE)
    assert await gaps(blind) == [*before[:2], ("c", "failed_terminal"), ("d", "queued")], "it is on its way"
    await answered(blind, "d", TAKEN)
    assert len(await gaps(blind)) == 4


async def test_a_blind_window_that_was_heard_of_is_told_to_no_other_when_what_waits_elsewhere_is_lost(blind):
    await join(blind, "b", "c")
    await refuses(blind)
    await answered(blind, "b", TAKEN)
    await join(blind, "d")
    await answered(blind, "c", GONE)
    assert [row[0] for row in await gaps(blind)] == ["a", "b", "c"]


async def test_who_heard_of_a_blind_window_is_found_by_an_index(blind):
    plan = await fetch(blind.engine.reader, f"EXPLAIN QUERY PLAN {routes._GAPS_UNTOLD}", ('["x"]',))
    steps = [row[3] for row in plan]
    assert sum("deliveries_of_channel (channel_id=? AND queued_at>?)" in step for step in steps) == 2, steps
