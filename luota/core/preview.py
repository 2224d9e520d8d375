"""Occurrences around now, for people: the next ones with what the change of the clock does to them, the last ones."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from luota.core.schedule import Calendar, Cron, Every, Schedule
from luota.core.spec.values import format_duration


class ClockChange(Struct, frozen=True):
    """The clocks of a timezone change at `at`; offsets from UTC in milliseconds, before and after.

    `note` says what that does to the times which it skips or doubles (docs/verdicts.md, "Schedules").
    """

    at: int
    before: int
    after: int
    note: str


class Upcoming(Struct, frozen=True):
    """An occurrence, and its timezone's offset from UTC there, in milliseconds.

    `change` is that of the clock between the occurrence before it, or now, and it, where there is one.
    """

    at: int
    offset: int
    change: ClockChange | None = None


def upcoming(schedule: Schedule, now: int, count: int, timezone: str = "UTC") -> tuple[Upcoming, ...]:
    """Return the next `count` occurrences after `now`, fewer where the schedule ends.

    Cron and calendar have their own timezone. `every` has no grid: its occurrences are those after a signal
    right now, with offsets of `timezone`.
    """
    zone = ZoneInfo(timezone if isinstance(schedule, Every) else schedule.timezone)
    found: list[Upcoming] = []
    before, at = now, _following(schedule, now)
    while at is not None and len(found) < count:
        found.append(Upcoming(at, _offset(zone, at), _change(schedule, zone, before, at)))
        before, at = at, _following(schedule, at)
    return tuple(found)


def _following(schedule: Schedule, t: int) -> int | None:
    return t + schedule.interval if isinstance(schedule, Every) else schedule.after(t)


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = (datetime.fromtimestamp(at // 1000, UTC)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _change(schedule: Schedule, zone: ZoneInfo, start: int, end: int) -> ClockChange | None:
    """Return the change of the clock in (start, end] by which the offsets of the two differ."""
    before, after = _offset(zone, start), _offset(zone, end)
    if before == after:
        return None
    low, high = start // 1000, end // 1000
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle * 1000) == before:
            low = middle
        else:
            high = middle
    after = _offset(zone, high * 1000)
    return ClockChange(high * 1000, before, after, _note(schedule, after - before))


def _note(schedule: Schedule, shift: int) -> str:
    forward = shift > 0
    said = f"clocks go {'forward' if forward else 'back'} by {format_duration(abs(shift))}"
    if isinstance(schedule, Every):
        return f"{said}; the interval stays the same"
    if forward:
        at_jump = isinstance(schedule, Cron) and not schedule.wildcard and shift < 3 * 3_600_000
        return f"{said}; a time that is skipped occurs {'at the change' if at_jump else 'not at all'}"
    both = isinstance(schedule, Cron) and schedule.wildcard
    return f"{said}; a time that comes twice occurs {'both times' if both else 'the first time only'}"


@lru_cache(maxsize=4096)
def last_occurrences(schedule: Cron | Calendar, last: int, n: int) -> tuple[int, ...]:
    """Return the `n` occurrences that end with `last`, or as many as there were.

    Schedules only walk forward cheaply: so look from where the gap before makes the rest likely. Monitors
    with equal schedules share what is found until the next occurrence.
    """
    found = [last]
    while len(found) < n:
        previous = schedule.at_or_before(found[0] - 1)
        if previous is None:
            break
        gap = found[0] - previous
        found = [*_between(schedule, previous - (n - len(found) - 1) * gap - 1, previous, 2 * n), previous, *found]
    return tuple(found[-n:])


def _between(schedule: Cron | Calendar, start: int, end: int, most: int) -> list[int]:
    """Return the occurrences strictly between two instants; none where there are more than `most`."""
    found: list[int] = []
    following = schedule.after(start)
    while following is not None and following < end:
        if len(found) == most:
            return []
        found.append(following)
        following = schedule.after(following)
    return found
