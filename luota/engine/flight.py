"""One transaction on its way to the file: decided on the event loop, committed in the driver's thread."""

import asyncio
import logging
import sqlite3
from typing import Any

from luota.core.errors import LuotaError
from luota.core.model import Window, Windows
from luota.engine.batch import Batch
from luota.engine.work import Command, Item, Transaction, Work
from luota.store.writes import execute

log = logging.getLogger(__name__)

_BLIND = (
    "INSERT INTO blind_windows (started_at, ended_at, reason) VALUES (?, ?, ?) "
    "ON CONFLICT (started_at) DO UPDATE SET ended_at = excluded.ended_at, reason = excluded.reason"
)


class Superseded(Exception):  # noqa: N818 - nothing went wrong with it
    """A transaction built on one that was not committed: it has to be decided anew."""


class Flight:
    """What was decided for `items`, with the `results` for their callers, and its commit.

    `window` is a blind window that ends with it, `known` the windows without it, `before` the transaction
    on which it builds, `alive_at` the last-alive stamp. When every change was `refused`, nothing is written.
    `committed` is set in the driver's thread; the future `ended` ends a little later on the event loop.
    """

    ended: "asyncio.Future[int]"

    def __init__(
        self,
        batch: Batch,
        items: list[Item],
        results: list[Any],
        window: Window | None,
        known: Windows,
        before: "Flight | None",
        alive_at: int | None,
    ) -> None:
        self.batch = batch
        self.items = items
        self.results = results
        self.window = window
        self.known = known
        self.before = before
        self.alive_at = alive_at
        self.shared = bool(items) and isinstance(items[0].work, Command)
        self.refused = bool(results) and all(isinstance(result, Exception) for result in results)
        self.committed = False

    def commit(self, db: sqlite3.Connection) -> int:
        """Write all rows and COMMIT, in the driver's thread; return how many rows the connection has changed so far.

        Raises Superseded when the transaction before was not committed.
        """
        if self.before is not None and not self.before.committed:
            raise Superseded
        self.before = None
        if not self.refused:
            self._write(db)
        self.committed = True
        return db.total_changes

    def _write(self, db: sqlite3.Connection) -> None:
        if not db.in_transaction:
            db.executescript("BEGIN IMMEDIATE")  # gives the interpreter's lock away once, `execute` three times
        if self.window is not None:
            db.execute(_BLIND, (self.window.start, self.window.end, self.window.reason))
        self.batch.rows.write(db)
        if self.alive_at is not None:
            execute(db, "UPDATE instance SET alive_at = ?", (self.alive_at,))
        db.commit()


class Broken:
    """A command whose plan raised what it should not; `index` is its place."""

    def __init__(self, index: int) -> None:
        self.index = index


def planned(batch: Batch, items: list[Item]) -> list[Any]:
    """Return what each command came to, an error for one that was refused; a Broken last where one broke."""
    results: list[Any] = []
    for index, item in enumerate(items):
        work = item.work
        assert isinstance(work, Command)
        work.at = item.at
        try:
            results.append(work.plan(batch))
        except LuotaError as error:
            results.append(error)
        except Exception as error:
            # A defect of ours in one command must not take the others with it.
            log.exception("a command failed")
            answer([item], [error])
            return [Broken(index)]
    return results


async def worked(work: "Command | Work", tx: Transaction) -> Any:
    """Return what a change with its own transaction came to, or the error that refused it."""
    assert not isinstance(work, Command)
    try:
        return await work(tx)
    except LuotaError as error:
        return error


def answer(items: list[Item], results: list[Any]) -> None:
    """Give every caller its result, or the error that refused it."""
    for item, result in zip(items, results, strict=True):
        try:
            item.done(result)
        except Exception:  # a defect of ours in one caller must not keep the others waiting
            log.exception("an answer failed")
