"""Cron against an independent model: Debian's daemon, stepped minute by minute over the days of clock changes.

The model knows two things only: which local minutes a crontab line names, and what the daemon's main loop
does when its clock, read once a minute, has moved by other than one minute (its four wake-up cases).
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from luota.core.schedule import Cron, parse_schedule

MINUTE = 60_000
DAY = 1440  # minutes

ZONES = (
    "Africa/Cairo",  # skips 00:00-01:00
    "Africa/Casablanca",  # back for Ramadan
    "Africa/El_Aaiun",
    "America/Asuncion",  # skips midnight
    "America/Caracas",
    "America/Havana",  # skips and doubles midnight
    "America/New_York",
    "America/Nuuk",  # changes at 22:00 and 23:00, across midnight
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "America/St_Johns",  # changed at 00:01 in 2011
    "Antarctica/Casey",  # three hours at once
    "Antarctica/Troll",  # two hours
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",  # Ramadan too
    "Asia/Kathmandu",  # no change at all
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Dublin",  # negative DST
    "Europe/Helsinki",
    "Europe/Moscow",
    "Pacific/Apia",  # skipped 2011-12-30
    "Pacific/Chatham",
    "Pacific/Easter",
    "UTC",
)
YEARS = (2011, 2018, 2024, 2026)

EXPRESSIONS = (
    "0 0 * * *",
    "30 0 * * *",
    "30 1 * * *",
    "30 2 * * *",
    "59 1 * * *",
    "0 3 * * *",
    "45 23 * * *",
    "@daily",
    "@hourly",
    "@weekly",
    "0,30 1-3 * * *",
    "5-55/10 0-4 * * *",
    "0 0-23 * * *",
    "15 0-23/2 * * *",
    "15 */2 * * *",
    "*/30 2 * * *",
    "*/20 0 * * SUN",
    "*/7 1,2 * * *",
    "30 * * * 0",
    "0 */3 * * 6,0",
    "20 2 25-31 * *",
    "10 1 * MAR,OCT,NOV sun",
    "40 0,23 1-10 * FRI",
    "0 2 */2 * MON-SAT/2",
    "5-5/15 2 * * *",
    "0,30-30/7 0-0/5 * 10-10/1,3-MAR/2,NOV-11/3 *",
    "*/40 1-1/9 * * 7-7/2,MON-mon/2,3-WED/3",
)
DENSE = ("* * * * *", "0-59 2,3 * * *", "*/5 * * * *", "* 0-4 * * *", "0-58/2 0-23 * * *")

MACROS = {"@daily": "0 0 * * *", "@hourly": "0 * * * *", "@weekly": "0 0 * * 0"}
NAMES = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())} | {
    n: i for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}


def numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in text.lower().split(","):
        span, _, step = term.partition("/")
        first, _, last = span.partition("-")
        begin = low if span == "*" else NAMES[first] if first in NAMES else int(first)
        end = high if span == "*" else NAMES[last] if last in NAMES else int(last or begin)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


class Line:
    """One crontab line: which local minutes (counted from 1970) it names, and whether it is a wildcard one."""

    def __init__(self, expression: str) -> None:
        minute, hour, dom, month, dow = MACROS.get(expression, expression).split()
        hours, minutes = numbers(hour, 0, 23), numbers(minute, 0, 59)
        self.in_day = [m for m in range(DAY) if m // 60 in hours and m % 60 in minutes]
        self.wildcard = minute[0] == "*" or hour[0] == "*"
        self.days = numbers(dom, 1, 31), numbers(month, 1, 12), {d % 7 for d in numbers(dow, 0, 7)}
        self.both = dom[0] == "*" or dow[0] == "*"
        self.on_day = cache(self._on_day)

    def _on_day(self, day: int) -> bool:
        d = date(1970, 1, 1) + timedelta(days=day)
        dom, dow = d.day in self.days[0], d.isoweekday() % 7 in self.days[2]
        return d.month in self.days[1] and (dom and dow if self.both else dom or dow)

    def named(self, first: int, last: int) -> Iterator[int]:
        """Yield all that it names of the days from that of `first` to that of `last`."""
        for day in range(first // DAY, last // DAY + 1):
            if self.on_day(day):
                yield from (day * DAY + minute for minute in self.in_day)


line = cache(Line)


def local_minute(zone: ZoneInfo, utc_minute: int) -> int:
    offset = datetime.fromtimestamp(utc_minute * 60, zone).utcoffset()
    assert offset is not None
    return utc_minute + int(offset.total_seconds() // 60)


def wake_ups(zone: ZoneInfo, begin: int, end: int) -> list[tuple[int, int | None, range]]:
    """The daemon's minutes in [begin, end): (UTC, local for wildcard lines, local ones for fixed lines)."""
    virtual = local_minute(zone, begin - 1)
    found = []
    for utc in range(begin, end):
        running = local_minute(zone, utc)
        ahead = running - virtual
        if ahead > 180 or ahead <= -180:  # a correction of the clock: begin anew there
            virtual = running
            found.append((utc, running, range(running, running + 1)))
        elif ahead > 0:  # the next minute, or a jump whose fixed lines are caught up with
            found.append((utc, running, range(virtual + 1, running + 1)))
            virtual = running
        else:  # a doubled stretch: the fixed lines have had their turn
            found.append((utc, running, range(0)))
    return found


class Walk:
    """The daemon's minutes in [begin, end), by the local minutes whose lines it runs in them: walked once for all lines."""

    def __init__(self, zone: ZoneInfo, begin: int, end: int) -> None:
        self.wildcard: defaultdict[int, list[int]] = defaultdict(list)
        self.fixed: defaultdict[int, list[int]] = defaultdict(list)
        for utc, running, fixed in wake_ups(zone, begin, end):
            self.wildcard[running].append(utc)
            for local in fixed:
                self.fixed[local].append(utc)
        self._first, self._last = min(self.wildcard), max(self.wildcard)

    def expected(self, line: Line) -> list[int]:
        """Return when it runs `line`, in order; lines that it catches up with at once are one occurrence."""
        ran = self.wildcard if line.wildcard else self.fixed
        found = {utc for local in line.named(self._first, self._last) if local in ran for utc in ran[local]}
        return [utc * MINUTE for utc in sorted(found)]


@cache
def changes(zone: ZoneInfo, year: int) -> list[int]:
    """The minutes of a year at which the offset changes."""
    hour = int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) // 3600

    def offset(minute: int) -> object:
        return datetime.fromtimestamp(minute * 60, zone).utcoffset()

    found = []
    for h in range(hour, hour + 366 * 24, 6):
        if offset(h * 60) != offset(h * 60 + 360):
            found.append(next(m for m in range(h * 60, h * 60 + 361) if offset(m) != offset(h * 60)))
    return found


def occurrences(schedule: Cron, begin: int, end: int) -> list[int]:
    """All in [begin, end), each asked for by the one before it."""
    found: list[int] = []
    t = schedule.after(begin - 1)
    while t is not None and t < end:
        found.append(t)
        t = schedule.after(t)
    return found


@pytest.mark.parametrize("name", ZONES)
def test_cron_occurs_when_debians_daemon_would_run_it(name: str) -> None:
    zone = ZoneInfo(name)
    schedules = {e: parse_schedule({"cron": e, "timezone": name}) for e in EXPRESSIONS + DENSE}
    moments = [m for year in YEARS for m in changes(zone, year)] or [int(28e6)]
    for moment in moments:
        for days, expressions in ((DAY, EXPRESSIONS), (300, DENSE)):
            begin, end = moment - days, moment + days
            walk = Walk(zone, begin, end)
            for expression in expressions:
                schedule = schedules[expression]
                assert isinstance(schedule, Cron)
                want = walk.expected(line(expression))
                assert occurrences(schedule, begin * MINUTE, end * MINUTE) == want, (expression, moment)


def test_the_daemons_changes_are_in_the_sample() -> None:
    found = {name: sum(len(changes(ZoneInfo(name), year)) for year in YEARS) for name in ZONES}
    assert sum(found.values()) > 100
    assert found["Africa/Casablanca"] > 8
    assert found["Pacific/Apia"] == 5  # 2011: back, forth and the skipped day; 2018: back and forth


@pytest.mark.parametrize("name", ["Antarctica/Troll", "Europe/Helsinki", "Australia/Lord_Howe", "America/Havana"])
def test_any_instant_around_a_change_has_the_same_neighbours_as_in_the_whole_walk(name: str) -> None:
    choice = random.Random(name)
    zone = ZoneInfo(name)
    for moment in changes(zone, 2026):
        begin, end = moment - 2 * DAY, moment + 2 * DAY
        walk = Walk(zone, begin, end)
        for expression in ("30 2 * * *", "*/7 1,2 * * *", "0,30 0-3 * * *", "0 */2 * * *", "5 0 * * SUN"):
            want = walk.expected(line(expression))
            for _ in range(12):
                t = choice.randrange((moment - 240) * MINUTE, (moment + 240) * MINUTE)
                fresh = Cron(expression, name)
                assert fresh.after(t) == next((o for o in want if o > t), fresh.after(t))
                assert fresh.at_or_before(t) == max((o for o in want if o <= t), default=fresh.at_or_before(t))
