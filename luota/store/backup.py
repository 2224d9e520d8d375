"""Whole copies of the file, and putting one in its place. Synchronous: for commands, not for the daemon."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luota.core.errors import Code, LuotaError
from luota.store.db import APPLICATION_ID, FILE, cause, migrations, refuse_lost


def examine(path: Path, *, called: Path | None = None) -> int | None:
    """Read the whole of a file and return its last-alive stamp, None where no daemon ever ran on it.

    CONFLICT when it is damaged, another program's, or of a newer Luota; messages name it `called`, else `path`. It is
    opened for reading alone.
    """
    named = called or path
    try:
        _refuse_strange(path, named)
        with _reading(path) as db:
            damage = _value(db, "PRAGMA integrity_check(1)")
            if damage != "ok":
                raise LuotaError(Code.CONFLICT, f"{named} is damaged: {' '.join(damage.split())}")
            alive_at = _value(db, "SELECT alive_at FROM instance")
    except sqlite3.Error as error:
        raise LuotaError(Code.CONFLICT, f"{named} cannot be read as a database: {cause(error, path)}") from None
    return None if alive_at is None else int(alive_at)


def copy(data_dir: Path, to: Path) -> None:
    """Write what the file holds at one instant to the empty file `to`, while a daemon may go on writing.

    UNAVAILABLE when it cannot be read, or `to` cannot be written; CONFLICT when it is lost, another program's, or of
    a newer Luota.
    """
    refuse_lost(data_dir)
    try:
        _refuse_strange(data_dir / FILE, data_dir / FILE)
        with _reading(data_dir / FILE) as db:
            db.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        raise LuotaError(Code.UNAVAILABLE, f"No copy could be made in {to.parent}: {cause(error, to)}") from None


def put_in_place(data_dir: Path, copied: Path, kept: Path) -> bool:
    """Make `copied`, of the same directory, its file; tell whether there was one before, which becomes `kept`.

    The caller holds the owner lock. A crash leaves either file whole.
    """
    present = data_dir / FILE
    existed = present.exists()
    # What is in the log alone goes into the file first. Of an empty file SQLite would delete the log instead.
    if existed and present.stat().st_size:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(present)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # A log that stayed would be applied to the new file, also where the old one is missing.
    for end in ("-wal", "-shm", "-journal"):
        side = present.with_name(present.name + end)
        if side.exists():
            side.rename(kept.with_name(kept.name + end))
    if existed:
        os.link(present, kept)
    copied.replace(present)
    _sync(data_dir)
    return existed


def _refuse_strange(path: Path, named: Path) -> None:
    """Raise CONFLICT for a file that is not Luota's or too new; nothing is left beside it for that."""
    # An immutable file is read without a log and its index, which SQLite else makes and leaves behind. Should a daemon
    # start at this moment, then only these two figures were read so.
    alone = not any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))
    with _reading(path, "&immutable=1" if alone else "") as db:
        application, version = (_value(db, f"PRAGMA {name}") for name in ("application_id", "user_version"))
    if application != APPLICATION_ID:
        raise LuotaError(Code.CONFLICT, f"{named} is not a database of Luota.")
    if version > len(migrations()):
        said = f"{named} has schema {version}, this program knows schemas up to {len(migrations())}."
        raise LuotaError(Code.CONFLICT, f"{said} Install the newer Luota that wrote it.")


@contextlib.contextmanager
def _reading(path: Path, how: str = "") -> Iterator[sqlite3.Connection]:
    uri = f"{path.resolve().as_uri()}?mode=ro{how}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)) as db:
        yield db


def _value(db: sqlite3.Connection, sql: str) -> Any:
    (value,) = db.execute(sql).fetchone()
    return value


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
