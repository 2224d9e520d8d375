"""When the next signal is expected: `every`, `cron`, `calendar`, their early slack, how they are written.

How a change of the clock is treated: `luota.core.occurrences`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from typing import cast
from weakref import WeakValueDictionary
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from oncalendar import BaseIterator, OnCalendarError

from luota.core import calendar
from luota.core.cron import MACROS, Named, named, without_idle_steps
from luota.core.errors import invalid
from luota.core.occurrences import AFTER, BEFORE, SLACK, Memo, every_day, occurrences, slack
from luota.core.spec.values import parse_duration

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000

_CRON_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day-of-month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day-of-week", "0 to 7 (0 and 7 are Sunday) or SUN to SAT"),
)
_QUARTZ = re.compile(r"LW?|[0-9]*W|([0-7]|[A-Z]{3})L", re.IGNORECASE)  # what cronsim takes beyond Debian's cron


@dataclass(frozen=True, slots=True)
class Every:
    """A signal is expected `interval` milliseconds after the last one.

    It has no grid of its own: the state machine counts from the signal, and there is no early slack.
    """

    interval: int

    def describe(self) -> str:
        """Return a fragment of a sentence, such as `every 5 min`."""
        for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
            if self.interval % unit == 0:
                return f"every {self.interval // unit} {name}"
        return f"every {self.interval // _SECOND} s"

    def json(self) -> dict[str, object]:
        """Return the form that `parse_schedule` accepts; seconds."""
        return {"every": self.interval // _SECOND}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Grid:
    """Fixed occurrences between 1970 and 2200, whole UTC seconds given as milliseconds.

    Build through `parse_schedule`, which checks both fields and shares equal schedules, so that monitors on
    the same grid share its memo of nearby occurrences. The memo changes no answer. For one thread.
    """

    expression: str
    timezone: str
    _memo: Memo = field(init=False, repr=False, compare=False)

    def after(self, t: int) -> int | None:
        """Return the first occurrence strictly after `t`, or None when there will be none."""
        following = self._memo.around(t)[1]
        return None if following == AFTER else following

    def at_or_before(self, t: int) -> int | None:
        """Return the last occurrence not after `t`, or None when there was none since 1970."""
        previous = self._memo.around(t)[0]
        return None if previous == BEFORE else previous

    def slack(self, o: int) -> int:
        """Return how many milliseconds ahead of occurrence `o` a signal already counts for it."""
        return slack(self._memo.around(o - 1)[0], o)

    def meets(self, t: int, o: int) -> bool:
        """Tell whether a signal at `t` counts for occurrence `o` or a later one, slack counted."""
        return t >= o - SLACK and t >= o - self.slack(o)  # mostly it is plain without looking for the gap

    def first_unmet(self, t: int) -> int | None:
        """Return the first occurrence that a signal at `t` does not satisfy, slack counted; None if none."""
        unmet = self._memo.turn(t).unmet
        return None if unmet == AFTER else unmet

    def met_by(self, t: int) -> int | None:
        """Return the latest occurrence that a signal at `t` satisfies, slack counted; None if none."""
        met = self._memo.turn(t).met
        return None if met == BEFORE else met


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Cron(_Grid):
    """A five-field cron expression or a macro such as `@daily`, read as Debian's cron does."""

    def __post_init__(self) -> None:
        expression, wildcard = without_idle_steps(" ".join(self.fields)), self.wildcard

        def matches(local: datetime) -> Iterator[datetime]:
            return CronSim(expression, local)

        if self.timezone == "UTC" and expression.endswith(" * * *"):
            # On every day alike: no walk of cronsim is needed, which costs more than all that follows from it.
            named = self.named
            walk = every_day(sorted(h * 3600 + m * 60 for h in named.hours for m in named.minutes))
        else:
            walk = occurrences(matches, self.timezone, at_jump=not wildcard, both_passes=wildcard)
        object.__setattr__(self, "_memo", Memo(walk))

    @property
    def fields(self) -> tuple[str, ...]:
        """The five fields: minute, hour, day of the month, month, day of the week."""
        return tuple(MACROS.get(self.expression.lower(), self.expression).split())

    @property
    def named(self) -> Named:
        """What the fields name."""
        return named(" ".join(self.fields))

    @property
    def wildcard(self) -> bool:
        """Whether minute or hour begins with a `*`, which decides what a change of the clock does to it."""
        return self.fields[0].startswith("*") or self.fields[1].startswith("*")

    def describe(self) -> str:
        """Return a fragment of a sentence, such as `cron 0 2 * * * (Europe/Helsinki)`."""
        return f"cron {self.expression} ({self.timezone})"

    def json(self) -> dict[str, object]:
        """Return the form that `parse_schedule` accepts."""
        return {"cron": self.expression, "timezone": self.timezone}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Calendar(_Grid):
    """A systemd OnCalendar expression without its timezone, which is the second field."""

    def __post_init__(self) -> None:
        expression = calendar.plain(self.expression)

        def matches(local: datetime) -> Iterator[datetime]:
            return cast("Iterator[datetime]", BaseIterator(expression, local))

        walk = occurrences(matches, self.timezone, at_jump=False, both_passes=False)
        object.__setattr__(self, "_memo", Memo(walk))

    @property
    def named(self) -> Named | None:
        """What the fields name; None where that is certain years, or not second 0 alone."""
        return calendar.named(self.expression)

    def describe(self) -> str:
        """Return a fragment of a sentence, such as `calendar Mon *-*-* 02:00 (UTC)`."""
        return f"calendar {self.expression} ({self.timezone})"

    def json(self) -> dict[str, object]:
        """Return the form that `parse_schedule` accepts."""
        return {"calendar": self.expression, "timezone": self.timezone}


Schedule = Every | Cron | Calendar


_SHARED: WeakValueDictionary[tuple[type, str, str], Cron | Calendar] = WeakValueDictionary()
_FORMS = (
    '{"every": 300}, {"cron": "0 2 * * *", "timezone": "Europe/Helsinki"} or '
    '{"calendar": "Mon..Fri 08:00", "timezone": "UTC"}'
)


def parse_schedule(value: object, field: str = "schedule", *, now: int | None = None) -> Schedule | None:
    """Return the schedule that a user wrote, or None for null; equal ones are one object.

    Forms: {"every": seconds or "5m"} of 1 s to 366 days; {"cron": expression, "timezone": name} of five
    fields or a macro; {"calendar": expression, "timezone": name} of one systemd OnCalendar expression, which
    may name its timezone itself. The timezone is UTC unless given. Raises LuotaError INVALID with the field
    to blame, also for what never occurs: at all, or after the instant `now` when that is given.
    """
    if value is None:
        return None
    given = {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else {}
    kinds = [kind for kind in ("every", "cron", "calendar") if kind in given]
    if len(kinds) != 1:
        raise invalid(field, f"{field} must be exactly one of {_FORMS}, or null for none.")
    kind = kinds[0]
    allowed = {kind} if kind == "every" else {kind, "timezone"}
    for key in given:
        if key not in allowed:
            raise invalid(field, f"{key!r} does not go with {kind!r}; {field} is one of {_FORMS}.")
    if kind == "every":
        return _every(given[kind], f"{field}.every")
    zone = _timezone(given["timezone"], f"{field}.timezone") if "timezone" in given else None
    text = given[kind]
    example = '"0 2 * * *"' if kind == "cron" else '"Mon..Fri 08:00"'
    if not isinstance(text, str) or not text.strip() or len(text) > 500:
        raise invalid(f"{field}.{kind}", f"{kind} must be a text of at most 500 characters such as {example}.")
    if "\n" in text.strip():
        raise invalid(f"{field}.{kind}", f"{kind} must be one expression on one line; make a monitor for each.")
    text = " ".join(text.split())
    if text.startswith("@"):
        text = text.lower()
    if kind == "calendar":
        text, zone = _split_zone(text, zone, field)
    schedule = _shared(Cron if kind == "cron" else Calendar, text, zone or "UTC", f"{field}.{kind}")
    if now is not None and schedule.after(now) is None:
        raise invalid(f"{field}.{kind}", f"{text!r} never occurs again; give one that lies in the future.")
    return schedule


def _every(value: object, field: str) -> Every:
    return Every(parse_duration(value, field, minimum=_SECOND, maximum=366 * _DAY))


def _shared(kind: type[Cron] | type[Calendar], text: str, zone: str, field: str) -> Cron | Calendar:
    key = (kind, text, zone)
    known = _SHARED.get(key)
    if known is None:
        if kind is Cron:
            _check_cron(text, field)
        try:
            known = kind(text, zone)
            possible = known.after(-1) is not None
        except CronSimError:
            raise invalid(field, f"{_wrong_in_cron(text)}.") from None
        except OnCalendarError as e:
            problem = str(e).lower().removeprefix("bad ")
            raise invalid(
                field,
                f"{text!r} is not a systemd calendar expression ({problem}); right ones are "
                '"daily", "Mon..Fri 08:00", "*-*-01 02:30" and "*:0/15" (systemd-analyze calendar tries it).',
            ) from None
        if not possible:
            raise invalid(field, f"{text!r} never occurs; check its days, months and years.")
        _SHARED[key] = known
    return known


def _check_cron(text: str, field: str) -> None:
    """Refuse what cronsim would read otherwise than Debian's cron, or fail on without saying why."""
    if text.startswith("@"):
        if text.lower() not in MACROS:
            raise invalid(field, f"{text!r} is not a known macro; there are {', '.join(MACROS)}.")
        return
    parts = text.split()
    if len(parts) == 6:
        hint = 'for seconds use a calendar, such as "*:*:0/10"'
        raise invalid(field, f"{text!r} has six fields, cron has five (minute hour day month weekday); {hint}.")
    if len(parts) != 5:
        raise invalid(
            field,
            f'{text!r} has {len(parts)} fields, cron has five: minute hour day month weekday, such as "0 2 * * *".',
        )
    for term in ",".join(parts).split(","):
        base, slash, _ = term.partition("/")
        if "#" in base or _QUARTZ.fullmatch(base):
            said = f"{term!r} is not known to Debian's cron, which has no L, W and #"
            last, second = '"*-*~01 02:00"', '"Sun *-*-08..14 02:00"'
            raise invalid(field, f"{said}; a calendar can say it, as {last} (the last day) or {second} (2nd Sunday).")
        if slash and base != "*" and "-" not in base:
            # Debian's cron refuses it; Quartz and cronsim mean the form with a range.
            raise invalid(field, f"{term!r} has a step without a range; write it like 5-59/15 or */15.")


def _wrong_in_cron(text: str) -> str:
    """Say what cronsim refuses of five fields: one that is wrong by itself, else a day that its months do not have."""
    parts = text.split()
    for place, (part, (name, takes)) in enumerate(zip(parts, _CRON_FIELDS, strict=True)):
        wrong = ", ".join(repr(term) for term in part.split(",") if not _is_sound(place, term))
        if wrong:
            return (
                f"the {name} field of {text!r} takes {takes}, also as a list, a range or a step; wrong is {wrong}. "
                'A right one is "*/15 8-17 * * MON-FRI" (minute hour day month weekday)'
            )
    return f"{text!r} never occurs: month {parts[3]} has no day {parts[2]}"


def _is_sound(place: int, term: str) -> bool:
    """Tell whether one term of the field at `place` can be read, whatever stands in the other fields."""
    try:
        named(" ".join(term if other == place else "*" for other in range(5)))
    except CronSimError:
        return False
    return True


def _split_zone(text: str, zone: str | None, field: str) -> tuple[str, str | None]:
    """Take the timezone off the end of a calendar expression, as systemd does."""
    head, _, tail = text.rpartition(" ")
    name = "UTC" if tail.upper() == "UTC" else tail
    if not head or not (name in _timezones() or (name[0].isalpha() and "/" in name)):
        return text, zone
    inner = _timezone(name, f"{field}.calendar")
    if zone is not None and zone != inner:
        raise invalid(f"{field}.timezone", f"{zone} contradicts {inner} inside the expression; give one of them.")
    return head, inner


def _timezone(value: object, field: str) -> str:
    if isinstance(value, str) and value in _timezones():
        return value
    if not isinstance(value, str):
        raise invalid(field, 'timezone must be a name such as "Europe/Helsinki".')
    names = {name.casefold(): name for name in sorted(_timezones())}
    near = get_close_matches(value.casefold()[:60], names, n=1, cutoff=0.5)
    hint = f"did you mean {names[near[0]]}?" if near else "names are like Europe/Helsinki or UTC."
    raise invalid(field, f"{value[:60]!r} is not a known timezone; {hint}")


@cache
def _timezones() -> frozenset[str]:
    # `localtime` is whatever the host is set to, and would move with it.
    return frozenset(available_timezones() - {"localtime", "Factory"})
