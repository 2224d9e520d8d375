"""What a notice tells, and in which words, from real rows of a real engine."""

import re

import pytest

from luota.alerts import messages
from luota.alerts.notice import notice_of
from luota.alerts.words import facts, local_time, text, title
from luota.core.model import RunState
from luota.core.spec.ingest import Close, Ping, Start
from luota.core.spec.values import parse_instant
from luota.engine import Engine, channels, monitors
from luota.engine.channels import tell_gaps
from luota.engine.incidents import resolve
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from luota.store import deliveries
from luota.store.monitors import definitions
from tests.engines import ACTOR, engine_on, no_death, workspace_of
from tests.clock import FakeClock


@pytest.fixture
async def engine(tmp_path):
    async with engine_on(tmp_path, FakeClock(1_795_402_800_000)) as engine:
        workspace = next(iter(engine.registry.workspaces.values()))
        doc = {"type": "webhook", "name": "hook", "url": "http://192.0.2.1/"}
        engine.channel = await engine.submit(channels.add(workspace, doc, ACTOR))
        yield engine


async def created(engine, **doc):
    workspace = next(iter(engine.registry.workspaces.values()))
    return await engine.submit(monitors.create(workspace, doc, ACTOR))


async def ran(engine, live, name, state, start=None, **close):
    run = (await engine.submit(StartRun(live.id, start or Start(name), engine.clock.now()))).run
    engine.clock.advance(60_000)
    await engine.submit(CloseRun(run.id, state, Close(**close), engine.clock.now()))
    engine.clock.advance(1000)
    return run


async def notices(engine):
    """All that is queued for the channel, as the sender would tell it."""
    tests = [one for one in await deliveries.waiting_tests(engine.reader) if one.channel_id == engine.channel]
    wave = [*await deliveries.due(engine.reader, engine.channel, engine.clock.now(), 64), *tests]
    sql_seen = await deliveries.evidence(engine.reader, wave)
    defined = await definitions(engine.reader, [o.monitor_id for o in wave if o.monitor_id])
    made = [
        notice_of(o, "hook", defined.get(o.monitor_id or ""), sql_seen.get(o.id, deliveries.Evidence())) for o in wave
    ]

    async def sent(tx):
        for one in wave:
            await tx.execute("UPDATE deliveries SET next_attempt_at = NULL, state = 'delivered' WHERE id = ?", one.id)

    await engine.submit(sent)
    return made


async def test_a_failure_tells_promise_first_then_what_arrived_the_run_and_what_changed(engine):
    live = await created(
        engine,
        name="Weekly report",
        mode="run",
        schedule={"cron": "0 6 * * MON", "timezone": "Europe/Helsinki"},
        promise="Every customer has last week's figures by Monday 08:00.",
        owner="Ann",
        runbook="https://wiki.example.org/r",
    )
    await ran(engine, live, "w46", RunState.SUCCESS, Start("w46", deploy_sha="abc", host="db-1"))
    close = {"summary": "3 of 14 failed", "exit_code": 3, "output": "a\nb\n\x1b[31mboom\n"}
    await ran(engine, live, "w47", RunState.FAILED, Start("w47", deploy_sha="def", host="db-1"), **close)
    (notice,) = await notices(engine)
    assert title(notice) == "Weekly report: failed (open)"
    told = facts(notice)
    assert told[0] == ("Promise", "Every customer has last week's figures by Monday 08:00.")
    labels = [label for label, _ in told]
    assert labels[1:3] == ["Expected", "What arrived"]
    assert labels.index("Run summary") < labels.index("Owner") < labels.index("Output (end)")
    said = dict(told)
    assert said["Exit code"] == "3"
    assert said["Changed since the last healthy run"] == "deploy SHA: abc → def"
    assert said["Output (end)"] == "a\nb\n\\x1b[31mboom"
    assert said["Schedule"] == "cron 0 6 * * MON (Europe/Helsinki)"
    assert "+02:00 (Europe/Helsinki)" in said["Opened"]
    assert "    a\n    b\n" in text(notice)
    body = messages.body_of(notice)
    assert body["run"]["outputTail"] == "a\nb\n\x1b[31mboom\n"
    assert body["changes"] == [{"label": "deploy SHA", "before": "abc", "after": "def"}]


async def test_a_recovery_tells_how_long_it_lasted_and_which_signal_ended_it(engine):
    live = await created(engine, name="Report", mode="run", promise="Sent")
    await ran(engine, live, "1", RunState.FAILED, summary="broke")
    await notices(engine)
    await ran(engine, live, "2", RunState.SUCCESS, summary="mended")
    (notice,) = await notices(engine)
    assert title(notice) == "Report: failed (resolved after 1 min 1 s)"
    said = dict(facts(notice))
    assert said["Lasted"] == "1 min 1 s"
    assert said["Ended by"].endswith("succeeded")
    assert said["Run summary"] == "mended"
    assert "broke" in said["Was"]
    body = messages.body_of(notice)
    assert body["incident"]["durationSeconds"] == 61
    assert body["run"]["summary"] == "mended"
    assert body["incident"]["firstNotice"] is False
    assert "Note" not in said


async def test_a_recovery_that_comes_after_the_next_failure_tells_that_the_monitor_is_down_again(engine):
    live = await created(engine, name="Report", mode="run")
    await ran(engine, live, "1", RunState.FAILED)
    await ran(engine, live, "2", RunState.SUCCESS)
    await ran(engine, live, "3", RunState.FAILED)
    again_at = engine.clock.now() - 1000
    ended, again = await notices(engine)
    assert title(ended) == "Report: failed (resolved after 1 min 1 s, open again)"
    assert dict(facts(ended))["Open again"] == f"since {local_time(again_at, 'UTC')}, another incident"
    assert parse_instant(messages.body_of(ended)["incident"]["openAgainAt"], "at") == again_at
    assert again.incident.open_again_at is None

    await ran(engine, live, "4", RunState.SUCCESS)
    (ended,) = await notices(engine)
    assert ended.incident.open_again_at is None


async def test_a_recovery_that_is_the_first_word_of_an_incident_tells_both(engine):
    live = await created(engine, name="Report", mode="run", promise="Sent")
    await ran(engine, live, "1", RunState.FAILED, summary="broke")
    await ran(engine, live, "2", RunState.SUCCESS, summary="mended")
    (notice,) = await notices(engine)
    said = dict(facts(notice))
    assert "this one tells both" in said["Note"]
    assert "broke" in said["Was"]
    assert said["Expected"] == "a run that succeeds"


async def test_silence_tells_what_was_expected_when_in_the_zone_of_the_monitor_and_the_latest_signal(engine):
    live = await created(
        engine,
        name="Nightly",
        mode="heartbeat",
        schedule={"cron": "0 2 * * *", "timezone": "America/New_York"},
        graceSeconds=300,
    )
    origin = Ping(host="db-1", deploy_sha="abc")
    await engine.submit(RecordPing(live.id, origin, engine.clock.now()))
    engine.clock.advance(2 * 86_400_000)
    while await engine.judge(engine.clock.now()):
        pass
    notice, *_ = await notices(engine)
    assert title(notice) == "Nightly: missed (open)"
    said = dict(facts(notice))
    assert said["Expected"] == (
        f"a signal by {local_time(notice.incident.expected_at, 'America/New_York')}, grace 5 min"
    )
    assert " 02:00:00 -05:00 (America/New_York)" in said["Expected"]
    assert re.fullmatch(
        r"no ping since [0-9-]+ [0-9:]+ -05:00, expected [0-9-]+ 02:00:00 -05:00, grace 5 min", said["What arrived"]
    )
    assert (said["Host"], said["Deploy SHA"]) == ("db-1", "abc")
    body = messages.body_of(notice)
    assert (body["monitor"]["timezone"], body["monitor"]["graceSeconds"]) == ("America/New_York", 300)
    assert body["signal"]["host"] == "db-1"


async def test_an_instant_in_the_words_of_a_job_or_of_a_person_stays_as_they_wrote_it(engine):
    wrote = "stale since 2026-11-21T17:47:00.000Z"
    live = await created(
        engine, name="Nightly", mode="run", schedule={"cron": "0 2 * * *", "timezone": "America/New_York"}
    )
    run = await ran(engine, live, "1", RunState.FAILED, summary=wrote)
    (notice,) = await notices(engine)
    assert dict(facts(notice))["What arrived"] == f"run {run.id} failed: {wrote}"
    await engine.submit(resolve(notice.incident.id, wrote, ACTOR))
    (notice,) = await notices(engine)
    assert wrote in dict(facts(notice))["Ended by"]


async def gap_told(engine, down, *schedules):
    """The gap notice after Luota was down for so many milliseconds, with monitors of these schedules that were pinged."""
    for number, schedule in enumerate(schedules):
        live = await created(engine, name=f"job {number}", mode="heartbeat", schedule=schedule)
        await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    await engine.close()
    engine.clock.advance(down)
    again = await Engine.open(engine.data_dir, engine.clock, "a test")
    await again.watch(no_death)
    again.channel = engine.channel
    while await again.judge(again.clock.now()):
        pass
    await again.submit(tell_gaps)
    (notice,) = await notices(again)
    await again.close()
    return notice


def minutely(zone):
    return {"cron": "* * * * *", "timezone": zone}


async def test_a_gap_names_every_monitor_that_could_not_be_verified(engine):
    notice = await gap_told(engine, 3_600_000, *[{"every": 600}] * 3)
    assert title(notice) == "Luota was not watching for 1 h: 3 monitors unverified"
    assert text(notice).count("\n    job ") == 3
    assert len(messages.body_of(notice)["gap"]["unverified"]) == 3


@pytest.mark.parametrize("other", [{"every": 60}, minutely("UTC"), minutely("Europe/Helsinki")])
async def test_a_gap_is_told_in_the_one_timezone_that_its_monitors_name_and_utc_is_no_name(engine, other):
    said = dict(facts(await gap_told(engine, 90_000, minutely("Europe/Helsinki"), other)))
    assert said["Not watching"].endswith("2026-11-23 05:01:30 +02:00 (Europe/Helsinki)")


async def test_a_gap_of_monitors_that_name_no_timezone_is_told_in_utc(engine):
    said = dict(facts(await gap_told(engine, 90_000, {"every": 60}, minutely("UTC"))))
    assert said["Not watching"].endswith("2026-11-23 03:01:30 +00:00 (UTC)")


async def test_an_opening_that_is_told_later_belongs_to_when_it_was_queued_and_tells_when_it_opened(engine):
    await engine.submit(channels.remove(workspace_of(engine).id, engine.channel, "hook", ACTOR))
    live = await created(engine, name="Report", mode="run")
    await ran(engine, live, "1", RunState.FAILED)
    opened_at = engine.clock.now() - 1000
    engine.clock.advance(3_600_000)
    doc = {"type": "webhook", "name": "later", "url": "http://192.0.2.1/"}
    engine.channel = await engine.submit(channels.add(workspace_of(engine), doc, ACTOR))
    (notice,) = await notices(engine)
    body = messages.body_of(notice)
    assert body["type"] == "incident.opened"
    assert body["at"] == body["delivery"]["queuedAt"]
    assert parse_instant(body["at"], "at") == engine.clock.now()
    assert parse_instant(body["incident"]["openedAt"], "at") == opened_at


async def test_a_gap_is_told_in_the_timezone_of_its_monitors_and_to_machines_in_utc(engine):
    engine.clock.advance(1_250)
    notice = await gap_told(engine, 90_000, minutely("Europe/Helsinki"), {"every": 60})
    said = dict(facts(notice))
    at = "2026-11-23 05:0"
    assert said["Not watching"] == f"{at}0:01 +02:00 (Europe/Helsinki) to {at}1:31 +02:00 (Europe/Helsinki)"
    assert said["Could not verify"].split("\n") == [
        f"job 0: no ping since {at}0:01 +02:00, expected {at}1:00 +02:00, grace 0 s",
        "job 1: no ping since 2026-11-23 03:00:01 +00:00, expected 2026-11-23 03:01:01 +00:00, grace 0 s",
    ]
    (first, _) = messages.body_of(notice)["gap"]["unverified"]
    assert first["reason"] == (
        "no ping since 2026-11-23T03:00:01.250Z, expected 2026-11-23T03:01:00.000Z, grace 0 s; "
        "Luota was not watching 2026-11-23T03:00:01.250Z to 2026-11-23T03:01:31.250Z"
    )


async def test_a_gap_of_monitors_of_several_timezones_is_told_in_utc_and_of_each_in_its_own(engine):
    live = await created(engine, name="later", mode="heartbeat", schedule=minutely("Asia/Tokyo"), graceSeconds=600)
    await engine.submit(RecordPing(live.id, Ping(), engine.clock.now()))
    said = dict(facts(await gap_told(engine, 90_000, minutely("Europe/Helsinki"))))
    assert said["Not watching"] == "2026-11-23 03:00:00 +00:00 (UTC) to 2026-11-23 03:01:30 +00:00 (UTC)"
    assert "expected 2026-11-23 05:01:00 +02:00" in said["Could not verify"]
    assert said["May still turn out so"] == "later: decided 2026-11-23 12:11:00 +09:00 (Asia/Tokyo)"


async def test_a_test_notice_says_so(engine):
    workspace_id = next(iter(engine.registry.workspaces))
    await engine.submit(channels.test(workspace_id, engine.channel, "hook", ACTOR))
    (notice,) = await notices(engine)
    assert title(notice) == "A test of the channel hook."
    assert messages.body_of(notice)["incident"] is None


async def test_what_jobs_and_people_write_is_never_active_in_the_words(engine):
    live = await created(engine, name="a\u202eb", mode="run", promise="x\r\nBcc: y")
    start = Start("1\n2", host="\x1b]0;x\x07")
    await ran(engine, live, "1", RunState.FAILED, start, summary="a\nb", output="\u2066\x00".replace("\x00", "\x01"))
    (notice,) = await notices(engine)
    told = title(notice) + "".join(label + said for label, said in facts(notice))
    assert not set("\x1b\x07\x01\u202e\u2066\r") & set(told)
    assert all("\n" not in said for label, said in facts(notice) if label != "Output (end)")
