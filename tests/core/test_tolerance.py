"""docs/verdicts.md, "Incidents": what counts, how often, and what resets the count, as far as runs tell it."""

import pytest

from luota.core.schedule import Every
from tests.core.history import HOUR, MINUTE, History, at, clock, cron, run_rules


def proven(rules=None, when="00:10"):
    """A monitor after its first successful run."""
    history = History(rules or run_rules(cron("0 2 * * *")))
    history.start("first", when)
    history.success("first", clock(at(when) + MINUTE))
    return history


def test_missed_then_failed_is_one_occurrence():
    history = proven(run_rules(cron("0 * * * *"), tolerance=2))
    history.tick("01:05")
    history.start("r", "01:10")
    assert history.status == "failing"
    assert history.fail("r", "01:20") == ["01:20 failing>failing counted failed"]
    assert history.state.failures == 1
    assert history.tick("02:05") == ["02:05 failing>incident opened missed"]


def test_stuck_then_failed_is_one_occurrence():
    history = proven(run_rules(tolerance=2))
    history.start("r", "02:00")
    history.tick("03:00")
    history.fail("r", "03:10")
    assert (history.status, history.state.failures) == ("failing", 1)


def test_two_failed_runs_of_one_occurrence_count_once():
    history = proven(run_rules(cron("0 2 * * *"), tolerance=2))
    history.start("a", "02:00")
    history.start("b", "02:03")
    history.fail("a", "02:04")
    history.fail("b", "02:05")
    assert (history.status, history.state.failures) == ("failing", 1)


def test_a_retry_started_after_the_first_failure_counts_no_second_time():
    history = proven(run_rules(cron("0 2 * * *"), tolerance=2))
    history.start("a", "02:00")
    history.fail("a", "02:04")
    history.start("b", "02:10")
    history.fail("b", "02:11")
    assert history.state.failures == 1


def test_an_occurrence_that_counted_does_not_again_after_another_one_has():
    history = proven(run_rules(cron("0 * * * *"), max_runtime=6 * HOUR, tolerance=9))
    history.tick("01:05")
    for run in ("a", "b"):
        history.start(run, "02:00")
    history.start("late", "02:01", "01:10")  # answers the miss of 01:00
    history.fail("a", "02:10")
    history.tick("03:05")
    assert history.state.failures == 3  # 01:00, 02:00, 03:00
    history.fail("b", "03:10")
    history.fail("late", "03:11")
    assert history.state.failures == 3


def test_an_unknown_run_that_fails_later_counts_only_if_its_occurrence_has_not():
    history = proven(run_rules(cron("0 2 * * *"), max_runtime=10 * MINUTE, tolerance=9))
    history.start("hidden", "02:00")
    history.blind("02:05", "02:15")
    history.tick("02:15")
    history.start("retry", "02:16")
    history.fail("retry", "02:17")
    history.fail("hidden", "02:18")
    assert history.state.failures == 1


def test_without_a_schedule_each_run_counts():
    history = proven(run_rules(tolerance=2))
    history.start("a", "02:00")
    history.start("b", "02:01")
    assert history.fail("a", "02:05") == ["02:05 healthy>failing counted failed"]
    assert history.fail("b", "02:06") == ["02:06 failing>incident opened failed"]


@pytest.mark.parametrize("second", ["fail", "stuck", "missed"])
def test_missed_failed_and_stuck_all_count(second):
    history = proven(run_rules(cron("0 * * * *"), max_runtime=30 * MINUTE, tolerance=2))
    history.start("a", "01:00")
    history.fail("a", "01:01")
    if second != "missed":
        history.start("b", "02:00")
    if second == "fail":
        history.fail("b", "02:01")
    history.tick("02:30")
    assert history.status == "incident"


def test_only_a_success_resets_the_count_and_a_start_does_not():
    history = proven(run_rules(tolerance=3))
    history.start("a", "02:00")
    history.fail("a", "02:01")
    history.start("b", "02:02")
    assert (history.status, history.state.failures) == ("failing", 1)
    assert history.success("b", "02:03") == ["02:03 failing>healthy"]
    assert history.state.failures == 0


def test_a_start_resolves_missed_and_leaves_the_count():
    history = proven()
    history.tick("02:05")
    history.start("r", "02:06")
    assert (history.status, history.state.failures) == ("healthy", 1)
    assert history.fail("r", "02:07") == ["02:07 healthy>incident opened failed"]


def test_after_a_success_the_same_occurrence_can_count_again():
    history = proven(run_rules(cron("0 2 * * *"), tolerance=3))
    for run in "abc":
        history.start(run, "02:00")
    history.fail("a", "02:01")
    history.success("b", "02:02")
    history.fail("c", "02:03")
    assert (history.status, history.state.failures) == ("failing", 1)


def test_with_every_a_start_that_answers_a_miss_belongs_to_the_missed_occurrence():
    history = proven(run_rules(Every(HOUR), tolerance=2))  # expects 01:10
    history.tick("01:15")
    history.start("r", "01:20")
    assert history.last.run.occurrence == at("01:10")
    history.fail("r", "01:21")
    assert history.state.failures == 1


def test_with_every_starts_ahead_of_time_are_occurrences_of_their_own():
    history = proven(run_rules(Every(HOUR), tolerance=2))
    history.start("a", "00:30")
    history.fail("a", "00:31")
    history.start("b", "00:40")
    assert history.fail("b", "00:41") == ["00:41 failing>incident opened failed"]
