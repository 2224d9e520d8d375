"""What the pages read of one monitor."""

import json

from luota.core.model import Mode, RunState
from luota.store import history
from tests.served import NOW, serve, served  # noqa: F401

MINUTE, HOUR = 60_000, 3_600_000


async def test_events_are_the_newest_first_and_at_most_as_many_as_asked(served):
    monitor = await served.monitor()
    for _ in range(30):
        served.clock.advance(MINUTE)
        await monitor.ping({"payload": {"rows": 5, "host": "db1"}})
    found = await history.events(served.engine.reader, monitor.id)
    assert len(found) == 25
    assert [event.received_at for event in found] == [NOW + (30 - i) * MINUTE for i in range(25)]
    assert (found[0].kind, found[0].host, found[0].payload) == ("heartbeat", "db1", '{"rows": 5, "host": "db1"}')
    assert found[0].duration is None


async def test_an_event_of_a_run_has_its_state_duration_and_exit_code(served):
    monitor = await served.monitor("run")
    run = await monitor.started("a")
    served.clock.advance(90_400)
    await monitor.fail(run, {"summary": "no space", "exitCode": 3, "payload": {"x": "y" * 900}})
    (event,) = await history.events(served.engine.reader, monitor.id)
    assert (event.kind, event.id, event.state) == ("run", run, "failed")
    assert (event.duration, event.exit_code, event.summary) == (90_000, 3, "no space")
    assert len(event.payload) == history.PREVIEW


async def test_a_run_was_last_heard_of_when_it_ended_and_one_that_is_open_when_it_started(served):
    monitor = await served.monitor("run")
    long = await monitor.started("long")
    served.clock.advance(HOUR)
    await monitor.started("open")
    served.clock.advance(MINUTE)
    await monitor.fail(long)
    found = await history.events(served.engine.reader, monitor.id)
    assert [event.heard_at - NOW for event in found] == [HOUR, HOUR + MINUTE]
    assert [event.received_at - NOW for event in found] == [HOUR, 0]


async def test_the_latest_is_a_run_that_ended_after_more_starts_than_the_events_hold(served):
    monitor, reader = await served.monitor("run"), served.engine.reader
    assert await history.latest(reader, monitor.id, ()) is None
    long = await monitor.started("long")
    for number in range(25):
        served.clock.advance(MINUTE)
        last = await monitor.started(f"n{number}")
    events = await history.events(reader, monitor.id)
    assert (await history.latest(reader, monitor.id, events)).id == last
    served.clock.advance(MINUTE)
    await monitor.success(long)
    events = await history.events(reader, monitor.id)
    assert long not in {event.id for event in events}
    found = await history.latest(reader, monitor.id, events)
    assert (found.id, found.heard_at) == (long, served.clock.now())
    served.clock.advance(MINUTE)
    again = await monitor.started("again")
    assert (await history.latest(reader, monitor.id, await history.events(reader, monitor.id))).id == again


async def test_the_run_that_ended_last_is_found_by_an_index(served):
    plan = served.rows(f"EXPLAIN QUERY PLAN {history._NEWEST_END}", "x")
    assert [row[3] for row in plan] == ["SEARCH runs USING INDEX runs_ended (monitor_id=? AND finish_received_at>?)"]


async def test_a_payload_is_read_whole_with_the_keys_at_its_top(served):
    monitor, reader = await served.monitor(), served.engine.reader
    for body in ({"payload": {"rows": 5, "text": "y" * 900}}, None):
        served.clock.advance(MINUTE)
        await monitor.ping(body)
    bare, sent = await history.events(reader, monitor.id)
    whole = await history.payload_of(reader, monitor.id, sent)
    assert (whole.keys, json.loads(whole.text)) == (("rows", "text"), {"rows": 5, "text": "y" * 900})
    assert await history.payload_of(reader, monitor.id, bare) == history.Payload(None, ())


async def test_the_payload_of_a_run_is_that_of_its_close_if_any(served):
    monitor, reader = await served.monitor("run"), served.engine.reader
    run = await monitor.started("a", {"payload": {"start": 1}})

    async def keys():
        (event,) = await history.events(reader, monitor.id)
        return (await history.payload_of(reader, monitor.id, event)).keys

    assert await keys() == ("start",)
    await monitor.fail(run, {"summary": "x", "payload": {"close": 2}})
    assert await keys() == ("close",)


async def test_signals_come_in_the_order_of_receipt_and_can_be_bounded(served):
    monitor = await served.monitor()
    for _ in range(5):
        served.clock.advance(MINUTE)
        await monitor.ping()
    reader, at = served.engine.reader, [NOW + i * MINUTE for i in range(1, 6)]

    async def received(**bounds):
        return [s.received_at for s in await history.signals(reader, monitor.id, Mode.HEARTBEAT, **bounds)]

    assert await received() == at
    assert await received(most=2) == at[-2:]
    assert await received(since=at[3]) == at[3:]


async def test_signals_of_a_run_monitor_are_its_starts_with_what_became_of_them(served):
    monitor = await served.monitor("run")
    good, bad = await monitor.started("a"), await monitor.started("b")
    served.clock.advance(MINUTE)
    await monitor.success(good)
    await monitor.fail(bad)
    still = await monitor.started("c")
    found = await history.signals(served.engine.reader, monitor.id, Mode.RUN)
    assert {s.run: s.state for s in found} == {
        good: RunState.SUCCESS,
        bad: RunState.FAILED,
        still: RunState.RUNNING,
    }
    assert found[-1].run == still


async def test_durations_are_whole_seconds_the_oldest_first_and_open_runs_have_none(served):
    monitor = await served.monitor("run")
    for name, took in (("a", 1_999), ("b", 60_000)):
        run = await monitor.started(name)
        served.clock.advance(took)
        await monitor.success(run)
    await monitor.started("c")
    found = await history.durations(served.engine.reader, monitor.id)
    assert [(one.duration, one.state.value) for one in found] == [
        (1_000, "success"),
        (60_000, "success"),
        (None, "running"),
    ]
    assert [one.duration for one in await history.durations(served.engine.reader, monitor.id, 2)] == [60_000, None]


async def test_incidents_of_a_monitor_are_the_newest_first(served):
    monitor = await served.monitor("run")
    for name in "ab":
        run = await monitor.started(name)
        await monitor.fail(run)
        served.clock.advance(MINUTE)
        run = await monitor.started(name + "2")
        served.clock.advance(MINUTE)
        await monitor.success(run)
    found = await history.incidents(served.engine.reader, monitor.id)
    assert [(one.kind.value, one.state, one.opened_at) for one in found] == [
        ("failed", "resolved", NOW + 2 * MINUTE),
        ("failed", "resolved", NOW),
    ]
    assert found[0].resolved_at == NOW + 4 * MINUTE
    assert len(await history.incidents(served.engine.reader, monitor.id, 1)) == 1


async def test_one_run_is_read_whole_within_its_workspace_only(served):
    monitor = await served.monitor("run")
    run_id = await monitor.started("a", {"host": "db1", "payload": {"a": 1}, "tags": {"region": "eu"}})
    await monitor.fail(run_id, {"summary": "broke", "output": "x" * 5_000, "payload": {"b": 2}})
    workspace = served.row("SELECT id FROM workspaces")[0]
    run = await history.run_of(served.engine.reader, workspace, run_id)
    assert (run.state, run.host, len(run.output)) == ("failed", "db1", 5_000)
    assert (run.start_payload, run.close_payload) == ('{"a": 1}', '{"b": 2}')
    assert run.facts.tags == {"region": "eu"}
    assert await history.run_of(served.engine.reader, "another", run_id) is None
    assert await history.run_of(served.engine.reader, workspace, "unknown") is None


async def test_a_run_is_compared_with_the_last_healthy_one_before_it(served):
    monitor = await served.monitor("run")
    ids = []
    for number, close in enumerate((monitor.success, monitor.success, monitor.fail, monitor.fail, monitor.success)):
        served.clock.advance(MINUTE)
        ids.append(await monitor.started(f"n{number}"))
        await close(ids[-1])
    workspace = served.row("SELECT id FROM workspaces")[0]
    reader = served.engine.reader
    runs = [await history.run_of(reader, workspace, run_id) for run_id in ids]
    healthy = [await history.healthy_before(reader, run) for run in runs]
    assert [one and one.id for one in healthy] == [None, ids[0], ids[1], ids[1], ids[1]]
    assert [await history.neighbours(reader, run) for run in runs] == [
        (before, after) for before, after in zip([None, *ids], [*ids[1:], None], strict=False)
    ]
