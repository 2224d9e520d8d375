"""Occurrences around now, for people: the next ones with what the change of the clock does to them, the last ones."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from luota.core.schedule import Calendar, Cron, Every, Schedule
from luota.core.spec.values import format_duration

_LONG = 2 * 86_400_000


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

    `change` is that of the clock by which its own local time comes twice, or that between the occurrence before it,
    or now, and it, where this one skips a time of the schedule or makes its usual interval another. That of an
    interval of 2 days or more is not told: nobody misses an hour in it.
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
        change = _doubling(schedule, zone, at) or _change(schedule, zone, before, at)
        found.append(Upcoming(at, _offset(zone, at), change))
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


def _doubling(schedule: Schedule, zone: ZoneInfo, at: int) -> ClockChange | None:
    """Return the change of the clock by which the local time of the occurrence `at` comes twice, None if it does not.

    Asked of each occurrence, since the next one may lie a year on, where the offset is the same again.
    """
    if isinstance(schedule, Every):
        return None
    local = datetime.fromtimestamp(at // 1000, UTC).astimezone(zone)
    offsets = [local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    if offsets[0] == offsets[1]:  # a local time that an instant has is never a skipped one
        return None
    first, second = (at + _offset(zone, at) - offset // timedelta(milliseconds=1) for offset in offsets)
    both = isinstance(schedule, Cron) and schedule.wildcard
    said = f"{local:%H:%M}, which comes twice, occurs {'both times' if both else 'the first time only'}"
    return _told(zone, _transition(zone, first, second), _offset(zone, first), said)


def _change(schedule: Schedule, zone: ZoneInfo, start: int, end: int) -> ClockChange | None:
    """Return the change of the clock in (start, end] by which the offsets of the two differ, if it is felt."""
    before = _offset(zone, start)
    if before == _offset(zone, end):
        return None
    at = _transition(zone, start, end)
    felt = _felt(schedule, zone, at, before, _offset(zone, at), end)
    return None if felt is None else _told(zone, at, before, felt)


def _transition(zone: ZoneInfo, start: int, end: int) -> int:
    """Return when the offset changes in (start, end], at whose ends it differs."""
    before, low, high = _offset(zone, start), start // 1000, end // 1000
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle * 1000) == before:
            low = middle
        else:
            high = middle
    return high * 1000


def _told(zone: ZoneInfo, at: int, before: int, felt: str) -> ClockChange:
    after = _offset(zone, at)
    way, by = "forward" if after > before else "back", format_duration(abs(after - before))
    return ClockChange(at, before, after, f"clocks go {way} by {by}; {felt}")


def _felt(schedule: Schedule, zone: ZoneInfo, at: int, before: int, after: int, end: int) -> str | None:
    """Return what the change at `at` does to the occurrences around it, of which `end` is the next; None: nothing."""
    if isinstance(schedule, Every):
        return "the interval stays the same"
    # What the schedule names, by a clock that never changes.
    names = type(schedule)(schedule.expression, "UTC")
    low, high = at + min(before, after), at + max(before, after)
    first = names.after(low - 1)
    if first is not None and first < high:
        if after < before:
            return None  # it is told at the times that come twice
        following = names.after(first)
        one = following is None or following >= high
        which = f"{_clock(first)}," if one else f"a time from {_clock(low)} to {_clock(high)},"
        at_jump = isinstance(schedule, Cron) and not schedule.wildcard and high - low < 3 * 3_600_000
        return f"{which} which is skipped, occurs {'at the change' if at_jump else 'not at all'}"
    last, following = schedule.at_or_before(at - 1), schedule.after(end)
    if last is None:
        return None
    real, named = end - last, end + after - last - before
    earlier = schedule.at_or_before(last - 1)
    usual = [last + before - earlier - _offset(zone, earlier)] if earlier is not None else []
    usual += [following + _offset(zone, following) - end - after] if following is not None else []
    if named not in usual or named >= _LONG:  # it is no interval that anybody is used to, or counts in hours
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
