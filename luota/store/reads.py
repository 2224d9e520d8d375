"""What the engine reads: the live state at start, and the runs that calls refer to."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import aiosqlite
from msgspec import Struct

from luota.core.model import Kind, Mode, OpenRun, Pause, State, Status, Window

MOST_WINDOWS = 256
_CHUNK = 500


class RunRow(Struct, frozen=True):
    """What deciding a start or a close needs of a run."""

    id: str
    monitor_id: str
    external_run_id: str
    state: str
    started_at: int
    effective_at: int
    limit_at: int
    occurrence: int | None
    counted: int
    finished_at: int | None

    def open_run(self) -> OpenRun:
        """Return the run as the machine sees it."""
        return OpenRun(self.id, self.effective_at, self.limit_at, self.occurrence, bool(self.counted))


_RUN = (
    "SELECT id, monitor_id, external_run_id, state, started_at, effective_at, limit_at, occurrence, counted, "
    "finished_at FROM runs"
)

_DEFINITIONS = (
    "SELECT id, workspace_id, slug, token_salt, drill_of, mode, schedule, grace_ms, max_runtime_ms, freshness_ms, "
    "tolerance FROM monitors WHERE archived_at IS NULL"
)
_STATES = (
    "SELECT monitor_id, incident_id, last_heartbeat, heartbeats, status, since, reason, basis_at, set_at, signal_at, "
    "expected_at, deadline_at, late, failing, failures, counted_at, evidence_at, unverified, unverified_by, incident, "
    "paused, pause_until, pause_until_healthy, closed_at, outcome_unknown FROM monitor_states"
)

_STATUS = {status.value: status for status in Status}
_KIND: dict[str | None, Kind | None] = {None: None, **{kind.value: kind for kind in Kind}}
MODES = {mode.value: mode for mode in Mode}


async def fetch(db: aiosqlite.Connection, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a query, as tuples; one hop to the driver's thread."""
    return list(await db.execute_fetchall(sql, values))  # type: ignore[arg-type]


def monitor_rows(db: sqlite3.Connection) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the definition and the state of every monitor that is not archived.

    The one is five columns of identity and six of rules; the other the monitor's id, the open incident's,
    the last heartbeat and how many there were, and what `state_of` takes. For the driver's thread.
    """
    # Two scans, since SQLite would join them by looking up one state after the other, in twice the time.
    definitions = {row[0]: row for row in db.execute(_DEFINITIONS)}
    for state in db.execute(_STATES):
        definition = definitions.get(state[0])
        if definition is not None:
            yield definition, state


async def open_runs(db: aiosqlite.Connection) -> dict[str, tuple[OpenRun, ...]]:
    """Return the runs whose limit is armed, by monitor id, in the order of their limits."""
    sql = (
        "SELECT monitor_id, id, effective_at, limit_at, occurrence, counted, limit_moved FROM runs "
        "WHERE state = 'running' ORDER BY limit_at, id"
    )
    runs: dict[str, list[OpenRun]] = {}
    for monitor_id, run_id, began, limit, occurrence, counted, moved in await fetch(db, sql):
        runs.setdefault(monitor_id, []).append(OpenRun(run_id, began, limit, occurrence, bool(counted), moved))
    return {monitor_id: tuple(open_) for monitor_id, open_ in runs.items()}


def state_of(row: tuple[Any, ...], runs: tuple[OpenRun, ...]) -> State:
    """Return the state in the last 21 columns of its row, with the monitor's open runs."""
    (
        status,
        since,
        reason,
        basis_at,
        set_at,
        signal_at,
        expected_at,
        deadline_at,
        late,
        failing,
        failures,
        counted_at,
        evidence_at,
        unverified,
        unverified_by,
        incident,
        paused,
        pause_until,
        pause_until_healthy,
        last_close_at,
        outcome_unknown,
    ) = row[4:]
    return State(
        _STATUS[status],
        since,
        reason,
        basis_at,
        set_at,
        signal_at,
        expected_at,
        deadline_at,
        late == 1,
        failing == 1,
        failures,
        counted_at,
        evidence_at,
        unverified == 1,
        unverified_by,
        outcome_unknown == 1,
        _KIND[incident],
        Pause(pause_until, bool(pause_until_healthy)) if paused else None,
        False,
        runs,
        last_close_at,
    )


async def run_by_id(db: aiosqlite.Connection, run_id: str) -> RunRow | None:
    """Return one run, or None."""
    rows = await fetch(db, f"{_RUN} WHERE id = ?", (run_id,))
    return RunRow(*rows[0]) if rows else None


async def runs_by_id(db: aiosqlite.Connection, ids: Collection[str]) -> list[RunRow]:
    """Return the runs with these ids, those that exist."""
    wanted = list(ids)
    rows: list[RunRow] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        found = await fetch(db, f"{_RUN} WHERE id IN ({', '.join('?' * len(chunk))})", chunk)
        rows += [RunRow(*row) for row in found]
    return rows


async def runs_by_external(db: aiosqlite.Connection, keys: Collection[tuple[str, str]]) -> list[RunRow]:
    """Return the runs with these (monitor id, external run id), those that exist."""
    wanted = list(keys)
    rows: list[RunRow] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        places = ", ".join(["(?, ?)"] * len(chunk))
        sql = f"{_RUN} WHERE (monitor_id, external_run_id) IN (VALUES {places})"
        found = await fetch(db, sql, [value for key in chunk for value in key])
        rows += [RunRow(*row) for row in found]
    return rows


async def windows(db: aiosqlite.Connection) -> tuple[Window, ...]:
    """Return the newest blind windows, in order."""
    sql = "SELECT started_at, ended_at, reason FROM blind_windows ORDER BY started_at DESC LIMIT ?"
    return tuple(Window(*row) for row in reversed(await fetch(db, sql, (MOST_WINDOWS,))))
