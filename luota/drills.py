"""Runs drills: one task that sends a twin's signals to this very daemon over TCP, as its jobs do, and looks on.

The daemon calls its own listener, and not the Unix socket or the engine, since that is the path of a job: the
socket that it would reach, the parser, the token, the limits, the writer, the alarm, the sender.
"""

import asyncio
import contextlib
import logging
import sqlite3
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx
from msgspec import Struct

from luota.core import tokens
from luota.core.drills import DrillKind, Step, advance, waiting
from luota.core.errors import Code, LuotaError
from luota.core.model import Kind, Mode
from luota.engine import Engine, monitors
from luota.engine.audit import Actor
from luota.engine.changes import Listener
from luota.engine.drills import Begun, actor_of, begin, end, put_away, report
from luota.store import drills as store

log = logging.getLogger(__name__)

LIMIT_S = 120.0
TELL_WITHIN_S = 75.0
"""From its beginning, how long a drill waits for everybody to be told of the incident, before it ends that."""
_STORAGE_PAUSE_S = 2.0
_LOOK_EVERY_S = 30.0
_LARGEST_REQUEST = 1 << 20


class _Asked(Struct, frozen=True):
    monitor_id: str
    kind: DrillKind
    actor: Actor
    drill_id: "asyncio.Future[str]"


class _RefusedError(Exception):
    """The ingest API did not take a signal; its text says why."""


class Drills:
    """Starts drills and sees them through, while `run` runs.

    `own` gets the address of a dead route, for as long as a drill keeps one open: `transport.open_client`.
    """

    def __init__(self, engine: Engine, own: set[tuple[str, int]]) -> None:
        self._engine = engine
        self._own = own
        self._asked: asyncio.Queue[_Asked] = asyncio.Queue()
        self._running = False

    async def start(self, monitor_id: str, kind: DrillKind, actor: Actor) -> str:
        """Start a drill of a monitor and return its id; a caller who goes away does not stop it.

        Refused as `luota.engine.drills.begin` says, and with CONFLICT where no daemon runs.
        """
        if not self._running:
            raise LuotaError(Code.CONFLICT, "A drill needs the running daemon. Start it: luota serve")
        asked = _Asked(monitor_id, kind, actor, asyncio.get_running_loop().create_future())
        self._asked.put_nowait(asked)
        return await asked.drill_id

    async def run(self, url: str) -> None:
        """Run what is asked for against the daemon at `url`, until it is cancelled.

        First what an earlier process left in the middle is ended. A drill that is cancelled here is ended so by
        the next one.
        """
        self._running = True
        await self._end_interrupted()
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the listener speaks none; certificates are slow to load
        async with (
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20, verify=no_tls) as http,
            asyncio.TaskGroup() as group,
        ):
            while True:
                asked = await self._asked.get()
                group.create_task(self._drill(http, asked), name=f"drill of {asked.monitor_id}")

    async def _drill(self, http: httpx.AsyncClient, asked: _Asked) -> None:
        async with contextlib.AsyncExitStack() as stack:
            try:
                url = None
                if asked.kind is DrillKind.DEAD_ROUTE:
                    url = await stack.enter_async_context(_dead_route(self._own))
                work = begin(asked.monitor_id, asked.kind, url, asked.actor)
                begun: Begun = await self._engine.submit(work)
            except Exception as error:  # noqa: BLE001 - whoever asked gets it
                if not asked.drill_id.done():
                    asked.drill_id.set_exception(error)
                return
            if not asked.drill_id.done():
                asked.drill_id.set_result(begun.id)
            course = _Course(self._engine, http, begun)
            reason = f"the drill's limit of {LIMIT_S:.0f} s has passed"
            try:
                async with asyncio.timeout(LIMIT_S):
                    await course.play()
            except TimeoutError:
                pass
            except (_RefusedError, LuotaError, sqlite3.Error) as error:
                reason = str(error)
            except Exception:
                log.exception("drill %s", begun.id)
                reason = "a defect of Luota, of which its log tells more"
            await self._end(begun.id, begun.monitor_id, begun.twin.id, course.steps, reason)

    async def _end(self, drill_id: str, monitor_id: str, twin_id: str, steps: tuple[Step, ...], reason: str) -> None:
        """Put the twin away and record the result, however long the storage takes."""
        while True:
            try:
                await self._engine.submit(put_away(twin_id, drill_id))
                state = await self._engine.submit(end(drill_id, monitor_id, twin_id, steps, reason))
            except LuotaError as error:
                log.warning("drill %s cannot be ended yet: %s", drill_id, error)
                await asyncio.sleep(_STORAGE_PAUSE_S)
            else:
                log.info("drill %s: %s", drill_id, state)
                return

    async def _end_interrupted(self) -> None:
        while True:
            try:
                left = await store.running(self._engine.reader)
                break
            except sqlite3.Error as error:
                log.warning("drills cannot be read: %s", error)
                await asyncio.sleep(_STORAGE_PAUSE_S)
        for one in left:
            await self._end(one.id, one.monitor_id, one.twin_id, one.steps, "Luota was stopped in the middle of it")


class _Course:
    """One drill on its way, with its steps as they stand."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient, begun: Begun) -> None:
        self.steps = begun.steps
        self._engine = engine
        self._http = http
        self._begun = begun
        self._deadline_at: int | None = None
        began = engine.clock.now()
        self._ends = {"told": began + int(TELL_WITHIN_S * 1000), "recovery": began + int(LIMIT_S * 1000)}
        secret, twin = engine.registry.secret, begun.twin
        self._headers = {"x-luota-key": tokens.monitor_token(secret, twin.workspace_id, twin.id, twin.salt)}

    async def play(self) -> None:
        """Send a signal, fail, wait until everybody is told, recover, wait again."""
        twin, failure = self._begun.twin, self._begun.failure
        with self._engine.changes.listen(twin.workspace_id) as heard:
            run_id = await self._signal(closed=failure is not Kind.FAILED)
            state = self._engine.registry.monitors[twin.id].state
            self._deadline_at = state.runs[0].limit_at if state.runs else state.deadline_at
            await self._settle(heard, "signal", "deadline")
            if failure is Kind.FAILED:
                summary = {"summary": "a deliberate failure, by a drill", "exitCode": 1}
                await self._send(f"/v1/runs/{run_id}/fail", summary)
            await self._settle(heard, "incident")
            # What the twin misses while the messages travel would be noise, and open an incident after the recovery.
            await self._engine.submit(monitors.pause(twin.id, {}, actor_of(self._begun.id)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0, self._ends["told"] - self._engine.clock.now()) / 1000):
                    await self._settle(heard, "told", "dead_route")
            await self._signal(closed=True)
            await self._settle(heard, "recovered", "recovery")

    async def _signal(self, *, closed: bool) -> str | None:
        """Send what is healthy for the twin's mode; for a run return its id, `closed` if asked for."""
        twin = self._begun.twin
        if twin.rules.mode is not Mode.RUN:
            await self._send(f"/v1/monitors/{twin.id}/ping", {})
            return None
        ordinal = "recovery" if self._deadline_at is not None else "first"
        started = await self._send("/v1/runs/start", {"monitorId": twin.id, "externalRunId": f"drill-{ordinal}"})
        run_id = str(started["run"]["id"])
        if closed:
            await self._send(f"/v1/runs/{run_id}/success", {"summary": "healthy, by a drill"})
        return run_id

    async def _send(self, path: str, body: dict[str, Any]) -> Any:
        try:
            reply = await self._http.post(path, json=body, headers=self._headers)
        except httpx.HTTPError as error:
            said = f"the ingest API was not reached at {self._http.base_url}: {type(error).__name__}"
            raise _RefusedError(said) from None
        if reply.status_code != httpx.codes.ACCEPTED:
            said = f"the ingest API answered {reply.status_code}: {reply.text[:200]}"
            raise _RefusedError(said)
        return reply.json()

    async def _settle(self, heard: Listener, *phases: str) -> None:
        """Look at the facts after each change of the twin or its channels, until no step of `phases` waits."""
        twin = self._begun.twin
        while True:
            await self._look()
            if not waiting(self.steps, *phases):
                return
            # Those that are removed meanwhile, too: what is under way there may still arrive.
            listeners = (one.id for one in self._begun.listeners)
            concerned = {twin.id, "*", *listeners, *self._engine.registry.channels_of(twin)}
            while True:
                changed = await heard.next(_LOOK_EVERY_S)
                if not changed or changed[twin.workspace_id] & concerned:
                    break

    async def _look(self) -> None:
        begun = self._begun
        facts = await store.facts(self._engine.reader, begun.twin.id, self._deadline_at)
        steps = advance(self.steps, facts, begun.twin.rules, begun.failure, self._ends)
        if steps != self.steps:
            self.steps = steps
            await self._engine.submit(report(begun.id, begun.monitor_id, steps))


def own_url(host: str, port: int) -> str:
    """Return where this process reaches its own listener, which is bound to `host`: any address is one of loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def _dead_route(own: set[tuple[str, int]]) -> AsyncIterator[str]:
    """Listen on a free port of loopback and answer 503 to everything; yields the URL, whose address is in `own`."""
    try:
        server = await asyncio.start_server(_unavailable, "127.0.0.1", 0, limit=_LARGEST_REQUEST)
    except OSError as error:
        said = f"A dead route cannot be opened on 127.0.0.1: {error.strerror}."
        raise LuotaError(Code.CONFLICT, said) from None
    host, port = server.sockets[0].getsockname()
    own.add((host, port))
    try:
        yield f"http://{host}:{port}/"
    finally:
        own.discard((host, port))
        server.close()


async def _unavailable(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with 503, once it is read: a connection closed over unread bytes is reset."""
    try:
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            fields = (line.partition(b":") for line in head.lower().split(b"\r\n"))
            length = next((int(value) for name, _, value in fields if name == b"content-length"), 0)
            await reader.readexactly(min(length, _LARGEST_REQUEST))
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()
    except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # not the sender: nobody waits for the answer
    finally:
        writer.close()
