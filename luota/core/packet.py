"""The evidence packet of one incident: all that is known of it, and its form as JSON (docs/packets.md).

The form for people is `luota.core.packet_markdown`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from luota.core.evidence import Change, RunFacts, changes
from luota.core.model import Window
from luota.core.spec.monitors import Definition, definition_json
from luota.core.spec.values import SECOND, format_instant

FORMAT = 1
"""The number of the JSON format; a key that changes its meaning or goes raises it."""

EXPECTED = {
    "missed": "a signal",
    "stuck": "the run to have ended",
    "failed": "a run that succeeds",
    "stale": "fresh output",
}
"""What was expected where an incident of this kind opened."""

DELIVERY_WORDS = {
    "delivered": "delivered",
    "queued": "queued",
    "failed_retrying": "failed, retrying",
    "failed_terminal": "failed, terminal",
    "cancelled": "cancelled",
}
"""What people read of the state of a delivery."""

MOVED = (
    "If a window of more than a minute hid what was due, the wait began anew at its end: for the next occurrence, "
    "or for a full interval. What was due in a shorter one got a minute more to arrive."
)
"""Why something may have been expected later than a signal lets one think: docs/verdicts.md in short."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class IncidentFacts(Struct, frozen=True):
    """The incident. Name, promise, owner and runbook of its monitor are as they were when it opened.

    `summary` is the reason of the verdict, `expected_at` the occurrence or the limit that decided it.
    `evidence_count` are misses and failures, the first included, `evidence_at` the newest of them.
    """

    id: str
    kind: str
    state: str
    opened_at: int
    expected_at: int | None
    summary: str
    evidence_count: int
    evidence_at: int
    acknowledged_at: int | None
    resolved_at: int | None
    resolution: str | None
    monitor_name: str
    promise: str | None
    owner: str | None
    runbook: str | None


class Edit(Struct, frozen=True):
    """An edit of the definition since the opening: when, by whom, and which keys it was about."""

    at: int
    actor: str
    keys: tuple[str, ...]


class Drill(Struct, frozen=True):
    """The monitor is the twin of another one and failed on purpose. `kind` is None once the drill is forgotten."""

    monitor_id: str
    monitor_name: str
    kind: str | None


class MonitorFacts(Struct, frozen=True):
    """The monitor as it is now, and what was edited since the incident opened."""

    id: str
    definition: Definition
    archived_at: int | None
    edits: tuple[Edit, ...] = ()

    @property
    def timezone(self) -> str:
        """The zone of its schedule, in which people read its times."""
        return self.definition.rules.timezone


class Run(Struct, frozen=True):
    """A run with all that its job sent; payloads are JSON texts exactly as they came.

    `effective_at` is the instant from which its start counts (docs/verdicts.md, "Times of clients").
    """

    facts: RunFacts
    effective_at: int
    start_received_at: int
    finish_received_at: int | None
    limit_at: int
    late: bool
    skewed: bool
    start_payload: str | None
    close_payload: str | None


class Signal(Struct, frozen=True):
    """A ping; its payload is JSON text exactly as it came."""

    id: str
    received_at: int
    occurred_at: int
    effective_at: int
    late: bool
    skewed: bool
    host: str | None
    deploy_sha: str | None
    payload: str | None


class Event(Struct, frozen=True):
    """A line of the timeline. `actor` is None where Luota itself acted."""

    at: int
    recorded_at: int
    type: str
    kind: str | None
    text: str
    actor: str | None


class Attempt(Struct, frozen=True):
    """One attempt to deliver; `status` and `error` are what the destination answered. Instants are UTC milliseconds."""

    number: int
    started_at: int
    finished_at: int
    ok: bool
    status: int | None
    error: str | None
    provider_id: str | None

    @property
    def duration(self) -> int:
        """How long it took, in milliseconds."""
        return max(0, self.finished_at - self.started_at)


class Delivery(Struct, frozen=True):
    """One notice to one channel, with every attempt. `told_by` is the id of the digest that was to tell it.

    `next_attempt_at` is the earliest instant of the next attempt, None when none follows. `waits_for` tells what puts
    it off: "rest" of the channel, "order" (an earlier notice of its incident goes first), or the channel's "delay".
    """

    id: str
    channel: str
    channel_type: str
    notice: str
    state: str
    queued_at: int
    next_attempt_at: int | None
    finished_at: int | None
    last_error: str | None
    provider_id: str | None
    told_by: str | None
    waits_for: str | None
    attempts: tuple[Attempt, ...] = ()

    @property
    def since(self) -> int:
        """When it came to be as it is: at its end, else at the end of its last attempt, else as it was queued."""
        if self.finished_at is not None:
            return self.finished_at
        return self.attempts[-1].finished_at if self.attempts else self.queued_at


class Packet(Struct, frozen=True, kw_only=True):
    """The evidence of one incident. Instants are UTC milliseconds.

    `run` is the run that the incident is about; where it is about none, the newest one that had begun by the
    opening. `healthy` is the last healthy run before `run`, `signal` the newest ping received by the opening.
    `windows` are the blind windows on record from `windows_since` to the end of the incident, or to the export: the
    newest hundred, and `earlier_windows` of them before those. They begin at the last signal before the opening, or at
    the start of `run` if that is earlier; where no signal is on record, at the creation of the monitor.
    """

    incident: IncidentFacts
    monitor: MonitorFacts
    drill: Drill | None
    run: Run | None
    healthy: Run | None
    signal: Signal | None
    events: tuple[Event, ...]
    deliveries: tuple[Delivery, ...]
    windows_since: int
    windows: tuple[Window, ...]
    earlier_windows: int
    exported_at: int
    version: str

    @property
    def changes(self) -> tuple[Change, ...] | None:
        """What differs in `run` from the last healthy run before it; None where there are no two to compare."""
        if self.run is None or self.healthy is None:
            return None
        return changes(self.run.facts, self.healthy.facts)


def local_time(at: int, timezone: str) -> str:
    """Return an instant as a clock of that zone shows it, `2026-11-23T07:00:00.000+02:00`."""
    moment = (_EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(timezone))
    return moment.isoformat(timespec="milliseconds")


def to_json(packet: Packet) -> dict[str, Any]:
    """Return the packet as a JSON object of format 1 (docs/packets.md, "JSON"). Texts are exact."""
    incident, monitor = packet.incident, packet.monitor
    found = packet.changes
    expected = incident.expected_at
    return {
        "format": FORMAT,
        "exportedAt": format_instant(packet.exported_at),
        "luotaVersion": packet.version,
        "incident": {
            "id": incident.id,
            "kind": incident.kind,
            "state": incident.state,
            "reason": incident.summary,
            "openedAt": format_instant(incident.opened_at),
            "acknowledgedAt": _iso(incident.acknowledged_at),
            "resolvedAt": _iso(incident.resolved_at),
            "resolution": incident.resolution,
            "evidenceCount": incident.evidence_count,
            "lastEvidenceAt": format_instant(incident.evidence_at),
        },
        "drill": None if packet.drill is None else _drill(packet.drill),
        "atOpening": {
            "monitorName": incident.monitor_name,
            "promise": incident.promise,
            "owner": incident.owner,
            "runbook": incident.runbook,
        },
        "expected": {
            "what": EXPECTED[incident.kind],
            "at": _iso(expected),
            "local": None if expected is None else local_time(expected, monitor.timezone),
            "timezone": monitor.timezone,
        },
        "monitor": {
            "id": monitor.id,
            "archivedAt": _iso(monitor.archived_at),
            "definition": definition_json(monitor.definition),
            "editsSinceOpening": [
                {"at": format_instant(edit.at), "actor": edit.actor, "keys": list(edit.keys)} for edit in monitor.edits
            ],
        },
        "run": None if packet.run is None else run_document(packet.run),
        "lastHealthyRun": None if packet.healthy is None else run_document(packet.healthy),
        "changes": None
        if found is None
        else [{"label": change.label, "before": change.before, "after": change.after} for change in found],
        "lastSignal": None if packet.signal is None else signal_document(packet.signal),
        "timeline": [_event(event) for event in packet.events],
        "deliveries": [_delivery(delivery) for delivery in packet.deliveries],
        "blindWindowsSince": format_instant(packet.windows_since),
        "earlierBlindWindows": packet.earlier_windows,
        "blindWindows": [
            {"from": format_instant(window.start), "to": format_instant(window.end), "reason": window.reason}
            for window in packet.windows
        ],
    }


def _iso(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


def _drill(drill: Drill) -> dict[str, Any]:
    return {"kind": drill.kind, "monitorId": drill.monitor_id, "monitorName": drill.monitor_name}


def run_document(run: Run) -> dict[str, Any]:
    """Return a run as packets and the API show it."""
    facts = run.facts
    return {
        "id": facts.id,
        "externalRunId": facts.external_run_id,
        "state": facts.state,
        "startedAt": format_instant(facts.started_at),
        "startReceivedAt": format_instant(run.start_received_at),
        "finishedAt": _iso(facts.finished_at),
        "finishReceivedAt": _iso(run.finish_received_at),
        "limitAt": format_instant(run.limit_at),
        "durationSeconds": None if facts.duration is None else facts.duration // SECOND,
        "late": run.late,
        "clockSkew": run.skewed,
        "summary": facts.summary,
        "exitCode": facts.exit_code,
        "output": facts.output,
        "startPayload": run.start_payload,
        "closePayload": run.close_payload,
        "host": facts.host,
        "deploySha": facts.deploy_sha,
        "environment": facts.environment,
        "tags": facts.tags,
    }


def signal_document(signal: Signal) -> dict[str, Any]:
    """Return a ping as packets and the API show it."""
    return {
        "id": signal.id,
        "receivedAt": format_instant(signal.received_at),
        "occurredAt": format_instant(signal.occurred_at),
        "effectiveAt": format_instant(signal.effective_at),
        "late": signal.late,
        "clockSkew": signal.skewed,
        "host": signal.host,
        "deploySha": signal.deploy_sha,
        "payload": signal.payload,
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": format_instant(event.at),
        "recordedAt": format_instant(event.recorded_at),
        "type": event.type,
        "kind": event.kind,
        "actor": event.actor,
        "text": event.text,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "channelType": delivery.channel_type,
        "notice": delivery.notice,
        "state": delivery.state,
        "queuedAt": format_instant(delivery.queued_at),
        "nextAttemptAt": _iso(delivery.next_attempt_at),
        "finishedAt": _iso(delivery.finished_at),
        "lastError": delivery.last_error,
        "providerId": delivery.provider_id,
        "toldBy": delivery.told_by,
        "attempts": [
            {
                "number": attempt.number,
                "startedAt": format_instant(attempt.started_at),
                "durationMs": attempt.duration,
                "ok": attempt.ok,
                "status": attempt.status,
                "error": attempt.error,
                "providerId": attempt.provider_id,
            }
            for attempt in delivery.attempts
        ],
    }
