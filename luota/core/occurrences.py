"""The instants at which a local timetable occurs: DST, and the memo that makes asking cheap.

The libraries walk plain local wall-clock time, where they are exact; the step from local time to instants
is taken here, once for both. What happens to a local time that a change of the clock skips or doubles:

=========================  ================================  ======================  =====================
schedule                   example                           skipped                 doubled
=========================  ================================  ======================  =====================
cron, fixed time           `30 2 * * *`                      at the jump             the first time
cron, wildcard             minute or hour begins with a `*`  not at all              both times
calendar                   `*-*-* 02:30`                     not at all              the first time
=========================  ================================  ======================  =====================

Cron follows Debian's daemon (crontab(5), and the wake-up cases of its main loop): a jump forward of three
hours or more is taken as a correction of the clock, and what it skips does not run. Several fixed times
inside one skipped stretch all run at the jump and are one occurrence here. The daemon notices a change only
when tm_isdst changes too; here every change of the offset counts. Calendars follow systemd, as
`systemd-analyze calendar` prints consecutive elapses.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

BEFORE: Final = -(1 << 62)  # stands for "no earlier occurrence"
AFTER: Final = 1 << 62  # stands for "no later occurrence"
SLACK: Final = 60_000  # docs/verdicts.md, "Schedules": at most a minute, at most a tenth of the gap

_CORRECTION = 3 * 3600  # seconds; see the table above
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local wall-clock time has no zone
_END = 7_258_118_400_000  # 2200-01-01: nothing is expected after it; systemd stops there too
_FIRST_STEP = 3_600_000
_RING = 128  # known occurrences kept per timetable

Matches = Callable[[datetime], Iterator[datetime]]  # local times strictly after a local time
Walk = Callable[[int], Iterator[int]]  # occurrences strictly after an instant


def slack(before: int, o: int) -> int:
    """Return how many milliseconds ahead of occurrence `o`, the next one after `before`, a signal counts for it."""
    return min(SLACK, (o - before) // 10)


class Turn(Struct, frozen=True, gc=False):
    """From `since` to `until`, exclusive, the latest occurrence that a signal meets is `met`, the next one `unmet`.

    `met` may be BEFORE, `unmet` AFTER. Signals somewhat before `since` may meet the same.
    """

    since: int
    until: int
    met: int
    unmet: int


class Memo:
    """Consecutive occurrences around the latest queries, and the walk that continues them.

    A query inside what is known is one bisection; the next occurrence is one step of the walk.
    """

    __slots__ = ("_known", "_last", "_live", "_turn", "_walk")

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._known: list[int] = []
        self._live: Iterator[int] = iter(())
        # What was answered last: most queries are about the same gap again.
        self._last = (AFTER, BEFORE)
        self._turn = Turn(AFTER, BEFORE, BEFORE, AFTER)

    def turn(self, t: int) -> Turn:
        """Return what a signal at `t` meets, and what it leaves."""
        turn = self._turn
        if turn.since <= t < turn.until:
            return turn
        met, unmet = self.around(t)
        since, until = met, unmet - slack(met, unmet)
        if until <= t:
            since, met = until, unmet
            unmet = self.around(met)[1]  # at least nine tenths of a gap away
            until = unmet - slack(met, unmet)
        self._turn = turn = Turn(since, until, met, unmet)
        return turn

    def around(self, t: int) -> tuple[int, int]:
        """Return the last occurrence not after `t` or BEFORE, and the first after `t` or AFTER."""
        last = self._last
        if last[0] <= t < last[1]:
            return last
        known = self._known
        i = bisect_right(known, t)
        self._last = last = (known[i - 1], known[i]) if 0 < i < len(known) else self._look(t)
        return last

    def _look(self, t: int) -> tuple[int, int]:
        if not -1 <= t <= _END:  # beyond what local time can express, perhaps
            return self.around(min(max(t, -1), _END))
        known = self._known
        if not (known and known[0] <= t and self._advance(t, known)):
            self._seek(t)
        known = self._known
        if len(known) > _RING:
            del known[: -_RING // 2]
        return known[-2], known[-1]

    def _advance(self, t: int, run: list[int]) -> bool:
        """Continue `run` until it passes `t`; False when that is far, and seeking is cheaper."""
        for _ in range(8):
            run.append(next(self._live, AFTER))
            if run[-1] > t:
                return True
        return False

    def _seek(self, t: int) -> None:
        """Begin anew at the last occurrence not after `t`.

        Neither library walks back reliably, so look back in growing steps and close in by halves: the work
        is logarithmic both for a yearly schedule and for one that is dense for a month a year.
        """
        step, none_after = _FIRST_STEP, t
        while True:
            begin = max(t - step, -1)
            self._live = self._walk(begin)
            first = next(self._live, AFTER)
            if first <= t:
                break
            if begin == -1:
                self._known = [BEFORE, first]
                return
            step, none_after = step * 24, begin
        run = [first]
        while not self._advance(t, run):
            middle = (run[-1] + none_after) // 2
            live = self._walk(middle)
            first = next(live, AFTER)
            if first > t:
                none_after = middle
            else:
                self._live, run = live, [first]
        self._known = run


def every_day(times: Sequence[int]) -> Walk:
    """Return the walk over the same times of every day in UTC, where no clock changes; seconds, in order."""

    def walk(t: int) -> Iterator[int]:
        day, second = divmod(t // 1000, 86_400)
        begin = bisect_right(times, second)
        while True:
            for time in times[begin:]:
                at = (day * 86_400 + time) * 1000
                if at >= _END:
                    return
                yield at
            day, begin = day + 1, 0

    return walk


def occurrences(matches: Matches, timezone: str, *, at_jump: bool, both_passes: bool) -> Walk:
    """Return the walk over the occurrences of local times in a timezone, 1970 to 2199; UTC milliseconds.

    `at_jump`: what a jump of less than three hours skips occurs at the jump, else not at all.
    `both_passes`: what a change doubles occurs twice, else the first time.
    """
    zone = ZoneInfo(timezone)

    def walk(t: int) -> Iterator[int]:
        for second in _instants(matches, zone, t // 1000, at_jump=at_jump, both_passes=both_passes):
            if second * 1000 >= _END:
                return
            yield second * 1000

    return walk


def _instants(matches: Matches, zone: ZoneInfo, start: int, *, at_jump: bool, both_passes: bool) -> Iterator[int]:
    """Yield in order the instants strictly after `start` at which local matches occur; UTC seconds."""
    here = datetime.fromtimestamp(start, zone)
    local = here.replace(tzinfo=None, fold=0)
    first, second = _readings(local, zone)
    if second > first:  # inside a doubled stretch: take it from before its beginning
        local -= timedelta(seconds=second - first)
    last = start
    again: list[int] = []  # the second pass of a doubled stretch, held until the first is through
    for match in matches(local):
        first, second = _readings(match, zone)
        if again and first > again[-1]:
            yield from again
            again = []
        if second < first:
            if not at_jump or first - second >= _CORRECTION:
                continue
            first = _jump(zone, second, first)
        elif second > first and both_passes and second > start:
            again.append(second)
        if first > last:
            last = first
            yield first
    yield from again


def _readings(local: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Return the instants of a local time by the offsets before and after a change of the clock.

    Equal away from any change; the second is later in a doubled stretch and earlier in a skipped one.
    """
    since = local - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    aware = local.replace(tzinfo=zone)
    before, after = aware.utcoffset(), aware.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    if before == after:
        instant = seconds - (before.days * 86_400 + before.seconds)
        return instant, instant
    return seconds - int(before.total_seconds()), seconds - int(after.total_seconds())


def _jump(zone: ZoneInfo, before: int, after: int) -> int:
    """Return the instant at which the offset changes, which lies in (before, after]."""
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
