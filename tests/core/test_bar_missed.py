"""A signal in time tells of what was missed between it and the one before."""

from luota.core.bar import missed_before
from tests.core.history import clock
from tests.core.recorded import HOURLY, pinged


def missed_just_before(*when, now="09:00", n=9):
    found = missed_before(pinged(HOURLY, *when, now=now, n=n))
    return None if found is None else clock(found)


def test_the_newest_signal_tells_of_a_miss_between_it_and_the_one_before():
    assert missed_just_before("01:00", "04:01", now="04:30") == "04:01"
    assert missed_just_before("01:00", "02:01", now="02:30") is None


def test_a_miss_before_an_older_signal_or_after_the_newest_one_is_none_before_it():
    assert missed_just_before("01:00", "04:01", "05:00", now="05:30") is None
    assert missed_just_before("01:00", "02:01", now="04:30") is None


def test_of_several_signals_in_a_slot_the_first_one_followed_the_miss():
    assert missed_just_before("01:00", "04:01", "04:20", now="04:30") == "04:01"


def test_a_bar_that_begins_with_a_miss_tells_of_it_and_one_without_a_signal_of_none():
    assert missed_just_before("01:00", "04:01", now="04:30", n=3) == "04:01"
    assert missed_before(pinged(HOURLY, now="04:30", n=3)) is None
    assert missed_before(()) is None
