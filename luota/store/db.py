"""Opening `luota.db`: its single owner, its pragmas, its migrations."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from luota.core.errors import Code, LuotaError
from luota.store.reserve import want_of_room

T = TypeVar("T")

# It logs every statement with its values, which hold the secrets of channels, at DEBUG.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

APPLICATION_ID = 0x4C754F54  # "LuOT"
FILE = "luota.db"
_LOCK = "luota.lock"
_LATER = ("luota.reserve", "luota.sock")  # what is made once the file holds an instance, and never before
_BESIDE = tuple(f"{FILE}{end}" for end in ("-wal", "-shm", "-journal"))
_JOURNAL = bytes.fromhex("d9d505f920a163d7")  # https://www.sqlite.org/fileformat2.html#the_rollback_journal


def migrations() -> list[str]:
    """Return the scripts that lead from an empty file to the present schema; the n-th leads to version n."""
    scripts = (entry for entry in files("luota.store").joinpath("migrations").iterdir())
    return [entry.read_text("utf-8") for entry in sorted(scripts, key=lambda e: e.name) if entry.name[0].isdigit()]


class OwnerLock:
    """The exclusive lock on a data directory; whoever holds it is the only one to write its file.

    The kernel drops the lock with the process, so that a killed daemon never leaves one behind.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / _LOCK
        self._fd: int | None = None

    def acquire(self, purpose: str) -> None:
        """Take the lock for `purpose` or raise a CONFLICT that names the process which holds it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 200).decode("utf-8", "replace").strip() or "an unknown process"
            os.close(fd)
            raise LuotaError(
                Code.CONFLICT,
                f"The data directory {self._path.parent} is in use by {owner}. "
                "Stop it first, or use another --data-dir.",
                field="data_dir",
            ) from None
        self._fd = fd
        name = f"{purpose} (process {os.getpid()})\n".encode()
        with contextlib.suppress(OSError):  # on a full disk it may have to do without its name
            os.pwrite(fd, name, 0)  # over the last one: the room of a file that was cut first may be taken meanwhile
            os.ftruncate(fd, len(name))

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def translated(error: sqlite3.Error) -> LuotaError:
    """Return what a driver's error means to a caller: the event could not be made durable."""
    return LuotaError(Code.UNAVAILABLE, f"Storage unavailable: {error}", retry_after=5)


_OF_THE_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def cause(error: sqlite3.Error, path: Path) -> str:
    """Return in sentences what a driver's error on a file says, and what is behind it where its disk is full."""
    return f"{error}.{want_of_room(path) if _of_the_disk(error) else ''}"


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise CONFLICT, with its cause, where the disk of `path` fails or has no room for what is opened beside it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not _of_the_disk(error):  # what else it tells is a defect, such as of a migration
            raise
        raise LuotaError(Code.CONFLICT, f"{path} cannot be opened: {cause(error, path)}") from error


def _of_the_disk(error: sqlite3.Error) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _OF_THE_DISK


async def open_writer(data_dir: Path) -> aiosqlite.Connection:
    """Open the only connection that writes, on the present schema. The caller holds the owner lock.

    Makes the file in a directory that never had one: first call `refuse_lost`. Raises CONFLICT if it is not Luota's, or
    newer than this program; the directory then holds the same files as before, and none is changed but the index of a
    log. Errors of the disk are for `explained`.
    """
    path = data_dir / FILE
    if path.exists() and path.stat().st_size > 0 and not _was_empty(path):
        await _check(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = await aiosqlite.connect(path, isolation_level=None, cached_statements=512)
    try:
        # A commit changes a few hundred bytes in each of many pages, and the log takes whole pages: small ones
        # halve it. (Only a new file takes a page size.)
        # An automatic checkpoint would land inside somebody's COMMIT: the writer checkpoints when idle.
        for pragma in (
            "page_size = 2048",
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",
            "busy_timeout = 2000",
            "secure_delete = FAST",  # Debian's default writes every page that a DELETE frees once more
            "temp_store = MEMORY",  # else each large statement keeps its undo journal in a file of its own
        ):
            await db.execute(f"PRAGMA {pragma}")
        await _migrate(db)
        await db.execute("PRAGMA foreign_keys = ON")  # not before: a migration rebuilds tables that others refer to
    except BaseException:
        await db.close()
        raise
    return db


def in_thread(db: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
    """Begin `work` in the driver's thread, after all that was begun before; the future ends with its result.

    It is one hop, however many statements `work` executes. A hop costs more than a short statement, since
    both threads must win the interpreter's lock for it.
    """
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    db._tx.put_nowait((future, partial(work, db._conn)))  # noqa: SLF001 - there is no public way
    return future


async def open_reader(data_dir: Path) -> aiosqlite.Connection:
    """Open a connection that can only read."""
    uri = (data_dir / FILE).resolve().as_uri() + "?mode=ro"
    db = await aiosqlite.connect(uri, uri=True, isolation_level=None)
    await db.execute("PRAGMA query_only = ON")
    return db


def refuse_lost(data_dir: Path) -> None:
    """Raise CONFLICT, naming what tells of it, where an instance was and its file is missing or has 0 bytes.

    Call it before SQLite opens the file: that deletes the log of one of 0 bytes. What a first start leaves when it
    is killed passes, for it makes the file first, and what tells of an instance when the first one is on disk.
    """
    path = data_dir / FILE
    if not path.exists():
        state, left = "is missing", [*_LATER, *_BESIDE]
    elif path.stat().st_size == 0:
        state, left = "is empty (0 bytes)", list(_LATER)
        log = data_dir / _BESIDE[0]
        if log.exists() and log.stat().st_size > 0:
            left.append(log.name)
    else:
        return
    found = [name for name in left if os.path.lexists(data_dir / name)]
    if found:
        rm = shlex.join(["rm", *(str(data_dir / name) for name in found)])
        raise LuotaError(
            Code.CONFLICT,
            f"{path} {state}, but {' and '.join(found)} beside it shows that it held data. Nothing was "
            f"changed. Restore a backup: luota restore FILE --data-dir {shlex.quote(str(data_dir))}. Or begin anew, "
            f"without that data: use another --data-dir, or {rm}",
        )


def _was_empty(path: Path) -> bool:
    """Tell whether the first transaction of an empty file was cut short: SQLite undoes it when it opens the file.

    A first start that is killed leaves that, and no reader can open it. The journal of SQLite begins so while the
    file must be undone, and has at its bytes 16 to 19 how many pages the file had.
    """
    try:
        with path.with_name(_BESIDE[2]).open("rb") as journal:
            head = journal.read(20)
    except OSError:
        return False
    return head[:8] == _JOURNAL and head[16:] == bytes(4)


async def _check(path: Path) -> None:
    """Refuse a file that is not ours or too new; no file is written or left beside it for that."""
    log, index, journal = (path.with_name(name) for name in _BESIDE)
    # An immutable file is read without a log and its index, which SQLite else makes and leaves behind. The log of a
    # killed process must be read: it may hold the version.
    alone = not log.exists() and not journal.exists()
    indexed = index.exists()
    try:
        await _judge(path, "mode=ro&immutable=1" if alone else "mode=ro")
    except LuotaError:
        if not indexed:
            index.unlink(missing_ok=True)
        raise


async def _judge(path: Path, how: str) -> None:
    try:
        db = await aiosqlite.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    except sqlite3.Error as error:
        raise LuotaError(Code.CONFLICT, f"{path} cannot be opened: {cause(error, path)}") from None
    try:
        application, version = await _value(db, "application_id"), await _value(db, "user_version")
        # Without an id and a version it is one that we had begun, if there is nothing in it yet.
        begun = application == 0 and version == 0 and not await db.execute_fetchall("SELECT 1 FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        raise LuotaError(Code.CONFLICT, f"{path} cannot be read as a database: {cause(error, path)}") from None
    finally:
        await db.close()
    known = len(migrations())
    if application != APPLICATION_ID and not begun:
        raise LuotaError(Code.CONFLICT, f"{path} is a database of another program. Use another --data-dir.")
    if version > known:
        raise LuotaError(
            Code.CONFLICT,
            f"{path} has schema {version}, this program knows schemas up to {known}. "
            "Install the newer Luota that wrote it; the file was not touched.",
        )


async def _migrate(db: aiosqlite.Connection) -> None:
    """Bring the schema up to date, each step in a transaction of its own."""
    version = await _value(db, "user_version")
    for number, script in enumerate(migrations()[version:], start=version + 1):
        await db.executescript(
            f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};\n"
            f"PRAGMA user_version = {number};\nCOMMIT;"
        )


async def _value(db: aiosqlite.Connection, pragma: str) -> Any:
    async with db.execute(f"PRAGMA {pragma}") as cursor:
        row = await cursor.fetchone()
    assert row is not None
    return row[0]
