"""Retention: what is older than a workspace wants to keep is deleted, in transactions that ingest does not feel."""

import asyncio
import contextlib
import logging
import sqlite3

from luota.core.errors import LuotaError
from luota.core.retry import HORIZON
from luota.engine import Engine, sessions
from luota.engine.routes import GAPS_TOLD_FOR
from luota.engine.work import Transaction
from luota.store import heartbeats
from luota.store.deliveries import ON_ITS_WAY
from luota.store.reads import fetch

log = logging.getLogger(__name__)

DAY = 86_400_000
EVERY_S = 3600.0
FULL_S = 10.0
"""How often it is tried on a disk that stays full."""
PAUSE_S = 0.05
"""Between two transactions, so that signals always find the writer free."""
MOST_ROWS = 200
"""Per transaction."""
KEPT_WINDOWS = 1000

_RUNS = (
    "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE monitor_id = ?1 AND start_received_at < ?2 "
    "AND state <> 'running' ORDER BY start_received_at LIMIT ?3)"
)
_RUNS_KEPT_FROM = (
    "SELECT start_received_at FROM runs WHERE monitor_id = ? ORDER BY start_received_at DESC LIMIT 1 OFFSET ?"
)
_OLD_INCIDENTS = (
    "SELECT id FROM incidents WHERE workspace_id = ?1 AND state = 'resolved' AND resolved_at < ?2 "
    f"AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = incidents.id AND {ON_ITS_WAY}) LIMIT ?3"
)
_OLD_DELIVERIES = (
    "SELECT id FROM deliveries d WHERE workspace_id = ?1 AND incident_id IS NULL AND queued_at < ?2 "
    "AND (type <> 'watch.gap' OR queued_at < ?4) AND next_attempt_at IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM deliveries t WHERE t.told_by = d.id) LIMIT ?3"
)
"""Of no incident of their own, and no digest of one that is still kept: that has its proof and its attempts.

Notices of blind windows stay for as long as who heard of the window decides who else is to.
"""
_GAPS_KEPT = GAPS_TOLD_FOR + HORIZON


async def prune_for_ever(engine: Engine) -> None:
    """Prune once an hour, and when the disk is full, since that may make room.

    Storage that does not work is the writer's to tell of; here it is tried again.
    """
    while True:
        await asyncio.sleep(min(EVERY_S, FULL_S))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await engine.writer.full.wait()
        try:
            count = await prune(engine)
        except (LuotaError, sqlite3.Error):  # the writer tells of the storage; here it is tried again
            continue
        if count:
            log.info("retention: %d rows deleted", count)


async def prune(engine: Engine) -> int:
    """Delete all that has outlived its workspace's retention; return how many rows that were.

    Signals go after `retention_days`, or when a monitor has more than `retention_count`; incidents with
    their events and deliveries, and drills, after `incident_retention_days`, counted from their end; open ones never.
    A digest goes with the last incident that it tells.
    Sessions and links go when they have ended.
    """
    now = engine.clock.now()
    count: int = await engine.submit(_prune_windows)
    count += await engine.submit(sessions.prune)
    sql = "SELECT id, retention_days, retention_count, incident_retention_days FROM workspaces"
    for workspace_id, days, most, incident_days in await fetch(engine.reader, sql):
        signals_from = now - days * DAY
        monitors = await fetch(engine.reader, "SELECT id FROM monitors WHERE workspace_id = ?", (workspace_id,))
        for (monitor_id,) in monitors:
            count += await _repeat_heartbeats(engine, monitor_id, signals_from, most)
            beyond = await fetch(engine.reader, _RUNS_KEPT_FROM, (monitor_id, most - 1))
            kept_from = max(signals_from, beyond[0][0] if beyond else 0)
            count += await _repeat(engine, _RUNS, monitor_id, kept_from)
        incidents_from = now - incident_days * DAY
        count += await _repeat_incidents(engine, workspace_id, incidents_from)
        count += await _repeat_deliveries(engine, workspace_id, incidents_from)
        sql = (
            "DELETE FROM audit_entries WHERE id IN (SELECT id FROM audit_entries WHERE workspace_id = ?1 "
            "AND at < ?2 ORDER BY at LIMIT ?3)"
        )
        count += await _repeat(engine, sql, workspace_id, incidents_from)
        sql = (
            "DELETE FROM drills WHERE id IN (SELECT id FROM drills WHERE workspace_id = ?1 AND finished_at < ?2 "
            "ORDER BY finished_at LIMIT ?3)"
        )
        count += await _repeat(engine, sql, workspace_id, incidents_from)
    return count


async def _prune_windows(tx: Transaction) -> int:
    return await tx.execute(
        "DELETE FROM blind_windows WHERE started_at < (SELECT started_at FROM blind_windows "
        "ORDER BY started_at DESC LIMIT 1 OFFSET ?)",
        KEPT_WINDOWS - 1,
    )


async def _repeat(engine: Engine, sql: str, owner: str, before: int) -> int:
    """Execute a bounded DELETE until it finds nothing more."""
    total = 0
    probe = sql[sql.index("IN (SELECT") + 4 : -1]
    while await fetch(engine.reader, probe, (owner, before, 1)):

        async def work(tx: Transaction) -> int:
            return await tx.execute(sql, owner, before, MOST_ROWS)

        total += await engine.submit(work)
        await asyncio.sleep(PAUSE_S)
    return total


async def _repeat_heartbeats(engine: Engine, monitor_id: str, before: int, most: int) -> int:
    total = 0
    milestones = MOST_ROWS // heartbeats.EACH
    while await fetch(engine.reader, f"{heartbeats.EXPIRED} LIMIT 1", (monitor_id, before, most, 1)):

        async def work(tx: Transaction) -> int:
            sql = f"DELETE FROM heartbeats WHERE seq IN ({heartbeats.EXPIRED})"
            return await tx.execute(sql, monitor_id, before, most, milestones)

        total += await engine.submit(work)
        await asyncio.sleep(PAUSE_S)
    return total


async def _repeat_incidents(engine: Engine, workspace_id: str, before: int) -> int:
    total = 0
    while found := await fetch(engine.reader, _OLD_INCIDENTS, (workspace_id, before, MOST_ROWS // 10)):

        async def work(tx: Transaction, found: list[tuple[str]] = found) -> int:
            count = 0
            for (incident_id,) in found:
                count += await tx.execute(
                    "DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE incident_id = ?)",
                    incident_id,
                )
                for table, column in (
                    ("deliveries", "incident_id"),
                    ("incident_events", "incident_id"),
                    ("incidents", "id"),
                ):
                    count += await tx.execute(f"DELETE FROM {table} WHERE {column} = ?", incident_id)
            return count

        total += await engine.submit(work)
        await asyncio.sleep(PAUSE_S)
    return total


async def _repeat_deliveries(engine: Engine, workspace_id: str, before: int) -> int:
    total = 0
    while found := await fetch(
        engine.reader, _OLD_DELIVERIES, (workspace_id, before, MOST_ROWS, engine.clock.now() - _GAPS_KEPT)
    ):

        async def work(tx: Transaction, found: list[tuple[str]] = found) -> int:
            count = 0
            for (delivery_id,) in found:
                count += await tx.execute("DELETE FROM attempts WHERE delivery_id = ?", delivery_id)
                count += await tx.execute("DELETE FROM deliveries WHERE id = ?", delivery_id)
            return count

        total += await engine.submit(work)
        await asyncio.sleep(PAUSE_S)
    return total
