"""Environments that hold nothing else: with the built wheel, and with the oldest versions of what it needs."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.markdown import ROOT

CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("LUOTA_", "PYTHON", "NOTIFY_", "WATCHDOG_"))}


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=CLEAN, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _installed(work: Path, *what: str | Path) -> Path:
    """Install into an environment of its own; return where its programs are. One pip for all saves seconds of each."""
    _run(sys.executable, "-m", "venv", "--without-pip", "empty", cwd=work)
    programs = work / "empty" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "--disable-pip-version-check"]
    _run(*pip, "install", "--no-compile", *what, cwd=work)
    return programs


def _port(process: subprocess.Popen, log: Path) -> int:
    give_up_at = time.monotonic() + 60
    while (said := re.search(r"listening on \S+:(\d+)", log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.05)
    return int(said[1])


def _fetched(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, named), timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


@contextlib.contextmanager
def _serving(programs: Path, work: Path) -> Iterator[tuple[str, Path]]:
    """The daemon of an environment, until it is told to stop: its address, and its data directory."""
    data, log = work / "data", work / "serve.log"
    options = ["--data-dir", data, "--port", "0"]
    with (
        log.open("w") as output,
        subprocess.Popen([programs / "luota", "serve", *options], cwd=work, env=CLEAN, stderr=output) as process,
    ):
        try:
            yield f"http://127.0.0.1:{_port(process, log)}", data
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0, log.read_text()
        finally:
            process.kill()


def _takes_a_ping(programs: Path, base: str, data: Path, work: Path) -> None:
    create = ["monitor", "create", "backup", "--mode", "heartbeat", "--every", "1h", "--json"]
    made = json.loads(_run(programs / "luota", *create, "--data-dir", data, cwd=work))
    assert _fetched(f"{base}/healthz") == (200, b'{"ok":true}')
    ping = f"{base}/v1/monitors/{made['monitor']['id']}/ping"
    status, said = _fetched(ping, b"", x_luota_key=made["token"])
    assert status == 202, said


def _shows_its_pages(base: str) -> None:
    """Every page extends the one template to which this one belongs, and loads what this one loads."""
    status, page = _fetched(f"{base}/sign-in")
    assert status == 200, page
    loaded = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.decode())
    for kind in ("htmx", ".css", ".js"):
        assert any(kind in path for path in loaded), f"it loads no {kind}: {loaded}"
    for path in loaded:
        status, content = _fetched(base + path)
        assert (status, bool(content)) == (200, True), path


@pytest.mark.timeout(600)
def test_the_wheel_alone_gives_a_daemon_that_takes_a_signal_and_shows_its_pages(tmp_path):
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("luota-*.whl")
    sources = {path for path in (ROOT / "luota").rglob("*.*") if path.parent.name != "__pycache__"}
    with zipfile.ZipFile(wheel) as files:
        assert {str(path.relative_to(ROOT)) for path in sources if path.is_file()} - set(files.namelist()) == set()
    programs = _installed(tmp_path, wheel)
    # Not by way of the checkout, which the test itself can see.
    where = _run(programs / "python", "-c", "import luota; print(luota.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    with _serving(programs, tmp_path) as (base, data):
        _takes_a_ping(programs, base, data, tmp_path)
        _shows_its_pages(base)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_oldest_versions_that_are_allowed_give_a_daemon_that_takes_a_signal_and_shows_its_pages(tmp_path):
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert all(">=" in one for one in asked)
    (tmp_path / "oldest.txt").write_text("\n".join(one.replace(">=", "==") for one in asked))
    programs = _installed(tmp_path, "--constraint", "oldest.txt", ROOT)
    assert "--grace" in _run(programs / "luota", "monitor", "create", "--help", cwd=tmp_path)
    with _serving(programs, tmp_path) as (base, data):
        _takes_a_ping(programs, base, data, tmp_path)
        _shows_its_pages(base)
