"""The overview with a thousand monitors: its first page, the event loop meanwhile, and ingest beside open dashboards."""

import http.client
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from luota.clock import SystemClock

from . import processes
from .figures import Bar, Part, percentile
from .fill import HOUR, File, due_at, every, mixed

MONITORS = 1000
BROKEN = 10
SIGNALS = 40
DASHBOARDS = 10
THREADS = 8
PAUSE_MS = 40  # of each: 200 pings a second together
EMAIL, PASSWORD = "bench@example.org", "a long enough pass phrase"


def measure(directory: Path, *, quick: bool) -> Part:
    """Load the first page again and again; then ping with and without dashboards open, in turn."""
    loads, rounds, seconds = (60, 2, 3) if quick else (300, 11, 6)
    file, ids, due = _filled(directory)
    user = [sys.executable, "-m", "luota", "user", "create", EMAIL, "--password-stdin"]
    made = [*user, "--data-dir", str(file.data_dir), "--json"]
    subprocess.run(made, input=f"{PASSWORD}\n".encode(), check=True, capture_output=True, timeout=60)
    targets = processes.Targets(directory, file.keys(ids), b'{"payload":{"host":"db-1","rows":48211}}')
    port, notes, log = processes.free_port(), directory / "stretches.txt", directory / "serve.log"
    watched = [sys.executable, "-m", "tests.bench.watched", str(notes)]
    command = [*watched, *processes.daemon_command(file.data_dir, port)[3:]]

    def pings(for_seconds: int) -> Any:
        return targets.wrk(
            "steady.lua", port, threads=THREADS, connections=THREADS, seconds=for_seconds, pause_ms=PAUSE_MS
        )

    with processes.running(command, log) as process:
        processes.until_accepting(port, process, log)
        processes.until_healthy(port)
        time.sleep(max(0, due / 1000 + 1 - SystemClock().now() / 1000))
        browser = _Browser(port)
        shown = browser.sign_in()
        for _ in range(5):
            browser.get(browser.path)
        flow = pings(loads // 20 + 2)  # the page is drawn for what has just changed, too
        time.sleep(0.5)
        began = time.time_ns() // 1000
        took = [browser.timed() for _ in range(loads)]
        ended = time.time_ns() // 1000
        flow()
        rows = directory / "rows.txt"
        rows.write_text("\n".join(shown))
        open_for: list[tuple[int, int]] = []
        pairs, used = [], {True: 0.0, False: 0.0}
        for number in range(rounds):
            both: dict[bool, list[float]] = {}
            for watched_by in (True, False) if number % 2 else (False, True):
                viewers = _viewers(browser, rows, seconds + 3) if watched_by else None
                time.sleep(2.5)  # until all are open and have caught up
                before, since = _processor_s(process.pid), time.time_ns() // 1000
                result = pings(seconds)()
                used[watched_by] += (_processor_s(process.pid) - before) / seconds / rounds
                if result["refused"] or not result["pings"]:
                    raise RuntimeError(f"{result['refused']} pings were refused")
                both[watched_by] = [us / 1000 for _, us in result["pings"]]
                if viewers is not None:
                    open_for.append((since, time.time_ns() // 1000))
                    seen = _seen(viewers)
            pairs.append((both[True], both[False]))
    while_loading = _stretches(notes, [(began, ended)])
    while_open = _stretches(notes, open_for)
    with_, without = ([percentile(pair[k], 99) for pair in pairs] for k in (0, 1))
    ratios = [a / b for a, b in zip(with_, without, strict=True)]
    return Part(
        "dashboard",
        {
            "monitors, of them in an incident": f"{MONITORS}, {BROKEN}",
            "signals of each": SIGNALS,
            "first page, rows shown": len(shown),
            "first page p50 / p95 / max, ms": _three(took),
            "longest stretch of the loop meanwhile, ms": max(ms for ms, _ in while_loading),
            "most processor time in one, ms": max(ms for _, ms in while_loading),
            "dashboards open": DASHBOARDS,
            "pings/s": len(pairs[0][0]) / seconds,
            "refreshes, rows in them, lists anew, of the last round": f"{len(seen['took_ms'])}, {seen['rows']}, {seen['lists']}",
            "refresh p50 / p95 / max, ms": _three(seen["took_ms"]),
            "longest stretch of the loop with them, ms": max(ms for ms, _ in while_open),
            "most processor time in one with them, ms": max(ms for _, ms in while_open),
            "processor used by the daemon with / without, %": f"{used[True]:.0%} / {used[False]:.0%}".replace("%", ""),
            "ping p50 with / without, ms": " / ".join(
                f"{statistics.median(percentile(pair[k], 50) for pair in pairs):.1f}" for k in (0, 1)
            ),
            "ping p99 with / without, ms": f"{statistics.median(with_):.1f} / {statistics.median(without):.1f}",
            "ratio of each round": [round(ratio, 2) for ratio in ratios],
        },
        [
            Bar("first page p95", percentile(took, 95), "<=", 100, "ms", noisy=True),
            Bar("longest stretch of the loop", max(ms for ms, _ in while_loading), "<=", 20, "ms", noisy=True),
            Bar("ping p99, dashboards open / none", statistics.median(ratios), "<=", 2, noisy=True),
        ],
    )


def _filled(directory: Path) -> tuple[File, list[str], int]:
    """Return a data directory, the monitors that are pinged, and when the others open their incidents."""
    now = SystemClock().now()
    file = File(directory)
    ids = file.add("job", mixed(MONITORS - BROKEN, now - HOUR // 2), now - 30 * 24 * HOUR)
    pings = [
        (number * SIGNALS + nth, id_, nth, now - HOUR // 2 - (SIGNALS - nth) * HOUR * (1 + number % 24), str(uuid4()))
        for number, id_ in enumerate(ids)
        for nth in range(1, SIGNALS + 1)
    ]
    with sqlite3.connect(file.path) as db:
        db.executemany(
            "INSERT INTO heartbeats (seq, monitor_id, number, previous, received_at, id, occurred_at, effective_at, "
            "late, skewed, host, payload) "
            "VALUES (?1, ?2, ?3, CASE WHEN ?3 > 1 THEN ?1 - 1 END, ?4, ?5, ?4, ?4, 0, 0, 'db-1', '{\"rows\":48211}')",
            pings,
        )
        lasts = [((number + 1) * SIGNALS, SIGNALS, id_) for number, id_ in enumerate(ids)]
        db.executemany("UPDATE monitor_states SET last_heartbeat = ?, heartbeats = ? WHERE monitor_id = ?", lasts)
        for number, id_ in enumerate(ids):
            tags = {"team": f"team-{number % 7}", "region": ("eu", "us", "asia")[number % 3]}
            values = (json.dumps(tags), ("production", "staging")[number % 2], id_)
            db.execute("UPDATE monitors SET tags = ?, environment = ? WHERE id = ?", values)
    db.close()
    due = SystemClock().now() + 6000
    file.add("broken", ((every(24), due_at(every(24), due, now)) for _ in range(BROKEN)), now)
    return file, ids, due


class _Browser:
    """Somebody who is signed in, on one connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookie = ""
        self.path = ""
        self.of = ""

    def sign_in(self) -> list[str]:
        """Sign in, find the overview, and return the ids of the rows on it."""
        form = urlencode({"email": EMAIL, "password": PASSWORD, "next": "/"})
        origin = f"http://127.0.0.1:{self.port}"
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": origin}
        self._connection.request("POST", "/sign-in", form, headers)
        response = self._connection.getresponse()
        response.read()
        if response.status != 303:
            raise RuntimeError(f"signing in: {response.status}")
        self.cookie = response.headers["set-cookie"].partition(";")[0]
        self._connection.request("GET", "/", headers={"cookie": self.cookie})
        response = self._connection.getresponse()
        response.read()
        self.path = response.headers["location"]
        page = self.get(self.path)
        self.of = page.partition('data-stream="')[2].partition('"')[0]
        return re.findall(r'data-row="([^"]+)"', page)

    def get(self, path: str) -> str:
        """Return a page."""
        self._connection.request("GET", path, headers={"cookie": self.cookie})
        response = self._connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"GET {path}: {response.status}")
        return body

    def timed(self) -> float:
        """Load the first page; return the milliseconds that it took."""
        time.sleep(0.03)
        began = time.perf_counter()
        self.get(self.path)
        return (time.perf_counter() - began) * 1000


def _viewers(browser: _Browser, rows: Path, seconds: float) -> subprocess.Popen[bytes]:
    words = (browser.port, browser.cookie, browser.path, browser.of, DASHBOARDS, seconds, rows)
    command = [sys.executable, str(processes.HERE / "viewers.py"), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _seen(viewers: subprocess.Popen[bytes]) -> Any:
    out, err = viewers.communicate(timeout=60)
    if viewers.returncode:
        raise RuntimeError(f"the dashboards failed: {err.decode()}")
    return json.loads(out)


def _stretches(notes: Path, spans: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Return the stretches in which the loop was busy (watched.py), and the processor time in each, in milliseconds."""
    found = [tuple(map(int, line.split())) for line in notes.read_text().splitlines()]
    return [(us / 1000, cpu / 1000) for at, us, cpu in found if any(since <= at <= until for since, until in spans)]


def _processor_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _three(values: list[float]) -> str:
    return f"{percentile(values, 50):.1f} / {percentile(values, 95):.1f} / {max(values, default=0):.1f}"
