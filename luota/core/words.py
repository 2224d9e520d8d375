"""A schedule and what it promises, in words for people.

The words of a schedule come from the sets of minutes, hours and days that it names, and from nothing else: two that
occur at other times are never said alike, but for what they do where the clocks change (docs/verdicts.md, "Schedules").
"""

from collections.abc import Iterable, Sequence

from luota.core.bar import Drawn, Slot
from luota.core.cron import Named
from luota.core.model import Mode, Rules
from luota.core.schedule import Every, Schedule
from luota.core.spec.values import SECOND, format_duration, format_measured

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # the longest that each can be
_MOST_LISTED = 4
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
_NO_SIGNAL = "no signal yet at all"
_SILENCE_WORDS = {
    Drawn.LATE: "late: no signal yet",
    Drawn.MISSED: "missed: no signal",
    Drawn.UNVERIFIED: "unverified: Luota was not watching",
    Drawn.PAUSED: "paused",
    Drawn.NONE: _NO_SIGNAL,
}
_DRAWN_WORDS = {Drawn.OK: "in time", Drawn.NONE: _NO_SIGNAL}


def describe(schedule: Schedule) -> str:
    """Return a schedule in words, such as `every weekday at 07:00, Europe/Helsinki`.

    A calendar of certain years or seconds is shown as it was written: `by calendar *:*:0/10, UTC`.
    """
    if isinstance(schedule, Every):
        return _every(schedule.interval)
    named = schedule.named
    said = f"by calendar {schedule.expression}" if named is None else _said(named)
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
        off = _off(slot.at - slot.expected) if slot.scheduled and not slot.first and slot.at != slot.expected else ""
        word, late = "first signal at " if slot.first else "signal at ", [", late"] if state is Drawn.LATE else []
        return (word, slot.at, *([f", {off}"] if off else []), *late)
    if slot.first:
        return ("nothing expected yet, created ", start)
    if state is Drawn.STALE:
        return ("stale output, to be renewed by ", start)
    if slot.followed is not None:
        return ("no signal of its own, expected ", start, "; the next came within its grace, at ", slot.followed)
    return (f"{_SILENCE_WORDS[state]}, expected ", start)


def _off(ms: int) -> str:
    """Return how far a signal was from the moment at which it was expected."""
    far = format_duration(abs(ms)) if abs(ms) >= SECOND else format_measured(abs(ms))
    return f"{far} {'after' if ms > 0 else 'before'} expected"


def drawn_said(drawn: Drawn) -> str:
    """Return the words for how slots are drawn, whatever met them."""
    return _DRAWN_WORDS.get(drawn, drawn.value)


def _every(interval: int) -> str:
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if interval % unit == 0:
            return f"every {_counted(interval // unit, name)}"
    return f"every {_counted(interval // 1000, 'second')}"


def _said(named: Named) -> str:
    days, (time, exact) = _days(named), _time(sorted(named.minutes), sorted(named.hours))
    if exact:
        return f"{days} at {time}"
    return time if days == "every day" else f"{days}, {time}"


def _days(named: Named) -> str:
    """Return the days in words: those that a date and a weekday name, or either of the two where a schedule says so."""
    longest = max(_LENGTHS[month - 1] for month in named.months)
    days = [day for day in sorted(named.days) if day <= longest]
    weekly = _weekly(named.weekdays)
    dates = _dates(days, named) if 0 < len(days) < longest else ""
    within = "" if len(named.months) == 12 else f" in {_months(named.months)}"
    if weekly and dates and named.either:
        return f"{dates} and {weekly}{within}"
    if weekly and dates:
        return f"{weekly} that falls on {dates.removeprefix('on ').removeprefix('every ')}"
    if dates and not named.either:
        return dates
    if weekly and not (days and named.either):
        return f"{weekly}{within}"
    return f"every day{within}"


def _weekly(weekdays: frozenset[int]) -> str:
    """Return the days of the week in words; empty where it is any."""
    if len(weekdays) == 7:
        return ""
    if weekdays == frozenset(range(1, 6)):
        return "every weekday"
    return f"every {_listed(_spans(((day - 1) % 7 for day in weekdays), _DAYS))}"


def _dates(days: list[int], named: Named) -> str:
    """Return days of the month in words."""
    months = _months(named.months)
    if len(days) == len(named.months) == 1 and not named.from_end:
        return f"every {days[0]} {months}"
    if named.from_end and days == list(range(1, len(days) + 1)):
        said = f"the last {'day' if len(days) == 1 else f'{len(days)} days'}"
    else:
        said = f"{_numbers('day', days)}{' from the end' if named.from_end else ''}"
    said = f"on {said} of {months}"
    if days[-1] <= min(28 if month == 2 else _LENGTHS[month - 1] for month in named.months):
        return said
    if len(days) == 1:
        return f"{said} that has one" if len(named.months) == 12 else f"{said} (where it exists)"
    return f"{said} (where they exist)"


def _months(months: frozenset[int]) -> str:
    return "every month" if len(months) == 12 else _listed(_spans((month - 1 for month in months), _MONTHS))


def _time(minutes: list[int], hours: list[int]) -> tuple[str, bool]:
    """Return the times of a day in words, and whether they are clock times such as `07:00 and 19:00`."""
    if len(hours) * len(minutes) <= _MOST_LISTED:
        return _listed([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]), True
    begin = f" from {hours[0]:02}:{minutes[0]:02}"
    span = f"{begin} to {hours[-1]:02}:{minutes[-1]:02}"
    by_minutes, by_hours, whole_day = _step(minutes), _step(hours), len(hours) == 24
    if len(minutes) == 1 and by_hours and not whole_day:
        goes_on = by_hours > 1 and by_hours * len(hours) == 24
        return f"every {_counted(by_hours, 'hour')}{begin if goes_on else span}", False
    goes_round = by_minutes * len(minutes) == 60
    if whole_day and goes_round and minutes[0] == 0:
        return f"every {_counted(by_minutes, 'minute')}", False
    if (by_hours == 1 and not whole_day and goes_round) or (len(hours) == 1 and by_minutes):
        return f"every {_counted(by_minutes, 'minute')}{span}", False
    at = "every minute" if len(minutes) == 60 else f"at {_numbers('minute', minutes)}"
    return f"{at} of {'every hour' if whole_day else _numbers('hour', hours)}", False


def _counted(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count} {unit}s"


def _step(values: list[int]) -> int:
    """Return by how much each of some values is above the one before; 0 where that differs, and for less than two."""
    step = values[1] - values[0] if len(values) > 1 else 0
    return step if step and values == list(range(values[0], values[-1] + 1, step)) else 0


def _numbers(unit: str, values: list[int]) -> str:
    """Return numbers of a unit: `minutes 1, 2 and 5 to 9`, or `minutes 0, 7, 14 … 56` where they have a step."""
    if len(values) > _MOST_LISTED and _step(values) > 1:
        return f"{unit}s {', '.join(map(str, values[:3]))} … {values[-1]}"
    return f"{unit}{'' if len(values) == 1 else 's'} {_listed(_spans(values, [str(n) for n in range(60)]))}"


def _spans(values: Iterable[int], names: Sequence[str]) -> list[str]:
    """Return the names of some values, those of three and more in a row as `first to last`."""
    rows: list[list[int]] = []
    for value in sorted(values):
        if rows and value == rows[-1][-1] + 1:
            rows[-1].append(value)
        else:
            rows.append([value])
    parts = ([f"{names[row[0]]} to {names[row[-1]]}"] if len(row) > 2 else [names[v] for v in row] for row in rows)
    return [part for some in parts for part in some]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
