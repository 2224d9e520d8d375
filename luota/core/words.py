"""A schedule and what it promises, in words for people.

Only what is certain to be meant is put into words, by the sets of minutes, hours and days that an expression names;
any that has no plain name is shown as it was written.
"""

import re
from collections.abc import Sequence

from luota.core.bar import Drawn, Slot
from luota.core.cron import Named
from luota.core.model import Mode, Rules
from luota.core.schedule import Calendar, Cron, Every, Schedule
from luota.core.spec.values import format_duration

_DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SPECIALS = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "Mon 00:00",
    "monthly": "*-*-01 00:00",
    "quarterly": "*-01,04,07,10-01 00:00",
    "semiannually": "*-01,07-01 00:00",
    "yearly": "*-01-01 00:00",
    "annually": "*-01-01 00:00",
}
_MOST_LISTED = 4
_MOST_MONTHS = 6
_RUN_WORDS = {
    Drawn.OK: "success",
    Drawn.LATE: "success, started late",
    Drawn.FAILED: "failed",
    Drawn.STUCK: "stuck",
    Drawn.RUNNING: "running",
    Drawn.UNVERIFIED: "outcome unknown",
}
_CLOSED_WORDS = {
    Drawn.STUCK: "hung, then succeeded",
    Drawn.UNVERIFIED: "success, unverified",
}
_SILENCE_WORDS = {
    Drawn.LATE: "late: no signal yet",
    Drawn.MISSED: "missed: no signal",
    Drawn.UNVERIFIED: "unverified: Luota was not watching",
    Drawn.PAUSED: "paused",
    Drawn.NONE: "no signal yet at all",
}


def describe(schedule: Schedule) -> str:
    """Return a schedule in words, such as `every weekday at 07:00, Europe/Helsinki`.

    What has no plain name is shown as it was written: `by cron */7 * * * *, Europe/Helsinki`.
    """
    if isinstance(schedule, Every):
        return _every(schedule.interval)
    named = schedule.named if isinstance(schedule, Cron) else _of_calendar(schedule)
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


def run_said(drawn: Drawn, *, closed: bool) -> str:
    """Return the words for a run by how it is drawn: one that is drawn badly may have succeeded since."""
    return (_CLOSED_WORDS.get(drawn) if closed else None) or _RUN_WORDS[drawn]


def said(slot: Slot) -> tuple[str | int, ...]:
    """Return the words for a slot, instants among them as integers for the page to write out."""
    state, start = slot.state, slot.start
    if slot.run is not None:
        word = run_said(state, closed=slot.finished_at is not None)
        words: tuple[str | int, ...] = ("run of ", start if slot.at is None else slot.at, f": {word}")
        return words if slot.finished_at is None else (*words, ", ended ", slot.finished_at)
    if slot.at is not None:
        if slot.first or not slot.scheduled or slot.at == start:
            off = ""
        else:
            off = f"{format_duration(abs(slot.at - start))} {'after' if slot.at > start else 'before'} expected"
        word, late = "first signal at " if slot.first else "signal at ", [", late"] if state is Drawn.LATE else []
        return (word, slot.at, *([f", {off}"] if off else []), *late)
    if slot.first:
        return ("nothing expected yet, created ", start)
    if state is Drawn.STALE:
        return ("stale output, to be renewed by ", start)
    if slot.followed is not None:
        return ("no signal of its own, expected ", start, "; the next came within its grace, at ", slot.followed)
    return (f"{_SILENCE_WORDS[state]}, expected ", start)


def _every(interval: int) -> str:
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if interval % unit == 0:
            count = interval // unit
            return f"every {name}" if count == 1 else f"every {count} {name}s"
    return "every second" if interval == 1_000 else f"every {interval // 1000} seconds"


def _said(named: Named) -> str | None:
    days, time, exact = _days(named), *_time(named.minutes, named.hours)
    if days is None or time is None:
        return None
    if exact:
        return f"{days} at {time}"
    return time if days == "every day" else f"{days}, {time}"


def _days(named: Named) -> str | None:
    """Return the days in words: those that a date and a weekday name, or either of the two where a schedule says so."""
    weekly, dates = _weekly(named.weekdays), _dates(named)
    if dates is None:
        return None
    if named.either and not (weekly and dates):
        return _of_months("every day", named)
    if weekly and dates:
        if named.either:
            return f"{dates} and {_of_months(weekly, named)}"
        return f"{weekly} that falls on {dates.removeprefix('on ').removeprefix('every ')}"
    return dates or _of_months(weekly or "every day", named)


def _weekly(weekdays: frozenset[int]) -> str:
    """Return the days of the week in words; empty where it is any."""
    if len(weekdays) == 7:
        return ""
    if weekdays == frozenset(range(1, 6)):
        return "every weekday"
    return "every " + _listed([_DAYS[day] for day in sorted(weekdays, key=lambda day: day or 7)])


def _dates(named: Named) -> str | None:
    """Return the days of the month in words; empty where it is any, None where they have no plain name."""
    days, months, months_said = sorted(named.days), named.months, _months(named.months)
    if len(days) == 31:
        return ""
    if months_said is None:
        return None
    if len(days) == len(months) == 1 and not named.from_end:
        return f"every {days[0]} {months_said}"
    if named.from_end and days == list(range(1, len(days) + 1)):
        said = f"the last {'day' if len(days) == 1 else f'{len(days)} days'}"
    else:
        numbers = _numbers(days)
        if numbers is None:
            return None
        said = f"day{'' if len(days) == 1 else 's'} {numbers}{' from the end' if named.from_end else ''}"
    said = f"on {said} of {months_said}"
    if days[-1] <= min(_LENGTHS[month - 1] for month in months):
        return said
    if len(days) == 1:
        return f"{said} that has one" if len(months) == 12 else f"{said} (where it exists)"
    return f"{said} (where they exist)"


def _numbers(days: list[int]) -> str | None:
    if len(days) > 2 and days[-1] - days[0] + 1 == len(days):
        return f"{days[0]} to {days[-1]}"
    return _listed([str(day) for day in days]) if len(days) <= _MOST_LISTED else None


def _of_months(days: str, named: Named) -> str | None:
    if len(named.months) == 12:
        return days
    months = _months(named.months)
    return None if months is None else f"{days} in {months}"


def _months(months: frozenset[int]) -> str | None:
    if len(months) == 12:
        return "every month"
    names = [_MONTHS[month - 1] for month in sorted(months)]
    if len(names) > 2 and max(months) - min(months) + 1 == len(names):
        return f"{names[0]} to {names[-1]}"
    return _listed(names) if len(names) <= _MOST_MONTHS else None


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


def _of_calendar(schedule: Calendar) -> Named | None:
    text = _SPECIALS.get(schedule.expression.lower(), schedule.expression)
    parts = text.split()
    hour, minute, day, month, weekday, from_end = "0", "0", "*", "*", "*", False
    if ":" in parts[-1]:
        hour, minute, *second = parts.pop().split(":")
        if second and second not in (["0"], ["00"]):
            return None
    date = re.fullmatch(r"(?:\*-)?([^-~]+)(?:-([^-~]+)|~([^-~/]+))", parts[-1]) if parts else None
    if date is not None:
        parts.pop()
        month, day, from_end = date[1], date[2] or date[3], date[3] is not None
    if parts:
        weekday = parts.pop()
    if parts:
        return None
    names = [name[:3].upper() for name in _DAYS]
    weekday = re.sub(r"[A-Z]+", lambda match: match[0][:3], weekday.upper())
    minutes, hours, days = _values(minute, 0, 59), _values(hour, 0, 23), _values(day, 1, 31)
    months, weekdays = _values(month, 1, 12), _values(weekday, 0, 7, names)
    if minutes is None or hours is None or days is None or months is None or weekdays is None:
        return None
    return Named(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), from_end=from_end)


def _values(text: str, least: int, most: int, names: Sequence[str] = ()) -> frozenset[int] | None:
    """Return the numbers that a field of a calendar names, or None for what is not certain to be read right."""
    found = set[int]()
    value = rf"\d+{''.join(f'|{name}' for name in names)}"
    for term in text.split(","):
        match = re.fullmatch(rf"(?:(\*)|({value})(?:\.\.({value}))?)(?:/(\d+))?", term)
        if match is None:
            return None
        star, one, other, step = match.groups()
        if step is not None and (not int(step) or (names and one)):
            return None
        start = least if star else _number(one, names)
        end = most if star or (step and not other) else _number(other or one, names)
        # A step over a range of one is read in two ways.
        if not least <= start <= end <= most or (step and start == end):
            return None
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Sequence[str]) -> int:
    return names.index(text) if text in names else int(text)
