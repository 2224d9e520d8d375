"""The state machine as a whole: drafts, purity, what it asks to be woken for."""

import pytest
from msgspec.structs import replace

from luota.core.events import Archive, ClockBack, Edit, PauseBegins, Ping, Resolve, Resume, Start, Tick
from luota.core.machine import draft, evaluate, wake_at
from luota.core.model import Mode, Pause, Status
from luota.core.schedule import Every
from luota.core.verdicts import status_of
from tests.core.history import (
    HOUR,
    HOURLY,
    MINUTE,
    NIGHTLY,
    History,
    at,
    calendar,
    cron,
    freshness,
    heartbeat,
    run_rules,
)

# Draft


def test_a_monitor_that_never_signalled_is_a_draft():
    state = draft(HOURLY, at("00:00"))
    assert (state.status, state.since) == (Status.DRAFT, at("00:00"))


@pytest.mark.parametrize("rules", [HOURLY, NIGHTLY, freshness(), run_rules(cron("0 2 * * *"))])
def test_a_draft_opens_nothing_and_wakes_nobody(rules):
    history = History(rules)
    assert history.wakes is None
    assert history.tick("9 00:00") == []
    assert history.status == "draft"


def test_a_draft_knows_its_first_deadline_after_which_it_needs_a_human():
    assert History(HOURLY).expects == ("01:00", "01:05")
    assert History(NIGHTLY).expects == ("02:00", "02:05")
    assert History(NIGHTLY, "01:59:30").expects == ("02:00", "02:05")


def test_the_first_signal_ends_the_draft():
    assert History(HOURLY).ping("09:00") == ["09:00 draft>healthy"]
    assert History(run_rules()).start("r", "09:00") == ["09:00 draft>healthy"]


def test_the_first_signal_of_a_draft_is_never_late():
    history = History(NIGHTLY)
    history.ping("02:30")
    assert not history.last.mark.late


def test_a_paused_draft_is_a_draft_again_after_the_pause():
    history = History(HOURLY)
    assert history.pause("00:10") == ["00:10 draft>paused"]
    assert history.resume("00:20") == ["00:20 paused>draft"]


def test_a_first_signal_while_paused_arms_nothing_until_the_resume():
    history = History(HOURLY)
    history.pause("00:10")
    history.ping("00:20")
    assert history.wakes is None
    assert history.resume("00:30") == ["00:30 paused>healthy"]
    assert history.wakes == "01:30"


# The theory


def test_events_settle_what_fell_due_before_them():
    history = History(HOURLY)
    history.ping("01:00")
    assert history.pause("02:06") == [
        "02:00 healthy>late",
        "02:05 late>incident opened missed",
        "02:06 incident>paused",
    ]


def test_a_tick_settles_what_falls_due_at_its_own_instant():
    history = History(heartbeat(Every(HOUR), grace=0))
    history.ping("01:00")
    assert history.tick("02:00") == ["02:00 healthy>incident opened missed"]


@pytest.mark.parametrize(
    ("history", "wakes"),
    [
        (["ping 01:00"], "02:00"),
        (["ping 01:00", "tick 02:00"], "02:05"),
        (["ping 01:00", "tick 02:05"], "03:05"),
        (["ping 01:00", "pause 01:10"], None),
        (["ping 01:00", "archive 01:10"], None),
    ],
)
def test_it_wakes_for_the_earliest_of_what_it_waits_for(history, wakes):
    one = History(HOURLY)
    for step in history:
        word, when = step.split()
        getattr(one, word)(when)
    assert one.wakes == wakes


def test_it_wakes_for_the_earliest_limit_when_that_comes_first():
    history = History(run_rules(cron("0 2 * * *"), max_runtime=30 * MINUTE))
    history.start("a", "00:10")
    history.start("b", "00:05", "00:05")
    assert history.wakes == "00:35"


def test_each_transition_says_why():
    history = History(HOURLY)
    history.ping("01:00")
    history.tick("02:05")
    assert history.last.transitions[-1].reason == (
        "no ping since 2026-03-10T01:00:00.000Z, expected 2026-03-10T02:00:00.000Z, grace 5 min"
    )
    assert history.state.reason == history.last.transitions[-1].reason


def test_since_is_the_instant_of_the_present_status():
    history = History(HOURLY)
    history.ping("01:00")
    history.ping("01:30")
    assert history.state.since == at("01:00")
    history.tick("09:00")
    assert history.state.since == at("02:35")


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ({"archived": True, "pause": Pause(), "incident": "missed"}, "archived"),
        ({"pause": Pause(), "signal_at": None}, "paused"),
        ({"signal_at": None, "incident": None}, "draft"),
        ({"incident": "missed", "unverified": True, "failing": True, "late": True}, "incident"),
        ({"unverified": True, "failing": True, "late": True}, "unverified"),
        ({"failing": True, "late": True}, "failing"),
        ({"late": True}, "late"),
        ({}, "healthy"),
    ],
)
def test_the_status_is_what_a_person_must_know_first(flags, status):
    assert status_of(replace(draft(HOURLY, 0), **{"signal_at": 1, **flags})) == status


EVENTS = [
    Tick(),
    Ping(),
    Ping(0),
    Start("r"),
    PauseBegins(Pause()),
    Resume(),
    Resolve(),
    Edit(NIGHTLY),
    ClockBack(),
    Archive(),
]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_any_event_in_any_mode_gives_an_outcome(event, mode):
    rules = replace(freshness() if mode is Mode.FRESHNESS else HOURLY, mode=mode)
    for state in (draft(rules, at("00:00")), evaluate(rules, draft(rules, 0), Ping(), at("00:00")).state):
        outcome = evaluate(rules, state, event, at("00:10"))
        assert outcome == evaluate(rules, state, event, at("00:10"))


def test_a_schedule_without_further_occurrences_expects_nothing_more():
    history = History(heartbeat(calendar("2026-03-10 02:00")))
    history.ping("01:00")
    assert history.expects == ("02:00", "02:05")
    history.ping("02:00")
    assert history.expects == (None, None)
    assert wake_at(history.state) is None


def test_the_last_occurrence_of_a_schedule_can_be_missed():
    history = History(heartbeat(calendar("2026-03-10 02:00")))
    history.ping("01:00")
    assert history.tick("9 00:00")[-1] == "02:05 late>incident opened missed"
    assert history.wakes is None


def test_another_mode_is_judged_by_its_own_rules_from_the_edit_on():
    history = History(freshness())
    history.ping("01:00")
    history.tick("02:05")
    history.edit("02:10", mode=Mode.HEARTBEAT, schedule=Every(HOUR))
    assert history.tick("03:15") == ["03:15 incident>incident counted missed"]


def test_a_mode_that_expects_nothing_forgets_what_the_former_one_expected():
    history = History(freshness())
    history.ping("01:00")
    history.edit("01:10", mode=Mode.RUN)
    assert history.expects == (None, None)
    assert history.tick("9 00:00") == []
