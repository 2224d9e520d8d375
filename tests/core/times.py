"""Schedules and instants as a person writes them."""

from datetime import UTC, datetime

from luota.core.schedule import Calendar, Cron, parse_schedule

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


def at(text: str) -> int:
    """UTC milliseconds of a UTC time, `2026-03-29 01:00` with or without seconds."""
    return round(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def utc(t: int | None) -> str:
    assert t is not None
    return datetime.fromtimestamp(t / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")


def cron(expression: str, timezone: str = "UTC") -> Cron:
    schedule = parse_schedule({"cron": expression, "timezone": timezone})
    assert isinstance(schedule, Cron)
    return schedule


def calendar(expression: str, timezone: str = "UTC") -> Calendar:
    schedule = parse_schedule({"calendar": expression, "timezone": timezone})
    assert isinstance(schedule, Calendar)
    return schedule


def following(schedule: Cron | Calendar, t: str, count: int) -> list[str]:
    found, o = [], schedule.after(at(t))
    while o is not None and len(found) < count:
        found.append(utc(o))
        o = schedule.after(o)
    return found
