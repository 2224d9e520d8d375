"""Queries for the heartbeats of one monitor.

Heartbeats lie in the order of arrival, over all monitors, and each names the `previous` one of its monitor. An index of
them would cost a commit more than all else, since each ping would change a page of its own: so only a milestone,
every EACH-th of a monitor, is in one. To read is to walk back from the newest, or from the first milestone after
an instant: at most EACH steps more than what is read.
"""

from typing import Final

EACH: Final = 16

_MILESTONE = f"monitor_id = ?1 AND number % {EACH} = 0"  # word for word as in the index
_NEWEST = "SELECT last_heartbeat FROM monitor_states WHERE monitor_id = ?1"
_FROM = (  # the first milestone after ?2, else the newest of all
    f"SELECT coalesce((SELECT seq FROM heartbeats WHERE {_MILESTONE} AND received_at > ?2 "
    f"ORDER BY received_at LIMIT 1), ({_NEWEST}))"
)
# The order of a join is SQLite's to choose; a cross join it leaves as it is, so that rows come as they are walked.
_STEP = "SELECT h.previous FROM walk CROSS JOIN heartbeats h USING (seq) WHERE h.monitor_id = ?1"


def newest_first(columns: str, *, since: bool = False) -> str:
    """Return a query for the heartbeats of monitor ?1, the newest first, as far as it is read: end it with a LIMIT.

    With `since` only those received from ?2 on.
    """
    return _walk(columns, _NEWEST, " AND h.received_at >= ?2" if since else "")


def back_from(columns: str) -> str:
    """Return a query for those of monitor ?1 received at ?2 or before, the newest first: end it with a LIMIT."""
    return _walk(columns, _FROM, "", "h.received_at <= ?2")


def at_place(columns: str) -> str:
    """Return a query for that of monitor ?1 which was received at ?2 and has the id ?3; no row without one.

    Where there is none it looks no further than at those of that instant, however long the history is.
    """
    return f"{_walk(columns, _FROM, ' AND h.received_at >= ?2', 'h.received_at = ?2 AND h.id = ?3')} LIMIT 1"


def first_since() -> str:
    """Return a query for the instant at which the first of monitor ?1 from ?2 on was received; no row without one."""
    start = f"SELECT seq FROM heartbeats WHERE {_MILESTONE} AND received_at >= ?2 ORDER BY received_at LIMIT 1"
    walk = _walk("h.received_at", f"SELECT coalesce(({start}), ({_NEWEST}))", " AND h.received_at >= ?2")
    return f"SELECT at FROM (SELECT min(received_at) AS at FROM ({walk})) WHERE at IS NOT NULL"


EXPIRED = f"""
    WITH RECURSIVE walk (seq, previous, received_at, number) AS (
        SELECT seq, previous, received_at, number FROM heartbeats WHERE monitor_id = ?1 AND (seq = ({_NEWEST})
        OR seq IN (SELECT seq FROM heartbeats WHERE {_MILESTONE} ORDER BY received_at LIMIT ?4))
        UNION
        SELECT h.seq, h.previous, h.received_at, h.number FROM walk CROSS JOIN heartbeats h ON h.seq = walk.previous
        WHERE h.monitor_id = ?1 AND h.number % {EACH} <> 0)
    SELECT seq FROM walk WHERE received_at < ?2
    OR number <= (SELECT heartbeats FROM monitor_states WHERE monitor_id = ?1) - ?3
"""
"""Those of monitor ?1 that were received before ?2 or are older than its newest ?3, of the oldest ?4 milestones
and the newest, each with all down to the milestone before it. To delete them leaves none that no walk finds but
what has expired too; when there is none, nothing has expired."""


SET_BACK = (
    "UPDATE heartbeats SET received_at = ?1, effective_at = min(effective_at, ?1) WHERE seq > coalesce("
    "(SELECT seq FROM heartbeats WHERE received_at <= ?1 ORDER BY seq DESC LIMIT 1), 0)"
)
"""Clamps those of the future to ?1, when the clock was set back: to a walk, what came later was received no earlier."""


def _walk(columns: str, start: str, while_: str, where: str = "") -> str:
    conditions = f"h.monitor_id = ?1{while_}" + (f" AND {where}" if where else "")
    return (
        f"WITH RECURSIVE walk (seq) AS ({start} UNION ALL {_STEP}{while_}) "
        f"SELECT {columns} FROM walk CROSS JOIN heartbeats h USING (seq) WHERE {conditions}"
    )
