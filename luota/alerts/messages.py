"""A notice as JSON, for machines: the body of a webhook (docs/webhook.md)."""

from typing import Any

import msgspec

from luota.alerts.notice import IncidentFacts, Named, Notice
from luota.alerts.words import OUTPUT_CHARACTERS
from luota.core.evidence import RunFacts
from luota.core.spec.values import SECOND, format_instant
from luota.core.text import tail


def body_of(notice: Notice) -> dict[str, Any]:
    """Return the body of a notice. Texts are exact: it is for the receiver to escape them."""
    body: dict[str, Any] = {
        "type": notice.type,
        "at": format_instant(notice.at),
        "summary": notice.summary,
        "incident": None if notice.incident is None else _incident(notice, notice.incident),
        "monitor": _monitor(notice),
        "run": None if notice.run is None else _run(notice.run),
        "signal": _signal(notice),
        "changes": [{"label": c.label, "before": c.before, "after": c.after} for c in notice.changes],
        "delivery": {
            "id": notice.delivery_id,
            "channel": notice.channel,
            "queuedAt": format_instant(notice.queued_at),
        },
    }
    gap = notice.gap
    if gap is not None:
        body["gap"] = {
            "from": format_instant(gap.start),
            "to": format_instant(gap.end),
            "unverified": [{**_named(m), "reason": m.reason} for m in gap.unverified],
            "undecided": [{**_named(m), "decidedAt": _iso(m.decided_at)} for m in gap.undecided],
        }
    if notice.drill:
        body["drill"] = True
    dead = notice.dead
    if dead is not None:
        body["channel"] = {"id": dead.id, "name": dead.name, "type": dead.type, "error": dead.error}
    return body


def encode(notice: Notice) -> bytes:
    """Return the body as it is sent."""
    return msgspec.json.encode(body_of(notice))


def _iso(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


def _incident(notice: Notice, incident: IncidentFacts) -> dict[str, Any]:
    lasted = incident.lasted
    return {
        "id": incident.id,
        "kind": incident.kind,
        "state": incident.state,
        "openedAt": format_instant(incident.opened_at),
        "expectedAt": _iso(incident.expected_at),
        "resolvedAt": _iso(incident.resolved_at),
        "durationSeconds": None if lasted is None else lasted // SECOND,
        "summary": notice.summary,
        "openedSummary": incident.opened_summary,
        "firstNotice": incident.first_notice,
        "openAgainAt": _iso(incident.open_again_at),
        "url": incident.url,
    }


def _monitor(notice: Notice) -> dict[str, Any] | None:
    monitor = notice.monitor
    if monitor is None:
        return None
    rules = monitor.rules
    schedule = None if rules is None or rules.schedule is None else rules.schedule.json()
    return {
        "id": monitor.id,
        "name": monitor.name,
        "promise": monitor.promise,
        "owner": monitor.owner,
        "runbook": monitor.runbook,
        "slug": monitor.slug,
        "mode": None if rules is None else rules.mode.value,
        "schedule": schedule,
        "graceSeconds": monitor.grace // SECOND,
        "timezone": monitor.timezone,
        "environment": monitor.environment,
        "tags": monitor.tags,
    }


def _run(run: RunFacts) -> dict[str, Any]:
    duration = run.duration
    return {
        "id": run.id,
        "externalRunId": run.external_run_id,
        "state": run.state,
        "startedAt": format_instant(run.started_at),
        "finishedAt": _iso(run.finished_at),
        "durationSeconds": None if duration is None else duration // SECOND,
        "summary": run.summary,
        "exitCode": run.exit_code,
        "outputTail": None if run.output is None else tail(run.output, OUTPUT_CHARACTERS),
        "host": run.host,
        "deploySha": run.deploy_sha,
        "environment": run.environment,
        "tags": run.tags,
    }


def _signal(notice: Notice) -> dict[str, Any] | None:
    signal = notice.signal
    if signal is None:
        return None
    return {"receivedAt": format_instant(signal.at), "host": signal.host, "deploySha": signal.deploy_sha}


def _named(monitor: Named) -> dict[str, Any]:
    return {"id": monitor.id, "name": monitor.name, "timezone": monitor.timezone}
