"""The evidence packet as Markdown for an issue tracker (docs/packets.md, "Markdown").

It stands on its own. What jobs and people wrote is code everywhere, never active: see `luota.core.markdown`.
"""

from collections.abc import Iterable, Iterator

from luota.core.markdown import Cell, code, fence, in_line, plain, table
from luota.core.model import Mode
from luota.core.packet import DELIVERY_WORDS, EXPECTED, MOVED, Packet, Run, Signal, local_time
from luota.core.spec.values import format_duration, format_instant

_Fact = tuple[str, Cell]


def to_markdown(packet: Packet) -> str:
    """Return the packet as Markdown: headings, tables, and blocks for output and payloads, which are whole.

    Texts are exact but for what a terminal or a reader's eye would obey, which is written out.
    """
    parts = [
        *_verdict(packet),
        *_arrived(packet),
        *_changes(packet),
        *_definition(packet),
        *_timeline(packet),
        *_deliveries(packet),
        *_windows(packet),
        f"---\n\nExported {format_instant(packet.exported_at)} by Luota {packet.version}.\n",
    ]
    return "\n".join(parts)


def _facts(facts: Iterable[_Fact]) -> str:
    return table(("What", "Value"), [(plain(label), cell) for label, cell in facts])


def _instant(at: int | None) -> Cell:
    return plain(None if at is None else format_instant(at))


def _in_zone(at: int | None, zone: str) -> Cell:
    """Return an instant in UTC, and by the clocks of another zone."""
    if at is None or zone == "UTC":
        return _instant(at)
    return plain(f"{format_instant(at)}, {local_time(at, zone)} in {zone}")


def _yes(value: bool) -> Cell:
    return plain("yes" if value else "no")


def _verdict(packet: Packet) -> Iterator[str]:
    incident = packet.incident
    yield f"# Incident: {in_line(incident.monitor_name)} {incident.kind} ({incident.state})\n"
    if packet.drill is not None:
        kind = "" if packet.drill.kind is None else f" `{packet.drill.kind}`"
        yield (
            f"**Drill{kind}.** This failure was made on purpose, on a twin of {in_line(packet.drill.monitor_name)}, "
            "to prove that people are told. Nobody needs to act.\n"
        )
    zone = packet.monitor.timezone
    facts: list[_Fact] = [
        ("Promise", code(incident.promise)),
        ("Expected", plain(EXPECTED[incident.kind])),
        ("Expected at", _in_zone(incident.expected_at, zone)),
        ("Why this verdict", code(incident.summary)),
        ("Opened", _in_zone(incident.opened_at, zone)),
        ("Acknowledged", _instant(incident.acknowledged_at)),
        ("Resolved", _instant(incident.resolved_at)),
        ("Resolved by", code(incident.resolution)),
        ("Misses and failures", plain(str(incident.evidence_count))),
        ("The last of them", _instant(incident.evidence_at)),
        ("Owner at opening", code(incident.owner)),
        ("Runbook at opening", code(incident.runbook)),
        ("Incident", code(incident.id)),
    ]
    yield _facts(facts)


def _arrived(packet: Packet) -> Iterator[str]:
    yield "## What arrived\n"
    if packet.signal is not None:
        yield from _signal(packet.signal)
    if packet.run is not None:
        yield from _run(packet.run)
    elif packet.signal is None:
        yield "Nothing that is still on record.\n"


def _signal(signal: Signal) -> Iterator[str]:
    yield "### The last ping before the opening\n"
    yield _facts(
        [
            ("Received", _instant(signal.received_at)),
            ("Happened, as the job says", _instant(signal.occurred_at)),
            ("Counted as", _instant(signal.effective_at)),
            ("Late", _yes(signal.late)),
            ("Clock skew", _yes(signal.skewed)),
            ("Host", code(signal.host)),
            ("Deploy SHA", code(signal.deploy_sha)),
            ("Ping", code(signal.id)),
        ]
    )
    yield from _block("Payload", signal.payload, "json")


def _run(run: Run) -> Iterator[str]:
    facts = run.facts
    yield f"### The run: {facts.state}\n"
    yield _facts(
        [
            ("Summary", code(facts.summary)),
            ("Exit code", plain(None if facts.exit_code is None else str(facts.exit_code))),
            ("Started", _instant(facts.started_at)),
            ("Start received", _instant(run.start_received_at)),
            ("Finished", _instant(facts.finished_at)),
            ("End received", _instant(run.finish_received_at)),
            ("Duration", plain(None if facts.duration is None else format_duration(facts.duration))),
            ("Limit", _instant(run.limit_at)),
            ("Late", _yes(run.late)),
            ("Clock skew", _yes(run.skewed)),
            ("Host", code(facts.host)),
            ("Deploy SHA", code(facts.deploy_sha)),
            ("Environment", code(facts.environment)),
            ("Run", code(facts.id)),
            ("External run id", code(facts.external_run_id)),
        ]
    )
    if facts.tags:
        yield table(("Tag", "Value"), [(code(key), code(text)) for key, text in facts.tags.items()])
    yield from _block("Output", facts.output, "text")
    yield from _block("Payload of the start", run.start_payload, "json")
    yield from _block("Payload of the close", run.close_payload, "json")


def _block(label: str, text: str | None, language: str) -> Iterator[str]:
    if text is not None:
        yield f"{label}:\n"
        yield fence(text, language)


def _changes(packet: Packet) -> Iterator[str]:
    if packet.run is None:
        return
    yield "## What changed since the last healthy run\n"
    found = packet.changes
    if packet.healthy is None or found is None:
        yield "No healthy run before it is on record.\n"
        return
    healthy = packet.healthy.facts
    named = in_line(healthy.external_run_id)
    yield f"The last healthy run was {named}, started {format_instant(healthy.started_at)}.\n"
    if not found:
        yield "Nothing: deploy SHA, host, environment and tags are the same, and the duration is much the same.\n"
        return
    rows = [(code(change.label), code(change.before), code(change.after)) for change in found]
    yield table(("What", "Then", "Now"), rows)


def _definition(packet: Packet) -> Iterator[str]:
    monitor, definition = packet.monitor, packet.monitor.definition
    rules = definition.rules
    yield "## Definition\n"
    if monitor.edits:
        yield (
            "As it is now. It was edited since the incident opened, so that the values of these keys may have been "
            "others then:\n"
        )
        rows = [(_instant(edit.at), code(edit.actor), code(", ".join(edit.keys))) for edit in monitor.edits]
        yield table(("Edited", "By", "Keys"), rows)
    else:
        yield "As it was when the incident opened; no edit since is on record.\n"
    schedule: Cell = plain("none") if rules.schedule is None else code(rules.schedule.describe())
    facts: list[_Fact] = [
        ("Mode", plain(rules.mode.value)),
        ("Schedule", schedule),
        ("Grace", plain(format_duration(rules.grace))),
    ]
    if rules.mode is Mode.RUN:
        facts.append(("Max runtime", plain(format_duration(rules.max_runtime))))
    if rules.mode is Mode.FRESHNESS:
        facts.append(("Freshness", plain(format_duration(rules.freshness))))
    facts += [
        ("Tolerance", plain(str(rules.tolerance))),
        ("Environment", code(definition.environment or None)),
        ("Name", code(definition.name)),
        ("Slug", code(definition.slug)),
        ("Monitor", code(monitor.id)),
        ("Archived", _instant(monitor.archived_at)),
    ]
    yield _facts(facts)
    if definition.tags:
        yield table(("Tag", "Value"), [(code(key), code(text)) for key, text in definition.tags.items()])


def _timeline(packet: Packet) -> Iterator[str]:
    yield "## Timeline\n"
    rows = [
        (
            _instant(event.at),
            plain(event.type),
            plain(event.kind),
            plain("Luota") if event.actor is None else code(event.actor),
            code(event.text or None),
        )
        for event in packet.events
    ]
    yield table(("At", "Event", "Kind", "By", "What"), rows)


def _deliveries(packet: Packet) -> Iterator[str]:
    yield "## Deliveries\n"
    if not packet.deliveries:
        yield "**Nobody was told:** no channel was to hear of this.\n"
        return
    rows = [
        (
            _instant(one.queued_at),
            code(one.channel),
            code(one.channel_type),
            code(one.notice),
            plain(DELIVERY_WORDS[one.state]),
            _instant(one.finished_at),
            _instant(one.next_attempt_at),
            code(one.provider_id),
            code(one.last_error),
        )
        for one in packet.deliveries
    ]
    headers: tuple[str, ...] = (
        "Queued",
        "Channel",
        "Type",
        "Notice",
        "State",
        "Ended",
        "Next attempt",
        "Provider id",
        "Last error",
    )
    yield table(headers, rows)
    attempts = [
        (
            _instant(attempt.started_at),
            code(one.channel),
            code(one.notice),
            plain(str(attempt.number)),
            plain("delivered" if attempt.ok else "failed"),
            plain(f"{attempt.duration} ms"),
            plain(None if attempt.status is None else str(attempt.status)),
            code(attempt.error),
            code(attempt.provider_id),
        )
        for one in packet.deliveries
        for attempt in one.attempts
    ]
    yield "### Attempts\n"
    if not attempts:
        yield "None yet.\n"
        return
    headers = ("Started", "Channel", "Notice", "Number", "Outcome", "Duration", "Status", "Error", "Provider id")
    yield table(headers, attempts)


def _windows(packet: Packet) -> Iterator[str]:
    yield "## Blind windows\n"
    since = format_instant(packet.windows_since)
    if not packet.windows:
        yield f"None on record since {since}.\n"
        return
    yield f"Stretches since {since} in which Luota could not hear. {MOVED}\n"
    rows = [
        (_instant(w.start), _instant(w.end), plain(format_duration(w.end - w.start)), code(w.reason))
        for w in packet.windows
    ]
    yield table(("From", "To", "Length", "Why"), rows)
    if packet.earlier_windows:
        yield f"And {packet.earlier_windows} earlier.\n"
