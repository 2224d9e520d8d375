"""One call of the operator's API, and how it finds what it names."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from luota.alerts.guard import AddressPolicy
from luota.alerts.sender import Sender
from luota.alerts.transport import Resolver
from luota.core.errors import Code, LuotaError
from luota.core.spec.values import format_instant, parse_uuid
from luota.drills import Drills
from luota.engine import Engine
from luota.engine.audit import Actor
from luota.engine.registry import Live, LiveWorkspace
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.web.passwords import Passwords

Role = Literal["viewer", "operator", "owner"]
"""The least role of a member who may call a route, in rising order."""

_ID_PREFIX = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,27}")


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is given: the parts of Luota, the request with its decoded body, and who asks.

    `workspace` is the one that the path or the query names, else the first one; `actor` may do there what the
    route's role allows. `local` tells that the request came over the Unix socket, whose owner may do all. `may` tells
    whether they have a higher role than the route needs.
    """

    engine: Engine
    sender: Sender
    policy: AddressPolicy
    resolver: Resolver
    base_url: str
    drills: Drills
    passwords: Passwords
    request: Request
    doc: dict[str, Any]
    workspace: LiveWorkspace
    actor: Actor
    local: bool
    may: Callable[[Role], Awaitable[bool]]

    def named(self, key: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[key])

    def monitor(self) -> Live:
        """Return the live monitor that the path names by id, slug or the unique beginning of an id."""
        wanted = self.named("monitor")
        registry = self.engine.registry
        live = registry.find(self.workspace.id, parse_uuid(wanted) or wanted)
        if live is None and _ID_PREFIX.fullmatch(wanted.lower()):
            slugs = self.workspace.slugs
            begun = {id_: slug for slug, id_ in slugs.items() if id_.startswith(wanted.lower())}
            live = registry.monitors.get(_one(wanted, begun))
        if live is None:
            raise _no_monitor(wanted)
        return live

    async def monitor_id(self, wanted: str) -> str:
        """Return the id of a monitor, which may be archived: its incidents are history."""
        live = self.engine.registry.find(self.workspace.id, parse_uuid(wanted) or wanted)
        if live is not None:
            return live.id
        known = await monitor_rows.ids_of(self.engine.reader, self.workspace.id, parse_uuid(wanted) or wanted)
        if not known and _ID_PREFIX.fullmatch(wanted.lower()):
            begun = await monitor_rows.ids_begun(self.engine.reader, self.workspace.id, wanted.lower())
            return _one(wanted, begun)
        if not known:
            raise _no_monitor(wanted)
        return known[0]

    async def channel(self) -> dict[str, Any]:
        """Return the channel that the path names by id or name."""
        return await self.channel_named(self.named("channel"))

    async def channel_named(self, wanted: str) -> dict[str, Any]:
        """Return a channel of the workspace by its id or name."""
        for channel in await incident_rows.channels(self.engine.reader, self.workspace.id):
            if wanted in (channel["id"], channel["name"]):
                return channel
        raise LuotaError(Code.NOT_FOUND, f"Channel {wanted} not found. See: luota channel list.", field="channel")

    async def incident(self) -> dict[str, Any]:
        """Return the incident that the path names by id."""
        wanted = self.named("incident")
        found = await incident_rows.incident(self.engine.reader, self.workspace.id, parse_uuid(wanted) or wanted)
        if found is None:
            said = f"Incident {wanted} not found. See: luota incident list."
            raise LuotaError(Code.NOT_FOUND, said, field="incident")
        return found


Handler = Callable[[Call], Awaitable[dict[str, Any]]]
Routes = list[tuple[str, str, Role, Handler]]
"""Method, path, role, handler."""


def find_workspace(engine: Engine, wanted: str | None) -> LiveWorkspace | None:
    """Return a workspace by id or slug, the first one where none is named."""
    workspaces = engine.registry.workspaces
    if wanted is None:
        return next(iter(workspaces.values()))
    found = workspaces.get(parse_uuid(wanted) or "")
    return found or next((w for w in workspaces.values() if w.slug == wanted), None)


def iso(at: int | None) -> str | None:
    """Return an instant as ISO 8601, None as it is."""
    return None if at is None else format_instant(at)


def _one(wanted: str, begun: dict[str, str]) -> str:
    """Return the only id of `begun` (slugs by id)."""
    if not begun:
        raise _no_monitor(wanted)
    if len(begun) > 1:
        named = ", ".join(f"{slug} ({id_})" for id_, slug in sorted(begun.items())[:5])
        more = " and others" if len(begun) > 5 else ""
        said = f"Several ids begin with {wanted}: {named}{more}. Give more of the id."
        raise LuotaError(Code.CONFLICT, said, field="monitor")
    return next(iter(begun))


def _no_monitor(wanted: str) -> LuotaError:
    return LuotaError(Code.NOT_FOUND, f"Monitor {wanted} not found. See: luota monitor list.", field="monitor")
