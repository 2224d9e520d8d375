"""The writer: the one task that changes the file and the live state, in the order in which things came.

All that waits goes into the next transaction (group commit), so that the cost of an fsync is shared and
a single caller is not delayed by a timer. A failed commit changes no live state and answers 503.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import aiosqlite

from luota.clock import Clock
from luota.core.errors import Code, LuotaError
from luota.core.events import ClockBack
from luota.core.model import Window
from luota.engine import deliveries
from luota.engine.batch import Batch
from luota.engine.clocks import Clocks
from luota.engine.flight import Broken, Flight, Superseded, answer, planned, worked
from luota.engine.outage import Outage
from luota.engine.registry import Registry
from luota.engine.work import Command, Done, Item, Transaction, Work, settle
from luota.store import heartbeats, reads
from luota.store.db import in_thread, translated
from luota.store.reserve import Full, Reserve, make_room

log = logging.getLogger(__name__)

MOST_ITEMS = 256
"""Commands per transaction: bounds how long a ping can wait behind a herd of deadlines."""
AHEAD = 24
"""So many commands at least must wait before they are decided while another transaction is being committed."""
MOST_WAITING = 5_000
"""Commands that may wait; more than that, and the storage must be stuck."""
CHECKPOINT_ROWS = 20_000
"""Changed rows after which the log is checkpointed even under load; when idle, a tenth of it is enough."""


class Writer:
    """Owns the writing connection.

    `listening` says that this process hears signals: its commits then move the last-alive stamp, from
    which the next start tells how long nobody listened. `failure` says why commits fail at present; while it is
    that the disk is `full`, signals and verdicts are refused, and what is left goes to what makes room.
    """

    def __init__(self, db: aiosqlite.Connection, registry: Registry, clock: Clock, reserve: Reserve) -> None:
        self.listening = False
        self.failure: str | None = None
        self.committed_at = -1
        self.committed: Callable[[Batch], None] = lambda _: None
        self.full = asyncio.Event()
        self._db = db
        self._reserve = reserve
        self._registry = registry
        self._clock = clock
        self._loop = asyncio.get_running_loop()  # to ask for it costs a system call
        self._queue: deque[Item] = deque()
        self._waiting = asyncio.Event()
        self._wanted = 1
        self.closing = False
        self._unchecked = 0
        self._changed = 0  # rows, by the driver's count
        self._blind_since: int | None = None
        self._blind_reason = ""
        self.outage = Outage()
        self.clocks = Clocks(clock)
        self._clamped = 0
        self._cramped = False
        self._last_at = 0

    def submit(self, work: Command | Work) -> "asyncio.Future[Any]":
        """Queue a change. The future ends after COMMIT; cancelling its waiter does not cancel the change."""
        future = self._loop.create_future()
        self.queue(work, partial(settle, future))
        return future

    def queue(self, work: Command | Work, done: Done) -> None:
        """Queue a change and return; `done` is called at its end.

        Its instant is set here and never decreases along the queue: who was received first is judged first,
        however long the writer is busy. UNAVAILABLE when so much waits that the storage must be stuck.
        """
        if len(self._queue) >= MOST_WAITING:
            raise LuotaError(Code.UNAVAILABLE, "Storage unavailable: too much waits to be written.", retry_after=5)
        if self.full.is_set() and isinstance(work, Command):
            raise LuotaError(Code.UNAVAILABLE, "Storage unavailable: the disk is full.", retry_after=5)
        at = work.at if isinstance(work, Command) else 0
        item = Item(work, max(at or self._clock.now(), self._last_at), done)
        self._last_at = item.at
        self._queue.append(item)
        if len(self._queue) >= self._wanted:
            self._waiting.set()

    async def run(self) -> None:
        """Write until `close`, then until nothing is left to write.

        While one transaction is being committed the next is decided on top of it, and stands ready behind it:
        the driver's thread then need not wait for an event loop that is busy with requests.
        """
        flight: Flight | None = None
        while flight is not None or self._queue or not self.closing:
            if flight is not None:
                behind = await self._launch_behind(flight)
                await self._land(flight)
                flight = behind
            elif self._queue:
                flight = await self._launch()
            else:
                await self._until(1)
            if flight is None and self.full.is_set():
                await self._make_room()
            elif flight is None and (not self._queue or self._unchecked > CHECKPOINT_ROWS):
                await self._checkpoint()

    def abandon(self, error: Exception) -> None:
        """Answer all that waits with `error`, since `run` has ended and nobody will write it."""
        items = list(self._queue)
        self._queue.clear()
        answer(items, [error] * len(items))

    def close(self) -> None:
        """Let `run` return once all that is queued has been written."""
        self.closing = True
        self._waiting.set()

    async def _until(self, wanted: int) -> None:
        """Wait until so many changes wait, or something else has happened that `run` looks at."""
        self._wanted = wanted
        self._waiting.clear()
        await self._waiting.wait()

    def _take(self) -> list[Item]:
        """Take all that waits, up to a bound; a Transaction is alone in its own."""
        items: list[Item] = []
        while self._queue and len(items) < MOST_ITEMS:
            if not isinstance(self._queue[0].work, Command):
                if not items:
                    items.append(self._queue.popleft())
                break
            items.append(self._queue.popleft())
        return items

    async def _launch(self) -> Flight | None:
        """Begin the next transaction; None when it has ended already."""
        items = self._take()
        window = self._sense()
        if back := self._set_back():
            window = await self._clamp(items, window, back)
        return await self._begin(items, window)

    async def _launch_behind(self, flight: Flight) -> Flight | None:
        """Begin the next transaction behind `flight` once as much waits for it; None if `flight` ends before.

        Only commands fly behind, and only behind commands: all else needs what is live to be up to date.
        """
        wanted = max(len(flight.items), AHEAD)
        while not flight.ended.done():
            if not flight.shared or self._unchecked > CHECKPOINT_ROWS:
                return None
            if len(self._queue) < wanted:
                await self._until(wanted)
            elif not isinstance(self._queue[0].work, Command) or self._sense() is not None or self._set_back():
                return None
            else:
                items = self._take()
                try:
                    return await self._plan(items, None, flight)
                except Exception:  # noqa: BLE001 - it comes again, and is seen to, once `flight` has landed
                    self._queue.extendleft(reversed(items))
                    return None
        return None

    async def _land(self, flight: Flight) -> None:
        """Wait for the commit and answer everybody."""
        try:
            await self._finish(flight)
        except Exception as error:  # noqa: BLE001 - what is not the storage's fault is logged there
            await self._lost(flight.items, flight.window, error)
        else:
            # After the next transaction is on its way, for which the driver's thread waits.
            self._loop.call_soon(answer, flight.items, flight.results)

    async def _begin(self, items: list[Item], window: Window | None) -> Flight | None:
        try:
            return await self._plan(items, window, None)
        except Exception as error:  # noqa: BLE001 - what is not the storage's fault is logged there
            await self._lost(items, window, error)
            return None

    async def _lost(self, items: list[Item], window: Window | None, error: Exception) -> None:
        """Answer those whose transaction has failed, or see to it that they get another."""
        if isinstance(error, sqlite3.OperationalError):
            self._failed(error, items)
            answer(items, [translated(error)] * len(items))
        elif isinstance(error, Superseded):
            self._queue.extendleft(reversed(items))
        elif len(items) == 1:
            # A defect of ours: the storage works.
            log.error("a transaction failed", exc_info=error)
            answer(items, [error])
        else:  # one command must not take the others with it
            for item in items:
                flight = await self._begin([item], window)
                if flight is not None:
                    await self._land(flight)

    def _sense(self) -> Window | None:
        """Return the blind window that ends now, if Luota could not hear or write until now.

        That is a stretch of failed commits, or what the clocks tell since the last look.
        """
        look = self.clocks.look()
        if not self.listening or self.full.is_set():
            return None
        if self._blind_since is None:
            if look.deaf is None:
                return None
            self._blind_since, self._blind_reason = look.last, look.deaf
        return Window(min(self._blind_since, look.now), look.now, self._blind_reason)

    def _set_back(self) -> int:
        """Return by how much the clock was set back since what is remembered of the future was clamped."""
        return self.clocks.back - self._clamped if self.listening and not self.full.is_set() else 0

    async def blind(self, window: Window | None) -> None:
        """Record a blind window, if there is one, and make it known to every later verdict; for use before `run`.

        While nothing can be written it goes on, until the first commit that works.
        """
        try:
            if self._reserve.short:
                raise Full
            if window is not None:
                await self._write([], window)
        except sqlite3.Error as error:
            if window is not None:
                self._blind_since, self._blind_reason = window.start, window.reason
            self._failed(error, [])

    async def _clamp(self, items: list[Item], window: Window | None, back: int) -> Window | None:
        """Clamp all that is remembered of the future, `items` and what waits behind them included.

        The clock was set `back` by so much. Returns the window that is still to be recorded.
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
            await tx.execute(heartbeats.SET_BACK, now)
            await deliveries.set_back(tx, back)
            for live in list(self._registry.monitors.values()):
                state = live.state
                instants = (state.basis_at, state.since, state.set_at, state.last_signal_at, state.evidence_at)
                if max(*(at or 0 for at in instants), *(run.started_at for run in state.runs)) > now:
                    tx.batch.apply(live, ClockBack(), now)

        try:
            await self._write([Item(clamp, now, lambda _: None)], window)
        except sqlite3.OperationalError as error:
            self._failed(error, [])
            return window
        self._clamped += back
        return None

    async def _write(self, items: list[Item], window: Window | None) -> None:
        """Plan and commit `items`, which nobody waits for."""
        await self._finish(await self._plan(items, window, None))

    async def _plan(self, items: list[Item], window: Window | None, before: Flight | None) -> Flight:
        """Decide `items`, on top of `before` if given, and hand the commit to the driver's thread.

        `window` is a blind window that ends with this transaction: its verdicts know of it already.
        """
        known = self._registry.windows
        if window is not None:
            self._registry.windows = known.add(window)
        try:
            while True:
                batch = Batch(self._registry, self._clock.now(), None if before is None else before.batch)
                if not items:
                    results: list[Any] = []
                elif isinstance(items[0].work, Command):
                    await self._find_runs(batch, items)
                    results = planned(batch, items)
                else:
                    await self._db.execute("BEGIN IMMEDIATE")
                    results = [await worked(items[0].work, Transaction(batch, self._db, items[0].at))]
                if not results or not isinstance(results[-1], Broken):
                    break
                del items[results[-1].index]
            alive_at = batch.now if self.listening and not self.full.is_set() else None
            flight = Flight(batch, items, results, window, known, before, alive_at)
            if not flight.refused:
                batch.finish()
            elif before is None:
                self._registry.windows = known
                await self._roll_back()  # what a refused change has written already
        except BaseException:
            self._registry.windows = known
            if before is None:
                await self._roll_back()
            raise
        flight.ended = in_thread(self._db, flight.commit)
        flight.ended.add_done_callback(lambda _: self._waiting.set())
        return flight

    async def _finish(self, flight: Flight) -> None:
        """Wait for the commit; what was decided then holds."""
        try:
            changed = await flight.ended
        except BaseException:
            if flight.window is not None:
                self._registry.windows = flight.known
            await self._roll_back()
            raise
        self._unchecked, self._changed = self._unchecked + changed - self._changed, changed
        flight.batch.before = None
        if not flight.refused:
            self._committed(flight.batch, flight.window)

    def _committed(self, batch: Batch, window: Window | None) -> None:
        """After COMMIT: storage works, and what was decided holds."""
        self.committed_at = self._clock.monotonic()
        if not self.full.is_set():
            self.outage.passed(self.committed_at)
            self.failure = None
        if window is not None:
            self._blind_since = None
        batch.publish()
        self.committed(batch)

    async def _find_runs(self, batch: Batch, items: list[Item]) -> None:
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

    def _failed(self, error: sqlite3.Error, items: list[Item]) -> None:
        """Remember since when nothing is heard: since the oldest signal that is refused for it."""
        self.failure = str(error)
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            self.full.set()
            self._reserve.release()
        if self._blind_since is None:
            self._blind_since = min((item.at for item in items), default=self._clock.now())
            self._blind_reason = f"nothing could be written: {error}"
        newest = next((window.start for window in reversed(self._registry.windows.all)), None)
        self._blind_since = self.outage.failed(self.failure, self._blind_since, newest, self._clock.monotonic())

    async def _checkpoint(self) -> None:
        """Move the log into the file when nobody waits, so that it lands in nobody's COMMIT."""
        if not self._reserve.kept:
            self._reserve.keep()
        if self._unchecked < CHECKPOINT_ROWS // 10 or self.failure is not None:
            return
        self._unchecked = 0
        try:
            # Its row must be fetched: the next COMMIT is refused while this statement has one to give.
            await reads.fetch(self._db, "PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            log.warning("checkpoint failed: %s", error)

    async def _make_room(self) -> None:
        """On a full disk: see whether there is room again, by the checkpoint, by retention, or by somebody.

        When there was none at the last look, that it can be written again is tried at once, by a stamp at least:
        `failure` stands until a commit has worked, and signals are taken from now on.
        """
        self._unchecked = 0
        cramped = self._cramped
        self._cramped = not await in_thread(self._db, partial(make_room, reserve=self._reserve))
        if self._cramped:
            return
        self.full.clear()
        if cramped and (flight := await self._launch()) is not None:
            await self._land(flight)
