"""The two kinds of change that the writer takes: commands that share a transaction, and works that have their own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiosqlite

from luota.engine.batch import Batch
from luota.store import reads


class Command:
    """A change that can share a transaction: `plan` decides synchronously and stages all its rows.

    It raises a LuotaError before it stages anything, or not at all. `run_id` and `external` name the run
    that it needs to find in `batch.runs` and `batch.external`.
    """

    at: int = 0
    """The instant to which the change belongs: when it was received, or else submitted."""
    run_id: str | None = None
    external: tuple[str, str] | None = None

    def plan(self, batch: Batch) -> Any:
        """Stage the change in `batch` and return the caller's result."""
        raise NotImplementedError


class Transaction:
    """A change with a transaction of its own, which may read and write the file itself.

    `now` is the instant to which the change belongs: when it was submitted.
    """

    def __init__(self, batch: Batch, db: aiosqlite.Connection, now: int) -> None:
        self.batch = batch
        self.db = db
        self.now = now
        self.registry = batch.registry

    async def fetch(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query inside the transaction."""
        return await reads.fetch(self.db, sql, values)

    async def execute(self, sql: str, *values: Any) -> int:
        """Execute one statement; return how many rows it changed."""
        cursor = await self.db.execute(sql, values)
        await cursor.close()
        return cursor.rowcount

    async def execute_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute one statement for each of `rows`."""
        cursor = await self.db.executemany(sql, rows)
        await cursor.close()


Work = Callable[[Transaction], Awaitable[Any]]

Done = Callable[[Any], None]
"""Takes what a change came to, once: its result when it is on disk, or the error for which it is not.

It may be called inside the writer's task, so that it returns at once; and it raises nothing."""


class Item:
    """A change that waits, the instant to which it belongs, and what its caller wants called at its end."""

    __slots__ = ("at", "done", "work")

    def __init__(self, work: "Command | Work", at: int, done: Done) -> None:
        self.work = work
        self.at = at
        self.done = done


def settle(future: "asyncio.Future[Any]", result: Any) -> None:
    """End a caller's future with what its change came to, if it still waits."""
    if future.done():  # its caller has gone; what it asked for is on disk all the same
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
