"""docs/verdicts.md and "Incidents", as far as runs tell them."""

import pytest

from luota.core.schedule import Every
from tests.core.history import DAY, HOUR, MINUTE, History, at, clock, cron, run_rules

NIGHTLY = run_rules(cron("0 2 * * *"))
HOURLY = run_rules(cron("0 * * * *"), max_runtime=6 * HOUR)


def proven(rules=NIGHTLY, when="00:10"):
    """A monitor after its first successful run."""
    history = History(rules)
    assert history.start("first", when) == [f"{when} draft>healthy"]
    assert history.success("first", clock(at(when) + MINUTE)) == []
    return history


# Starts against the schedule


def test_a_start_is_the_signal_against_the_schedule():
    history = proven()
    assert history.expects == ("02:00", "02:05")
    history.start("r", "02:01")
    assert history.expects == ("2 02:00", "2 02:05")


def test_no_start_by_the_deadline_is_missed():
    history = proven()
    assert history.tick("02:05") == ["02:00 healthy>late", "02:05 late>incident opened missed"]


def test_a_close_is_no_signal_against_the_schedule():
    history = proven()
    history.start("r", "01:30")
    history.success("r", "02:01")
    assert history.expects == ("02:00", "02:05")
    assert history.tick("02:05")[-1] == "02:05 late>incident opened missed"


def test_a_start_in_the_early_slack_meets_the_occurrence_ahead():
    history = proven()
    history.start("r", "01:59")
    assert history.expects == ("2 02:00", "2 02:05")
    assert history.last.run.occurrence == at("02:00")


def test_a_start_after_expected_and_grace_is_marked_late():
    history = proven()
    history.start("r", "02:05:00.001")
    assert history.last.mark.late


# Limits


def test_a_run_open_at_its_limit_is_stuck():
    history = proven()
    history.start("r", "02:00")
    assert history.tick("02:59:59.999") == []
    assert history.tick("03:00") == ["03:00 healthy>incident opened stuck"]
    assert history.ended == ["r stuck 03:00"]


def test_the_default_limit_is_24_hours():
    history = proven(run_rules(max_runtime=DAY))
    history.start("r", "02:00")
    assert history.wakes == "2 02:00"


def test_a_close_at_the_very_limit_is_in_time():
    history = proven()
    history.start("r", "02:00")
    assert history.success("r", "03:00") == []
    assert history.state.runs == ()


def test_overlapping_runs_have_separate_limits():
    history = proven(run_rules())
    history.start("a", "02:00")
    history.start("b", "02:30")
    history.tick("04:00")
    assert history.said[1:] == [
        "03:00 healthy>incident opened stuck",
        "03:30 incident>incident counted stuck",
    ]


def test_a_limit_fires_once():
    history = proven(run_rules())
    history.start("a", "02:00")
    history.tick("03:00")
    assert history.tick("2 09:00") == []


def test_without_a_schedule_only_failed_and_stuck_apply():
    history = proven(run_rules())
    assert history.expects == (None, None)
    assert history.tick("9 00:00") == []
    history.start("r", "9 00:00")
    assert history.fail("r", "9 00:01") == ["9 00:01 healthy>incident opened failed"]


def test_the_limit_counts_from_the_effective_start_but_never_fires_before_its_receipt():
    history = proven()
    history.start("skewed", "02:10", "02:02")
    assert clock(history.last.run.limit_at) == "03:02"
    history.start("old", "02:10", "1 00:20")
    assert clock(history.last.run.limit_at) == "02:10:00.001"


def test_a_fail_call_opens_at_once_with_the_runs_summary():
    history = proven()
    history.start("r", "02:00")
    assert history.fail("r", "02:03:30", summary="disk full") == ["02:03:30 healthy>incident opened failed"]
    assert history.last.transitions[0].reason == "run r failed: disk full"


def test_a_closed_run_is_never_stuck():
    history = proven(run_rules())
    history.start("r", "02:00")
    history.fail("r", "02:03")
    assert history.tick("05:00") == []


# The kind only rises


def missed_with_open_run():
    """Missed at 02:05, while a run from 01:30 is open until 02:30."""
    history = proven(run_rules(cron("0 2 * * *")))
    history.start("long", "01:30")
    history.tick("02:05")
    assert history.status == "incident"
    return history


def test_missed_rises_to_stuck_as_an_update():
    history = missed_with_open_run()
    assert history.tick("02:30") == ["02:30 incident>incident updated stuck"]


def test_missed_rises_to_failed_as_an_update():
    assert missed_with_open_run().fail("long", "02:10") == ["02:10 incident>incident updated failed"]


def test_stuck_rises_to_failed_and_the_update_says_what_it_was():
    history = proven(run_rules())
    history.start("r", "02:00")
    history.tick("03:00")
    assert history.fail("r", "03:10") == ["03:10 incident>incident updated failed"]
    assert "stuck before" in history.last.transitions[0].reason


def test_failed_falls_to_neither_stuck_nor_missed_and_both_are_counted():
    history = proven()
    history.start("a", "02:00")
    history.start("b", "02:01")
    history.fail("a", "02:02")
    assert history.tick("03:01") == ["03:01 incident>incident counted stuck"]
    assert history.tick("2 02:05") == ["2 02:05 incident>incident counted missed"]
    assert history.state.incident.value == "failed"


def test_further_failures_are_counted():
    history = proven()
    history.start("a", "02:00")
    history.start("b", "02:01")
    history.fail("a", "02:02")
    assert history.fail("b", "02:03") == ["02:03 incident>incident counted failed"]


# What resolves


def test_a_start_resolves_missed():
    history = proven()
    history.tick("02:05")
    assert history.start("r", "02:07") == ["02:07 incident>healthy resolved missed"]
    assert history.last.transitions[0].reason == "run r started"


@pytest.mark.parametrize("bad", ["fail", "stuck"])
def test_a_start_resolves_neither_failed_nor_stuck(bad):
    history = proven(run_rules())
    history.start("a", "02:00")
    history.fail("a", "02:01") if bad == "fail" else history.tick("03:00")
    assert history.start("b", "03:05") == []
    assert history.status == "incident"


def test_a_success_does_not_resolve_missed():
    history = missed_with_open_run()
    assert history.success("long", "02:10") == []
    assert history.state.incident.value == "missed"


def test_a_success_resolves_failed_and_names_the_run():
    history = proven()
    history.start("a", "02:00")
    history.fail("a", "02:01")
    history.start("b", "02:02")
    assert history.success("b", "02:03") == ["02:03 incident>healthy resolved failed"]
    assert history.last.transitions[0].reason == "run b succeeded"


def test_the_late_success_of_a_stuck_run_resolves():
    history = proven(run_rules())
    history.start("r", "02:00")
    history.tick("03:00")
    assert history.success("r", "03:00:00.001") == ["03:00:00.001 incident>healthy resolved stuck"]


@pytest.mark.parametrize(("client", "resolves"), [("02:20", False), ("02:19:59.999", False), ("02:20:00.001", True)])
def test_only_a_success_later_than_the_last_evidence_resolves(client, resolves):
    history = proven()
    for run in "abc":
        history.start(run, "02:00")
    history.fail("a", "02:10")
    history.fail("b", "02:20")
    history.success("c", "02:30", client)
    assert (history.status == "healthy") is resolves


def test_an_older_success_resets_no_count():
    history = proven(run_rules(tolerance=3))
    history.start("a", "02:00")
    history.start("b", "02:01")
    history.fail("a", "02:20")
    history.success("b", "02:30", "02:10")
    assert (history.status, history.state.failures) == ("failing", 1)


def test_the_evidence_of_a_resolved_incident_does_not_count_against_the_next_one():
    history = proven(run_rules())
    for run in "abcd":
        history.start(run, "02:00")
    history.fail("a", "02:30")
    history.success("b", "02:31")
    history.fail("c", "02:50", "02:10")  # a replay: its evidence is older
    assert history.status == "incident"
    assert history.success("d", "02:55", "02:20") == ["02:55 incident>healthy resolved failed"]


def test_silence_inside_the_grace_shows_again_when_a_success_resolves():
    history = proven(run_rules(cron("0 2 * * *"), grace=HOUR))
    history.start("r", "01:30")
    history.fail("r", "01:40")
    history.start("s", "01:45")
    history.tick("02:00")
    assert history.success("s", "02:10") == ["02:10 incident>late resolved failed"]
    assert history.wakes == "03:00"


# Times of clients


def test_a_start_replayed_two_days_late_resolves_nothing_that_has_fallen_due_since():
    history = proven()
    history.tick("3 12:00")
    assert history.start("old", "3 12:00", "02:01") == []
    assert history.status == "incident"


def test_a_start_older_than_the_newest_moves_no_deadline_back_and_has_a_limit_of_its_own():
    history = proven(run_rules(Every(HOUR)))
    history.start("new", "01:00")
    history.start("old", "01:10", "00:50")
    assert history.expects == ("02:00", "02:05")
    assert {run.id for run in history.state.runs} == {"new", "old"}
    assert history.wakes == "01:50"


def test_a_start_is_compared_with_the_newest_start_and_not_with_a_close_in_between():
    history = History(run_rules(cron("0 * * * *"), grace=15 * MINUTE, max_runtime=6 * HOUR))
    history.start("a", "00:00")
    history.success("a", "01:05")
    history.start("b", "01:10", "00:59:40")  # early for 01:00
    assert history.status == "healthy"
    assert history.expects == ("02:00", "02:15")
    history.success("b", "01:20")
    assert history.tick("01:59:59") == []


def test_an_every_start_that_began_before_the_close_of_the_last_run_moves_the_deadline():
    history = History(run_rules(Every(HOUR)))
    history.start("a", "00:00")
    history.success("a", "00:50")
    history.start("b", "01:00", "00:45")
    assert history.expects == ("01:45", "01:50")


@pytest.mark.parametrize("close", ["success", "fail"])
def test_the_silence_is_told_from_the_newest_start_on_and_never_from_a_close(close):
    history = History(run_rules(Every(HOUR), tolerance=9))
    history.start("a", "00:00")
    getattr(history, close)("a", "00:50")
    history.tick("01:05")
    reason = history.last.transitions[-1].reason
    assert reason.startswith("no run start since 2026-03-10T00:00:00.000Z, expected 2026-03-10T01:00:00.000Z")


@pytest.mark.parametrize("close", ["success", "fail"])
def test_the_last_signal_is_the_newest_start_or_close_whichever_way_they_overlap(close):
    history = History(run_rules())
    seen = [history.state.last_signal_at]
    for word, run, *when in (
        ("start", "a", "01:00"),
        ("start", "b", "01:10"),
        (close, "a", "01:20"),
        (close, "b", "01:40", "01:15"),  # its clock is off
        ("start", "c", "01:45"),
    ):
        getattr(history, word)(run, *when)
        seen.append(history.state.last_signal_at)
    assert seen == [None, at("01:00"), at("01:10"), at("01:20"), at("01:20"), at("01:45")]


def test_a_first_start_that_is_overdue_itself_is_unverified_whatever_its_old_success_says():
    history = History(HOURLY)
    assert history.start("old", "3 12:30", "1 12:00") == ["3 12:30 draft>unverified"]
    assert history.success("old", "3 12:30", "1 12:10") == []
    assert history.status == "unverified"
    assert history.start("new", "3 12:40") == ["3 12:40 unverified>healthy"]


def test_an_old_success_does_not_vouch_for_what_was_resolved_by_hand():
    history = proven(run_rules(Every(HOUR)))
    history.start("old", "00:20")
    history.tick("01:25")
    history.resolve("05:00")
    assert history.success("old", "05:01", "01:30") == []
    assert history.status == "unverified"


def test_an_old_success_vouches_for_the_run_whose_end_a_window_hid():
    history = proven(run_rules(Every(HOUR)))
    history.start("r", "01:00")
    history.blind("01:50", "05:00")
    history.tick("05:00")
    assert history.status == "unverified"
    assert history.success("r", "05:01", "01:55") == ["05:01 unverified>healthy"]


def test_a_first_start_that_is_overdue_itself_is_healthy_once_its_run_ends_well_now():
    history = History(HOURLY)
    history.start("old", "3 12:30", "3 10:30")
    assert history.success("old", "3 12:31") == ["3 12:31 unverified>healthy"]


def test_a_run_of_a_first_start_that_is_overdue_itself_is_stuck_at_its_limit():
    history = History(HOURLY)
    history.start("old", "3 12:30", "3 10:30")
    assert history.tick("3 16:30")[-1] == "3 16:30 incident>incident updated stuck"


def test_a_close_with_a_skewed_clock_is_marked_and_takes_the_earlier_time():
    history = proven()
    history.start("r", "02:00")
    history.success("r", "02:30", "02:24")
    assert history.last.mark.skewed
    assert history.last.mark.effective_at == at("02:24")
