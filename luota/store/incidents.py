"""Reading incidents, deliveries and channels for people. Dicts are as the API gives them: instants as ISO 8601 UTC."""

from typing import Any

import aiosqlite
import msgspec

from luota.core.spec.channels import parse_wants, wants_json
from luota.core.spec.values import format_instant
from luota.core.wants import Wants
from luota.store.deliveries import NEXT_AT
from luota.store.reads import fetch

_INCIDENT = (
    "SELECT id, monitor_id, kind, state, opened_at, acknowledged_at, resolved_at, summary, expected_at, "
    "evidence_count, resolution, run_id, monitor_name, promise, owner, runbook, "
    "(SELECT m.drill_of FROM monitors m WHERE m.id = incidents.monitor_id) FROM incidents"
)
_DELIVERY_ROW = (
    f"d.incident_id, d.id, c.name, c.type, d.type, d.state, d.attempts, {NEXT_AT}, d.last_error, "
    "d.queued_at, d.finished_at, d.provider_id, d.told_by"
)
_DELIVERY = f"SELECT {_DELIVERY_ROW} FROM deliveries d JOIN channels c ON c.id = d.channel_id"


UNTOLD = "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident_id = i.id)"
"""Whether nobody was to be told of an incident `i`: no channel was there for it, or none wanted it."""


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery, without its attempts, of which `attempts` is the number. Instants are UTC milliseconds."""

    incident_id: str | None
    id: str
    channel: str
    type: str
    notice: str
    state: str
    attempts: int
    next_attempt_at: int | None
    last_error: str | None
    queued_at: int
    finished_at: int | None
    provider_id: str | None
    told_by: str | None


class Channel(msgspec.Struct, frozen=True):
    """A channel with what became of its last delivery. Instants are UTC milliseconds.

    `last` is one that is tried again, else the one that ended last of those that were attempted, else the newest.
    `proven_at` is None until something was delivered; `failed_at` is when a notice was given up since the last
    delivery, None where none was, and `failed_error` what the last such notice was answered. Of its settings, which
    hold secrets, only the recipients of email, as `to`.
    """

    id: str
    name: str
    type: str
    created_at: int
    proven_at: int | None
    failed_at: int | None
    failed_error: str | None
    wants: Wants
    to: list[str] | None
    last: DeliveryRow | None

    @property
    def failing(self) -> bool:
        """Whether its last delivery was attempted in vain; one that is cancelled after an attempt was not taken."""
        return self.last is not None and self.last.attempts > 0 and self.last.state != "delivered"


async def _deliveries_of(db: aiosqlite.Connection, ids: list[str]) -> dict[str, list[DeliveryRow]]:
    """Return the deliveries of incidents, by the incident, with the digests that were to tell of it."""
    found: dict[str, list[DeliveryRow]] = {id_: [] for id_ in ids}
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
            found[incident_id].append(DeliveryRow(*row))
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
    return [{**incident, "deliveries": [_delivery(sent) for sent in told[incident["id"]]]} for incident in found]


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
    attempts = await _attempts(db, [one.id for one in sent])
    deliveries = [{**_delivery(one), "attemptLog": attempts.get(one.id, [])} for one in sent]
    return {**_incident(rows[0]), "events": events, "deliveries": deliveries}


async def untold(db: aiosqlite.Connection, incident_id: str) -> bool:
    """Return whether nobody was to be told of an incident: no channel was there for it, or none wanted it."""
    return bool(await fetch(db, f"SELECT 1 FROM incidents i WHERE i.id = ? AND {UNTOLD}", (incident_id,)))


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


async def channels(db: aiosqlite.Connection, workspace_id: str) -> list[Channel]:
    """Return the channels of a workspace, by name."""
    sql = (
        "SELECT c.id, c.name, c.type, c.created_at, c.proven_at, c.failed_at, c.failed_error, c.rules, "
        f"iif(c.type = 'email', json_extract(c.settings, '$.to'), NULL), {_DELIVERY_ROW} "
        f"FROM channels c LEFT JOIN deliveries d ON d.seq = coalesce({_RETRIED}, {_ATTEMPTED}, {_NEWEST}) "
        "WHERE c.workspace_id = ? AND c.removed_at IS NULL AND c.drill_of IS NULL ORDER BY c.name"
    )
    found = []
    for row in await fetch(db, sql, (workspace_id,)):
        id_, name, type_, created_at, proven_at, failed_at, failed_error, rules, to, *last = row
        wants, to = parse_wants(msgspec.json.decode(rules)), None if to is None else msgspec.json.decode(to)
        newest = None if last[1] is None else DeliveryRow(*last)
        found.append(Channel(id_, name, type_, created_at, proven_at, failed_at, failed_error, wants, to, newest))
    return found


def channel_json(channel: Channel) -> dict[str, Any]:
    """Return a channel as the API gives it."""
    return {
        "id": channel.id,
        "name": channel.name,
        "type": channel.type,
        **({} if channel.to is None else {"to": channel.to}),
        **wants_json(channel.wants),
        "createdAt": _iso(channel.created_at),
        "provenAt": _iso(channel.proven_at),
        "failedAt": _iso(channel.failed_at),
        "failedError": channel.failed_error,
        "failing": channel.failing,
        "lastDelivery": None if channel.last is None else _delivery(channel.last),
    }


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
    return _delivery(DeliveryRow(*row))


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


def _delivery(sent: DeliveryRow) -> dict[str, Any]:
    return {
        "id": sent.id,
        "channel": sent.channel,
        "type": sent.type,
        "notice": sent.notice,
        "state": sent.state,
        "attempts": sent.attempts,
        "nextAttemptAt": _iso(sent.next_attempt_at),
        "lastError": sent.last_error,
        "queuedAt": _iso(sent.queued_at),
        "finishedAt": _iso(sent.finished_at),
        "providerId": sent.provider_id,
        "toldBy": sent.told_by,
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
