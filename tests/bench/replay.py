"""Replay against a bare loop that decodes the same lines and asks cronsim for the same occurrences.

    python tests/bench/replay.py [--events 1000000] [--json]

Four traces, each of 200 heartbeat monitors. `mix`: crons as people write them, in several zones, and a ping shortly
after each occurrence; one in a hundred stays out, comes late or comes twice. The others are in UTC, where cronsim has
next to nothing to do, and every ping comes after the expected moment, which is two verdicts and two lines of output.
`hourly`: within the grace. `minutely`: the same of crons of every minute, the cheapest step that cronsim has.
`overdue`: hourly, after the deadline, which makes it three verdicts and three lines.

Both programs run as processes of their own, in turns. Their times are processor time, which other work on the host
disturbs least, and include their start. The bar, for each trace: a ratio of at most 3, median of the rounds.
"""

import argparse
import heapq
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from luota.core.schedule import parse_schedule
from luota.core.spec.values import format_instant, parse_instant

BAR = 3.0
ROUNDS = 3
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


def bare(path: Path) -> None:
    """Decode every line, and take one step of the monitor's own cronsim for every ping."""
    decode = msgspec.json.Decoder().decode
    walks = {}
    with path.open("rb") as lines:
        for line in lines:
            event = decode(line)
            if event["event"] == "ping":
                next(walks[event["monitor"]])
            else:
                schedule = event["schedule"]
                zone = UTC if schedule["timezone"] == "UTC" else ZoneInfo(schedule["timezone"])
                walks[event["monitor"]] = CronSim(schedule["cron"], datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone))


def seconds(*command: object) -> float:
    """Return the processor time that one Python process takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, *map(str, command)]
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True, cwd=Path(__file__).parents[2])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare:
        bare(given.bare)
        return 0
    times = {trace: {"bare": list[float](), "replay": list[float]()} for trace in TRACES}
    with tempfile.TemporaryDirectory() as directory:
        paths = {trace: Path(directory) / f"{trace}.jsonl" for trace in TRACES}
        for trace, path in paths.items():
            write_trace(path, given.events, trace)
        for _ in range(ROUNDS):
            for trace, path in paths.items():
                times[trace]["bare"].append(seconds(Path(__file__).resolve(), "--bare", path))
                times[trace]["replay"].append(seconds("-m", "luota", "replay", path, "--json"))
    ratios = {
        trace: statistics.median(ours / bare for ours, bare in zip(taken["replay"], taken["bare"], strict=True))
        for trace, taken in times.items()
    }
    if given.json:
        rounded = {trace: round(ratio, 3) for trace, ratio in ratios.items()}
        print(json.dumps({"events": given.events, "seconds": times, "ratio": rounded, "bar": BAR}))
    else:
        for trace, ratio in ratios.items():
            for name, taken in times[trace].items():
                median, rounds = statistics.median(taken), " ".join(f"{one:.2f}" for one in taken)
                speed = given.events / median
                print(f"{trace:8}  {name:6}  {median:8.2f} s  {speed:9,.0f} events/s  (rounds: {rounds})")
            print(f"{trace:8}  ratio   {ratio:8.2f}    (bar: at most {BAR:g})")
    return 0 if max(ratios.values()) <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
