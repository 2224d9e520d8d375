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


class Many(msgspec.Struct, frozen=True):
    """What came of it: the ids of the monitors that it changed, and why others were refused it, by id.

    `left` counts those that were as wished already. Whoever is in none of these cannot be found.
    """

    changed: frozenset[str] = frozenset()
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    left: int = 0


def pause_all(monitor_ids: Sequence[str], doc: dict[str, Any], actor: Actor) -> Work:
    """Pause monitors as `engine.monitors.pause` does, those that are paused already anew. INVALID as for one."""

    async def work(tx: Transaction) -> Many:
        event, detail = asked_pause(doc, tx.now)
        return await _apply(tx, monitor_ids, event, lambda _: True, actor, "monitor.pause", detail)

    return work


def resume_all(monitor_ids: Sequence[str], actor: Actor) -> Work:
    """End the pause of those monitors that are paused."""

    async def work(tx: Transaction) -> Many:
        return await _apply(
            tx, monitor_ids, Resume(), lambda live: live.state.pause is not None, actor, "monitor.resume", {}
        )

    return work


def tag_all(monitor_ids: Sequence[str], given: object, actor: Actor) -> Work:
    """Add tags to monitors, in place of those with the same keys.

    A monitor with too many others is refused them. INVALID for tags that no monitor can have.
    """

    async def work(tx: Transaction) -> Many:
        tags = parse_tags(given, "tags")
        changed, refused = set[str](), dict[str, str]()
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
                if after == before:
                    continue
                written.append((msgspec.json.encode(after).decode(), monitor_id))
                where = tx.registry.monitors[monitor_id].workspace_id
                detail = {"changes": {"tags": after}, "before": {"tags": before}}
                audit(tx.batch, actor, where, "monitor.edit", monitor_id, **detail)
                changed.add(monitor_id)
            await tx.execute_many("UPDATE monitors SET tags = ? WHERE id = ?", written)
        return Many(frozenset(changed), refused, len(chosen) - len(changed) - len(refused))

    return work


async def _apply(
    tx: Transaction,
    monitor_ids: Sequence[str],
    event: Event,
    concerned: Callable[[Live], bool],
    actor: Actor,
    action: str,
    detail: dict[str, Any],
) -> Many:
    changed, found = set[str](), list(_live(tx, monitor_ids))
    for chunk in _chunks([live.id for live in found if concerned(live)]):
        for monitor_id in chunk:
            live = tx.batch.live(monitor_id)
            if live is not None:
                tx.batch.apply(live, event, tx.now)
                audit(tx.batch, actor, live.workspace_id, action, monitor_id, **detail)
                changed.add(monitor_id)
        await asyncio.sleep(0)
    return Many(frozenset(changed), left=len(found) - len(changed))


def _live(tx: Transaction, monitor_ids: Sequence[str]) -> Iterator[Live]:
    """Yield the monitors that are neither archived nor twins of drills, each once."""
    for monitor_id in dict.fromkeys(monitor_ids):
        live = tx.batch.live(monitor_id)
        if live is not None and live.drill_of is None:
            yield live


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
