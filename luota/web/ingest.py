"""The ingest API: docs/api.md says what each route takes and answers."""

import re
from collections.abc import Callable
from typing import Any

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from luota.core import tokens
from luota.core.errors import Code, LuotaError, invalid
from luota.core.limits import Limits
from luota.core.model import Mode, RunState
from luota.core.spec import ingest as spec
from luota.core.spec.values import format_instant, parse_uuid
from luota.engine import Engine
from luota.engine.ingest import CloseRun, PingResult, RecordPing, RunResult, StartRun
from luota.engine.registry import Live
from luota.store import reads
from luota.web.http import MAX_BODY, Endpoint, Network, answer, client_address, header, read_body, too_large
from luota.web.server import LOCAL

_BAD_KEY = "Invalid ingest key"
_BAD_KEY_OR_RUN = "Invalid ingest key or run not found"
_BEFORE, _AFTER = "/v1/monitors/", "/ping"
_PING = re.compile(f"{_BEFORE}[0-9A-Za-z_-]+{_AFTER}".encode())  # any other text is decoded and routed as usual
_COUNTED = (Code.UNAUTHENTICATED, Code.NOT_FOUND)


class Ingest:
    """The five routes.

    Their checks stand in the contract's order: 413, address limit, body syntax and `monitorId`, 404, 401,
    limits, other 400, 409.
    """

    def __init__(self, engine: Engine, limits: Limits, trusted_proxies: tuple[Network, ...]) -> None:
        self._engine = engine
        self._limits = limits
        self._trusted = trusted_proxies
        self.ping_endpoint = self._bounded(self.ping)

    def routes(self) -> list[Route]:
        """Return the routes, the busiest first."""
        return [
            Route("/v1/monitors/{monitor_id}/ping", _Endpoint(self.ping_endpoint), methods=["POST"]),
            Route("/v1/runs/start", _Endpoint(self._bounded(self.start)), methods=["POST"]),
            Route("/v1/runs/{run_id}/success", _Endpoint(self._bounded(self.success)), methods=["POST"]),
            Route("/v1/runs/{run_id}/fail", _Endpoint(self._bounded(self.fail)), methods=["POST"]),
            Route(
                "/v1/workspaces/{workspace_id}/monitors/{id_or_slug}/ping",
                _Endpoint(self._bounded(self.workspace_ping)),
                methods=["POST"],
            ),
        ]

    def _bounded(self, handle: Any) -> Endpoint:
        """Read the body, hold the address limit around the handler, and answer 202."""

        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            raw = await read_body(scope, receive)
            limit = self._limits.ip_minute
            address = "" if LOCAL in scope else client_address(scope, self._trusted)
            if address:
                limit.check(address, self._engine.clock.now())
            try:
                reply = await handle(scope, spec.decode_body(raw))
            except LuotaError as error:
                self._refused(address, error)
                raise
            await answer(send, 202, reply)

        return endpoint

    @staticmethod
    def takes(method: bytes, url: bytes) -> bool:
        """Tell whether it is a ping by the monitor's own token: for it, a task would cost more than all its checks."""
        return method == b"POST" and _PING.fullmatch(url) is not None

    def take(self, scope: Scope, body: bytes, done: Callable[[Any], None]) -> None:
        """Record such a ping; see `luota.web.http.Taker`."""
        address = client_address(scope, self._trusted)

        def ended(result: PingResult | Exception) -> None:
            reply: Any = result
            try:
                if isinstance(result, Exception):
                    self._refused(address, result)
                else:
                    reply = _pinged(result)
            except Exception as error:  # noqa: BLE001 - a defect of ours; unanswered, the client would wait for ever
                reply = error
            done(reply)

        try:
            if len(body) > MAX_BODY:
                raise too_large()
            if address:
                self._limits.ip_minute.check(address, self._engine.clock.now())
            monitor_id = scope["path"][len(_BEFORE) : -len(_AFTER)]
            self._engine.writer.queue(self._recorded(monitor_id, scope, spec.decode_body(body)), ended)
        except Exception as error:  # noqa: BLE001 - whoever called it answers for us
            ended(error)

    async def ping(self, scope: Scope, body: spec.Body) -> dict[str, Any]:
        """Record a heartbeat or fresh output, by the monitor's own token."""
        return _pinged(await self._engine.submit(self._recorded(scope["path_params"]["monitor_id"], scope, body)))

    async def workspace_ping(self, scope: Scope, body: spec.Body) -> dict[str, Any]:
        """Record a heartbeat or fresh output, by the workspace's token, which is accepted here only."""
        registry = self._engine.registry
        workspace = registry.workspaces.get(scope["path_params"]["workspace_id"].lower())
        if workspace is None:
            raise _no_monitor()
        wanted = scope["path_params"]["id_or_slug"]
        live = registry.find(workspace.id, parse_uuid(wanted) or wanted)
        if live is None:
            raise _no_monitor()
        expected = tokens.workspace_token(registry.secret, workspace.id, workspace.salt)
        if not tokens.matches(header(scope, b"x-luota-key") or b"", expected):
            raise LuotaError(Code.UNAUTHENTICATED, _BAD_KEY)
        limits = self._limits
        limits.admit([(limits.workspace_minute, workspace.id)], self._engine.clock.now())
        return _pinged(await self._engine.submit(self._ping(live, body)))

    async def start(self, scope: Scope, body: spec.Body) -> dict[str, Any]:
        """Open a run, or return the one that this start opened before."""
        live = self._monitor(spec.monitor_id(body))
        self._admit(scope, live)
        start = spec.parse_start(body)
        if live.rules.mode is not Mode.RUN:
            said = f"This is a {live.rules.mode.value} monitor. Send POST /v1/monitors/{live.id}/ping instead."
            raise invalid("monitorId", said)
        command = StartRun(live.id, start, self._engine.clock.now())
        result: RunResult = await self._engine.submit(command)
        run = result.run
        return {
            "monitor": {"id": live.id},
            "run": {
                "id": run.id,
                "externalRunId": run.external_run_id,
                "startedAt": format_instant(run.started_at),
            },
        }

    async def success(self, scope: Scope, body: spec.Body) -> dict[str, Any]:
        """Close a run as successful."""
        run = (await self._close(scope, body, RunState.SUCCESS)).run
        assert run.finished_at is not None
        return {
            "run": {
                "id": run.id,
                "status": run.state,
                "finishedAt": format_instant(run.finished_at),
                "durationSeconds": max(0, run.finished_at - run.started_at) // 1000,
            }
        }

    async def fail(self, scope: Scope, body: spec.Body) -> dict[str, Any]:
        """Close a run as failed."""
        result = await self._close(scope, body, RunState.FAILED)
        run = result.run
        assert run.finished_at is not None
        return {
            "run": {"id": run.id, "status": run.state, "finishedAt": format_instant(run.finished_at)},
            "monitor": {"status": result.status.value},
        }

    async def _close(self, scope: Scope, body: spec.Body, state: RunState) -> RunResult:
        run_id = parse_uuid(scope["path_params"]["run_id"])
        if run_id is None:
            raise LuotaError(Code.NOT_FOUND, "Run not found")
        row = await reads.run_by_id(self._engine.reader, run_id)
        live = None if row is None else self._engine.registry.monitors.get(row.monitor_id)
        if row is None or live is None:
            raise LuotaError(Code.UNAUTHENTICATED, _BAD_KEY_OR_RUN)
        self._admit(scope, live, _BAD_KEY_OR_RUN)
        close = spec.parse_success(body) if state is RunState.SUCCESS else spec.parse_fail(body)
        command = CloseRun(row.id, state, close, self._engine.clock.now())
        result: RunResult = await self._engine.submit(command)
        return result

    def _recorded(self, monitor_id: str, scope: Scope, body: spec.Body) -> RecordPing:
        live = self._monitor(monitor_id)
        self._admit(scope, live)
        return self._ping(live, body)

    def _ping(self, live: Live, body: spec.Body) -> RecordPing:
        ping = spec.parse_ping(body)
        if live.rules.mode is Mode.RUN:
            said = "This is a run monitor. Send POST /v1/runs/start, then POST /v1/runs/{runId}/success or /fail."
            raise invalid("monitorId", said)
        return RecordPing(live.id, ping, self._engine.clock.now())

    def _refused(self, address: str, error: BaseException) -> None:
        """Count what is refused for a wrong id or key against the address that it came from."""
        if address and isinstance(error, LuotaError) and error.code in _COUNTED:
            self._limits.ip_minute.count(address, self._engine.clock.now())

    def _monitor(self, monitor_id: str) -> Live:
        """Return a monitor by the id that a client gave; a malformed one is an unknown one."""
        monitors = self._engine.registry.monitors
        live = monitors.get(monitor_id) or monitors.get(parse_uuid(monitor_id) or "")
        if live is None:
            raise _no_monitor()
        return live

    def _admit(self, scope: Scope, live: Live, refusal: str = _BAD_KEY) -> None:
        """Check a monitor's token, then its limits: knowing an id must not drain its bucket."""
        expected = tokens.monitor_token(self._engine.registry.secret, live.workspace_id, live.id, live.salt)
        if not tokens.matches(header(scope, b"x-luota-key") or b"", expected):
            raise LuotaError(Code.UNAUTHENTICATED, refusal)
        limits = self._limits
        limits.admit(
            [
                (limits.monitor_minute, live.id),
                (limits.monitor_hour, live.id),
                (limits.workspace_minute, live.workspace_id),
            ],
            self._engine.clock.now(),
        )


def _pinged(result: PingResult) -> dict[str, Any]:
    return {
        "ok": True,
        "monitor": {"id": result.monitor_id, "status": result.status.value},
        "heartbeat": {"id": result.heartbeat_id, "occurredAt": format_instant(result.occurred_at)},
    }


def _no_monitor() -> LuotaError:
    return LuotaError(Code.NOT_FOUND, "Monitor not found")


class _Endpoint:
    """An ASGI app that Starlette does not take for a function of a Request."""

    def __init__(self, call: Endpoint) -> None:
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._call(scope, receive, send)
