"""Moves what a stopped daemon remembers into the past, as if the host had slept through the time between."""

import contextlib
import sqlite3

from tests.process import Daemon

HOUR = 3_600_000
_INSTANTS = ("since", "unverified_by", "occurrence", "pause_until")  # and every column …_at


def let_pass(luota: Daemon, ms: int, *, alive: bool = False) -> None:
    """Let `ms` milliseconds pass in the file: every instant in it lies that much further back.

    The daemon has been down since, unless `alive`: then its last-alive stamp stays where it is, as if it had
    lived through them. Whole minutes keep cron schedules on their grid.
    """
    with contextlib.closing(sqlite3.connect(luota.data_dir / "luota.db")) as db, db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            instants = [c for c in columns if c.endswith("_at") or c in _INSTANTS]
            if alive and table == "instance":
                instants.remove("alive_at")
            if instants:
                db.execute(f"UPDATE {table} SET " + ", ".join(f"{c} = {c} - {ms}" for c in instants))
