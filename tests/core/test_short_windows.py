"""docs/verdicts.md, "Blind windows": one of at most 60 s excuses nothing, and leaves clients a minute to retry."""

import pytest

from luota.core.schedule import Every
from tests.core.history import HOUR, HOURLY, MINUTE, NIGHTLY, SECOND, heartbeat, proven, run_rules


def test_a_window_of_60_s_excuses_nothing_but_moves_a_deadline_inside_it_to_its_end_and_60_s():
    history = proven(HOURLY)
    history.blind("02:04:30", "02:05:30")
    assert history.tick("02:06:29.999") == ["02:00 healthy>late"]
    assert history.wakes == "02:06:30"
    assert history.tick("02:06:30") == ["02:06:30 late>incident opened missed"]


@pytest.mark.parametrize(
    ("start", "end", "deadline"),
    [
        ("02:05", "02:05:03", "02:06:03"),
        ("02:04:57", "02:05", "02:06"),
        ("02:05:00.001", "02:05:03", "02:05"),
        ("02:04:50", "02:04:59.999", "02:05"),
    ],
)
def test_a_short_window_moves_exactly_the_deadlines_inside_it(start, end, deadline):
    history = proven(HOURLY)
    history.blind(start, end)
    history.tick("03:00")
    assert history.said[-1] == f"{deadline} late>incident opened missed"


def test_a_deadline_moved_into_the_next_short_window_moves_again():
    history = proven(HOURLY)
    history.blind("02:04:55", "02:05:05")
    history.blind("02:06", "02:06:10")
    history.tick("03:00")
    assert history.said[-1] == "02:07:10 late>incident opened missed"


def test_a_luota_that_starts_again_every_minute_moves_a_deadline_by_ten_minutes_at_most():
    history = proven(HOURLY)
    for minute in range(5, 30):
        history.blind(f"02:{minute - 1:02}:58", f"02:{minute:02}:03")
    history.tick("03:00")
    assert history.said[-1] == "02:14:03 late>incident opened missed"
    limited = proven(run_rules())
    limited.start("a", "02:00")
    for minute in range(25):
        limited.blind(f"{'03' if minute else '02'}:{(minute - 1) % 60:02}:58", f"03:{minute:02}:03")
    limited.tick("04:00")
    assert limited.said[-1] == "03:09:03 healthy>incident opened stuck"


def test_a_ping_repeated_within_the_moved_deadline_is_no_miss():
    history = proven(HOURLY)
    history.tick("02:00")
    history.blind("02:04:55", "02:05:05")
    assert history.ping("02:06:05") == ["02:06:05 late>healthy"]


def test_a_short_window_moves_the_limit_of_a_run_too():
    history = proven(run_rules())
    history.start("r", "02:00")
    history.blind("02:59:50", "03:00:10")
    history.tick("04:00")
    assert history.said[1:] == ["03:01:10 healthy>incident opened stuck"]


def edited():
    """A run with a limit at 07:00, long after its start and the longest that it may run since an edit."""
    history = proven(run_rules(max_runtime=24 * HOUR))
    history.start("r", "02:00")
    history.edit("06:00", max_runtime=HOUR)
    return history


def test_a_short_window_moves_the_limit_that_an_edit_set_too():
    history = edited()
    history.blind("06:59:58", "07:00:01")
    history.tick("08:00")
    assert history.said[1:] == ["07:01:01 healthy>incident opened stuck"]


def test_a_luota_that_starts_again_every_minute_moves_the_limit_that_an_edit_set_by_ten_minutes_at_most():
    history = edited()
    history.blind("06:59:58", "07:00:03")
    for minute in range(1, 25):
        history.tick(f"07:{minute - 1:02}:30")
        history.blind(f"07:{minute - 1:02}:58", f"07:{minute:02}:03")
    history.tick("08:00")
    assert history.said[1:] == ["07:09:03 healthy>incident opened stuck"]


def test_an_edit_sets_a_limit_anew_that_short_windows_have_moved():
    history = proven(run_rules())
    history.start("r", "02:00")
    for minute in range(9):
        history.blind(f"03:{minute:02}", f"03:{minute:02}:02")
        history.tick(f"03:{minute:02}:30")
    assert history.wakes == "03:09:02"
    history.edit("03:08:40", max_runtime=2 * HOUR)
    history.blind("03:59:58", "04:00:01")
    history.tick("04:30")
    assert history.said[1:] == ["04:01:01 healthy>incident opened stuck"]


def test_after_a_moved_deadline_the_next_ones_do_not_lie_before_it():
    history = proven(heartbeat(Every(20 * SECOND), grace=0))
    history.blind("01:00:19", "01:00:21")
    history.tick("01:01:20")
    assert history.wakes == "01:01:21"
    history.tick("01:01:40")
    assert history.said[1:] == [
        "01:00:20 healthy>late",
        "01:01:21 late>incident opened missed",
        "01:01:21 incident>incident counted missed",
        "01:01:21 incident>incident counted missed",
        "01:01:21 incident>incident counted missed",
        "01:01:40 incident>incident counted missed",
    ]


def test_after_a_moved_deadline_that_was_hidden_too_the_next_one_does_not_lie_before_it():
    history = proven(heartbeat(Every(SECOND), grace=10 * MINUTE))  # expected 01:00:01, deadline 01:10:01
    history.blind("01:00:00.500", "01:01:01.500")
    history.blind("01:09:55", "01:10:50")
    history.tick("01:11:50")
    assert history.said[1:3] == ["01:00:01 healthy>late", "01:11:50 late>unverified unverified missed"]
    assert {line.split()[0] for line in history.said[3:]} == {"01:11:50"}


def test_a_nightly_restart_of_seconds_hides_no_dead_job():
    history = proven(NIGHTLY)
    history.blind("02:00", "02:00:03")
    assert history.tick("02:05")[-1] == "02:05 late>incident opened missed"
