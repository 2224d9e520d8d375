"""`luota exec` beside a daemon; where there is none: tests/e2e/test_without_luota.py."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
import pytest_asyncio

from luota.cli.exec import _DRAIN_S, KEPT, Tail, _run
from tests.forks import Fork
from tests.process import Daemon
from tests.wired import environ_without_luota

RUNS = """
SELECT external_run_id, state, exit_code, summary, output FROM runs WHERE monitor_id = ? ORDER BY start_received_at, rowid
"""
PINGS = "SELECT count(*) FROM heartbeats WHERE monitor_id = ?"

shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def luota(tmp_path_factory):
    """A daemon for all tests; each has a monitor of its own."""
    async with Daemon(tmp_path_factory.mktemp("exec") / "data") as luota:
        yield luota


def environ(url="http://127.0.0.1:9", job=None, **more):
    values = {"LUOTA_API_BASE_URL": url}
    if job is not None:
        values |= {"LUOTA_MONITOR_ID": job.id, "LUOTA_INGEST_TOKEN": job.token}
    return environ_without_luota() | values | more


def popen(*args, env, **how):
    return subprocess.Popen(
        [sys.executable, "-m", "luota", "exec", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **how
    )


async def execute(*args, env, stdin=b""):
    process = popen(*args, env=env, stdin=subprocess.PIPE)
    out, err = await asyncio.to_thread(process.communicate, stdin, 150)
    return process.returncode, out, err


def forked(said, *args, env):
    """Execute in a fork, without input; return the status and all that was said."""
    said.unlink(missing_ok=True)
    return Fork(["exec", *args], said, env).wait(150), said.read_bytes()


def address(luota):
    return f"http://127.0.0.1:{luota.port}"


@shared
async def test_a_job_is_a_run_with_its_output_and_its_status_is_that_of_exec(luota, tmp_path):
    job = await luota.monitor("report", "run")
    env = environ(address(luota), job)
    script = "cat; printf 'to \"stderr\" \\377 ä\\n' >&2; exit 3"
    status, out, err = await execute("--run-id", "a-1", "--", "sh", "-c", script, env=env, stdin=b"from stdin\n")
    assert (status, out) == (3, b"from stdin\n")
    assert err == b'to "stderr" \xff \xc3\xa4\n'
    assert [i["kind"] for i in await luota.incidents(job)] == ["failed"]
    status, out, _ = await execute("--", "echo", "fine", env=env)
    assert (status, out) == (0, b"fine\n")
    assert [i["state"] for i in await luota.incidents(job)] == ["resolved"]
    first, second = luota.rows(RUNS, job.id)
    assert first[:4] == ("a-1", "failed", 3, "sh: exit status 3")
    assert sorted(first[4].splitlines()) == ["from stdin", 'to "stderr" ? ä']
    assert second[1] == "success"
    assert second[0] not in {"", "a-1"}


@shared
async def test_a_wrong_token_is_told_of_once_and_the_job_runs(luota):
    job = await luota.monitor("report", "run")
    env = environ(address(luota), job, LUOTA_INGEST_TOKEN="wrong")
    status, out, err = await execute("--", "echo", "done", env=env)
    assert (status, out) == (0, b"done\n")
    assert err.count(b"the start could not be sent: 401") == err.count(b"\n") == 1


@shared
async def test_the_end_of_endless_output_is_kept_whatever_it_is_made_of(luota, tmp_path):
    job = await luota.monitor("report", "run")
    for unit in ("\\n", "\\033", "雪", '\\"', "x\\000"):
        script = f"i=0; while [ $i -lt 500 ]; do printf '{unit * 100}'; i=$((i+1)); done; echo last; exit 1"
        status, said = forked(tmp_path / "said", "--", "sh", "-c", script, env=environ(address(luota), job))
        assert status == 1
        assert b"luota" not in said
        assert len(said) >= 50_000
    outputs = [row[4] for row in luota.rows(RUNS, job.id)]
    assert len(outputs) == 5
    assert all(output.endswith("last\n") and len(output.encode()) <= KEPT for output in outputs)
    assert all(len(output) > 5000 for output in outputs)


def test_a_tail_is_cut_on_a_character():
    tail = Tail()
    for _ in range(3):
        tail.add("雪".encode() * 5000 + b"x")
    assert set(tail.text()) == {"雪", "x"}
    assert len(tail.text().encode()) <= KEPT


@shared
async def test_a_signal_reaches_the_job_and_its_number_is_the_status(luota, tmp_path):
    job = await luota.monitor("report", "run")
    for number in (signal.SIGTERM, signal.SIGINT):
        ready = tmp_path / f"ready-{number}"
        script = f"trap 'echo cleaned; trap - {number}; kill -{number} $$' {number}; : > {ready}; while :; do sleep 0.05; done"
        process = popen("--", "bash", "-c", script, env=environ(address(luota), job), stdin=subprocess.DEVNULL)
        while not ready.exists():
            assert process.poll() is None
            await asyncio.sleep(0.02)
        process.send_signal(number)
        out, _ = await asyncio.to_thread(process.communicate, None, 60)
        assert process.returncode == 128 + number
        assert out == b"cleaned\n"
    assert [row[1:3] for row in luota.rows(RUNS, job.id)] == [("failed", 143), ("failed", 130)]


@shared
async def test_what_cannot_be_started_fails_as_in_a_shell(luota, tmp_path):
    job = await luota.monitor("report", "run")
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for program, expected in ((tmp_path / "none", 127), (plain, 126)):
        assert forked(tmp_path / "said", "--", str(program), env=environ(address(luota), job))[0] == expected
    assert [row[1:3] for row in luota.rows(RUNS, job.id)] == [("failed", 127), ("failed", 126)]
    assert forked(tmp_path / "said", env=environ())[0] == 2


@shared
async def test_a_heartbeat_is_sent_after_success_only(luota, tmp_path):
    job = await luota.monitor("backup", schedule={"every": 3600})
    said, env = tmp_path / "said", environ(address(luota), job)
    assert forked(said, "--ping", "--", "false", env=env)[0] == 1
    assert luota.rows(PINGS, job.id) == [(0,)]
    assert forked(said, "--ping", "--", "true", env=env)[0] == 0
    assert luota.rows(PINGS, job.id) == [(1,)]


async def test_missing_or_broken_settings_are_told_and_the_job_runs():
    assert (await execute("--", "sh", "-c", "exit 6", env=environ()))[0] == 6
    for bad in ({"LUOTA_INGEST_TOKEN": "s3\ncret"}, {"LUOTA_API_BASE_URL": "ftp://u:s3cret@x/"}):
        env = environ(LUOTA_MONITOR_ID="x", LUOTA_INGEST_TOKEN="y") | bad
        status, out, err = await execute("--", "echo", "fine", env=env)
        assert (status, out) == (0, b"fine\n")
        assert b"could not be sent" in err
        assert b"cret" not in err


async def test_a_run_that_began_while_luota_was_down_is_told_when_it_ends(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job = await luota.monitor("report", "run")
        url = address(luota)
        await luota.kill()
        env = environ(url, job)
        go = tmp_path / "go"
        process = popen("--", "sh", "-c", f"until [ -e {go} ]; do sleep 0.1; done", env=env, stdin=subprocess.DEVNULL)
        async for line in _lines(process.stderr):
            if b"start could not be sent" in line:
                break
        luota._args = ("--port", url.rpartition(":")[2])
        await luota.start()
        go.touch()
        assert await asyncio.to_thread(process.wait, 60) == 0
        assert [row[1] for row in luota.rows(RUNS, job.id)] == ["success"]
        process.stdout.close()
        process.stderr.close()


async def _lines(stream):
    while line := await asyncio.to_thread(stream.readline):
        yield line


@shared
async def test_a_daemon_left_behind_by_the_job_does_not_hold_exec_up(luota, tmp_path):
    job = await luota.monitor("report", "run")
    left = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {left}; echo begun"
    begin = time.monotonic()
    process = popen("--", "sh", "-c", script, env=environ(address(luota), job), stdin=subprocess.DEVNULL)
    try:
        assert await asyncio.to_thread(process.wait, 100) == 0
        assert time.monotonic() - begin < 100
        assert [row[1::3] for row in luota.rows(RUNS, job.id)] == [("success", "begun\n")]
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


def test_both_streams_that_something_left_behind_holds_open_are_waited_for_once(tmp_path):
    left = tmp_path / "pid"
    begin = time.monotonic()
    try:
        assert _run(["sh", "-c", f"sleep 300 & echo $! > {left}; exit 3"], Tail()) == 3
        assert _DRAIN_S <= time.monotonic() - begin < 2 * _DRAIN_S
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)


@shared
async def test_what_is_left_behind_may_write_on_while_the_end_is_told(luota, tmp_path):
    job = await luota.monitor("report", "run")
    left = tmp_path / "pid"
    pause = "read -t 0.001 -u 9"  # of what nobody writes to; a process for each pause would take most of a processor
    script = f"while echo on; do {pause}; done 9<> <(:) & echo $! > {left}"
    try:
        for _ in range(3):
            status, _, err = await execute("--", "bash", "-c", script, env=environ(address(luota), job))
            assert (status, err) == (0, b"")
    finally:
        with contextlib.suppress(ProcessLookupError):  # it ends by itself when nobody reads on
            os.kill(int(left.read_text()), signal.SIGKILL)
    assert [row[1] for row in luota.rows(RUNS, job.id)] == ["success"] * 3
