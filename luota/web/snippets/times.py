"""A monitor's schedule in other schedulers' words, cron's and those of systemd timers, and what these cannot say."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from luota.core.cron import in_numbers, named
from luota.core.schedule import Calendar, Cron, Every, Schedule

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EXAMPLE = "0 2 * * *"
_STRETCH_COUNT, _STRETCH = 200, 5 * 366 * DAY
"""How far to look for the two closest times: over every hour of a day, or every month with a leap year's."""
_INTERVALS = (  # all that cron can say, the longest first
    (31 * DAY, "0 2 1 * *"),
    (7 * DAY, "0 2 * * 1"),
    (DAY, _EXAMPLE),
    *((n * HOUR, f"0 */{n} * * *") for n in (12, 8, 6, 4, 3, 2)),
    (HOUR, "0 * * * *"),
    *((n * MINUTE, f"*/{n} * * * *") for n in (30, 20, 15, 12, 10, 6, 5, 4, 3, 2)),
    (MINUTE, "* * * * *"),
)


def cron(schedule: Schedule | None, least: int = MINUTE) -> str:
    """Return five fields of cron: the monitor's own, or nightly as an example where it has a calendar or nothing.

    For an interval they are the longest one that is no longer, but never shorter than `least` milliseconds;
    `when` says so where they are not the same.
    """
    match schedule:
        case Cron():
            return " ".join(schedule.fields)
        case Every(interval):
            return next(text for length, text in _INTERVALS if length <= max(interval, least))
    return _EXAMPLE


def numeric(expression: str) -> str:
    """Return five fields of cron without names and with Sunday as 0, as hosting services want them."""
    *fields, weekday = in_numbers(expression).split()
    if "7" in weekday and not weekday.startswith("*"):
        weekday = ",".join(str(value) for value in sorted(named(expression).weekdays))
    return " ".join([*fields, weekday])


def timer(schedule: Schedule | None) -> str:
    """Return the lines of a systemd timer that say when; nightly as an example where there is no schedule."""
    match schedule:
        case Calendar(expression, timezone):
            return f"OnCalendar={expression} {timezone}".replace("%", "%%")
        case Every(interval):
            return f"OnActiveSec=1s\nOnUnitActiveSec={interval // 1000}s"
        case Cron(timezone=timezone):
            return "\n".join(f"OnCalendar={line} {timezone}" for line in _calendars(schedule))
    return "OnCalendar=*-*-* 02:00:00"


@lru_cache(maxsize=4096)
def gap(schedule: Schedule | None) -> int:
    """Return the milliseconds between the two closest times of a schedule; a day where there are not two.

    They are looked for among the first 200, or those of five years where these are fewer, on the schedule's own clock
    without its changes: in spring a day is no shorter.
    """
    match schedule:
        case Every(interval):
            return interval
        case Cron() | Calendar():
            times = _stretch(replace(schedule, timezone="UTC"))
            return min((later - time for time, later in pairwise(times)), default=DAY)
    return DAY


def _stretch(schedule: Cron | Calendar) -> list[int]:
    """Return the first times of a schedule: two where there are two, and then as many as the stretch holds."""
    times: list[int] = []
    following = schedule.after(-1)
    while following is not None and len(times) < _STRETCH_COUNT:
        times.append(following)
        if following - times[0] > _STRETCH:
            break
        following = schedule.after(following)
    return times


def caution(schedule: Schedule | None, least: int = MINUTE) -> str:
    """Return what to know where `cron` says something else than the monitor expects, with a space before it, or "".

    `least` is the shortest interval of the scheduler in milliseconds.
    """
    told = ""
    match schedule:
        case Every(interval) if interval >= least and interval not in dict(_INTERVALS):
            told = f" Cron cannot say {schedule.describe()}: this is the nearest interval that is shorter, with which \
the monitor stays healthy. A systemd timer says it exactly."
        case Calendar():
            told = " The time here is an example: put those of the monitor's calendar in, or it will be in incident."
    if gap(schedule) < least:
        shortest = Every(least).describe()
        told += f" A job starts {shortest} at most here, and this monitor expects signals closer together: it would be \
in incident between them. Use a systemd timer, or let the monitor expect no more than a signal {shortest}."
    return told


def when(schedule: Schedule | None, zone: str, least: int = MINUTE) -> str:
    """Return sentences on the times in a snippet: `zone` is where the scheduler reads its fields, as in "UTC"."""
    match schedule:
        case Cron(timezone=timezone) if timezone != zone:
            told = f"The expression is read in {zone}; the monitor's is meant in {timezone}: shift its \
hours where the two differ."
        case None:
            told = f"Put your own time in; it is read in {zone}."
        case _:
            told = f"Times are read in {zone}."
    return told + caution(schedule, least)


def _calendars(schedule: Cron) -> list[str]:
    """Return the calendar expressions of systemd that together say what an expression of cron says."""
    at = schedule.named
    time = f"{_calendar(sorted(at.hours), 0, 23)}:{_calendar(sorted(at.minutes), 0, 59)}:00"
    months, days = _calendar(sorted(at.months), 1, 12), _calendar(sorted(at.days), 1, 31)
    on = "Mon Tue Wed Thu Fri Sat Sun".split()
    weekdays = "" if len(at.weekdays) == 7 else _spans([(day - 1) % 7 for day in at.weekdays], on) + " "
    if at.either:
        return [f"{weekdays}*-{months}-* {time}", f"*-{months}-{days} {time}"]  # see crontab(5)
    return [f"{weekdays}*-{months}-{days} {time}"]


def _calendar(values: list[int], low: int, high: int) -> str:
    if values == list(range(low, high + 1)):
        return "*"
    step = values[1] - values[0] if len(values) > 2 else 1
    if step > 1 and values == list(range(values[0], high + 1, step)):
        return f"{values[0]:02}/{step}"
    return _spans(values, [f"{value:02}" for value in range(high + 1)])


def _spans(values: Sequence[int], names: Sequence[str]) -> str:
    """Return the names of some values as `a..b,c`."""
    spans: list[list[int]] = []
    for value in sorted(values):
        if spans and value == spans[-1][-1] + 1:
            spans[-1].append(value)
        else:
            spans.append([value])
    parts = ([f"{names[s[0]]}..{names[s[-1]]}"] if len(s) > 2 else [names[v] for v in s] for s in spans)
    return ",".join(part for span in parts for part in span)
