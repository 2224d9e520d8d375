"""Runs: one execution each."""

from typing import Any

from luota.core import packet
from luota.core.errors import Code, LuotaError
from luota.core.evidence import changes
from luota.core.model import Mode
from luota.core.spec.values import parse_uuid
from luota.store import history
from luota.store import overview as rows
from luota.web.api.call import Call, Routes
from luota.web.runs import incident_of

_MOST_INCIDENTS = 200


async def show(call: Call) -> dict[str, Any]:
    """Show a run with all that its job sent, and what changed since the last healthy run before it."""
    wanted = call.named("run")
    reader = call.engine.reader
    run = await history.run_of(reader, call.workspace.id, parse_uuid(wanted) or wanted)
    if run is None:
        said = f"Run {wanted} not found in this workspace, or its retention has ended. See: luota incident list."
        raise LuotaError(Code.NOT_FOUND, said, field="run")
    healthy = await history.healthy_before(reader, run)
    before, after = await history.neighbours(reader, run)
    incidents = await history.incidents(reader, run.monitor_id, _MOST_INCIDENTS)
    pauses = await rows.pauses(reader, run.monitor_id, Mode.RUN)
    incident = incident_of(run, incidents, call.engine.registry.windows, pauses)
    return {
        "run": {
            **_shown(run),
            "incidentId": None if incident is None else incident.id,
            "previousRunId": before,
            "nextRunId": after,
            "lastHealthyRunId": None if healthy is None else healthy.id,
            "changes": [
                {"label": change.label, "before": change.before, "after": change.after}
                for change in (() if healthy is None else changes(run.facts, healthy.facts))
            ],
        }
    }


def _shown(run: history.Run) -> dict[str, Any]:
    received, payloads = (run.start_received_at, run.finish_received_at), (run.start_payload, run.close_payload)
    late, skewed = bool(run.late), bool(run.skewed)
    whole = packet.Run(run.facts, run.effective_at, *received, run.limit_at, late, skewed, *payloads)
    return {**packet.run_document(whole), "monitorId": run.monitor_id}


ROUTES: Routes = [("GET", "/api/runs/{run}", "viewer", show)]
