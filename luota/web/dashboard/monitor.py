"""The monitor page: what is promised, what holds at present and why, and all that it rests on."""

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.responses import Response

from luota.core import tokens
from luota.core.errors import Code, LuotaError
from luota.core.model import RETRY_ROOM, Mode, Rules, Window, Windows
from luota.core.preview import upcoming
from luota.core.schedule import Every
from luota.core.spec.incidents import MAX_REASON
from luota.core.spec.monitors import Definition
from luota.core.spec.values import MINUTE, parse_instant, parse_uuid
from luota.core.text import visible
from luota.core.words import describe
from luota.engine import monitors as commands
from luota.engine.registry import Live
from luota.store import drills as drill_rows
from luota.store import history
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.web.channels import prove_monitor
from luota.web.dashboard.html import duration
from luota.web.dashboard.past import drawn_bar, durations_chart, event_shown, unjudged_of
from luota.web.dashboard.proof import proof_path
from luota.web.dashboard.threshold import threshold
from luota.web.dashboard.times import local, offset_name
from luota.web.dashboard.visit import Page, Visit
from luota.web.dashboard.why import runs_named, sentence, why

DELIVERY_MARKS = {
    "delivered": "healthy",
    "queued": "draft",
    "failed_retrying": "failing",
    "failed_terminal": "incident",
    "cancelled": "paused",
}
DELIVERY_WORDS = {
    "delivered": "delivered",
    "queued": "queued",
    "failed_retrying": "failed, retrying",
    "failed_terminal": "given up",
    "cancelled": "cancelled",
}
"""What people read of the state of a delivery."""
_EXPECTED = {"missed": "Was expected", "stale": "Was to be renewed by", "stuck": "Had to end by"}
"""How the instant is called that an incident of a kind is about."""
_DONE = {
    "paused": "Paused.",
    "resumed": "Resumed: the next expected signal counts again.",
    "archived": "Archived: its signals are refused from now on.",
    "rotated": "The token is replaced: the old one is refused from now on.",
}


_YOUNG = 12
"""With fewer events the column beside them would be the longer one, and theirs empty below."""


class Subject(Struct, frozen=True):
    """The monitor of a page: `live` is None once it is archived, and the page its history then."""

    id: str
    slug: str
    definition: Definition
    created_at: int
    archived_at: int | None
    live: Live | None
    drill_of: str | None

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
    return Subject(kept.id, kept.slug, definition, kept.created_at, kept.archived_at, live, kept.drill_of)


async def monitor(visit: Visit) -> Response:
    """Show the page."""
    return await _page(visit)


async def pause(visit: Visit) -> Response:
    """Pause the monitor for a while, until its next healthy signal, or until it is resumed."""
    live, asked = visit.live(), visit.form.get("for", "")
    how: dict[str, Any] = {"untilHealthy": True} if asked == "healthy" else {"for": asked} if asked else {}
    await visit.engine.submit(commands.pause(live.id, how, visit.actor))
    return _done(visit, live, "paused")


async def resume(visit: Visit) -> Response:
    """End the pause."""
    live = visit.live()
    await visit.engine.submit(commands.resume(live.id, visit.actor))
    return _done(visit, live, "resumed")


async def archive(visit: Visit) -> Response:
    """Put the monitor away."""
    live = visit.live()
    await visit.engine.submit(commands.archive(live.id, visit.actor))
    return visit.redirect(visit.path("monitors", live.id) + "?done=archived")


async def rotate(visit: Visit) -> Response:
    """Replace the token."""
    live = visit.live()
    await visit.engine.submit(commands.rotate(live.id, visit.actor))
    return _done(visit, live, "rotated", "#token")


async def test_alert(visit: Visit) -> Response:
    """Send a test notice to each channel of the monitor, and show what became of each."""
    sent = await prove_monitor(visit.engine, visit.site.sender, visit.workspace, visit.live(), visit.actor)
    return await _page(visit, tested=[delivery_shown(one) for one in sent])


def _done(visit: Visit, live: Live, what: str, place: str = "") -> Response:
    return visit.redirect(f"{visit.path('monitors', live.slug)}?done={what}{place}")


async def _page(visit: Visit, *, tested: list[dict[str, Any]] | None = None) -> Response:
    """Return the page; `tested` are the deliveries of a test that was just sent.

    What the page itself asks for, when something has changed, comes without the section on thresholds: it
    judges the history anew, and stays as it was loaded.
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
        advised, errors = await threshold(visit, shown.id, definition, runs)
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
        why=await why(visit, live, incident, newest, events, runs),
        incident=incident,
        max_reason=MAX_REASON,
        incidents=incidents,
        schedule=_schedule(shown, visit.now),
        bar=await drawn_bar(visit, shown, shown.archived_at),
        moved_by=live and _moved_by(live, visit.engine.registry.windows),
        latest=newest and event_shown(visit, newest, unjudged),
        payload=newest and await history.payload_of(visit.reader, shown.id, newest),
        events=[event_shown(visit, event, unjudged) for event in events],
        young=len(events) < _YOUNG,
        expects=_expects(rules),
        step=next((one for one in proof if one.mark != "healthy"), None),
        unheard=live is not None and live.state.signal_at is None and not events,
        base_url=visit.site.base_url().rstrip("/"),
        chart=durations_chart(rules, runs, unjudged, visit.now),
        runs=len(runs),
        channels=channels,
        own_channels=definition.channels is not None,
        runbook=link_of(definition.runbook),
        proof=proof,
        token=token,
        advised=advised,
        errors=errors,
        tested=tested,
        done=_DONE.get(visit.query("done")),
    )


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
    """Return the open incident with what it missed, and who has acknowledged it."""
    if live is None or live.incident_id is None:
        return None
    found = await incident_rows.incident(visit.reader, visit.workspace.id, live.incident_id)
    if found is None:  # resolved since, and deleted by retention
        return None
    taken = next((event for event in found["events"] if event["type"] == "acknowledged"), None)
    return {
        "id": found["id"],
        "kind": found["kind"],
        "state": found["state"],
        "opened_at": parse_instant(found["openedAt"], "openedAt"),
        "summary": sentence(visit, found["summary"], await runs_named(visit, found["summary"])),
        "expected_word": _EXPECTED.get(found["kind"]),
        "expected_at": instant(found["expectedAt"]),
        "count": found["evidenceCount"],
        "path": visit.path("incidents", found["id"]),
        "taken": taken and {**taken, "at": parse_instant(taken["at"], "at")},
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
            "change": one.change,
        }
        for one in following
    ]
    return {"words": describe(schedule), "next": found, "counted": False}


async def channels_shown(visit: Visit, live: Live | None) -> list[dict[str, Any]]:
    """Return the channels that hear of the monitor, each with what became of its last delivery."""
    if live is None:
        return []
    heard = set(visit.engine.registry.channels_of(live))
    found = []
    for channel in await incident_rows.channels(visit.reader, visit.workspace.id):
        if channel["id"] not in heard:
            continue
        last = channel["lastDelivery"]
        found.append(
            {
                "id": channel["id"],
                "name": channel["name"],
                "type": channel["type"],
                "path": visit.path("channels", channel["id"]),
                "proven_at": instant(channel["provenAt"]),
                "failed_at": instant(channel["failedAt"]),
                "failing": channel["failing"],
                "last": last and delivery_shown(last),
            }
        )
    return found


def delivery_shown(delivery: dict[str, Any]) -> dict[str, Any]:
    """Return a delivery as pages show it."""
    return {
        "channel": delivery["channel"],
        "word": DELIVERY_WORDS[delivery["state"]],
        "mark": DELIVERY_MARKS[delivery["state"]],
        "at": instant(delivery["finishedAt"]) or instant(delivery["queuedAt"]),
        "next_at": instant(delivery["nextAttemptAt"]),
        "error": visible(delivery["lastError"] or ""),
    }


def instant(text: str | None) -> int | None:
    """Return the instant that the store gives as text."""
    return None if text is None else parse_instant(text, "at")


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/monitors/{monitor}", "viewer", monitor),
    ("POST", "/w/{workspace}/monitors/{monitor}/pause", "operator", pause),
    ("POST", "/w/{workspace}/monitors/{monitor}/resume", "operator", resume),
    ("POST", "/w/{workspace}/monitors/{monitor}/archive", "operator", archive),
    ("POST", "/w/{workspace}/monitors/{monitor}/token", "operator", rotate),
    ("POST", "/w/{workspace}/monitors/{monitor}/test", "operator", test_alert),
)
