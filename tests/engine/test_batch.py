"""Several commands in one transaction: decided in order, each on what those before it left."""

import asyncio

from luota.core.errors import Code, LuotaError
from luota.core.model import RunState
from luota.core.spec.ingest import Close, Ping, Start
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from tests.served import LOOPBACK, NOBODY, NOW


async def together(served, *commands):
    """Submit all before the writer can take the first, so that they share a transaction; return the results."""
    futures = [served.engine.writer.submit(command) for command in commands]
    return await asyncio.gather(*futures, return_exceptions=True)


async def started(served, monitor, *names):
    results = await together(served, *(StartRun(monitor.id, Start(name), NOW) for name in names))
    return [result.run.id for result in results]


async def test_two_pings_of_one_monitor_are_both_kept(served):
    monitor = await served.monitor()
    one, two = await together(served, RecordPing(monitor.id, Ping(), NOW), RecordPing(monitor.id, Ping(), NOW))
    kept = {heartbeat for (heartbeat,) in served.rows("SELECT id FROM heartbeats")}
    assert kept == {one.heartbeat_id, two.heartbeat_id}
    assert len(kept) == 2


async def test_the_same_start_twice_is_one_run(served):
    monitor = await served.monitor("run")
    one, two = await started(served, monitor, "same", "same")
    assert one == two
    assert served.row("SELECT count(*) FROM runs") == (1,)


async def test_of_two_opposite_closes_the_first_wins_and_the_second_is_told(served):
    monitor = await served.monitor("run")
    (run,) = await started(served, monitor, "a")
    won, lost = await together(
        served,
        CloseRun(run, RunState.FAILED, Close(summary="x"), NOW),
        CloseRun(run, RunState.SUCCESS, Close(), NOW),
    )
    assert won.run.state == "failed"
    assert isinstance(lost, LuotaError)
    assert lost.code is Code.CONFLICT
    assert served.row("SELECT state FROM runs") == ("failed",)


async def test_an_incident_that_opens_ends_and_opens_again_is_two_with_their_notices_in_order(serve):
    served = await serve(allow=LOOPBACK)
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "ops", "url": "http://127.0.0.1:1/"})
    monitor = await served.monitor("run")
    one, two, three = await started(served, monitor, "1", "2", "3")
    await together(
        served,
        CloseRun(one, RunState.FAILED, Close(summary="first"), NOW + 1),
        CloseRun(two, RunState.SUCCESS, Close(), NOW + 2),
        CloseRun(three, RunState.FAILED, Close(summary="second"), NOW + 3),
    )
    found = served.rows("SELECT run_id, state, resolved_at FROM incidents ORDER BY opened_at")
    assert found == [(one, "resolved", NOW + 2), (three, "open", None)]
    assert [type_ for (type_,) in served.rows("SELECT type FROM deliveries ORDER BY seq")] == [
        *("incident.opened", "incident.resolved", "incident.opened"),
    ]
    assert (await monitor.shown())["status"] == "incident"


async def test_a_refused_command_takes_no_other_with_it(served):
    monitor = await served.monitor()
    refused, accepted = await together(served, RecordPing(NOBODY, Ping(), NOW), RecordPing(monitor.id, Ping(), NOW))
    assert refused.code is Code.NOT_FOUND
    assert served.rows("SELECT id FROM heartbeats") == [(accepted.heartbeat_id,)]


async def test_a_command_behind_an_archiving_finds_nothing(served):
    monitor = await served.monitor("run")
    (run,) = await started(served, monitor, "a")
    await monitor.archive()
    start, close = await together(
        served,
        StartRun(monitor.id, Start("b"), NOW),
        CloseRun(run, RunState.SUCCESS, Close(), NOW),
    )
    assert (start.code, close.code) == (Code.NOT_FOUND, Code.UNAUTHENTICATED)
    assert close.message == "Invalid ingest key or run not found"


async def test_what_cannot_be_committed_changes_nothing_that_is_live(served):
    monitor = await served.monitor("run")
    (run,) = await started(served, monitor, "a")
    before = await monitor.shown()
    async with served.full_disk():
        big = "x" * 32_000
        close = CloseRun(run, RunState.FAILED, Close(summary="s", output=big), NOW)
        more = [StartRun(monitor.id, Start(f"b{n}", payload='{"x":"%s"}' % big), NOW) for n in range(4)]
        results = await together(served, close, *more)
    assert {result.code for result in results} == {Code.UNAVAILABLE}
    assert await monitor.shown() == before
    assert served.rows("SELECT id, state FROM runs") == [(run, "running")]
    assert served.row("SELECT count(*) FROM incidents") == (0,)


async def test_a_caller_who_left_is_no_defect_and_what_they_asked_for_is_done(served, caplog):
    monitor = await served.monitor()
    left = served.engine.writer.submit(RecordPing(monitor.id, Ping(), NOW))
    left.cancel()
    await together(served, RecordPing(monitor.id, Ping(), NOW))
    assert served.row("SELECT count(*) FROM heartbeats") == (2,)
    assert not caplog.records


async def test_an_answer_that_fails_keeps_nobody_else_waiting(served):
    monitor = await served.monitor()
    told = []

    def fails(result):
        told.append(result)
        raise RuntimeError("this caller is broken")

    queue = served.engine.writer.queue
    queue(RecordPing(monitor.id, Ping(), NOW), fails)
    async with asyncio.timeout(10):
        (other,) = await together(served, RecordPing(monitor.id, Ping(), NOW))
    assert served.rows("SELECT id FROM heartbeats ORDER BY seq") == [(told[0].heartbeat_id,), (other.heartbeat_id,)]
