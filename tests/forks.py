"""The program in a process of its own, without the third of a second that Python takes to start and load it.

The process is a fork of one that has loaded Luota and done nothing else. It has its own environment, output, session,
owner lock and exit status. What a test says about the start or the end of the interpreter needs `python -m luota`, as
in the tests of the wheel, the demo, and what strace sees.
"""

import contextlib
import functools
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.forkserver import ensure_running
from pathlib import Path

from click.testing import CliRunner
from typer.main import get_command

from luota.cli import main
from luota.cli.app import app

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", "luota.daemon", "anyio._backends._asyncio", __name__])
CliRunner().invoke(get_command(app), ["version", "--json"])  # Typer loads half of itself with the first option


@functools.cache
def _serve_forks() -> None:
    """Start the process that all are forked from, where it imports what the tests import: it has no other path."""
    with contextlib.chdir(Path(__file__).parents[1]):
        ensure_running()


class Fork:
    """`luota ARGS`, begun at once; what it says on both outputs is appended to the file `said`. It has no input.

    It ends with the tests at the latest, even if they are killed. The environment is that of the tests, unless `env`
    is given.
    """

    def __init__(self, args: Sequence[str], said: Path, env: Mapping[str, str] | None = None) -> None:
        _serve_forks()
        environ = dict(os.environ if env is None else env)
        self._process = _FORKS.Process(target=_run, args=(list(args), environ, said, os.getcwd()), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, None while it runs; a signal is negative."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status as soon as it ended; TimeoutExpired where it runs on for `timeout` seconds."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("luota", timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _run(args: Sequence[str], environ: Mapping[str, str], said: Path, directory: str) -> None:
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    with Path(os.devnull).open("rb") as nothing, said.open("ab") as output:
        for stream, file in enumerate((nothing, output, output)):
            os.dup2(file.fileno(), stream)
    os.chdir(directory)
    gc.freeze()
    sys.argv = ["luota", *args]
    main()


def _end_with_the_tests() -> None:
    tests = multiprocessing.parent_process()  # which is not the one that forked
    assert tests is not None
    tests.join()
    os.write(2, b"the tests have ended, and so do I\n")
    os._exit(1)


@contextlib.contextmanager
def ended(process: Fork) -> Iterator[Fork]:
    """Ask a process to end, at the end of a block, and see that it does."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
