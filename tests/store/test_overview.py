"""What the overview reads of many monitors at once."""

import re

import pytest

from luota.core.model import Mode
from luota.core.spec.values import format_instant
from luota.store import overview
from tests.served import NOW, serve, served  # noqa: F401

MINUTE, HOUR = 60_000, 3_600_000


async def bar_of(served, *monitors, n=5):
    lives = [served.engine.registry.monitors[monitor.id] for monitor in monitors]
    found = await overview.bars(served.engine.reader, lives, served.engine.registry.windows, served.clock.now(), n)
    return [[slot.state.value for slot in found[monitor.id]] for monitor in monitors]


async def test_cards_hold_what_people_gave_and_no_archived_monitor_nor_a_twin_of_a_drill(served):
    one = await served.monitor(name="B", owner="ops", tags={"region": "eu"}, promise="It is there.", environment="prod")
    await served.monitor(name="A")
    gone = await served.monitor(name="gone")
    await gone.archive()
    twin = await served.monitor(name="twin")
    await served.engine.writer._db.execute("UPDATE monitors SET drill_of = ? WHERE id = ?", (one.id, twin.id))
    workspace = served.row("SELECT id FROM workspaces")[0]
    first, second = await overview.cards(served.engine.reader, workspace)
    assert (first.name, first.owner, first.tags) == ("A", "", {})
    assert (second.id, second.owner, second.promise, second.environment) == (one.id, "ops", "It is there.", "prod")
    assert second.tags == {"region": "eu"}
    assert await overview.cards(served.engine.reader, "another") == []


async def test_bars_of_many_monitors_are_each_their_own(served):
    hourly = [await served.monitor(name=f"m{number}") for number in range(30)]
    run = await served.monitor("run")
    for hour in range(3):
        for number, monitor in enumerate(hourly):
            if hour != 1 or number % 2:
                await monitor.ping()
        failed = await run.started(f"r{hour}")
        await run.fail(failed)
        served.clock.advance(HOUR)
    bars = await bar_of(served, *hourly, run)
    assert bars[:-1] == [["ok", "ok", "ok", "late"] if n % 2 else ["ok", "missed", "late", "late"] for n in range(30)]
    assert bars[-1] == ["failed"] * 3


async def test_where_older_signals_were_not_read_the_bar_is_shorter_instead_of_wrong(served):
    monitor = await served.monitor(schedule={"cron": "0 * * * *"}, graceSeconds=600)
    for _ in range(60):
        served.clock.advance(5 * MINUTE)
        await monitor.ping()
    assert await bar_of(served, monitor, n=5) == [["ok", "ok"]]


async def test_a_pause_is_drawn_for_as_long_as_it_lasted(served):
    monitor = await served.monitor()
    await monitor.ping()
    await served.api("POST", f"/api/monitors/{monitor.id}/pause", {"for": "2h"})
    served.clock.advance(4 * HOUR)
    await served.judge()
    assert await bar_of(served, monitor) == [["ok", "paused", "missed", "late"]]
    assert await bar_of(served) == []


async def test_open_incidents_are_those_of_the_workspace_that_nobody_resolved(served):
    monitor = await served.monitor("run", name="job")
    await monitor.fail(await monitor.started("a"))
    other = await served.monitor("run", name="other")
    await other.fail(await other.started("b"))
    await other.success(await other.started("c"))
    served.clock.advance(MINUTE)
    await other.success(await other.started("d"))
    workspace = served.row("SELECT id FROM workspaces")[0]
    (found,) = await overview.open_incidents(served.engine.reader, workspace)
    assert (found.monitor_id, found.kind.value, found.state, found.opened_at) == (monitor.id, "failed", "open", NOW)
    assert "it broke" in found.summary
    assert await overview.open_incidents(served.engine.reader, "another") == []


async def test_each_query_of_a_bar_finds_its_rows_by_an_index(served):
    queries = [overview.signals_sql(Mode.HEARTBEAT), overview.signals_sql(Mode.RUN), overview._INCIDENTS]
    queries += overview._PAST.values()  # they hold the others
    for sql in (*queries, overview._PAUSES, overview._PINGED, overview._SUCCEEDED):
        places = {int(number) for number in re.findall(r"\?(\d)", sql)} or range(sql.count("?"))
        plan = served.rows(f"EXPLAIN QUERY PLAN {sql}", *["x"] * len(places))
        steps = [row[3] for row in plan if row[3].startswith(("SCAN", "SEARCH"))]
        assert all(
            re.search("USING (COVERING )?INDEX|PRIMARY KEY|SCAN (walk|found|CONSTANT ROW|\\(subquery)", step)
            for step in steps
        ), (sql, plan)
        assert not any("TEMP B-TREE" in row[3] for row in plan), (sql, plan)


@pytest.mark.parametrize(
    ("asked", "then", "lasted"),
    [
        ({}, "resume", 20),
        ({"for": "10m"}, None, 10),
        ({"for": "10m"}, "pause", 5),
        ({"untilHealthy": True}, None, 30),
        ({"untilHealthy": True}, "pause", 20),
    ],
)
@pytest.mark.parametrize("mode", ["heartbeat", "run"])
async def test_pauses_come_from_the_audit_log_and_end_with_what_ends_them(served, mode, asked, then, lasted):
    monitor = await served.monitor(mode)
    run = await monitor.started("a") if mode == "run" else None
    await monitor.success(run) if run else await monitor.ping()
    served.clock.advance(MINUTE)
    began = served.clock.now()
    await served.api("POST", f"/api/monitors/{monitor.id}/pause", asked)
    second = 5 if asked.get("for") else 20
    served.clock.advance(second * MINUTE)
    if then:
        await served.api("POST", f"/api/monitors/{monitor.id}/{then}", {} if then == "pause" else None)
    served.clock.advance((30 - second) * MINUTE)
    for number in "bc":
        await monitor.success(await monitor.started(number)) if run else await monitor.ping()
        served.clock.advance(MINUTE)
    ends = began + lasted * MINUTE
    still = ((began + second * MINUTE, 1 << 62),) if then == "pause" else ()
    assert await overview.pauses(served.engine.reader, monitor.id, Mode(mode)) == ((began, ends), *still)


async def test_of_runs_only_the_receipt_of_a_success_ends_a_pause_until_healthy(served):
    monitor = await served.monitor("run")
    bad, good = await monitor.started("a"), await monitor.started("b")
    served.clock.advance(MINUTE)
    began = served.clock.now()
    await served.api("POST", f"/api/monitors/{monitor.id}/pause", {"untilHealthy": True})
    served.clock.advance(MINUTE)
    await monitor.fail(bad)
    served.clock.advance(MINUTE)
    await monitor.success(good, {"finishedAt": format_instant(began - 1)})
    assert (await monitor.shown())["status"] != "paused"
    assert await overview.pauses(served.engine.reader, monitor.id, Mode.RUN) == ((began, began + 2 * MINUTE),)
