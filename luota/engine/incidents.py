"""What people do to incidents: acknowledge, note and resolve."""

from luota.core.errors import Code, LuotaError
from luota.core.events import Resolve
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.work import Transaction, Work


def acknowledge(incident_id: str, reason: str, actor: Actor) -> Work:
    """Say that somebody works on it. CONFLICT when it is resolved; doing it twice changes nothing."""

    async def work(tx: Transaction) -> None:
        _, workspace_id, state = await _incident(tx, incident_id)
        if state == "resolved":
            raise LuotaError(Code.CONFLICT, "The incident is resolved already.")
        if state == "acknowledged":
            return
        await tx.execute(
            "UPDATE incidents SET state = 'acknowledged', acknowledged_at = ? WHERE id = ?",
            tx.now,
            incident_id,
        )
        _event(tx, incident_id, "acknowledged", reason, actor)
        audit(tx.batch, actor, workspace_id, "incident.acknowledge", incident_id, reason=reason)

    return work


def resolve(incident_id: str, reason: str, actor: Actor) -> Work:
    """End it on a person's word; the monitor is unverified until its next signal. CONFLICT when resolved."""

    async def work(tx: Transaction) -> None:
        monitor_id, workspace_id, state = await _incident(tx, incident_id)
        live = tx.batch.live(monitor_id)
        if state == "resolved" or live is None:
            raise LuotaError(Code.CONFLICT, "The incident is resolved already.")
        if reason:
            _event(tx, incident_id, "note", reason, actor)
        tx.batch.apply(live, Resolve(), tx.now)
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
    tx.batch.rows.add("incident_events", (incident_id, new_id(), tx.now, tx.now, type_, None, text, actor.name))
