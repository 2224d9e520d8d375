"""docs/verdicts.md, "Blind windows": what Luota could not hear is never a miss, and never green."""

import pytest

from luota.core.model import Window, Windows
from luota.core.schedule import Every
from tests.core.history import HOUR, HOURLY, MINUTE, NIGHTLY, SECOND, at, cron, freshness, heartbeat, proven, run_rules


# Longer ones


def test_a_window_of_more_than_60_s_makes_the_occurrence_it_hid_unverified():
    history = proven(NIGHTLY)
    history.blind("02:01", "02:02:00.001")
    assert history.tick("02:05") == ["02:00 healthy>late", "02:05 late>unverified unverified missed"]
    assert "not watching 2026-03-10T02:01:00.000Z to 2026-03-10T02:02:00.001Z" in history.last.transitions[-1].reason


@pytest.mark.parametrize(
    ("start", "end", "hidden"),
    [
        ("01:50", "01:59", False),  # listened again as the slack began
        ("01:50", "01:59:00.001", True),
        ("02:02", "02:04", True),
        ("02:05", "02:10", True),  # a signal at the very deadline would have been in time
        ("02:05:00.001", "02:10", False),
        ("01:00:01", "09:00", True),
    ],
)
def test_a_window_hides_an_occurrence_from_its_slack_to_its_deadline(start, end, hidden):
    history = proven(NIGHTLY)
    history.blind(start, end)
    history.tick("10:00")
    assert history.status == ("unverified" if hidden else "incident")


@pytest.mark.parametrize(("end", "hidden"), [("02:00", False), ("02:00:00.001", True)])
def test_with_every_a_window_hides_from_the_expected_moment_on(end, hidden):
    history = proven(HOURLY)
    history.blind("01:30", end)
    history.tick("02:05")
    assert history.status == ("unverified" if hidden else "incident")


@pytest.mark.parametrize(
    ("start", "end", "hidden"),
    [
        ("02:20", "02:25", True),
        ("01:50", "02:00", False),  # listened again as the run began
        ("01:50", "02:00:00.001", True),
        ("03:00", "03:05", True),
        ("03:00:00.001", "03:05", False),
    ],
)
def test_a_window_hides_a_runs_limit_from_its_start_on(start, end, hidden):
    history = proven(run_rules())
    history.start("r", "02:00")
    history.blind(start, end)
    history.tick("04:00")
    assert history.status == ("unverified" if hidden else "incident")
    assert history.ended == [f"r {'unknown' if hidden else 'stuck'} 03:00"]


@pytest.mark.parametrize(
    ("start", "end", "hidden"),
    [("00:50", "01:00", False), ("01:10", "01:15", True), ("02:05", "02:10", True), ("02:05:00.001", "02:10", False)],
)
def test_a_window_hides_a_freshness_limit_from_the_last_signal_on(start, end, hidden):
    history = proven(freshness())
    history.blind(start, end)
    history.tick("02:10")
    assert history.status == ("unverified" if hidden else "incident")


def test_a_signal_heard_after_a_window_leaves_nothing_unverified():
    history = proven(NIGHTLY)
    history.blind("01:30", "02:03")
    assert history.ping("02:04") == ["02:00 healthy>late", "02:04 late>healthy"]
    assert history.tick("03:00") == []


def test_what_falls_due_after_the_window_without_overlap_is_missed():
    history = proven(NIGHTLY)
    history.blind("01:10", "01:50")
    assert history.tick("02:05")[-1] == "02:05 late>incident opened missed"


def test_from_the_end_of_the_window_cron_expects_the_next_occurrence():
    history = proven(heartbeat(cron("0 * * * *")), "01:30")
    history.blind("01:50", "04:30")
    history.tick("04:30")
    assert history.expects == ("05:00", "05:05")
    assert history.tick("05:05") == ["05:05 unverified>incident opened missed"]


def test_from_the_end_of_the_window_every_expects_after_a_full_interval():
    history = proven(HOURLY)
    history.blind("01:50", "04:30")
    history.tick("04:30")
    assert history.expects == ("05:30", "05:35")
    assert history.tick("05:35") == ["05:35 unverified>incident opened missed"]


def test_from_the_end_of_the_window_output_may_age_a_full_interval():
    history = proven(freshness())
    history.blind("01:50", "04:30")
    history.tick("04:30")
    assert history.expects == ("05:30", "05:35")


@pytest.mark.parametrize("schedule", [Every(MINUTE), cron("* * * * *")])
def test_many_occurrences_inside_one_window_are_one_verdict(schedule):
    history = proven(heartbeat(schedule, grace=0), "01:30")
    history.blind("01:30:30", "04:30")
    assert history.tick("04:30") == ["01:31 healthy>unverified unverified missed"]


def test_the_newest_window_that_overlaps_sets_what_is_expected_next():
    history = proven(heartbeat(Every(HOUR), grace=HOUR))
    history.blind("02:05", "02:10")
    history.blind("02:30", "02:40")
    history.tick("03:00")
    assert history.expects == ("03:40", "04:40")


def test_an_occurrence_whose_slack_the_end_of_the_window_cuts_is_expected_and_can_be_edited():
    history = proven(heartbeat(cron("0 * * * *")), "01:30")
    history.blind("01:40", "02:59:30")
    history.tick("02:59:30")
    assert history.expects == ("03:00", "03:05")
    history.edit("02:59:40", grace=10 * MINUTE)
    assert history.expects == ("03:00", "03:10")


# What unverified does


def test_the_next_signal_ends_unverified():
    history = proven(NIGHTLY)
    history.blind("01:30", "03:00")
    history.tick("03:00")
    assert history.ping("03:10") == ["03:10 unverified>healthy"]


def test_unverified_neither_counts_nor_resets():
    history = proven(heartbeat(Every(HOUR), tolerance=3))
    history.tick("02:05")
    history.blind("02:30", "04:00")
    assert history.tick("04:00")[-1] == "03:05 failing>unverified unverified missed"
    assert history.state.failures == 1
    assert history.tick("05:05")[-1] == "05:05 unverified>failing counted missed"
    assert history.state.failures == 2


def test_a_window_during_an_open_incident_leaves_it_open_and_counts_nothing():
    history = proven(HOURLY)
    history.tick("02:05")
    history.blind("02:30", "04:00")
    assert history.tick("04:00") == []
    assert (history.status, history.state.failures) == ("incident", 1)
    assert history.expects == ("05:00", "05:05")


def test_a_second_separate_window_in_a_row_opens_an_incident_that_says_so():
    history = proven(NIGHTLY)
    history.blind("01:30", "03:00")
    history.tick("03:00")
    history.blind("2 01:30", "2 03:00")
    assert history.tick("2 03:00") == ["2 02:05 unverified>incident opened missed"]
    assert "second blind window in a row" in history.last.transitions[-1].reason


def test_the_same_window_hiding_again_is_not_a_second_one():
    history = proven(heartbeat(cron("0 * * * *")), "01:30")
    history.blind("01:40", "02:59:30")
    history.tick("03:05")
    assert history.status == "unverified"
    assert history.expects == ("04:00", "04:05")
    assert history.tick("04:05") == ["04:05 unverified>incident opened missed"]


def test_a_window_that_is_known_to_last_longer_is_still_the_same():
    history = proven(NIGHTLY)
    history.blind("01:30", "03:00")
    history.tick("03:00")
    history.blind("01:30", "2 03:00")
    assert history.tick("2 03:00") == ["2 02:05 unverified>unverified unverified missed"]


@pytest.mark.parametrize("between", ["ping", "miss"])
def test_windows_with_a_verdict_between_them_are_not_in_a_row(between):
    history = proven(heartbeat(cron("0 2 * * *"), tolerance=9))
    history.blind("01:30", "03:00")
    history.tick("03:00")
    if between == "ping":
        history.ping("2 02:00")
    history.tick("2 02:05")
    history.blind("3 01:30", "3 03:00")
    assert history.tick("3 03:00")[-1].endswith("unverified missed")


def test_resolved_by_hand_is_no_window_of_its_own():
    history = proven(NIGHTLY)
    history.tick("02:05")
    history.resolve("02:10")
    history.blind("2 01:30", "2 03:00")
    assert history.tick("2 03:00") == ["2 02:05 unverified>unverified unverified missed"]


# Runs whose outcome is unknown


def unknown(**rest):
    history = proven(run_rules(**rest))
    history.start("r", "02:00")
    history.blind("02:30", "04:00")
    assert history.tick("04:00") == ["03:00 healthy>unverified unverified stuck"]
    assert history.ended == ["r unknown 03:00"]
    return history


def test_a_run_hidden_at_its_limit_has_an_unknown_outcome():
    assert unknown().state.reason.startswith("outcome of run r unknown")


def test_a_later_success_of_an_unknown_run_still_counts():
    assert unknown().success("r", "04:10") == ["04:10 unverified>healthy"]


def test_a_later_failure_of_an_unknown_run_still_counts():
    history = unknown(tolerance=2)
    assert history.fail("r", "04:10") == ["04:10 unverified>failing counted failed"]
    assert history.state.failures == 1


def test_a_second_window_that_hides_a_limit_opens_an_incident():
    history = proven(run_rules())
    history.start("a", "02:00")
    history.start("b", "02:20")
    history.blind("02:05", "02:10")
    history.blind("03:05", "03:10")
    history.tick("04:30")
    assert history.said[1:] == ["03:00 healthy>unverified unverified stuck", "03:20 unverified>incident opened stuck"]
    assert history.ended == ["a unknown 03:00", "b unknown 03:20"]


def test_a_start_leaves_unverified_what_a_window_hid_of_a_run_and_a_success_ends_it():
    history = proven(run_rules(cron("0 2 * * *")), "02:00")
    history.start("a", "2 02:00")
    history.blind("2 02:30", "2 02:35")
    assert history.tick("2 03:00") == ["2 03:00 healthy>unverified unverified stuck"]
    assert history.start("b", "3 02:00") == []
    assert history.success("b", "3 02:10") == ["3 02:10 unverified>healthy"]
    history.start("c", "4 02:00")
    history.blind("4 02:30", "4 02:35")
    assert history.tick("4 03:00") == ["4 03:00 healthy>unverified unverified stuck"], "the success was proof"


@pytest.mark.parametrize("schedule", [None, cron("0 2 * * *")], ids=["without a schedule", "nightly"])
def test_a_job_that_hangs_every_night_is_not_hidden_by_a_restart_of_every_night(schedule):
    history = proven(run_rules(schedule), "02:00")
    for day in (2, 3):
        history.start(f"run {day}", f"{day} 02:00")
        history.blind(f"{day} 02:30", f"{day} 02:35")
        history.tick(f"{day} 04:00")
    assert history.said[-2:] == [
        "2 03:00 healthy>unverified unverified stuck",
        "3 03:00 unverified>incident opened stuck",
    ]
    history.start("run 4", "4 02:00")
    assert history.status == "incident"
    assert history.success("run 4", "4 02:20") == ["4 02:20 incident>healthy resolved stuck"]


def test_a_start_ends_the_incident_of_a_hidden_start_and_leaves_unverified_how_the_run_before_ended():
    history = proven(run_rules(cron("0 2 * * *")), "02:00")
    history.start("a", "2 02:00")
    history.blind("2 02:30", "2 02:35")
    history.tick("2 03:00")
    history.blind("3 01:59", "3 02:01:30")
    assert history.tick("3 02:05") == ["3 02:05 unverified>incident opened missed"]
    assert history.start("b", "3 02:10") == ["3 02:10 incident>unverified resolved missed"]
    assert history.success("b", "3 02:20") == ["3 02:20 unverified>healthy"]


def test_a_start_that_ends_a_miss_leaves_unverified_what_a_window_hid_of_a_run_meanwhile():
    history = proven(run_rules(cron("0 * * * *"), max_runtime=150 * MINUTE), "00:30")
    history.start("a", "01:00")
    assert history.tick("02:06")[-1] == "02:05 late>incident opened missed"
    history.blind("03:20", "03:50")
    history.tick("03:51")
    assert (history.ended, history.status) == (["a unknown 03:30"], "incident")
    assert history.start("b", "04:00") == ["04:00 incident>unverified resolved missed"]
    assert history.state.reason == "run b started, but the outcome of an earlier one is unknown"
    history.blind("06:20", "06:35")
    history.start("c", "05:00")
    history.start("d", "06:00")
    assert history.tick("06:36") == ["06:30 unverified>incident opened stuck"]


def test_what_a_window_hides_of_silence_during_an_incident_leaves_nothing_unverified_after_a_start():
    history = proven(run_rules(cron("0 * * * *")), "01:00")
    history.tick("02:05")
    history.blind("02:55", "03:20")
    history.tick("03:21")
    assert history.start("a", "04:00") == ["04:00 incident>healthy resolved missed"]


@pytest.mark.parametrize("hidden", [False, True], ids=["a miss", "a start that was hidden too"])
def test_windows_that_hide_how_runs_ended_are_in_a_row_though_an_incident_opened_between_them(hidden):
    history = proven(run_rules(cron("0 * * * *"), max_runtime=30 * MINUTE), "00:30")
    history.start("a", "01:00")
    history.blind("01:20", "01:50")
    history.tick("01:51")
    if hidden:
        history.blind("01:59", "02:04")
    assert history.tick("02:06") == ["02:05 unverified>incident opened missed"]
    assert history.start("b", "02:10") == ["02:10 incident>unverified resolved missed"]
    history.blind("02:30", "02:50")
    assert history.tick("02:51") == ["02:40 unverified>incident opened stuck"]


def test_a_failure_says_more_than_the_unknown_outcome_before_it():
    history = proven(run_rules(tolerance=2))
    history.start("a", "02:00")
    history.blind("02:30", "02:35")
    history.tick("03:00")
    history.start("b", "03:10")
    assert history.fail("b", "03:20") == ["03:20 unverified>failing counted failed"]
    assert history.start("c", "03:30") == []
    assert history.status == "failing"


def test_a_person_who_resolves_by_hand_leaves_it_to_the_next_start():
    history = proven(run_rules())
    history.start("a", "02:00")
    history.blind("02:30", "02:35")
    history.tick("03:00")
    history.start("b", "03:10")
    history.fail("b", "03:20")
    history.resolve("03:30")
    assert history.start("c", "03:40") == ["03:40 unverified>healthy"]


def test_lateness_shows_again_when_a_late_success_ends_unverified():
    history = proven(run_rules(cron("0 2 * * *"), grace=HOUR, max_runtime=15 * MINUTE), "01:40")
    history.start("r", "01:45:00")
    history.blind("01:50", "01:55")
    history.tick("02:10")
    assert history.status == "unverified"
    assert history.success("r", "02:20") == ["02:20 unverified>late"]


# The windows themselves


def test_a_window_that_begins_where_the_newest_does_takes_its_place():
    first, longer = Window(at("01:00"), at("02:00")), Window(at("01:00"), at("03:00"))
    assert Windows((first,)).add(longer).all == (longer,)


def test_the_oldest_windows_give_way():
    windows = Windows()
    for minute in range(300):
        windows = windows.add(Window(minute * MINUTE, minute * MINUTE + SECOND), keep=10)
    assert [w.start for w in windows.all] == [minute * MINUTE for minute in range(290, 300)]


def test_windows_end_where_a_clock_set_back_says_it_is():
    windows = Windows((Window(at("01:00"), at("01:05")), Window(at("02:00"), at("2 02:00"), "jump")))
    assert windows.until(at("02:01")).all == (
        Window(at("01:00"), at("01:05")),
        Window(at("02:00"), at("02:01"), "jump"),
    )
    assert windows.until(at("02:00")).all == (Window(at("01:00"), at("01:05")),)
