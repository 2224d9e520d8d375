"""`luota exec`: a command as a run, or with a ping after it; Luota's troubles never become the job's."""

import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import IO, Annotated, Any

import typer

from luota.cli.command import Cli
from luota.cli.signals import Calls, encoded
from luota.clock import SystemClock
from luota.core.spec.values import format_instant

KEPT = 32 * 1024
"""Bytes of output that a run may carry (docs/api.md, "Limits")."""
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FITS = 60_000
"""Bytes of JSON that leave room for the rest of a body of 64 KiB: a newline takes two, an escape six."""
_DRAIN_S = 2.0
"""How long to read on in all after the job ended, since something that it left running may hold its output open."""


class Tail:
    """The last KEPT bytes of what the streams of a job say, in the order in which it came."""

    def __init__(self) -> None:
        self._kept = b""
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        """Append; for threads."""
        with self._lock:
            self._kept = (self._kept + chunk)[-KEPT:]

    def text(self) -> str:
        """Return the end as text of at most KEPT bytes in UTF-8, cut on a character, that Luota stores.

        What is no UTF-8 becomes `?`, and NUL is left out: neither could be sent.
        """
        with self._lock:
            kept = self._kept
        whole = re.sub(rb"^[\x80-\xbf]{1,3}", b"", kept) if len(kept) == KEPT else kept
        text = whole.decode("utf-8", "replace").replace("\ufffd", "?").replace("\0", "")
        while len(encoded(text)) > _FITS:
            text = text[len(text) // 8 :]
        return text


def exec_(
    cli: Cli,  # noqa: ARG001 - every command takes the common options
    *,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The job.")],
    monitor: Annotated[
        str, typer.Option("--monitor", metavar="ID", envvar="LUOTA_MONITOR_ID", help="The id of the monitor.")
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            "--token", metavar="T", envvar="LUOTA_INGEST_TOKEN", help="Its token; the variable hides it better."
        ),
    ] = "",
    url: Annotated[
        str, typer.Option("--url", metavar="BASE", envvar="LUOTA_API_BASE_URL", help="Where Luota is reached.")
    ] = "http://127.0.0.1:8080",
    run_id: Annotated[str, typer.Option("--run-id", metavar="X", help="Your own id of this run; else a new one.")] = "",
    ping: Annotated[bool, typer.Option("--ping", help="For heartbeat and freshness: a ping after success.")] = False,
) -> None:
    """Run a command, tell Luota how it goes, and end with the command's own exit status."""
    calls = Calls(url, monitor, token, _warn)
    if ping:
        status = _run(command, None)
        if status == 0:
            calls.ping({"payload": {"host": platform.node()}})
        raise typer.Exit(status)
    started_at = SystemClock().now()
    start = {"externalRunId": run_id or str(uuid.uuid4()), "host": platform.node()}
    run = calls.start(start, soon=True)
    tail = Tail()
    status = _run(command, tail)
    if run is None:
        # The job may have outlived what was wrong; the same id is the same run, had the first call come through.
        run = calls.start({**start, "startedAt": format_instant(started_at)}, soon=False)
    if run is not None:
        calls.close(run, _closing(command, status, tail))
    raise typer.Exit(status)


def _closing(command: list[str], status: int, tail: Tail) -> dict[str, Any]:
    name = shlex.join(command[:1]).encode("utf-8", "replace").decode()[:200]
    summary = f"{name}: done" if status == 0 else f"{name}: exit status {status}"
    return {"summary": summary, "exitCode": status, "output": tail.text()}


def _warn(message: str) -> None:
    print(f"luota: {message}", file=sys.stderr)


def _run(command: list[str], tail: Tail | None) -> int:
    """Run the command, passing streams and signals through; return its status as a shell would.

    128+n when signal n ended it, 127 when there is no such command, 126 when it cannot be executed.
    """
    piped = None if tail is None else subprocess.PIPE
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if number == signal.SIGINT and _in_foreground():
            return  # the terminal has sent it to the job, too
        if started:
            started[0].send_signal(number)
        else:
            early.append(number)

    # What is ignored, as SIGHUP is under nohup, stays so, for the job too.
    heard = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in heard}
    try:
        try:
            started.append(subprocess.Popen(command, stdout=piped, stderr=piped))  # noqa: S603 - the user's own
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            message = f"{command[0]}: {error.strerror}"
            _warn(message)
            if tail is not None:
                tail.add(message.encode("utf-8", "replace"))
            return 127 if missing else 126
        job = started[0]
        for number in early:
            job.send_signal(number)
        pumps = [] if tail is None else [_pump(job.stdout, 1, tail.add), _pump(job.stderr, 2, tail.add)]
        status = job.wait()
        drained_by = time.monotonic() + _DRAIN_S
        for pump in pumps:
            pump.join(max(0.0, drained_by - time.monotonic()))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _pump(source: IO[bytes] | None, target: int, keep: Callable[[bytes], None]) -> threading.Thread:
    """Copy a stream of the job to one of this process as it comes, and keep it; in a thread that ends with it."""
    assert source is not None

    def copy(source: IO[bytes]) -> None:
        whole = True
        # The thread holds the stream: closed while something writes on, its number would be that of the next call.
        with source:
            while chunk := os.read(source.fileno(), 65536):
                keep(chunk)
                view = memoryview(chunk)
                while whole and view:
                    try:
                        view = view[os.write(target, view) :]
                    except OSError:  # nobody reads on; the job need not die of it
                        whole = False

    thread = threading.Thread(target=copy, args=(source,), daemon=True)
    thread.start()
    return thread
