"""What a monitor received: pings, and runs, one execution each."""

from typing import Any

from luota.core import packet
from luota.core.evidence import changes
from luota.core.model import Mode
from luota.core.spec.incidents import parse_monitor
from luota.core.spec.places import MOST_SIGNALS, Place, parse_page, place
from luota.core.spec.values import parse_uuid
from luota.store import history
from luota.store import overview as rows
from luota.web.api.call import Call, Routes
from luota.web.runs import incident_of

_MOST_INCIDENTS = 200
_LARGE = ("output", "startPayload", "closePayload")


async def runs(call: Call) -> dict[str, Any]:
    """List the runs of one monitor, the latest start first, without output and payloads."""
    monitor_id, before, most = await _asked(call)
    found = await history.runs(call.engine.reader, monitor_id, before, most + 1)
    listed = [{key: said for key, said in _shown(run).items() if key not in _LARGE} for run in found[:most]]
    last = found[most - 1] if len(found) > most else None
    return {"runs": listed, "next": None if last is None else place(last.start_received_at, last.id)}


async def heartbeats(call: Call) -> dict[str, Any]:
    """List the pings of one monitor, the newest first."""
    monitor_id, before, most = await _asked(call)
    found = await history.heartbeats(call.engine.reader, monitor_id, before, most + 1)
    last = found[most - 1] if len(found) > most else None
    return {
        "heartbeats": [packet.signal_document(ping) for ping in found[:most]],
        "next": None if last is None else place(last.received_at, last.id),
    }


async def _asked(call: Call) -> tuple[str, Place | None, int]:
    """Return of which monitor a list is asked for, after which row, and how many; the monitor may be archived."""
    query = call.request.query_params
    wanted = parse_monitor(query)
    before, most = parse_page(query, MOST_SIGNALS)
    return await call.monitor_id(wanted), before, most


async def show(call: Call) -> dict[str, Any]:
    """Show a run with all that its job sent, and what changed since the last healthy run before it."""
    wanted = call.named("run")
    reader = call.engine.reader
    run = await history.run_of(reader, call.workspace.id, parse_uuid(wanted) or wanted)
    if run is None:
        raise call.missing("run", wanted, perhaps=", or its retention has ended")
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


ROUTES: Routes = [
    ("GET", "/api/heartbeats", "viewer", heartbeats),
    ("GET", "/api/runs", "viewer", runs),
    ("GET", "/api/runs/{run}", "viewer", show),
]
