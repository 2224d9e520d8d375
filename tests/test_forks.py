"""A forked `luota` is one that was started: its status, its output, its environment, and it does not outlive the tests."""

import os
import select
import signal
import subprocess
import sys

import pytest

import luota
from tests.markdown import ROOT
from tests import forks
from tests.forks import Fork


def _ran(tmp_path, *args, **environ):
    said = tmp_path / "said"
    return Fork(args, said, os.environ | environ).wait(30), said.read_text()


@pytest.mark.parametrize(
    "args", [("version",), ("monitor", "lits"), ("check-config", "--config", "none.toml")], ids=["0", "2", "1"]
)
def test_status_and_output_are_those_of_the_program(tmp_path, monkeypatch, args):
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "luota", *args]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    assert _ran(tmp_path, *args) == (done.returncode, done.stdout)


def _tell_where(file):
    file.write_text(luota.__file__)


def test_what_runs_is_the_luota_that_is_tested_wherever_the_first_fork_began(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Fork(["version"], tmp_path / "said").wait(30) == 0
    told = forks._FORKS.Process(target=_tell_where, args=(tmp_path / "where",))
    told.start()
    told.join(30)
    assert (tmp_path / "where").read_text() == luota.__file__


def test_its_environment_is_the_one_that_is_given(tmp_path):
    status, said = _ran(tmp_path, "check-config", LUOTA_SERVER_PORT="many")
    assert status == 1
    assert "LUOTA_SERVER_PORT" in said


def test_the_end_by_a_signal_is_told_and_a_timeout_before_it(tmp_path):
    process = Fork(["serve", "--data-dir", str(tmp_path / "data"), "--port", "0"], tmp_path / "said")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == process.poll() == -signal.SIGKILL


def test_it_ends_with_the_tests_even_if_they_are_killed(tmp_path):
    script = (
        "import pathlib, sys, time; from tests.forks import Fork\n"
        "one = Fork(['serve', '--data-dir', sys.argv[1], '--port', '0'], pathlib.Path(sys.argv[1] + '.log'))\n"
        "print(one.pid, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tests:
        watched = os.pidfd_open(int(tests.stdout.readline()))
        tests.kill()
    try:
        assert select.select([watched], [], [], 10)[0], "it lives on"
    finally:
        os.close(watched)
