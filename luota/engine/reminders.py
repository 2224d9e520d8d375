"""Reminders while an incident stays open and nobody has acknowledged it: per monitor, off by default."""

import asyncio
import sqlite3

import msgspec

from luota.core.errors import LuotaError
from luota.core.wants import EVERYTHING
from luota.engine import Engine
from luota.engine.work import Transaction
from luota.store.deliveries import ON_ITS_WAY
from luota.store.reads import fetch

EVERY_S = 30.0

_DUE = (
    "SELECT i.id, i.monitor_id, i.kind, i.summary FROM incidents i JOIN monitors m ON m.id = i.monitor_id "
    "WHERE i.state = 'open' AND m.reminder_ms > 0 AND m.archived_at IS NULL "
    "AND coalesce(i.reminded_at, i.opened_at) + m.reminder_ms <= ?"
)

_WAITING = f"SELECT e.channel_id FROM deliveries e WHERE e.incident_id = ? AND {ON_ITS_WAY}"


async def remind_for_ever(engine: Engine) -> None:
    """Remind of what is due, every half minute. Storage that does not work is tried again."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            if await fetch(engine.reader, _DUE + " LIMIT 1", (engine.clock.now(),)):
                await engine.submit(remind)
        except (LuotaError, sqlite3.Error):  # the writer tells of the storage; here it is tried again
            continue


async def remind(tx: Transaction) -> None:
    """Queue one reminder for each incident that is due one, to the channels that hear of openings.

    Not while its monitor is paused (docs/alerts.md, "Reminders"), and not to a channel to which an earlier notice of
    the incident, or a digest that tells it, is still on its way: reminders do not pile up before a route that is down.
    """
    for incident_id, monitor_id, kind, summary in await tx.fetch(_DUE, tx.now):
        live = tx.batch.live(monitor_id)
        if live is None or live.state.pause is not None:
            continue
        await tx.execute("UPDATE incidents SET reminded_at = ? WHERE id = ?", tx.now, incident_id)
        waiting = {channel_id for (channel_id,) in await tx.fetch(_WAITING, incident_id)}
        wants = tx.registry.workspaces[live.workspace_id].wants
        facts = {"at": tx.now, "kind": kind, "state": "open", "reason": summary}
        notice = msgspec.json.encode(facts).decode()
        for channel_id in tx.registry.channels_of(live):
            wanted = wants.get(channel_id, EVERYTHING)
            if channel_id not in waiting and wanted.hears("incident.reminder", kind) == "always":
                tx.batch.tell(live, channel_id, wanted, incident_id, "incident.reminder", notice)
