"""Durable ingest against a bare endpoint: the price of every check and of an fsync before each answer."""

import statistics
import sys
from pathlib import Path
from typing import Any

from luota.clock import SystemClock
from luota.core.spec.values import format_instant

from . import processes
from .fill import File, mixed
from .figures import Bar, Part

MONITORS = 1000
CONNECTIONS = 64


def measure(directory: Path, *, quick: bool) -> Part:
    """Load both in turn, round after round, and compare each round with its neighbour."""
    rounds, seconds = (3, 3) if quick else (5, 10)
    now = SystemClock().now()
    file = File(directory)
    ids = file.add("ingest", mixed(MONITORS, now), now)
    port, bare_port = processes.free_port(), processes.free_port()
    with processes.daemon(file.data_dir, port) as process:
        with processes.api(file.data_dir) as get:
            keys = [(id_, get(f"/api/monitors/{id_}/token")["token"]) for id_ in ids]
        payload = b'{"host":"db-1","deploySha":"9f2c1ab","rows":48211,"seconds":18.4,"ok":true}'
        body = b'{"occurredAt":"%b","payload":%b}' % (format_instant(SystemClock().now()).encode(), payload)
        targets = processes.Targets(directory, keys, body)
        length = len(_reply(ids[0], now))
        log = directory / "bare.log"
        command = [sys.executable, str(processes.HERE / "bare.py"), str(bare_port), str(length)]
        with processes.running(command, log) as bare:
            processes.until_accepting(bare_port, bare, log)

            def load(at: int, for_seconds: int = seconds) -> Any:
                run = targets.wrk("pings.lua", at, threads=1, connections=CONNECTIONS, seconds=for_seconds)()
                if run["refused"] or run["broken"] or not run["requests"]:
                    raise RuntimeError(f"not every ping was accepted: {run}")
                return run

            sent = load(port, 2)["requests"]  # both warm up
            load(bare_port, 2)
            pairs = []
            for number in range(rounds):
                # Whoever goes first changes from round to round, against a machine that warms or slows.
                order = (port, bare_port) if number % 2 == 0 else (bare_port, port)
                both = {at: load(at) for at in order}
                pairs.append((both[port], both[bare_port]))
                sent += both[port]["requests"]
        memory = processes.resident_mib(process.pid)
    ((kept,),) = file.rows("SELECT count(*) FROM heartbeats")
    if kept < sent:
        raise RuntimeError(f"{sent} pings were acknowledged, but {kept} are in the file")
    ours, bares = [_rate(mine) for mine, _ in pairs], [_rate(other) for _, other in pairs]
    ratio = statistics.median(mine / other for mine, other in zip(ours, bares, strict=True))
    return Part(
        "durable ingest",
        {
            "luota, pings/s (median)": statistics.median(ours),
            "bare endpoint, requests/s (median)": statistics.median(bares),
            "ratio of each round": [round(mine / other, 3) for mine, other in zip(ours, bares, strict=True)],
            "luota p50 / p99, ms": _latency([mine for mine, _ in pairs]),
            "bare p50 / p99, ms": _latency([other for _, other in pairs]),
            "pings acknowledged and found in the file": sent,
            "luota resident memory, MiB": memory,
        },
        [Bar("ingest ratio", ratio, ">=", 0.50, noisy=True)],
    )


def _rate(run: Any) -> float:
    return float(run["requests"] / run["us"] * 1e6)


def _latency(runs: list[Any]) -> str:
    p50, p99 = (statistics.median(run[key] / 1000 for run in runs) for key in ("p50_us", "p99_us"))
    return f"{p50:.1f} / {p99:.1f}"


def _reply(id_: str, at: int) -> bytes:
    """Return what a ping is answered with, for its size."""
    heartbeat = f'{{"id":"{id_}","occurredAt":"{format_instant(at)}"}}'
    return f'{{"ok":true,"monitor":{{"id":"{id_}","status":"healthy"}},"heartbeat":{heartbeat}}}'.encode()
