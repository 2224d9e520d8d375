"""A start with 100,000 monitors against a bare loop that reads the same rows, and the memory that it takes."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from luota.clock import SystemClock

from . import processes
from .figures import Bar, Part
from .fill import File, mixed

MONITORS = 100_000


def measure(directory: Path, *, quick: bool) -> Part:
    """Start the daemon and the bare loop in turn, each in a fresh process, from exec on."""
    rounds = 3 if quick else 7
    now = SystemClock().now()
    file = File(directory)
    file.add("start", mixed(MONITORS, now), now)
    os.sync()  # else the kernel still writes the file while the first rounds read it
    pairs, inner, healthy, memory = [], [], [], []
    for _ in range(rounds):
        before = time.perf_counter()
        command = [sys.executable, str(processes.HERE / "bare_read.py"), str(file.path)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()
        bare = time.perf_counter() - before
        if int(said[0]) != MONITORS:
            raise RuntimeError(f"the bare loop read {said[0]} rows")
        inner.append(float(said[1]))
        port, log = processes.free_port(), directory / "serve.log"
        command = processes.daemon_command(file.data_dir, port)
        before = time.perf_counter()
        with processes.running(command, log) as process:
            processes.until_accepting(port, process, log)
            pairs.append((time.perf_counter() - before, bare))
            processes.until_healthy(port)
            healthy.append(time.perf_counter() - before)
            memory.append(processes.resident_mib(process.pid))
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    return Part(
        "start with 100,000 monitors",
        {
            "exec to listening, ms (median)": statistics.median(ours for ours, _ in pairs) * 1000,
            "exec to healthy, ms (median)": statistics.median(healthy) * 1000,
            "bare process, exec to end, ms (median)": statistics.median(bare for _, bare in pairs) * 1000,
            "bare loop alone, ms (median)": statistics.median(inner),
            "ratio of each round": [round(ours / bare, 2) for ours, bare in pairs],
        },
        [
            Bar("start ratio", ratio, "<=", 3, noisy=True),
            Bar("resident memory", statistics.median(memory), "<=", 400, "MiB"),
        ],
    )
