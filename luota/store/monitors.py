"""Reading monitors for people: definitions, lists, details."""

from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec
from msgspec import Struct

from luota.core.model import Rules
from luota.core.schedule import parse_schedule
from luota.core.spec.monitors import Definition, definition_json
from luota.core.spec.values import format_instant
from luota.store.reads import MODES, fetch

_DEFINITION = (
    "m.id, m.slug, m.name, m.mode, m.schedule, m.grace_ms, m.max_runtime_ms, m.freshness_ms, m.tolerance, "
    "m.promise, m.owner, m.runbook, m.environment, m.tags, m.reminder_ms, "
    "(SELECT group_concat(name, char(10)) FROM (SELECT c.name FROM monitor_channels r JOIN channels c "
    "ON c.id = r.channel_id WHERE r.monitor_id = m.id AND c.removed_at IS NULL ORDER BY c.name))"
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


async def archived(db: aiosqlite.Connection, workspace_id: str) -> list[dict[str, Any]]:
    """Return the archived monitors of a workspace as definitions with ids and `archivedAt`, the latest first."""
    sql = (
        "SELECT id, archived_at FROM monitors WHERE workspace_id = ? AND archived_at IS NOT NULL "
        "AND drill_of IS NULL ORDER BY 2 DESC, 1"
    )
    rows = await fetch(db, sql, (workspace_id,))
    defined = await definitions(db, [row[0] for row in rows])
    return [
        {
            "id": id_,
            "workspaceId": workspace_id,
            **definition_json(defined[id_]),
            "status": "archived",
            "archivedAt": format_instant(at),
        }
        for id_, at in rows
        if id_ in defined
    ]


class Kept(Struct, frozen=True):
    """What stays of a monitor once it is archived. `drill_of` is the monitor of which it is a twin.

    `signalled` tells whether it ever had a signal, kept or not.
    """

    id: str
    slug: str
    created_at: int
    archived_at: int | None
    drill_of: str | None
    signalled: bool


async def kept(db: aiosqlite.Connection, workspace_id: str, id_or_slug: str) -> Kept | None:
    """Return the monitor that has, or was the last to have, this id or slug, archived or not; None without any."""
    sql = (
        "SELECT id, slug, created_at, archived_at, drill_of, EXISTS (SELECT 1 FROM monitor_states AS state "
        "WHERE state.monitor_id = monitors.id AND state.signal_at IS NOT NULL) FROM monitors WHERE workspace_id = ?1 "
        "AND (id = ?2 OR slug = ?2) ORDER BY id = ?2 DESC, archived_at IS NULL DESC, archived_at DESC LIMIT 1"
    )
    rows = await fetch(db, sql, (workspace_id, id_or_slug))
    return Kept(*rows[0]) if rows else None


async def ids_of(db: aiosqlite.Connection, workspace_id: str, id_or_slug: str) -> list[str]:
    """Return the ids of the monitors that have or had this id or slug, archived ones too, the newest first."""
    sql = "SELECT id FROM monitors WHERE workspace_id = ? AND (id = ? OR slug = ?) ORDER BY created_at DESC"
    return [row[0] for row in await fetch(db, sql, (workspace_id, id_or_slug, id_or_slug))]


async def ids_begun(db: aiosqlite.Connection, workspace_id: str, beginning: str) -> dict[str, str]:
    """Return the slugs, by id, of the monitors whose id begins so, archived ones too."""
    sql = "SELECT id, slug FROM monitors WHERE workspace_id = ? AND substr(id, 1, ?) = ?"
    return dict(await fetch(db, sql, (workspace_id, len(beginning), beginning)))


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
