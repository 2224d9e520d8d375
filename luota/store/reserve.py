"""A little room that is kept for the day on which the disk is full (docs/operations.md, "A full disk").

On a full disk a DELETE and the checkpoint fail too, and those are what makes room: each first writes to the log.
"""

import contextlib
import errno
import mmap
import os
import sqlite3
from pathlib import Path

SIZE = 1024 * 1024
"""Bytes: enough for several of retention's transactions."""
SPARE = SIZE // 2
"""What a start must find beside it: room for the index of the log, for a first transaction and for a socket."""
INDEX = 64 * 1024
"""Bytes of the log's index and of the first transactions that it finds."""
FILE = "luota.reserve"


class Full(sqlite3.OperationalError):
    """The disk is full, as SQLite would say it."""

    sqlite_errorcode = sqlite3.SQLITE_FULL

    def __init__(self) -> None:
        super().__init__("database or disk is full")


class Reserve:
    """A file of `SIZE` bytes in the data directory that holds nothing. Whoever owns the directory may use it.

    `short` tells that a start has found the disk full.
    """

    def __init__(self, data_dir: Path) -> None:
        self.kept = False
        self.short = False
        self._path = data_dir / FILE

    def claim(self, *, make: bool) -> None:
        """At a start: keep the file if there is `SPARE` beside it, else give it away; `make` it where it is missing.

        That is tried and not read from statvfs, which knows neither quotas nor who may have the last blocks.
        """
        if self.kept or self.short:
            return
        try:
            self._allocate(SIZE + SPARE, os.O_CREAT if make else 0)
            self.kept = True
        except FileNotFoundError:
            pass
        except OSError as error:
            self.release()
            self.short = error.errno in (errno.ENOSPC, errno.EDQUOT)

    def keep(self) -> None:
        """Make the file where it is missing and the disk has as much again to spare."""
        try:
            disk = os.statvfs(self._path.parent)
            whole = self._path.exists() and self._path.stat().st_blocks * 512 >= SIZE
            if not whole and disk.f_bavail * disk.f_frsize >= 2 * SIZE:
                self._allocate(SIZE, os.O_CREAT)
                whole = True
            self.kept = whole
        except OSError:
            self.release()

    def release(self) -> None:
        """Give the room away."""
        self.kept = False
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _allocate(self, size: int, flags: int) -> None:
        """Give the file `SIZE` bytes, where `size` could be had; OSError where not."""
        fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
            os.ftruncate(fd, SIZE)
        finally:
            os.close(fd)


def refuse_cramped(data_dir: Path) -> None:
    """Raise Full where the index of the log could be mapped, but not written: that would be a SIGBUS and no error.

    SQLite makes sure of one byte in each page of it. Where blocks are smaller than pages, the others need blocks too.
    """
    disk = os.statvfs(data_dir)
    if disk.f_frsize < mmap.PAGESIZE and disk.f_blocks and disk.f_bavail * disk.f_frsize < INDEX:
        raise Full


def want_of_room(path: Path) -> str:
    """Return a sentence that says that the disk of a file is full, and what to do; "" if it is not."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks == 0 or free >= SPARE:  # some file systems do not tell
        return ""
    said = f" The disk of {path.parent} is full: {free // 1024} KiB are free."
    return f"{said} Make room for {2 * SIZE >> 20} MiB at least, then repeat."


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
