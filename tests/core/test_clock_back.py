"""docs/verdicts.md, "Blind windows": a clock that jumps backward delays no verdict."""

from luota.core.schedule import Every
from tests.core.history import HOUR, HOURLY, MINUTE, NIGHTLY, History, at, cron, heartbeat, run_rules


def healthy(rules=HOURLY, when="01:00"):
    history = History(rules)
    history.ping(when)
    return history


def test_a_signal_remembered_from_the_future_is_clamped_to_now():
    history = healthy(HOURLY, "2 01:00")
    history.clock_back("01:00")
    assert history.state.signal_at == at("01:00")
    assert history.expects == ("02:00", "02:05")
    assert history.tick("02:05")[-1] == "02:05 late>incident opened missed"


def test_a_close_remembered_from_the_future_is_clamped_to_now():
    history = History(run_rules())
    history.start("r", "01:00")
    history.success("r", "2 01:00")
    history.clock_back("01:10")
    assert history.state.last_signal_at == at("01:10")


def test_a_run_started_in_the_future_starts_now():
    history = History(run_rules())
    history.start("r", "2 01:00")
    history.clock_back("01:00")
    assert history.wakes == "02:00"


def test_a_limit_that_an_edit_set_in_the_future_is_at_most_a_full_one_from_now():
    history = History(run_rules())
    history.start("r", "01:00")
    history.edit("01:50", max_runtime=30 * MINUTE)
    assert history.wakes == "02:20"
    history.clock_back("01:10")
    assert history.wakes == "01:40"


def test_evidence_from_the_future_does_not_keep_a_later_success_from_resolving():
    history = History(run_rules())
    history.start("a", "2 01:00")
    history.start("b", "2 01:00")
    history.fail("a", "2 01:01")
    history.clock_back("01:00")
    assert history.success("b", "01:10") == ["01:10 incident>healthy resolved failed"]


def test_misses_in_a_wrong_future_delay_no_later_verdict():
    history = healthy(heartbeat(Every(HOUR), tolerance=100))
    history.tick("2 00:30")
    history.clock_back("01:30")
    assert at(history.expects[0]) <= at("02:30")


def test_an_occurrence_that_comes_again_is_counted_once():
    history = healthy(heartbeat(cron("0 2 * * *"), tolerance=3))
    history.tick("02:05")
    history.clock_back("01:50")
    assert history.expects == ("02:00", "02:05")
    history.tick("02:06")
    assert history.state.failures == 1


def test_a_step_back_changes_no_deadline_that_was_right():
    history = healthy(NIGHTLY)
    history.clock_back("00:59:58")
    assert history.expects == ("02:00", "02:05")
    assert history.status == "healthy"


def test_an_end_of_a_pause_is_no_remembered_instant_and_stays():
    history = healthy()
    history.pause("01:10", until="03:00")
    history.clock_back("01:05")
    assert history.wakes == "03:00"
