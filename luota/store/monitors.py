"""Reading monitors for people: definitions, lists, details."""

from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec

from luota.core.model import Rules
from luota.core.schedule import parse_schedule
from luota.core.spec.monitors import Definition
from luota.store.reads import MODES, fetch

_DEFINITION = (
    "m.id, m.slug, m.name, m.mode, m.schedule, m.grace_ms, m.max_runtime_ms, m.freshness_ms, m.tolerance, "
    "m.promise, m.owner, m.runbook, m.environment, m.tags, m.reminder_ms, "
    "(SELECT group_concat(c.name, char(10)) FROM monitor_channels r JOIN channels c ON c.id = r.channel_id "
    "WHERE r.monitor_id = m.id AND c.removed_at IS NULL)"
)


async def definition_of(db: aiosqlite.Connection, monitor_id: str) -> Definition:
    """Return the definition of a monitor that exists."""
    (row,) = await fetch(db, f"SELECT {_DEFINITION} FROM monitors m WHERE m.id = ?", (monitor_id,))
    return _definition(row)


async def definitions(db: aiosqlite.Connection, ids: Sequence[str]) -> dict[str, Definition]:
    """Return the definitions of these monitors, by id."""
    found: dict[str, Definition] = {}
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        sql = f"SELECT {_DEFINITION} FROM monitors m WHERE m.id IN ({', '.join('?' * len(chunk))})"
        for row in await fetch(db, sql, chunk):
            found[row[0]] = _definition(row)
    return found


def _definition(row: tuple[Any, ...]) -> Definition:
    (_, slug, name, mode, schedule, grace, runtime, freshness, tolerance, *texts, tags, reminder, channels) = row
    promise, owner, runbook, environment = (text or "" for text in texts)
    return Definition(
        name=name,
        slug=slug,
        rules=Rules(
            mode=MODES[mode],
            schedule=None if schedule is None else parse_schedule(msgspec.json.decode(schedule)),
            grace=grace,
            max_runtime=runtime,
            freshness=freshness,
            tolerance=tolerance,
        ),
        promise=promise,
        owner=owner,
        runbook=runbook,
        tags=msgspec.json.decode(tags),
        environment=environment,
        channels=None if channels is None else tuple(channels.split("\n")),
        reminder=reminder,
    )
