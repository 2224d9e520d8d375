"""What one message about many incidents tells of each."""

import re

import pytest

from luota.alerts.brief import brief
from luota.alerts.words import facts
from luota.core.model import RunState
from luota.core.spec.ingest import Ping
from luota.engine import Judge
from luota.engine.deliveries import gather
from luota.engine.ingest import RecordPing
from luota.engine.reminders import remind
from luota.store import deliveries
from luota.store.reads import fetch
from tests.alerts.test_notice import created, engine, notices, ran  # noqa: F401 (engine is a fixture)

HOUR = 3_600_000


async def digest(engine):  # noqa: F811
    """Gather all that waits for the channel; return the digest, as the sender would tell it."""
    waiting = await deliveries.waiting_first(engine.reader, engine.channel, engine.clock.now())
    workspace_id = next(iter(engine.registry.workspaces))
    await engine.submit(gather(workspace_id, engine.channel, [delivery_id for delivery_id, *_ in waiting]))
    (notice,) = await notices(engine)
    assert notice.type == "incident.digest"
    return notice


async def lines(engine):  # noqa: F811
    return dict(facts(await digest(engine)))["Incidents"].split("\n")


@pytest.fixture
async def jobs(engine):  # noqa: F811
    return [await created(engine, name=f"job {n}", mode="run", reminderSeconds="1h") for n in range(2)]


async def test_an_end_whose_opening_nobody_was_told_of_tells_both(engine, jobs):  # noqa: F811
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED, summary="disk full")
        await ran(engine, live, "2", RunState.SUCCESS)
    said = r"job \d: failed \(resolved after 1 min 1 s\): run \S{36} failed: disk full; ended by: run \S{36} succeeded"
    told = await lines(engine)
    assert [bool(re.fullmatch(said, line)) for line in told] == [True, True], told


async def test_such_an_end_is_counted_and_told_in_few_words_as_both(engine, jobs):  # noqa: F811
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED, summary="disk full")
        await ran(engine, live, "2", RunState.SUCCESS)
    notice = await digest(engine)
    assert notice.summary == "Many incidents at once: 2 opened and resolved"
    assert brief(notice) == "failed (opened and resolved):\njob 0\njob 1\n"


async def test_an_end_whose_opening_was_told_tells_how_long_it_lasted_and_what_ended_it(engine, jobs):  # noqa: F811
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED, summary="disk full")
    assert all(
        re.fullmatch(r"job \d: failed \(open\): run \S+ failed: disk full", line) for line in await lines(engine)
    )
    for live in jobs:
        await ran(engine, live, "2", RunState.SUCCESS)
    first, _ = await lines(engine)
    assert re.fullmatch(r"job 0: failed \(resolved after 2 min 2 s\): run \S+ succeeded", first)
    assert "disk full" not in first


async def test_instants_in_a_digest_are_told_in_the_timezone_of_each_monitor(engine):  # noqa: F811
    zones = {"Europe/Helsinki": "+02:00", "Asia/Tokyo": "+09:00", "UTC": "+00:00"}
    for zone in zones:
        schedule = {"cron": "0 2 * * *", "timezone": zone}
        live = await created(engine, name=zone, mode="heartbeat", schedule=schedule, graceSeconds=60)
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    engine.clock.advance(30 * HOUR)
    await engine.submit(Judge(list(engine.registry.monitors)))
    told = await lines(engine)
    for line in told:
        zone, offset = next(one for one in zones.items() if line.startswith(one[0]))
        instant = rf"2026-11-2\d \d\d:00:00 {re.escape(offset)}"
        assert re.fullmatch(
            rf"{zone}: missed \(open\): no ping since {instant}, expected \S+ 02:00:00 {re.escape(offset)}, grace 1 min",
            line,
        ), line
    assert len(told) == len(zones)


async def test_what_was_wrong_with_what_has_ended_is_told_in_the_timezone_of_its_monitor_too(engine):  # noqa: F811
    schedule = {"cron": "0 2 * * *", "timezone": "Asia/Tokyo"}
    lives = [await created(engine, name=f"job {n}", mode="heartbeat", schedule=schedule) for n in range(2)]
    for live in lives:
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    engine.clock.advance(30 * HOUR)
    await engine.submit(Judge([live.id for live in lives]))
    for live in lives:
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    told = await lines(engine)
    assert all(re.search(r": no ping since \S+ \d\d:00:00 \+09:00, expected .*; ended by: ", line) for line in told), (
        told
    )


async def test_reminders_of_many_incidents_are_told_together(engine, jobs):  # noqa: F811
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED, summary="disk full")
    await digest(engine)
    engine.clock.advance(HOUR)
    await engine.submit(remind)
    notice = await digest(engine)
    assert notice.summary == "Many incidents at once: 2 still open"
    assert [one.type for one in notice.digest] == ["incident.reminder"] * 2
    states = await fetch(
        engine.reader, "SELECT state, told_by IS NULL FROM deliveries WHERE type = 'incident.reminder'"
    )
    assert states == [("cancelled", 0)] * 2
