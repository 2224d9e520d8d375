"""Reading what the overview shows of many monitors at once. Instants come out as UTC milliseconds.

Status, deadlines and the newest signal are in memory, and are not read here.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import aiosqlite
import msgspec
from msgspec import Struct

from luota.core import bar
from luota.core.bar import Slot
from luota.core.model import Kind, Mode, Rules, Windows
from luota.core.slots import Incident, Signal, Stretch
from luota.core.spec.values import parse_instant
from luota.store import db as files
from luota.store.heartbeats import first_since
from luota.store.history import incidents_of, signals_of, signals_sql
from luota.store.incidents import UNTOLD
from luota.store.reads import fetch

_CHUNK = 8
"""Monitors per hop to the driver's thread: others wait for it no longer than a few milliseconds."""
_DRAWN = 5
"""Bars that are laid out before others get their turn on the event loop."""
_MOST_INCIDENTS = 20
_LASTS = 1 << 62
_CARD = (
    "id, slug, name, mode, coalesce(promise, ''), coalesce(owner, ''), coalesce(runbook, ''), "
    "coalesce(environment, ''), tags"
)
_INCIDENTS = (
    "SELECT id, kind, state, opened_at, resolved_at, expected_at, run_id, '' FROM incidents WHERE monitor_id = ?1 "
    f"ORDER BY opened_at DESC LIMIT {_MOST_INCIDENTS}"
)
_PINGED = first_since()
_SUCCEEDED = (
    "SELECT finish_received_at FROM runs WHERE monitor_id = ? AND finish_received_at >= ? AND state = 'success' "
    "ORDER BY finish_received_at LIMIT 1"
)
_PAUSES = (
    "SELECT at, action, detail FROM audit_entries WHERE target = ?1 "
    "AND action IN ('monitor.pause', 'monitor.resume') ORDER BY at DESC LIMIT 100"
)


def _in_one(query: str, columns: int) -> str:
    """Return SQL for all rows of a query as one value, a JSON array of arrays."""
    names = ", ".join(f"c{number}" for number in range(columns))
    return f"(WITH found ({names}) AS ({query}) SELECT json_group_array(json_array({names})) FROM found)"


# One row for all, since the driver gives the interpreter's lock away at each row, and commits wait for it meanwhile.
_PAST = {
    mode: f"SELECT created_at, {_in_one(signals_sql(mode), 8 if mode is Mode.RUN else 3)}, {_in_one(_INCIDENTS, 8)}, "
    f"{_in_one(_PAUSES, 3)} FROM monitors WHERE id = ?1"
    for mode in Mode
}


class Card(Struct, frozen=True, gc=False):
    """What people gave a monitor to be known by; empty where they gave nothing."""

    id: str
    slug: str
    name: str
    mode: str
    promise: str
    owner: str
    runbook: str
    environment: str
    tags: dict[str, str]


class OpenIncident(Struct, frozen=True):
    """An incident that is not resolved; `untold` where nobody was to be told of it."""

    id: str
    monitor_id: str
    kind: Kind
    state: str
    opened_at: int
    summary: str
    untold: bool


class Watched(Protocol):
    """What is in memory of a monitor and decides its bar."""

    @property
    def id(self) -> str:
        """The monitor."""
        ...

    @property
    def rules(self) -> Rules:
        """Its rules."""
        ...


class _Past(Struct, frozen=True):
    """What is on record of one monitor for its bar."""

    signals: tuple[Signal, ...]
    incidents: tuple[Incident, ...]
    pauses: tuple[Stretch, ...]
    since: int


async def cards(db: aiosqlite.Connection, workspace_id: str) -> list[Card]:
    """Return the monitors of a workspace that are not archived, and no twins of drills, by name."""
    sql = (
        f"SELECT {_CARD} FROM monitors WHERE workspace_id = ? AND archived_at IS NULL AND drill_of IS NULL "
        "ORDER BY name"
    )
    return [_card(row) for row in await fetch(db, sql, (workspace_id,))]


async def archived(db: aiosqlite.Connection, workspace_id: str) -> list[tuple[Card, int]]:
    """Return the archived monitors of a workspace, and when each was archived, the latest first; no twins of drills."""
    sql = (
        f"SELECT archived_at, {_CARD} FROM monitors WHERE workspace_id = ? AND archived_at IS NOT NULL "
        "AND drill_of IS NULL ORDER BY archived_at DESC, id"
    )
    return [(_card(row), at) for at, *row in await fetch(db, sql, (workspace_id,))]


async def newest_change(db: aiosqlite.Connection) -> str | None:
    """Return the id of the newest audit entry: while it is the same, nobody has changed what `cards` returns."""
    found = await fetch(db, "SELECT id FROM audit_entries ORDER BY rowid DESC LIMIT 1")
    return found[0][0] if found else None


async def open_incidents(db: aiosqlite.Connection, workspace_id: str) -> list[OpenIncident]:
    """Return the incidents of a workspace that are not resolved, the newest first; none of drills."""
    sql = (
        f"SELECT i.id, i.monitor_id, i.kind, i.state, i.opened_at, i.summary, {UNTOLD} FROM monitors m "
        "JOIN incidents i ON i.monitor_id = m.id AND i.state <> 'resolved' "
        "WHERE m.workspace_id = ? AND m.drill_of IS NULL AND m.archived_at IS NULL ORDER BY i.opened_at DESC, i.id"
    )
    rows = await fetch(db, sql, (workspace_id,))
    return [
        OpenIncident(incident, monitor, Kind(kind), state, opened, summary, bool(untold))
        for incident, monitor, kind, state, opened, summary, untold in rows
    ]


async def bars(
    db: aiosqlite.Connection, monitors: Sequence[Watched], windows: Windows, now: int, n: int
) -> dict[str, tuple[Slot, ...]]:
    """Return the last `n` slots of each of these monitors, by id (luota.core.bar)."""
    found: dict[str, tuple[Slot, ...]] = {}
    for start in range(0, len(monitors), _CHUNK):
        chunk = monitors[start : start + _CHUNK]
        past = await files.in_thread(db, partial(_read, [(one.id, one.rules) for one in chunk], n))
        for place, one in enumerate(chunk):
            if place % _DRAWN == 0:
                await asyncio.sleep(0)
            known = past.get(one.id)
            if known is not None:
                found[one.id] = bar.slots(
                    one.rules, known.signals, known.incidents, known.pauses, windows, known.since, now, n
                )
            else:
                found[one.id] = ()
    return found


async def pauses(db: aiosqlite.Connection, monitor_id: str, mode: Mode) -> tuple[Stretch, ...]:
    """Return the newest pauses of a monitor, in order; one that lasts ends in the far future."""
    return await files.in_thread(db, partial(_pauses, monitor_id, mode))


def _card(row: Sequence[Any]) -> Card:
    fields: tuple[Any, ...] = (*row[:-1], msgspec.json.decode(row[-1]))
    return Card(*fields)


def _read(monitors: Iterable[tuple[str, Rules]], n: int, db: sqlite3.Connection) -> dict[str, _Past]:
    """Return what is on record of these monitors. For the driver's thread."""
    found: dict[str, _Past] = {}
    most = n + 10  # some signals share a slot
    for id_, rules in monitors:
        past = db.execute(_PAST[rules.mode], (id_, most)).fetchone()
        if past is None:
            continue
        created = past[0]
        signals, incidents, pauses = map(msgspec.json.decode, past[1:])
        drawn = signals_of(signals)
        since = created if len(drawn) < most else min(signal.at for signal in drawn)
        found[id_] = _Past(drawn, incidents_of(incidents), _stretches(id_, rules.mode, pauses, db), since)
    return found


def _pauses(monitor_id: str, mode: Mode, db: sqlite3.Connection) -> tuple[Stretch, ...]:
    """Return the pauses that the audit log tells of. For the driver's thread."""
    return _stretches(monitor_id, mode, db.execute(_PAUSES, (monitor_id,)).fetchall(), db)


def _stretches(
    monitor_id: str, mode: Mode, changes: Sequence[Sequence[Any]], db: sqlite3.Connection
) -> tuple[Stretch, ...]:
    """Return the pauses of a monitor by the changes of it, the newest first, as `_PAUSES` finds them.

    A pause until the next healthy signal ends at a ping, or at the success of a run.
    """
    found: list[Stretch] = []
    healed_sql = _SUCCEEDED if mode is Mode.RUN else _PINGED
    for at, action, detail in reversed(changes):
        if found and found[-1][1] > at:
            found[-1] = (found[-1][0], at)
        if action == "monitor.pause":
            asked = msgspec.json.decode(detail)
            ends = [parse_instant(asked["until"], "until")] if asked.get("until") else [_LASTS]
            if asked.get("untilHealthy"):
                ends += [healed for (healed,) in db.execute(healed_sql, (monitor_id, at))]
            found.append((at, min(ends)))
    return tuple(found)
