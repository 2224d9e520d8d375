"""Reading the outbox."""

from collections.abc import Collection, Sequence
from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct

from luota.core.evidence import RunFacts, SignalFacts
from luota.core.packet import Attempt, Delivery
from luota.store.heartbeats import back_from
from luota.store.reads import fetch

_SENT_AT = "coalesce(e.next_attempt_at, (SELECT g.next_attempt_at FROM deliveries g WHERE g.id = e.told_by))"
"""Of a delivery `e`: when it is to be sent, or the digest is that tells it; NULL when neither is."""
ON_ITS_WAY = f"({_SENT_AT} IS NOT NULL)"
"""Of a delivery `e`: it is still to be sent, or the digest is that tells it."""

# A notice waits for the ones before it about the same incident: nobody hears of an end before its beginning.
_BEHIND = (
    f"(SELECT max({_SENT_AT}) FROM deliveries e WHERE e.incident_id = d.incident_id "
    "AND e.channel_id = d.channel_id AND e.seq < d.seq)"
)
"""Of a delivery `d`: when the last of those is to be sent for which it waits; NULL when it waits for none."""
_ELIGIBLE = f"FROM deliveries d WHERE d.channel_id = ? AND d.next_attempt_at IS NOT NULL AND {_BEHIND} IS NULL"
_ORDERLY_AT = f"max(d.next_attempt_at, coalesce({_BEHIND}, 0))"
# A test is sent while its channel rests, too.
_RESTS_UNTIL = (
    "iif(d.type = 'channel.test', 0, coalesce((SELECT rests_until FROM channels WHERE id = d.channel_id), 0))"
)
# Most deliveries have ended: they are spared the search through those before them.
NEXT_AT = f"CASE WHEN d.next_attempt_at IS NOT NULL THEN max({_ORDERLY_AT}, {_RESTS_UNTIL}) END"
"""Of a delivery `d`: the earliest instant of its next attempt, NULL when none follows; one in the past means now.

What the sender knows alone is not in it: a storm holds a first attempt 10 s longer, and a provider has its pace.
"""
_WAITS_FOR = (
    "CASE WHEN d.next_attempt_at IS NULL THEN NULL "
    f"WHEN {_RESTS_UNTIL} > {_ORDERLY_AT} THEN 'rest' WHEN {_BEHIND} > d.next_attempt_at THEN 'order' "
    "WHEN d.attempts = 0 AND d.next_attempt_at > d.queued_at THEN 'delay' END"
)
"""Of a delivery `d`: what puts its next attempt off (`luota.core.packet.Delivery`)."""
# A drill is told one by one: a digest would hide it.
_OF_INCIDENTS = (
    "d.type IN ('incident.opened', 'incident.updated', 'incident.reminder', 'incident.resolved') "
    "AND json_extract(d.notice, '$.drill') IS NULL"
)
_NO_TEST = " AND d.type <> 'channel.test'"
"""A test waits for no other notice: it is sent beside them."""
UNTRIED = "(d.attempts = 0 AND d.told_by IS NULL AND d.begun_at IS NULL)"
"""Of a delivery `d` that is no digest: no attempt of it was begun, and no digest tells it; nobody can have heard it."""
_NOT_HELD = f" AND NOT ({UNTRIED} AND {_OF_INCIDENTS})"


class Outgoing(Struct, frozen=True):
    """A delivery with all that its message is made of.

    `untold` is 1 when no earlier notice of its incident was delivered to its channel. `told_by` is the digest that
    told its channel of the incident first, if one did. `tried` are attempts of digests that this one replaces,
    the first of which is the one at `first_attempt_at`. `open_again_at` is when another incident of its monitor opened
    that is open now.
    """

    id: str
    channel_id: str
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
    incident_summary: str | None
    run_id: str | None
    untold: int
    told_by: str | None
    tried: int
    open_again_at: int | None


class Evidence(Struct, frozen=True):
    """What a delivery can show beside its incident.

    The run in question and the last healthy one before it, or the newest ping at the time of the notice.
    """

    run: RunFacts | None = None
    healthy: RunFacts | None = None
    signal: SignalFacts | None = None


class Channel(Struct, frozen=True):
    """A channel as the sender needs it. `settings` holds secrets."""

    id: str
    workspace_id: str
    name: str
    type: str
    settings: dict[str, Any]


def _ended(so: str) -> str:
    """Return SQL for: a delivery `e` ended so, or the digest did that tells it; `so` is SQL about a delivery `{0}`."""
    digest = f"EXISTS (SELECT 1 FROM deliveries g WHERE g.id = e.told_by AND {so.format('g')})"
    return f"({so.format('e')} OR {digest})"


DELIVERED = _ended("{0}.state = 'delivered'")
"""Of a delivery `e`: it was delivered, or the digest was that tells it."""

WITH_CHANNEL = "the channel was removed"
"""The error of what was cancelled with its channel, by which alone it is known: with other words, the old is, too."""

# Not all of a channel that is gone: what a reroute had called off before was to tell nobody by then.
LOST = _ended(
    f"({{0}}.state = 'failed_terminal' OR ({{0}}.state = 'cancelled' AND {{0}}.last_error = '{WITH_CHANNEL}'))"
)
"""Of a delivery `e`: it, or the digest that tells it, was given up, or was still to be sent when its channel went."""

UNTOLD = (
    "NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = d.incident_id AND e.channel_id = d.channel_id "
    f"AND e.seq < d.seq AND {DELIVERED})"
)
"""Of a delivery `d`: no earlier notice of its incident was delivered to its channel."""

TOLD = "(e.state <> 'cancelled' OR e.told_by IS NOT NULL)"
"""Of an earlier delivery `e`: its channel was told by it, or is to be; a digest may do it."""

FIRST = (
    "NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = d.incident_id AND e.channel_id = d.channel_id "
    f"AND d.seq > e.seq AND {TOLD})"
)
"""Of a delivery `d`: it is the first notice of its incident to its channel."""

HELD = f"(d.type <> 'incident.resolved' AND {FIRST})"
"""Of a delivery `d` about an incident: the delay of its channel holds it back. An end within it comes to nothing."""

CUT_OFF = "Luota ended during this attempt: nobody knows whether it arrived"
"""The error of an attempt that was cut off (`attempts.cut_off`)."""

ALL_RECORDED = "(g.begun_at IS NULL AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery_id = g.id AND a.cut_off))"
"""Of a digest `g`: none of its attempts was cut off, so that it is known not to have arrived."""


def first_attempt_at(of: str) -> str:
    """Return SQL for the first attempt of a delivery, or of the first of the digests whose place it took; or NULL."""
    own = f"(SELECT started_at FROM attempts WHERE delivery_id = {of}.id AND number = 1)"
    return f"coalesce(json_extract({of}.notice, '$.triedSince'), {own})"


TOLD_BY = (
    "(SELECT t.told_by FROM deliveries t LEFT JOIN deliveries g ON g.id = t.told_by "
    "WHERE t.incident_id = d.incident_id AND t.channel_id = d.channel_id AND t.seq < d.seq "
    "AND ((t.told_by IS NULL AND t.attempts > 0) OR g.state IN ('delivered', 'failed_terminal')) "
    "ORDER BY t.seq LIMIT 1)"
)
"""Of a delivery `d`: the digest that told its channel of its incident first; NULL where none did."""
_OUTGOING = (
    "SELECT d.id, d.channel_id, d.type, d.notice, d.attempts, d.queued_at, "
    f"{first_attempt_at('d')}, "
    "d.incident_id, d.monitor_id, i.opened_at, i.expected_at, i.acknowledged_at, "
    "i.monitor_name, i.promise, i.owner, i.runbook, "
    f"i.summary, coalesce(json_extract(d.notice, '$.run'), i.run_id), {UNTOLD}, "
    f"{TOLD_BY}, coalesce(json_extract(d.notice, '$.tried'), 0), "
    "(SELECT opened_at FROM incidents WHERE monitor_id = d.monitor_id AND state <> 'resolved' AND id <> d.incident_id) "
)
_RUN = (
    "SELECT id, external_run_id, state, started_at, finished_at, summary, exit_code, output, host, deploy_sha, "
    "environment, tags, monitor_id, start_received_at FROM runs "
)


async def due(db: aiosqlite.Connection, channel_id: str, now: int, most: int, *, storm: bool = False) -> list[Outgoing]:
    """Return up to `most` deliveries of a channel that may be sent at `now`, the longest waiting first; no tests.

    In a `storm`, first attempts of notices about incidents are left out: they are told together.
    """
    sql = (
        _OUTGOING
        + _ELIGIBLE.replace("FROM deliveries d", "FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id")
        + _NO_TEST
        + (_NOT_HELD if storm else "")
        + " AND d.next_attempt_at <= ? ORDER BY d.next_attempt_at, d.seq LIMIT ?"
    )
    return [Outgoing(*row) for row in await fetch(db, sql, (channel_id, now, most))]


async def next_number(db: aiosqlite.Connection, delivery_id: str, now: int) -> int | None:
    """Return the number of the attempt that may be made of a delivery at `now`.

    None for what was cancelled or put off, or has ended.
    """
    sql = "SELECT attempts + 1 FROM deliveries WHERE id = ? AND next_attempt_at <= ?"
    rows = await fetch(db, sql, (delivery_id, now))
    return rows[0][0] if rows else None


async def waiting_tests(db: aiosqlite.Connection) -> list[Outgoing]:
    """Return the tests of all channels that are still to be attempted, in order."""
    sql = (
        f"{_OUTGOING}FROM deliveries d LEFT JOIN incidents i ON i.id = d.incident_id "
        "WHERE d.next_attempt_at IS NOT NULL AND d.type = 'channel.test' ORDER BY d.seq"
    )
    return [Outgoing(*row) for row in await fetch(db, sql)]


async def next_due(db: aiosqlite.Connection, channel_id: str, *, storm: bool = False) -> int | None:
    """Return when a channel has something to send next, or None; in a `storm` what is held is left out, no tests."""
    at: int | None
    sql = f"SELECT min(d.next_attempt_at) {_ELIGIBLE}{_NO_TEST}{_NOT_HELD if storm else ''}"
    ((at,),) = await fetch(db, sql, (channel_id,))
    return at


async def waiting_first(db: aiosqlite.Connection, channel_id: str, now: int) -> list[tuple[str, int, str]]:
    """Return id, due time and monitor's name of the notices about incidents that are due for their first attempt."""
    sql = (
        "SELECT d.id, d.next_attempt_at, (SELECT monitor_name FROM incidents WHERE id = d.incident_id) "
        f"{_ELIGIBLE} AND {UNTRIED} AND {_OF_INCIDENTS} "
        "AND d.next_attempt_at <= ? ORDER BY d.next_attempt_at, d.seq"
    )
    return [(row[0], row[1], row[2]) for row in await fetch(db, sql, (channel_id, now))]


async def told_since(db: aiosqlite.Connection, channel_id: str, since: int, delay: int) -> list[int]:
    """Return when the notices about incidents fell due that were begun or gathered, from after `since` on.

    `delay` is the channel's: what it holds back falls due so much later than it was queued.
    """
    sql = (
        f"SELECT d.queued_at, {HELD} FROM deliveries d "
        f"WHERE d.channel_id = ? AND d.queued_at > ? AND {_OF_INCIDENTS} AND NOT {UNTRIED}"
    )
    rows = await fetch(db, sql, (channel_id, since - delay))
    return [due for queued_at, held in rows if (due := queued_at + delay * held) > since]


async def outdated_digests(db: aiosqlite.Connection, channel_id: str, now: int) -> list[str]:
    """Return the ids of the digests that are due and did not arrive, while later news of their incidents waits."""
    sql = (
        "SELECT DISTINCT g.id FROM deliveries d CROSS JOIN deliveries t ON t.incident_id = d.incident_id "
        "AND t.channel_id = d.channel_id AND t.seq < d.seq CROSS JOIN deliveries g ON g.id = t.told_by "
        "WHERE d.channel_id = ? AND d.next_attempt_at IS NOT NULL "
        f"AND g.next_attempt_at <= ? AND {ALL_RECORDED}"
    )
    return [row[0] for row in await fetch(db, sql, (channel_id, now))]


async def waiting_channels(db: aiosqlite.Connection) -> list[str]:
    """Return the ids of the channels that have something to send."""
    sql = "SELECT DISTINCT channel_id FROM deliveries WHERE next_attempt_at IS NOT NULL"
    return [row[0] for row in await fetch(db, sql)]


async def resting_channels(db: aiosqlite.Connection, now: int) -> dict[str, int]:
    """Return until when each channel rests that rests at `now`, by its id."""
    sql = "SELECT id, rests_until FROM channels WHERE rests_until > ?"
    return {row[0]: row[1] for row in await fetch(db, sql, (now,))}


async def channel_of(db: aiosqlite.Connection, channel_id: str) -> Channel | None:
    """Return a channel, or None when it was removed."""
    sql = "SELECT id, workspace_id, name, type, settings FROM channels WHERE id = ? AND removed_at IS NULL"
    rows = await fetch(db, sql, (channel_id,))
    if not rows:
        return None
    id_, workspace_id, name, type_, settings = rows[0]
    return Channel(id_, workspace_id, name, type_, msgspec.json.decode(settings))


_LAST_PING = f"{back_from('h.received_at, h.host, h.deploy_sha')} LIMIT 1"


async def evidence(db: aiosqlite.Connection, outgoing: Sequence[Outgoing]) -> dict[str, Evidence]:
    """Return what each delivery can show, by its id; what retention has deleted is absent."""
    found: dict[str, Evidence] = {}
    for one in outgoing:
        if one.run_id is not None:
            found[one.id] = await _run_and_healthy(db, one.run_id)
        elif one.monitor_id is not None:
            rows = await fetch(db, _LAST_PING, (one.monitor_id, one.queued_at))
            found[one.id] = Evidence(signal=SignalFacts(*rows[0]) if rows else None)
    return found


async def _run_and_healthy(db: aiosqlite.Connection, run_id: str) -> Evidence:
    rows = await fetch(db, f"{_RUN} WHERE id = ?", (run_id,))
    if not rows:
        return Evidence()
    *_, monitor_id, received_at = rows[0]
    sql = (
        f"{_RUN} WHERE monitor_id = ? AND state = 'success' AND start_received_at < ? "
        "ORDER BY start_received_at DESC LIMIT 1"
    )
    healthy = await fetch(db, sql, (monitor_id, received_at))
    return Evidence(_run(rows[0]), _run(healthy[0]) if healthy else None)


def _run(row: tuple[Any, ...]) -> RunFacts:
    *facts, tags, _monitor_id, _received_at = row
    known: tuple[Any, ...] = (*facts, {} if tags is None else msgspec.json.decode(tags))
    return RunFacts(*known)


async def attempts_of(db: aiosqlite.Connection, delivery_id: str) -> int:
    """Return how many attempts of a delivery that exists are recorded."""
    count: int
    ((count,),) = await fetch(db, "SELECT attempts FROM deliveries WHERE id = ?", (delivery_id,))
    return count


DELIVERIES = (
    f"SELECT d.id, c.name, c.type, d.type, d.state, d.queued_at, {NEXT_AT}, d.finished_at, d.last_error, "
    f"d.provider_id, d.told_by, {_WAITS_FOR} FROM deliveries d JOIN channels c ON c.id = d.channel_id"
)
"""What a `Delivery` is made of, without its attempts."""

ATTEMPTS = "SELECT delivery_id, number, started_at, finished_at, ok, status, error, provider_id FROM attempts"
"""The delivery and what an `Attempt` of it is made of."""


async def deliveries(db: aiosqlite.Connection, ids: Collection[str]) -> dict[str, Delivery]:
    """Return deliveries with every attempt in order, by id; what retention has deleted is absent."""
    wanted = (msgspec.json.encode(list(ids)).decode(),)
    rows = await fetch(db, f"{DELIVERIES} WHERE d.id IN (SELECT value FROM json_each(?))", wanted)
    sql = f"{ATTEMPTS} WHERE delivery_id IN (SELECT value FROM json_each(?)) ORDER BY delivery_id, number"
    made: dict[str, list[Attempt]] = {}
    for delivery_id, number, started_at, finished_at, ok, *answer in await fetch(db, sql, wanted):
        made.setdefault(delivery_id, []).append(Attempt(number, started_at, finished_at, bool(ok), *answer))
    found = [(*row, tuple(made.get(row[0], ()))) for row in rows]
    return {row[0]: Delivery(*row) for row in found}


class Sent(Struct, frozen=True):
    """A delivery of a channel, with the incident that it tells of, that one's monitor and its kind."""

    delivery: Delivery
    incident_id: str | None
    monitor: str | None
    kind: str | None


async def deliveries_of_channel(db: aiosqlite.Connection, channel_id: str, most: int) -> list[Sent]:
    """Return up to `most` deliveries of a channel, the newest first."""
    sql = (
        "SELECT d.id, d.incident_id, i.monitor_name, i.kind FROM deliveries d "
        "LEFT JOIN incidents i ON i.id = d.incident_id "
        "WHERE d.channel_id = ? ORDER BY d.queued_at DESC, d.seq DESC LIMIT ?"
    )
    rows = await fetch(db, sql, (channel_id, most))
    found = await deliveries(db, [row[0] for row in rows])
    return [Sent(found[id_], *about) for id_, *about in rows if id_ in found]


async def waiting_of_channel(db: aiosqlite.Connection, channel_id: str) -> int:
    """Return how many deliveries of a channel are to be attempted, or attempted again."""
    count: int
    sql = "SELECT count(*) FROM deliveries WHERE channel_id = ? AND next_attempt_at IS NOT NULL"
    ((count,),) = await fetch(db, sql, (channel_id,))
    return count
