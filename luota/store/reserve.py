"""A little room that is kept for the day on which the disk is full (docs/operations.md, "A full disk").

On a full disk a DELETE and the checkpoint fail too, and those are what makes room: each first writes to the log.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

SIZE = 1024 * 1024
"""Bytes: enough for several of retention's transactions."""
FILE = "luota.reserve"


class Reserve:
    """A file of `SIZE` bytes in the data directory that holds nothing. Whoever owns the directory may use it."""

    def __init__(self, data_dir: Path) -> None:
        self.kept = False
        self._path = data_dir / FILE

    def keep(self) -> None:
        """Make the file where it is missing and the disk has as much again to spare."""
        try:
            disk = os.statvfs(self._path.parent)
            whole = self._path.exists() and self._path.stat().st_blocks * 512 >= SIZE
            if not whole and disk.f_bavail * disk.f_frsize >= 2 * SIZE:
                fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.posix_fallocate(fd, 0, SIZE)
                    whole = True
                finally:
                    os.close(fd)
            self.kept = whole
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the room away."""
        self.kept = False
        with contextlib.suppress(OSError):
            self._path.unlink()


def make_room(db: sqlite3.Connection, reserve: Reserve) -> bool:
    """Move the log into the file, cut it, and keep the reserve again; tell whether there is room now.

    There is when the reserve could be kept, or when as much is free inside the file. For the driver's thread.
    """
    with contextlib.suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    reserve.keep()
    if reserve.kept:
        return True
    ((pages,),) = db.execute("PRAGMA freelist_count").fetchall()
    ((size,),) = db.execute("PRAGMA page_size").fetchall()
    return bool(pages * size >= SIZE)
