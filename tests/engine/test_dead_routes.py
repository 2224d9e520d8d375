"""Who hears of a dead route: somebody once, for as long as it fails, whoever joins and whatever retention takes."""

import pytest

from luota.cli.channels import _last
from luota.core.retry import AttemptResult
from luota.engine import channels, dead_routes, retention
from luota.engine.deliveries import RecordAttempt, give_up, prove
from luota.engine.retention import DAY, prune
from luota.store import incidents, writes
from luota.store.reads import fetch
from tests.alerts.rig import rigged
from tests.clock import FakeClock
from tests.engines import ACTOR

NOWHERE = "http://192.0.2.1/"
GONE = AttemptResult(ok=False, terminal=True, status=410, error="HTTP 410 from the receiver")
TAKEN = AttemptResult(ok=True, status=200)


@pytest.fixture
async def rig(tmp_path):
    """A rig with a channel a, by which nothing is sent but what the test says was."""
    async with rigged(tmp_path, FakeClock()) as rig:
        rig.ids = {"a": await rig.channel("a", NOWHERE)}
        yield rig


async def join(rig, name):
    rig.ids[name] = await rig.channel(name, NOWHERE)


async def answered(rig, name, result, of="%", most=-1):
    """Let all that waits for a channel be answered so, or all of a type, or the oldest of it."""
    sql = (
        "SELECT id, type FROM deliveries WHERE next_attempt_at IS NOT NULL AND channel_id = ? AND type LIKE ? "
        "ORDER BY seq LIMIT ?"
    )
    for delivery_id, type_ in await fetch(rig.engine.reader, sql, (rig.ids[name], of, most)):
        rig.engine.clock.advance(1)
        now = rig.engine.clock.now()
        record = RecordAttempt(delivery_id, rig.ids[name], 1, now, now, result, None, rig.workspace.id)
        await rig.engine.submit(record if result.ok else give_up(record, type_))


async def fails(rig, name):
    """Let a notice to a channel be given up, of an incident that is over for good by then."""
    live = await rig.monitor(channels=[name])
    await rig.fail(live)
    await answered(rig, name, GONE)
    rig.engine.clock.advance(1)
    await rig.succeed(live)
    await answered(rig, name, GONE)


async def proven(rig, name):
    """Let a test of a channel arrive."""
    delivery_id = await rig.engine.submit(channels.test(rig.workspace.id, rig.ids[name], name, ACTOR))
    now = rig.engine.clock.now()
    await rig.engine.submit(
        prove(RecordAttempt(delivery_id, rig.ids[name], 1, now, now, TAKEN, None, rig.workspace.id))
    )


async def announced(rig):
    """Return who was, or is to be, told of which dead route, in order."""
    sql = (
        "SELECT c.name, json_extract(d.notice, '$.channel.name'), d.state FROM deliveries d "
        "JOIN channels c ON c.id = d.channel_id WHERE d.type = 'channel.failed' ORDER BY d.seq"
    )
    return await fetch(rig.engine.reader, sql)


async def test_a_channel_that_joins_hears_of_a_dead_route_of_which_there_was_nobody_to_tell(rig):
    await fails(rig, "a")
    await join(rig, "b")
    assert await announced(rig) == [("b", "a", "queued")]
    await join(rig, "c")
    assert await announced(rig) == [("b", "a", "queued"), ("c", "a", "queued")], "nobody knows of it yet"
    await fails(rig, "a")
    await answered(rig, "c", TAKEN)
    await join(rig, "d")
    await fails(rig, "a")
    assert await announced(rig) == [("b", "a", "queued"), ("c", "a", "delivered")], "somebody is to be told, or was"


async def test_what_a_joining_channel_is_told_of_a_dead_route_names_it_and_its_error(rig):
    await fails(rig, "a")
    await join(rig, "b")
    ((said,),) = await fetch(
        rig.engine.reader, "SELECT notice -> '$.channel' FROM deliveries WHERE type = 'channel.failed'"
    )
    assert f'{{"id":"{rig.ids["a"]}","name":"a","type":"webhook","error":"HTTP 410 from the receiver"}}' == said


async def test_a_dead_route_is_announced_by_each_further_notice_given_up_until_somebody_was_told(rig):
    await join(rig, "b")
    for _ in range(2):
        await fails(rig, "a")
        await answered(rig, "b", GONE, "channel.failed")
    assert await announced(rig) == [("b", "a", "failed_terminal")] * 2
    await fails(rig, "a")
    await fails(rig, "a")
    assert (await announced(rig))[2:] == [("b", "a", "queued")], "once while it is on its way"
    await answered(rig, "b", TAKEN)
    await fails(rig, "a")
    assert (await announced(rig))[2:] == [("b", "a", "delivered")]


async def test_a_channel_whose_test_arrives_hears_of_a_dead_route_of_which_nobody_was_told(rig):
    await join(rig, "b")
    await fails(rig, "a")
    await proven(rig, "b")
    assert await announced(rig) == [("b", "a", "queued")], "it is to be told"
    await answered(rig, "b", GONE, "channel.failed")
    await proven(rig, "b")
    assert await announced(rig) == [("b", "a", "failed_terminal"), ("b", "a", "queued")]


async def delivers(rig, name):
    """Let a notice to a channel arrive that is no test."""
    await rig.fail(await rig.monitor(channels=[name]))
    await answered(rig, name, TAKEN)


async def leaves(rig, name):
    await rig.engine.submit(channels.remove(rig.workspace.id, rig.ids[name], name, ACTOR))


@pytest.mark.parametrize(
    ("what", "why"), [(proven, "delivers again"), (delivers, "delivers again"), (leaves, "was removed")]
)
async def test_nobody_is_told_any_more_of_a_dead_route_that_delivers_again_or_is_gone(rig, what, why):
    await join(rig, "b")
    await fails(rig, "a")
    await what(rig, "a")
    assert await announced(rig) == [("b", "a", "cancelled")]
    sql = "SELECT last_error, next_attempt_at FROM deliveries WHERE type = 'channel.failed'"
    assert await fetch(rig.engine.reader, sql) == [(f"the channel that it tells of {why}", None)]


async def test_the_other_dead_routes_are_told_of_all_the_same_when_one_delivers_again(rig):
    await fails(rig, "a")
    await join(rig, "b")
    await fails(rig, "b")
    await join(rig, "c")
    before = await announced(rig)
    assert ("c", "a", "queued") in before
    assert ("c", "b", "queued") in before
    await delivers(rig, "a")
    after = await announced(rig)
    assert ("c", "a", "cancelled") in after
    assert ("c", "b", "queued") in after


async def test_an_announcement_that_arrives_when_the_route_has_died_again_stands_for_no_other(rig):
    await join(rig, "b")
    await fails(rig, "a")
    sql = "SELECT id FROM deliveries WHERE type = 'channel.failed'"
    ((under_way,),) = await fetch(rig.engine.reader, sql)
    await delivers(rig, "a")
    await fails(rig, "a")
    assert await announced(rig) == [("b", "a", "cancelled"), ("b", "a", "queued")]
    now = rig.engine.clock.now()
    await rig.engine.submit(RecordAttempt(under_way, rig.ids["b"], 1, now, now, TAKEN, None, rig.workspace.id))
    await join(rig, "c")
    assert await announced(rig) == [("b", "a", "delivered"), ("b", "a", "queued"), ("c", "a", "queued")]


async def test_a_dead_route_is_announced_once_though_retention_has_taken_all_that_told_of_it(rig, monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0)
    await join(rig, "b")
    await fails(rig, "a")
    await answered(rig, "b", TAKEN)
    rig.engine.clock.advance(1000 * DAY)
    await prune(rig.engine)
    assert await fetch(rig.engine.reader, "SELECT 1 FROM deliveries") == []
    await fails(rig, "a")
    assert await announced(rig) == []


async def test_why_a_channel_is_a_dead_route_is_known_when_retention_has_taken_the_notice(rig, monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0)
    await fails(rig, "a")
    ((since,),) = await fetch(rig.engine.reader, "SELECT failed_at FROM channels")
    rig.engine.clock.advance(1000 * DAY)
    await prune(rig.engine)
    (listed,) = await incidents.channels(rig.engine.reader, rig.workspace.id)
    assert (listed.failed_at, listed.failed_error, listed.last) == (since, GONE.error, None)
    told = incidents.channel_json(listed)
    assert _last(told) == f"failed, terminal since {told['failedAt']}: HTTP 410 from the receiver"
    await rig.fail(await rig.monitor(channels=["a"]))
    await answered(rig, "a", TAKEN)
    (listed,) = await incidents.channels(rig.engine.reader, rig.workspace.id)
    assert (listed.failed_at, listed.failed_error) == (None, None)


@pytest.mark.parametrize(
    ("sql", "values"), [(dead_routes._THIS, ("x",)), (writes._ROW_BY_ROW["unannounced"], (1, "why", "x"))]
)
async def test_whether_an_announcement_is_on_its_way_is_found_by_an_index(rig, sql, values):
    plan = await fetch(rig.engine.reader, f"EXPLAIN QUERY PLAN {sql}", values)
    steps = [row[3] for row in plan]
    assert any("deliveries_announcing" in step for step in steps), steps
