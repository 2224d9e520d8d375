"""The channels: which can be trusted, what each was sent, which notices it wants."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Kind
from luota.core.spec.channels import SETTINGS, WANTS_KEYS, parse_channel, parse_wants, wants_json
from luota.core.text import visible
from luota.core.wants import EVERYTHING
from luota.engine import channels as commands
from luota.store import deliveries as rows
from luota.store import incidents as incident_rows
from luota.web.channels import add_channel, prove_channel
from luota.web.dashboard.deliveries import delivery_shown, last_shown
from luota.web.dashboard.refusals import messages, refusals, status
from luota.web.dashboard.threshold import short
from luota.web.dashboard.visit import Page, Visit

MOST = 50
"""Deliveries that the page of a channel shows."""
TYPES = {
    "email": "Email",
    "slack": "Slack",
    "webhook": "Webhook",
    "apprise": "Apprise",
}
_OUTCOMES = {
    "incident.opened": "opened",
    "incident.updated": "updated",
    "incident.resolved": "resolved",
    "incident.reminder": "reminder",
    "incident.digest": "Many incidents at once",
    "watch.gap": "Blind window",
    "channel.failed": "Dead route of another channel",
    "channel.test": "Test notice",
}
_STATES = {
    "dead": ("incident", "dead route"),
    "failing": ("failing", "failing"),
    "unproven": ("unverified", "unproven"),
    "proven": ("healthy", "proven"),
}
_ORDER = tuple(_STATES)
_ADDED = "Added. It is unproven until something was delivered by it: send a test notice."
_SECRET = ("url", "headers")
"""What a form is not filled with again: it holds secrets, which stand on no page."""
_FINE_RULES = dict.fromkeys(WANTS_KEYS)
"""Rules of a channel that nothing refuses."""


async def channels(visit: Visit) -> Response:
    """List the channels, those first on which nobody can rely."""
    listed = await incident_rows.channels(visit.reader, visit.workspace.id)
    last = await last_shown(visit, listed)
    found = [_shown(visit, channel, last.get(channel.id)) for channel in listed]
    found.sort(key=lambda one: _ORDER.index(one["state"]))
    return await visit.html("channels.html", channels=found, done=visit.told())


async def new(visit: Visit) -> Response:
    """Show the form for a channel of the type that the address names, or ask for the type."""
    wanted = visit.query("type")
    return await _form(visit, wanted if wanted in SETTINGS else None)


async def add(visit: Visit) -> Response:
    """Add a channel; the secret of a webhook is shown once, on its page."""
    form, site = {**visit.form, **_rules(visit)}, visit.site
    type_ = form.get("type", "")
    try:
        wrong = refusals(lambda given: parse_channel(_document(given)), form, _fine(type_))
        if not wrong:
            channel_id, secret = await add_channel(
                visit.engine, site.sender, site.policy, site.resolver, visit.workspace, _document(form), visit.actor
            )
    except LuotaError as error:
        if error.code not in (Code.INVALID, Code.CONFLICT):
            raise
        wrong = {error.field or "": error}
    if wrong:
        return await _form(visit, type_ if type_ in SETTINGS else None, form, wrong)
    once = None if secret is None else {"secret": secret}
    return visit.redirect(visit.path("channels", channel_id), said=_ADDED, once=once)


async def channel(visit: Visit) -> Response:
    """Show one channel."""
    return await _page(visit, done=visit.told(), once=visit.once())


async def edit(visit: Visit) -> Response:
    """Change which notices the channel wants."""
    found = await _found(visit)
    doc = _rules(visit)
    wrong = refusals(parse_wants, doc, _FINE_RULES)
    if wrong:
        return await _page(visit, status=400, values=doc, errors=messages(wrong))
    await visit.engine.submit(commands.edit(visit.workspace.id, found.id, found.name, doc, visit.actor))
    said = "Saved. What is queued already is sent all the same; another delay holds for it, too."
    return visit.redirect(visit.path("channels", found.id), said=said)


async def test(visit: Visit) -> Response:
    """Send a real test notice, wait for its outcome, and show what the provider answered."""
    found = await _found(visit)
    delivery_id = await prove_channel(
        visit.engine, visit.site.sender, visit.workspace, found.id, found.name, visit.actor
    )
    return visit.redirect(visit.path("channels", found.id) + f"?tested={delivery_id}")


async def rotate(visit: Visit) -> Response:
    """Give a webhook a new secret, which is shown once, on its page."""
    found = await _found(visit)
    work = commands.rotate_secret(visit.workspace.id, found.id, found.name, visit.actor)
    secret, old_until = await visit.engine.submit(work)
    once = {"secret": secret, "old_until": old_until}
    return visit.redirect(visit.path("channels", found.id), once=once)


async def remove(visit: Visit) -> Response:
    """Remove the channel; what it had not sent yet is cancelled."""
    found = await _found(visit)
    await visit.engine.submit(commands.remove(visit.workspace.id, found.id, found.name, visit.actor))
    return visit.redirect(visit.path("channels"), said="Removed.")


async def _found(visit: Visit) -> incident_rows.Channel:
    """Return the channel that the path names by id; NOT_FOUND once it is removed."""
    wanted = str(visit.request.path_params["channel"])
    for one in await incident_rows.channels(visit.reader, visit.workspace.id):
        if one.id == wanted:
            return one
    raise LuotaError(Code.NOT_FOUND, "There is no such channel in this workspace, or it was removed.")


async def _form(
    visit: Visit,
    type_: str | None,
    values: dict[str, Any] | None = None,
    wrong: Mapping[str, LuotaError] | None = None,
) -> Response:
    everything = wants_json(EVERYTHING)
    values = values or everything
    return await visit.html(
        "channel-new.html",
        status(wrong or {}),
        type=type_,
        types=TYPES,
        missing=None if type_ is None else visit.site.sender.missing(type_),
        kinds=[kind.value for kind in Kind],
        narrow=any(values[key] != everything[key] for key in WANTS_KEYS),
        values={key: value for key, value in values.items() if key not in _SECRET},
        again=any(values.get(key) for key in _SECRET),
        errors=messages(wrong or {}),
    )


async def _page(
    visit: Visit,
    *,
    status: int = 200,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    once: Mapping[str, Any] | None = None,
    done: str | None = None,
) -> Response:
    """Return the page; `once` has a secret that was just made, and `values` what was asked of the rules in vain."""
    found = await _found(visit)
    last = await last_shown(visit, [found])
    deliveries = await rows.deliveries_of_channel(visit.reader, found.id, MOST)
    tested = next((one for one in deliveries if one.delivery.id == visit.query("tested")), None)
    own = [one for one, routes in visit.engine.registry.routes.items() if found.id in routes]
    return await visit.html(
        "channel.html",
        status,
        it=_shown(visit, found, last.get(found.id)),
        types=TYPES,
        kinds=[kind.value for kind in Kind],
        values=values
        or {**wants_json(found.wants), "delaySeconds": short(found.wants.delay) if found.wants.delay else ""},
        errors=errors or {},
        secret=(once or {}).get("secret"),
        old_until=(once or {}).get("old_until"),
        done=done,
        tested=tested and {**_sent(visit, tested), "answer": visit.site.sender.proofs.answer(tested.delivery.id)[1]},
        query=f"?tested={tested.delivery.id}" if tested else "",
        deliveries=[_sent(visit, one) for one in deliveries],
        most=MOST,
        waiting=await rows.waiting_of_channel(visit.reader, found.id),
        own=len(own),
    )


def _shown(visit: Visit, channel: incident_rows.Channel, last: dict[str, Any] | None) -> dict[str, Any]:
    """Return a channel as the pages show it: whether it can be trusted, since when, and what to do."""
    if channel.failed_at is not None:
        state = "dead"
    elif channel.failing:
        state = "failing"
    else:
        state = "unproven" if channel.proven_at is None else "proven"
    mark, word = _STATES[state]
    return {
        "id": channel.id,
        "name": channel.name,
        "type": channel.type,
        "to": ", ".join(channel.to or ()),
        "path": visit.path("channels", channel.id),
        "wants": channel.wants.in_words(),
        "state": state,
        "mark": mark,
        "word": word,
        "failed_at": channel.failed_at,
        "failed_error": visible(channel.failed_error or ""),
        "proven_at": channel.proven_at,
        "last": last,
    }


def _sent(visit: Visit, one: rows.Sent) -> dict[str, Any]:
    """Return a delivery with its attempts as the page shows it."""
    notice = one.delivery.notice
    outcome = _OUTCOMES.get(notice, notice)
    return {
        **delivery_shown(one.delivery, visit.now),
        "id": one.delivery.id,
        "title": outcome if one.incident_id is None else f"{one.monitor}: {one.kind}, {outcome}",
        "path": None if one.incident_id is None else visit.path("incidents", one.incident_id),
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.started_at,
                "took": attempt.finished_at - attempt.started_at,
                "mark": "healthy" if attempt.ok else "incident",
                "status": attempt.status,
                "error": visible(attempt.error or ""),
                "provider": visible(attempt.provider_id or ""),
            }
            for attempt in one.delivery.attempts
        ],
    }


def _rules(visit: Visit) -> dict[str, Any]:
    """Return which notices the form chooses, as the API takes it."""
    delay = visit.form.get("delaySeconds", "").strip()
    return {"kinds": visit.values("kinds"), "notify": visit.values("notify"), "delaySeconds": delay or 0}


def _document(form: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that the form holds, with its rules, as the API takes it."""
    type_, rules = form.get("type"), {key: form.get(key) for key in WANTS_KEYS}
    doc: dict[str, Any] = {"type": type_, "name": form.get("name", "").strip(), **rules}
    if type_ == "email":
        doc["to"] = [one.strip() for one in form.get("to", "").replace(",", "\n").split("\n") if one.strip()]
    else:
        doc["url"] = form.get("url", "").strip()
    if type_ == "webhook" and form.get("headers", "").strip():
        doc["headers"] = dict(_header(line) for line in form["headers"].split("\n") if line.strip())
    return doc


def _fine(type_: str) -> dict[str, Any]:
    """Return for each field of the form something that no rule refuses."""
    url = "json://example.org" if type_ == "apprise" else "https://example.org"
    return {"name": "x", "to": "ann@example.org", "url": url, "headers": "", **_FINE_RULES}


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise invalid("headers", "headers must be one a line, as Name: value.")
    return name.strip(), value.strip()


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/channels", "viewer", channels),
    ("POST", "/w/{workspace}/channels", "operator", add),
    ("GET", "/w/{workspace}/channels/new", "operator", new),
    ("GET", "/w/{workspace}/channels/{channel}", "viewer", channel),
    ("POST", "/w/{workspace}/channels/{channel}", "operator", edit),
    ("POST", "/w/{workspace}/channels/{channel}/test", "operator", test),
    ("POST", "/w/{workspace}/channels/{channel}/secret", "operator", rotate),
    ("POST", "/w/{workspace}/channels/{channel}/remove", "operator", remove),
)
