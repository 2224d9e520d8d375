"""The demo as a visitor runs it: one command in an empty directory."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from luota.unix import unix_address
from tests.process import _LEASH, NO_TLS, Daemon

WITHIN_S = 60
STATUSES = {"draft", "healthy", "late", "failing", "unverified", "incident", "paused"}
KINDS = {"missed", "failed", "stuck", "stale"}


class Demo:
    """`luota demo` on a free port, in an empty directory and with temporary files in another one."""

    def __init__(self, tmp_path: Path, *args: str) -> None:
        self.cwd, self.temporary = tmp_path / "cwd", tmp_path / "tmp"
        for directory in (self.cwd, self.temporary):
            directory.mkdir(exist_ok=True)
        self._log = tmp_path / "demo.out"
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("LUOTA_", "NOTIFY_", "WATCHDOG_"))}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*_LEASH, sys.executable, "-m", "luota", "demo", "--port", "0", "--json", *args],
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.DEVNULL,
                env={**environ, "TMPDIR": str(self.temporary), "PYTHONPATH": str(Path(__file__).parents[2])},
            )

    @property
    def said(self) -> list[dict]:
        """Whole lines of what it has printed."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line[-1] == "\n"]

    async def greeting(self) -> dict:
        give_up_at = time.monotonic() + WITHIN_S
        while not self.said:
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < give_up_at, "it says nothing"
            await asyncio.sleep(0.05)
        return self.said[0]

    @contextlib.asynccontextmanager
    async def api(self, data_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
        with unix_address(data_dir / "luota.sock") as address:
            transport = httpx.AsyncHTTPTransport(uds=address, verify=NO_TLS)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://luota", timeout=30, trust_env=False
            ) as client:
                yield client

    async def interrupt(self) -> int:
        """Press Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, 20)


@contextlib.asynccontextmanager
async def running(tmp_path: Path, *args: str) -> AsyncIterator[Demo]:
    demo = Demo(tmp_path, *args)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()


async def test_within_a_minute_every_status_and_kind_is_shown_and_told_and_ctrl_c_leaves_nothing_behind(tmp_path):
    async with running(tmp_path) as demo:
        greeting = await demo.greeting()
        (data_dir,) = demo.temporary.iterdir()
        statuses, kinds, told = set(), set(), []
        give_up_at = time.monotonic() + WITHIN_S
        async with (
            demo.api(data_dir) as api,
            httpx.AsyncClient(timeout=30, trust_env=False, verify=NO_TLS) as web,
        ):
            while statuses < STATUSES or kinds < KINDS or {one["channel"] for one in told} != {"desk", "pager"}:
                assert time.monotonic() < give_up_at, (STATUSES - statuses, KINDS - kinds, told)
                monitors = (await api.get("/api/monitors")).json()["monitors"]
                incidents = (await api.get("/api/incidents")).json()["incidents"]
                statuses |= {monitor["status"] for monitor in monitors}
                kinds |= {incident["kind"] for incident in incidents if incident["drillOf"] is None}
                told = (await web.get(greeting["notices"])).json()["notices"]
                await asyncio.sleep(0.5)
            assert len(monitors) == 12
            assert all(m["promise"] and m["owner"] and m["runbook"] and m["tags"] for m in monitors)
            assert [line for line in demo.said if "notice" in line][: len(told)] == told
            assert not [line for line in demo.said if "refused" in line]

            form = {"email": greeting["email"], "password": greeting["password"]}
            origin = {"origin": greeting["url"]}
            assert (await web.post(f"{greeting['url']}/sign-in", data=form, headers=origin)).status_code == 303
            afar = {"name": "afar", "type": "webhook", "url": "http://192.0.2.1/"}
            refused = await api.post("/api/channels", json=afar)
            assert (refused.status_code, refused.json()["field"]) == (400, "url")
        assert await demo.interrupt() == 0
        assert list(demo.temporary.iterdir()) == []
        assert list(demo.cwd.iterdir()) == []


async def test_a_job_whose_token_was_rotated_says_so_and_goes_on_with_the_new_one(tmp_path):
    async with running(tmp_path) as demo:
        await demo.greeting()
        (data_dir,) = demo.temporary.iterdir()
        give_up_at = time.monotonic() + WITHIN_S
        async with demo.api(data_dir) as api:

            async def last_signal() -> str | None:
                reply = await api.get("/api/monitors/log-shipping")
                return reply.json()["monitor"]["lastSignalAt"] if reply.is_success else None

            async def until(what) -> None:
                while not await what():
                    assert time.monotonic() < give_up_at
                    await asyncio.sleep(0.1)

            async def refused() -> bool:
                return {"job": "Log shipping", "refused": "Invalid ingest key"} in demo.said

            await until(last_signal)
            assert (await api.post("/api/monitors/log-shipping/token/rotate")).is_success
            await until(refused)
            before = await last_signal()

            async def signalled() -> bool:
                return await last_signal() != before

            await until(signalled)
        assert await demo.interrupt() == 0


async def test_a_demo_that_is_kept_goes_on_with_the_same_monitors_and_a_new_password(tmp_path):
    kept = tmp_path / "kept"
    seen = []
    for _ in range(2):
        async with running(tmp_path, "--data-dir", str(kept)) as demo:
            greeting = await demo.greeting()
            async with demo.api(kept) as api:
                monitors: list[dict] = []
                while len(monitors) < 12:
                    assert demo.process.poll() is None
                    monitors = (await api.get("/api/monitors")).json()["monitors"]
                    await asyncio.sleep(0.05)
                channels = (await api.get("/api/channels")).json()["channels"]
                assert sorted(channel["name"] for channel in channels) == ["desk", "pager"]
            seen.append(({monitor["id"] for monitor in monitors}, greeting["password"]))
            assert await demo.interrupt() == 0
    (ids, password), (same_ids, other_password) = seen
    assert ids == same_ids
    assert password != other_password
    assert list(demo.temporary.iterdir()) == []


async def test_a_directory_with_an_instance_that_is_no_demos_is_refused(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        await luota.terminate()
        command = [sys.executable, "-m", "luota", "demo", "--port", "0", "--json", "--data-dir", str(luota.data_dir)]
        ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30, check=False)
        assert ended.returncode == 1
        said = json.loads(ended.stderr)
        assert (said["error"], said["field"]) == ("conflict", "data_dir")
        assert not (luota.data_dir / "luota.demo").exists()
        assert luota.rows("SELECT count(*) FROM monitors") == [(0,)]
        await luota.start()
