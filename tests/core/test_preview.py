"""The occurrences around now, and what the change of the clock does to them."""

import pytest

from luota.core.preview import last_occurrences, upcoming
from luota.core.schedule import Every, parse_schedule
from tests.core.history import DAY, HOUR, MINUTE, at, calendar, clock, cron

HELSINKI = "Europe/Helsinki"
BEFORE_SPRING = at("18 12:00")  # 2026-03-27; clocks go forward on the 29th, 03:00 to 04:00
BEFORE_AUTUMN = 1_792_756_800_000  # 2026-10-23T12:00Z; clocks go back on the 25th, 04:00 to 03:00


def test_the_next_occurrences_come_with_their_offsets():
    found = upcoming(cron("0 7 * * *", HELSINKI), BEFORE_SPRING, 3)
    assert [clock(one.at) for one in found] == ["19 05:00", "20 04:00", "21 04:00"]
    assert [one.offset for one in found] == [2 * HOUR, 3 * HOUR, 3 * HOUR]
    assert [one.change is None for one in found] == [True, False, True]
    change = found[1].change
    assert (clock(change.at), change.before, change.after) == ("20 01:00", 2 * HOUR, 3 * HOUR)


@pytest.mark.parametrize(
    ("schedule", "spring", "autumn"),
    [
        (cron("30 3 * * *", HELSINKI), "occurs at the change", "occurs the first time only"),
        (cron("30 * * * *", HELSINKI), "occurs not at all", "occurs both times"),
        (calendar("*-*-* 03:30", HELSINKI), "occurs not at all", "occurs the first time only"),
    ],
)
def test_a_change_of_the_clock_is_marked_with_what_it_does(schedule, spring, autumn):
    for now, note, word in ((BEFORE_SPRING, spring, "forward"), (BEFORE_AUTUMN, autumn, "back")):
        (change,) = [one.change for one in upcoming(schedule, now, 60)[:60] if one.change][:1]
        assert change.note.startswith(f"clocks go {word} by 1 h; ")
        assert change.note.endswith(note)


def test_the_note_names_the_time_that_the_change_skips_or_doubles():
    (change,) = [one.change for one in upcoming(cron("30 3 * * *", HELSINKI), BEFORE_SPRING, 3) if one.change]
    assert change.note == "clocks go forward by 1 h; 03:30, which is skipped, occurs at the change"
    (change,) = [one.change for one in upcoming(cron("*/15 3 * * *", HELSINKI), BEFORE_SPRING, 12) if one.change]
    assert change.note.endswith("a time from 03:00 to 04:00, which is skipped, occurs not at all")


LONDON = "Europe/London"
BEFORE_2027 = 1_824_681_600_000  # 2027-10-28T00:00Z; London's clocks go back on the 31st, 02:00 to 01:00


@pytest.mark.parametrize(
    ("schedule", "offsets", "time", "occurs"),
    [
        (cron("30 1 * 10 0", LONDON), [HOUR], "01:30", "the first time only"),
        (cron("0 1 31 10 *", LONDON), [HOUR], "01:00", "the first time only"),
        (cron("59 1 * * *", LONDON), [HOUR], "01:59", "the first time only"),
        (cron("30 * * * *", LONDON), [HOUR, 0], "01:30", "both times"),
        (calendar("*-10-31 01:30", LONDON), [HOUR], "01:30", "the first time only"),
        (calendar("*-*-* *:30", LONDON), [HOUR], "01:30", "the first time only"),
    ],
    ids=lambda one: getattr(one, "expression", None),
)
def test_each_occurrence_whose_local_time_comes_twice_is_marked_itself(schedule, offsets, time, occurs):
    marked = [one for one in upcoming(schedule, BEFORE_2027, 99) if one.change and one.at < BEFORE_2027 + 5 * DAY]
    assert [one.offset for one in marked] == offsets
    assert {one.change.at - BEFORE_2027 for one in marked} == {3 * DAY + HOUR}
    assert {(one.change.before, one.change.after) for one in marked} == {(HOUR, 0)}
    assert {one.change.note for one in marked} == {f"clocks go back by 1 h; {time}, which comes twice, occurs {occurs}"}


@pytest.mark.parametrize("time", ["0 0", "30 0", "59 0", "0 2", "30 2"])
def test_a_time_beside_the_doubled_hour_is_not_said_to_come_twice(time):
    found = upcoming(cron(f"{time} 31 10 *", LONDON), BEFORE_2027, 3)
    assert [one.change for one in found] == [None, None, None]


@pytest.mark.parametrize("expression", ["0 12 31 10 *", "0 6 * * 1", "0 6 */2 * *"])
def test_no_hour_is_missed_in_an_interval_of_two_days_or_more(expression):
    for now in (BEFORE_SPRING, BEFORE_AUTUMN, BEFORE_2027):
        assert [one.change.note for one in upcoming(cron(expression, LONDON), now, 5) if one.change] == []


def test_a_change_that_makes_the_usual_interval_another_is_marked_with_how_long_it_is():
    for now, real in ((BEFORE_SPRING, "23 h"), (BEFORE_AUTUMN, "1 d 1 h")):
        (change,) = [one.change for one in upcoming(cron("0 7 * * *", HELSINKI), now, 4) if one.change]
        assert change.note.endswith(f"{real} lie between the times before and after it, not 1 d")


@pytest.mark.parametrize("now", [BEFORE_SPRING, BEFORE_AUTUMN])
@pytest.mark.parametrize(
    "schedule",
    [
        cron("0 7 * * MON-FRI", HELSINKI),  # the change comes at a weekend
        cron("*/10 8-17 * * *", HELSINKI),
        cron("0 6 1 * *", HELSINKI),
        cron("0 6 24 12 *", HELSINKI),
        calendar("Mon..Fri *-*-* 07:00", HELSINKI),
        cron("0 7 * * *"),
    ],
    ids=lambda one: getattr(one, "expression", None),
)
def test_a_change_that_touches_no_time_and_no_usual_interval_is_not_marked(schedule, now):
    assert [one for one in upcoming(schedule, now, 70) if one.change and one.at < now + 60 * DAY] == []


def test_the_occurrence_at_a_skipped_time_is_the_change_itself():
    found = upcoming(cron("30 3 * * *", HELSINKI), BEFORE_SPRING, 2)[1]
    assert found.at == found.change.at


def test_every_counts_from_now():
    found = upcoming(Every(HOUR), 5, 2, HELSINKI)
    assert [one.at for one in found] == [5 + HOUR, 5 + 2 * HOUR]
    assert upcoming(Every(DAY), BEFORE_SPRING, 3, HELSINKI)[1].change.note.endswith("the interval stays the same")


def test_a_schedule_that_ends_has_fewer():
    once = parse_schedule({"calendar": "2026-03-28 02:00"})
    assert len(upcoming(once, BEFORE_SPRING, 5)) == 1
    assert upcoming(once, BEFORE_SPRING + DAY, 5) == ()


@pytest.mark.parametrize(
    "schedule",
    [
        cron("0 2 * * *", HELSINKI),
        cron("0 7 * * MON-FRI", HELSINKI),
        cron("*/5 8-17 * * MON-FRI", HELSINKI),
        cron("* * 1 1 *"),
        cron("0 0 29 2 *"),
        calendar("*-*-* *:10/20", HELSINKI),
        calendar("Sat *-*-1..7 18:00"),
    ],
)
def test_the_last_occurrences_are_those_that_walking_forward_finds(schedule):
    last = schedule.at_or_before(BEFORE_AUTUMN)
    found = last_occurrences(schedule, last, 35)
    assert found[-1] == last
    if schedule != cron("0 0 29 2 *"):
        assert len(found) == 35
    walked, following = [], schedule.after(found[0] - 1)
    while following <= last:
        walked.append(following)
        following = schedule.after(following)
    assert tuple(walked) == found


class Counted:
    """A schedule that counts how often it is asked."""

    def __init__(self, schedule):
        self.schedule, self.asked = schedule, 0

    def after(self, t):
        self.asked += 1
        return self.schedule.after(t)

    def at_or_before(self, t):
        self.asked += 1
        return self.schedule.at_or_before(t)


def test_a_schedule_that_is_dense_for_a_day_a_year_is_asked_no_more_often_than_needed():
    dense = cron("* * 1 1 *")
    counted = Counted(dense)
    after_midnight = dense.at_or_before(at("00:00")) - DAY + 3 * MINUTE  # the occurrence before lies a year back
    assert len(last_occurrences(counted, dense.at_or_before(after_midnight), 35)) == 35
    assert counted.asked < 1000


def test_there_may_have_been_fewer():
    once = calendar("2026-03-28 02:00,03:00")
    assert len(last_occurrences(once, once.at_or_before(at("20 00:00")), 30)) == 2
