"""What the fields of a cron expression name, for words and for other schedulers."""

import pytest

from luota.core.cron import in_numbers, named


@pytest.mark.parametrize(
    ("field", "weekdays"),
    [
        ("*", {0, 1, 2, 3, 4, 5, 6}),
        ("7", {0}),
        ("mon-FRI/2", {1, 3, 5}),
        ("5-7,tue", {0, 2, 5, 6}),
        ("3-3/2", {3}),  # a step over one value goes nowhere
    ],
)
def test_weekdays_are_named_from_sunday_as_0(field, weekdays):
    assert named(f"0 0 * * {field}").weekdays == weekdays


def test_ranges_lists_and_steps_are_expanded():
    found = named("*/20 8-10,22 1-31/15 JAN-MAR *")
    assert (found.minutes, found.hours, found.days, found.months) == (
        {0, 20, 40},
        {8, 9, 10, 22},
        {1, 16, 31},
        {1, 2, 3},
    )


@pytest.mark.parametrize(("days", "either"), [("1 * MON", True), ("*/2 * MON", False), ("1 * *", False)])
def test_a_day_is_of_either_field_unless_one_begins_with_a_star(days, either):
    assert named(f"0 0 {days}").either is either


def test_names_are_replaced_by_numbers():
    assert in_numbers("0 7 * jan,Dec MON-FRI") == "0 7 * 1,12 1-5"
