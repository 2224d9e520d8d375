"""Rows on their way into the file: collected per table, written a table a statement.

One statement for all rows of a table, since each step of `executemany` gives the interpreter lock away and
must win it back from the event loop.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from luota.core.model import EndedRun, OpenRun, RunState, State
from luota.store.deliveries import CUT_OFF, DELIVERED, FIRST, LOST, ON_ITS_WAY, TOLD

Row = tuple[Any, ...]

MOST_ROWS = 64
"""Rows per statement; each count up to it is a statement of its own in the driver's cache."""

MOST_COUNTED = 100
"""Further misses and failures that stand on an incident's timeline one by one; beyond, only their number grows.

A job that is dead for a year would otherwise fill the file with one line a minute."""

_CALM = (
    "monitor_id status since reason basis_at set_at signal_at expected_at deadline_at last_heartbeat heartbeats"
).split()
_TROUBLE = (
    "late failing failures counted_at evidence_at unverified unverified_by incident incident_id paused pause_until "
    "pause_until_healthy closed_at outcome_unknown"
).split()
_NO_TROUBLE = (0, 0, 0, None, None, 0, None, None, None, 0, None, 0, None, 0)
"""What the columns of trouble hold of nearly every monitor. In such a row they are a part of the statement, since to
bind a value costs the driver more than to write it, and of None seven times as much as of a number."""

_COLUMNS: dict[str, list[str]] = {
    "heartbeats": (
        "seq monitor_id previous number received_at id occurred_at effective_at late skewed host deploy_sha payload"
    ).split(),
    "runs": (
        "id monitor_id external_run_id state started_at start_received_at effective_at limit_at occurrence "
        "counted late skewed start_payload deploy_sha host environment tags"
    ).split(),
    "deliveries": (
        "id workspace_id channel_id incident_id monitor_id type notice state queued_at next_attempt_at"
    ).split(),
    "attempts": "delivery_id number started_at finished_at ok status error provider_id".split(),
    "incident_events": "incident_id id at recorded_at type kind text actor".split(),
    "audit_entries": "id workspace_id at actor source action target detail".split(),
    "monitor_states": _CALM + _TROUBLE,
    "calm_states": _CALM,
}

_OPENED = "id workspace_id monitor_id kind opened_at expected_at summary run_id evidence_at".split()


def _values(columns: int, rows: int, constants: Sequence[int | None] = ()) -> str:
    one = ["?"] * columns + ["NULL" if constant is None else str(constant) for constant in constants]
    return ", ".join([f"({', '.join(one)})"] * rows)


def _insert(name: str, rows: int) -> str:
    columns = _COLUMNS[name]
    if name not in ("monitor_states", "calm_states"):
        return f"INSERT INTO {name} ({', '.join(columns)}) VALUES {_values(len(columns), rows)}"
    constants = _NO_TROUBLE if name == "calm_states" else ()
    return (
        f"INSERT INTO monitor_states ({', '.join(_CALM + _TROUBLE)}) VALUES {_values(len(columns), rows, constants)} "
        f"ON CONFLICT (monitor_id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in (_CALM + _TROUBLE)[1:])}"
    )


def _open_incidents(rows: int) -> str:
    """Insert incidents with the monitor's words as they are now."""
    names = ", ".join(_OPENED)
    return (
        f"WITH opened ({names}) AS (VALUES {_values(len(_OPENED), rows)}) "
        f"INSERT INTO incidents ({names}, state, monitor_name, promise, owner, runbook) "
        f"SELECT {', '.join('opened.' + c for c in _OPENED)}, 'open', m.name, m.promise, m.owner, m.runbook "
        "FROM opened JOIN monitors m ON m.id = opened.monitor_id"
    )


def _queue_if(condition: str) -> str:
    """Insert a delivery if that is so of its incident ?4 and its channel ?3."""
    places = ", ".join(f"?{n}" for n in range(1, len(_COLUMNS["deliveries"]) + 1))
    return f"INSERT INTO deliveries ({', '.join(_COLUMNS['deliveries'])}) SELECT {places} WHERE {condition}"


def _earlier(such: str) -> str:
    """Return SQL for whether the incident has an earlier delivery `e` that is such."""
    return f"EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = ?4 AND {such})"


_TO_IT = "e.channel_id = ?3 AND"
_STILL_TO_OWN = (
    "e.channel_id IN (SELECT channel_id FROM monitor_channels WHERE monitor_id = ?5) AND e.channel_id NOT IN "
    f"(SELECT e.channel_id FROM deliveries e WHERE e.incident_id = ?4 AND {LOST}) AND {ON_ITS_WAY}"
)
"""It is on its way to a channel that the monitor names, to which nothing of the incident was lost yet."""

_LASTED_LESS = "the incident was resolved within the delay of this channel"
_WITHIN_DELAY = "the incident was resolved within the delay after the first notice of it to this channel"
_HUSH = (
    "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?1, "
    f"last_error = '{_WITHIN_DELAY}' "
    "WHERE incident_id = ?2 AND next_attempt_at IS NOT NULL"
)

# The plus signs in it keep the planner off deliveries_due, by which it would search all that waits in the channel.
_ROW_BY_ROW = {
    "raised": "UPDATE incidents SET kind = ?, summary = ?, run_id = coalesce(?, run_id), "
    "evidence_count = evidence_count + 1, evidence_at = ? WHERE id = ?",
    "counted": "UPDATE incidents SET evidence_count = evidence_count + 1, evidence_at = ? WHERE id = ?",
    "counted_event": "INSERT INTO incident_events (incident_id, id, at, recorded_at, type, kind, text) "
    "SELECT ?, ?, ?, ?, 'counted', ?, ? WHERE (SELECT count(*) FROM incident_events WHERE incident_id = ? "
    f"AND type = 'counted') < {MOST_COUNTED}",
    "resolved": "UPDATE incidents SET state = 'resolved', resolved_at = ?, resolution = ? WHERE id = ?",
    "run_ended": "UPDATE runs SET state = ?, counted = counted OR ? WHERE id = ?",
    "run_armed": "UPDATE runs SET limit_at = ?, limit_moved = ?, effective_at = ?, counted = ? WHERE id = ?",
    "run_closed": "UPDATE runs SET state = ?, finished_at = ?, finish_received_at = ?, summary = ?, "
    "exit_code = ?, output = ?, close_payload = ?, deploy_sha = coalesce(?, deploy_sha), "
    "host = coalesce(?, host), environment = coalesce(?, environment), tags = coalesce(?, tags), "
    "skewed = skewed OR ?, counted = ? WHERE id = ?",
    "cut_off_attempts": "INSERT INTO attempts (delivery_id, number, started_at, finished_at, ok, error, cut_off) "
    f"SELECT id, attempts + 1, min(begun_at, ?2), min(begun_at, ?2), 0, '{CUT_OFF}', 1 FROM deliveries "
    "WHERE id = ?1 AND begun_at IS NOT NULL",
    "cut_off": "UPDATE deliveries SET attempts = attempts + 1, begun_at = NULL, "
    "state = iif(next_attempt_at IS NULL, state, 'failed_retrying'), "
    f"last_error = iif(next_attempt_at IS NULL, last_error, '{CUT_OFF}') WHERE id = ? AND begun_at IS NOT NULL",
    "begun": "UPDATE deliveries SET begun_at = ?2 WHERE id = ?1 AND next_attempt_at <= ?2",
    "unmade": "UPDATE deliveries SET begun_at = NULL WHERE id = ?",
    # Also of what was cancelled while it was under way.
    "made": "UPDATE deliveries SET attempts = ?2, begun_at = iif(?3, NULL, begun_at) WHERE id = ?1",
    "attempted": "UPDATE deliveries SET state = ?2, next_attempt_at = ?3, finished_at = ?4, last_error = ?5, "
    "provider_id = ?6 WHERE id = ?1 AND (state <> 'cancelled' OR ?2 = 'delivered')",
    "proven": "UPDATE channels SET proven_at = coalesce(proven_at, ?1), failed_at = NULL, failed_error = NULL, "
    "announced_at = NULL WHERE id = ?2 AND (proven_at IS NULL OR failed_at IS NOT NULL)",
    # Those under way at this moment may still arrive.
    "unannounced": "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?1, "
    "last_error = ?2 WHERE type = 'channel.failed' AND next_attempt_at IS NOT NULL "
    "AND json_extract(notice, '$.channel.id') = ?3",
    "announced": "UPDATE channels SET announced_at = ?1 FROM deliveries d WHERE d.id = ?2 "
    "AND d.type = 'channel.failed' AND channels.id = json_extract(d.notice, '$.channel.id') "
    "AND channels.failed_at = json_extract(d.notice, '$.failing')",
    "rested": "UPDATE channels SET rests_until = max(coalesce(rests_until, 0), ?) WHERE id = ?",
    "deliveries_if_lost": _queue_if(
        f"{_earlier(LOST)} AND ({_earlier(f'{_TO_IT} {TOLD}')} OR NOT {_earlier(f'({DELIVERED} OR {_STILL_TO_OWN})')})"
    ),
    "deliveries_if_told": _queue_if(_earlier(f"{_TO_IT} {TOLD}")),
    "deliveries_if_on_its_way": _queue_if(_earlier(f"{_TO_IT} {ON_ITS_WAY}")),
    "held": f"UPDATE deliveries AS d SET next_attempt_at = queued_at + ?1 WHERE id = ?2 AND {FIRST}",
    "ended_early": "UPDATE deliveries AS d SET state = 'cancelled', next_attempt_at = NULL, finished_at = queued_at, "
    f"last_error = '{_LASTED_LESS}' WHERE id = ?2 AND {FIRST} AND queued_at < ?1 + "
    "(SELECT opened_at FROM incidents WHERE id = incident_id)",
    "hushed": f"{_HUSH} AND EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = ?2 "
    "AND e.channel_id = deliveries.channel_id AND e.seq < deliveries.seq "
    "AND e.attempts = 0 AND +e.next_attempt_at > ?1 AND e.next_attempt_at > e.queued_at)",
    "hushed_first": f"{_HUSH} AND attempts = 0 AND next_attempt_at > ?1 AND next_attempt_at > queued_at",
    "overtaken": "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?1, "
    "last_error = 'the incident was resolved first; the message about its end tells both' "
    "WHERE incident_id = ?2 AND type <> 'incident.resolved' AND next_attempt_at IS NOT NULL AND EXISTS "
    "(SELECT 1 FROM deliveries r WHERE r.incident_id = ?2 AND r.channel_id = deliveries.channel_id "
    "AND r.type = 'incident.resolved' AND +r.next_attempt_at IS NOT NULL)",
}
"""What is executed once a row, by its name: updates, and inserts that look at what is there. All else is inserted, many
rows a statement."""

_INCIDENTS = "incidents"
_IN_SEQUENCE = ("opened", "raised", "counted", "resolved")
"""Changes of incidents keep the order in which they were added: of two incidents of one monitor in one
transaction, the first must be resolved before the second can open."""

_ORDER = (
    "heartbeats",
    "runs",
    "run_ended",
    "run_armed",
    "run_closed",
    _INCIDENTS,
    "incident_events",
    "counted_event",
    "deliveries",
    "deliveries_if_lost",  # what goes to the monitor's own channels is on its way by now
    "deliveries_if_told",
    "held",
    "ended_early",
    "hushed",  # the rest before the first notice, by which it is known
    "hushed_first",
    "deliveries_if_on_its_way",  # what was hushed is none of these any more
    "overtaken",
    "cut_off_attempts",
    "cut_off",
    "begun",
    "unmade",
    "attempts",
    "made",
    "attempted",
    "proven",
    "unannounced",
    "announced",
    "rested",
    "audit_entries",
    "monitor_states",
    "calm_states",
)
"""Parents before children, since foreign keys are checked at once."""


class Rows:
    """The rows of one transaction."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {name: [] for name in _ORDER if name != _INCIDENTS}
        self._incidents: list[tuple[str, Row]] = []

    def add(self, name: str, row: Row) -> None:
        """Add a row for the statement, or the table, of that name. KeyError when there is none: it would be lost."""
        if name in _IN_SEQUENCE:
            self._incidents.append((name, row))
        else:
            self._rows[name].append(row)

    def write(self, db: sqlite3.Connection) -> None:
        """Execute the statements inside the open transaction."""
        for name in _ORDER:
            if name == _INCIDENTS:
                for change, added in groupby(self._incidents, key=itemgetter(0)):
                    _execute(db, change, [row for _, row in added])
            elif rows := self._rows[name]:
                _execute(db, name, rows)


def _execute(db: sqlite3.Connection, name: str, rows: list[Row]) -> None:
    if name in _ROW_BY_ROW:
        db.executemany(_ROW_BY_ROW[name], rows)
    else:
        for chunk in _chunks(rows):
            sql = _open_incidents(len(chunk)) if name == "opened" else _INSERTS[name][len(chunk)]
            execute(db, sql, tuple(chain.from_iterable(chunk)))


def execute(db: sqlite3.Connection, sql: str, values: Row) -> None:
    """Execute a statement once.

    The driver's `execute` then asks for the last row's id, and gives the interpreter's lock away for that once more.
    """
    db.executemany(sql, [values])


_INSERTS = {table: ["", *(_insert(table, n) for n in range(1, MOST_ROWS + 1))] for table in _COLUMNS}


def _chunks(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    return (rows[start : start + MOST_ROWS] for start in range(0, len(rows), MOST_ROWS))


def state_row(
    monitor_id: str, state: State, incident_id: str | None, last_heartbeat: int | None = None, heartbeats: int = 0
) -> tuple[str, Row]:
    """Return the row of a state and the name under which it is added; `luota.store.reads.state_of` is the inverse."""
    pause = state.pause
    calm = (
        monitor_id,
        state.status.value,
        state.since,
        state.reason,
        state.basis_at,
        state.set_at,
        state.signal_at,
        state.expected_at,
        state.deadline_at,
        last_heartbeat,
        heartbeats,
    )
    trouble = (
        +state.late,  # a bool would take the driver's slow path of adapters
        +state.failing,
        state.failures,
        state.counted_at,
        state.evidence_at,
        +state.unverified,
        state.unverified_by,
        None if state.incident is None else state.incident.value,
        incident_id,
        +(pause is not None),
        None if pause is None else pause.until,
        +(pause is not None and pause.until_healthy),
        state.last_close_at,
        +state.outcome_unknown,
    )
    return ("calm_states", calm) if trouble == _NO_TROUBLE else ("monitor_states", calm + trouble)


def run_changes(rows: Rows, rearmed: tuple[OpenRun, ...], ended: tuple[EndedRun, ...]) -> None:
    """Add what the machine changed in open runs."""
    for run in rearmed:
        rows.add("run_armed", (run.limit_at, run.moved, run.started_at, +run.counted, run.id))
    for end in ended:
        rows.add("run_ended", (end.state.value, +(end.state is RunState.STUCK), end.id))
