"""Lateness: from a deadline's own instant to the notice at a webhook receiver, while pings arrive."""

import json
import random
import sys
import time
from datetime import datetime
from pathlib import Path

from luota.clock import SystemClock

from . import processes
from .figures import Bar, Part, percentile
from .fill import HOUR, File, due_at, every, mixed

ARMED = 10_000
PINGED = 500
THREADS = 16
PAUSE_MS = 80  # of each: 200 pings a second together


def measure(directory: Path, *, quick: bool) -> Part:
    """Arm 10,000 monitors, let some hundreds of them fall due one by one, and see when the receiver hears of it."""
    due, seconds = (240, 8) if quick else (600, 40)
    lead = 8  # seconds to write the file, to start and to warm up
    now = SystemClock().now()
    chance = random.Random(now)
    file = File(directory)
    begin = SystemClock().now() + lead * 1000
    deadlines = [begin + chance.randrange(seconds * 1000) for _ in range(due)]
    # Half without grace, so that the deadline is the first thing that happens; half are late before it.
    silent = ((every(24, grace), due_at(every(24, grace), at, now)) for at, grace in _with_grace(deadlines))
    file.add("silent", silent, now)
    ids = file.add("armed", mixed(ARMED - due, now - HOUR // 2), now)
    port, hook = processes.free_port(), processes.free_port()
    file.add_webhook(hook)
    targets = processes.Targets(directory, file.keys(ids[:PINGED]), b'{"payload":{"host":"db-1","rows":48211}}')
    notes, log = directory / "notices.txt", directory / "receiver.log"
    command = [sys.executable, str(processes.HERE / "receiver.py"), str(hook), str(notes)]
    with processes.running(command, log) as receiver:
        processes.until_accepting(hook, receiver, log)
        with processes.daemon(file.data_dir, port):
            if SystemClock().now() > begin - 1000:
                raise RuntimeError("this machine is too slow to start within the lead of the measurement")
            left = int((begin - SystemClock().now()) / 1000) + seconds + 1
            pings = targets.wrk(
                "steady.lua", port, threads=THREADS, connections=THREADS, seconds=left, pause_ms=PAUSE_MS
            )()
            _until(lambda: file.rows("SELECT count(*) FROM deliveries WHERE state = 'delivered'")[0][0] >= due)
    late = []
    for line in notes.read_text().splitlines():
        at, _, body = line.partition(" ")
        opened = datetime.fromisoformat(json.loads(body)["incident"]["openedAt"])
        late.append(int(at) / 1000 - opened.timestamp() * 1000)
    if len(late) != due or pings["refused"]:
        raise RuntimeError(f"{len(late)} notices for {due} deadlines, {pings['refused']} pings refused")
    took = [us / 1000 for _, us in pings["pings"]]
    return Part(
        "lateness",
        {
            "armed monitors": ARMED,
            "deadlines measured": due,
            "pings/s meanwhile": len(took) / left,
            "deadline to receiver p50, ms": percentile(late, 50),
            "deadline to receiver max, ms": max(late),
            "ping p50 / p99 meanwhile, ms": f"{percentile(took, 50):.1f} / {percentile(took, 99):.1f}",
        },
        [Bar("lateness p99", percentile(late, 99), "<=", 50, "ms", noisy=True)],
    )


def _with_grace(deadlines: list[int]) -> list[tuple[int, int]]:
    return [(at, 0 if number % 2 else 1500) for number, at in enumerate(deadlines)]


def _until(holds, within: float = 30) -> None:
    until = time.monotonic() + within
    while not holds() and time.monotonic() < until:
        time.sleep(0.2)
