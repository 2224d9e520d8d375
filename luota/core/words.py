"""A schedule and what it promises, in words for people.

Only what is certain to be meant is put into words: an expression is read into the sets of minutes, hours and
days that it names, and any that has no plain name is shown as it was written.
"""

import re
from collections.abc import Sequence

from msgspec import Struct

from luota.core.bar import Drawn, Slot
from luota.core.model import Mode, Rules
from luota.core.schedule import Calendar, Cron, Every, Schedule
from luota.core.spec.values import format_duration

_DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_SPECIALS = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "Mon 00:00",
    "monthly": "*-*-01 00:00",
    "yearly": "*-01-01 00:00",
    "annually": "*-01-01 00:00",
}
_MOST_LISTED = 4
_RUN_WORDS = {
    Drawn.OK: "success",
    Drawn.LATE: "success, started late",
    Drawn.FAILED: "failed",
    Drawn.STUCK: "stuck",
    Drawn.RUNNING: "running",
    Drawn.UNVERIFIED: "outcome unknown",
}
_SILENCE_WORDS = {
    Drawn.LATE: "late: no signal yet",
    Drawn.MISSED: "missed: no signal",
    Drawn.UNVERIFIED: "unverified: Luota was not watching",
    Drawn.PAUSED: "paused",
    Drawn.NONE: "no signal yet at all",
}


class _Named(Struct, frozen=True):
    """When a schedule occurs, as sets; `days` is those of the month, `weekdays` counts from Sunday, 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]


def describe(schedule: Schedule) -> str:
    """Return a schedule in words, such as `every weekday at 07:00, Europe/Helsinki`.

    What has no plain name is shown as it was written: `by cron 0 7 1-7 * MON, Europe/Helsinki`.
    """
    if isinstance(schedule, Every):
        return _every(schedule.interval)
    named = _of_cron(schedule) if isinstance(schedule, Cron) else _of_calendar(schedule)
    said = None if named is None else _said(named)
    if said is None:
        said = f"by {'cron' if isinstance(schedule, Cron) else 'calendar'} {schedule.expression}"
    return f"{said}, {schedule.timezone}"


def promised(rules: Rules, expected_at: int | None, deadline_at: int | None) -> tuple[str | int, ...]:
    """Return what is expected and by when, instants as integers for the page to write out.

    Such as `expected 07:00, grace 10 min, deadline 07:10`.
    """
    if rules.mode is Mode.RUN and rules.schedule is None:
        return (f"no schedule; a run is stuck after {format_duration(rules.max_runtime)}",)
    if expected_at is None or deadline_at is None:
        return ("nothing is expected",)
    word = "to be renewed by " if rules.mode is Mode.FRESHNESS else "expected "
    return (word, expected_at, f", grace {format_duration(rules.grace)}, deadline ", deadline_at)


def said(slot: Slot) -> tuple[str | int, ...]:
    """Return the words for a slot, instants among them as integers for the page to write out."""
    state, start = slot.state, slot.start
    if slot.run is not None:
        words: tuple[str | int, ...] = ("run of ", start if slot.at is None else slot.at, f": {_RUN_WORDS[state]}")
        return words if slot.ended_at is None else (*words, " at ", slot.ended_at)
    if slot.at is not None:
        if not slot.scheduled or slot.at == start:
            off = ""
        else:
            off = f"{format_duration(abs(slot.at - start))} {'after' if slot.at > start else 'before'} expected"
        return ("signal at ", slot.at, *([f", {off}"] if off else []), *([", late"] if state is Drawn.LATE else []))
    if state is Drawn.STALE:
        return ("stale output, to be renewed by ", start)
    return (f"{_SILENCE_WORDS[state]}, expected ", start)


def _every(interval: int) -> str:
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if interval % unit == 0:
            count = interval // unit
            return f"every {name}" if count == 1 else f"every {count} {name}s"
    return "every second" if interval == 1_000 else f"every {interval // 1000} seconds"


def _said(named: _Named) -> str | None:
    days, time, exact = _days(named), *_time(named.minutes, named.hours)
    if days is None or time is None:
        return None
    if exact:
        return f"{days} at {time}"
    return time if days == "every day" else f"{days}, {time}"


def _days(named: _Named) -> str | None:
    any_day, any_month = len(named.days) == 31, len(named.months) == 12
    if len(named.weekdays) < 7:
        if not (any_day and any_month):
            return None
        if named.weekdays == frozenset(range(1, 6)):
            return "every weekday"
        return "every " + _listed([_DAYS[day] for day in sorted(named.weekdays, key=lambda day: day or 7)])
    if any_day:
        return "every day" if any_month else None
    if len(named.days) != 1:
        return None
    (day,) = named.days
    if any_month:
        return f"on day {day} of every month" + (" that has one" if day > 28 else "")
    if len(named.months) != 1:
        return None
    return f"every {day} {_MONTHS[next(iter(named.months)) - 1]}"


def _time(minutes: frozenset[int], hours: frozenset[int]) -> tuple[str | None, bool]:
    """Return the times of a day in words, and whether they are clock times such as `07:00 and 19:00`."""
    if len(hours) * len(minutes) <= _MOST_LISTED:
        return _listed([f"{hour:02}:{minute:02}" for hour in sorted(hours) for minute in sorted(minutes)]), True
    first, last = min(hours), max(hours)
    in_row = last - first + 1 == len(hours)
    span = "" if len(hours) == 24 else f" from {first:02}:{min(minutes):02} to {last:02}:{max(minutes):02}"
    step = _step(minutes, 60)
    if len(minutes) > 1 and len(hours) > 1:
        if not in_row or step is None or (step > 1 and 0 not in minutes):
            listed = len(hours) == 24 and len(minutes) <= _MOST_LISTED
            return (f"at minutes {_listed([str(m) for m in sorted(minutes)])} of every hour" if listed else None), False
        return ("every minute" if step == 1 else f"every {step} minutes") + span, False
    if len(minutes) > 1:
        return None, False
    (minute,) = minutes
    if len(hours) == 24:
        return f"at minute {minute} of every hour", False
    step = _step(hours, 24)
    if in_row:
        return f"every hour{span}", False
    return (None if step is None else f"every {step} hours from {first:02}:{minute:02}"), False


def _step(values: frozenset[int], size: int) -> int | None:
    """Return the step by which `values` go round a circle of `size`, or None when they do not."""
    step, rest = divmod(size, len(values))
    return step if not rest and values == frozenset(range(min(values), size, step)) else None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _of_cron(schedule: Cron) -> _Named | None:
    minute, hour, day, month, weekday = (field.upper() for field in schedule.fields)
    if not day.startswith("*") and not weekday.startswith("*"):
        return None  # either of the two
    sets = [
        _values(minute, 0, 59),
        _values(hour, 0, 23),
        _values(day, 1, 31),
        _values(month, 1, 12, [name[:3].upper() for name in _MONTHS], 1),
        _values(weekday, 0, 7, [name[:3].upper() for name in _DAYS]),
    ]
    return _named(sets)


def _named(sets: list[frozenset[int] | None]) -> _Named | None:
    minutes, hours, days, months, weekdays = sets
    if minutes is None or hours is None or days is None or months is None or weekdays is None:
        return None
    return _Named(minutes, hours, days, months, frozenset(day % 7 for day in weekdays))


def _of_calendar(schedule: Calendar) -> _Named | None:
    text = _SPECIALS.get(schedule.expression.lower(), schedule.expression)
    parts = text.split()
    hour, minute, day, month, weekday = "0", "0", "*", "*", "*"
    if ":" in parts[-1]:
        hour, minute, *second = parts.pop().split(":")
        if second and second not in (["0"], ["00"]):
            return None
    if parts and re.fullmatch(r"\*-[^-~]+-[^-~]+|[^-~]+-[^-~]+", parts[-1]):
        *_year, month, day = parts.pop().split("-")
    if parts:
        weekday = parts.pop()
    if parts:
        return None
    names = [name[:3].upper() for name in _DAYS]
    weekday = re.sub(r"[A-Z]+", lambda match: match[0][:3], weekday.upper())
    numbers = [
        _values(*field, calendar=True) for field in ((minute, 0, 59), (hour, 0, 23), (day, 1, 31), (month, 1, 12))
    ]
    return _named([*numbers, _values(weekday, 0, 7, names, calendar=True)])


def _values(
    text: str, least: int, most: int, names: Sequence[str] = (), first: int = 0, *, calendar: bool = False
) -> frozenset[int] | None:
    """Return the numbers that a field names, or None for what is not certain to be read right."""
    between, found = (r"\.\." if calendar else "-"), set[int]()
    value = rf"\d+{''.join(f'|{name}' for name in names)}"
    for term in text.split(","):
        match = re.fullmatch(rf"(?:(\*)|({value})(?:{between}({value}))?)(?:/(\d+))?", term)
        if match is None:
            return None
        star, one, other, step = match.groups()
        if step is not None and (not int(step) or (names and one)):
            return None
        start = least if star else _number(one, names, first)
        end = most if star or (step and not other) else _number(other or one, names, first)
        # A step over a range of one is read in two ways.
        if not least <= start <= end <= most or (step and start == end):
            return None
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Sequence[str], first: int) -> int:
    return names.index(text) + first if text in names else int(text)
