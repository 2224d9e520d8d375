"""Who hears of an incident later on: when a channel joins or leaves while it is open, or what told of it is lost."""

from collections.abc import Collection, Iterable

import msgspec

from luota.core.spec.values import DAY
from luota.core.wants import EVERYTHING
from luota.engine.registry import Live, without
from luota.engine.work import Transaction
from luota.store.deliveries import DELIVERED, LOST, ON_ITS_WAY, TOLD, UNTRIED

GAPS_TOLD_FOR = 7 * DAY
"""How long after its end a blind window is told to a channel that joins. A notice is tried for three days itself."""

_CALL_OFF = (
    "UPDATE deliveries AS w SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?1, "
    "last_error = 'the monitor was routed to other channels before an attempt' "
    "WHERE w.incident_id = ?2 AND w.next_attempt_at IS NOT NULL "
    "AND w.channel_id IN (SELECT value FROM json_each(?3)) AND NOT EXISTS "
    "(SELECT 1 FROM deliveries d WHERE d.incident_id = w.incident_id AND d.channel_id = w.channel_id "
    f"AND NOT {UNTRIED})"
)
_OF_NOTICES = (
    "FROM deliveries d JOIN incidents i ON i.id IN (SELECT d.incident_id UNION ALL "
    "SELECT json_extract(value, '$.incident') FROM json_each(d.notice, '$.incidents')) "
    "WHERE d.id IN (SELECT value FROM json_each(?)) "
)
"""Notices and digests `d`, and each incident `i` of which they tell."""
_TELL_OF = f"SELECT DISTINCT i.monitor_id {_OF_NOTICES}"


def _channels(what: str) -> str:
    """Return SQL for the channels, as JSON, with a delivery `e` of the incident `i` that is so."""
    return f"(SELECT json_group_array(e.channel_id) FROM deliveries e WHERE e.incident_id = i.id AND {what})"


_TOLD_NOBODY = (
    "SELECT i.id, i.kind, i.summary, "
    f"EXISTS (SELECT 1 FROM deliveries e WHERE e.incident_id = i.id AND {LOST}), "
    f"{_channels(ON_ITS_WAY)}, {_channels(TOLD)} "
    "FROM incidents i WHERE i.id IN (SELECT value FROM json_each(?)) AND NOT EXISTS "
    f"(SELECT 1 FROM deliveries e WHERE e.incident_id = i.id AND {DELIVERED}) ORDER BY i.opened_at"
)
_ENDED_UNTOLD = (
    "SELECT i.workspace_id, i.id, i.monitor_id, i.kind, i.resolved_at - i.opened_at, "
    f"r.notice, {_channels(TOLD)} FROM incidents i "
    "JOIN deliveries r ON r.seq = (SELECT max(e.seq) FROM deliveries e WHERE e.incident_id = i.id "
    f"AND e.type = 'incident.resolved') WHERE i.id IN (SELECT i.id {_OF_NOTICES}) "
    "AND json_extract(r.notice, '$.drill') IS NULL AND NOT EXISTS "
    f"(SELECT 1 FROM deliveries e WHERE e.incident_id = i.id AND ({DELIVERED} OR {ON_ITS_WAY})) ORDER BY i.resolved_at"
)
"""The incidents of notices that ended, no drills, of which nobody was or is to be told, with the notice of the end."""

# By the window, not by the queue: a clock that is set back moves what waits, but no word of a notice.
_SAME = (
    "FROM deliveries e WHERE e.type = 'watch.gap' AND e.workspace_id = d.workspace_id "
    "AND json_extract(e.notice, '$.to') = json_extract(d.notice, '$.to') AND e.notice = d.notice"
)
_GAPS_UNTOLD = (
    f"SELECT d.notice, (SELECT json_group_array(e.channel_id) {_SAME}) FROM deliveries d "
    f"WHERE d.type = 'watch.gap' AND {{0}} AND NOT EXISTS (SELECT 1 {_SAME} "
    "AND (e.state = 'delivered' OR (e.next_attempt_at IS NOT NULL AND {1}))) GROUP BY d.notice ORDER BY min(d.seq)"
)
"""What notices of blind windows say that nobody has heard, nor certain channels are to, and all that were to."""
_GAPS_LOST = _GAPS_UNTOLD.format("d.id IN (SELECT value FROM json_each(?))", "TRUE")
_GAPS_TO_JOINING = _GAPS_UNTOLD.format(
    "d.workspace_id = ?1 AND json_extract(d.notice, '$.to') >= ?2", "e.channel_id = ?3"
)

Heard = tuple[Live, tuple[str, ...], Collection[str]]
"""A monitor, the channels that it names, and those that join: who hear of it from now on, or are to hear anew."""


async def tell_where_routed(tx: Transaction, live: Live, own: tuple[str, ...]) -> None:
    """Call off what a monitor's open incident was to tell where it is not routed any more, and tell whom it is now.

    It names the channels `own` from now on. Called off is what goes to a channel that it leaves, and that was attempted
    nothing of the incident; what goes elsewhere stays. The channels that it did not go to before join. What this very
    transaction opened is not in the file yet: it is told where the monitor was routed before.
    """
    everybody = tx.registry.workspaces[live.workspace_id].channels
    before, after = tx.registry.channels_of(live), own or everybody
    await tx.execute(_CALL_OFF, tx.now, live.incident_id, _json(without(after, before)))
    await _tell(tx, [(live, own, without(before, after))], everybody)


async def tell_channel(tx: Transaction, workspace_id: str, channel_id: str) -> None:
    """Let a channel join all monitors of its workspace that go there: it is new, wants more notices, or was proven.

    It hears of the latest blind windows too of which nobody heard, though it may have lost them before.
    """
    everybody = tuple(dict.fromkeys((*tx.registry.workspaces[workspace_id].channels, channel_id)))
    lives = (live for live in tx.registry.monitors.values() if live.workspace_id == workspace_id)
    heard = ((live, tx.registry.routes.get(live.id, ()), (channel_id,)) for live in lives)
    await _tell(tx, heard, everybody)
    for notice, _ in await tx.fetch(_GAPS_TO_JOINING, workspace_id, tx.now - GAPS_TOLD_FOR, channel_id):
        tx.batch.queue(workspace_id, channel_id, None, None, "watch.gap", notice)


async def tell_without(tx: Transaction, workspace_id: str, channel_id: str, lost: list[str]) -> None:
    """Tell the others of a channel's workspace what the deliveries `lost` with it were to tell.

    The file has it by now that the channel is gone, and they with it. All others join a monitor that named it alone.
    """
    others = without((channel_id,), tx.registry.workspaces[workspace_id].channels)
    await _tell_gaps(tx, workspace_id, lost, others)
    await _tell_ends(tx, lost, others)
    heard = []
    for live in tx.registry.monitors.values():
        if live.workspace_id == workspace_id:
            own = tx.registry.routes.get(live.id, ())
            heard.append((live, without((channel_id,), own), others if own == (channel_id,) else ()))
    await _tell(tx, heard, others)


async def tell_others(tx: Transaction, delivery_id: str) -> None:
    """Tell the other channels what a notice or a digest was to tell that is given up: the file has that already."""
    ((workspace_id,),) = await tx.fetch("SELECT workspace_id FROM deliveries WHERE id = ?", delivery_id)
    everybody = tx.registry.workspaces[workspace_id].channels
    await _tell_gaps(tx, workspace_id, [delivery_id], everybody)
    await _tell_ends(tx, [delivery_id], everybody)
    found = [tx.registry.monitors.get(monitor_id) for (monitor_id,) in await tx.fetch(_TELL_OF, _json([delivery_id]))]
    heard = [(live, tx.registry.routes.get(live.id, ()), ()) for live in found if live is not None]
    await _tell(tx, heard, everybody)


async def _tell(tx: Transaction, heard: Iterable[Heard], everybody: tuple[str, ...]) -> None:
    """Queue the openings of the monitors' open incidents of which no notice was delivered to anybody.

    They go to the channels that each one names or else to `everybody`, the channels of its workspace; to the others of
    these if all was lost (`Hears`). A channel that joins gets one unless it has one on its way, any other if it never
    had one.

    One query, however many incidents are open, and the others are asked where something was lost alone: the writer
    holds up all signals meanwhile.
    """
    opened = {one[0].incident_id: one for one in heard if one[0].incident_id is not None}
    for incident_id, kind, summary, lost, *channels in await tx.fetch(_TOLD_NOBODY, _json(opened)):
        on_its_way, had = (set(msgspec.json.decode(one)) for one in channels)
        live, own, joining = opened[incident_id]
        facts = {"at": tx.now, "kind": kind, "state": "open", "reason": summary}
        asked = everybody if lost else own or everybody
        to = tuple(one for one in asked if one not in (on_its_way if one in joining else had))
        tx.batch.notify(live, "incident.opened", incident_id, facts, own or everybody, to)


async def _tell_ends(tx: Transaction, lost: list[str], everybody: tuple[str, ...]) -> None:
    """Queue the ends, which tell both, of incidents that ended and of which the deliveries `lost` told nobody.

    They go to those of `everybody`, the channels of their workspace, that had no notice of them, as far as these want
    ends.
    """
    for workspace_id, incident_id, monitor_id, kind, lasted, notice, had in await tx.fetch(_ENDED_UNTOLD, _json(lost)):
        workspace = tx.registry.workspaces[workspace_id]
        for channel_id in without(msgspec.json.decode(had), everybody):
            wants = workspace.wants.get(channel_id, EVERYTHING)
            # By when it ended: it is given up up to 72 hours later, so the queue's own rule for the delay fails here.
            if wants.hears("incident.resolved", kind) == "always" and lasted >= wants.delay:
                tx.batch.queue(workspace_id, channel_id, incident_id, monitor_id, "incident.resolved", notice)


async def _tell_gaps(tx: Transaction, workspace_id: str, lost: list[str], everybody: tuple[str, ...]) -> None:
    """Queue notices of blind windows that are `lost`, and that nobody heard nor is to, where they never were.

    They go to those of `everybody`, the channels of their workspace.
    """
    for notice, had in await tx.fetch(_GAPS_LOST, _json(lost)):
        for channel_id in without(msgspec.json.decode(had), everybody):
            tx.batch.queue(workspace_id, channel_id, None, None, "watch.gap", notice)


def _json(texts: Iterable[str]) -> str:
    return msgspec.json.encode(list(texts)).decode()
