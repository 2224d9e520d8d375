"""One call of the operator's API, and how it finds what it names."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
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

    `workspace` is the one that the path or the query names, else the first one that is theirs; `actor` may do there
    what the route's role allows, and `user_id` is their id: None for the owner of the Unix socket, who may do all.
    `may` tells whether they have a higher role than the route needs. `sick` is what keeps Luota from watching at
    present.
    """

    engine: Engine
    sender: Sender
    policy: AddressPolicy
    resolver: Resolver
    base_url: str
    drills: Drills
    passwords: Passwords
    sick: str | None
    request: Request
    doc: dict[str, Any]
    workspace: LiveWorkspace
    actor: Actor
    user_id: str | None
    may: Callable[[Role], Awaitable[bool]]

    @property
    def local(self) -> bool:
        """Tell whether the request came over the Unix socket."""
        return self.user_id is None

    def named(self, key: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[key])

    def vouched(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return what tells how monitors are, with a `warning` while that is only what Luota knew last."""
        if self.sick is None:
            return document
        return {**document, "warning": f"Luota cannot vouch for this at present: {self.sick}."}

    def monitor(self) -> Live:
        """Return the live monitor that the path names by id, slug or the unique beginning of an id."""
        wanted = self.named("monitor")
        registry = self.engine.registry
        live = registry.find(self.workspace.id, parse_uuid(wanted) or wanted)
        if live is None and _ID_PREFIX.fullmatch(wanted.lower()):
            slugs = self.workspace.slugs
            begun = {id_: slug for slug, id_ in slugs.items() if id_.startswith(wanted.lower())}
            live = registry.monitors.get(self._one(wanted, begun))
        if live is None:
            raise self.missing("monitor", wanted)
        return live

    async def monitor_id(self, wanted: str) -> str:
        """Return the id of a monitor, which may be archived: its incidents are history."""
        live = self.engine.registry.find(self.workspace.id, parse_uuid(wanted) or wanted)
        if live is not None:
            return live.id
        known = await monitor_rows.ids_of(self.engine.reader, self.workspace.id, parse_uuid(wanted) or wanted)
        if not known and _ID_PREFIX.fullmatch(wanted.lower()):
            begun = await monitor_rows.ids_begun(self.engine.reader, self.workspace.id, wanted.lower())
            return self._one(wanted, begun)
        if not known:
            raise self.missing("monitor", wanted)
        return known[0]

    def missing(self, what: str, wanted: str, see: str | None = None, perhaps: str = "") -> LuotaError:
        """Return the NOT_FOUND for what the workspace has not: `what` as commands call it, `see` the one that lists it.

        `perhaps` goes on with why it may be gone.
        """
        place = more = ""
        if self.local and len(self.engine.registry.workspaces) > 1:
            place, more = f" in the workspace {self.workspace.slug}", " Name the workspace if it is in another."
        said = f"{what.capitalize()} {wanted} not found{place}{perhaps}. See: luota {see or what + ' list'}.{more}"
        return LuotaError(Code.NOT_FOUND, said, field=what)

    def _one(self, wanted: str, begun: dict[str, str]) -> str:
        """Return the only id of `begun` (slugs by id)."""
        if not begun:
            raise self.missing("monitor", wanted)
        if len(begun) > 1:
            named = ", ".join(f"{slug} ({id_})" for id_, slug in sorted(begun.items())[:5])
            more = " and others" if len(begun) > 5 else ""
            said = f"Several ids begin with {wanted}: {named}{more}. Give more of the id."
            raise LuotaError(Code.CONFLICT, said, field="monitor")
        return next(iter(begun))

    async def channel(self) -> dict[str, Any]:
        """Return the channel that the path names by id or name."""
        return await self.channel_named(self.named("channel"))

    async def channel_named(self, wanted: str) -> dict[str, Any]:
        """Return a channel of the workspace by its id or name."""
        for channel in await incident_rows.channels(self.engine.reader, self.workspace.id):
            if wanted in (channel.id, channel.name):
                return incident_rows.channel_json(channel)
        raise self.missing("channel", wanted)

    async def incident(self) -> dict[str, Any]:
        """Return the incident that the path names by id."""
        wanted = self.named("incident")
        found = await incident_rows.incident(self.engine.reader, self.workspace.id, parse_uuid(wanted) or wanted)
        if found is None:
            raise self.missing("incident", wanted)
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
