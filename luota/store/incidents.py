"""Reading incidents, deliveries and channels for people. Instants come out as ISO 8601 UTC."""

from typing import Any

import aiosqlite
import msgspec

from luota.core.spec.channels import parse_wants, wants_json
from luota.core.spec.values import format_instant
from luota.store.reads import fetch

_INCIDENT = (
    "SELECT id, monitor_id, kind, state, opened_at, acknowledged_at, resolved_at, summary, expected_at, "
    "evidence_count, resolution, run_id, monitor_name, promise, owner, runbook, "
    "(SELECT m.drill_of FROM monitors m WHERE m.id = incidents.monitor_id) FROM incidents"
)
_DELIVERY_ROW = (
    "d.incident_id, d.id, c.name, c.type, d.type, d.state, d.attempts, d.next_attempt_at, d.last_error, "
    "d.queued_at, d.finished_at, d.provider_id"
)
_DELIVERY = f"SELECT {_DELIVERY_ROW} FROM deliveries d JOIN channels c ON c.id = d.channel_id"


def _iso(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


async def incidents(
    db: aiosqlite.Connection, workspace_id: str, monitor_id: str | None, state: str | None, most: int
) -> list[dict[str, Any]]:
    """Return up to `most` incidents of a workspace with their deliveries, the newest first."""
    where: list[str] = ["workspace_id = ?"]
    values: list[Any] = [workspace_id]
    for column, value in (("monitor_id", monitor_id), ("state", state)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    sql = f"{_INCIDENT} WHERE {' AND '.join(where)} ORDER BY opened_at DESC, id LIMIT ?"
    found = [_incident(row) for row in await fetch(db, sql, [*values, most])]
    told: dict[str, list[dict[str, Any]]] = {incident["id"]: [] for incident in found}
    ids = list(told)
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        sql = f"{_DELIVERY} WHERE d.incident_id IN ({', '.join('?' * len(chunk))}) ORDER BY d.seq"
        for row in await fetch(db, sql, chunk):
            told[row[0]].append(_delivery(row))
    return [{**incident, "deliveries": told[incident["id"]]} for incident in found]


async def incident(db: aiosqlite.Connection, workspace_id: str, incident_id: str) -> dict[str, Any] | None:
    """Return one incident with its events and every attempt of every delivery, or None."""
    rows = await fetch(db, f"{_INCIDENT} WHERE id = ? AND workspace_id = ?", (incident_id, workspace_id))
    if not rows:
        return None
    sql = (
        "SELECT at, recorded_at, type, kind, text, actor FROM incident_events WHERE incident_id = ? "
        "ORDER BY recorded_at, at, id"
    )
    events = [
        {
            "at": _iso(at),
            "recordedAt": _iso(recorded),
            "type": type_,
            "kind": kind,
            "text": text,
            "actor": actor,
        }
        for at, recorded, type_, kind, text, actor in await fetch(db, sql, (incident_id,))
    ]
    sent = await fetch(db, f"{_DELIVERY} WHERE d.incident_id = ? ORDER BY d.seq", (incident_id,))
    attempts = await _attempts(db, incident_id)
    deliveries = [{**_delivery(row), "attemptLog": attempts.get(row[1], [])} for row in sent]
    return {**_incident(rows[0]), "events": events, "deliveries": deliveries}


async def _attempts(db: aiosqlite.Connection, incident_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return the attempts of an incident's deliveries, by the id of the delivery."""
    sql = (
        "SELECT delivery_id, number, started_at, finished_at, ok, status, error, provider_id FROM attempts "
        "WHERE delivery_id IN (SELECT id FROM deliveries WHERE incident_id = ?) ORDER BY delivery_id, number"
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for delivery_id, number, started, finished, ok, status, error, provider in await fetch(db, sql, (incident_id,)):
        found.setdefault(delivery_id, []).append(
            {
                "number": number,
                "startedAt": _iso(started),
                "finishedAt": _iso(finished),
                "ok": bool(ok),
                "status": status,
                "error": error,
                "providerId": provider,
            }
        )
    return found


async def channels(db: aiosqlite.Connection, workspace_id: str) -> list[dict[str, Any]]:
    """Return the channels of a workspace with what became of their last delivery.

    `provenAt` is null until something was delivered; `failedAt` is when a notice was given up since the last
    delivery, null where none was.
    Of their settings, which hold secrets, only the recipients of email, as `to`.
    """
    newest = "SELECT seq FROM deliveries WHERE channel_id = c.id ORDER BY queued_at DESC, seq DESC LIMIT 1"
    sql = (
        "SELECT c.id, c.name, c.type, c.created_at, c.proven_at, c.failed_at, c.rules, "
        f"iif(c.type = 'email', json_extract(c.settings, '$.to'), NULL), {_DELIVERY_ROW} "
        f"FROM channels c LEFT JOIN deliveries d ON d.seq = ({newest}) "
        "WHERE c.workspace_id = ? AND c.removed_at IS NULL AND c.drill_of IS NULL ORDER BY c.name"
    )
    found = []
    for row in await fetch(db, sql, (workspace_id,)):
        channel_id, name, type_, created_at, proven_at, failed_at, rules, to, *last = row
        found.append(
            {
                "id": channel_id,
                "name": name,
                "type": type_,
                **({} if to is None else {"to": msgspec.json.decode(to)}),
                **wants_json(parse_wants(msgspec.json.decode(rules))),
                "createdAt": _iso(created_at),
                "provenAt": _iso(proven_at),
                "failedAt": _iso(failed_at),
                "lastDelivery": None if last[1] is None else _delivery(tuple(last)),
            }
        )
    return found


async def unproven(db: aiosqlite.Connection, workspace_id: str) -> list[str] | None:
    """Return the names of the channels by which nothing has been delivered yet; None where there is no channel."""
    sql = (
        "SELECT name, proven_at FROM channels WHERE workspace_id = ? AND removed_at IS NULL AND drill_of IS NULL "
        "ORDER BY name"
    )
    found = await fetch(db, sql, (workspace_id,))
    return [name for name, proven_at in found if proven_at is None] if found else None


async def dead_routes(db: aiosqlite.Connection, workspace_id: str) -> list[str]:
    """Return the names of the channels by which a notice was given up, and nothing delivered since."""
    sql = (
        "SELECT name FROM channels WHERE workspace_id = ? AND removed_at IS NULL AND drill_of IS NULL "
        "AND failed_at IS NOT NULL ORDER BY name"
    )
    return [row[0] for row in await fetch(db, sql, (workspace_id,))]


async def delivery(db: aiosqlite.Connection, delivery_id: str) -> dict[str, Any]:
    """Return a delivery that exists."""
    (row,) = await fetch(db, f"{_DELIVERY} WHERE d.id = ?", (delivery_id,))
    return _delivery(row)


def _incident(row: tuple[Any, ...]) -> dict[str, Any]:
    (
        id_,
        monitor_id,
        kind,
        state,
        opened,
        acknowledged,
        resolved,
        summary,
        expected,
        count,
        resolution,
        *rest,
    ) = row
    run_id, name, promise, owner, runbook, drill_of = rest
    return {
        "id": id_,
        "monitorId": monitor_id,
        "monitorName": name,
        "kind": kind,
        "state": state,
        "openedAt": _iso(opened),
        "acknowledgedAt": _iso(acknowledged),
        "resolvedAt": _iso(resolved),
        "summary": summary,
        "expectedAt": _iso(expected),
        "evidenceCount": count,
        "resolution": resolution,
        "runId": run_id,
        "promise": promise,
        "owner": owner,
        "runbook": runbook,
        "drillOf": drill_of,
    }


def _delivery(row: tuple[Any, ...]) -> dict[str, Any]:
    (_, id_, channel, type_, notice, state, attempts, next_at, error, queued, finished, provider) = row
    return {
        "id": id_,
        "channel": channel,
        "type": type_,
        "notice": notice,
        "state": state,
        "attempts": attempts,
        "nextAttemptAt": _iso(next_at),
        "lastError": error,
        "queuedAt": _iso(queued),
        "finishedAt": _iso(finished),
        "providerId": provider,
    }


class Listed(msgspec.Struct, frozen=True):
    """An incident as one line of a list. Instants are UTC milliseconds; `drill_of` is set for the twin of a drill."""

    id: str
    monitor_id: str
    monitor: str
    kind: str
    state: str
    opened_at: int
    acknowledged_at: int | None
    resolved_at: int | None
    summary: str
    owner: str | None
    drill_of: str | None


async def listed(
    db: aiosqlite.Connection, workspace_id: str, monitor_id: str | None, state: str | None, start: int, most: int
) -> list[Listed]:
    """Return up to `most` incidents from the `start`-th on: those that are not resolved, then the newest."""
    where, values = ["i.workspace_id = ?"], [workspace_id]
    for column, value in (("i.monitor_id", monitor_id), ("i.state", state)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    sql = (
        "SELECT i.id, i.monitor_id, i.monitor_name, i.kind, i.state, i.opened_at, i.acknowledged_at, i.resolved_at, "
        "i.summary, i.owner, m.drill_of FROM incidents i JOIN monitors m ON m.id = i.monitor_id "
        f"WHERE {' AND '.join(where)} AND i.state %s 'resolved' ORDER BY i.opened_at DESC, i.id LIMIT ? OFFSET ?"
    )
    # One query for both would sort all that a workspace ever had; there are few open ones, at most one a monitor.
    open_ = await fetch(db, sql % "<>", (*values, -1, 0))
    found = open_[start : start + most]
    rest = (*values, most - len(found), max(0, start - len(open_)))
    return [Listed(*row) for row in (*found, *await fetch(db, sql % "=", rest))]
