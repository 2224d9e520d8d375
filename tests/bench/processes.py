"""The processes of a measurement: started here, stopped here, on loopback ports that the kernel chose."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SETTINGS = """
[server]
access_log = false
[limits]
monitor_per_minute = 0
monitor_per_hour = 0
workspace_per_minute = 0
ip_per_minute = 0
[alerts]
allow_networks = ["127.0.0.0/8"]
"""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def luota(data_dir: Path, *args: str) -> dict[str, Any]:
    """Run one command of the program on a data directory; return what it printed as JSON."""
    command = [sys.executable, "-m", "luota", *args, "--data-dir", str(data_dir), "--json"]
    return json.loads(subprocess.run(command, env=_clean(), check=True, capture_output=True, timeout=60).stdout)


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, *, stop_within: float = 20) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process while the context is open, its output in `log`; stop it by SIGTERM, at worst by SIGKILL."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_clean())
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(stop_within)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def daemon_command(data_dir: Path, port: int) -> list[str]:
    """Return the command of a daemon with all limits off and no access log."""
    settings = data_dir.parent / "bench.toml"
    settings.write_text(SETTINGS)
    options = ["--port", str(port), "--config", str(settings), "--data-dir", str(data_dir)]
    return [sys.executable, "-m", "luota", "serve", *options]


@contextlib.contextmanager
def daemon(data_dir: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `luota serve` while the context is open; it is healthy on entry."""
    log = data_dir.parent / "serve.log"
    with running(daemon_command(data_dir, port), log) as process:
        until_accepting(port, process, log)
        until_healthy(port)
        yield process


def until_accepting(port: int, process: subprocess.Popen[bytes], log: Path, within: float = 60) -> None:
    """Return as soon as a port takes connections."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended:\n{log.read_text()}")
        with socket.socket() as probe:
            # The kernel may choose that very port for our end, and connect it to itself.
            if probe.connect_ex(("127.0.0.1", port)) == 0 and probe.getsockname() != probe.getpeername():
                return
        time.sleep(0.002)
    raise RuntimeError(f"nothing listens on port {port} after {within} s:\n{log.read_text()}")


def until_healthy(port: int, within: float = 30) -> None:
    """Return as soon as a daemon that accepts connections says that it is well."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
        connection.request("GET", "/healthz")
        if connection.getresponse().status == 200:
            connection.close()
            return
        connection.close()
        time.sleep(0.002)
    raise RuntimeError(f"the daemon on port {port} is not healthy after {within} s")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


@contextlib.contextmanager
def api(data_dir: Path) -> Iterator[Any]:
    """Yield a function that GETs a path of the daemon's API over its Unix socket and returns the JSON."""
    connection = _UnixConnection(data_dir / "luota.sock")

    def get(path: str) -> Any:
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"GET {path}: {response.status} {body}")
        return body

    try:
        yield get
    finally:
        connection.close()


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    """Return the memory of a process in MiB, from /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} of process {pid}")


def need_wrk() -> None:
    """Make sure that the load generator is there: install it where we may, else say how and exit."""
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=False, timeout=300, stdout=sys.stderr)
    if not shutil.which("wrk"):
        sys.exit("The benchmark needs wrk, the load generator: sudo apt-get install wrk")


class Targets:
    """What wrk sends: paths with keys, one body, in files beside the data directory."""

    def __init__(self, directory: Path, keys: Sequence[tuple[str, str]], body: bytes) -> None:
        self._targets, self._body = directory / "targets.txt", directory / "body.json"
        self._targets.write_text("".join(f"/v1/monitors/{id_}/ping {key}\n" for id_, key in keys))
        self._body.write_bytes(body)

    def wrk(self, script: str, port: int, *, threads: int, connections: int, seconds: int, pause_ms: int = 0) -> Any:
        """Start wrk and return a function that waits for its end and returns what its script measured."""
        env = {
            **_clean(),
            "BENCH_TARGETS": str(self._targets),
            "BENCH_BODY": str(self._body),
            "BENCH_PINGS": str(HERE / "pings.lua"),
            "BENCH_PAUSE_MS": str(pause_ms),
            "BENCH_THREADS": str(threads),
        }
        options = [f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / script)]
        command = ["wrk", *options, f"http://127.0.0.1:{port}/"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def result() -> Any:
            out, err = process.communicate(timeout=seconds + 30)
            try:
                return json.loads(out.splitlines()[-1])
            except (IndexError, ValueError):
                raise RuntimeError(f"wrk failed: {out.decode()} {err.decode()}") from None

        return result


def _clean() -> dict[str, str]:
    """Return the environment without the settings of this shell."""
    return {k: v for k, v in os.environ.items() if not k.startswith("LUOTA_") and k != "STATE_DIRECTORY"}
