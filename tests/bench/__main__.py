"""The benchmark of docs/performance.md: python -m tests.bench [--quick] [--json] [PART ...]."""

import argparse
import json
import math
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from . import dashboard, herd, ingest, lateness, processes, replay, start
from .figures import Bar, Part

PARTS = {
    "ingest": ingest.measure,
    "lateness": lateness.measure,
    "herd": herd.measure,
    "start": start.measure,
    "dashboard": dashboard.measure,
    "replay": replay.measure,
}


def main() -> int:
    """Measure, print, and return the exit status: 1 when a bar was missed that counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless given")
    parser.add_argument("--quick", action="store_true", help="about a minute; a noisy figure only warns")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--dir", type=Path, help="where to put the data: a file system on a real disk")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    processes.need_wrk()
    base = Path(tempfile.mkdtemp(prefix="luota-bench-", dir=args.dir))
    try:
        host = _host(base)
        if not args.json:
            print("\n".join(f"{key}: {value}" for key, value in host.items()), flush=True)
        done: list[Part] = []
        for name in args.parts or PARTS:
            directory = base / name
            directory.mkdir()
            os.sync()  # what the part before has left to be written holds up the fsyncs of this one
            done.append(PARTS[name](directory, quick=args.quick))
            if not args.json:
                print(_told(done[-1], quick=args.quick), flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    missed = [bar for part in done for bar in part.bars if not bar.cleared]
    if args.json:
        parts = [{**asdict(part), "bars": [{**asdict(b), "cleared": b.cleared} for b in part.bars]} for part in done]
        print(json.dumps({"host": host, "quick": args.quick, "parts": parts, "missed": [b.name for b in missed]}))
    return int(any(not (args.quick and bar.noisy) for bar in missed))


def _host(directory: Path) -> dict[str, str]:
    """Return what the absolute figures depend on."""
    return {
        "cpu": f"{os.cpu_count()} × {_cpu()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.release(),
        "fdatasync of 4 KiB, ms (median)": f"{_fdatasync(directory):.2f}",
        "load average before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _fdatasync(directory: Path) -> float:
    took = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(100):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[50] * 1000


def _told(part: Part, *, quick: bool) -> str:
    lines = [f"\n{part.name}"]
    for key, value in part.figures.items():
        shown = f"{value:,.1f}" if isinstance(value, float) else value
        lines.append(f"  {key}: {shown}")
    return "\n".join([*lines, *(_verdict(bar, quick=quick) for bar in part.bars)])


def _verdict(bar: Bar, *, quick: bool) -> str:
    word = "ok" if bar.cleared else "MISSED (a warning: too short a run to tell)" if quick and bar.noisy else "MISSED"
    value = "none" if math.isnan(bar.value) else f"{bar.value:.2f}"
    return f"  {bar.name}: {value} {bar.unit} (bar {bar.relation} {bar.limit:g} {bar.unit}) {word}".replace(" )", ")")


if __name__ == "__main__":
    sys.exit(main())
