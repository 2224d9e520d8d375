"""Reading the evidence of one incident (docs/packets.md)."""

import sqlite3
from typing import Any

import aiosqlite
import msgspec

from luota.core.evidence import RunFacts
from luota.core.model import Window
from luota.core.packet import (
    Attempt,
    Delivery,
    Drill,
    Edit,
    Event,
    IncidentFacts,
    MonitorFacts,
    Packet,
    Run,
    Signal,
)
from luota.store.db import in_thread
from luota.store.deliveries import ATTEMPTS, DELIVERIES
from luota.store.heartbeats import back_from
from luota.store.monitors import definition_of
from luota.store.reads import fetch

_FACTS = (
    "i.id, i.kind, i.state, i.opened_at, i.expected_at, i.summary, i.evidence_count, i.evidence_at, "
    "i.acknowledged_at, i.resolved_at, i.resolution, i.monitor_name, i.promise, i.owner, i.runbook"
)
_INCIDENT = (
    "SELECT i.monitor_id, i.run_id, i.workspace_id, m.mode, m.created_at, m.archived_at, m.drill_of, "
    "(SELECT o.name FROM monitors o WHERE o.id = m.drill_of), (SELECT d.kind FROM drills d WHERE d.twin_id = m.id), "
    f"{_FACTS} FROM incidents i JOIN monitors m ON m.id = i.monitor_id WHERE i.id = ? AND i.workspace_id = ?"
)
_RUN = (
    "SELECT effective_at, start_received_at, finish_received_at, limit_at, late, skewed, start_payload, "
    "close_payload, tags, id, external_run_id, state, started_at, finished_at, summary, exit_code, output, host, "
    "deploy_sha, environment FROM runs"
)
_PING = "h.id, h.received_at, h.occurred_at, h.effective_at, h.late, h.skewed, h.host, h.deploy_sha, h.payload"
_SIGNAL = f"{back_from(_PING)} LIMIT 1"
_EVENTS = (
    "SELECT at, recorded_at, type, kind, text, actor FROM incident_events WHERE incident_id = ? "
    "ORDER BY recorded_at, at, id"
)
# The digests that told of it belong to no incident.
_OF_INCIDENT = (
    "(SELECT id FROM deliveries WHERE incident_id = ?1 UNION SELECT told_by FROM deliveries WHERE incident_id = ?1)"
)
_DELIVERIES = f"{DELIVERIES} WHERE d.id IN {_OF_INCIDENT} ORDER BY d.seq"
_ATTEMPTS = f"{ATTEMPTS} WHERE delivery_id IN {_OF_INCIDENT} ORDER BY delivery_id, number"
_MOST_WINDOWS = 100
_WINDOWS = (
    "SELECT started_at, ended_at, reason FROM blind_windows WHERE ended_at >= ?1 AND (?2 IS NULL OR started_at <= ?2) "
    "ORDER BY started_at DESC"
)
_EDITS = (
    "SELECT at, actor, detail FROM audit_entries INDEXED BY audit_entries_of_edits WHERE workspace_id = ? AND at > ? "
    "AND action = 'monitor.edit' AND target = ? ORDER BY at, rowid"
)


async def packet(
    db: aiosqlite.Connection, workspace_id: str, incident_id: str, now: int, version: str
) -> Packet | None:
    """Return the packet of one incident of a workspace, exported at `now` by Luota `version`, or None.

    What retention has deleted is absent. No column that holds the secrets of channels is read.
    """
    found = await in_thread(db, lambda sync: _at_once(sync, workspace_id, incident_id))
    if found is None:
        return None
    monitor_id, archived_at, edits, parts = found
    definition = await definition_of(db, monitor_id)
    monitor = MonitorFacts(monitor_id, definition, archived_at, edits)
    return Packet(monitor=monitor, exported_at=now, version=version, **parts)


async def incident(
    db: aiosqlite.Connection, workspace_id: str, incident_id: str
) -> tuple[IncidentFacts, tuple[Event, ...]] | None:
    """Return one incident of a workspace with its events, without the rest of its packet, or None."""
    sql = f"SELECT {_FACTS} FROM incidents i WHERE i.id = ? AND i.workspace_id = ?"
    rows = await fetch(db, sql, (incident_id, workspace_id))
    if not rows:
        return None
    return IncidentFacts(*rows[0]), tuple(Event(*event) for event in await fetch(db, _EVENTS, (incident_id,)))


def _at_once(
    db: sqlite3.Connection, workspace_id: str, incident_id: str
) -> tuple[str, int | None, tuple[Edit, ...], dict[str, Any]] | None:
    """Read all from one state of the file: a delivery must not show an attempt that its row does not know of."""
    db.execute("BEGIN")
    try:
        rows = db.execute(_INCIDENT, (incident_id, workspace_id)).fetchall()
        return _parts(db, rows[0]) if rows else None
    finally:
        db.execute("ROLLBACK")


def _parts(db: sqlite3.Connection, row: tuple[Any, ...]) -> tuple[str, int | None, tuple[Edit, ...], dict[str, Any]]:
    monitor_id, run_id, workspace_id, mode, created_at, archived_at, drill_of, drilled, drill_kind, *facts = row
    incident = IncidentFacts(*facts)
    run = _run_of(db, monitor_id, run_id, mode, incident.opened_at)
    healthy = None
    if run is not None:
        sql = f"{_RUN} WHERE monitor_id = ? AND state = 'success' AND start_received_at < ? "
        sql += "ORDER BY start_received_at DESC LIMIT 1"
        healthy = _run(db.execute(sql, (monitor_id, run.start_received_at)).fetchall())
    signal = _signal(db.execute(_SIGNAL, (monitor_id, incident.opened_at)).fetchall())
    begun = _run_of(db, monitor_id, None, mode, incident.opened_at)  # older than `run` where the kind has risen
    heard = [one.effective_at for one in (signal, begun) if one is not None] or [created_at]
    since = min(heard if run is None else [*heard, run.effective_at])
    windows = [Window(*window) for window in db.execute(_WINDOWS, (since, incident.resolved_at))]
    edits = db.execute(_EDITS, (workspace_id, incident.opened_at, monitor_id))
    parts = {
        "incident": incident,
        "drill": None if drill_of is None else Drill(drill_of, drilled, drill_kind),
        "run": run,
        "healthy": healthy,
        "signal": signal,
        "events": tuple(Event(*event) for event in db.execute(_EVENTS, (incident.id,))),
        "deliveries": _deliveries(db, incident.id),
        "windows_since": since,
        "windows": tuple(reversed(windows[:_MOST_WINDOWS])),
        "earlier_windows": len(windows[_MOST_WINDOWS:]),
    }
    return monitor_id, archived_at, tuple(_edit(*edit) for edit in edits), parts


def _run_of(db: sqlite3.Connection, monitor_id: str, run_id: str | None, mode: str, opened_at: int) -> Run | None:
    if run_id is not None:
        return _run(db.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchall())
    if mode != "run":
        return None
    sql = f"{_RUN} WHERE monitor_id = ? AND start_received_at <= ? ORDER BY start_received_at DESC LIMIT 1"
    return _run(db.execute(sql, (monitor_id, opened_at)).fetchall())


def _run(rows: list[tuple[Any, ...]]) -> Run | None:
    if not rows:
        return None
    effective, received, finish_received, limit, late, skewed, start_payload, close_payload, tags, *facts = rows[0]
    known: tuple[Any, ...] = (*facts, {} if tags is None else msgspec.json.decode(tags))
    payloads = start_payload, close_payload
    return Run(RunFacts(*known), effective, received, finish_received, limit, bool(late), bool(skewed), *payloads)


def _signal(rows: list[tuple[Any, ...]]) -> Signal | None:
    if not rows:
        return None
    id_, received, occurred, effective, late, skewed, *rest = rows[0]
    return Signal(id_, received, occurred, effective, bool(late), bool(skewed), *rest)


def _deliveries(db: sqlite3.Connection, incident_id: str) -> tuple[Delivery, ...]:
    attempts: dict[str, list[Attempt]] = {}
    for delivery_id, number, started, finished, ok, *rest in db.execute(_ATTEMPTS, (incident_id,)):
        attempts.setdefault(delivery_id, []).append(Attempt(number, started, finished, bool(ok), *rest))
    rows = [(*row, tuple(attempts.get(row[0], ()))) for row in db.execute(_DELIVERIES, (incident_id,))]
    return tuple(Delivery(*row) for row in rows)


def _edit(at: int, actor: str, detail: str) -> Edit:
    return Edit(at, actor, tuple(sorted(msgspec.json.decode(detail)["changes"])))
