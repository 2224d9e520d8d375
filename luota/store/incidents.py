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
    "d.queued_at, d.finished_at, d.provider_id, d.told_by"
)
_DELIVERY = f"SELECT {_DELIVERY_ROW} FROM deliveries d JOIN channels c ON c.id = d.channel_id"


async def _deliveries_of(db: aiosqlite.Connection, ids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of the deliveries of incidents, by the incident, with the digests that were to tell of it."""
    found: dict[str, list[tuple[Any, ...]]] = {id_: [] for id_ in ids}
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        these = f"FROM deliveries WHERE incident_id IN ({', '.join('?' * len(chunk))})"
        told = f"SELECT incident_id, id {these} UNION SELECT incident_id, told_by {these} AND told_by IS NOT NULL"
        sql = (
            f"WITH told (incident, delivery) AS ({told}) SELECT told.incident, {_DELIVERY_ROW} "
            "FROM told CROSS JOIN deliveries d ON d.id = told.delivery JOIN channels c ON c.id = d.channel_id "
            "ORDER BY d.seq"
        )
        for incident_id, *row in await fetch(db, sql, [*chunk, *chunk]):
            found[incident_id].append(tuple(row))
    return found


def _iso(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


async def incidents(
    db: aiosqlite.Connection, workspace_id: str, monitor_id: str | None, state: str | None, most: int
) -> list[dict[str, Any]]:
    """Return up to `most` incidents of a workspace with their deliveries, the newest first.

    A digest that was to tell of an incident stands among its deliveries; `toldBy` names it.
    """
    where: list[str] = ["workspace_id = ?"]
    values: list[Any] = [workspace_id]
    for column, value in (("monitor_id", monitor_id), ("state", state)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    sql = f"{_INCIDENT} WHERE {' AND '.join(where)} ORDER BY opened_at DESC, id LIMIT ?"
    found = [_incident(row) for row in await fetch(db, sql, [*values, most])]
    told = await _deliveries_of(db, [incident["id"] for incident in found])
    return [{**incident, "deliveries": [_delivery(row) for row in told[incident["id"]]]} for incident in found]


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
    sent = (await _deliveries_of(db, [incident_id]))[incident_id]
    attempts = await _attempts(db, [row[1] for row in sent])
    deliveries = [{**_delivery(row), "attemptLog": attempts.get(row[1], [])} for row in sent]
    return {**_incident(rows[0]), "events": events, "deliveries": deliveries}


async def _attempts(db: aiosqlite.Connection, delivery_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the attempts of deliveries, by the id of the delivery."""
    sql = (
        "SELECT delivery_id, number, started_at, finished_at, ok, status, error, provider_id FROM attempts "
        "WHERE delivery_id IN (SELECT value FROM json_each(?)) ORDER BY delivery_id, number"
    )
    ids = msgspec.json.encode(delivery_ids).decode()
    found: dict[str, list[dict[str, Any]]] = {}
    for delivery_id, number, started, finished, ok, status, error, provider in await fetch(db, sql, (ids,)):
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


# What waits for its first attempt, or was cancelled before it, tells nothing about the channel.
_RETRIED = (
    "(SELECT seq FROM deliveries WHERE channel_id = c.id AND next_attempt_at IS NOT NULL AND attempts > 0 "
    "ORDER BY next_attempt_at DESC LIMIT 1)"
)
# The end decides among a few, for one that was tried for long ends after what was queued later.
_ATTEMPTED = (
    "(SELECT seq FROM (SELECT seq, finished_at FROM deliveries WHERE channel_id = c.id AND attempts > 0 "
    "ORDER BY queued_at DESC LIMIT 20) ORDER BY finished_at DESC, seq DESC LIMIT 1)"
)
_NEWEST = "(SELECT seq FROM deliveries WHERE channel_id = c.id ORDER BY queued_at DESC, seq DESC LIMIT 1)"


def _in_vain(state: str | None, attempts: int | None) -> bool:
    """Tell whether the last attempt of a delivery failed; one that is cancelled after an attempt was not taken."""
    return bool(attempts) and state != "delivered"


async def channels(db: aiosqlite.Connection, workspace_id: str) -> list[dict[str, Any]]:
    """Return the channels of a workspace with what became of their last delivery.

    `lastDelivery` is one that is tried again, else the one that ended last of those that were attempted, else the
    newest. `failing` tells that it was attempted in vain. `provenAt` is null until something was delivered;
    `failedAt` is when a notice was given up since the last delivery, null where none was.
    Of their settings, which hold secrets, only the recipients of email, as `to`.
    """
    sql = (
        "SELECT c.id, c.name, c.type, c.created_at, c.proven_at, c.failed_at, c.rules, "
        f"iif(c.type = 'email', json_extract(c.settings, '$.to'), NULL), {_DELIVERY_ROW} "
        f"FROM channels c LEFT JOIN deliveries d ON d.seq = coalesce({_RETRIED}, {_ATTEMPTED}, {_NEWEST}) "
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
                "failing": _in_vain(last[5], last[6]),
                "lastDelivery": None if last[1] is None else _delivery(tuple(last)),
            }
        )
    return found


RETRIED_FOR_MS = 300_000
"""For how long a delivery is tried again before people are told on the overview."""


async def retrying(db: aiosqlite.Connection, workspace_id: str, now: int) -> list[str]:
    """Return the names of the channels with a delivery that has been tried again for more than 5 minutes at `now`."""
    sql = (
        "SELECT c.name FROM channels c WHERE c.workspace_id = ? AND c.removed_at IS NULL AND c.drill_of IS NULL "
        "AND EXISTS (SELECT 1 FROM deliveries d JOIN attempts a ON a.delivery_id = d.id AND a.number = 1 "
        "WHERE d.channel_id = c.id AND d.next_attempt_at IS NOT NULL AND d.attempts > 0 AND a.started_at < ?) "
        "ORDER BY c.name"
    )
    return [row[0] for row in await fetch(db, sql, (workspace_id, now - RETRIED_FOR_MS))]


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
    (_, id_, channel, type_, notice, state, attempts, next_at, error, queued, finished, provider, told_by) = row
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
        "toldBy": told_by,
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
