"""The words on a slot to hover are those of the list beside the bar."""

from luota.core.bar import Drawn
from luota.core.model import Mode, Rules
from luota.core.words import said
from luota.web.dashboard.bars import describe, summary
from luota.web.dashboard.html import exact
from tests.core.history import HOUR, MINUTE, heartbeat
from tests.core.recorded import EVERY, HOURLY, pinged

DAY = "2026-03-10 "


def listed(slot):
    """What the list tells of a slot."""
    return "".join(word if isinstance(word, str) else exact(word) for word in said(slot))


def test_before_its_first_signal_a_slot_is_told_alike_on_hover_in_the_list_and_in_sum():
    slots = pinged(HOURLY, now="02:30", n=2)
    assert {slot.state for slot in slots} == {Drawn.NONE}
    assert [describe(slot) for slot in slots] == [listed(slot) for slot in slots]
    assert describe(slots[-1]) == f"no signal yet at all, expected {DAY}02:00:00 UTC"
    assert summary(slots) == f"The last 2 slots, since {DAY}01:00:00 UTC: no signal yet at all"


def test_the_first_slot_of_a_young_monitor_tells_of_its_first_signal():
    (slot,) = pinged(HOURLY, "00:31", now="00:32", created="00:30")
    assert describe(slot) == f"first signal at {DAY}00:31:00 UTC"


def described(*when, now):
    """The newest slots of a monitor of which hourly signals are expected within two and a half hours."""
    return [describe(slot) for slot in pinged(heartbeat(EVERY.schedule, grace=150 * MINUTE), *when, now=now)]


def test_a_slot_that_nothing_met_is_never_just_late_as_if_a_signal_had_come():
    assert described("01:00", now="02:05")[-1] == f"late: no signal yet, expected {DAY}02:00:00 UTC"
    followed = f"no signal of its own, expected {DAY}02:00:00 UTC; the next came within its grace, at {DAY}03:10:00 UTC"
    assert described("01:00", "03:10", now="03:11")[-2] == followed


def test_output_that_was_renewed_is_told_without_a_moment_at_which_a_signal_was_expected():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=HOUR, grace=10 * MINUTE)
    said = describe(pinged(fresh, "01:00", "04:35", now="05:00")[-1])
    assert said == f"signal at {DAY}04:35:00 UTC, late"


def test_a_slot_tells_how_far_its_signal_was_from_the_moment_at_which_it_was_expected():
    signal = f"signal at {DAY}"
    assert described("01:00", "03:10", now="03:11")[-1] == f"{signal}03:10:00 UTC, 1 h 10 min after expected"
    assert described("01:00", "05:00:02", now="05:01")[-1] == f"{signal}05:00:02 UTC, 3 h 2 s after expected, late"
    assert described("01:00", "02:10", now="02:11")[-1] == f"{signal}02:10:00 UTC, 10 min after expected"


def test_a_signal_within_a_second_of_its_moment_is_never_told_as_no_time_before_or_after_it():
    def at(when):
        return describe(pinged(HOURLY, "01:00", when, now="02:30", n=2)[-1])

    assert at("02:00") == f"signal at {DAY}02:00:00 UTC"
    assert at("01:59:59.600") == f"signal at {DAY}01:59:59 UTC, 400 ms before expected"
    assert at("02:00:00.025") == f"signal at {DAY}02:00:00 UTC, 25 ms after expected"
