"""Every snippet is run as its platform would run it, against a real daemon."""

import asyncio
import os
import subprocess
import time

import pytest
import pytest_asyncio

from tests.process import NO_LIMITS, Daemon
from tests.wired import PROGRAMS, SHELLS, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

NASTY = 'a "quote" \\ back \\n slash, a\ttab, 100% $HOME `id` \' </script> ä 雪 \x1b[31mred\x1b[0m'
FAILS = {"python": "raise ValueError('no good')", "node": 'throw new Error("no good");'}
FAILS["vercel"] = FAILS["node"]
PASSES = {"python": "print('done')", "node": 'console.log("done");', "vercel": 'console.log("done");'}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def luota(tmp_path_factory):
    """One daemon for all of them; each test has a monitor of its own."""
    async with Daemon(tmp_path_factory.mktemp("luota") / "data", NO_LIMITS) as luota:
        yield luota


async def wire(root, luota, key, mode, **definition):
    if mode == "heartbeat":
        definition.setdefault("schedule", {"every": "1h"})
    if mode == "freshness":
        definition.setdefault("expectedFreshnessSeconds", 3600)
    job = await luota.monitor(f"{key} {mode}", mode, **definition)
    return job, wired(root, f"http://127.0.0.1:{luota.port}", key, mode, job.id, job.token)


def beats(luota, job):
    return luota.rows("SELECT occurred_at FROM heartbeats WHERE monitor_id = ?", job.id)


def runs(luota, job):
    return luota.rows(
        "SELECT external_run_id, state, host, deploy_sha, exit_code, output FROM runs WHERE monitor_id = ?"
        " ORDER BY started_at, rowid",
        job.id,
    )


@pytest.mark.parametrize("key", [*SHELLS, *PROGRAMS])
async def test_a_heartbeat_is_sent_after_success_only_and_the_jobs_status_stays(luota, key, tmp_path):
    job, it = await wire(tmp_path, luota, key, "heartbeat")
    failed = await asyncio.to_thread(it.run, FAILS.get(key, "exit 3"))
    assert failed.returncode == (1 if key in PROGRAMS else 3), failed.stderr
    assert beats(luota, job) == []
    _, it = job, wired(tmp_path / "again", f"http://127.0.0.1:{luota.port}", key, "heartbeat", job.id, job.token)
    done = await asyncio.to_thread(it.run, PASSES.get(key, "echo done"))
    assert done.returncode == 0, done.stderr
    assert b"done" in done.stdout or key in {"github", "circleci"}
    assert (await luota.show(job))["status"] == "healthy"


@pytest.mark.parametrize(
    ("key", "ending", "status"),
    [
        ("python", "sys.exit(0)", 0),
        ("python", "sys.exit()", 0),
        ("python", "sys.exit(3)", 3),
        ("python", "sys.exit('no good')", 1),
        ("python", "sys.exit(0.0)", 1),
        ("python", "sys.exit(256)", 0),
        ("node", "process.exitCode = 0;", 0),
        ("node", "process.exitCode = 3;", 3),
        ("node", 'process.exitCode = "0";', 0),
        ("node", 'process.exitCode = "3";', 3),
        ("node", "process.exitCode = 256;", 0),
    ],
)
@pytest.mark.parametrize("mode", ["heartbeat", "freshness"])
async def test_a_program_that_sets_its_own_exit_status_is_told_of_by_it(luota, key, ending, status, mode, tmp_path):
    job, it = await wire(tmp_path, luota, key, mode)
    it.output.write_text("rows")
    done = await asyncio.to_thread(it.run, ending)
    assert done.returncode == status, done.stderr
    assert len(beats(luota, job)) == (status == 0)


@pytest.mark.parametrize("key", [*SHELLS, *PROGRAMS])
async def test_freshness_says_when_the_output_last_changed(luota, key, tmp_path):
    job, it = await wire(tmp_path, luota, key, "freshness")
    missing = await asyncio.to_thread(it.run, PASSES.get(key, "echo done"))
    assert missing.returncode == 0, missing.stderr
    assert b"Luota" in missing.stderr
    assert beats(luota, job) == []
    it.output.write_text("rows")
    changed = int(time.time()) - 600
    os.utime(it.output, (changed, changed))
    done = await asyncio.to_thread(it.run, PASSES.get(key, "echo done"))
    assert done.returncode == 0, done.stderr
    ((occurred,),) = beats(luota, job)
    assert occurred == changed * 1000


@pytest.mark.parametrize("key", SHELLS)
async def test_a_run_tells_its_start_its_end_and_its_output_and_keeps_the_jobs_status(luota, key, tmp_path):
    job, it = await wire(tmp_path, luota, key, "run")
    (tmp_path / "nasty").write_bytes(NASTY.encode() + b"\nbad \xff\xfe utf-8 \x00 nul\n")
    failed = await asyncio.to_thread(it.run, f"cat {tmp_path}/nasty; echo to-stderr >&2; exit 3")
    assert failed.returncode == 3, failed.stderr
    assert NASTY.encode() in failed.stdout
    assert [i["kind"] for i in await luota.incidents(job)] == ["failed"]
    again = {"GITHUB_RUN_ATTEMPT": "2", "CI_JOB_ID": "9002", "CIRCLE_WORKFLOW_JOB_ID": "d-e-f"}
    done = await asyncio.to_thread(lambda: it.run("echo fine", **again))
    assert done.returncode == 0, done.stderr
    assert [i["state"] for i in await luota.incidents(job)] == ["resolved"]
    first, second = runs(luota, job)
    assert first[0] != second[0]
    assert [first[1], first[4], second[1]] == ["failed", 3, "success"]
    assert first[5] == NASTY.replace("\x1b", "") + "\nbad  utf-8  nul\nto-stderr"
    assert second[5] == "fine"
    assert first[2]


@pytest.mark.parametrize("key", PROGRAMS)
async def test_a_run_of_a_program_tells_its_exception_and_lets_it_pass(luota, key, tmp_path):
    job, it = await wire(tmp_path, luota, key, "run")
    text = '"q" \\ 雪 \\ud800 \\u0000 end'
    raises = (
        f'raise ValueError("{text.replace(chr(34), chr(39))}")'
        if key == "python"
        else (f'throw new Error("{text.replace(chr(34), chr(39))}");')
    )
    failed = await asyncio.to_thread(it.run, raises.replace("\\ ", "\\\\ "))
    assert failed.returncode == 1, failed.stderr
    assert [i["kind"] for i in await luota.incidents(job)] == ["failed"]
    it = wired(tmp_path / "again", f"http://127.0.0.1:{luota.port}", key, "run", job.id, job.token)
    done = await asyncio.to_thread(it.run, PASSES[key])
    assert done.returncode == 0, done.stderr
    first, second = runs(luota, job)
    assert first[0] != second[0]
    assert [first[1], first[4], second[1]] == ["failed", 1, "success"]
    assert "雪" in first[5]
    assert "end" in first[5]


@pytest.mark.parametrize(
    ("ending", "status", "summary"),
    [
        ("sys.exit()", 0, "exit status 0"),
        ("sys.exit(False)", 0, "exit status 0"),
        ("sys.exit(True)", 1, "exit status 1"),
        ("sys.exit(-1)", 255, "exit status 255"),
        ("sys.exit(2**40)", 0, "exit status 0"),
        ("sys.exit(2**70)", 255, "exit status 255"),
        ("sys.exit(-2**70)", 255, "exit status 255"),
        ("sys.exit('disk full')", 1, "disk full"),
        ("sys.exit('ä' * 300)", 1, "ä" * 240),
        ("sys.exit('')", 1, "exit status 1"),
        ("sys.exit(0.0)", 1, "0.0"),
        ("raise type('Mute', (Exception,), {'__str__': None})", 1, "exit status 1"),
    ],
)
async def test_a_run_in_python_is_told_of_with_the_status_that_the_system_sees(
    luota, ending, status, summary, tmp_path
):
    job, it = await wire(tmp_path, luota, "python", "run")
    done = await asyncio.to_thread(it.run, ending)
    assert done.returncode == status, done.stderr
    told = luota.rows("SELECT state, coalesce(exit_code, 0), summary FROM runs WHERE monitor_id = ?", job.id)
    assert told == [("failed" if status else "success", status, summary)]


@pytest.mark.parametrize(("ending", "status"), [('"0"', 0), ('"3"', 3), ("256", 0), ("-1", 255), ("undefined", 0)])
async def test_a_run_in_node_is_told_of_with_the_status_that_the_system_sees_and_never_a_string(
    luota, ending, status, tmp_path
):
    job, it = await wire(tmp_path, luota, "node", "run")
    done = await asyncio.to_thread(it.run, f"process.exitCode = {ending};")
    assert done.returncode == status, done.stderr
    told = luota.rows("SELECT state, coalesce(exit_code, 0), summary FROM runs WHERE monitor_id = ?", job.id)
    assert told == [("failed" if status else "success", status, f"exit status {status}" if status else "done")]


async def test_what_sys_exit_prints_is_kept_whole_as_the_output(luota, tmp_path):
    job, it = await wire(tmp_path, luota, "python", "run")
    await asyncio.to_thread(it.run, "sys.exit('disk full ' * 100 + 'end')")
    assert [run[-1] for run in runs(luota, job)] == ["disk full " * 100 + "end"]


@pytest.mark.parametrize("key", ["node", "vercel"])
async def test_a_run_that_throws_what_has_no_text_is_told_as_failed_and_lets_it_pass(luota, key, tmp_path):
    job, it = await wire(tmp_path, luota, key, "run")
    done = await asyncio.to_thread(it.run, "throw Object.create(null);")
    assert done.returncode == 1
    assert b"[Object: null prototype] {}" in done.stderr
    told = luota.rows("SELECT state, exit_code, summary FROM runs WHERE monitor_id = ?", job.id)
    assert told == [("failed", 1, "failed")]


async def test_a_run_ended_by_a_signal_is_told_and_the_job_gets_the_signal(luota, tmp_path):
    job, it = await wire(tmp_path, luota, "curl", "run")
    ready = tmp_path / "ready"
    it.prepare(f"trap 'echo cleaned; exit 44' TERM\n: >{ready}\nwhile :; do sleep 0.05; done")
    process = subprocess.Popen(["sh", it.paths[0]], stdout=subprocess.PIPE)
    while not ready.exists():
        assert process.poll() is None
        await asyncio.sleep(0.02)
    process.terminate()
    out, _ = await asyncio.to_thread(process.communicate, None, 60)
    assert (process.returncode, out) == (44, b"cleaned\n")
    _, state, _, _, exit_code, output = runs(luota, job)[-1]
    assert (state, exit_code, output) == ("failed", 44, "cleaned")


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_what_a_job_leaves_running_holds_up_neither_its_status_nor_its_end(luota, shell, tmp_path):
    job, it = await wire(tmp_path, luota, "curl", "run")
    go = tmp_path / "go"
    waits = f"for n in $(seq 400); do [ -e {go} ] && break; sleep 0.1; done"
    it.prepare(f"seq 20000\n({waits}; echo afterwards; echo last) &\necho before its end\nexit 3")
    values = dict(line.split("=", 1) for line in it.paths[0].read_text().split() if line.startswith("LUOTA_"))
    shown = tmp_path / "shown"
    with shown.open("wb") as out:
        command = [shell, it.paths[1], it.root / "usr/local/bin/your-job"]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | values)
        assert await asyncio.to_thread(process.wait, 30) == 3
    ((_, state, _, _, exit_code, output),) = runs(luota, job)
    assert (state, exit_code) == ("failed", 3)
    assert output.endswith("\n19999\n20000\nbefore its end")
    assert 29_000 < len(output)
    everything = "".join(f"{n}\n" for n in range(1, 20001)) + "before its end\n"
    assert shown.read_text() == everything
    go.touch()
    async with asyncio.timeout(10):
        while not shown.read_text().endswith("last\n"):
            await asyncio.sleep(0.02)
    assert shown.read_text() == everything + "afterwards\nlast\n"


async def test_the_legs_of_a_matrix_and_the_attempts_of_each_are_runs_of_their_own(luota, tmp_path):
    job, it = await wire(tmp_path, luota, "github", "run")
    for index, attempt in (("0", "1"), ("1", "1"), ("1", "2")):
        variables = {"strategy.job-index": index, "GITHUB_RUN_ATTEMPT": attempt}
        done = await asyncio.to_thread(lambda: it.run("echo fine", **variables))  # noqa: B023 - awaited at once
        assert done.returncode == 0, done.stderr
    assert [run[0] for run in runs(luota, job)] == ["771-1-job-0", "771-1-job-1", "771-2-job-1"]


async def test_long_output_is_cut_and_the_job_keeps_its_streams_and_its_umask(luota, tmp_path):
    job, it = await wire(tmp_path, luota, "curl", "run")
    os.umask(mask := os.umask(0o77))
    done = await asyncio.to_thread(it.run, "umask; seq 100000; printf '%030000d' 0 | tr 0 '\"'; echo last")
    assert done.stdout.startswith(f"{mask:04o}\n1\n2\n".encode())
    assert len(done.stdout) > 600_000
    ((*_, output),) = runs(luota, job)
    assert output.endswith('"last')
    assert 29_000 < len(output) <= 30_000
