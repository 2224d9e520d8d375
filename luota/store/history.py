"""Reading what one monitor did: signals, events, runs, incidents. Instants come out as UTC milliseconds."""

from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct

from luota.core import packet
from luota.core.evidence import RunFacts
from luota.core.model import Kind, Mode, RunState
from luota.core.slots import Incident, Signal
from luota.store.heartbeats import at_place, back_from, newest_first
from luota.store.reads import fetch

PREVIEW = 500
"""How many characters of a payload stand in a list."""

_PINGED = "h.effective_at, h.received_at, h.late"
_STARTS = (
    "SELECT effective_at, start_received_at, late, id, state, finished_at, limit_at, finish_received_at FROM runs "
    "WHERE monitor_id = ?1"
)
_INCIDENT = "id, kind, state, opened_at, resolved_at, expected_at, run_id, summary FROM incidents"
_RUN_EVENT = (
    "SELECT 'run', id, effective_at, start_received_at, finish_received_at, state, late, skewed, started_at, "
    "finished_at, exit_code, host, deploy_sha, "
    f"substr(coalesce(close_payload, start_payload), 1, {PREVIEW}), summary, limit_at FROM runs WHERE monitor_id = ?1"
)
_PING_EVENT = (
    "'heartbeat', h.id, h.effective_at, h.received_at, NULL, NULL, h.late, h.skewed, h.occurred_at, NULL, NULL, "
    f"h.host, h.deploy_sha, substr(h.payload, 1, {PREVIEW}), NULL, NULL"
)
_EVENTS = (
    f"SELECT * FROM ({newest_first(_PING_EVENT)} LIMIT ?2) "
    f"UNION ALL SELECT * FROM ({_RUN_EVENT} ORDER BY start_received_at DESC LIMIT ?2) ORDER BY 4 DESC LIMIT ?2"
)
_HEARTBEAT = "h.id, h.received_at, h.occurred_at, h.effective_at, h.late, h.skewed, h.host, h.deploy_sha, h.payload"
_HEARTBEATS = f"{newest_first(_HEARTBEAT)} LIMIT ?2"
_HEARTBEATS_BEFORE = f"{back_from(_HEARTBEAT)} AND (h.received_at < ?2 OR h.seq < ({at_place('h.seq')})) LIMIT ?4"
_NEWEST_END = f"{_RUN_EVENT} AND finish_received_at IS NOT NULL ORDER BY finish_received_at DESC LIMIT 1"
_RUN = (
    "r.id, r.monitor_id, r.external_run_id, r.state, r.started_at, r.start_received_at, r.effective_at, r.limit_at, "
    "r.occurrence, r.late, r.skewed, r.finished_at, r.finish_received_at, r.summary, r.exit_code, r.output, "
    "r.start_payload, r.close_payload, r.deploy_sha, r.host, r.environment, r.tags FROM runs r"
)


# What may be large is left out, since a list would hold it many times.
_RUNS = (
    f"SELECT {_RUN.replace('r.output, r.start_payload, r.close_payload', 'NULL, NULL, NULL')} WHERE r.monitor_id = ?1"
)
_RUNS_BEFORE = " AND (r.start_received_at, r.id) < (?3, ?4)"


class Event(Struct, frozen=True):
    """One line of the list of events. `payload` is its beginning, as JSON text that may be cut.

    `kind` is `heartbeat` or `run`; `state`, `finish_received_at`, `finished_at`, `exit_code`, `summary` and `limit_at`
    are a run's. `client_at` is the job's own word of when it happened, `finished_at` of when it ended.
    """

    kind: str
    id: str
    at: int
    received_at: int
    finish_received_at: int | None
    state: str | None
    late: int
    skewed: int
    client_at: int
    finished_at: int | None
    exit_code: int | None
    host: str | None
    deploy_sha: str | None
    payload: str | None
    summary: str | None
    limit_at: int | None

    @property
    def duration(self) -> int | None:
        """How long the run took, in whole seconds as milliseconds; None for a ping and an open run."""
        return _duration(self.client_at, self.finished_at)

    @property
    def heard_at(self) -> int:
        """When the last of it was received: of a run that has ended, its end."""
        return max(self.received_at, self.finish_received_at or 0)


class Payload(Struct, frozen=True):
    """A payload, whole, as JSON text, and the keys at its top; None where none was sent."""

    text: str | None
    keys: tuple[str, ...]


class Lasted(Struct, frozen=True):
    """A run for the chart of durations; `duration` is None while its end is not received."""

    id: str
    started_at: int
    finish_received_at: int | None
    duration: int | None
    state: RunState
    effective_at: int
    limit_at: int


class Run(Struct, frozen=True):
    """One run, whole. Payloads and tags as they were sent: JSON text."""

    id: str
    monitor_id: str
    external_run_id: str
    state: str
    started_at: int
    start_received_at: int
    effective_at: int
    limit_at: int
    occurrence: int | None
    late: int
    skewed: int
    finished_at: int | None
    finish_received_at: int | None
    summary: str | None
    exit_code: int | None
    output: str | None
    start_payload: str | None
    close_payload: str | None
    deploy_sha: str | None
    host: str | None
    environment: str | None
    tags: str | None

    @property
    def facts(self) -> RunFacts:
        """What of it is compared with another run."""
        return RunFacts(
            self.id,
            self.external_run_id,
            self.state,
            self.started_at,
            self.finished_at,
            self.summary,
            self.exit_code,
            self.output,
            self.host,
            self.deploy_sha,
            self.environment,
            {} if self.tags is None else msgspec.json.decode(self.tags),
        )


async def events(db: aiosqlite.Connection, monitor_id: str, most: int = 25) -> tuple[Event, ...]:
    """Return the newest pings and runs of a monitor, the newest first."""
    return tuple(Event(*row) for row in await fetch(db, _EVENTS, (monitor_id, most)))


async def heartbeats(
    db: aiosqlite.Connection, monitor_id: str, before: tuple[int, str] | None, most: int
) -> list[packet.Signal]:
    """Return up to `most` pings of a monitor, the newest first; `before` is the receipt and the id of the last known.

    Should retention have deleted that one, others of the same millisecond are left out.
    """
    rows = await fetch(db, _HEARTBEATS_BEFORE if before else _HEARTBEATS, (monitor_id, *(before or ()), most))
    return [
        packet.Signal(id_, received, occurred, effective, bool(late), bool(skewed), *rest)
        for id_, received, occurred, effective, late, skewed, *rest in rows
    ]


async def runs(db: aiosqlite.Connection, monitor_id: str, before: tuple[int, str] | None, most: int) -> list[Run]:
    """Return up to `most` runs of a monitor, the latest start first, without output and payloads.

    `before` is the receipt of the start and the id of the last known.
    """
    sql = f"{_RUNS}{_RUNS_BEFORE if before else ''} ORDER BY r.start_received_at DESC, r.id DESC LIMIT ?2"
    return [Run(*row) for row in await fetch(db, sql, (monitor_id, most, *(before or ())))]


async def latest(db: aiosqlite.Connection, monitor_id: str, newest: Sequence[Event]) -> Event | None:
    """Return what was heard of last: one of the `newest` events, or a run that began before them and ended since."""
    ended = [Event(*row) for row in await fetch(db, _NEWEST_END, (monitor_id,))]
    return max((*newest, *ended), key=lambda event: event.heard_at, default=None)


async def payload_of(db: aiosqlite.Connection, monitor_id: str, event: Event) -> Payload:
    """Return the payload of an event of a monitor; a run has that of its close, if any."""
    if event.kind == "run":
        rows = await fetch(db, "SELECT coalesce(close_payload, start_payload) FROM runs WHERE id = ?", (event.id,))
    else:
        rows = await fetch(db, at_place("h.payload"), (monitor_id, event.received_at, event.id))
    text = rows[0][0] if rows else None  # its retention may have ended just now
    return Payload(text, () if text is None else tuple(msgspec.json.decode(text)))


async def signals(
    db: aiosqlite.Connection, monitor_id: str, mode: Mode, most: int = 500, since: int = 0
) -> tuple[Signal, ...]:
    """Return the newest `most` pings or run starts received from `since` on, in the order of receipt."""
    return signals_of(await fetch(db, signals_sql(mode, since=True), (monitor_id, since, most)))


def signals_sql(mode: Mode, *, since: bool = False) -> str:
    """Return the query for `signals_of`: the monitor's id, the instant where `since` is asked, how many."""
    most = f"LIMIT ?{3 if since else 2}"
    if mode is not Mode.RUN:
        return f"{newest_first(_PINGED, since=since)} {most}"
    return f"{_STARTS}{' AND start_received_at >= ?2' if since else ''} ORDER BY start_received_at DESC {most}"


def signals_of(rows: Sequence[Sequence[Any]]) -> tuple[Signal, ...]:
    """Return the signals in these rows, which come newest first, in the order of receipt."""
    if rows and len(rows[0]) > 3:
        return tuple(
            Signal(at, received, late == 1, run, RunState(state), *ends)
            for at, received, late, run, state, *ends in reversed(rows)
        )
    return tuple(Signal(at, received, late == 1) for at, received, late in reversed(rows))


async def durations(db: aiosqlite.Connection, monitor_id: str, most: int = 100, since: int = 0) -> tuple[Lasted, ...]:
    """Return the newest `most` runs received from `since` on with how long they took, the oldest first."""
    sql = (
        "SELECT id, started_at, finished_at, finish_received_at, state, effective_at, limit_at FROM runs "
        "WHERE monitor_id = ? AND start_received_at >= ? "
        "ORDER BY start_received_at DESC LIMIT ?"
    )
    rows = await fetch(db, sql, (monitor_id, since, most))
    return tuple(
        Lasted(run, began, received, _duration(began, finished), RunState(state), *limited)
        for run, began, finished, received, state, *limited in reversed(rows)
    )


async def incidents(db: aiosqlite.Connection, monitor_id: str, most: int = 50) -> tuple[Incident, ...]:
    """Return the incidents of a monitor, the newest first."""
    sql = f"SELECT {_INCIDENT} WHERE monitor_id = ? ORDER BY opened_at DESC, id LIMIT ?"
    return incidents_of(await fetch(db, sql, (monitor_id, most)))


def incidents_of(rows: Sequence[Sequence[Any]]) -> tuple[Incident, ...]:
    """Return the incidents in these rows, whose columns are those of `Incident`."""
    return tuple(Incident(incident, Kind(kind), *rest) for incident, kind, *rest in rows)


async def run_of(db: aiosqlite.Connection, workspace_id: str, run_id: str) -> Run | None:
    """Return one run of a workspace, whole, or None."""
    sql = f"SELECT {_RUN} JOIN monitors m ON m.id = r.monitor_id WHERE r.id = ? AND m.workspace_id = ?"
    rows = await fetch(db, sql, (run_id, workspace_id))
    return Run(*rows[0]) if rows else None


async def runs_on_record(db: aiosqlite.Connection, workspace_id: str, ids: Sequence[str]) -> frozenset[str]:
    """Return which of these runs of a workspace are there, and not deleted by retention."""
    if not ids:
        return frozenset()
    sql = (
        "SELECT r.id FROM json_each(?) one JOIN runs r ON r.id = one.value JOIN monitors m ON m.id = r.monitor_id "
        "WHERE m.workspace_id = ?"
    )
    return frozenset(row[0] for row in await fetch(db, sql, (msgspec.json.encode(ids).decode(), workspace_id)))


async def healthy_before(db: aiosqlite.Connection, run: Run) -> Run | None:
    """Return the last run that succeeded among those that started before `run`, or None."""
    sql = (
        f"SELECT {_RUN} WHERE r.monitor_id = ? AND r.state = 'success' AND r.start_received_at < ? "
        "ORDER BY r.start_received_at DESC LIMIT 1"
    )
    rows = await fetch(db, sql, (run.monitor_id, run.start_received_at))
    return Run(*rows[0]) if rows else None


async def neighbours(db: aiosqlite.Connection, run: Run) -> tuple[str | None, str | None]:
    """Return the ids of the runs that started just before and just after `run`."""
    found: list[str | None] = []
    for compared, order in (("<", "DESC"), (">", "ASC")):
        sql = (
            f"SELECT id FROM runs WHERE monitor_id = ? AND start_received_at {compared} ? "
            f"ORDER BY start_received_at {order} LIMIT 1"
        )
        rows = await fetch(db, sql, (run.monitor_id, run.start_received_at))
        found.append(rows[0][0] if rows else None)
    return found[0], found[1]


def _duration(began: int, ended: int | None) -> int | None:
    """Return it as the ingest API does: in whole seconds, never negative (docs/api.md)."""
    return None if ended is None else max(0, ended - began) // 1000 * 1000
