"""The engine: every change of Luota is a command here, decided by the core and written by one writer."""

import asyncio
import contextlib
import gc
import secrets
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec

from luota.clock import Clock
from luota.core.errors import Code, LuotaError
from luota.core.events import Tick
from luota.core.machine import wake_at
from luota.core.model import OpenRun, Rules, Window, Windows
from luota.core.schedule import parse_schedule
from luota.core.spec.channels import parse_wants
from luota.core.wants import Wants
from luota.engine.batch import Batch, new_id
from luota.engine.changes import Changes
from luota.engine.registry import Live, LiveWorkspace, Registry
from luota.engine.work import Command, Transaction, Work
from luota.engine.writer import Writer
from luota.store import db as files
from luota.store import reads
from luota.store.reserve import Reserve, refuse_cramped
from luota.tasks import Died, spawn

SILENT_AFTER = 15_000
"""How long without a commit the daemon still counts as healthy; it commits every four seconds."""


class Judge(Command):
    """A tick for monitors whose deadline has come."""

    def __init__(self, monitor_ids: list[str]) -> None:
        self.monitor_ids = monitor_ids

    def plan(self, batch: Batch) -> None:
        """Stage every verdict that is due."""
        for monitor_id in self.monitor_ids:
            live = batch.live(monitor_id)
            if live is not None:
                batch.apply(live, Tick(), self.at)


class Engine:
    """The open data directory: its live state, its writer, a connection to read from.

    `open` → (`watch` when this process listens for signals, else `work`) → `submit` … → `close`.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        lock: files.OwnerLock,
        connections: tuple[aiosqlite.Connection, aiosqlite.Connection],
        registry: Registry,
        alive_at: int | None,
        reserve: Reserve,
    ) -> None:
        self.data_dir = data_dir
        self.clock = clock
        self.registry = registry
        self.alive_at = alive_at
        self.reader = connections[1]
        self.writer = Writer(connections[0], registry, clock, reserve)
        self.deadlines_changed = asyncio.Event()
        self.notices_queued = asyncio.Event()
        self.changes = Changes(clock.now())
        self.unverified_found = False
        self._lock = lock
        self._db = connections[0]
        self._task: asyncio.Task[Any] | None = None
        self.writer.committed = self._committed

    @classmethod
    async def open(cls, data_dir: Path, clock: Clock, purpose: str) -> "Engine":
        """Take the directory, bring its file to the present schema and load the live state.

        Creates both when they are missing. Raises CONFLICT when another process owns the directory or
        the file is not one that this program can write. On a full disk the reserve is given away for it.
        """
        lock = files.OwnerLock(data_dir)
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(purpose)
        except OSError as error:
            said = f"The data directory {data_dir} cannot be used: {error.strerror}."
            raise LuotaError(Code.CONFLICT, said) from None
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(lock.release)
            files.refuse_lost(data_dir)  # before the reserve, which tells of what is lost, is given away
            reserve = Reserve(data_dir)
            reserve.claim(make=False)
            with files.explained(data_dir / files.FILE):
                if not (reserve.kept or reserve.short):  # there was none to be tried or given away
                    refuse_cramped(data_dir)
                db = await files.open_writer(data_dir)
                undo.push_async_callback(db.close)
                await _initialise(db, clock.now())
                reader = await files.open_reader(data_dir)
                undo.push_async_callback(reader.close)
                registry, alive_at = await _load(db)
            reserve.claim(make=True)
            engine = cls(data_dir, clock, lock, (db, reader), registry, alive_at, reserve)
            undo.pop_all()
        return engine

    async def watch(self, died: Died) -> Window | None:
        """Begin to hear signals, now that the sockets listen: close and return the blind window, if any."""
        now = self.clock.now()
        self.writer.listening = True
        self.unverified_found = True  # by a process that died before it could tell
        window = None
        if self.alive_at is not None and self.alive_at < now:
            window = Window(self.alive_at, now, "Luota was not running")
        await self.writer.blind(window)
        self._start(died)
        return window

    def work(self, died: Died) -> None:
        """Begin to take commands without hearing signals: the blind window since the last daemon goes on."""
        now = self.clock.now()
        if self.alive_at is not None and self.alive_at < now:
            window = Window(self.alive_at, now, "Luota is not running")
            self.registry.windows = self.registry.windows.add(window)
        self._start(died)

    def submit(self, work: "Command | Work") -> "asyncio.Future[Any]":
        """Do one change and return its result once it is on disk.

        Raises the LuotaError that refuses it, UNAVAILABLE when it could not be made durable. A cancelled
        caller does not cancel the change.
        """
        return self.writer.submit(work)

    async def judge(self, now: int, most: int = 128) -> bool:
        """Judge up to `most` monitors whose deadline is at or before `now`; tell whether any was due."""
        due = self.registry.deadlines.pop_due(now, most)
        if not due:
            return False
        try:
            await self.submit(Judge(due))
        finally:
            # What was not judged, since storage failed or the clock was set back, falls due again.
            for monitor_id in due:
                live = self.registry.monitors.get(monitor_id)
                if live is not None:
                    self.registry.deadlines.set(monitor_id, wake_at(live.state))
        return True

    async def stamp(self, *, regular: bool = False) -> None:
        """Commit, so that the last-alive stamp is fresh and the storage is known to work.

        A `regular` one is followed by others, every few seconds: a longer pause is then a blind window (clocks.STILL).
        """
        self.writer.clocks.stamped |= regular

        async def nothing(tx: Transaction) -> None:
            pass

        await self.submit(nothing)

    def sickness(self) -> str | None:
        """Return why events cannot be made durable at present, or None."""
        if (failing := self.failing()) is not None:
            return failing
        committed_at = self.writer.committed_at
        if committed_at < 0 or self.clock.monotonic() - committed_at > SILENT_AFTER:
            return "no write has been committed lately"
        return None

    def failing(self) -> str | None:
        """Return why writes, all or some of them, are tried and fail, or None; a restart would mend nothing."""
        if self.writer.failure is not None:
            return f"nothing can be written: {self.writer.failure}"
        return self.writer.outage.sickness(self.clock.monotonic())

    async def close(self) -> None:
        """Write all that was submitted, then give the directory back."""
        self.writer.close()
        if self._task is not None:
            await asyncio.wait([self._task])  # however it ended, the connections must be closed
        await self.reader.close()
        await self._db.close()
        self._lock.release()

    def _start(self, died: Died) -> None:
        def ended(name: str, error: BaseException | None) -> None:
            if error is not None or not self.writer.closing:
                self.writer.abandon(LuotaError(Code.UNAVAILABLE, "Storage unavailable: the writer has ended."))
                died(name, error)

        self._task = spawn(self.writer.run(), "writer", ended)

    def _committed(self, batch: Batch) -> None:
        self.deadlines_changed.set()
        self.changes.publish(batch.changed(), batch.turned.union(batch.concerns))
        if batch.queued_notice:
            self.notices_queued.set()
        if batch.found_unverified:
            self.unverified_found = True


async def _initialise(db: aiosqlite.Connection, now: int) -> None:
    """Give a new file its instance row and a first workspace."""
    if await reads.fetch(db, "SELECT 1 FROM instance"):
        return
    await db.execute("BEGIN IMMEDIATE")
    await db.execute("INSERT INTO instance VALUES (1, ?, ?, NULL)", (secrets.token_bytes(32), now))
    await db.execute(
        "INSERT INTO workspaces (id, name, slug, token_salt, created_at) VALUES (?, 'Default', 'default', ?, ?)",
        (new_id(), secrets.token_hex(16), now),
    )
    await db.execute("COMMIT")


async def _load(db: aiosqlite.Connection) -> tuple[Registry, int | None]:
    """Read the live state; return it with the last-alive stamp."""
    ((secret, alive_at),) = await reads.fetch(db, "SELECT signing_secret, alive_at FROM instance")
    registry = Registry(secret)
    registry.windows = Windows(await reads.windows(db))
    channels: dict[str, tuple[str, ...]] = {}
    wants: dict[str, dict[str, Wants]] = {}
    sql = (
        "SELECT workspace_id, id, rules FROM channels WHERE removed_at IS NULL AND drill_of IS NULL "
        "ORDER BY created_at, id"
    )
    for workspace_id, channel_id, rules in await reads.fetch(db, sql):
        channels[workspace_id] = (*channels.get(workspace_id, ()), channel_id)
        wants.setdefault(workspace_id, {})[channel_id] = parse_wants(msgspec.json.decode(rules))
    for id_, name, slug, salt in await reads.fetch(db, "SELECT id, name, slug, token_salt FROM workspaces"):
        registry.workspaces[id_] = LiveWorkspace(id_, name, slug, salt, channels.get(id_, ()), {}, wants.get(id_, {}))
    sql = (
        "SELECT r.monitor_id, r.channel_id FROM monitor_channels r JOIN channels c ON c.id = r.channel_id "
        "WHERE c.removed_at IS NULL"
    )
    for monitor_id, channel_id in await reads.fetch(db, sql):
        registry.routes[monitor_id] = (*registry.routes.get(monitor_id, ()), channel_id)
    ((last,),) = await reads.fetch(db, "SELECT coalesce(max(last_heartbeat), 0) FROM monitor_states")
    registry.last_heartbeat = last
    runs = await reads.open_runs(db)
    # 100,000 rows make the collector walk the growing heap again and again, and none of them is garbage.
    gc.disable()
    try:
        await files.in_thread(db, partial(_load_monitors, registry, runs))
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)  # a request leaves next to no cycles: the default looks for them in vain
    return registry, alive_at


def _load_monitors(registry: Registry, runs: dict[str, tuple[OpenRun, ...]], db: sqlite3.Connection) -> None:
    rules: dict[tuple[Any, ...], Rules] = {}
    workspaces = {workspace_id: workspace_id for workspace_id in registry.workspaces}
    lives = registry.monitors
    for definition, row in reads.monitor_rows(db):
        key = definition[5:]
        shared = rules.get(key)
        if shared is None:
            try:
                shared = rules[key] = _rules(*key)
            except LuotaError as error:
                # A timezone, say, that the system's data no longer has. Not to watch it would be silence.
                said = f"Monitor {definition[2]} cannot be watched: {error.message}"
                raise LuotaError(Code.CONFLICT, f"{said} Give this host what it needs (tzdata?).") from None
        monitor_id, workspace_id, slug, salt, drill_of = definition[:5]
        state = reads.state_of(row, runs.get(monitor_id, ()))
        lives[monitor_id] = Live(
            monitor_id, workspaces[workspace_id], slug, salt, shared, state, row[1], drill_of, row[2], row[3]
        )
    registry.index()


def _rules(mode: str, schedule: str | None, grace: int, runtime: int, freshness: int, tolerance: int) -> Rules:
    parsed = None if schedule is None else parse_schedule(msgspec.json.decode(schedule))
    return Rules(
        mode=reads.MODES[mode],
        schedule=parsed,
        grace=grace,
        max_runtime=runtime,
        freshness=freshness,
        tolerance=tolerance,
    )
