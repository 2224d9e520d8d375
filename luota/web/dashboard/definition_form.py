"""The form of a definition: its fields, what they mean together, and the words of a refusal."""

from collections.abc import Mapping
from typing import Any

from luota.core.errors import LuotaError, invalid, reworded
from luota.core.model import Mode
from luota.core.spec.monitors import WORDS
from luota.core.spec.values import SECOND, WRITTEN
from luota.web.dashboard.threshold import short

BLANK = {
    "name": "",
    "promise": "",
    "kind": "cron",
    "cron": "0 2 * * *",
    "every": "1",
    "unit": "h",
    "calendar": "*-*-* 02:00",
    "timezone": "",
    "expectedFreshnessSeconds": "",
    "graceSeconds": "",
    "maxRuntimeSeconds": "",
    "owner": "",
    "runbook": "",
    "environment": "",
    "tags": "",
    "failuresBeforeIncident": "1",
    "reminderSeconds": "",
    "slug": "",
}
"""The fields, as they stand on the page, and what is in them before anybody typed; `channels` is chosen beside them."""
FINE = {**BLANK, "channels": [], "name": "x", "expectedFreshnessSeconds": "1h"}
"""For each field something that no rule refuses."""
_TEXTS = ("promise", "owner", "runbook", "environment", "slug")
_DURATIONS = {
    Mode.HEARTBEAT: ("graceSeconds",),
    Mode.RUN: ("graceSeconds", "maxRuntimeSeconds"),
    Mode.FRESHNESS: ("expectedFreshnessSeconds", "graceSeconds"),
}
_WORDS = {**WORDS, "schedule.every": "the interval"}


def document(form: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    """Return the definition that a form means; what is empty is absent. INVALID for tags that are none."""
    doc = rules_document(form, mode)
    doc["name"] = form.get("name", "").strip()
    doc |= {key: form.get(key, "").strip() or None for key in (*_TEXTS, "reminderSeconds")}
    doc["tags"] = _tags(form.get("tags", ""))
    doc["channels"] = form.get("channels") or None
    return doc


def edited(current: dict[str, Any], form: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    """Return what a form makes of the definition `current`; what was not touched in it stays what it is."""
    kept = {}
    if form.get("tags") == _tag_lines(current["tags"]):  # a key with a `=` in it stays what it is
        kept["tags"] = current["tags"]
    if set(form.get("channels") or ()) == set(current["channels"] or ()):
        kept["channels"] = current["channels"]
    doc = {**document({**form, "tags": ""} if "tags" in kept else form, mode), **kept}
    doc["slug"] = doc["slug"] or current["slug"]
    return doc


def rules_document(form: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return the part of the definition that decides verdicts."""
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
    """Return tags as the form has them."""
    return "\n".join(f"{key}={value}" for key, value in tags.items())


def values_of(doc: dict[str, Any]) -> dict[str, str]:
    """Return the fields of the form for a definition, as `definition_json` writes it."""
    values = dict(BLANK)
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


def field_of(key: str) -> str:
    """Return the field of the form that holds a key of the definition."""
    if key == "schedule":
        return "kind"
    return "tags" if key.startswith("tags.") else key.removeprefix("schedule.")


def said(error: LuotaError) -> str:
    """Return a refusal in the words of the form."""
    text = reworded(error, _WORDS)
    if error.field == "schedule.every":  # its unit is chosen beside the number
        text = text.replace(WRITTEN, "a whole number of seconds, minutes, hours or days")
    return text[:1].upper() + text[1:]
