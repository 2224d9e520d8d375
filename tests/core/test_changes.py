"""docs/verdicts.md, "Incidents": resolved by hand, edit, pause, archive."""

import pytest

from luota.core.schedule import Every
from tests.core.history import DAY, HOUR, HOURLY, MINUTE, NIGHTLY, History, at, cron, freshness, heartbeat, run_rules


def healthy(rules=HOURLY, when="01:00"):
    history = History(rules)
    history.ping(when)
    return history


def failed(rules=None):
    """A run monitor whose incident opened at 02:01, with another run open since 02:00."""
    history = History(rules or run_rules())
    for run in ("a", "b"):
        history.start(run, "02:00")
    history.fail("a", "02:01")
    return history


# Resolved by hand


def test_resolved_by_hand_is_unverified_until_the_next_signal():
    history = healthy()
    history.tick("02:05")
    assert history.resolve("02:10") == ["02:10 incident>unverified resolved missed"]
    assert history.ping("02:20") == ["02:20 unverified>healthy"]


def test_resolved_by_hand_a_dead_job_opens_again_at_its_next_occurrence():
    history = healthy()
    history.tick("02:05")
    history.resolve("02:10")
    assert history.tick("03:05") == ["03:05 unverified>incident opened missed"]


def test_resolving_by_hand_resets_no_count():
    history = failed(run_rules(tolerance=2))
    history.fail("b", "02:02")
    history.resolve("02:10")
    history.start("c", "02:20")
    assert history.fail("c", "02:21") == ["02:21 healthy>incident opened failed"]


def test_resolving_what_is_not_open_changes_nothing():
    history = healthy()
    before = history.state
    assert history.resolve("01:10") == []
    assert history.state == before


# Edit


def test_an_edit_derives_the_deadline_anew_from_the_last_signal():
    history = healthy()
    assert history.edit("01:10", schedule=Every(2 * HOUR)) == []
    assert history.expects == ("03:00", "03:05")
    history.edit("01:20", grace=10 * MINUTE)
    assert history.expects == ("03:00", "03:10")
    history.edit("01:30", schedule=cron("0 2 * * *"))
    assert history.expects == ("02:00", "02:10")


def test_an_edit_that_makes_the_deadline_past_judges_as_if_a_signal_had_arrived_at_it():
    history = healthy()
    assert history.edit("01:40", schedule=Every(10 * MINUTE)) == []
    assert history.expects == ("01:50", "01:55")
    assert history.tick("01:55") == ["01:50 healthy>late", "01:55 late>incident opened missed"]


def test_a_deadline_at_the_very_edit_has_passed():
    history = healthy()
    history.edit("01:35", schedule=Every(30 * MINUTE))
    assert history.expects == ("02:05", "02:10")


def test_an_edit_that_makes_the_expected_moment_past_is_late_from_the_edit_on():
    history = healthy()
    assert history.edit("01:32", schedule=Every(30 * MINUTE)) == ["01:32 healthy>late"]
    assert history.tick("01:35") == ["01:35 late>incident opened missed"]


def test_an_edit_of_a_freshness_limit_derives_it_anew():
    history = healthy(freshness())
    history.edit("01:10", freshness=2 * HOUR)
    assert history.expects == ("03:00", "03:05")


def test_an_edit_does_not_open():
    history = healthy(heartbeat(Every(HOUR), tolerance=3))
    history.tick("03:05")
    assert history.edit("03:10", tolerance=1) == []
    assert history.status == "failing"
    assert history.tick("04:05") == ["04:05 failing>incident opened missed"]


@pytest.mark.parametrize("changes", [{"grace": HOUR}, {"schedule": Every(DAY)}, {"tolerance": 9}])
def test_an_edit_does_not_resolve(changes):
    history = healthy()
    history.tick("02:05")
    assert history.edit("02:10", **changes) == []
    assert history.status == "incident"


def test_an_edit_of_the_limit_moves_the_limits_of_open_runs():
    history = History(run_rules())
    history.start("r", "02:00")
    history.edit("02:10", max_runtime=2 * HOUR)
    assert history.wakes == "04:00"
    history.edit("02:20", max_runtime=30 * MINUTE)
    assert history.wakes == "02:30"


def test_a_limit_made_past_by_an_edit_counts_from_the_edit():
    history = History(run_rules())
    history.start("r", "02:00")
    assert history.edit("02:30", max_runtime=10 * MINUTE) == []
    assert history.wakes == "02:40"


def test_an_edit_of_what_sets_no_deadline_moves_none():
    history = healthy()
    history.tick("02:05")
    expects = history.expects
    history.edit("02:10", tolerance=2)
    assert history.expects == expects


def test_an_edit_settles_first_what_fell_due_under_the_old_rules():
    history = healthy()
    assert history.edit("02:10", grace=30 * MINUTE) == ["02:00 healthy>late", "02:05 late>incident opened missed"]


def test_an_edit_while_paused_takes_effect_at_the_resume():
    history = healthy()
    history.pause("01:10")
    history.edit("01:20", schedule=Every(10 * MINUTE))
    assert (history.wakes, history.expects) == (None, (None, None))
    history.resume("01:30")
    assert history.expects == ("01:40", "01:45")


# Pause


def test_while_paused_signals_are_accepted_and_nothing_opens():
    history = healthy()
    assert history.pause("01:10") == ["01:10 healthy>paused"]
    assert history.ping("01:20") == []
    assert history.state.signal_at == at("01:20")
    assert history.tick("9 00:00") == []
    assert not history.ping("9 00:00") and not history.last.mark.late


def test_a_failure_while_paused_does_not_open():
    history = History(run_rules())
    history.start("r", "02:00")
    history.pause("02:01")
    assert history.fail("r", "02:02") == []
    assert history.resume("02:03") == ["02:03 paused>healthy"]


def test_an_open_incident_stays_through_a_pause():
    history = healthy()
    history.tick("02:05")
    assert history.pause("02:10") == ["02:10 incident>paused"]
    assert history.resume("09:00") == ["09:00 paused>incident"]


def test_a_healthy_event_resolves_while_paused():
    history = healthy()
    history.tick("02:05")
    history.pause("02:10")
    assert history.ping("02:20") == ["02:20 paused>paused resolved missed"]
    assert history.resume("02:30") == ["02:30 paused>healthy"]


def test_a_success_resolves_while_paused():
    history = failed()
    history.pause("02:10")
    assert history.success("b", "02:20") == ["02:20 paused>paused resolved failed"]


def test_at_resume_every_gets_a_full_interval():
    history = healthy()
    history.pause("01:10")
    history.resume("09:30")
    assert history.expects == ("10:30", "10:35")


def test_at_resume_cron_gets_its_next_occurrence():
    history = healthy(NIGHTLY)
    history.pause("01:10")
    history.resume("02:01")  # 02:00 passed while paused
    assert history.expects == ("2 02:00", "2 02:05")


def test_a_resume_inside_the_slack_expects_the_occurrence_ahead():
    history = healthy(NIGHTLY)
    history.pause("01:10")
    history.resume("01:59:30")
    assert history.expects == ("02:00", "02:05")
    history.edit("01:59:40", grace=10 * MINUTE)
    assert history.expects == ("02:00", "02:10")
    history.ping("02:10:01")
    assert history.last.mark.late


def test_a_resume_leaves_out_an_occurrence_that_a_ping_while_paused_has_met():
    history = healthy(NIGHTLY)
    history.pause("01:10")
    history.ping("01:59:10")
    history.resume("01:59:30")
    assert history.expects == ("2 02:00", "2 02:05")


def test_a_close_in_the_slack_meets_no_occurrence_at_the_resume():
    history = History(run_rules(cron("0 2 * * *")))
    history.start("r", "01:20")
    history.pause("01:30")
    history.success("r", "01:59:10")
    history.resume("01:59:30")
    assert history.expects == ("02:00", "02:05")


def test_a_limit_that_passed_while_paused_never_opens():
    history = History(run_rules())
    history.start("r", "02:00")
    history.pause("02:10")
    assert history.resume("03:00") == ["03:00 paused>healthy"]
    assert history.ended == ["r unknown 03:00"]
    assert history.tick("9 00:00") == []


def test_a_limit_that_lies_after_the_resume_is_judged():
    history = History(run_rules())
    history.start("r", "02:00")
    history.pause("02:10")
    history.resume("02:20")
    assert history.tick("03:00") == ["03:00 healthy>incident opened stuck"]


def test_a_pause_may_end_by_itself_at_a_time():
    history = healthy()
    history.pause("01:10", until="03:00")
    assert history.wakes == "03:00"
    assert history.tick("03:07") == ["03:00 paused>healthy"]
    assert history.expects == ("04:00", "04:05")


def test_a_pause_that_ends_at_a_time_is_judged_from_then_on_by_one_late_tick():
    history = healthy()
    history.pause("01:10", until="03:00")
    assert history.tick("04:30") == [
        "03:00 paused>healthy",
        "04:00 healthy>late",
        "04:05 late>incident opened missed",
    ]


def test_a_pause_may_end_at_the_next_healthy_signal():
    history = healthy()
    history.pause("01:10", until_healthy=True)
    assert history.tick("09:00") == []
    assert history.ping("09:10") == ["09:10 paused>healthy"]
    assert history.expects == ("10:10", "10:15")


def test_a_healthy_signal_that_ends_a_pause_resolves_as_well():
    history = failed()
    history.pause("02:10", until_healthy=True)
    assert history.success("b", "02:20") == ["02:20 paused>incident", "02:20 incident>healthy resolved failed"]


def test_neither_a_failure_nor_an_outdated_signal_ends_a_pause():
    history = healthy(NIGHTLY)
    history.pause("3 00:00", until_healthy=True)
    history.ping("3 01:00", "1 01:30")
    assert history.status == "paused"
    runs = History(run_rules())
    runs.start("r", "02:00")
    runs.pause("02:10", until_healthy=True)
    runs.fail("r", "02:20")
    assert runs.status == "paused"


def test_a_pause_that_has_ended_already_changes_nothing():
    history = healthy()
    before = history.state
    assert history.pause("01:10", until="01:10") == []
    assert history.state == before


def test_a_resume_of_what_is_not_paused_changes_nothing():
    history = healthy()
    before = history.state
    assert history.resume("01:10") == []
    assert history.state == before


def test_failing_and_unverified_show_again_after_a_pause():
    history = healthy(heartbeat(Every(HOUR), tolerance=3))
    history.tick("02:05")
    history.pause("02:10")
    assert history.resume("02:20") == ["02:20 paused>failing"]


# Archive


def test_archiving_resolves_the_open_incident():
    history = healthy()
    history.tick("02:05")
    assert history.archive("02:10") == ["02:10 incident>archived resolved missed"]


def test_an_archived_monitor_never_changes():
    history = failed()
    history.archive("02:10")
    before = history.state
    for said in (
        history.tick("9 00:00"),
        history.ping("9 00:00"),
        history.success("b", "9 00:00"),
        history.pause("9 00:00"),
        history.resume("9 00:00"),
        history.edit("9 00:00", grace=0),
        history.clock_back("1 00:00"),
    ):
        assert said == []
    assert history.state is before
    assert history.wakes is None
