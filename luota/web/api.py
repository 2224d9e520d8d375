"""The operator's API: what the CLI calls, and everything that a page can do. Reached over the Unix socket."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from argon2 import PasswordHasher
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luota.alerts.guard import AddressPolicy
from luota.alerts.sender import Sender
from luota.alerts.transport import Resolver, refusal_of_url
from luota.core import tokens
from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.channels import parse_channel
from luota.core.spec.monitors import Definition, definition_json
from luota.core.spec.values import format_instant, parse_text, parse_uuid
from luota.engine import Engine, channels, incidents, monitors, people
from luota.engine.audit import Actor
from luota.engine.registry import Live, LiveWorkspace
from luota.store import incidents as incident_rows
from luota.store.monitors import definition_of, definitions
from luota.store.reads import fetch
from luota.web.http import read_body
from luota.web.server import LOCAL

_STATES = ("open", "acknowledged", "resolved")
_ACTOR = Actor("operator", "unix socket")

Handler = Callable[[Request, dict[str, Any]], Awaitable[dict[str, Any]]]


class Api:
    """The routes under `/api`. Every one of them refuses a request that did not come over the Unix socket."""

    def __init__(self, engine: Engine, sender: Sender, policy: AddressPolicy, resolver: Resolver) -> None:
        self._engine = engine
        self._sender = sender
        self._policy = policy
        self._resolver = resolver

    def routes(self) -> list[Route]:
        """Return all routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/api/workspaces", self.workspaces),
            ("GET", "/api/workspaces/{workspace}/token", self.workspace_token),
            ("POST", "/api/workspaces/{workspace}/token/rotate", self.rotate_workspace_token),
            ("GET", "/api/users", self.users),
            ("POST", "/api/users", self.create_user),
            ("GET", "/api/monitors", self.monitors),
            ("POST", "/api/monitors", self.create_monitor),
            ("GET", "/api/monitors/{monitor}", self.monitor),
            ("PATCH", "/api/monitors/{monitor}", self.edit_monitor),
            ("POST", "/api/monitors/{monitor}/pause", self.pause_monitor),
            ("POST", "/api/monitors/{monitor}/resume", self.resume_monitor),
            ("POST", "/api/monitors/{monitor}/archive", self.archive_monitor),
            ("GET", "/api/monitors/{monitor}/token", self.monitor_token),
            ("POST", "/api/monitors/{monitor}/token/rotate", self.rotate_monitor_token),
            ("GET", "/api/channels", self.channels),
            ("POST", "/api/channels", self.add_channel),
            ("POST", "/api/channels/{channel}/test", self.prove_channel),
            ("POST", "/api/channels/{channel}/rotate-secret", self.rotate_channel_secret),
            ("PATCH", "/api/channels/{channel}", self.edit_channel),
            ("DELETE", "/api/channels/{channel}", self.remove_channel),
            ("GET", "/api/incidents", self.incidents),
            ("GET", "/api/incidents/{incident}", self.incident),
            ("POST", "/api/incidents/{incident}/acknowledge", self.acknowledge),
            ("POST", "/api/incidents/{incident}/resolve", self.resolve),
        ]
        paths: dict[str, dict[str, Handler]] = {}
        for method, path, handler in table:
            paths.setdefault(path, {})[method] = handler
        return [Route(path, _endpoint(by_method), methods=list(by_method)) for path, by_method in paths.items()]

    # -- workspaces and users --------------------------------------------------------------------

    async def workspaces(self, _: Request, __: dict[str, Any]) -> dict[str, Any]:
        """List the workspaces."""
        found = self._engine.registry.workspaces.values()
        return {"workspaces": [{"id": w.id, "name": w.name, "slug": w.slug} for w in found]}

    async def workspace_token(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Show the token of a workspace."""
        return self._workspace_token(self._workspace(request.path_params["workspace"]))

    async def rotate_workspace_token(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Replace the token of a workspace."""
        workspace = self._workspace(request.path_params["workspace"])
        return self._workspace_token(await self._engine.submit(people.rotate_workspace(workspace, _ACTOR)))

    async def users(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """List the members of a workspace."""
        workspace = self._chosen(request)
        sql = (
            "SELECT u.id, u.email, u.name, m.role, u.created_at FROM users u JOIN members m "
            "ON m.user_id = u.id WHERE m.workspace_id = ? ORDER BY u.email"
        )
        rows = await fetch(self._engine.reader, sql, (workspace.id,))
        keys = ("id", "email", "name", "role")
        return {"users": [{**dict(zip(keys, row, strict=False)), "createdAt": format_instant(row[4])} for row in rows]}

    async def create_user(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Create a user."""
        email, name, role, password = people.parse_user(doc)
        hashed = await run_in_threadpool(PasswordHasher().hash, password)
        work = people.create_user(self._chosen(request), email, name, role, hashed, _ACTOR)
        user_id = await self._engine.submit(work)
        return {"user": {"id": user_id, "email": email, "name": name, "role": role}}

    # -- monitors ----------------------------------------------------------------------------------

    async def monitors(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """List the monitors of a workspace that are not archived."""
        workspace = self._chosen(request)
        live = [m for m in self._engine.registry.monitors.values() if m.workspace_id == workspace.id]
        defined = await definitions(self._engine.reader, [m.id for m in live])
        found = [self._described(m, defined[m.id]) for m in live if m.id in defined]
        return {"monitors": sorted(found, key=lambda monitor: str(monitor["name"]).casefold())}

    async def create_monitor(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Create a monitor; the reply carries its token."""
        live: Live = await self._engine.submit(monitors.create(self._chosen(request), doc, _ACTOR))
        return {**await self._shown(live), **self._token(live)}

    async def monitor(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Show a monitor."""
        return await self._shown(self._live(request))

    async def edit_monitor(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Change a monitor's definition by the given keys."""
        return await self._shown(await self._engine.submit(monitors.edit(self._live(request).id, doc, _ACTOR)))

    async def pause_monitor(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Pause a monitor."""
        return await self._shown(await self._engine.submit(monitors.pause(self._live(request).id, doc, _ACTOR)))

    async def resume_monitor(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """End a pause."""
        return await self._shown(await self._engine.submit(monitors.resume(self._live(request).id, _ACTOR)))

    async def archive_monitor(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Put a monitor away."""
        return await self._shown(await self._engine.submit(monitors.archive(self._live(request).id, _ACTOR)))

    async def monitor_token(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Show the token of a monitor."""
        return self._token(self._live(request))

    async def rotate_monitor_token(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Replace the token of a monitor."""
        return self._token(await self._engine.submit(monitors.rotate(self._live(request).id, _ACTOR)))

    # -- channels ----------------------------------------------------------------------------------

    async def channels(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """List the channels of a workspace."""
        return {"channels": await incident_rows.channels(self._engine.reader, self._chosen(request).id)}

    async def add_channel(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Add a channel, unless its address is one to which messages may not go.

        The secret that a webhook is signed with is in this reply and in no other.
        """
        spec = parse_channel(doc)
        missing = self._sender.missing(spec.type)
        if missing is not None:
            raise invalid("type", missing)
        if "url" in spec.settings:
            refusal = await refusal_of_url(spec.settings["url"], self._policy, self._resolver)
            if refusal is not None:
                raise invalid("url", refusal)
        shown_once: dict[str, Any] = {}
        if spec.type == "webhook" and "secrets" not in spec.settings:
            shown_once = {"secret": channels.new_secret()}
        workspace = self._chosen(request)
        channel_id = await self._engine.submit(channels.add(workspace, {**doc, **shown_once}, _ACTOR))
        return {"channel": await self._channel(workspace, channel_id), **shown_once}

    async def edit_channel(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Change which notices a channel wants."""
        workspace = self._chosen(request)
        channel = await self._channel(workspace, request.path_params["channel"])
        await self._engine.submit(channels.edit(workspace.id, channel["id"], channel["name"], doc, _ACTOR))
        return {"channel": await self._channel(workspace, channel["id"])}

    async def rotate_channel_secret(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Give a webhook a new secret, shown in this reply alone."""
        workspace = self._chosen(request)
        channel = await self._channel(workspace, request.path_params["channel"])
        work = channels.rotate_secret(workspace.id, channel["id"], channel["name"], _ACTOR)
        secret, ends = await self._engine.submit(work)
        return {"channel": channel, "secret": secret, "oldSecretUntil": _iso(ends)}

    async def prove_channel(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Send a real test notice and wait for its outcome."""
        workspace = self._chosen(request)
        channel = await self._channel(workspace, request.path_params["channel"])
        work = channels.test(workspace.id, channel["id"], channel["name"], _ACTOR)
        delivery_id = await self._engine.submit(work)
        await self._sender.prove(delivery_id, channel["id"])
        return {"delivery": await incident_rows.delivery(self._engine.reader, delivery_id)}

    async def remove_channel(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Remove a channel; what it had not sent yet is cancelled."""
        workspace = self._chosen(request)
        channel = await self._channel(workspace, request.path_params["channel"])
        await self._engine.submit(channels.remove(workspace.id, channel["id"], channel["name"], _ACTOR))
        return {"channel": channel}

    # -- incidents ---------------------------------------------------------------------------------

    async def incidents(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """List incidents, of one monitor and in one state where asked."""
        workspace = self._chosen(request)
        wanted, state = request.query_params.get("monitor"), request.query_params.get("state")
        if state is not None and state not in _STATES:
            raise invalid("state", f"state must be one of {', '.join(_STATES)}.")
        monitor_id = None if wanted is None else await self._monitor_id(workspace, wanted)
        limit = request.query_params.get("limit", "1000")
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit) < 1_000_000):
            raise invalid("limit", "limit must be a whole number from 1 to 999999.")
        most = int(limit)
        found = await incident_rows.incidents(self._engine.reader, workspace.id, monitor_id, state, most + 1)
        return {"incidents": found[:most], "more": len(found) > most}

    async def incident(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        """Show an incident with its timeline and every delivery attempt."""
        return await self._incident(request)

    async def acknowledge(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """Say that somebody works on an incident."""
        incident = (await self._incident(request))["incident"]
        await self._engine.submit(incidents.acknowledge(incident["id"], _reason(doc), _ACTOR))
        return await self._incident(request)

    async def resolve(self, request: Request, doc: dict[str, Any]) -> dict[str, Any]:
        """End an incident by hand."""
        incident = (await self._incident(request))["incident"]
        await self._engine.submit(incidents.resolve(incident["id"], _reason(doc), _ACTOR))
        return await self._incident(request)

    # -- shapes ------------------------------------------------------------------------------------

    def _workspace(self, wanted: str | None) -> LiveWorkspace:
        workspaces = self._engine.registry.workspaces
        if wanted is None:
            return next(iter(workspaces.values()))
        found = workspaces.get(parse_uuid(wanted) or "")
        found = found or next((w for w in workspaces.values() if w.slug == wanted), None)
        if found is None:
            raise LuotaError(Code.NOT_FOUND, f"Workspace {wanted} not found. See: luota workspace list.")
        return found

    def _chosen(self, request: Request) -> LiveWorkspace:
        return self._workspace(request.query_params.get("workspace"))

    def _live(self, request: Request) -> Live:
        wanted = request.path_params["monitor"]
        live = self._engine.registry.find(self._chosen(request).id, parse_uuid(wanted) or wanted)
        if live is None:
            raise LuotaError(Code.NOT_FOUND, f"Monitor {wanted} not found. See: luota monitor list.")
        return live

    async def _monitor_id(self, workspace: LiveWorkspace, wanted: str) -> str:
        """Return the id of a monitor, which may be archived: its incidents are history."""
        live = self._engine.registry.find(workspace.id, parse_uuid(wanted) or wanted)
        if live is not None:
            return live.id
        sql = "SELECT id FROM monitors WHERE workspace_id = ? AND (id = ? OR slug = ?) ORDER BY created_at DESC"
        rows = await fetch(self._engine.reader, sql, (workspace.id, parse_uuid(wanted), wanted))
        if not rows:
            raise LuotaError(Code.NOT_FOUND, f"Monitor {wanted} not found. See: luota monitor list.")
        return str(rows[0][0])

    async def _shown(self, live: Live) -> dict[str, Any]:
        defined = await definition_of(self._engine.reader, live.id)
        return {"monitor": self._described(live, defined)}

    def _described(self, live: Live, definition: Definition) -> dict[str, Any]:
        state = live.state
        return {
            "id": live.id,
            "workspaceId": live.workspace_id,
            **definition_json(definition),
            "status": state.status.value,
            "since": format_instant(state.since),
            "reason": state.reason,
            "lastSignalAt": _iso(state.signal_at),
            "nextExpectedAt": _iso(state.expected_at),
            "deadlineAt": _iso(state.deadline_at),
            "pausedUntil": None if state.pause is None else _iso(state.pause.until),
            "failures": state.failures,
            "openRuns": len(state.runs),
            "incidentId": live.incident_id,
        }

    def _token(self, live: Live) -> dict[str, Any]:
        secret = self._engine.registry.secret
        return {"token": tokens.monitor_token(secret, live.workspace_id, live.id, live.salt)}

    def _workspace_token(self, workspace: LiveWorkspace) -> dict[str, Any]:
        return {"token": tokens.workspace_token(self._engine.registry.secret, workspace.id, workspace.salt)}

    async def _channel(self, workspace: LiveWorkspace, wanted: str) -> dict[str, Any]:
        for channel in await incident_rows.channels(self._engine.reader, workspace.id):
            if wanted in (channel["id"], channel["name"]):
                return channel
        raise LuotaError(Code.NOT_FOUND, f"Channel {wanted} not found. See: luota channel list.")

    async def _incident(self, request: Request) -> dict[str, Any]:
        wanted = request.path_params["incident"]
        found = await incident_rows.incident(self._engine.reader, self._chosen(request).id, wanted)
        if found is None:
            raise LuotaError(Code.NOT_FOUND, f"Incident {wanted} not found. See: luota incident list.")
        return {"incident": found}


def _endpoint(by_method: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if LOCAL not in request.scope:
            raise LuotaError(Code.FORBIDDEN, "The API is reached over the Unix socket in the data directory.")
        raw = await read_body(request.scope, request.receive)
        try:
            doc = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise invalid("body", "The body is not valid JSON.") from None
        if not isinstance(doc, dict):
            raise invalid("body", "The body must be a JSON object.")
        method = "GET" if request.method == "HEAD" else request.method
        reply = await by_method[method](request, doc)
        return Response(msgspec.json.encode(reply), media_type="application/json")

    return endpoint


def _iso(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


def _reason(doc: dict[str, Any]) -> str:
    value = doc.get("reason")
    return "" if value is None else parse_text(value, "reason", maximum=500)
