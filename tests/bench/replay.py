"""Replay of a million events against a bare loop over the same lines.

Both programs run as processes of their own, in turns. Their times are processor time, which other work on the host
disturbs least, without that of their start, taken from a trace of the definitions alone: of a million events it is a
hundredth, of a short trace it would be a tenth.
"""

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from . import processes
from .figures import Bar, Part
from .traces import MONITORS, TRACES, write_trace

PROGRAMS = {
    "bare": [str(processes.HERE / "bare_replay.py")],
    "replay": ["-m", "luota", "replay", "--json"],
}


def measure(directory: Path, *, quick: bool) -> Part:
    """Run both over each trace, in turn."""
    events, rounds = (60_000, 2) if quick else (1_000_000, 3)
    for trace in TRACES:
        write_trace(directory / f"{trace}.jsonl", events, trace)
        write_trace(directory / f"{trace}-begin.jsonl", MONITORS, trace)
    times = {trace: {program: list[float]() for program in PROGRAMS} for trace in TRACES}
    for _ in range(rounds):
        for trace, taken in times.items():
            for program in PROGRAMS:
                start = _processor_seconds(program, directory / f"{trace}-begin.jsonl")
                taken[program].append(_processor_seconds(program, directory / f"{trace}.jsonl") - start)
    figures: dict[str, object] = {"events of each trace": events}
    bars = []
    for trace, taken in times.items():
        ratios = [ours / bare for ours, bare in zip(taken["replay"], taken["bare"], strict=True)]
        for program, seconds in taken.items():
            figures[f"{trace}, {program}, events/s (median)"] = round(events / statistics.median(seconds))
        figures[f"{trace}, ratio of each round"] = [round(ratio, 2) for ratio in ratios]
        bars.append(Bar(f"{trace} ratio", statistics.median(ratios), "<=", 3, noisy=True))
    return Part("replay", figures, bars)


def _processor_seconds(program: str, trace: Path) -> float:
    """Return the processor time that one program takes for a trace."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *PROGRAMS[program], str(trace)], stdout=subprocess.DEVNULL, check=True, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
