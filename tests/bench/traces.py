"""Four histories of 200 heartbeat monitors, as lines that `luota replay` takes.

`mix`: crons as people write them, in several zones, and a ping shortly after each occurrence; one in a hundred stays
out, comes late or comes twice. The others are in UTC, where cronsim has next to nothing to do, and every ping comes
after the expected moment, which is two verdicts and two lines of output. `hourly`: within the grace. `minutely`: the
same of crons of every minute, the cheapest step that cronsim has. `overdue`: hourly, after the deadline, which makes it
three verdicts and three lines.
"""

import heapq
import json
import random
from pathlib import Path

from luota.core.schedule import parse_schedule
from luota.core.spec.values import format_instant, parse_instant

MONITORS = 200
GRACE = 60_000
BEGIN = parse_instant("2026-01-01T00:00:00Z", "begin")
ZONES = ("UTC", "Europe/Helsinki", "America/New_York", "Asia/Kolkata", "Australia/Sydney")


def mixed(chance: random.Random):
    """Yield the expressions of the monitors: 4 of 10 run daily, 5 hourly or oftener, 1 at work."""
    for number in range(MONITORS):
        minute = chance.randrange(60)
        match number % 10:
            case 0 | 1 | 2 | 3:
                yield f"{minute} {chance.randrange(24)} * * *"
            case 4 | 5:
                yield f"{minute} * * * *"
            case 6 | 7:
                yield "*/15 * * * *"
            case 8:
                yield "*/5 * * * *"
            case _:
                yield f"{minute} 8-17 * * MON-FRI"


def steadily(monitor: str, first: int, interval: int):
    """Yield the instants at which one monitor is pinged, for ever, at the same distance."""
    at = BEGIN + first
    while True:
        yield at, monitor
        at += interval


def roughly(monitor: str, cron: str, zone: str, seed: int):
    """Yield the instants at which one monitor is pinged, for ever, mostly shortly after the occurrences."""
    chance = random.Random(seed)
    schedule = parse_schedule({"cron": cron, "timezone": zone})
    at = schedule.after(BEGIN)
    yield BEGIN + seed, monitor
    while True:
        following = schedule.after(at)
        delay = chance.randrange(1_000, 20_000)
        fate = chance.randrange(300)
        if fate == 0:
            delay += 2 * GRACE  # late
        if fate != 1:
            yield at + delay, monitor
        if fate == 2:
            yield at + delay + 2_000, monitor
        at = following


def mix():
    """Yield the cron, zone and pings of each monitor, as do all traces."""
    for number, cron in enumerate(mixed(random.Random(2026))):
        zone = ZONES[number % len(ZONES)]
        yield cron, zone, roughly(name_of(number), cron, zone, number)


def hourly(delay: int = 5_000):
    for number in range(MONITORS):
        minute = number % 60
        yield f"{minute} * * * *", "UTC", steadily(name_of(number), minute * 60_000 + delay + number, 3_600_000)


def minutely():
    for number in range(MONITORS):
        yield "* * * * *", "UTC", steadily(name_of(number), 5_000 + number * 100, 60_000)


def overdue():
    return hourly(GRACE + 5_000)


TRACES = {"mix": mix, "hourly": hourly, "minutely": minutely, "overdue": overdue}


def name_of(number: int) -> str:
    return f"job-{number:03}"


def write_trace(path: Path, events: int, trace: str) -> None:
    """Write the first lines of a trace, as many as `events`: the definitions, then the pings."""
    sources = []
    with path.open("w") as out:
        for number, (cron, zone, pings) in enumerate(TRACES[trace]()):
            definition = {
                "at": format_instant(BEGIN),
                "event": "monitor",
                "monitor": name_of(number),
                "mode": "heartbeat",
                "schedule": {"cron": cron, "timezone": zone},
                "graceSeconds": GRACE // 1000,
            }
            out.write(json.dumps(definition) + "\n")
            sources.append(pings)
        for number, (at, name) in enumerate(heapq.merge(*sources), MONITORS):
            if number == events:
                break
            out.write(f'{{"at":"{format_instant(at)}","event":"ping","monitor":"{name}"}}\n')
