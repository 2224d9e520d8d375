"""Who changed what, when, from where: one entry per change, in the change's own transaction."""

from typing import Any

import msgspec

from luota.engine.batch import Batch, new_id


class Actor(msgspec.Struct, frozen=True):
    """Who asks for a change, and from where."""

    name: str
    source: str


def audit(batch: Batch, actor: Actor, workspace_id: str | None, action: str, target: str, **detail: Any) -> None:
    """Record a change. `detail` must hold no secret: a reader of the log may not learn one.

    It concerns the `target` and all of its kind, which is the first word of the action: a page that lists `channel`s
    knows the id of no new one.
    """
    if workspace_id is not None:
        batch.concern(workspace_id, target, action.partition(".")[0])
    row = (new_id(), workspace_id, batch.now, actor.name, actor.source, action, target)
    batch.rows.add("audit_entries", (*row, msgspec.json.encode(detail).decode()))
