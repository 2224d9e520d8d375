"""Reading drills and their twins."""

from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct

from luota.core.drills import DrillKind, DrillState, Facts, Opened, Step, Telling, proves
from luota.core.spec.values import format_instant
from luota.store.deliveries import NEXT_AT
from luota.store.heartbeats import newest_first
from luota.store.reads import fetch

_DRILL = (
    "SELECT d.id, d.workspace_id, d.monitor_id, d.twin_id, d.kind, d.state, d.steps, d.started_at, d.finished_at, "
    "d.actor, (SELECT i.id FROM incidents i WHERE i.monitor_id = d.twin_id ORDER BY i.opened_at LIMIT 1) FROM drills d"
)
_steps = msgspec.json.Decoder(tuple[Step, ...])


class Drill(Struct, frozen=True):
    """One drill: its steps in order, settled all once it has finished. `actor` is who ran it.

    `incident_id` is the incident of the twin, None while there is none.
    """

    id: str
    workspace_id: str
    monitor_id: str
    twin_id: str
    kind: DrillKind
    state: DrillState
    steps: tuple[Step, ...]
    started_at: int
    finished_at: int | None
    actor: str
    incident_id: str | None

    def proves(self, now: int) -> bool:
        """Tell whether it has proven its path lately."""
        return proves(self.state, self.finished_at, now)


async def drill(db: aiosqlite.Connection, workspace_id: str, drill_id: str) -> Drill | None:
    """Return one drill, or None."""
    rows = await fetch(db, f"{_DRILL} WHERE d.id = ? AND d.workspace_id = ?", (drill_id, workspace_id))
    return _drill(rows[0]) if rows else None


async def drills(db: aiosqlite.Connection, monitor_id: str, most: int = 50) -> list[Drill]:
    """Return up to `most` drills of a monitor, the newest first."""
    sql = f"{_DRILL} WHERE d.monitor_id = ? ORDER BY d.started_at DESC, d.id LIMIT ?"
    return [_drill(row) for row in await fetch(db, sql, (monitor_id, most))]


async def running(db: aiosqlite.Connection) -> list[Drill]:
    """Return the drills without a result."""
    return [_drill(row) for row in await fetch(db, f"{_DRILL} WHERE d.state = 'running'")]


async def latest(db: aiosqlite.Connection, monitor_id: str) -> dict[DrillKind, Drill]:
    """Return the last finished drill of each kind, by kind; what was never run is absent."""
    sql = (
        f"{_DRILL} WHERE d.monitor_id = ?1 AND d.finished_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM drills n "
        "WHERE n.monitor_id = ?1 AND n.kind = d.kind AND n.finished_at IS NOT NULL AND n.started_at > d.started_at)"
    )
    found = (_drill(row) for row in await fetch(db, sql, (monitor_id,)))
    return {one.kind: one for one in found}


class Result(Struct, frozen=True):
    """What the last finished drill of one kind has come to; `finished_at` is in UTC milliseconds."""

    id: str
    monitor_id: str
    kind: DrillKind
    state: DrillState
    finished_at: int

    def proves(self, now: int) -> bool:
        """Tell whether it has proven its path lately."""
        return proves(self.state, self.finished_at, now)


async def results(db: aiosqlite.Connection, workspace_id: str) -> dict[str, dict[DrillKind, Result]]:
    """Return the last finished drill of each kind, by monitor and kind; what was never run is absent."""
    # With max() SQLite takes the other columns from the row that has the maximum (lang_select.html, "bare columns").
    sql = (
        "SELECT id, monitor_id, kind, state, finished_at, max(started_at) FROM drills "
        "WHERE workspace_id = ? AND finished_at IS NOT NULL GROUP BY monitor_id, kind"
    )
    found: dict[str, dict[DrillKind, Result]] = {}
    for id_, monitor_id, kind, state, finished_at, _ in await fetch(db, sql, (workspace_id,)):
        one = Result(id_, monitor_id, DrillKind(kind), DrillState(state), finished_at)
        found.setdefault(monitor_id, {})[one.kind] = one
    return found


async def facts(db: aiosqlite.Connection, twin_id: str, deadline_at: int | None) -> Facts:
    """Return what the file says of a twin; `deadline_at` is what its first signal was seen to set."""
    sql = (
        f"SELECT (SELECT min(received_at) FROM ({newest_first('h.received_at')})), "
        "(SELECT min(start_received_at) FROM runs WHERE monitor_id = ?1), "
        "(SELECT min(finish_received_at) FROM runs WHERE monitor_id = ?1 AND state = 'failed')"
    )
    ((pinged_at, started_at, failed_at),) = await fetch(db, sql, (twin_id,))
    sql = (
        "SELECT id, kind, opened_at, resolved_at, resolution FROM incidents WHERE monitor_id = ? "
        "ORDER BY opened_at LIMIT 1"
    )
    incidents = await fetch(db, sql, (twin_id,))
    sql = (
        f"SELECT d.channel_id, d.type, d.state, d.attempts, {NEXT_AT}, d.finished_at, d.last_error, a.status, "
        "d.provider_id, d.begun_at IS NOT NULL FROM deliveries d "
        "LEFT JOIN attempts a ON a.delivery_id = d.id AND a.number = d.attempts "
        "WHERE d.incident_id = ? ORDER BY d.seq"
    )
    tellings = await fetch(db, sql, (incidents[0][0],)) if incidents else []
    return Facts(
        started_at if pinged_at is None else pinged_at,
        deadline_at,
        failed_at,
        Opened(*incidents[0]) if incidents else None,
        tuple(Telling(*[*known, bool(under_way)]) for *known, under_way in tellings),
    )


def drill_json(drill: Drill, now: int) -> dict[str, Any]:
    """Return a drill as the API shows it; `fresh` tells whether it is proven, and lately enough to count."""
    return {
        "id": drill.id,
        "monitorId": drill.monitor_id,
        "twinId": drill.twin_id,
        "kind": drill.kind.value,
        "state": drill.state.value,
        "fresh": drill.proves(now),
        "startedAt": format_instant(drill.started_at),
        "finishedAt": None if drill.finished_at is None else format_instant(drill.finished_at),
        "actor": drill.actor,
        "incidentId": drill.incident_id,
        "steps": [
            {
                "key": step.key,
                "text": step.text,
                "state": step.state.value,
                "at": None if step.at is None else format_instant(step.at),
                "detail": step.detail,
            }
            for step in drill.steps
        ],
    }


def _drill(row: tuple[Any, ...]) -> Drill:
    id_, workspace_id, monitor_id, twin_id, kind, state, steps, *rest = row
    decoded = _steps.decode(steps)
    return Drill(id_, workspace_id, monitor_id, twin_id, DrillKind(kind), DrillState(state), decoded, *rest)
