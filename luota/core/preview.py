"""Occurrences around now, for people: the next ones with what the change of the clock does to them, the last ones."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from luota.core.schedule import Calendar, Cron, Every, Schedule
from luota.core.spec.values import format_duration


class ClockChange(Struct, frozen=True):
    """The clocks of a timezone change at `at`; offsets from UTC in milliseconds, before and after.

    `note` says what that does to the occurrences around it (docs/verdicts.md, "Schedules").
    """

    at: int
    before: int
    after: int
    note: str


class Upcoming(Struct, frozen=True):
    """An occurrence, and its timezone's offset from UTC there, in milliseconds.

    `change` is that of the clock between the occurrence before it, or now, and it, where there is one that skips or
    doubles a time of the schedule, or makes its usual interval another.
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


def offset_at(timezone: str, at: int) -> int:
    """Return how far the clocks of a timezone are from UTC at an instant, in milliseconds."""
    return _offset(ZoneInfo(timezone), at)


def _following(schedule: Schedule, t: int) -> int | None:
    return t + schedule.interval if isinstance(schedule, Every) else schedule.after(t)


def _offset(zone: ZoneInfo, at: int) -> int:
    offset = (datetime.fromtimestamp(at // 1000, UTC)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)


def _change(schedule: Schedule, zone: ZoneInfo, start: int, end: int) -> ClockChange | None:
    """Return the change of the clock in (start, end] by which the offsets of the two differ, if it is felt."""
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
    at, after = high * 1000, _offset(zone, high * 1000)
    felt = _felt(schedule, zone, at, before, after, end)
    if felt is None:
        return None
    by = format_duration(abs(after - before))
    return ClockChange(at, before, after, f"clocks go {'forward' if after > before else 'back'} by {by}; {felt}")


def _felt(schedule: Schedule, zone: ZoneInfo, at: int, before: int, after: int, end: int) -> str | None:
    """Return what the change at `at` does to the occurrences around it, of which `end` is the next; None: nothing."""
    if isinstance(schedule, Every):
        return "the interval stays the same"
    # What the schedule names, by a clock that never changes.
    names = type(schedule)(schedule.expression, "UTC")
    low, high = at + min(before, after), at + max(before, after)
    first = names.after(low - 1)
    if first is not None and first < high:
        following = names.after(first)
        one = following is None or following >= high
        which = f"{_clock(first)}," if one else f"a time from {_clock(low)} to {_clock(high)},"
        if after > before:
            at_jump = isinstance(schedule, Cron) and not schedule.wildcard and high - low < 3 * 3_600_000
            return f"{which} which is skipped, occurs {'at the change' if at_jump else 'not at all'}"
        both = isinstance(schedule, Cron) and schedule.wildcard
        return f"{which} which comes twice, occurs {'both times' if both else 'the first time only'}"
    last, following = schedule.at_or_before(at - 1), schedule.after(end)
    if last is None:
        return None
    real, named = end - last, end + after - last - before
    earlier = schedule.at_or_before(last - 1)
    usual = [last + before - earlier - _offset(zone, earlier)] if earlier is not None else []
    usual += [following + _offset(zone, following) - end - after] if following is not None else []
    if named not in usual:  # it is no interval that anybody is used to
        return None
    return f"{format_duration(real)} lie between the times before and after it, not {format_duration(named)}"


def _clock(local: int) -> str:
    return f"{datetime.fromtimestamp(local // 1000, UTC):%H:%M}"


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
