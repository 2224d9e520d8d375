"""A real Luota in the test's own event loop: a real directory, engine and app behind real sockets.

Only the clock is fake. Limits are off unless a test brings its own.
"""

import asyncio
import contextlib
import json
import re
import sqlite3
import ssl
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from argon2 import PasswordHasher

from luota.alarm import Alarm
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.transport import open_client
from luota.alerts.types import routes
from luota.core.limits import Limits
from luota.drills import Drills
from luota.engine import Engine
from luota.tasks import spawn
from luota.web import app as web
from luota.web.api import Api
from luota.web.auth import Auth
from luota.web.dashboard import Dashboard
from luota.web.dashboard.board import Board
from luota.web.dashboard.html import Templates
from luota.web.dashboard.visit import Site
from luota.web.ingest import Ingest
from luota.web.passwords import Passwords
from luota.web.server import WebServer
from tests.clock import FakeClock
from tests.prepared import prepare

NOW = 1_777_426_391_398
"""2026-04-29T01:33:11.398Z: an instant with milliseconds."""
UNLIMITED = {"monitor_per_minute": 0, "monitor_per_hour": 0, "workspace_per_minute": 0, "ip_per_minute": 0}
NOBODY = "00000000-0000-4000-8000-000000000000"
"""A well-formed id that belongs to nothing."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, which spares each test the time to load all certificates."""
TEMPLATES = Templates()
"""Those of all tests, which spares each the time to compile them."""
LOOPBACK = (ip_network("127.0.0.0/8"),)
REQUEST_ID = re.compile(r"req_[0-7][0-9A-HJKMNP-TV-Z]{25}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Served:
    """What a test holds of it. Every answer that it returns has been seen to carry one sound X-Request-Id."""

    def __init__(self, engine: Engine, clock: FakeClock, server: WebServer, data_dir: Path, board: Board) -> None:
        self.engine, self.clock, self.server = engine, clock, server
        self.data_dir = data_dir
        self.board = board
        self.base = f"http://127.0.0.1:{server.port}"
        self.tcp = httpx.AsyncClient(base_url=self.base, transport=httpx.AsyncHTTPTransport(verify=NO_TLS), timeout=20)
        transport = httpx.AsyncHTTPTransport(verify=NO_TLS, uds=str(data_dir / "luota.sock"))
        self.local = httpx.AsyncClient(base_url="http://luota", transport=transport, timeout=20)
        self.clients = [self.tcp, self.local]

    async def call(self, method, path, *, content=None, token=None, headers=None, local=False):
        sent = {} if token is None else {"x-luota-key": token}
        client = self.local if local else self.tcp
        answer = await client.request(method, path, content=content, headers={**sent, **(headers or {})})
        ids = answer.headers.get_list("x-request-id")
        assert len(ids) == 1, ids
        assert REQUEST_ID.fullmatch(ids[0]), ids
        return answer

    async def post(self, path, body=None, token=None, **how):
        """POST `body`: bytes as they are, anything else as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return await self.call("POST", path, content=content, token=token, **how)

    async def api(self, method, path, body=None, status=200):
        """Call the operator's API over the Unix socket; return the decoded answer."""
        content = None if body is None else json.dumps(body).encode()
        answer = await self.call(method, path, content=content, local=True)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def monitor(self, mode="heartbeat", **fields):
        """Create a monitor and return a handle on it."""
        least = {
            "heartbeat": {"schedule": {"every": 3600}, "graceSeconds": 60},
            "run": {},
            "freshness": {"expectedFreshnessSeconds": 3600, "graceSeconds": 60},
        }
        doc = {"name": f"a {mode} job", "mode": mode, **least[mode], **fields}
        made = await self.api("POST", "/api/monitors", doc)
        return Monitor(self, made["monitor"], made["token"])

    async def sign_in(self, role="owner", email=None):
        """Return a client that is signed in as a new member with a role, and its CSRF token. It is closed at the end."""
        email = email or f"{role}@example.org"
        await self.api("POST", "/api/users", {"email": email, "role": role, "password": "correct horse battery"})
        client = httpx.AsyncClient(base_url=self.base, transport=httpx.AsyncHTTPTransport(verify=NO_TLS), timeout=20)
        self.clients.append(client)
        client.headers["origin"] = self.base
        answer = await client.post("/sign-in", data={"email": email, "password": "correct horse battery"})
        assert answer.status_code == 303, answer.text
        page = await client.get("/account")
        return client, re.search(r'name="csrf" value="([^"]+)"', page.text)[1]

    async def hang_up(self):
        """Close the connections of all clients."""
        for client in self.clients:
            await client.aclose()

    async def judge(self):
        """Judge all that has fallen due, as the alarm would."""
        while await self.engine.judge(self.clock.now()):
            pass

    def rows(self, sql, *values):
        """Read the file itself, on a connection of its own: what it shows is committed."""
        db = sqlite3.connect(f"file:{quote(str(self.data_dir / 'luota.db'))}?mode=ro", uri=True)
        with contextlib.closing(db):
            return db.execute(sql, values).fetchall()

    def row(self, sql, *values):
        (row,) = self.rows(sql, *values)
        return row

    @contextlib.asynccontextmanager
    async def full_disk(self):
        """Let the database grow no further meanwhile, so that SQLite itself fails to write."""
        db = self.engine.writer._db
        await db.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size for it
        try:
            yield
        finally:
            await db.execute("PRAGMA max_page_count = 1073741823")


class Monitor:
    """A monitor, and the calls that a job would send for it; each returns the answer as it is."""

    def __init__(self, served: Served, shown: dict, token: str) -> None:
        self.served, self.id, self.slug, self.token = served, shown["id"], shown["slug"], token

    async def ping(self, body=None, **how):
        return await self.served.post(f"/v1/monitors/{self.id}/ping", body, **{"token": self.token, **how})

    async def start(self, external="job-42", body=None, **how):
        doc = {"monitorId": self.id, "externalRunId": external, **(body or {})}
        return await self.served.post("/v1/runs/start", doc, **{"token": self.token, **how})

    async def started(self, external="job-42", body=None):
        """Start a run that is accepted; return its id."""
        answer = await self.start(external, body)
        assert answer.status_code == 202, answer.text
        return answer.json()["run"]["id"]

    async def success(self, run_id, body=None, **how):
        return await self.served.post(f"/v1/runs/{run_id}/success", body, **{"token": self.token, **how})

    async def fail(self, run_id, body=None, **how):
        doc = {"summary": "it broke"} if body is None else body
        return await self.served.post(f"/v1/runs/{run_id}/fail", doc, **{"token": self.token, **how})

    async def shown(self):
        return (await self.served.api("GET", f"/api/monitors/{self.id}"))["monitor"]

    async def archive(self):
        await self.served.api("POST", f"/api/monitors/{self.id}/archive")


@contextlib.asynccontextmanager
async def serving(
    data_dir,
    *,
    limits=None,
    trusted_proxies=(),
    allow=(),
    send=False,
    alarm=False,
    clock=None,
    authorise=None,
    relay=None,
    services=None,
    public_url=None,
    reached_at=None,
    host="127.0.0.1",
):
    """Open `data_dir` and serve it. `send` and `alarm` start the tasks that the daemon would run.

    `host` is what the pages take for the address that it listens on.
    """
    deaths = []

    def died(name, error):
        deaths.append((name, error))

    clock = clock or FakeClock(NOW)
    async with contextlib.AsyncExitStack() as reverse:
        await prepare(data_dir)
        engine = await Engine.open(data_dir, clock, "a test")
        reverse.push_async_callback(engine.close)
        policy, resolver = AddressPolicy(allow, ()), Resolver()
        client = await reverse.enter_async_context(open_client(policy, resolver, ssl_context=NO_TLS))
        sender, watcher = Sender(engine, routes(client, clock, relay, services)), Alarm(engine)
        ingest = Ingest(engine, limits or Limits(**UNLIMITED), trusted_proxies)
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        reverse.callback(passwords.close)
        auth, drills = Auth(engine, passwords, public_url=public_url, trusted=trusted_proxies), Drills(engine, set())

        def base_url():
            return reached_at or f"http://127.0.0.1:{server.port}"

        def sickness():
            return engine.sickness() or watcher.sickness() or sender.sickness()

        shown = sickness if alarm else engine.sickness
        site = Site(engine, sender, policy, resolver, auth, host, base_url, drills, TEMPLATES, shown)
        app = web.build(
            engine,
            ingest,
            Api(engine, sender, policy, resolver, base_url, drills, passwords, shown, authorise or auth.authorise_api),
            sickness,
            Dashboard(site),
            access_log=True,
        )
        server = WebServer(app, host="127.0.0.1", port=0, socket_path=data_dir / "luota.sock", secure=auth.secure)
        await server.start()
        reverse.push_async_callback(server.stop, 5)
        reverse.callback(engine.changes.end)
        await engine.watch(died)
        for wanted, task, name in ((send, sender, "sender"), (alarm, watcher, "alarm")):
            if wanted:
                reverse.push_async_callback(_cancel, spawn(task.run(), name, died))
        served = Served(engine, clock, server, data_dir, site.board)
        served.alarm = watcher
        reverse.push_async_callback(served.hang_up)
        yield served
    assert not deaths, deaths


async def _cancel(task):
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def serve(tmp_path):
    """A function that opens a Luota with the given settings; all are closed at the end."""
    async with contextlib.AsyncExitStack() as opened:

        async def start(name="data", **settings):
            return await opened.enter_async_context(serving(tmp_path / name, **settings))

        yield start


@pytest.fixture
async def served(serve):
    return await serve()
