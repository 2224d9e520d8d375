"""Reading the outbox."""

from typing import Any

import aiosqlite
from msgspec import Struct

from luota.store.reads import fetch

# A notice waits for the ones before it about the same incident: nobody hears of an end before its beginning.
_ELIGIBLE = (
    "FROM deliveries d WHERE d.channel_id = ? AND d.next_attempt_at IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM deliveries e WHERE e.incident_id = d.incident_id AND e.channel_id = d.channel_id "
    "AND e.seq < d.seq AND e.next_attempt_at IS NOT NULL)"
)


class Outgoing(Struct, frozen=True):
    """A delivery with all that its message is made of."""

    id: str
    type: str
    notice: str
    attempts: int
    queued_at: int
    first_attempt_at: int | None
    incident_id: str | None
    monitor_id: str | None
    opened_at: int | None
    expected_at: int | None
    acknowledged_at: int | None
    monitor_name: str | None
    promise: str | None
    owner: str | None
    runbook: str | None


_OUTGOING = (
    "SELECT d.id, d.type, d.notice, d.attempts, d.queued_at, "
    "(SELECT started_at FROM attempts WHERE delivery_id = d.id AND number = 1), "
    "d.incident_id, d.monitor_id, i.opened_at, i.expected_at, i.acknowledged_at, "
    "i.monitor_name, i.promise, i.owner, i.runbook "
)


async def due(db: aiosqlite.Connection, channel_id: str, now: int, most: int) -> list[Outgoing]:
    """Return up to `most` deliveries of a channel that may be sent at `now`, the longest waiting first."""
    sql = (
        _OUTGOING
        + _ELIGIBLE.replace("FROM deliveries d", "FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id")
        + " AND d.next_attempt_at <= ? ORDER BY d.next_attempt_at, d.seq LIMIT ?"
    )
    return [Outgoing(*row) for row in await fetch(db, sql, (channel_id, now, most))]


async def next_due(db: aiosqlite.Connection, channel_id: str) -> int | None:
    """Return when a channel has something to send next, or None."""
    at: int | None
    ((at,),) = await fetch(db, f"SELECT min(d.next_attempt_at) {_ELIGIBLE}", (channel_id,))
    return at


async def waiting_channels(db: aiosqlite.Connection) -> list[str]:
    """Return the ids of the channels that have something to send."""
    sql = "SELECT DISTINCT channel_id FROM deliveries WHERE next_attempt_at IS NOT NULL"
    return [row[0] for row in await fetch(db, sql)]


async def webhook_of(db: aiosqlite.Connection, channel_id: str) -> tuple[str, str] | None:
    """Return the name and the address of a webhook channel, or None when it was removed."""
    sql = "SELECT name, json_extract(settings, '$.url') FROM channels WHERE id = ? AND removed_at IS NULL"
    rows = await fetch(db, sql, (channel_id,))
    return (rows[0][0], rows[0][1]) if rows else None


async def delivery(db: aiosqlite.Connection, delivery_id: str) -> tuple[Any, ...]:
    """Return (channel name, type, state, attempts, next attempt, last error) of a delivery that exists."""
    sql = (
        "SELECT c.name, c.type, d.state, d.attempts, d.next_attempt_at, d.last_error "
        "FROM deliveries d JOIN channels c ON c.id = d.channel_id WHERE d.id = ?"
    )
    (row,) = await fetch(db, sql, (delivery_id,))
    return row
