import json

import pytest

from luota.core.machine import evaluate
from luota.core.model import Action
from luota.core.replay import Replay
from luota.core.spec.trace import parse_line
from luota.core.spec.values import format_instant


def line(at, event, monitor=None, **more):
    doc = {"at": f"2026-03-02T{at}Z", "event": event, **more}
    return doc if monitor is None else {**doc, "monitor": monitor}


def heartbeat(at, monitor="hb", every=3600, grace=60, **more):
    return line(at, "monitor", monitor, mode="heartbeat", schedule={"every": every}, graceSeconds=grace, **more)


def run(at, monitor="job", limit=600, **more):
    return line(at, "monitor", monitor, mode="run", maxRuntimeSeconds=limit, **more)


def told(step):
    monitor, transition = step
    shown = f"{format_instant(transition.at)[11:19]} {monitor} {transition.before}>{transition.after}"
    if transition.action not in (None, Action.COUNTED):
        shown += f" {transition.kind} {transition.action}"
    return shown


def take(history, *lines):
    for doc in lines:
        history.take(parse_line(json.dumps(doc).encode()))


def replay(*lines):
    history = Replay()
    take(history, *lines)
    return [told(step) for step in history.told()]


def test_each_verdict_comes_at_its_own_deadline_and_all_in_order():
    assert replay(
        heartbeat("00:00:00", "a", every=7200),
        heartbeat("00:00:00", "b", every=3600, grace=3600),
        line("00:00:10", "ping", "a"),
        line("00:00:20", "ping", "b"),
        line("09:00:00", "ping", "a"),
    ) == [
        "00:00:10 a draft>healthy",
        "00:00:20 b draft>healthy",
        "01:00:20 b healthy>late",
        "02:00:10 a healthy>late",
        "02:00:20 b late>incident missed opened",
        "02:01:10 a late>incident missed opened",
        "09:00:00 a incident>healthy missed resolved",
    ]


def test_a_signal_exactly_at_the_deadline_is_in_time():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        line("01:01:00", "ping", "hb"),
    )
    assert steps[1:] == ["01:00:00 hb healthy>late", "01:01:00 hb late>healthy"]


@pytest.mark.parametrize(
    ("last", "steps"),
    [(line("01:01:00", "end"), 2), (line("01:01:00", "resume", "hb"), 1), (line("01:00:59.999", "end"), 1)],
    ids=["an end at the deadline", "another line at the deadline", "an end before it"],
)
def test_only_an_end_judges_its_own_instant_too(last, steps):
    trace = (heartbeat("00:00:00"), line("00:00:00", "ping", "hb"), last)
    assert replay(*trace)[1:] == ["01:00:00 hb healthy>late", "01:01:00 hb late>incident missed opened"][:steps]


def test_a_draft_makes_no_steps():
    assert replay(heartbeat("00:00:00"), line("20:00:00", "end")) == []


def test_one_more_miss_of_an_open_incident_is_no_step_and_one_below_the_tolerance_is():
    assert replay(
        heartbeat("00:00:00", failuresBeforeIncident=2),
        line("00:00:00", "ping", "hb"),
        line("09:00:00", "end"),
    ) == [
        "00:00:00 hb draft>healthy",
        "01:00:00 hb healthy>late",
        "01:01:00 hb late>failing",
        "02:01:00 hb failing>incident missed opened",
    ]


CENTURY_LATER = {"at": "2126-03-02T00:00:00Z", "monitor": "m"}


@pytest.mark.parametrize(
    "lines",
    [
        (
            heartbeat("00:00:00", "m", every=60),
            line("00:00:00", "ping", "m"),
            {**CENTURY_LATER, "event": "ping"},
        ),
        (
            run("00:00:00", "m", schedule={"cron": "* * * * *"}, graceSeconds=60),
            line("00:00:00", "start", "m", run="1"),
            line("00:00:00", "success", "m", run="1"),
            {**CENTURY_LATER, "event": "start", "run": "2"},
        ),
        (
            heartbeat("00:00:00", "m", every=60),
            line("00:00:00", "ping", "m"),
            line("12:00:00", "down"),
            line("13:00:00", "up"),
            {"at": "2126-03-01T00:00:00Z", "event": "down"},
            {"at": "2126-03-01T01:00:00Z", "event": "up"},
            {**CENTURY_LATER, "event": "ping"},
        ),
    ],
)
def test_a_century_of_silence_in_an_open_incident_takes_no_longer_than_what_is_said_of_it(lines, monkeypatch):
    judged = []

    def counted(*case):
        outcome = evaluate(*case)
        judged.extend(outcome.transitions)
        if len(judged) > 3000:
            pytest.fail("each occurrence is judged")
        return outcome

    monkeypatch.setattr("luota.core.replay.evaluate", counted)
    assert replay(*lines) == [
        "00:00:00 m draft>healthy",
        "00:01:00 m healthy>late",
        "00:02:00 m late>incident missed opened",
        "00:00:00 m incident>healthy missed resolved",
    ]


def test_a_blind_window_in_a_long_silence_moves_the_misses_that_a_late_close_is_compared_with():
    steps = replay(
        run("00:00:00", schedule={"every": 1200}, graceSeconds=60),
        line("00:00:00", "start", "job", run="failed"),
        line("00:00:00", "start", "job", run="slow"),
        line("00:00:00", "fail", "job", run="failed"),
        {"at": "2026-03-04T00:00:00Z", "event": "down"},
        {"at": "2026-03-04T00:30:00Z", "event": "up"},  # from here on each 20 minutes: the last miss is at 01:51
        {
            **{"at": "2026-03-04T02:09:00Z", "event": "success", "monitor": "job", "run": "slow"},
            "finishedAt": "2026-03-04T02:00:30Z",
        },
    )
    assert steps[-1] == "02:09:00 job incident>healthy failed resolved"


def test_a_short_blind_window_moves_deadlines_and_a_signal_still_heals():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        line("01:00:30", "down"),
        line("01:01:30", "up"),
        line("03:00:00", "end"),
    )
    assert steps[1:] == ["01:00:00 hb healthy>late", "01:02:30 hb late>incident missed opened"]


def test_a_long_blind_window_makes_unverified_and_a_second_one_in_a_row_opens():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        line("00:59:00", "down"),
        line("01:30:00", "up"),
        line("02:29:00", "down"),
        line("03:00:00", "up"),
    )
    assert steps[1:] == [
        "01:00:00 hb healthy>late",
        "01:01:00 hb late>unverified missed unverified",
        "02:31:00 hb unverified>incident missed opened",
    ]


def test_nothing_is_heard_or_judged_while_luota_is_down():
    before = (heartbeat("00:00:00"), line("00:00:00", "ping", "hb"), line("00:30:00", "down"))
    heard = (line("00:45:00", "ping", "hb"), line("05:00:00", "end"))
    assert replay(*before, *heard) == ["00:00:00 hb draft>healthy"]


def test_a_start_that_was_not_heard_may_be_sent_again_and_its_close_is_ignored():
    steps = replay(
        run("00:00:00"),
        line("00:01:00", "start", "job", run="1"),
        line("00:02:00", "down"),
        line("00:03:00", "success", "job", run="1"),
        line("00:04:00", "start", "job", run="2"),
        line("00:05:00", "start", "job", run="3"),
        line("00:06:00", "up"),
        line("00:07:00", "fail", "job", run="2"),
        line("00:08:00", "start", "job", run="3"),
        line("00:09:00", "fail", "job", run="3"),
    )
    assert steps == ["00:01:00 job draft>healthy", "00:09:00 job healthy>incident failed opened"]


def test_a_change_while_luota_is_down_takes_effect_at_once_and_steps_stay_in_order():
    steps = replay(
        heartbeat("00:00:00", "a"),
        heartbeat("00:00:00", "b"),
        line("00:00:01", "ping", "a"),
        line("00:00:00", "ping", "b") | {"at": "2026-03-02T00:00:02Z"},
        line("00:30:00", "down"),
        line("01:10:00", "pause", "a"),
        line("02:00:00", "up"),
    )
    assert steps[2:] == [
        "01:00:01 a healthy>late",
        "01:00:02 b healthy>late",
        "01:01:01 a late>unverified missed unverified",
        "01:01:02 b late>unverified missed unverified",
        "01:10:00 a unverified>paused",
    ]


def test_a_window_of_no_length_is_none():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        line("01:01:00", "down"),
        line("01:01:00", "up"),
        line("01:01:00", "end"),
    )
    assert steps[-1] == "01:01:00 hb late>incident missed opened"


def test_a_pause_ends_by_hand_at_its_time_or_at_the_next_healthy_signal():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        line("00:10:00", "pause", "hb"),
        line("05:00:00", "resume", "hb"),
        line("05:10:00", "pause", "hb", until="2026-03-02T06:00:00Z"),
        line("06:10:00", "pause", "hb", untilHealthy=True),
        line("07:00:00", "ping", "hb"),
    )
    assert [step.split(" ")[0] + " " + step.split(" ")[2] for step in steps[1:]] == [
        "00:10:00 healthy>paused",
        "05:00:00 paused>healthy",
        "05:10:00 healthy>paused",
        "06:00:00 paused>healthy",
        "06:10:00 healthy>paused",
        "07:00:00 paused>healthy",
    ]


def test_a_second_definition_is_an_edit():
    steps = replay(
        heartbeat("00:00:00"),
        line("00:00:00", "ping", "hb"),
        heartbeat("00:30:00", every=7200),
        line("03:00:00", "end"),
    )
    assert steps[1:] == ["02:00:00 hb healthy>late", "02:01:00 hb late>incident missed opened"]


def test_repeated_starts_and_closes_are_no_signals():
    steps = replay(
        run("00:00:00", limit=600),
        line("00:00:00", "start", "job", run="1"),
        line("00:09:00", "start", "job", run="1"),
        line("00:11:00", "fail", "job", run="1"),
        line("00:12:00", "start", "job", run="2"),
        line("00:13:00", "success", "job", run="2"),
        line("00:14:00", "fail", "job", run="1"),
        line("00:15:00", "start", "job", run="1"),
    )
    assert steps[1:] == [
        "00:10:00 job healthy>incident stuck opened",
        "00:11:00 job incident>incident failed updated",
        "00:13:00 job incident>healthy failed resolved",
    ]


def test_a_run_that_was_stuck_and_then_fails_counts_once():
    steps = replay(
        run("00:00:00", limit=600, failuresBeforeIncident=2),
        line("00:00:00", "start", "job", run="1"),
        line("00:20:00", "fail", "job", run="1"),
        line("01:00:00", "start", "job", run="2"),
        line("01:01:00", "fail", "job", run="2"),
    )
    assert steps[1:] == ["00:10:00 job healthy>failing", "01:01:00 job failing>incident failed opened"]


def test_client_times_and_the_summary_reach_the_core():
    history = Replay()
    take(
        history,
        line("00:00:00", "monitor", "out", mode="freshness", expectedFreshnessSeconds=3600),
        run("00:00:00", limit=600),
        line("01:00:00", "ping", "out", occurredAt="2026-03-02T00:30:00+00:00"),
        line("01:00:00", "start", "job", run="1", startedAt="2026-03-02T00:56:00Z"),
        line("01:05:00", "fail", "job", run="1", finishedAt="2026-03-02T01:04:00Z", summary="disk full"),
        line("02:00:00", "end"),
    )
    steps = history.told()
    assert [told(step) for step in steps][2:] == [
        "01:05:00 job healthy>incident failed opened",
        "01:30:00 out healthy>incident stale opened",
    ]
    assert steps[2][1].reason == "run 1 failed: disk full"


def test_at_one_instant_comes_first_what_the_lines_say_and_then_what_falls_due_by_name():
    assert replay(
        heartbeat("00:00:00", "b"),
        heartbeat("00:00:00", "c"),
        heartbeat("00:00:00", "a"),
        line("00:00:00", "ping", "b"),
        line("00:00:00", "ping", "a"),
        heartbeat("00:59:00", "d"),
        heartbeat("00:59:00", "e"),
        line("01:00:00", "ping", "e"),
        line("01:00:00", "ping", "d"),
        line("01:00:10", "ping", "b"),
        line("01:00:20", "ping", "a"),
    ) == [
        "00:00:00 b draft>healthy",
        "00:00:00 a draft>healthy",
        "01:00:00 e draft>healthy",
        "01:00:00 d draft>healthy",
        "01:00:00 a healthy>late",
        "01:00:00 b healthy>late",
        "01:00:10 b late>healthy",
        "01:00:20 a late>healthy",
    ]


def test_while_luota_is_down_there_is_nothing_to_tell():
    history = Replay()
    take(
        history,
        heartbeat("00:00:00"),
        heartbeat("00:00:00", "other"),
        line("00:00:00", "ping", "hb"),
        line("00:00:00", "ping", "other"),
        line("00:30:00", "down"),
        line("03:00:00", "pause", "hb"),
    )
    assert [told(step) for step in history.told()] == ["00:00:00 hb draft>healthy", "00:00:00 other draft>healthy"]
    take(history, line("04:00:00", "up"))
    assert [told(step) for step in history.told()] == [
        "01:00:00 hb healthy>late",
        "01:00:00 other healthy>late",
        "01:01:00 hb late>unverified missed unverified",
        "01:01:00 other late>unverified missed unverified",
        "03:00:00 hb unverified>paused",
    ]
