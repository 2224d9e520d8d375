"""docs/verdicts.md, "Expected, grace, deadline", "Times of clients" and "Incidents", as far as heartbeats tell them."""

import pytest

from luota.core.schedule import Every
from tests.core.history import HOUR, HOURLY, MINUTE, NIGHTLY, SECOND, History, at, calendar, clock, cron, heartbeat


def healthy(rules=HOURLY, when="01:00"):
    """A monitor after its first ping."""
    history = History(rules)
    assert history.ping(when) == [f"{when} draft>healthy"]
    return history


def test_every_expects_a_full_interval_after_each_accepted_ping():
    history = healthy()
    assert history.expects == ("02:00", "02:05")
    history.ping("01:20:30.250")
    assert history.expects == ("02:20:30.250", "02:25:30.250")


def test_cron_expects_the_first_occurrence_after_the_ping():
    history = healthy(NIGHTLY)
    assert history.expects == ("02:00", "02:05")
    history.ping("02:03")
    assert history.expects == ("2 02:00", "2 02:05")


def test_a_calendar_expects_the_first_occurrence_after_the_ping_in_its_own_timezone():
    history = healthy(heartbeat(calendar("*-*-* 08:00", "Europe/Helsinki")))
    assert history.expects == ("06:00", "06:05")


def test_a_ping_at_the_very_occurrence_meets_it():
    assert healthy(NIGHTLY, "02:00").expects == ("2 02:00", "2 02:05")


def test_silence_is_late_from_the_expected_moment_and_missed_at_the_deadline():
    history = healthy()
    assert history.tick("01:59:59.999") == []
    assert history.tick("02:00") == ["02:00 healthy>late"]
    assert history.tick("02:04:59.999") == []
    assert history.tick("02:05") == ["02:05 late>incident opened missed"]


def test_late_carries_no_action_so_that_nobody_is_told():
    history = healthy()
    history.tick("02:00")
    assert history.last.transitions[0].action is None


def test_transitions_carry_the_deadlines_own_time_however_late_the_tick():
    history = healthy()
    history.tick("02:59")
    assert history.said[1:] == ["02:00 healthy>late", "02:05 late>incident opened missed"]
    assert history.last.transitions[1].due_at == at("02:00")


def test_without_grace_silence_is_missed_at_the_expected_moment_and_never_late():
    history = healthy(heartbeat(Every(HOUR), grace=0))
    assert history.tick("02:00") == ["02:00 healthy>incident opened missed"]


def test_a_ping_at_the_very_deadline_is_in_time():
    history = healthy()
    history.tick("02:00")
    assert history.ping("02:05") == ["02:05 late>healthy"]
    assert not history.last.mark.late


def test_a_ping_at_the_very_deadline_of_a_cron_is_not_late():
    history = healthy(NIGHTLY)
    history.ping("02:05")
    assert not history.last.mark.late


def test_a_ping_a_millisecond_after_the_deadline_finds_the_incident_open_and_resolves_it():
    history = healthy()
    assert history.ping("02:05:00.001") == [
        "02:00 healthy>late",
        "02:05 late>incident opened missed",
        "02:05:00.001 incident>healthy resolved missed",
    ]


def test_a_ping_inside_the_grace_is_not_marked_late():
    history = healthy()
    history.ping("02:03")
    assert not history.last.mark.late


def test_a_late_ping_resolves_and_stays_marked_late():
    history = healthy()
    history.tick("02:05")
    assert history.ping("02:06") == ["02:06 incident>healthy resolved missed"]
    assert history.last.mark.late
    assert history.expects == ("03:06", "03:11")


def test_a_resolution_names_the_signal_that_did_it():
    history = healthy()
    history.ping("02:06")
    assert history.last.transitions[-1].reason == "ping at 2026-03-10T02:06:00.000Z"


def test_a_late_ping_for_an_old_occurrence_is_not_late_for_the_newest_one():
    history = healthy(heartbeat(cron("0 * * * *")), "00:30")
    history.ping("03:02")  # 01:00 and 02:00 are gaps; 03:00 is met in time
    assert not history.last.mark.late
    assert history.expects == ("04:00", "04:05")


def test_a_second_ping_for_a_met_occurrence_is_not_late():
    history = healthy(NIGHTLY, "02:01")
    history.ping("09:00")
    assert not history.last.mark.late


def test_a_ping_after_a_grace_longer_than_the_gap_meets_the_latest_occurrence():
    history = healthy(heartbeat(cron("0 * * * *"), grace=2 * HOUR), "00:30")
    assert history.expects == ("01:00", "03:00")
    history.ping("02:10")
    assert not history.last.mark.late
    assert history.expects == ("03:00", "05:00")


def test_misses_go_on_at_each_occurrence_and_are_counted_once_each():
    history = healthy()
    history.tick("05:00")
    assert history.said[2:] == [
        "02:05 late>incident opened missed",
        "03:05 incident>incident counted missed",
        "04:05 incident>incident counted missed",
    ]
    assert history.state.failures == 3
    assert history.expects == ("05:00", "05:05")


def test_misses_of_a_cron_go_on_at_each_occurrence():
    history = healthy(NIGHTLY)
    history.tick("3 12:00")
    assert history.said[2:] == [
        "02:05 late>incident opened missed",
        "2 02:05 incident>incident counted missed",
        "3 02:05 incident>incident counted missed",
    ]


@pytest.mark.parametrize(
    ("gap", "slack"),
    [
        ("0 2 * * *", 60 * SECOND),
        ("*/10 * * * *", 60 * SECOND),
        ("*/5 * * * *", 30 * SECOND),
        ("* * * * *", 6 * SECOND),
    ],
)
def test_a_ping_inside_the_early_slack_counts_for_the_occurrence_ahead(gap, slack):
    occurrence = at("02:00")
    rules = heartbeat(cron(gap))
    inside, outside = History(rules), History(rules)
    inside.ping(clock(occurrence - slack))
    assert at(inside.expects[0]) > occurrence
    outside.ping(clock(occurrence - slack - 1))
    assert at(outside.expects[0]) == occurrence


def test_every_has_no_early_slack():
    history = healthy()
    history.ping("01:59:59")
    assert history.expects == ("02:59:59", "03:04:59")


def test_a_host_clock_one_second_fast_causes_no_miss():
    history = healthy(heartbeat(cron("* * * * *"), grace=10 * SECOND), "00:00:59")
    for minute in range(1, 10):
        history.ping(f"00:{minute:02}:59")
    assert history.said == ["00:00:59 draft>healthy"]


def test_an_occurrence_in_the_hour_that_dst_skips_is_expected_at_the_jump():
    history = healthy(heartbeat(cron("30 3 * * *", "Europe/Helsinki")), "19 12:00")  # 2026-03-28; the jump is next
    assert history.expects == ("20 01:00", "20 01:05")


# Times of clients


def test_the_receive_time_is_effective_while_the_clients_is_within_five_minutes():
    history = healthy()
    for client in ("01:25", "01:35", "01:29:59"):
        history.ping("01:30", client)
        assert history.last.mark.effective_at == at("01:30")
        assert not history.last.mark.skewed


def test_beyond_five_minutes_the_earlier_time_is_effective_and_the_signal_is_skewed():
    history = healthy()
    history.ping("01:30", "01:24:59.999")
    assert history.last.mark.effective_at == at("01:24:59.999")
    assert history.last.mark.skewed
    assert history.expects == ("02:24:59.999", "02:29:59.999")


@pytest.mark.parametrize("client", ["01:35:00.001", "2 01:30", "9999 00:00"])
def test_no_timestamp_in_the_future_delays_a_verdict(client):
    history = healthy()
    history.ping("01:30", client)
    assert history.last.mark.effective_at == at("01:30")
    assert history.last.mark.skewed
    assert history.expects == ("02:30", "02:35")


def test_a_ping_replayed_two_days_late_heals_nothing_that_has_fallen_due_since():
    history = healthy(NIGHTLY)
    history.tick("3 12:00")
    assert history.ping("3 12:00", "1 02:01") == []
    assert history.status == "incident"
    assert history.expects == ("4 02:00", "4 02:05")
    assert history.last.mark.skewed


def test_a_replayed_ping_does_not_reset_the_count():
    history = healthy(heartbeat(Every(HOUR), tolerance=3))
    history.tick("03:05")
    history.ping("03:10", "01:30")
    assert (history.status, history.state.failures) == ("failing", 2)


def test_a_ping_delivered_hours_late_heals_while_nothing_has_fallen_due_since():
    history = healthy(NIGHTLY)
    history.tick("02:05")
    assert history.ping("12:00", "02:01") == ["12:00 incident>healthy resolved missed"]
    assert not history.last.mark.late  # it was sent in time


def test_a_ping_older_than_the_newest_moves_no_deadline_back():
    history = healthy()
    history.ping("01:50")
    history.ping("02:00", "01:40")
    assert history.expects == ("02:50", "02:55")
    assert history.last.mark.effective_at == at("01:40")
    assert history.state.signal_at == at("01:50")


def test_a_ping_as_old_as_its_own_deadline_arms_the_next_one_after_the_receipt():
    history = healthy()
    history.tick("09:00")
    history.ping("09:05", "08:00")
    assert history.expects == ("10:00", "10:05")
    assert history.status == "healthy"


def test_a_skewed_ping_inside_a_long_grace_is_late_at_once_and_not_before_its_receipt():
    history = History(heartbeat(Every(10 * MINUTE), grace=HOUR))
    assert history.ping("01:30", "01:15") == ["01:30 draft>late"]
    assert history.tick("02:30") == ["02:25 late>incident opened missed"]


def test_a_first_ping_from_the_past_arms_a_deadline_after_its_receipt():
    history = History(HOURLY)
    history.ping("3 12:30", "1 01:00")
    assert history.expects == ("3 13:00", "3 13:05")


def test_a_first_ping_that_is_overdue_itself_is_unverified_until_the_next_one():
    history = History(heartbeat(Every(10 * MINUTE)))
    assert history.ping("3 12:00", "1 12:00") == ["3 12:00 draft>unverified"]
    assert history.last.mark.skewed
    assert history.state.reason == (
        "the first ping, of 2026-03-10T12:00:00.000Z, is older than what has fallen due since; "
        "unverified until the next signal"
    )
    assert history.ping("3 12:01", "1 12:10") == []
    assert history.ping("3 12:02") == ["3 12:02 unverified>healthy"]


def test_silence_after_a_first_ping_that_is_overdue_itself_is_missed():
    history = History(heartbeat(Every(10 * MINUTE)))
    history.ping("3 12:00", "1 12:00")
    assert history.tick("3 12:10") == ["3 12:05 unverified>incident opened missed"]


def test_a_first_ping_is_healthy_up_to_the_very_deadline_that_it_sets_itself():
    for received, status in (("02:05", "healthy"), ("02:05:00.001", "unverified")):
        history = History(HOURLY)
        history.ping(received, "01:00")
        assert history.status == status


def test_a_first_ping_that_is_overdue_itself_ends_no_pause():
    history = History(HOURLY)
    history.pause("00:10", until_healthy=True)
    assert history.ping("3 12:00", "1 12:00") == []
    assert history.resume("3 12:30") == ["3 12:30 paused>unverified"]


def test_a_first_ping_from_the_past_arms_the_first_occurrence_whose_deadline_lies_after_its_receipt():
    history = History(heartbeat(cron("0 * * * *"), grace=2 * HOUR))
    history.ping("03:10", "00:30")
    assert history.expects == ("02:00", "04:00")


# Tolerance


def test_below_the_tolerance_a_miss_is_failing_and_says_how_many_of_how_many():
    history = healthy(heartbeat(Every(HOUR), tolerance=3))
    history.tick("02:05")
    assert history.said[-1] == "02:05 late>failing counted missed"
    assert history.last.transitions[-1].reason.endswith("1 of 3 before an incident")


def test_the_incident_opens_at_the_occurrence_that_uses_up_the_tolerance():
    history = healthy(heartbeat(Every(HOUR), tolerance=3))
    history.tick("04:05")
    assert history.said[2:] == [
        "02:05 late>failing counted missed",
        "03:05 failing>failing counted missed",
        "04:05 failing>incident opened missed",
    ]


def test_a_ping_resets_the_count():
    history = healthy(heartbeat(Every(HOUR), tolerance=2))
    history.tick("02:05")
    assert history.ping("02:10") == ["02:10 failing>healthy"]
    history.tick("03:15")
    assert history.status == "failing"


def test_at_most_one_incident_is_open_and_a_new_one_opens_after_a_resolution():
    history = healthy()
    history.tick("04:05")
    history.ping("04:10")
    history.tick("05:15")
    actions = [line.split()[2] for line in history.said if " opened " in line or " resolved " in line]
    assert actions == ["opened", "resolved", "opened"]
