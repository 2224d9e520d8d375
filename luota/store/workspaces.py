"""Reading what a workspace has set."""

import aiosqlite
import msgspec

from luota.store.reads import fetch


class Retention(msgspec.Struct, frozen=True):
    """How long what is kept: signals for days, and so many of a monitor; incidents for days."""

    days: int
    count: int
    incident_days: int


async def retention(db: aiosqlite.Connection, workspace_id: str) -> Retention:
    """Return the retention of a workspace that exists."""
    sql = "SELECT retention_days, retention_count, incident_retention_days FROM workspaces WHERE id = ?"
    (row,) = await fetch(db, sql, (workspace_id,))
    return Retention(*row)
