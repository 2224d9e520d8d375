"""The real daemon in a process of its own, for end-to-end tests.

async with Daemon(tmp_path / "data") as luota:             # `luota serve` on a free port; /healthz says 200
    job = await luota.monitor("backup", schedule={"every": 60}, graceSeconds=30)
    reply = await luota.ping(job)                          # an httpx.Response
    await luota.kill()                                     # SIGKILL; or terminate(), which returns the exit status
    ... change what lies in luota.data_dir ...
    await luota.start()                                    # on the same directory
    luota.rows("SELECT id FROM heartbeats")                # the file as it is on disk

Everything is awaited, so that a Receiver in the same test can answer meanwhile. Settings are those of the
product, except that webhooks may go to 127.0.0.1; give others by name: Daemon(dir, NO_LIMITS | {...}).
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.forks import Fork

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to make a context that trusts the usual authorities takes longer than a request."""
NO_LIMITS = {
    "limits.monitor_per_minute": 0,
    "limits.monitor_per_hour": 0,
    "limits.workspace_per_minute": 0,
    "limits.ip_per_minute": 0,
}
_READY_WITHIN_S = 60
_LEASH = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""Ends the daemon with the tests, even where those are killed and can clean nothing up."""
_LISTENING = re.compile(r"listening on \S+:(\d+)")


@dataclass(frozen=True)
class Job:
    """A monitor as the thing that sends its signals knows it."""

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"x-luota-key": self.token}


class Daemon:
    """`luota serve` on `data_dir`, running while its context is open, except between `kill` and `start`.

    `wrap` is a command that runs the daemon, such as strace, and must leave it the process that was started
    (`strace -D`). `pid` and `port` are those of the present process. Its log, of all starts, is the file
    `log_path` and the text `log`, and is printed when the test fails. One that dies by itself fails the test.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Mapping[str, object] | None = None,
        *,
        args: Sequence[str] = (),
        wrap: Sequence[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir.parent / f"{data_dir.name}.serve.log"
        self.port = 0
        self._args = args
        self._wrap = wrap
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith(("LUOTA_", "NOTIFY_", "WATCHDOG_"))}
        for name, value in {"alerts.allow_networks": "127.0.0.0/8", **(settings or {})}.items():
            self._environ["LUOTA_" + name.replace(".", "_").upper()] = str(value)
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._clients: list[httpx.AsyncClient] = []

    # -- the process -------------------------------------------------------------------------------

    async def __aenter__(self) -> "Daemon":
        try:
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        died = None if self._process is None else self._process.poll()
        await self._end()
        if kind is not None:
            print(f"--- {self.log_path}; exit status when the test failed: {died}\n{self.log[-20_000:]}")
        elif died is not None:
            raise AssertionError(f"the daemon ended by itself with status {died}:\n{self.log[-20_000:]}")

    async def start(self, *, healthy: bool = True) -> None:
        """Start the process and return once it listens and, if `healthy`, /healthz says 200."""
        assert self._process is None, "it runs already"
        begin = len(self.log)
        self._process = self._spawn()
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while (said := _LISTENING.search(self.log, begin)) is None:
            self._must_go_on(give_up_at, begin, "listen")
            await asyncio.sleep(0.02)
        self.port = int(said[1])
        self._clients = [
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{self.port}",
                timeout=30,
                limits=httpx.Limits(),
                trust_env=False,
                verify=NO_TLS,
            ),
            httpx.AsyncClient(
                base_url="http://luota",
                timeout=30,
                transport=httpx.AsyncHTTPTransport(uds=str(self.data_dir / "luota.sock"), verify=NO_TLS),
                trust_env=False,
            ),
        ]
        while healthy and (await self.health()).status_code != 200:
            self._must_go_on(give_up_at, begin, "become healthy")
            await asyncio.sleep(0.02)

    def _spawn(self) -> "subprocess.Popen[bytes] | Fork":
        serve = ["serve", "--data-dir", str(self.data_dir), "--port", "0", *self._args]
        if not self._wrap:
            return Fork(serve, self.log_path, self._environ)
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*_LEASH, *self._wrap, sys.executable, "-m", "luota", *serve],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                start_new_session=True,  # a group of its own, which can be ended whole
            )

    async def refused(self) -> tuple[int, str]:
        """Start the process where it is expected to refuse; return its exit status and what it said."""
        assert self._process is None, "it runs already"
        begin = len(self.log)
        self._process = self._spawn()
        try:
            return await asyncio.to_thread(self._process.wait, 10), self.log[begin:]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not refuse:\n{self.log[begin:]}") from None
        finally:
            await self._end()

    async def kill(self) -> None:
        """End it by SIGKILL."""
        await self._stop(signal.SIGKILL, 30)

    async def terminate(self, within: float = 30) -> int:
        """Ask it to end by SIGTERM; return its exit status. TimeoutError, and SIGKILL, after `within` seconds."""
        return await self._stop(signal.SIGTERM, within)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- what can be asked of it -------------------------------------------------------------------

    async def health(self) -> httpx.Response:
        """GET /healthz."""
        return await self._clients[0].get("/healthz")

    async def api(self, method: str, path: str, body: object = None, *, status: int = 200) -> dict[str, Any]:
        """Call the operator's API over the Unix socket; `path` as in "/api/monitors". Any other status fails."""
        reply = await self._clients[1].request(method, path, json=body)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json()

    async def monitor(self, name: str, mode: str = "heartbeat", **definition: object) -> Job:
        """Create a monitor; `definition` has the keys of the API: schedule={"every": 60}, graceSeconds=30, …"""
        made = await self.api("POST", "/api/monitors", {"name": name, "mode": mode, **definition})
        return Job(made["monitor"]["id"], made["token"])

    async def show(self, job: Job) -> dict[str, Any]:
        """Return a monitor as `luota monitor show` does."""
        return (await self.api("GET", f"/api/monitors/{job.id}"))["monitor"]

    async def incidents(self, job: Job) -> list[dict[str, Any]]:
        """Return the incidents of a monitor, the newest first."""
        return (await self.api("GET", f"/api/incidents?monitor={job.id}"))["incidents"]

    async def webhook(self, name: str, url: str) -> None:
        """Add a webhook channel, which every monitor without channels of its own uses."""
        await self.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": url})

    async def post(self, path: str, job: Job, body: object = None) -> httpx.Response:
        """Send one signal over TCP."""
        return await self._clients[0].post(path, json=body, headers=job.headers)

    async def ping(self, job: Job, body: object = None) -> httpx.Response:
        """Ping a heartbeat or freshness monitor."""
        return await self.post(f"/v1/monitors/{job.id}/ping", job, body)

    async def run(self, job: Job, external_run_id: str, **body: object) -> httpx.Response:
        """Start a run."""
        return await self.post("/v1/runs/start", job, {"monitorId": job.id, "externalRunId": external_run_id, **body})

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the file itself, in a read-only connection, whether the daemon runs or not."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data_dir}/luota.db?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def change(self, sql: str, *values: object) -> None:
        """Change the file while no daemon owns it."""
        assert self._process is None, "the file has one owner"
        with contextlib.closing(sqlite3.connect(self.data_dir / "luota.db")) as db, db:
            db.execute(sql, values)

    # ----------------------------------------------------------------------------------------------

    def _must_go_on(self, give_up_at: float, begin: int, what: str) -> None:
        assert self._process is not None
        status = self._process.poll()
        assert status is None, f"it ended with status {status} before it could {what}:\n{self.log[begin:]}"
        assert time.monotonic() < give_up_at, f"it did not {what} within {_READY_WITHIN_S} s:\n{self.log[begin:]}"

    async def _stop(self, number: signal.Signals, within: float) -> int:
        process = self._process
        assert process is not None, "it does not run"
        status = process.poll()
        assert status is None, f"it had ended by itself with status {status}:\n{self.log[-20_000:]}"
        process.send_signal(number)
        try:
            return await asyncio.to_thread(process.wait, within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"it did not end within {within} s of {number.name}") from None
        finally:
            await self._end()

    async def _end(self) -> None:
        """Leave nothing behind: not the process, not what wraps it, no connection."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        clients, self._clients = self._clients, []
        for client in clients:
            await client.aclose()
