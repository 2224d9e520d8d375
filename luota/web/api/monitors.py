"""Monitors and their tokens."""

from collections.abc import Sequence
from typing import Any

from luota.core import tokens
from luota.core.errors import invalid
from luota.core.model import Kind
from luota.core.spec.monitors import Definition, definition_json
from luota.core.spec.values import format_instant
from luota.engine import monitors as commands
from luota.engine.many import tag_all
from luota.engine.registry import Live
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.web.api.call import Call, Routes, iso
from luota.web.channels import prove_monitor, untold_by_monitor
from luota.web.snippets import NO_TOKEN, snippets


async def monitors(call: Call) -> dict[str, Any]:
    """List the monitors of a workspace that are not archived, by name; with `archived` those that are."""
    if call.request.query_params.get("archived") in ("1", "true"):
        return {"monitors": await monitor_rows.archived(call.engine.reader, call.workspace.id)}
    registry = call.engine.registry
    live = [registry.monitors[id_] for id_ in call.workspace.slugs.values() if id_ in registry.monitors]
    live = [one for one in live if one.drill_of is None]
    defined = await monitor_rows.definitions(call.engine.reader, [m.id for m in live])
    untold = untold_by_monitor(registry, live)
    found = [_described(m, defined[m.id], untold[m.id]) for m in live if m.id in defined]
    return call.vouched({"monitors": sorted(found, key=lambda monitor: str(monitor["name"]).casefold())})


async def create(call: Call) -> dict[str, Any]:
    """Create a monitor; the reply carries its token and the address for jobs to call."""
    live: Live = await call.engine.submit(commands.create(call.workspace, call.doc, call.actor))
    return {**await _shown(call, live), **_token(call, live), "baseUrl": call.base_url}


async def show(call: Call) -> dict[str, Any]:
    """Show a monitor."""
    return call.vouched(await _shown(call, call.monitor()))


async def edit(call: Call) -> dict[str, Any]:
    """Change a monitor's definition by the given keys."""
    return await _shown(call, await call.engine.submit(commands.edit(call.monitor().id, call.doc, call.actor)))


async def tag(call: Call) -> dict[str, Any]:
    """Add `tags` to a monitor, in place of those with the same keys; the others stay."""
    live = call.monitor()
    done = await call.engine.submit(tag_all([live.id], call.doc.get("tags"), call.actor))
    for why in done.refused.values():
        raise invalid("tags", why)
    return await _shown(call, live)


async def pause(call: Call) -> dict[str, Any]:
    """Pause a monitor."""
    return await _shown(call, await call.engine.submit(commands.pause(call.monitor().id, call.doc, call.actor)))


async def resume(call: Call) -> dict[str, Any]:
    """End a pause."""
    return await _shown(call, await call.engine.submit(commands.resume(call.monitor().id, call.actor)))


async def archive(call: Call) -> dict[str, Any]:
    """Put a monitor away."""
    return await _shown(call, await call.engine.submit(commands.archive(call.monitor().id, call.actor)))


async def token(call: Call) -> dict[str, Any]:
    """Show the token of a monitor."""
    return _token(call, call.monitor())


async def rotate_token(call: Call) -> dict[str, Any]:
    """Replace the token of a monitor."""
    return _token(call, await call.engine.submit(commands.rotate(call.monitor().id, call.actor)))


async def prove(call: Call) -> dict[str, Any]:
    """Send a real test notice to each channel of a monitor and wait for their outcomes."""
    sent = await prove_monitor(call.engine, call.sender, call.workspace, call.monitor(), call.actor)
    return {"deliveries": [await incident_rows.delivery(call.engine.reader, one) for one in sent]}


async def snippet(call: Call) -> dict[str, Any]:
    """Show how to wire the job of a monitor; with `kind` that one way. Who may not see the token gets none in it."""
    live, secret = call.monitor(), call.engine.registry.secret
    token = NO_TOKEN
    if await call.may("operator"):
        token = tokens.monitor_token(secret, live.workspace_id, live.id, live.salt)
    name = (await monitor_rows.definition_of(call.engine.reader, live.id)).name
    offered = snippets(live.rules.mode, call.base_url.rstrip("/"), live.id, token, name, live.rules.schedule)
    kind = call.request.query_params.get("kind")
    if kind is not None and all(one.key != kind for one in offered):
        raise invalid("kind", f"kind must be one of {', '.join(one.key for one in offered)}.")
    return {
        "snippets": [
            {
                "kind": one.key,
                "title": one.title,
                "language": one.language,
                "files": [{"name": name, "text": text} for name, text in one.files],
                "notes": one.notes,
            }
            for one in offered
            if kind in (None, one.key)
        ]
    }


async def _shown(call: Call, live: Live) -> dict[str, Any]:
    definition = await monitor_rows.definition_of(call.engine.reader, live.id)
    return {"monitor": _described(live, definition, untold_by_monitor(call.engine.registry, [live])[live.id])}


def _described(live: Live, definition: Definition, untold: Sequence[Kind]) -> dict[str, Any]:
    state = live.state
    return {
        "id": live.id,
        "workspaceId": live.workspace_id,
        **definition_json(definition),
        "status": state.status.value,
        "since": format_instant(state.since),
        "reason": state.reason,
        "lastSignalAt": iso(state.last_signal_at),
        "nextExpectedAt": iso(state.expected_at),
        "deadlineAt": iso(state.deadline_at),
        "pausedUntil": None if state.pause is None else iso(state.pause.until),
        "failures": state.failures,
        "openRuns": len(state.runs),
        "incidentId": live.incident_id,
        "untold": [kind.value for kind in untold],
    }


def _token(call: Call, live: Live) -> dict[str, Any]:
    return {"token": tokens.monitor_token(call.engine.registry.secret, live.workspace_id, live.id, live.salt)}


ROUTES: Routes = [
    ("GET", "/api/monitors", "viewer", monitors),
    ("POST", "/api/monitors", "operator", create),
    ("GET", "/api/monitors/{monitor}", "viewer", show),
    ("PATCH", "/api/monitors/{monitor}", "operator", edit),
    ("POST", "/api/monitors/{monitor}/tags", "operator", tag),
    ("POST", "/api/monitors/{monitor}/pause", "operator", pause),
    ("POST", "/api/monitors/{monitor}/resume", "operator", resume),
    ("POST", "/api/monitors/{monitor}/archive", "operator", archive),
    ("POST", "/api/monitors/{monitor}/test", "operator", prove),
    ("GET", "/api/monitors/{monitor}/snippets", "viewer", snippet),
    ("GET", "/api/monitors/{monitor}/token", "operator", token),
    ("POST", "/api/monitors/{monitor}/token/rotate", "operator", rotate_token),
]
