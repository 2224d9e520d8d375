"""Incidents: what went wrong, and what people did about it."""

from typing import Any

from luota.core.spec.incidents import parse_filter, parse_note, parse_reason
from luota.engine import incidents as commands
from luota.store import incidents as incident_rows
from luota.web.api.call import Call, Routes


async def incidents(call: Call) -> dict[str, Any]:
    """List incidents, of one monitor and in one state where asked."""
    wanted, state, most = parse_filter(call.request.query_params)
    monitor_id = None if wanted is None else await call.monitor_id(wanted)
    found = await incident_rows.incidents(call.engine.reader, call.workspace.id, monitor_id, state, most + 1)
    return call.vouched({"incidents": found[:most], "more": len(found) > most})


async def show(call: Call) -> dict[str, Any]:
    """Show an incident with its timeline and every delivery attempt."""
    return {"incident": await call.incident()}


async def acknowledge(call: Call) -> dict[str, Any]:
    """Say that somebody works on an incident; whoever does not use the Unix socket gives a reason."""
    incident = await call.incident()
    reason = parse_reason(call.doc, required=not call.local)
    await call.engine.submit(commands.acknowledge(incident["id"], reason, call.actor))
    return await show(call)


async def resolve(call: Call) -> dict[str, Any]:
    """End an incident by hand."""
    incident = await call.incident()
    await call.engine.submit(commands.resolve(incident["id"], parse_reason(call.doc), call.actor))
    return await show(call)


async def note(call: Call) -> dict[str, Any]:
    """Add a note to the timeline of an incident, whatever its state."""
    incident = await call.incident()
    await call.engine.submit(commands.note(incident["id"], parse_note(call.doc), call.actor))
    return await show(call)


ROUTES: Routes = [
    ("GET", "/api/incidents", "viewer", incidents),
    ("GET", "/api/incidents/{incident}", "viewer", show),
    ("POST", "/api/incidents/{incident}/acknowledge", "operator", acknowledge),
    ("POST", "/api/incidents/{incident}/resolve", "operator", resolve),
    ("POST", "/api/incidents/{incident}/note", "operator", note),
]
