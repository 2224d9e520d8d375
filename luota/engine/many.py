"""What people do to several monitors at once: one transaction for all of them, one audit entry for each.

Archived monitors and the twins of drills are left out.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from luota.core.errors import LuotaError
from luota.core.events import Event, Resume
from luota.core.spec.values import parse_tags
from luota.engine.audit import Actor, audit
from luota.engine.monitors import asked_pause
from luota.engine.registry import Live
from luota.engine.work import Transaction, Work

_CHUNK = 25
"""Monitors that are decided before others get their turn on the event loop."""

Refused = dict[str, str]
"""Why a monitor stays as it was, by its id."""


def pause_all(monitor_ids: Sequence[str], doc: dict[str, Any], actor: Actor) -> Work:
    """Pause monitors as `engine.monitors.pause` does, those that are paused already anew.

    The result is empty: nothing can keep a monitor from being paused. INVALID as for one.
    """

    async def work(tx: Transaction) -> Refused:
        event, detail = asked_pause(doc, tx.now)
        return await _apply(tx, monitor_ids, event, lambda _: True, actor, "monitor.pause", detail)

    return work


def resume_all(monitor_ids: Sequence[str], actor: Actor) -> Work:
    """End the pause of those monitors that are paused; the result is empty."""

    async def work(tx: Transaction) -> Refused:
        return await _apply(
            tx, monitor_ids, Resume(), lambda live: live.state.pause is not None, actor, "monitor.resume", {}
        )

    return work


def tag_all(monitor_ids: Sequence[str], tags: dict[str, str], actor: Actor) -> Work:
    """Add tags to monitors, in place of those with the same keys.

    The result is why a monitor cannot have them: it has too many others. INVALID for tags that no monitor can have.
    """

    async def work(tx: Transaction) -> Refused:
        parse_tags(tags, "tags")
        refused: Refused = {}
        chosen = [live.id for live in _live(tx, monitor_ids)]
        for chunk in _chunks(chosen):
            places = ", ".join("?" * len(chunk))
            found = await tx.fetch(f"SELECT id, tags FROM monitors WHERE id IN ({places})", *chunk)
            written = []
            for monitor_id, kept in found:
                before = msgspec.json.decode(kept)
                try:
                    after = parse_tags({**before, **tags}, "tags")
                except LuotaError as error:
                    refused[monitor_id] = error.message
                    continue
                written.append((msgspec.json.encode(after).decode(), monitor_id))
                where = tx.registry.monitors[monitor_id].workspace_id
                changed = {"changes": {"tags": after}, "before": {"tags": before}}
                audit(tx.batch, actor, where, "monitor.edit", monitor_id, **changed)
            await tx.execute_many("UPDATE monitors SET tags = ? WHERE id = ?", written)
        return refused

    return work


async def _apply(
    tx: Transaction,
    monitor_ids: Sequence[str],
    event: Event,
    concerned: Callable[[Live], bool],
    actor: Actor,
    action: str,
    detail: dict[str, Any],
) -> Refused:
    for chunk in _chunks([live.id for live in _live(tx, monitor_ids) if concerned(live)]):
        for monitor_id in chunk:
            live = tx.batch.live(monitor_id)
            if live is not None:
                tx.batch.apply(live, event, tx.now)
                audit(tx.batch, actor, live.workspace_id, action, monitor_id, **detail)
        await asyncio.sleep(0)
    return {}


def _live(tx: Transaction, monitor_ids: Sequence[str]) -> Iterator[Live]:
    """Yield the monitors that are neither archived nor twins of drills, each once."""
    for monitor_id in dict.fromkeys(monitor_ids):
        live = tx.batch.live(monitor_id)
        if live is not None and live.drill_of is None:
            yield live


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
