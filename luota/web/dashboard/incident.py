"""The incident page: what broke, what was promised, who owns it, what to do; its packet to take along or to print."""

import json
import re
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from luota import __version__
from luota.core.errors import Code, LuotaError
from luota.core.model import Mode
from luota.core.packet import EXPECTED, Delivery, Event, Packet, local_time, to_json
from luota.core.packet_markdown import to_markdown
from luota.core.spec.incidents import MAX_NOTE, MAX_REASON, parse_note, parse_reason
from luota.core.spec.values import parse_uuid
from luota.core.text import visible
from luota.core.words import describe
from luota.engine import incidents as commands
from luota.store import packet as packet_rows
from luota.web.dashboard.html import pretty
from luota.web.dashboard.monitor import DELIVERY_MARKS, link_of, sentence
from luota.web.dashboard.past import RUN_MARKS, RUN_WORDS
from luota.web.dashboard.visit import Page, Visit

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,24}", re.ASCII)
_TITLES = {
    "opened": "Opened",
    "updated": "Became worse",
    "counted": "Counted in",
    "acknowledged": "Acknowledged",
    "note": "Note",
    "resolved": "Resolved",
}
_PEOPLE = frozenset({"acknowledged", "note"})
"""Events whose text a person wrote."""
_DONE = {
    "noted": "The note is on the timeline.",
    "resolved": "Resolved by hand. The monitor is unverified until its next signal.",
}


async def incident(visit: Visit) -> Response:
    """Show the page; NOT_FOUND for an incident that is not of this workspace, or that retention has deleted."""
    return await _page(visit, await _found(visit))


async def acknowledge(visit: Visit) -> Response:
    """Say that somebody looks after it, and why nobody else needs to; it clears itself on recovery."""
    found = await _found(visit)
    if found.incident.state == "acknowledged":  # the engine keeps the first reason: let no other vanish
        said = "Somebody has acknowledged it already. What you wrote stands in the note below: add it if it helps."
        return await _page(visit, found, {"": said}, {"text": visit.form.get("reason", "")}, 409)
    try:
        reason = parse_reason(visit.form, required=True)
        await visit.engine.submit(commands.acknowledge(found.incident.id, reason, visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "reason")
    return visit.redirect(visit.path("incidents", found.incident.id))


async def note(visit: Visit) -> Response:
    """Add a note to the timeline, whatever the state."""
    found = await _found(visit)
    try:
        await visit.engine.submit(commands.note(found.incident.id, parse_note(visit.form), visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "text")
    return visit.redirect(visit.path("incidents", found.incident.id) + "?done=noted#timeline")


async def resolve(visit: Visit) -> Response:
    """End it on a person's word."""
    found = await _found(visit)
    try:
        reason = parse_reason(visit.form)
        await visit.engine.submit(commands.resolve(found.incident.id, reason, visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "resolve")
    return visit.redirect(visit.path("incidents", found.incident.id) + "?done=resolved")


async def packet_json(visit: Visit) -> Response:
    """Hand out the packet as JSON, byte by byte as the command line writes it (docs/packets.md)."""
    found = await _found(visit)
    return _file(found, json.dumps(to_json(found), indent=2) + "\n", "json", "application/json")


async def packet_markdown(visit: Visit) -> Response:
    """Hand out the packet as Markdown."""
    found = await _found(visit)
    return _file(found, to_markdown(found), "md", "text/markdown")


async def printed(visit: Visit) -> Response:
    """Show the packet as it stands on paper: whole, still, with every instant exact."""
    found = await _found(visit)
    return await visit.html("packet-print.html", **_shown(visit, found))


async def _found(visit: Visit) -> Packet:
    wanted = str(visit.request.path_params["incident"])
    name = parse_uuid(wanted) or wanted
    found = await packet_rows.packet(visit.reader, visit.workspace.id, name, visit.now, __version__)
    if found is None:
        raise LuotaError(Code.NOT_FOUND, "There is no such incident in this workspace, or its retention has ended.")
    return found


def _file(packet: Packet, text: str, ending: str, kind: str) -> Response:
    name = f"incident-{packet.incident.id}.{ending}"
    return Response(text, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


async def _refused(visit: Visit, error: LuotaError, field: str) -> Response:
    """Show the page again with what was given: what is wrong beside the field, a conflict at the top."""
    if error.code not in (Code.INVALID, Code.CONFLICT):
        raise error
    invalid = error.code is Code.INVALID
    given = {field: visit.form.get("text" if field == "text" else "reason", "")}
    errors = {field if invalid else "": error.message}
    return await _page(visit, await _found(visit), errors, given, 400 if invalid else 409)


async def _page(
    visit: Visit,
    packet: Packet,
    errors: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    return await visit.html(
        "incident.html",
        status,
        **_shown(visit, packet),
        watched=_watched(visit, packet),
        errors=errors or {},
        given=given or {},
        max_reason=MAX_REASON,
        max_note=MAX_NOTE,
        done=_DONE.get(visit.query("done")),
    )


def _shown(visit: Visit, packet: Packet) -> dict[str, Any]:
    """Return what the page and the print view show alike."""
    about, rules = packet.incident, packet.monitor.definition.rules
    run, expected = packet.run, about.expected_at
    return {
        "packet": packet,
        "incident": about,
        "run": run,
        "healthy": packet.healthy,
        "signal": packet.signal,
        "changes": packet.changes,
        "is_run": rules.mode is Mode.RUN,
        "is_about_run": about.kind in ("failed", "stuck"),
        "path": visit.path("incidents", about.id),
        "monitor_path": _monitor_path(visit, packet),
        "mark": "healthy" if about.state == "resolved" else "incident",
        "summary": sentence(visit, about.summary),
        "resolution": sentence(visit, about.resolution or ""),
        "expected": EXPECTED[about.kind],
        "local": None if expected is None else zoned(expected, packet.monitor.timezone),
        "opened_local": zoned(about.opened_at, packet.monitor.timezone),
        "zone": packet.monitor.timezone,
        "contact": contact_of(about.owner or ""),
        "runbook": link_of(about.runbook or ""),
        "taken": next((event for event in packet.events if event.type == "acknowledged"), None),
        "run_mark": run and RUN_MARKS[run.facts.state],
        "run_word": run and RUN_WORDS.get(run.facts.state, run.facts.state),
        "output": visible(run.facts.output or "", lines=True) if run else "",
        "payloads": _payloads(packet),
        "timeline": _timeline(visit, packet),
        "told": _told(packet),
        "schedule": None if rules.schedule is None else describe(rules.schedule),
        "definition": packet.monitor.definition,
        "rules": rules,
        "visible": visible,
    }


def _watched(visit: Visit, packet: Packet) -> str:
    """Return the ids of all whose change shows on the page; of channels, too: they tell of a new delivery."""
    live = visit.engine.registry.monitors.get(packet.monitor.id)
    channels = () if live is None else visit.engine.registry.channels_of(live)
    deliveries = (delivery.id for delivery in packet.deliveries)
    return " ".join([packet.incident.id, packet.monitor.id, *deliveries, *channels])


def _monitor_path(visit: Visit, packet: Packet) -> str:
    """Return the page of the monitor; of a drill's twin, the drills of the monitor that it stands for."""
    if packet.drill is not None:
        return visit.path("monitors", packet.drill.monitor_id, "drills")
    monitor = packet.monitor
    slug = monitor.definition.slug if monitor.archived_at is None else None
    return visit.path("monitors", slug or monitor.id)


def contact_of(owner: str) -> str | None:
    """Return where a tap on the owner leads: a mail or a call where the text is nothing but an address or a number."""
    owner = owner.strip()
    if _MAIL.fullmatch(owner):
        return f"mailto:{owner}"
    return "tel:" + re.sub("[^0-9+]", "", owner) if _PHONE.fullmatch(owner) else None


def zoned(at: int, timezone: str) -> str:
    """Return an instant as a clock of that zone shows it: `2026-11-23 07:00:00 +02:00`."""
    local = local_time(at, timezone)
    return f"{local[:10]} {local[11:19]} {local[23:]}"


def _payloads(packet: Packet) -> list[dict[str, str]]:
    """Return the payloads that arrived, as text to read."""
    run, signal = packet.run, packet.signal
    sent = [("the last ping", signal.payload if signal else None)]
    if run is not None:
        sent += [("the start", run.start_payload), ("the close", run.close_payload)]
    return [{"of": of, "text": visible(pretty(text), lines=True)} for of, text in sent if text]


def _told(packet: Packet) -> list[dict[str, Any]]:
    """Return of each channel what became of its newest notice: whether this incident has reached anybody."""
    newest = {(delivery.channel_type, delivery.channel): delivery for delivery in packet.deliveries}
    return [_delivery(delivery) for delivery in newest.values()]


def _delivery(delivery: Delivery) -> dict[str, Any]:
    waits = delivery.state in ("queued", "failed_retrying")
    tried = delivery.attempts[-1].started_at if delivery.attempts else delivery.queued_at
    return {
        "channel": visible(delivery.channel),
        "type": delivery.channel_type,
        "notice": delivery.notice.removeprefix("incident."),
        "word": delivery.state.replace("_", ", "),
        "mark": DELIVERY_MARKS[delivery.state],
        "at": delivery.finished_at or tried,
        "next_at": delivery.next_attempt_at if waits else None,
        "error": visible(delivery.last_error or ""),
        "provider_id": visible(delivery.provider_id or ""),
        "told_by": delivery.told_by,
    }


def _timeline(visit: Visit, packet: Packet) -> list[dict[str, Any]]:
    """Return every event, notice and attempt, and the attempts to come, in order of time.

    An event stands where Luota noticed it, so that no notice seems to come before its cause.
    """
    found = [(event.recorded_at, _event(visit, event)) for event in packet.events]
    for delivery in packet.deliveries:
        shown = _delivery(delivery)
        found.append((delivery.queued_at, {"type": "notice", "at": delivery.queued_at, "delivery": shown}))
        for attempt in delivery.attempts:
            one = {"type": "attempt", "at": attempt.started_at, "delivery": shown, "attempt": attempt}
            found.append((attempt.started_at, {**one, "error": visible(attempt.error or "")}))
        if shown["next_at"] is not None and delivery.attempts:
            found.append(
                (max(shown["next_at"], visit.now), {"type": "next", "at": shown["next_at"], "delivery": shown})
            )
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


def _event(visit: Visit, event: Event) -> dict[str, Any]:
    text: str | Markup = visible(event.text, lines=True) if event.type in _PEOPLE else sentence(visit, event.text)
    return {
        "type": event.type,
        "at": event.at,
        "recorded_at": event.recorded_at if event.recorded_at - event.at >= 1000 else None,
        "title": _TITLES[event.type],
        "kind": None if event.type == "resolved" else event.kind,
        "actor": event.actor,
        "text": text,
        "plain": visible(event.text, lines=True),
    }


_HERE = "/w/{workspace}/incidents/{incident}"
PAGES: tuple[Page, ...] = (
    ("GET", _HERE, "viewer", incident),
    ("POST", f"{_HERE}/acknowledge", "operator", acknowledge),
    ("POST", f"{_HERE}/note", "operator", note),
    ("POST", f"{_HERE}/resolve", "operator", resolve),
    ("GET", f"{_HERE}/packet.json", "viewer", packet_json),
    ("GET", f"{_HERE}/packet.md", "viewer", packet_markdown),
    ("GET", f"{_HERE}/print", "viewer", printed),
)
