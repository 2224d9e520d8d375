"""Drills: deliberate failures that prove the path from a signal to a delivery."""

from typing import Any

from luota.core.drills import DrillKind
from luota.core.errors import invalid
from luota.store import drills as rows
from luota.web.api.call import Call, Routes

MOST = 100
"""Drills that a list shows, the newest first."""


async def run(call: Call) -> dict[str, Any]:
    """Start the drill `kind` of a monitor; the reply shows it before its first signal."""
    wanted, live = call.doc.get("kind"), call.monitor()
    if not isinstance(wanted, str) or wanted not in tuple(DrillKind):
        raise invalid("kind", f"kind must be one of {', '.join(DrillKind)}.")
    drill_id = await call.drills.start(live.id, DrillKind(wanted), call.actor)
    return await _shown(call, drill_id)


async def drills(call: Call) -> dict[str, Any]:
    """List the drills of a monitor, which may be archived, the newest first."""
    monitor_id = await call.monitor_id(call.named("monitor"))
    found = await rows.drills(call.engine.reader, monitor_id, MOST)
    now = call.engine.clock.now()
    return {"drills": [rows.drill_json(one, now) for one in found]}


async def show(call: Call) -> dict[str, Any]:
    """Show a drill with its steps as they stand."""
    return await _shown(call, call.named("drill"))


async def _shown(call: Call, drill_id: str) -> dict[str, Any]:
    found = await rows.drill(call.engine.reader, call.workspace.id, drill_id)
    if found is None:
        raise call.missing("drill", drill_id, "drill list M")
    return {"drill": rows.drill_json(found, call.engine.clock.now())}


ROUTES: Routes = [
    ("POST", "/api/monitors/{monitor}/drills", "operator", run),
    ("GET", "/api/monitors/{monitor}/drills", "viewer", drills),
    ("GET", "/api/drills/{drill}", "viewer", show),
]
