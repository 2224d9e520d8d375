"""Who hears of an incident later on: when channels join or leave while it is open, or a notice of it is given up."""

from collections.abc import Iterable, Mapping

import msgspec

from luota.core.wants import EVERYTHING
from luota.engine.registry import Live
from luota.engine.work import Transaction
from luota.store.deliveries import DELIVERED, GIVEN_UP, ON_ITS_WAY, TOLD, UNTRIED

_CALL_OFF = (
    "UPDATE deliveries AS w SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?1, "
    "last_error = 'the monitor was routed to other channels before an attempt' "
    "WHERE w.incident_id = ?2 AND w.next_attempt_at IS NOT NULL "
    "AND w.channel_id NOT IN (SELECT value FROM json_each(?3)) AND NOT EXISTS "
    "(SELECT 1 FROM deliveries d WHERE d.incident_id = w.incident_id AND d.channel_id = w.channel_id "
    f"AND NOT {UNTRIED})"
)
_OF_NOTICE = (
    "FROM deliveries d JOIN incidents i ON i.id IN (SELECT d.incident_id UNION ALL "
    "SELECT json_extract(value, '$.incident') FROM json_each(d.notice, '$.incidents')) "
)
"""A notice or a digest `d`, and each incident `i` of which it tells."""
_TELLS_OF = f"SELECT DISTINCT i.monitor_id {_OF_NOTICE} WHERE d.id = ?"


def _channels(what: str) -> str:
    """Return SQL for the channels, as JSON, with a delivery `e` of the incident `i` that is so."""
    return f"(SELECT json_group_array(e.channel_id) FROM deliveries e WHERE e.incident_id = i.id AND {what})"


_TOLD_NOBODY = (
    f"SELECT i.id, i.kind, i.summary, {_channels(GIVEN_UP)}, {_channels(ON_ITS_WAY)}, {_channels(TOLD)} "
    "FROM incidents i WHERE i.id IN (SELECT value FROM json_each(?)) AND NOT EXISTS "
    f"(SELECT 1 FROM deliveries e WHERE e.incident_id = i.id AND {DELIVERED}) ORDER BY i.opened_at"
)
_ENDED_UNTOLD = (
    "SELECT i.workspace_id, i.id, i.monitor_id, i.kind, i.resolved_at - i.opened_at, "
    f"json_remove(r.notice, '$.begun'), {_channels(TOLD)} {_OF_NOTICE} "
    "JOIN deliveries r ON r.seq = (SELECT max(e.seq) FROM deliveries e WHERE e.incident_id = i.id "
    "AND e.type = 'incident.resolved') "
    "WHERE d.id = ? AND json_extract(r.notice, '$.drill') IS NULL AND NOT EXISTS "
    f"(SELECT 1 FROM deliveries e WHERE e.incident_id = i.id AND ({DELIVERED} OR {ON_ITS_WAY})) ORDER BY i.resolved_at"
)
"""The incidents of a notice that ended, no drills, of which nobody was or is to be told, with the notice of the end."""


async def tell_where_routed(
    tx: Transaction, moved: Iterable[tuple[Live, tuple[str, ...]]], everybody: tuple[str, ...]
) -> None:
    """Queue the opening of each monitor's open incident to its own channels from now on, or else to everybody.

    Nothing is queued if anybody was told of it already, or one of them is about to be; nor to one that had a notice
    of it, which was given up. Where that leaves none of its own, the others of `everybody`, the channels of its
    workspace, are told. A channel to which it is not routed, and that was attempted nothing of it, hears nothing.
    What this very transaction opened is not in the file yet: it is told where the monitor was routed before.
    """
    opened = [(live, own) for live, own in moved if live.incident_id is not None]
    await tx.execute_many(_CALL_OFF, [(tx.now, live.incident_id, _json(own or everybody)) for live, own in opened])
    await _tell(tx, [live for live, _ in opened], {live.id: own for live, own in opened}, everybody)


async def tell_channel(tx: Transaction, workspace_id: str, channel_id: str) -> None:
    """Queue the openings of a workspace's open incidents that no channel was told of, and this one may hear of now.

    It is new, or wants more notices from now on. Where the monitors go is as it was: nothing is called off.
    """
    everybody = tuple(dict.fromkeys((*tx.registry.workspaces[workspace_id].channels, channel_id)))
    lives = (live for live in tx.registry.monitors.values() if live.workspace_id == workspace_id)
    await _tell(tx, lives, tx.registry.routes, everybody)


async def tell_others(tx: Transaction, delivery_id: str) -> None:
    """Queue notices of those incidents that a delivery told in vain, where nobody else was told of them.

    It is a notice or a digest, and given up: the file has that already. They go to channels that had no notice of them:
    the opening of what is open still; of what has ended, the end, which tells both.
    """
    await _tell_ends(tx, delivery_id)
    found = [tx.registry.monitors.get(monitor_id) for (monitor_id,) in await tx.fetch(_TELLS_OF, delivery_id)]
    if lives := [live for live in found if live is not None]:  # all of the one workspace of their channel
        everybody = tx.registry.workspaces[lives[0].workspace_id].channels
        await _tell(tx, lives, tx.registry.routes, everybody)


async def _tell(
    tx: Transaction, lives: Iterable[Live], own: Mapping[str, tuple[str, ...]], everybody: tuple[str, ...]
) -> None:
    """Queue the openings of the monitors' open incidents of which no notice was delivered to anybody yet.

    First to each one's `own` channels, by the monitor's id, or else to `everybody`, the channels of its workspace: to
    none that had a notice of it, and not while one of them is still to be told. If that is nobody and a notice of it
    was given up, then to everybody on the same terms. If nothing was given up, its own channels do not want to hear of
    it: no other is told in their place.

    One query, however many incidents are open: the writer holds up all signals meanwhile.
    """
    opened = {live.incident_id: live for live in lives if live.incident_id is not None}
    for incident_id, kind, summary, *channels in await tx.fetch(_TOLD_NOBODY, _json(opened)):
        given_up, on_its_way, have_one = (set(msgspec.json.decode(one)) for one in channels)
        live = opened[incident_id]
        routes = own.get(live.id) or everybody
        if not on_its_way.isdisjoint(routes):
            continue
        facts = {"at": tx.now, "kind": kind, "state": "open", "reason": summary}
        told = tx.batch.notify(live, "incident.opened", incident_id, facts, _without(have_one, routes))
        if not told and given_up and on_its_way.isdisjoint(everybody):
            tx.batch.notify(live, "incident.opened", incident_id, facts, _without(have_one, everybody))


async def _tell_ends(tx: Transaction, delivery_id: str) -> None:
    """Queue the ends of incidents that ended and were told in vain to all, as far as the other channels want ends."""
    for workspace_id, incident_id, monitor_id, kind, lasted, notice, told in await tx.fetch(_ENDED_UNTOLD, delivery_id):
        workspace = tx.registry.workspaces[workspace_id]
        for channel_id in _without(set(msgspec.json.decode(told)), workspace.channels):
            wants = workspace.wants.get(channel_id, EVERYTHING)
            # By when it ended: it is given up up to 72 hours later, so the queue's own rule for the delay fails here.
            if wants.hears("incident.resolved", kind) == "always" and lasted >= wants.delay:
                tx.batch.queue(workspace_id, channel_id, incident_id, monitor_id, "incident.resolved", notice)


def _without(some: set[str], channels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(channel_id for channel_id in channels if channel_id not in some)


def _json(texts: Iterable[str]) -> str:
    return msgspec.json.encode(list(texts)).decode()
