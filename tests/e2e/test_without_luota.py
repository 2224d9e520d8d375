"""Every snippet, and `luota exec`, where Luota is dead, deaf, or comes back meanwhile. Nearly all of it is waiting."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.process import Daemon
from tests.wired import PROGRAMS, SHELLS, environ_without_luota, wired

PASSES = {"python": "print('done')", "node": 'console.log("done");', "vercel": 'console.log("done");'}


def everywhere(root, url, jobs=None, keys=(*SHELLS, *PROGRAMS)):
    """Every snippet of every mode, wired to `url`; `jobs` gives the monitor of each."""
    for key in keys:
        for mode in ("heartbeat", "run", "freshness"):
            job = None if jobs is None else jobs[key, mode]
            values = {} if job is None else {"id": job.id, "token": job.token}
            it = wired(root, url, key, mode, **values)
            it.output.write_text("rows")
            yield key, mode, it


async def together(calls):
    with ThreadPoolExecutor(50) as pool:
        return await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, call) for call in calls))


def by_exec(url, stamp):
    """Run a job by `luota exec`; return its status and what it said."""
    named = {"LUOTA_MONITOR_ID": "45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c", "LUOTA_INGEST_TOKEN": "wfm1.s3cret"}
    job = ["sh", "-c", f": >{stamp}; echo on; exit 4"]
    return subprocess.run(
        [sys.executable, "-m", "luota", "exec", "--", *job],
        env=environ_without_luota() | named | {"LUOTA_API_BASE_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=150,
        check=False,
    )


def timed(call, stamp):
    """Return what a call returns, and after how many seconds its job began and it ended."""
    began = time.time()
    done = call()
    return done, stamp.stat().st_mtime - began, time.time() - began


async def test_with_luota_down_every_job_runs_soon_and_ends_with_its_own_status(tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:  # takes connections and says nothing
        dead, hangs = "http://127.0.0.1:9", f"http://127.0.0.1:{deaf.getsockname()[1]}"
        cases = [*everywhere(tmp_path / "refuses", dead), *everywhere(tmp_path / "hangs", hangs, keys=("curl",))]
        calls = []
        for key, mode, it in cases:
            stamp = it.root / "stamp"
            writes = {
                "python": f"open({str(stamp)!r}, 'w')",
                "node": f'(await import("node:fs")).writeFileSync({json.dumps(str(stamp))}, "");',
            }
            writes["vercel"] = writes["node"]
            shell = f": >{stamp}; exit 7" if mode == "run" else f": >{stamp}"
            it.prepare(writes.get(key, shell))
            calls.append(partial(timed, it.run, stamp))
        stamp = tmp_path / "stamp"
        calls.append(partial(timed, partial(by_exec, dead, stamp), stamp))
        *outcomes, (by_luota, soon, ended) = await together(calls)
    assert (by_luota.returncode, by_luota.stdout) == (4, b"on\n")
    assert b"could not be sent" in by_luota.stderr
    assert b"s3cret" not in by_luota.stderr
    assert soon < 25
    assert ended < 100
    for (key, mode, it), (done, soon, ended) in zip(cases, outcomes, strict=True):
        assert done.returncode == (7 if mode == "run" and key in SHELLS else 0), (key, mode)
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
    for key, _, it in cases:
        it.prepare(PASSES.get(key, "echo done"))
    calls = asyncio.create_task(together([it.run for _, _, it in cases]))
    await asyncio.sleep(2)
    async with Daemon(tmp_path / "data", args=("--port", str(port))) as luota:
        for (key, mode, _), done in zip(cases, await calls, strict=True):
            assert done.returncode == 0, (key, mode, done.stderr)
            if mode == "run":
                runs = luota.rows("SELECT state FROM runs WHERE monitor_id = ?", jobs[key, mode].id)
                assert runs == [("success",)], (key, done.stderr)
            else:
                assert (await luota.show(jobs[key, mode]))["status"] == "healthy", (key, mode, done.stderr)
