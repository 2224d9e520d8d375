"""The writer: the one task that changes the file and the live state, in the order in which things came.

All that waits goes into the next transaction (group commit), so that the cost of an fsync is shared and
a single caller is not delayed by a timer. A failed commit changes no live state and answers 503.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiosqlite

from luota.clock import Clock
from luota.core.errors import Code, LuotaError
from luota.core.events import ClockBack
from luota.core.model import Window
from luota.engine.batch import Batch
from luota.engine.registry import Registry
from luota.store import reads
from luota.store.db import in_thread, translated
from luota.store.writes import Rows

log = logging.getLogger(__name__)

MOST_ITEMS = 256
"""Commands per transaction: bounds how long a ping can wait behind a herd of deadlines."""
JUMP = 5_000
"""A step of the wall clock against the monotonic one by more than this is a blind window."""
BACK = 1_000
"""A step back by more than this clamps what is remembered of the future; less is the clock being disciplined."""
MOST_WAITING = 5_000
"""Commands that may wait; more than that, and the storage must be stuck."""
CHECKPOINT_ROWS = 20_000
"""Rows after which the log is checkpointed even under load; when idle, a tenth of it is enough."""


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


_BLIND = (
    "INSERT INTO blind_windows (started_at, ended_at, reason) VALUES (?, ?, ?) "
    "ON CONFLICT (started_at) DO UPDATE SET ended_at = excluded.ended_at, reason = excluded.reason"
)

Work = Callable[[Transaction], Awaitable[Any]]


class _Item:
    """A change that waits, the instant to which it belongs, and the future of its caller."""

    __slots__ = ("at", "future", "work")

    def __init__(self, work: "Command | Work", at: int) -> None:
        self.work = work
        self.at = at
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Writer:
    """Owns the writing connection.

    `listening` says that this process hears signals: its commits then move the last-alive stamp, from
    which the next start tells how long nobody listened. `failure` says why commits fail at present.
    """

    def __init__(self, db: aiosqlite.Connection, registry: Registry, clock: Clock) -> None:
        self.listening = False
        self.failure: str | None = None
        self.committed_at = -1
        self.committed: Callable[[Batch], None] = lambda _: None
        self._db = db
        self._registry = registry
        self._clock = clock
        self._queue: deque[_Item] = deque()
        self._waiting = asyncio.Event()
        self.closing = False
        self._unchecked = 0
        self._blind_since: int | None = None
        self._blind_reason = ""
        self._set_back = False
        self._last_at = 0
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def submit(self, work: Command | Work) -> "asyncio.Future[Any]":
        """Queue a change. The future ends after COMMIT; cancelling its waiter does not cancel the change.

        Its instant is set here and never decreases along the queue: who was received first is judged first,
        however long the writer is busy. UNAVAILABLE when so much waits that the storage must be stuck.
        """
        if len(self._queue) >= MOST_WAITING:
            raise LuotaError(Code.UNAVAILABLE, "Storage unavailable: too much waits to be written.", retry_after=5)
        at = work.at if isinstance(work, Command) else 0
        item = _Item(work, max(at or self._clock.now(), self._last_at))
        self._last_at = item.at
        self._queue.append(item)
        self._waiting.set()
        return item.future

    async def run(self) -> None:
        """Write until `close`, then until nothing is left to write."""
        while self._queue or not self.closing:
            if not self._queue:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            await self._cycle()
            if not self._queue or self._unchecked > CHECKPOINT_ROWS:
                await self._checkpoint()

    def abandon(self, error: BaseException) -> None:
        """Answer all that waits with `error`, since `run` has ended and nobody will write it."""
        for item in self._queue:
            if not item.future.done():
                item.future.set_exception(error)
        self._queue.clear()

    def close(self) -> None:
        """Let `run` return once all that is queued has been written."""
        self.closing = True
        self._waiting.set()

    async def _cycle(self) -> None:
        """Write one transaction with all that waits, up to a bound; a Transaction is alone in its own."""
        items: list[_Item] = []
        while self._queue and len(items) < MOST_ITEMS:
            if not isinstance(self._queue[0].work, Command):
                if not items:
                    items.append(self._queue.popleft())
                break
            items.append(self._queue.popleft())
        window = self._sense()
        if self._set_back:
            window = await self._clamp(items, window)
        await self._attempt(items, window)

    async def _attempt(self, items: list[_Item], window: Window | None) -> None:
        """Write `items` and answer them."""
        try:
            results = await self._write(items, window)
        except sqlite3.OperationalError as error:
            self._failed(error, items)
            _answer(items, [translated(error)] * len(items))
        except Exception as error:
            # A defect of ours: the storage works. One command must not take the others with it.
            if len(items) == 1:
                log.exception("a transaction failed")
                _answer(items, [error])
                return
            for item in items:
                await self._attempt([item], window)
        else:
            _answer(items, results)

    def _sense(self) -> Window | None:
        """Return the blind window that ends now, if Luota could not hear or write until now.

        That is a stretch of failed commits, or a jump of the wall clock since the last look.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        jump = (now - self._wall) - (monotonic - self._monotonic)
        last, self._wall, self._monotonic = self._wall, now, monotonic
        if not self.listening:
            return None
        if jump < -BACK:
            log.warning("the clock was set back by %.1f s; remembered instants are clamped to now", -jump / 1000)
            self._set_back = True
        if jump > JUMP:
            log.warning("the clock jumped forward by %.1f s: a suspend, or it was set", jump / 1000)
            if self._blind_since is None:
                self._blind_since, self._blind_reason = last, "the host was suspended or its clock was set forward"
        if self._blind_since is None:
            return None
        return Window(min(self._blind_since, now), now, self._blind_reason)

    async def blind(self, window: Window) -> None:
        """Record a blind window and make it known to every later verdict; for use before `run`.

        While nothing can be written it goes on, until the first commit that works.
        """
        try:
            await self._write([], window)
        except sqlite3.Error as error:
            self._blind_since, self._blind_reason = window.start, window.reason
            self._failed(error, [])

    async def _clamp(self, items: list[_Item], window: Window | None) -> Window | None:
        """Clamp all that is remembered of the future, `items` and what waits behind them included.

        Returns the window that is still to be recorded.
        """
        now = self._clock.now()
        self._last_at = now
        for item in (*items, *self._queue):
            item.at = min(item.at, now)

        async def clamp(tx: Transaction) -> None:
            # A window that lies in the future would excuse what is still to come.
            await tx.execute("DELETE FROM blind_windows WHERE started_at >= ?", now)
            await tx.execute("UPDATE blind_windows SET ended_at = min(ended_at, ?)", now)
            tx.registry.windows = tx.registry.windows.until(now)
            for live in list(self._registry.monitors.values()):
                state = live.state
                instants = (state.basis_at, state.since, state.set_at, state.signal_at, state.evidence_at)
                if max(*(at or 0 for at in instants), *(run.started_at for run in state.runs)) > now:
                    tx.batch.apply(live, ClockBack(), now)

        try:
            await self._write([_Item(clamp, now)], window)
        except sqlite3.OperationalError as error:
            self._failed(error, [])
            return window
        self._set_back = False
        return None

    async def _write(self, items: list[_Item], window: Window | None = None) -> list[Any]:
        """Plan and commit `items`; return their results, an exception for each that was refused.

        `window` is a blind window that ends with this transaction: its verdicts know of it already.
        """
        known = self._registry.windows
        while True:
            batch = Batch(self._registry, self._clock.now())
            if window is not None:
                self._registry.windows = known.add(window)
            try:
                if not items:
                    results: list[Any] = []
                elif isinstance(items[0].work, Command):
                    await self._find_runs(batch, items)
                    results = _planned(batch, items)
                else:
                    await self._db.execute("BEGIN IMMEDIATE")
                    results = [await _worked(items[0].work, Transaction(batch, self._db, items[0].at))]
                if results and isinstance(results[-1], _Broken):
                    del items[results[-1].index]
                    self._registry.windows = known
                    continue
                if results and all(isinstance(result, Exception) for result in results):
                    await self._roll_back()  # and with it what a refused change has written already
                    self._registry.windows = known
                    return results
                batch.finish()
                alive_at = batch.now if self.listening else None
                self._unchecked += await in_thread(self._db, partial(_commit, batch.rows, window, alive_at))
            except BaseException:
                self._registry.windows = known
                await self._roll_back()
                raise
            self._committed(batch, window)
            return results

    def _committed(self, batch: Batch, window: Window | None) -> None:
        """After COMMIT: storage works, and what was decided holds."""
        self.committed_at = self._clock.monotonic()
        if self.failure is not None:
            log.warning("storage works again")
        self.failure = None
        if window is not None:
            self._blind_since = None
        batch.publish()
        self.committed(batch)

    async def _find_runs(self, batch: Batch, items: list[_Item]) -> None:
        """Read the runs that the commands refer to, in one query each way."""
        ids = {item.work.run_id for item in items if isinstance(item.work, Command) and item.work.run_id}
        keys = {item.work.external for item in items if isinstance(item.work, Command) and item.work.external}
        if ids:
            batch.runs = {row.id: row for row in await reads.runs_by_id(self._db, ids)}
        if keys:
            found = await reads.runs_by_external(self._db, keys)
            batch.external = {(row.monitor_id, row.external_run_id): row for row in found}

    async def _roll_back(self) -> None:
        """Leave no transaction open: a failed COMMIT may, and after some errors none is left to end."""
        if self._db.in_transaction:
            try:
                await self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.warning("rollback failed: %s", error)

    def _failed(self, error: sqlite3.Error, items: list[_Item]) -> None:
        """Remember since when nothing is heard: since the oldest signal that is refused for it."""
        if self.failure is None:
            log.error("nothing can be written: %s; signals are answered with 503 until it works again", error)
        self.failure = str(error)
        if self._blind_since is None:
            self._blind_since = min((item.at for item in items), default=self._clock.now())
            self._blind_reason = f"nothing could be written: {error}"

    async def _checkpoint(self) -> None:
        """Move the log into the file when nobody waits, so that it lands in nobody's COMMIT."""
        if self._unchecked < CHECKPOINT_ROWS // 10 or self.failure is not None:
            return
        self._unchecked = 0
        try:
            # Its row must be fetched: the next COMMIT is refused while this statement has one to give.
            await reads.fetch(self._db, "PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            log.warning("checkpoint failed: %s", error)


class _Broken:
    """A command whose plan raised what it should not; `index` is its place."""

    def __init__(self, index: int) -> None:
        self.index = index


def _commit(rows: Rows, window: Window | None, alive_at: int | None, db: sqlite3.Connection) -> int:
    """Write the rows of a transaction and COMMIT, in the driver's thread; return how many rows there were."""
    if not db.in_transaction:
        db.execute("BEGIN IMMEDIATE")
    if window is not None:
        db.execute(_BLIND, (window.start, window.end, window.reason))
    count = rows.write(db)
    if alive_at is not None:
        db.execute("UPDATE instance SET alive_at = ?", (alive_at,))
    db.execute("COMMIT")
    return count


def _planned(batch: Batch, items: list[_Item]) -> list[Any]:
    results: list[Any] = []
    for index, item in enumerate(items):
        work, future = item.work, item.future
        assert isinstance(work, Command)
        work.at = item.at
        try:
            results.append(work.plan(batch))
        except LuotaError as error:
            results.append(error)
        except Exception as error:
            # A defect of ours in one command must not take the others with it.
            log.exception("a command failed")
            if not future.done():
                future.set_exception(error)
            return [_Broken(index)]
    return results


async def _worked(work: "Command | Work", tx: Transaction) -> Any:
    assert not isinstance(work, Command)
    try:
        return await work(tx)
    except LuotaError as error:
        return error


def _answer(items: list[_Item], results: list[Any]) -> None:
    for item, result in zip(items, results, strict=True):
        future = item.future
        if future.done():  # its caller has gone; what it asked for is on disk all the same
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
