"""The body of a notice: one renderer, so that a new field is added in one place."""

from typing import Any

import msgspec

from luota.core.spec.monitors import Definition, definition_json
from luota.core.spec.values import format_instant
from luota.store.deliveries import Outgoing


def render(outgoing: Outgoing, monitor: Definition | None, channel: str) -> bytes:
    """Return the JSON body of a webhook (docs/webhook.md); the same for every attempt of a delivery.

    What happened is as it was when the notice was queued; the monitor's definition is the present one.
    """
    facts = msgspec.json.decode(outgoing.notice)
    body: dict[str, Any] = {
        "type": outgoing.type,
        "at": format_instant(facts["at"]),
        "summary": facts["reason"],
        "incident": _incident(outgoing, facts),
        "monitor": _monitor(outgoing, monitor),
        "delivery": {"id": outgoing.id, "channel": channel, "queuedAt": format_instant(outgoing.queued_at)},
    }
    if outgoing.type == "watch.gap":
        body["gap"] = {
            "from": format_instant(facts["from"]),
            "to": format_instant(facts["to"]),
            "unverified": facts["unverified"],
            "undecided": facts["undecided"],
        }
    return msgspec.json.encode(body)


def _incident(outgoing: Outgoing, facts: dict[str, Any]) -> dict[str, Any] | None:
    if outgoing.incident_id is None or outgoing.opened_at is None:
        return None
    resolved = facts["state"] == "resolved"
    acknowledged = outgoing.acknowledged_at is not None and outgoing.acknowledged_at <= facts["at"]
    expected = outgoing.expected_at
    return {
        "id": outgoing.incident_id,
        "kind": facts["kind"],
        "state": "acknowledged" if acknowledged and not resolved else facts["state"],
        "openedAt": format_instant(outgoing.opened_at),
        "expectedAt": None if expected is None else format_instant(expected),
        "resolvedAt": format_instant(facts["at"]) if resolved else None,
        "summary": facts["reason"],
    }


def _monitor(outgoing: Outgoing, monitor: Definition | None) -> dict[str, Any] | None:
    if outgoing.monitor_id is None:
        return None
    now = {} if monitor is None else definition_json(monitor)
    keep = ("slug", "mode", "schedule", "environment", "tags")
    # Promise, owner and runbook as they were when the incident opened: that is what was promised.
    return {
        "id": outgoing.monitor_id,
        "name": outgoing.monitor_name,
        "promise": outgoing.promise,
        "owner": outgoing.owner,
        "runbook": outgoing.runbook,
        **{key: now.get(key) for key in keep},
    }
