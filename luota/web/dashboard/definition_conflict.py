"""Two people who edit one monitor at a time: what the other has changed, and what becomes of it in the form."""

from collections.abc import Mapping
from typing import Any

import msgspec

from luota.core.errors import LuotaError
from luota.core.spec.monitors import WORDS, definition_json, parse_definition, parse_edit
from luota.core.spec.values import SECOND, format_duration
from luota.core.text import visible
from luota.core.words import describe
from luota.engine.monitors import version
from luota.web.dashboard.definition_form import edited


class Difference(msgspec.Struct, frozen=True):
    """A field that the other has changed, in words; `yours` is None where it was not touched, and theirs is taken."""

    word: str
    theirs: str
    yours: str | None


def loaded(text: str, seen: str) -> dict[str, Any] | None:
    """Return the definition with which a form was loaded; None for what is none, or not that of the version `seen`."""
    try:
        doc = msgspec.json.decode(text)
        fine = isinstance(doc, dict) and version(doc) == seen and definition_json(parse_definition(doc)) == doc
    except (ValueError, LuotaError, RecursionError):
        return None
    return doc if fine else None


def merged(
    base: dict[str, Any], theirs: dict[str, Any], form: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Difference]]:
    """Return `theirs` with what the form has made of `base`, and all in which the two differ."""
    mine = definition_json(parse_edit(base, edited(base, form, parse_definition(base).rules.mode)))
    touched = {key: value for key, value in mine.items() if value != base[key]}
    found = [
        Difference(WORDS.get(key, key).capitalize(), _said(key, theirs), _said(key, mine) if key in touched else None)
        for key in theirs
        if theirs[key] != base[key] and theirs[key] != mine[key]
    ]
    return {**theirs, **touched}, found


def _said(key: str, doc: dict[str, Any]) -> str:
    """Return the value of a key in words."""
    value = doc[key]
    if key == "schedule":
        schedule = parse_definition(doc).rules.schedule
        return "none" if schedule is None else describe(schedule)
    if key == "channels":
        return ", ".join(map(visible, value or ())) or "every one of the workspace"
    if key == "tags":
        return ", ".join(f"{visible(name)}={visible(inner)}" for name, inner in value.items()) or "none"
    if value is None or value == "":
        return "none"
    return format_duration(value * SECOND) if key.endswith("Seconds") else visible(str(value))
