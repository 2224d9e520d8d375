"""Defining a monitor: a new one from a template, and the edit of one; with what it would expect, as one types."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import msgspec
from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Mode, Rules
from luota.core.preview import Upcoming, offset_at, upcoming
from luota.core.schedule import Every
from luota.core.spec.monitors import definition_json, parse_definition, parse_edit, parse_rules
from luota.core.spec.values import MINUTE, slug_of
from luota.core.words import describe
from luota.engine import monitors as commands
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.web.dashboard.definition_conflict import Difference, loaded, merged
from luota.web.dashboard.definition_form import BLANK, FINE, document, edited, field_of, rules_document, said, values_of
from luota.web.dashboard.refusals import refusals, status
from luota.web.dashboard.templates_of_monitors import OUTCOMES, TEMPLATES, Template
from luota.web.dashboard.times import change_said, in_zone, local, offset_name
from luota.web.dashboard.visit import Page, Visit

_MORE = {
    "failuresBeforeIncident",
    "owner",
    "runbook",
    "environment",
    "tags",
    "channels",
    "reminderSeconds",
    "slug",
}
_NEXT = 5
_NOTHING: Mapping[str, LuotaError] = {}
_CHANGED = "Somebody has changed this monitor since this form was opened. Nothing is saved yet."


async def new(visit: Visit) -> Response:
    """Offer the templates, or the form of the chosen one."""
    template = TEMPLATES.get(visit.query("template"))
    if template is None:
        by_mode = [one for one in TEMPLATES.values() if one.key not in OUTCOMES]
        by_outcome = [TEMPLATES[key] for key in OUTCOMES]
        return await visit.html("new-monitor.html", by_mode=by_mode, by_outcome=by_outcome)
    return await _new_form(visit, template, {**BLANK, **template.values})


async def create(visit: Visit) -> Response:
    """Create the monitor and lead to its integration; with `preview`, show what it would expect, and create nothing."""
    form = visit.form
    template = TEMPLATES.get(form.get("template", ""))
    if template is None:
        raise invalid("template", "There is no such template: choose one of those offered.")
    values, chosen = {**BLANK, **form}, visit.values("channels")
    if "preview" in form:
        return await _new_form(visit, template, values, chosen)
    given, taken = {**form, "channels": chosen}, visit.workspace.slugs

    def check(given: dict[str, Any]) -> None:
        definition = parse_definition(document(given, template.mode), now=visit.now)
        commands.refuse_taken_slug(taken, definition.slug)

    wrong = refusals(check, given, FINE, field_of)
    if not wrong:
        work = commands.create(visit.workspace, document(given, template.mode), visit.actor)
        try:
            live = await visit.engine.submit(work)
        except LuotaError as error:
            wrong = _blamed(error)
        else:
            return visit.redirect(visit.path("monitors", live.slug) + "/integration")
    return await _new_form(visit, template, values, chosen, wrong)


async def edit(visit: Visit) -> Response:
    """Show the definition in the form."""
    return await _edit_form(visit)


async def save(visit: Visit) -> Response:
    """Change what was changed in the form; with `preview`, show what it would expect, and change nothing."""
    live, form, chosen = visit.live(), visit.form, visit.values("channels")
    values = {**BLANK, **form}
    if "preview" in form:
        return await _edit_form(visit, values, chosen)
    current = definition_json(await monitor_rows.definition_of(visit.reader, live.id))
    given, taken = {**form, "channels": chosen}, visit.workspace.slugs
    made: dict[str, Any] = {}

    def check(given: dict[str, Any]) -> None:
        nonlocal made
        after = definition_json(parse_edit(current, edited(current, given, live.rules.mode)))
        made = {key: value for key, value in after.items() if value != current[key]}
        # Only now is it known whether the schedule is changed: one that was not may have run out by now.
        parse_edit(current, made, now=visit.now)
        commands.refuse_taken_slug(taken, made.get("slug"), live.id)

    wrong = refusals(check, given, FINE, field_of)
    if made and not wrong:
        try:
            live = await visit.engine.submit(commands.edit(live.id, made, visit.actor, form.get("seen") or None))
        except LuotaError as error:
            stale = error.code is Code.CONFLICT and error.field is None
            if stale:
                return await _conflict_form(visit, given, values, chosen)
            wrong = _blamed(error)
    if wrong:
        return await _edit_form(visit, values, chosen, wrong)
    return visit.redirect(visit.path("monitors", live.slug), said="Saved." if made else None)


async def preview(visit: Visit) -> Response:
    """Show what the schedule in the address would expect; the form asks for it as one types."""
    asked = {**BLANK, **visit.request.query_params}
    mode = visit.query("mode")
    return await visit.html(
        "preview.html",
        preview=previewed(asked, mode, visit.now),
        namesake=await _namesake(visit, asked, visit.query("of")),
    )


async def _namesake(visit: Visit, values: Mapping[str, str], own: str) -> dict[str, Any] | None:
    """Return which other monitor than `own` has the name in the form.

    For a new one to which none is given also the `slug` that it gets, and which is `taken` if that is another than
    the name suggests.
    """
    name = values["name"].strip()
    known = await visit.site.board.cards(visit.reader, visit.workspace.id)
    found = next((one for one in known.all if one.id != own and one.name.casefold() == name.casefold()), None)
    if not name or found is None:
        return None
    slug = taken = ""
    if not own and not values["slug"].strip():
        wanted = slug_of(name)
        slug = commands.free_slug(wanted, visit.workspace.slugs)
        taken = "" if slug == wanted else wanted
    return {"name": found.name, "path": visit.path("monitors", found.slug), "slug": slug, "taken": taken}


def previewed(form: Mapping[str, str], mode: str, now: int) -> dict[str, Any]:
    """Return what a form's schedule means: in words, and as its next occurrences; or all that is `wrong`."""
    shown: dict[str, Any] = {"wrong": [], "rules": None, "words": "", "rows": [], "stale_at": None}

    def check(given: dict[str, Any]) -> Rules:
        return parse_rules(rules_document(given, mode), now=now)

    try:
        wrong = refusals(check, form, FINE, field_of)
    except LuotaError as error:  # of no field
        wrong = {"": error}
    if wrong:
        return {**shown, "wrong": [said(error) for error in wrong.values()]}
    rules = check(dict(form))
    zone = form["timezone"] if form["timezone"] in _zones() else "UTC"
    shown |= {"rules": rules, "interval": isinstance(rules.schedule, Every)}
    if rules.mode is Mode.FRESHNESS:
        after = rules.freshness + rules.grace
        return {**shown, "stale_after": after, "stale_at": in_zone(now + after, zone, now)}
    if rules.schedule is None:
        return shown
    words = describe(rules.schedule)
    if not isinstance(rules.schedule, Every):
        zone = rules.schedule.timezone
    following = upcoming(rules.schedule, now, _NEXT, zone)
    seconds = any(at % MINUTE for one in following for at in (one.at, one.at + rules.grace))
    rows = [_row(one, rules.grace, zone, now, seconds=seconds) for one in following]
    return {**shown, "words": words[:1].upper() + words[1:], "rows": rows, "zone": zone}


def _row(one: Upcoming, grace: int, zone: str, now: int, *, seconds: bool) -> dict[str, Any]:
    deadline = one.at + grace
    offset = offset_at(zone, deadline)
    return {
        "at": one.at,
        "local": local(one.at, one.offset, now, seconds=seconds),
        "offset": offset_name(one.offset),
        "deadline": local(deadline, offset, now, beside=(one.at, one.offset), seconds=seconds),
        "deadline_offset": "" if offset == one.offset else offset_name(offset),
        "change": None if one.change is None else change_said(one.change, now),
    }


# -- the form ---------------------------------------------------------------------------------------------


async def _new_form(
    visit: Visit,
    template: Template,
    values: dict[str, str],
    chosen: list[str] | None = None,
    wrong: Mapping[str, LuotaError] = _NOTHING,
) -> Response:
    return await _form(
        visit,
        "define.html",
        template.mode,
        values,
        chosen or [],
        wrong,
        picked=template,
        action=visit.path("monitors"),
    )


async def _edit_form(
    visit: Visit,
    values: dict[str, str] | None = None,
    chosen: list[str] | None = None,
    wrong: Mapping[str, LuotaError] = _NOTHING,
    differences: list[Difference] | None = None,
) -> Response:
    live = visit.live()
    path = visit.path("monitors", live.slug)
    if live.drill_of is not None:  # people see a twin with its monitor alone
        return visit.redirect(visit.path("monitors", live.drill_of) + "/drills")
    current = definition_json(await monitor_rows.definition_of(visit.reader, live.id))
    # The one that was shown before stays, unless it was just told that there is a newer one.
    kept = values is not None and "" not in wrong
    seen = visit.form.get("seen", "") if kept else commands.version(current)
    base = visit.form.get("loaded", "") if kept else msgspec.json.encode(current).decode()
    if values is None or chosen is None:
        values, chosen = values_of(current), current["channels"] or []
    return await _form(
        visit,
        "edit.html",
        live.rules.mode,
        values,
        chosen,
        wrong,
        own=live.id,
        seen=seen,
        loaded=base,
        conflict="" in wrong,
        differences=differences,
        name=current["name"],
        action=path + "/edit",
        path=path,
        tab="edit",
    )


async def _conflict_form(visit: Visit, given: Mapping[str, Any], values: dict[str, str], chosen: list[str]) -> Response:
    """Return the form after somebody else has changed the monitor: with theirs where this one did not touch it."""
    theirs = definition_json(await monitor_rows.definition_of(visit.reader, visit.live().id))
    base, differences = loaded(visit.form.get("loaded", ""), visit.form.get("seen", "")), None
    if base is not None:
        both, differences = merged(base, theirs, given)
        values, chosen = values_of(both), both["channels"] or []
    wrong = {"": LuotaError(Code.CONFLICT, _CHANGED)}
    return await _edit_form(visit, values, chosen, wrong, differences)


async def _form(
    visit: Visit,
    page: str,
    mode: Mode,
    values: dict[str, str],
    chosen: list[str],
    wrong: Mapping[str, LuotaError],
    *,
    own: str = "",
    **context: Any,
) -> Response:
    """Return the page with the form, and what is `wrong` with its fields."""
    errors = {field: said(error) for field, error in wrong.items()}
    filled = any(values[key] != BLANK[key] for key in _MORE & BLANK.keys())
    return await visit.html(
        page,
        status(wrong),
        mode=mode,
        values=values,
        errors=errors,
        more=bool(errors.keys() & _MORE) or filled or bool(chosen),
        chosen=chosen,
        channels=await incident_rows.channels(visit.reader, visit.workspace.id),
        zones=_zones(),
        preview=previewed(values, mode, visit.now),
        preview_path=visit.path("monitors", "preview"),
        namesake=await _namesake(visit, values, own),
        own=own,
        **context,
    )


def _blamed(error: LuotaError) -> dict[str, LuotaError]:
    """Return a refusal by the field to blame; one that no field is to blame for goes on to whoever called."""
    if error.field is None or error.code not in (Code.INVALID, Code.CONFLICT):
        raise error
    return {field_of(error.field): error}


@cache
def _zones() -> tuple[str, ...]:
    """Return the timezones to choose from, as suggestions."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/monitors/new", "operator", new),
    ("POST", "/w/{workspace}/monitors", "operator", create),
    ("GET", "/w/{workspace}/monitors/preview", "operator", preview),
    ("GET", "/w/{workspace}/monitors/{monitor}/edit", "operator", edit),
    ("POST", "/w/{workspace}/monitors/{monitor}/edit", "operator", save),
)
