"""What the five fields of a cron expression name.

They are expanded by cronsim, which finds the occurrences too: what is said of an expression, or made of it for another
scheduler, is what occurs.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from cronsim import CronSim
from msgspec import Struct

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_NAMES = {name: n for n, name in enumerate("SUN MON TUE WED THU FRI SAT".split())} | {
    name: n for n, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)
}


class Named(Struct, frozen=True):
    """When an expression occurs, as sets; `weekdays` counts from Sunday, 0.

    A day must be of both `days` (of the month) and `weekdays`, or of `either` of the two. Of a calendar the days may
    count back from the last of a month: `from_end`.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False
    from_end: bool = False


def named(expression: str) -> Named:
    """Return what five fields name that have neither L, W nor #; CronSimError for what is wrong."""
    read = CronSim(without_idle_steps(expression), datetime.fromtimestamp(0, UTC))
    return Named(
        frozenset(read.minutes),
        frozenset(read.hours),
        frozenset(read.days),
        frozenset(read.months),
        frozenset(day % 7 for day in cast("Iterable[int]", read.weekdays)),
        either=not read.day_and,
    )


def in_numbers(expression: str) -> str:
    """Return five fields with numbers in place of names."""
    return re.sub("[A-Z]+", lambda name: str(_NAMES[name[0]]), expression.upper())


def without_idle_steps(expression: str, value: str = "[0-9]+|[A-Za-z]+", between: str = "-") -> str:
    """Return an expression whose steps over a range of one value, as in `5-5/15`, are left out.

    Both cronsim and oncalendar take such a range for a bare `5`, and step on from it: every 15 minutes. `value` and
    `between` are patterns of what a range is made of, here of cron's.
    """

    def shortened(match: re.Match[str]) -> str:
        return match[1] if _value(match[2]) == _value(match[3]) and int(match[4]) else match[0]

    before, after = r"(?<![^\s,~:-])", r"(?![^\s,:~-])"
    return re.sub(rf"{before}(({value}){between}({value}))/([0-9]+){after}", shortened, expression)


def _value(text: str) -> int:
    """Return what a number or name in an expression stands for, in whichever field it may be."""
    number = int(text) if text.isdigit() else _NAMES.get(text.upper(), -1)
    return number + 2000 if 0 <= number < 70 else number + 1900 if 70 <= number < 100 else number  # 27 is 2027
