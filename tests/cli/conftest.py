import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from typer.main import get_command

from luota.cli.app import app
from tests.forks import Fork, ended

COMMANDS = get_command(app)
"""What the program makes of `app` at its start."""


@pytest.fixture(autouse=True)
def no_settings_of_this_shell(monkeypatch):
    for name in [name for name in os.environ if name.startswith("LUOTA_") or name == "STATE_DIRECTORY"]:
        monkeypatch.delenv(name)


class Luota:
    """Runs commands on one data directory: inside this process, as a fork, or as the real program."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *args: str, status: int = 0, stdin: bytes | None = None):
        result = CliRunner().invoke(COMMANDS, [*args, "--data-dir", str(self.data_dir)], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    def json(self, *args: str, **how):
        return json.loads(self.run(*args, "--json", **how).stdout)

    def program(self, *args: str, **how):
        command = [sys.executable, "-m", "luota", *args, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **how)

    def fork(self, *args: str, said: str = "said.log") -> Fork:
        return Fork([*args, "--data-dir", str(self.data_dir)], self.data_dir.parent / said)

    def said(self) -> str:
        """What forks said so far, but daemons."""
        return (self.data_dir.parent / "said.log").read_text()

    @contextlib.contextmanager
    def daemon(self):
        log = self.data_dir.parent / "serve.log"
        log.unlink(missing_ok=True)
        with ended(self.fork("serve", "--port", "0", said=log.name)) as process:
            deadline = time.monotonic() + 60
            while not self._well():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process

    def _well(self) -> bool:
        """Whether the daemon says so; it listens before it can."""
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.data_dir / "luota.sock")):
                return False
            probe.sendall(b"GET /healthz HTTP/1.1\r\nhost: luota\r\nconnection: close\r\n\r\n")
            return probe.recv(12) == b"HTTP/1.1 200"

    def missed(self) -> dict:
        """A monitor `quick` of which a ping was missed under the daemon that runs: its open incident."""
        self.run("monitor", "create", "Quick", "--mode", "heartbeat", "--every", "1")
        self.run("ping", "quick")
        time.sleep(1)  # sooner there can be none
        while not (found := self.json("incident", "list", "--monitor", "quick", "--state", "open")["incidents"]):
            time.sleep(0.02)
        (incident,) = found
        return incident


@pytest.fixture
def luota(tmp_path):
    return Luota(tmp_path / "data")


@pytest.fixture(scope="session")
def new_data(tmp_path_factory):
    """Where the data directory is kept that `luota init` made, to be copied."""
    return tmp_path_factory.mktemp("new") / "data"


@pytest.fixture
def initialised(tmp_path, new_data):
    """What `luota init` makes, as if it were made now."""
    if not new_data.exists():
        Luota(new_data).run("init")
    shutil.copytree(new_data, tmp_path / "data")
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "luota.db")) as db, db:
        db.execute("UPDATE instance SET alive_at = ?", (int(time.time() * 1000),))
    return Luota(tmp_path / "data")


@pytest.fixture(params=["in this process", "over the socket"])
def reached(request, initialised):
    """An initialised data directory, without and with a daemon that runs on it."""
    if request.param == "in this process":
        yield initialised
        return
    with initialised.daemon():
        yield initialised
