"""The README's own walk, in one shell, against a real daemon and a real webhook receiver."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.markdown import ROOT, Fence, fences

WALK = [fence for fence in fences(ROOT / "README.md") if fence.section == "First five minutes"]
VARYING = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"wfm1\.[\w-]{43}"), "<token>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<instant>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r'"durationSeconds":\d+'), '"durationSeconds":<n>'),
)


def _same_every_time(text: str) -> list[str]:
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.strip().splitlines()]


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Shell:
    """One bash, as a newcomer's: what a block sets, the next one has. It is ended with all that it started."""

    def __init__(self, directory: Path) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LUOTA_", "NOTIFY_", "WATCHDOG_"))}
        inherited |= {"LUOTA_SERVER_PORT": _free_port(), "HOOK_PORT": _free_port(), "TMPDIR": str(directory)}
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=inherited,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, block: str) -> str:
        """Return what a block prints."""
        mark = secrets.token_hex(8)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho {mark}\n")
        self._process.stdin.flush()
        said = ""
        while mark not in said:
            line = self._process.stdout.readline()
            assert line, f"the shell ended after:\n{said}"
            said += line
        return said.partition(mark)[0]

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def shell(tmp_path):
    (tmp_path / ".venv").symlink_to(sys.prefix)  # as the line that installs Luota leaves it in the checkout
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def _outputs(shell: Shell, blocks: list[Fence]) -> str:
    """Run the commands and hold each output against the one that follows it; return all that was printed."""
    printed = ""
    for number, fence in enumerate(blocks):
        if fence.language != "sh":
            continue
        said = shell.run(fence.text)
        shown = blocks[number + 1] if number + 1 < len(blocks) else None
        expected = shown.text if shown is not None and shown.language == "text" else ""
        assert _same_every_time(said) == _same_every_time(expected), f"after:\n{fence.text}\nit says:\n{said}"
        printed += said
    return printed


def _after(instant: str, seconds: int) -> str:
    moved = datetime.fromisoformat(instant) + timedelta(seconds=seconds)
    return moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_the_walk_of_the_readme_gives_the_output_that_stands_in_it(shell):
    *walk, cleaning_up = WALK
    printed = _outputs(shell, walk)
    found = json.loads(shell.run("luota incident list --json"))["incidents"]
    data_dir = Path(shell.run("echo $LUOTA_DATA_DIR").strip())
    assert (data_dir / "luota.db").exists()

    # Each misfortune opened one incident, and each has ended.
    assert Counter(incident["kind"] for incident in found) == {"missed": 1, "failed": 1, "stuck": 1, "stale": 1}
    assert {incident["state"] for incident in found} == {"resolved"}
    notices = [(d["notice"], d["state"]) for incident in found for d in incident["deliveries"]]
    assert Counter(notices) == {("incident.opened", "delivered"): 4, ("incident.resolved", "delivered"): 4}

    # Each opened at the deadline's own instant, computed here from what the jobs were told.
    replies = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    pings = [reply["heartbeat"]["occurredAt"] for reply in replies if "heartbeat" in reply]
    failed = next(r["run"]["finishedAt"] for r in replies if r.get("run", {}).get("status") == "failed")
    slow = next(r["run"] for r in replies if r.get("run", {}).get("durationSeconds", 0) >= 3)
    opened = {incident["kind"]: incident["openedAt"] for incident in found}
    assert opened["missed"] == _after(pings[0], 2)
    assert opened["failed"] == failed
    assert opened["stale"] == _after(pings[2], 3)
    stuck = datetime.fromisoformat(opened["stuck"]) + timedelta(seconds=slow["durationSeconds"] - 3)
    assert timedelta(0) <= datetime.fromisoformat(slow["finishedAt"]) - stuck < timedelta(seconds=1)

    _outputs(shell, [cleaning_up])
    assert not data_dir.exists()


def test_the_walk_says_why_and_goes_on_when_the_daemon_cannot_start(shell):
    setting_up = [fence.text for fence in WALK if fence.language == "sh"][:2]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        shell.run(f"LUOTA_SERVER_PORT={taken.getsockname()[1]}")
        said = "".join(map(shell.run, setting_up))
    assert "is taken" in said


def test_the_walk_ends_what_it_started_and_no_other_job(shell):
    *_, cleaning_up = WALK
    setting_up = [fence.text for fence in WALK if fence.language == "sh"][:2]
    for block in ("sleep 600 & OTHER=$!", *setting_up, cleaning_up.text):
        shell.run(block)
    assert shell.run("kill -0 $OTHER && jobs -p | wc -l").strip() == "1"
