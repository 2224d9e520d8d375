"""What people do to incidents: acknowledge, note and resolve."""

from msgspec import Struct

from luota.core.errors import Code, LuotaError
from luota.core.events import Resolve
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_event_id
from luota.engine.changes import INCIDENTS
from luota.engine.work import Transaction, Work


class Taken(Struct, frozen=True):
    """An acknowledgement: by whom, when (UTC milliseconds), and why."""

    actor: str | None
    at: int
    reason: str


def acknowledge(incident_id: str, reason: str, actor: Actor) -> Work:
    """Say that somebody works on it. CONFLICT when it is resolved.

    The first one counts: another changes nothing, and its result is the first. The first one's own is None.
    """

    async def work(tx: Transaction) -> Taken | None:
        _, workspace_id, state = await _incident(tx, incident_id)
        if state == "resolved":
            raise LuotaError(Code.CONFLICT, "The incident is resolved already.")
        if state == "acknowledged":
            sql = "SELECT actor, at, text FROM incident_events WHERE incident_id = ? AND type = 'acknowledged' LIMIT 1"
            ((by, at, why),) = await tx.fetch(sql, incident_id)
            return Taken(by, at, why)
        await tx.execute(
            "UPDATE incidents SET state = 'acknowledged', acknowledged_at = ? WHERE id = ?",
            tx.now,
            incident_id,
        )
        _event(tx, incident_id, "acknowledged", reason, actor)
        tx.batch.concern(workspace_id, INCIDENTS)
        audit(tx.batch, actor, workspace_id, "incident.acknowledge", incident_id, reason=reason)
        return None

    return work


def resolve(incident_id: str, reason: str, actor: Actor) -> Work:
    """End it on a person's word; the monitor is unverified until its next signal. CONFLICT when resolved."""

    async def work(tx: Transaction) -> None:
        monitor_id, workspace_id, state = await _incident(tx, incident_id)
        live = tx.batch.live(monitor_id)
        if state == "resolved" or live is None:
            raise LuotaError(Code.CONFLICT, "The incident is resolved already.")
        tx.batch.apply(live, Resolve(actor.name, reason), tx.now)
        audit(tx.batch, actor, workspace_id, "incident.resolve", incident_id, reason=reason)

    return work


def note(incident_id: str, text: str, actor: Actor) -> Work:
    """Add a note to the timeline of an incident, which may be resolved."""

    async def work(tx: Transaction) -> None:
        _, workspace_id, _ = await _incident(tx, incident_id)
        _event(tx, incident_id, "note", text, actor)
        audit(tx.batch, actor, workspace_id, "incident.note", incident_id)

    return work


async def _incident(tx: Transaction, incident_id: str) -> tuple[str, str, str]:
    sql = "SELECT monitor_id, workspace_id, state FROM incidents WHERE id = ?"
    rows = await tx.fetch(sql, incident_id)
    if not rows:
        raise LuotaError(Code.NOT_FOUND, "Incident not found")
    monitor_id, workspace_id, state = rows[0]
    return monitor_id, workspace_id, state


def _event(tx: Transaction, incident_id: str, type_: str, text: str, actor: Actor) -> None:
    tx.batch.rows.add("incident_events", (incident_id, new_event_id(), tx.now, tx.now, type_, None, text, actor.name))
