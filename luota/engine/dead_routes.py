"""Dead routes: who hears that a notice to a channel was given up, and that nothing was delivered by it since."""

from collections.abc import Iterable

import msgspec

from luota.engine.batch import Batch
from luota.engine.work import Transaction

_UNTOLD = (
    "SELECT id, name, type, failed_at, coalesce(failed_error, 'no reason given') FROM channels c WHERE {} = ?1 "
    "AND failed_at IS NOT NULL AND announced_at IS NULL AND removed_at IS NULL AND drill_of IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM deliveries d WHERE d.type = 'channel.failed' AND d.next_attempt_at IS NOT NULL AND {} "
    "AND json_extract(d.notice, '$.channel.id') = c.id)"
)
"""Dead routes of which no other channel was told since they fail, nor is to be: `call_off` leaves no older word."""
_THIS = _UNTOLD.format("id", "1")
# The plus sign keeps the planner off deliveries_due, by which it would search all that waits in the channel.
_ALL = _UNTOLD.format("workspace_id", "+d.channel_id = ?2")


async def announce(tx: Transaction, workspace_id: str, channel_id: str) -> None:
    """Tell the other channels of a workspace that one is a dead route, unless one of them was or is to be told."""
    _queue(tx, workspace_id, tx.registry.workspaces[workspace_id].channels, await tx.fetch(_THIS, channel_id))


async def tell_joined(tx: Transaction, workspace_id: str, channel_id: str) -> None:
    """Tell a channel, new or just proven, of the other dead routes of which nobody was told, nor itself is to be."""
    _queue(tx, workspace_id, (channel_id,), await tx.fetch(_ALL, workspace_id, channel_id))


def call_off(batch: Batch, channel_id: str, at: int, why: str) -> None:
    """Cancel what is still to be sent of a channel being a dead route: it is none any more."""
    batch.rows.add("unannounced", (at, f"the channel that it tells of {why}", channel_id))


def _queue(tx: Transaction, workspace_id: str, to: Iterable[str], dead: list[tuple[str, str, str, int, str]]) -> None:
    for dead_id, name, kind, failed_at, why in dead:
        facts = {
            "at": tx.now,
            "reason": f"The channel {name} is a dead route, a notice to it was given up: {why}",
            "channel": {"id": dead_id, "name": name, "type": kind, "error": why},
            "failing": failed_at,
        }
        notice = msgspec.json.encode(facts).decode()
        for channel_id in to:
            if channel_id != dead_id:
                tx.batch.queue(workspace_id, channel_id, None, None, "channel.failed", notice)
