"""The incident page: what broke, what was promised, who owns it, what to do; its packet to take along or to print."""

import json
import re
from typing import Any

from starlette.responses import Response

from luota import __version__
from luota.core import reasons
from luota.core.errors import Code, LuotaError
from luota.core.model import Mode
from luota.core.packet import EXPECTED, MOVED, Packet, to_json
from luota.core.packet_markdown import to_markdown
from luota.core.spec.incidents import MAX_NOTE, MAX_REASON, parse_note, parse_reason
from luota.core.spec.values import parse_uuid
from luota.core.text import visible
from luota.core.words import describe
from luota.engine import incidents as commands
from luota.store import packet as packet_rows
from luota.web.dashboard.deliveries import delivery_shown
from luota.web.dashboard.html import duration, pretty
from luota.web.dashboard.monitor import link_of
from luota.web.dashboard.past import run_shown, unjudged_of
from luota.web.dashboard.timeline import deliveries, timeline, uncounted
from luota.web.dashboard.times import in_zone, zoned
from luota.web.dashboard.visit import Page, Visit
from luota.web.dashboard.why import runs_named, sentence

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,24}", re.ASCII)


async def incident(visit: Visit) -> Response:
    """Show the page; NOT_FOUND for an incident that is not of this workspace, or that retention has deleted."""
    return await _page(visit, await _found(visit))


async def acknowledge(visit: Visit) -> Response:
    """Say that somebody looks after it, and why nobody else needs to; it clears itself on recovery."""
    found = await _found(visit)
    try:
        reason = parse_reason(visit.form, required=True)
        first = await visit.engine.submit(commands.acknowledge(found.incident.id, reason, visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "reason")
    if first is None or (first.actor, first.reason) == (visit.actor.name, reason):  # a form that was sent twice
        said = "Acknowledged. It clears itself on recovery."
        return visit.redirect(visit.path("incidents", found.incident.id), said=said)
    by = "You have" if first.actor == visit.actor.name else f"{await visit.name_of(first.actor)} has"
    said = f"{by} acknowledged it already, {duration(visit.now - first.at)} ago."
    return await _refused(visit, LuotaError(Code.CONFLICT, said), "reason")


async def note(visit: Visit) -> Response:
    """Add a note to the timeline, whatever the state."""
    found = await _found(visit)
    try:
        await visit.engine.submit(commands.note(found.incident.id, parse_note(visit.form), visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "text")
    return visit.redirect(visit.path("incidents", found.incident.id), said="The note is on the timeline.")


async def resolve(visit: Visit) -> Response:
    """End it on a person's word."""
    found = await _found(visit)
    try:
        reason = parse_reason(visit.form)
        await visit.engine.submit(commands.resolve(found.incident.id, reason, visit.actor))
    except LuotaError as error:
        return await _refused(visit, error, "resolve")
    said = "Resolved by hand. The monitor is unverified until its next signal or missed deadline."
    return visit.redirect(visit.path("incidents", found.incident.id), said=said)


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
    names, told = await visit.names(), deliveries(found)
    return await visit.html("packet-print.html", names=names, deliveries=told, **await _shown(visit, found))


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
    """Show the page again with what was given: what is wrong beside the field, a conflict at the top.

    The form of a conflict may be gone: what was written into it stands in that of a note.
    """
    given = visit.form.get("text" if field == "text" else "reason", "")
    if error.code is Code.INVALID:
        return await _page(visit, await _found(visit), {field: error.message}, {field: given}, 400)
    if error.code is not Code.CONFLICT:
        raise error
    said = f"{error.message} What you wrote stands in the note below: add it if it helps." if given else error.message
    return await _page(visit, await _found(visit), {"": said}, {"text": given} if given else {}, 409)


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
        names=await visit.names(),
        **await _shown(visit, packet),
        watched=_watched(visit, packet),
        errors=errors or {},
        given=given or {},
        max_reason=MAX_REASON,
        max_note=MAX_NOTE,
        done=visit.told(),
    )


async def _shown(visit: Visit, packet: Packet) -> dict[str, Any]:
    """Return what the page and the print view show alike."""
    ended = next((event for event in packet.events if event.type == "resolved" and event.actor), None)
    about, rules = packet.incident, packet.monitor.definition.rules
    run, expected, zone = packet.run, about.expected_at, packet.monitor.timezone
    mark, word = None, None
    there = await runs_named(visit, about.summary, about.resolution or "")
    if run is not None:
        unjudged = await unjudged_of(visit, packet.monitor.id, rules.mode)
        mark, word = run_shown(run.facts.state, run.effective_at, run.limit_at, run.finish_received_at, unjudged)
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
        "summary": sentence(visit, about.summary, there),
        "resolution": sentence(visit, about.resolution or "", there),
        "ended": ended and {"actor": ended.actor, "reason": reasons.reason_of(ended.actor or "", ended.text)},
        "expected": EXPECTED[about.kind],
        "local": None if expected is None else zoned(expected, zone),
        "opened_local": zoned(about.opened_at, zone),
        "in_zone": None if expected is None else in_zone(expected, zone, visit.now),
        "zone": zone,
        "elsewhere": zone != "UTC",
        "contact": contact_of(about.owner or ""),
        "runbook": link_of(about.runbook or ""),
        "taken": next((event for event in packet.events if event.type == "acknowledged"), None),
        "run_mark": mark,
        "run_word": word,
        "output": visible(run.facts.output or "", lines=True) if run else "",
        "payloads": _payloads(packet),
        "timeline": await timeline(visit, packet),
        "uncounted": uncounted(packet),
        "told": _told(packet),
        "schedule": None if rules.schedule is None else describe(rules.schedule),
        "definition": packet.monitor.definition,
        "rules": rules,
        "moved": MOVED,
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
    return [delivery_shown(delivery, packet.exported_at) for delivery in newest.values()]


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
