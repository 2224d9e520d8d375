"""What the fields of a systemd calendar expression name, for words."""

import pytest

from luota.core.calendar import named


def test_ranges_lists_and_steps_are_expanded():
    found = named("Mon..Wed,Sun *-1..3,12-1/15 8..10,22:0/20")
    assert (found.minutes, found.hours, found.days, found.months, found.weekdays) == (
        {0, 20, 40},
        {8, 9, 10, 22},
        {1, 16, 31},
        {1, 2, 3, 12},
        {0, 1, 2, 3},
    )
    assert not found.from_end
    assert not found.either


@pytest.mark.parametrize(
    ("days", "from_end"), [("~01", {1}), ("~07/3", {7, 4, 1}), ("~1..3", {1, 2, 3}), ("~9..9/3", {9})]
)
def test_days_that_count_back_from_the_end_of_a_month_are_counted_from_1(days, from_end):
    found = named(f"*-02{days}")
    assert (found.days, found.months, found.from_end) == (from_end, {2}, True)


@pytest.mark.parametrize("expression", ["2027-03-28 02:00", "2020..2030-*-*", "*:*:30", "*:*:0/10"])
def test_certain_years_and_seconds_have_no_place_among_the_fields(expression):
    assert named(expression) is None


@pytest.mark.parametrize("expression", ["*:*", "minutely", "*-*-* *:*:00"])
def test_every_year_and_second_0_alone_need_none(expression):
    assert len(named(expression).minutes) == 60
