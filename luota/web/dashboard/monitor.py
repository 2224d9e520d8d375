"""The monitor page: what is promised, what holds at present and why, and all that it rests on."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.responses import Response

from luota.core import tokens
from luota.core.bar import missed_before
from luota.core.errors import Code, LuotaError
from luota.core.model import RETRY_ROOM, Mode, Rules, Window, Windows
from luota.core.preview import upcoming
from luota.core.schedule import Every
from luota.core.spec.incidents import MAX_REASON
from luota.core.spec.monitors import Definition
from luota.core.spec.values import MINUTE, parse_uuid
from luota.core.wants import kinds_of
from luota.core.words import describe
from luota.engine import monitors as commands
from luota.engine.registry import Live
from luota.store import drills as drill_rows
from luota.store import history
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.store import packet as packet_rows
from luota.store.deliveries import deliveries
from luota.web.channels import prove_monitor
from luota.web.dashboard.deliveries import delivery_shown, last_shown
from luota.web.dashboard.html import duration
from luota.web.dashboard.past import drawn_bar, durations_chart, event_shown, slots_of, unjudged_of
from luota.web.dashboard.proof import proof_path
from luota.web.dashboard.threshold import threshold
from luota.web.dashboard.times import change_said, local, offset_name
from luota.web.dashboard.visit import Page, Visit
from luota.web.dashboard.why import runs_named, sentence, why

_EXPECTED = {"missed": "Was expected", "stale": "Was to be renewed by", "stuck": "Had to end by"}
"""How the instant is called that an incident of a kind is about."""
_YOUNG = 12
"""With fewer events the column beside them would be the longer one, and theirs empty below."""


class Subject(Struct, frozen=True):
    """The monitor of a page: `live` is None once it is archived, and the page its history then.

    `signalled` tells whether it ever had a signal, kept or not.
    """

    id: str
    slug: str
    definition: Definition
    created_at: int
    archived_at: int | None
    live: Live | None
    drill_of: str | None
    signalled: bool

    @property
    def rules(self) -> Rules:
        """What decides its verdicts."""
        return self.definition.rules


async def subject(visit: Visit) -> Subject:
    """Return the monitor that the path names by id or slug, archived or not; NOT_FOUND where there is none."""
    wanted = str(visit.request.path_params["monitor"])
    live = visit.engine.registry.find(visit.workspace.id, parse_uuid(wanted) or wanted)
    name = live.id if live is not None else parse_uuid(wanted) or wanted
    kept = await monitor_rows.kept(visit.reader, visit.workspace.id, name)
    if kept is None:
        raise LuotaError(Code.NOT_FOUND, "There is no such monitor in this workspace.")
    definition = await monitor_rows.definition_of(visit.reader, kept.id)
    return Subject(
        kept.id, kept.slug, definition, kept.created_at, kept.archived_at, live, kept.drill_of, kept.signalled
    )


async def monitor(visit: Visit) -> Response:
    """Show the page.

    What it asks for by itself, when something has changed, comes without the section on thresholds: that judges the
    history anew, and stays as it was loaded.
    """
    shown = await subject(visit)
    if shown.drill_of is not None:  # people see a twin with its monitor alone
        return visit.redirect(visit.path("monitors", shown.drill_of) + "/drills")
    live, rules, definition = shown.live, shown.rules, shown.definition
    path = visit.path("monitors", shown.slug if live is not None else shown.id)
    runs = await history.durations(visit.reader, shown.id) if rules.mode is Mode.RUN else ()
    incidents = await history.incidents(visit.reader, shown.id, 20)
    channels = await channels_shown(visit, live)
    errors: dict[str, str] = {}
    advised, proof, token = None, [], None
    if not visit.htmx:
        advised, errors = await threshold(visit, shown.id, definition)
    if live is not None:
        drills = await drill_rows.latest(visit.reader, shown.id)
        proof = proof_path(
            definition, live.state, runs, incidents, drills, channels, path, visit.path("channels"), visit.now
        )
        if visit.may("operator"):
            token = tokens.monitor_token(visit.engine.registry.secret, live.workspace_id, live.id, live.salt)
    incident = await _incident(visit, live)
    events = await history.events(visit.reader, shown.id)
    newest = await history.latest(visit.reader, shown.id, events)
    unjudged = await unjudged_of(visit, shown.id, rules.mode)
    chart, chart_legend = durations_chart(rules, runs, unjudged, visit.now)
    until = shown.archived_at or visit.now
    slots = await slots_of(visit, shown, until)
    return await visit.html(
        "monitor.html",
        400 if errors else 200,
        names=await visit.names(),
        it=shown,
        live=live,
        path=path,
        tab="overview",
        watched=" ".join([shown.id, *([incident["id"]] if incident else []), *(channel["id"] for channel in channels)]),
        verdict="archived" if live is None else live.state.status.value,
        why=await why(visit, live, incident, newest, events, runs, missed_before(slots)),
        incident=incident,
        max_reason=MAX_REASON,
        incidents=incidents,
        schedule=_schedule(shown, visit.now),
        bar=drawn_bar(visit, slots, until),
        moved_by=live and _moved_by(live, visit.engine.registry.windows),
        latest=newest and event_shown(visit, newest, unjudged),
        payload=newest and await history.payload_of(visit.reader, shown.id, newest),
        events=[event_shown(visit, event, unjudged) for event in events],
        young=len(events) < _YOUNG,
        expects=_expects(rules),
        step=next((one for one in proof if one.mark != "healthy"), None),
        unheard=live is not None and live.state.signal_at is None and not events,
        base_url=visit.site.base_url().rstrip("/"),
        chart=chart,
        chart_legend=chart_legend,
        runs=len(runs),
        channels=channels,
        own_channels=definition.channels is not None,
        runbook=link_of(definition.runbook),
        proof=proof,
        token=token,
        advised=advised,
        errors=errors,
        tested=await _tested(visit),
        done=visit.told(),
    )


async def pause(visit: Visit) -> Response:
    """Pause the monitor for a while, until its next healthy signal, or until it is resumed."""
    live = visit.live()
    await visit.engine.submit(commands.pause(live.id, pause_asked(visit.form), visit.actor))
    return visit.redirect(visit.path("monitors", live.slug), said="Paused.")


def pause_asked(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the pause that a form asks for, as `core.spec.pauses.parse_pause` takes it."""
    asked = form.get("for", "")
    if asked == "healthy":
        return {"untilHealthy": True}
    return {"for": asked} if asked else {}


async def resume(visit: Visit) -> Response:
    """End the pause."""
    live = visit.live()
    await visit.engine.submit(commands.resume(live.id, visit.actor))
    return visit.redirect(visit.path("monitors", live.slug), said="Resumed: the next expected signal counts again.")


async def archive(visit: Visit) -> Response:
    """Put the monitor away."""
    live = visit.live()
    await visit.engine.submit(commands.archive(live.id, visit.actor))
    return visit.redirect(visit.path("monitors", live.id), said="Archived: its signals are refused from now on.")


async def rotate(visit: Visit) -> Response:
    """Replace the token."""
    live = visit.live()
    await visit.engine.submit(commands.rotate(live.id, visit.actor))
    said = "The token is replaced: the old one is refused from now on."
    return visit.redirect(visit.path("monitors", live.slug) + "#token", said=said)


async def test_alert(visit: Visit) -> Response:
    """Send a test notice to each channel of the monitor, wait, and lead to what became of each."""
    live = visit.live()
    sent = await prove_monitor(visit.engine, visit.site.sender, visit.workspace, live, visit.actor)
    return visit.redirect(visit.path("monitors", live.slug), once={"tested": sent})


async def _tested(visit: Visit) -> list[dict[str, Any]] | None:
    """Return what became of each notice of a test that was just sent; None without one."""
    sent = visit.once().get("tested")
    if sent is None:
        return None
    found = await deliveries(visit.reader, sent)
    return [delivery_shown(found[one], visit.now) for one in sent if one in found]


def link_of(text: str) -> str | None:
    """Return a text as an address to which a page may lead, None where it is none of http and https."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    return text.strip() if parts.scheme in ("http", "https") and parts.netloc else None


def _expects(rules: Rules) -> str:
    """Return what is expected of the job, in words."""
    if rules.mode is Mode.FRESHNESS:
        return f"an output that is renewed within {duration(rules.freshness)}"
    when = None if rules.schedule is None else describe(rules.schedule)
    if rules.mode is Mode.RUN:
        return f"runs {when or 'whenever they start'}, each ended within {duration(rules.max_runtime)}"
    return f"a signal {when}"


def _moved_by(live: Live, windows: Windows) -> Window | None:
    """Return the short blind window that moved the deadline beyond the grace, None where none did."""
    expected, deadline = live.state.expected_at, live.state.deadline_at
    if expected is None or deadline is None or deadline <= expected + live.rules.grace:
        return None
    return next((one for one in windows.all if not one.excuses and one.end + RETRY_ROOM == deadline), None)


async def _incident(visit: Visit, live: Live | None) -> dict[str, Any] | None:
    """Return the open incident with what it missed, who has acknowledged it, and whether nobody was to be told."""
    if live is None or live.incident_id is None:
        return None
    found = await packet_rows.incident(visit.reader, visit.workspace.id, live.incident_id)
    if found is None:  # resolved since, and deleted by retention
        return None
    about, events = found
    return {
        "id": about.id,
        "kind": about.kind,
        "state": about.state,
        "opened_at": about.opened_at,
        "summary": sentence(visit, about.summary, await runs_named(visit, about.summary)),
        "expected_word": _EXPECTED.get(about.kind),
        "expected_at": about.expected_at,
        "count": about.evidence_count,
        "untold": await incident_rows.untold(visit.reader, about.id),
        "path": visit.path("incidents", about.id),
        "taken": next((event for event in events if event.type == "acknowledged"), None),
    }


def _schedule(shown: Subject, now: int) -> dict[str, Any]:
    """Return the schedule in words, with its next occurrences in its own timezone."""
    schedule = shown.rules.schedule
    if schedule is None or shown.live is None:
        return {"words": None if schedule is None else describe(schedule), "next": [], "counted": False}
    if isinstance(schedule, Every):
        return {"words": describe(schedule), "next": [], "counted": True}
    following = upcoming(schedule, now, 5)
    seconds = any(one.at % MINUTE for one in following)
    found = [
        {
            "at": one.at,
            "local": f"{local(one.at, one.offset, now, seconds=seconds)} ({offset_name(one.offset)})",
            "change": None if one.change is None else change_said(one.change, now),
        }
        for one in following
    ]
    return {"words": describe(schedule), "next": found, "counted": False}


async def channels_shown(visit: Visit, live: Live | None) -> list[dict[str, Any]]:
    """Return the channels that hear of the monitor, each with what became of its last delivery."""
    if live is None:
        return []
    heard = set(visit.engine.registry.channels_of(live))
    channels = await incident_rows.channels(visit.reader, visit.workspace.id)
    channels = [channel for channel in channels if channel.id in heard]
    last, kinds = await last_shown(visit, channels), kinds_of(live.rules)
    return [
        {
            "id": channel.id,
            "name": channel.name,
            "type": channel.type,
            "path": visit.path("channels", channel.id),
            "proven_at": channel.proven_at,
            "failed_at": channel.failed_at,
            "failing": channel.failing,
            "wants": channel.wants,
            "deaf": not any(channel.wants.tells(kind) for kind in kinds),
            "last": last.get(channel.id),
        }
        for channel in channels
    ]


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/monitors/{monitor}", "viewer", monitor),
    ("POST", "/w/{workspace}/monitors/{monitor}/pause", "operator", pause),
    ("POST", "/w/{workspace}/monitors/{monitor}/resume", "operator", resume),
    ("POST", "/w/{workspace}/monitors/{monitor}/archive", "operator", archive),
    ("POST", "/w/{workspace}/monitors/{monitor}/token", "operator", rotate),
    ("POST", "/w/{workspace}/monitors/{monitor}/test", "operator", test_alert),
)
