"""Reading the audit log of a workspace."""

from typing import Any

import aiosqlite
import msgspec

from luota.store.reads import fetch


class Entry(msgspec.Struct, frozen=True):
    """One change: who did what to which row, when (UTC ms), from where. `name` is what people call the row."""

    id: str
    at: int
    actor: str
    source: str
    action: str
    target: str | None
    name: str | None
    detail: dict[str, Any]


async def entries(
    db: aiosqlite.Connection, workspace_id: str, *, actor: str, action: str, before: tuple[int, str] | None, most: int
) -> list[Entry]:
    """Return up to `most` entries, the newest first: of one actor, and of one kind of row, where given.

    `action` is the word before the point, such as `monitor`. `before` is the instant and the id of the entry
    after which to go on.
    """
    where, values = ["a.workspace_id = ?"], [workspace_id]
    for clause, value in (("a.actor = ?", actor), ("a.action LIKE ? || '.%'", action)):
        if value:
            where.append(clause)
            values.append(value)
    bound: list[Any] = [*values]
    if before is not None:
        where.append("(a.at, a.id) < (?, ?)")
        bound += before
    sql = (
        "SELECT a.id, a.at, a.actor, a.source, a.action, a.target, coalesce(m.name, c.name, i.monitor_name, u.email), "
        "a.detail FROM audit_entries a LEFT JOIN monitors m ON m.id = a.target LEFT JOIN channels c ON c.id = a.target "
        "LEFT JOIN incidents i ON i.id = a.target LEFT JOIN users u ON u.id = a.target "
        f"WHERE {' AND '.join(where)} ORDER BY a.at DESC, a.id DESC LIMIT ?"
    )
    found = await fetch(db, sql, (*bound, most))
    return [
        Entry(id_, at, who, source, what, target, name, msgspec.json.decode(detail))
        for id_, at, who, source, what, target, name, detail in found
    ]


async def actors(db: aiosqlite.Connection, workspace_id: str) -> list[str]:
    """Return everybody who has changed something, in order."""
    sql = "SELECT DISTINCT actor FROM audit_entries WHERE workspace_id = ? ORDER BY actor LIMIT 500"
    return [row[0] for row in await fetch(db, sql, (workspace_id,))]
