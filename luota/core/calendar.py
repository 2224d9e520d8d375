"""What the fields of a systemd calendar expression name.

They are expanded by oncalendar, which finds the occurrences too: what is said of an expression is what occurs.
"""

from datetime import UTC, datetime

from oncalendar import BaseIterator

from luota.core.cron import Named, without_idle_steps

_EPOCH = datetime.fromtimestamp(0, UTC)


def named(expression: str) -> Named | None:
    """Return what an expression without a timezone names; None where that is certain years, or not second 0 alone."""
    read, daily = BaseIterator(plain(expression), _EPOCH), BaseIterator("daily", _EPOCH)
    if (read.years, read.seconds) != (daily.years, daily.seconds):
        return None
    return Named(
        frozenset(read.minutes),
        frozenset(read.hours),
        frozenset(abs(day) for day in read.days if day),  # `~03/1` is -3, -2, -1 and 0
        frozenset(read.months),
        frozenset((day + 1) % 7 for day in read.weekdays),
        from_end=min(read.days) < 0,
    )


def plain(expression: str) -> str:
    """Return an expression for oncalendar, which would step on from a range of one value."""
    return without_idle_steps(expression, "[0-9]+", r"\.\.")
