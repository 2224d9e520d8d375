"""The herd: ten thousand monitors whose silence becomes a verdict at one and the same instant."""

import sys
import time
from pathlib import Path

from luota.clock import SystemClock

from . import processes
from .figures import Bar, Part, percentile
from .fill import File, cron, due_at, every, mixed

HERD = 10_000
PINGED = 500
THREADS = 16
PAUSE_MS = 40  # of each: 400 pings a second together


def measure(directory: Path, *, quick: bool) -> Part:
    """Ping other monitors at a steady rate while the herd falls due, and see what each of them waits."""
    after = 8 if quick else 20  # seconds for which the notices are watched
    now = SystemClock().now()
    file = File(directory)
    ids = file.add("other", mixed(PINGED, now), now)
    due = (now // 1000 + 10) * 1000
    rules = [every(24, grace=300_000), cron("0 2 * * *", grace=300_000)]
    file.add("herd", ((rules[n % 2], due_at(rules[n % 2], due, now)) for n in range(HERD)), now)
    port, hook = processes.free_port(), processes.free_port()
    file.add_webhook(hook)
    targets = processes.Targets(directory, file.keys(ids), b'{"payload":{"host":"db-1","rows":48211}}')
    notes, log = directory / "notices.txt", directory / "receiver.log"
    command = [sys.executable, str(processes.HERE / "receiver.py"), str(hook), str(notes)]
    with processes.running(command, log) as receiver:
        processes.until_accepting(hook, receiver, log)
        with processes.daemon(file.data_dir, port):
            wait = due / 1000 - 2 - SystemClock().now() / 1000
            if wait < 0:
                raise RuntimeError("this machine is too slow to start before the herd falls due")
            time.sleep(wait)
            pings = targets.wrk(
                "steady.lua", port, threads=THREADS, connections=THREADS, seconds=after + 2, pause_ms=PAUSE_MS
            )()
            ((delivered,),) = file.rows("SELECT count(*) FROM deliveries WHERE state = 'delivered'")
    ((opened, exact, last),) = file.rows(
        f"SELECT count(DISTINCT i.id), sum(i.opened_at = {due}), max(e.recorded_at) "
        "FROM incidents i JOIN incident_events e ON e.incident_id = i.id AND e.type = 'opened'"
    )
    if opened != HERD or exact != HERD or pings["refused"]:
        raise RuntimeError(f"{opened} incidents for {HERD} monitors, {exact} exact; {pings['refused']} pings refused")
    opening = _between(pings["pings"], due, last)
    sending = _between(pings["pings"], last, due + after * 1000)
    before = _between(pings["pings"], 0, due)
    return Part(
        "herd",
        {
            "monitors due at one instant": HERD,
            "pings measured while incidents opened": len(opening),
            "ping p50 / p99 / max before, ms": _spread(before),
            "ping p50 / p99 / max while incidents opened, ms": _spread(opening),
            "ping p50 / p99 / max while notices went out, ms": _spread(sending),
            f"notices delivered {after} s after": delivered,
        },
        [
            Bar("ping p99 while incidents open", percentile(opening, 99), "<=", 100, "ms", noisy=True),
            Bar("ping p99 while notices go out", percentile(sending, 99), "<=", 100, "ms", noisy=True),
            Bar("last incident opened after", (last - due) / 1000, "<=", 5, "s"),
        ],
    )


def _between(pings: list[tuple[int, int]], start: int, end: int) -> list[float]:
    """Return how long the pings took, in ms, that were under way at some instant from `start` to `end`."""
    return [us / 1000 for at, us in pings if at + us >= start * 1000 and at <= end * 1000]


def _spread(took: list[float]) -> str:
    return " / ".join(f"{percentile(took, p):.1f}" for p in (50, 99, 100))
