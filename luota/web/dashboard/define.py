"""Defining a monitor: a new one from a template, and the edit of one; with what it would expect, as one types."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from starlette.responses import Response

from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Mode, Rules
from luota.core.preview import Upcoming, upcoming
from luota.core.schedule import Every
from luota.core.spec.monitors import definition_json, parse_edit, parse_rules
from luota.core.spec.values import SECOND
from luota.core.words import describe
from luota.engine import monitors as commands
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows
from luota.web.dashboard.templates_of_monitors import OUTCOMES, TEMPLATES, Template
from luota.web.dashboard.threshold import short
from luota.web.dashboard.times import local, offset_name
from luota.web.dashboard.visit import Page, Visit
from luota.web.http import STATUS

_BLANK = {
    **dict.fromkeys(("name", "promise", "owner", "runbook", "environment", "slug", "tags", "timezone"), ""),
    "kind": "cron",
    "every": "1",
    "unit": "h",
    "cron": "0 2 * * *",
    "calendar": "*-*-* 02:00",
    "graceSeconds": "",
    "maxRuntimeSeconds": "",
    "expectedFreshnessSeconds": "",
    "failuresBeforeIncident": "1",
    "reminderSeconds": "",
}
_TEXTS = ("promise", "owner", "runbook", "environment", "slug")
_DURATIONS = {
    Mode.HEARTBEAT: ("graceSeconds",),
    Mode.RUN: ("graceSeconds", "maxRuntimeSeconds"),
    Mode.FRESHNESS: ("expectedFreshnessSeconds", "graceSeconds"),
}
_WORDS = {
    "schedule.every": "the interval",
    "schedule.cron": "cron",
    "schedule.calendar": "calendar",
    "schedule.timezone": "timezone",
    "graceSeconds": "grace",
    "maxRuntimeSeconds": "max runtime",
    "expectedFreshnessSeconds": "freshness",
    "failuresBeforeIncident": "tolerance",
    "reminderSeconds": "reminder",
}
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


async def new(visit: Visit) -> Response:
    """Offer the templates, or the form of the chosen one."""
    template = TEMPLATES.get(visit.query("template"))
    if template is None:
        by_mode = [one for one in TEMPLATES.values() if one.key not in OUTCOMES]
        by_outcome = [TEMPLATES[key] for key in OUTCOMES]
        return await visit.html("new-monitor.html", by_mode=by_mode, by_outcome=by_outcome)
    return await _new_form(visit, template, {**_BLANK, **template.values})


async def create(visit: Visit) -> Response:
    """Create the monitor and lead to its integration; with `preview`, show what it would expect, and create nothing."""
    form = visit.form
    template = TEMPLATES.get(form.get("template", ""))
    if template is None:
        raise invalid("template", "There is no such template: choose one of those offered.")
    values, chosen = {**_BLANK, **form}, visit.values("channels")
    if "preview" in form:
        return await _new_form(visit, template, values, chosen)
    try:
        doc = _doc(form, template.mode, chosen)
        live = await visit.engine.submit(commands.create(visit.workspace, doc, visit.actor))
    except LuotaError as error:
        return await _new_form(visit, template, values, chosen, error)
    return visit.redirect(visit.path("monitors", live.slug) + "/integration")


async def edit(visit: Visit) -> Response:
    """Show the definition in the form."""
    return await _edit_form(visit)


async def save(visit: Visit) -> Response:
    """Change what was changed in the form; with `preview`, show what it would expect, and change nothing."""
    live, form, chosen = visit.live(), visit.form, visit.values("channels")
    values = {**_BLANK, **form}
    if "preview" in form:
        return await _edit_form(visit, values, chosen)
    try:
        current = definition_json(await monitor_rows.definition_of(visit.reader, live.id))
        doc = _doc(form, live.rules.mode, chosen)
        doc["slug"] = doc["slug"] or current["slug"]
        if values["tags"] == _tag_lines(current["tags"]):  # a key with a `=` in it stays what it is
            doc["tags"] = current["tags"]
        if set(chosen) == set(current["channels"] or ()):
            doc["channels"] = current["channels"]
        after = definition_json(parse_edit(current, doc))
        changes = {key: value for key, value in after.items() if value != current[key]}
        if changes:
            live = await visit.engine.submit(commands.edit(live.id, changes, visit.actor))
    except LuotaError as error:
        return await _edit_form(visit, values, chosen, error)
    return visit.redirect(visit.path("monitors", live.slug))


async def preview(visit: Visit) -> Response:
    """Show what the schedule in the address would expect; the form asks for it as one types."""
    asked = {**_BLANK, **visit.request.query_params}
    mode = visit.query("mode")
    return await visit.html("preview.html", preview=previewed(asked, mode, visit.now))


def previewed(form: Mapping[str, str], mode: str, now: int) -> dict[str, Any]:
    """Return what a form's schedule means: in words, and as its next occurrences; or `wrong`, what is the matter."""
    shown: dict[str, Any] = {"wrong": "", "rules": None, "words": "", "rows": [], "stale_at": ""}
    try:
        rules = parse_rules(_rules_doc(form, mode), now=now)
    except LuotaError as error:
        return {**shown, "wrong": _said(error)}
    zone = form["timezone"] if form["timezone"] in _zones() else "UTC"
    shown |= {"rules": rules, "interval": isinstance(rules.schedule, Every)}
    if rules.mode is Mode.FRESHNESS:
        stale = rules.freshness + rules.grace
        return {**shown, "stale_after": stale, "stale_at": now + stale}
    if rules.schedule is None:
        return shown
    words = describe(rules.schedule)
    rows = [_row(one, rules, now) for one in upcoming(rules.schedule, now, _NEXT, zone)]
    return {**shown, "words": words[:1].upper() + words[1:], "rows": rows, "zone": zone}


def _row(one: Upcoming, rules: Rules, now: int) -> dict[str, Any]:
    change = one.change
    return {
        "at": one.at,
        "local": local(one.at, one.offset, now),
        "offset": offset_name(one.offset),
        "deadline": local(one.at + rules.grace, one.offset, now, beside=one.at),
        "change": None if change is None else f"{local(change.at, change.before, now)}: {change.note}",
    }


# -- the form ---------------------------------------------------------------------------------------------


async def _new_form(
    visit: Visit,
    template: Template,
    values: dict[str, str],
    chosen: list[str] | None = None,
    error: LuotaError | None = None,
) -> Response:
    return await _form(
        visit,
        "define.html",
        template.mode,
        values,
        chosen or [],
        error,
        picked=template,
        action=visit.path("monitors"),
    )


async def _edit_form(
    visit: Visit,
    values: dict[str, str] | None = None,
    chosen: list[str] | None = None,
    error: LuotaError | None = None,
) -> Response:
    live = visit.live()
    path = visit.path("monitors", live.slug)
    if live.drill_of is not None:  # people see a twin with its monitor alone
        return visit.redirect(visit.path("monitors", live.drill_of) + "/drills")
    current = definition_json(await monitor_rows.definition_of(visit.reader, live.id))
    if values is None or chosen is None:
        values, chosen = _values(current), current["channels"] or []
    return await _form(
        visit,
        "edit.html",
        live.rules.mode,
        values,
        chosen,
        error,
        name=current["name"],
        action=path + "/edit",
        path=path,
        tab="edit",
    )


async def _form(
    visit: Visit,
    page: str,
    mode: Mode,
    values: dict[str, str],
    chosen: list[str],
    error: LuotaError | None,
    **context: Any,
) -> Response:
    """Return the page with the form; an error that no field is to blame for goes on to whoever called."""
    if error is not None and (error.field is None or error.code not in (Code.INVALID, Code.CONFLICT)):
        raise error
    field = "" if error is None else _field(str(error.field))
    errors = {} if error is None else {field: _said(error)}
    filled = any(values[key] != _BLANK[key] for key in _MORE & _BLANK.keys())
    return await visit.html(
        page,
        200 if error is None else STATUS[error.code],
        mode=mode,
        values=values,
        errors=errors,
        more=bool(errors.keys() & _MORE) or filled or bool(chosen),
        chosen=chosen,
        channels=await incident_rows.channels(visit.reader, visit.workspace.id),
        zones=_zones(),
        preview=previewed(values, mode, visit.now),
        preview_path=visit.path("monitors", "preview"),
        **context,
    )


def _doc(form: Mapping[str, str], mode: Mode, chosen: list[str]) -> dict[str, Any]:
    """Return the definition that a form means; what is empty is absent."""
    doc = _rules_doc(form, mode)
    doc["name"] = form.get("name", "").strip()
    doc |= {key: form.get(key, "").strip() or None for key in (*_TEXTS, "reminderSeconds")}
    doc["tags"] = _tags(form.get("tags", ""))
    doc["channels"] = chosen or None
    return doc


def _rules_doc(form: Mapping[str, str], mode: str) -> dict[str, Any]:
    doc: dict[str, Any] = {"mode": mode, "schedule": None}
    kind = form.get("kind", "none")
    if mode != Mode.FRESHNESS and kind != "none":
        if kind == "every":
            doc["schedule"] = {"every": form.get("every", "").strip() + form.get("unit", "")}
        else:
            doc["schedule"] = {kind: form.get(kind, ""), "timezone": form.get("timezone", "").strip() or None}
    for key in _DURATIONS.get(Mode(mode), ()) if mode in tuple(Mode) else ():
        doc[key] = form.get(key, "").strip() or None
    tolerance = form.get("failuresBeforeIncident", "").strip()
    if tolerance and mode != Mode.FRESHNESS:
        # A longer one stays text, for the rules to refuse: int() raises beyond 4300 digits.
        number = tolerance.isascii() and tolerance.isdigit() and len(tolerance) < 12
        doc["failuresBeforeIncident"] = int(tolerance) if number else tolerance
    return doc


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or key in tags:
            raise invalid("tags", "Write each tag on a line of its own as key=value, and each key once.")
        tags[key] = value
    return tags


def _tag_lines(tags: dict[str, str]) -> str:
    return "\n".join(f"{key}={value}" for key, value in tags.items())


def _values(doc: dict[str, Any]) -> dict[str, str]:
    """Return the fields of the form for a definition, as `definition_json` writes it."""
    values = dict(_BLANK)
    values |= {key: doc[key] or "" for key in ("name", *_TEXTS)}
    for key in ("graceSeconds", "maxRuntimeSeconds", "expectedFreshnessSeconds", "reminderSeconds"):
        values[key] = "" if doc.get(key) is None else short(doc[key] * SECOND)
    values["failuresBeforeIncident"] = str(doc["failuresBeforeIncident"])
    values["tags"] = _tag_lines(doc["tags"])
    schedule = doc["schedule"]
    if schedule is None:
        return {**values, "kind": "none"}
    values["kind"] = next(kind for kind in ("every", "cron", "calendar") if kind in schedule)
    if "every" in schedule:
        written = short(schedule["every"] * SECOND)
        return {**values, "every": written[:-1], "unit": written[-1]}
    return {**values, **schedule}


def _field(key: str) -> str:
    """Return the field of the form that holds a key of the definition."""
    if key == "schedule":
        return "kind"
    return "tags" if key.startswith("tags.") else key.removeprefix("schedule.")


def _said(error: LuotaError) -> str:
    """Return a refusal in the words of the form."""
    said = error.message
    for key, word in _WORDS.items():
        said = said.replace(key, word)
    return said[:1].upper() + said[1:]


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
