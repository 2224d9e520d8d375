"""Every snippet is run as its platform would run it, against a real daemon, a dead one, and one that comes back."""

import asyncio
import json
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from luota.core.model import Mode
from luota.web.snippets import snippets
from tests.process import Daemon
from tests.wired import PROGRAMS, SHELLS, Wired

NASTY = 'a "quote" \\ back \\n slash, a\ttab, 100% $HOME `id` \' </script> ä 雪 \x1b[31mred\x1b[0m'
FAILS = {"python": "raise ValueError('no good')", "node": 'throw new Error("no good");'}
FAILS["vercel"] = FAILS["node"]
PASSES = {"python": "print('done')", "node": 'console.log("done");', "vercel": 'console.log("done");'}


async def wire(root, luota, key, mode, **definition):
    if mode == "heartbeat":
        definition.setdefault("schedule", {"every": "1h"})
    if mode == "freshness":
        definition.setdefault("expectedFreshnessSeconds", 3600)
    job = await luota.monitor(f"{key} {mode}", mode, **definition)
    return job, wired(root, f"http://127.0.0.1:{luota.port}", key, mode, job.id, job.token)


def wired(root, url, key, mode, id="45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c", token="wfm1.none"):
    (snippet,) = [s for s in snippets(Mode(mode), url, id, token, 'Nightly: 100% "backup"') if s.key == key]
    return Wired(root / f"{key}-{mode}", key, snippet.files, token)


def runs(luota, job):
    return luota.rows(
        "SELECT external_run_id, state, host, deploy_sha, exit_code, output FROM runs WHERE monitor_id = ?"
        " ORDER BY started_at, rowid",
        job.id,
    )


@pytest.mark.parametrize("key", [*SHELLS, *PROGRAMS])
async def test_a_heartbeat_is_sent_after_success_only_and_the_jobs_status_stays(key, tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job, it = await wire(tmp_path, luota, key, "heartbeat")
        failed = await asyncio.to_thread(it.run, FAILS.get(key, "exit 3"))
        assert failed.returncode == (1 if key in PROGRAMS else 3), failed.stderr
        assert luota.rows("SELECT count(*) FROM heartbeats") == [(0,)]
        _, it = job, wired(tmp_path / "again", f"http://127.0.0.1:{luota.port}", key, "heartbeat", job.id, job.token)
        done = await asyncio.to_thread(it.run, PASSES.get(key, "echo done"))
        assert done.returncode == 0, done.stderr
        assert b"done" in done.stdout or key in {"github", "circleci"}
        assert (await luota.show(job))["status"] == "healthy"


@pytest.mark.parametrize("key", [*SHELLS, *PROGRAMS])
async def test_freshness_says_when_the_output_last_changed(key, tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job, it = await wire(tmp_path, luota, key, "freshness")
        missing = await asyncio.to_thread(it.run, PASSES.get(key, ":")) if key in SHELLS else None
        assert missing is None or missing.returncode == 0
        assert luota.rows("SELECT count(*) FROM heartbeats") == [(0,)]
        it.output.write_text("rows")
        changed = int(time.time()) - 600
        os.utime(it.output, (changed, changed))
        done = await asyncio.to_thread(it.run, PASSES.get(key, "echo done"))
        assert done.returncode == 0, done.stderr
        ((occurred,),) = luota.rows("SELECT occurred_at FROM heartbeats")
        assert occurred == changed * 1000


@pytest.mark.parametrize("key", SHELLS)
async def test_a_run_tells_its_start_its_end_and_its_output_and_keeps_the_jobs_status(key, tmp_path):
    async with Daemon(tmp_path / "data") as luota:
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
async def test_a_run_of_a_program_tells_its_exception_and_lets_it_pass(key, tmp_path):
    async with Daemon(tmp_path / "data") as luota:
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


def everywhere(root, url, jobs=None):
    """Every snippet of every mode, wired to `url`; `jobs` gives the monitor of each."""
    for key in (*SHELLS, *PROGRAMS):
        for mode in ("heartbeat", "run", "freshness"):
            job = None if jobs is None else jobs[key, mode]
            values = {} if job is None else {"id": job.id, "token": job.token}
            it = wired(root, url, key, mode, **values)
            it.output.write_text("rows")
            yield key, mode, it


async def together(calls):
    with ThreadPoolExecutor(40) as pool:
        return await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, call) for call in calls))


async def test_with_luota_down_every_job_runs_soon_and_ends_with_its_own_status(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:  # takes connections and says nothing
        hangs = list(everywhere(tmp_path / "hangs", f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        cases = [*everywhere(tmp_path / "refuses", "http://127.0.0.1:9"), *(c for c in hangs if c[0] == "curl")]
        began = time.time()

        def one(key, it):
            stamp = it.root / "stamp"
            writes = {
                "python": f"open({str(stamp)!r}, 'w')",
                "node": f'(await import("node:fs")).writeFileSync({json.dumps(str(stamp))}, "");',
            }
            writes["vercel"] = writes["node"]
            done = it.run(writes.get(key, f": >{stamp}; exit 7" if "-run" in it.root.name else f": >{stamp}"))
            return done.returncode, stamp.stat().st_mtime - began, time.time() - began

        outcomes = await together([partial(one, key, it) for key, _, it in cases])
    for (key, mode, it), (status, soon, ended) in zip(cases, outcomes, strict=True):
        assert status == (7 if mode == "run" and key in SHELLS else 0), (key, mode)
        assert soon < 60, (key, mode)  # seconds; alone it is a third of that
        assert ended < 180, (key, mode)
        assert not list(it.root.glob("tmp.*")), "nothing is left behind"


async def test_a_restart_of_luota_loses_nothing(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        jobs = {}
        for key in (*SHELLS, *PROGRAMS):
            jobs[key, "heartbeat"] = await luota.monitor(f"{key} h", schedule={"every": "1h"})
            jobs[key, "run"] = await luota.monitor(f"{key} r", "run")
            jobs[key, "freshness"] = await luota.monitor(f"{key} f", "freshness", expectedFreshnessSeconds=3600)
        port = luota.port
        await luota.terminate()
    cases = list(everywhere(tmp_path / "all", f"http://127.0.0.1:{port}", jobs))
    calls = asyncio.create_task(together([partial(it.run, PASSES.get(key, "echo done")) for key, _, it in cases]))
    await asyncio.sleep(2)
    async with Daemon(tmp_path / "data", args=("--port", str(port))) as luota:
        for (key, mode, _), done in zip(cases, await calls, strict=True):
            assert done.returncode == 0, (key, mode, done.stderr)
            if mode == "run":
                assert [row[1] for row in runs(luota, jobs[key, mode])] == ["success"], (key, done.stderr)
            else:
                assert (await luota.show(jobs[key, mode]))["status"] == "healthy", (key, mode, done.stderr)


async def test_a_run_ended_by_a_signal_is_told_and_the_job_gets_the_signal(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job, it = await wire(tmp_path, luota, "curl", "run")
        ready = tmp_path / "ready"
        it.run("exit 0")
        (it.root / "usr/local/bin/your-job").write_text(
            f"#!/bin/sh\ntrap 'echo cleaned; exit 44' TERM\n: >{ready}\nwhile :; do sleep 0.05; done\n"
        )
        process = subprocess.Popen(["sh", it.paths[0]], stdout=subprocess.PIPE)
        while not ready.exists():
            assert process.poll() is None
            await asyncio.sleep(0.02)
        process.terminate()
        out, _ = await asyncio.to_thread(process.communicate, None, 60)
        assert (process.returncode, out) == (44, b"cleaned\n")
        _, state, _, _, exit_code, output = runs(luota, job)[-1]
        assert (state, exit_code, output) == ("failed", 44, "cleaned")


async def test_long_output_is_cut_and_the_job_keeps_its_streams_and_its_umask(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job, it = await wire(tmp_path, luota, "curl", "run")
        os.umask(mask := os.umask(0o77))
        done = await asyncio.to_thread(it.run, "umask; seq 100000; printf '%030000d' 0 | tr 0 '\"'; echo last")
        assert done.stdout.startswith(f"{mask:04o}\n1\n2\n".encode())
        assert len(done.stdout) > 600_000
        ((*_, output),) = runs(luota, job)
        assert output.endswith('"last')
        assert 29_000 < len(output) <= 30_000
