import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from luota.cli.app import app


@pytest.fixture(autouse=True)
def no_settings_of_this_shell(monkeypatch):
    for name in [name for name in os.environ if name.startswith("LUOTA_") or name == "STATE_DIRECTORY"]:
        monkeypatch.delenv(name)


class Luota:
    """Runs commands on one data directory: inside this process, or as the real program."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *args: str, status: int = 0, stdin: bytes | None = None):
        result = CliRunner().invoke(app, [*args, "--data-dir", str(self.data_dir)], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    def json(self, *args: str, **how):
        return json.loads(self.run(*args, "--json", **how).stdout)

    def program(self, *args: str, **how):
        command = [sys.executable, "-m", "luota", *args, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **how)

    @contextlib.contextmanager
    def daemon(self, *args: str):
        command = [
            sys.executable,
            "-m",
            "luota",
            "serve",
            "--port",
            "0",
            *args,
            "--data-dir",
            str(self.data_dir),
        ]
        with (
            (self.data_dir.parent / "serve.log").open("w+") as log,
            subprocess.Popen(command, stderr=log) as process,
        ):
            try:
                deadline = time.monotonic() + 60
                while not self._listens():
                    assert process.poll() is None, Path(log.name).read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                yield process
            finally:
                process.terminate()
                process.wait(30)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.data_dir / "luota.sock")) == 0


@pytest.fixture
def luota(tmp_path):
    return Luota(tmp_path / "data")


@pytest.fixture(params=["in this process", "over the socket"])
def reached(request, luota):
    """An initialised data directory, without and with a daemon that runs on it."""
    luota.run("init")
    if request.param == "in this process":
        yield luota
        return
    with luota.daemon():
        yield luota
