"""Instants as the clocks of a timezone show them; `html` writes those in the viewer's own."""

from datetime import UTC, datetime, timedelta

from luota.core.packet import local_time
from luota.core.preview import ClockChange, offset_at

_EPOCH = datetime.fromtimestamp(0, UTC)


def local(at: int, offset: int, now: int, beside: tuple[int, int] | None = None, *, seconds: bool = False) -> str:
    """Return a local time such as `Thu 30 Apr 02:00`, with the year unless it is this one.

    `offset` is that of the clocks from UTC at `at`, in milliseconds. The day is spared where it is that of `beside`, an
    instant with its own offset. A full minute has no `seconds` unless its neighbours do.
    """
    shown, here = (_moment(t + offset) for t in (at, now))
    time = shown.strftime("%H:%M:%S" if seconds or shown.second else "%H:%M")
    if beside is not None and _moment(sum(beside)).date() == shown.date():
        return time
    return f"{shown:%a} {shown.day} {shown:%b}{'' if shown.year == here.year else f' {shown.year}'} {time}"


def change_said(change: ClockChange, now: int) -> str:
    """Return what a change of the clock does and when it comes, by the clock before it."""
    return f"{local(change.at, change.before, now)}: {change.note}"


def offset_name(ms: int) -> str:
    """Return an offset from UTC as people write it: `UTC+3`, `UTC-3:30`, `UTC`."""
    hours, minutes = divmod(abs(ms) // 60_000, 60)
    if not ms:
        return "UTC"
    return f"UTC{'-' if ms < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "")


def in_zone(at: int, timezone: str, now: int) -> str:
    """Return an instant by the clocks of a timezone: `Wed 29 Apr 06:00 (UTC+3)`."""
    offset = offset_at(timezone, at)
    return f"{local(at, offset, now)} ({offset_name(offset)})"


def zoned(at: int, timezone: str) -> str:
    """Return an instant exactly as a clock of that zone shows it: `2026-11-23 07:00:00 +02:00`."""
    exact = local_time(at, timezone)
    return f"{exact[:10]} {exact[11:19]} {exact[23:]}"


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
