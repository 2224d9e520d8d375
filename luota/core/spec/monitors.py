"""Definitions of monitors, as API, CLI and replay receive them: a JSON object with camelCase keys."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from luota.core.errors import invalid
from luota.core.model import Mode, Rules
from luota.core.schedule import Schedule, parse_schedule
from luota.core.spec.values import (
    DAY,
    LONGEST,
    MINUTE,
    SECOND,
    is_nameable,
    kind_of,
    parse_duration,
    parse_http_url,
    parse_slug,
    parse_tags,
    parse_text,
)

RESERVED_SLUGS = ("new", "preview")
"""What stands below /monitors in the addresses of the pages, beside the monitors."""
MAX_NAME = 120
MAX_PROMISE = 500
MAX_LABEL = 200
MAX_CHANNELS = 20
MAX_TOLERANCE = 100
MAX_GRACE = 365 * DAY
LEAST_REMINDER = 5 * MINUTE
MOST_REMINDER = 30 * DAY

KEYS = (
    "name",
    "slug",
    "mode",
    "schedule",
    "graceSeconds",
    "maxRuntimeSeconds",
    "expectedFreshnessSeconds",
    "failuresBeforeIncident",
    "reminderSeconds",
    "promise",
    "owner",
    "runbook",
    "tags",
    "environment",
    "channels",
)
WORDS = {
    "graceSeconds": "grace",
    "maxRuntimeSeconds": "max runtime",
    "expectedFreshnessSeconds": "freshness",
    "failuresBeforeIncident": "tolerance",
    "reminderSeconds": "reminder",
}
"""What people read in place of those keys that are no words."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided about a monitor. Empty texts and tags stand for what was not given.

    `slug` is None when the name shall give it; `channels` is None when every channel of the workspace
    is told, also after an empty list: nobody can be told nothing. `reminder` is after how many milliseconds
    people are reminded of an incident that stays open, again and again; 0 for never.
    """

    name: str
    slug: str | None = None
    rules: Rules
    promise: str = ""
    owner: str = ""
    runbook: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    environment: str = ""
    channels: tuple[str, ...] | None = None
    reminder: int = 0


def parse_rules(doc: dict[str, Any], *, now: int | None = None) -> Rules:
    """Return the part of a definition that decides verdicts; other keys are ignored, null is absent.

    A limit that the mode has no use for (`maxRuntimeSeconds` outside `run`, `expectedFreshnessSeconds`
    outside `freshness`) is ignored too, since recorded histories carry all keys. INVALID with the key
    for anything wrong, and for a schedule that never occurs after `now`, where that is given.
    """
    mode = _mode(doc.get("mode"))
    return Rules(
        mode=mode,
        schedule=_schedule(doc.get("schedule"), mode, now),
        grace=_duration(doc, "graceSeconds", 0, minimum=0, maximum=MAX_GRACE),
        max_runtime=_duration(doc, "maxRuntimeSeconds", DAY) if mode is Mode.RUN else DAY,
        freshness=_freshness(doc) if mode is Mode.FRESHNESS else 0,
        tolerance=_tolerance(doc.get("failuresBeforeIncident"), mode),
    )


def parse_definition(doc: dict[str, Any], *, now: int | None = None, kept: str | None = None) -> Definition:
    """Return the definition that `doc` gives, null standing for absent.

    INVALID with the key to blame, also for an unknown key, naming the nearest known one, for a key that
    the mode has no use for, and for a schedule that never occurs after `now`, where that is given. No slug may be
    one of RESERVED_SLUGS, unless it is `kept` from before they were.
    """
    _refuse_unknown(doc)
    rules = parse_rules(doc, now=now)
    _refuse_useless(doc, rules.mode)
    slug, tags, runbook = doc.get("slug"), doc.get("tags"), doc.get("runbook")
    return Definition(
        name=_name(doc.get("name")),
        slug=None if slug is None else _slug(slug, kept),
        rules=rules,
        promise=_text(doc, "promise", MAX_PROMISE),
        owner=_text(doc, "owner", MAX_LABEL),
        runbook="" if runbook is None or runbook == "" else parse_http_url(runbook, "runbook"),
        tags={} if tags is None else parse_tags(tags, "tags"),
        environment=_text(doc, "environment", MAX_LABEL),
        channels=_channels(doc.get("channels")),
        reminder=_reminder(doc),
    )


def parse_edit(current: dict[str, Any], changes: dict[str, Any], *, now: int | None = None) -> Definition:
    """Return the definition `current` (as `definition_json` writes it) with the keys of `changes` replaced.

    A null in `changes` takes the key back to its default. INVALID as for `parse_definition`, and with
    field `mode` for another mode: the history of a monitor means something only under one. `now` applies
    to a schedule that is changed; one that has run out may stay.
    """
    _refuse_unknown(changes)
    if changes.get("mode") is not None and _mode(changes["mode"]) != current["mode"]:
        raise invalid("mode", "mode of a monitor cannot change. Create a new monitor and archive this one.")
    merged = {**current, **changes, "mode": current["mode"]}
    return parse_definition(merged, now=now if "schedule" in changes else None, kept=current.get("slug"))


def definition_json(definition: Definition) -> dict[str, Any]:
    """Return the JSON form from which `parse_definition` gives the same definition; durations in seconds.

    Keys that the mode has no use for are left out; texts that were not given are null.
    """
    rules = definition.rules
    doc: dict[str, Any] = {
        "name": definition.name,
        "slug": definition.slug,
        "mode": rules.mode.value,
        "schedule": rules.schedule.json() if rules.schedule else None,
        "graceSeconds": rules.grace // SECOND,
    }
    if rules.mode is Mode.RUN:
        doc["maxRuntimeSeconds"] = rules.max_runtime // SECOND
    if rules.mode is Mode.FRESHNESS:
        doc["expectedFreshnessSeconds"] = rules.freshness // SECOND
    doc["failuresBeforeIncident"] = rules.tolerance
    doc["reminderSeconds"] = definition.reminder // SECOND or None
    for key in ("promise", "owner", "runbook", "environment"):
        doc[key] = getattr(definition, key) or None
    doc["tags"] = dict(definition.tags)
    doc["channels"] = None if definition.channels is None else list(definition.channels)
    return doc


def _slug(value: object, kept: str | None) -> str:
    slug = parse_slug(value, "slug")
    if slug in RESERVED_SLUGS and slug != kept:
        raise invalid("slug", f"slug {slug} is the name of a page of Luota itself. Choose another.")
    return slug


def _mode(value: object) -> Mode:
    known = ", ".join(Mode)
    if value is None or value == "":
        raise invalid("mode", f"mode is required and must be one of {known}.")
    if not isinstance(value, str):
        raise invalid("mode", f"mode must be one of {known}, not {kind_of(value)}.")
    if value not in tuple(Mode):
        near = get_close_matches(value[:MAX_NAME].lower(), tuple(Mode), n=1, cutoff=0.5)
        given = value if is_nameable(value) else "this text"
        raise invalid(
            "mode", f"mode must be one of {known}, not {given}." + (f" Did you mean {near[0]}?" if near else "")
        )
    return Mode(value)


def _schedule(value: object, mode: Mode, now: int | None) -> Schedule | None:
    if value is None and mode is Mode.HEARTBEAT:
        raise invalid("schedule", "schedule is required: a heartbeat monitor must know when to expect a ping.")
    if value is not None and mode is Mode.FRESHNESS:
        raise invalid("schedule", "schedule does not go with mode freshness, which asks how old the output is.")
    return parse_schedule(value, "schedule", now=now)


def _freshness(doc: dict[str, Any]) -> int:
    if doc.get("expectedFreshnessSeconds") is None:
        raise invalid(
            "expectedFreshnessSeconds",
            "expectedFreshnessSeconds is required: how old the output may become before it is stale.",
        )
    return parse_duration(doc["expectedFreshnessSeconds"], "expectedFreshnessSeconds", minimum=SECOND)


def _duration(doc: dict[str, Any], key: str, default: int, *, minimum: int = SECOND, maximum: int = LONGEST) -> int:
    value = doc.get(key)
    return default if value is None else parse_duration(value, key, minimum=minimum, maximum=maximum)


def _reminder(doc: dict[str, Any]) -> int:
    value, key = doc.get("reminderSeconds"), "reminderSeconds"
    return (
        0 if value is None else parse_duration(value, key, minimum=LEAST_REMINDER, maximum=MOST_REMINDER, or_zero=True)
    )


def _tolerance(value: object, mode: Mode) -> int:
    if value is None:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TOLERANCE:
        raise invalid(
            "failuresBeforeIncident",
            f"failuresBeforeIncident must be a whole number from 1 to {MAX_TOLERANCE}.",
        )
    if value > 1 and mode is Mode.FRESHNESS:
        raise invalid(
            "failuresBeforeIncident",
            "failuresBeforeIncident does not go with mode freshness: stale output has no occurrences to "
            "count. Leave it out, and give a longer grace instead.",
        )
    return value


def _name(value: object) -> str:
    if value is None:
        raise invalid("name", "name is required: what people shall call this monitor.")
    name = parse_text(value, "name", minimum=1, maximum=MAX_NAME)
    if not name.strip():
        raise invalid("name", "name must not be blank.")
    if _CONTROL.search(name):  # it stands in subjects of mails and in tables of the CLI
        raise invalid("name", "name must be one line without control characters.")
    return name


def _text(doc: dict[str, Any], key: str, maximum: int) -> str:
    value = doc.get(key)
    return "" if value is None else parse_text(value, key, maximum=maximum)


def _channels(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise invalid("channels", f"channels must be an array of names or ids, not {kind_of(value)}.")
    if len(value) > MAX_CHANNELS:
        raise invalid("channels", f"channels may name at most {MAX_CHANNELS}; there are {len(value)}.")
    names = tuple(parse_text(name, "channels", minimum=1, maximum=MAX_NAME) for name in value)
    if len(set(names)) < len(names):
        raise invalid("channels", "channels names the same one twice. Name each once.")
    return names or None


def _refuse_unknown(keys: Iterable[object]) -> None:
    for key in keys:
        if key in KEYS:
            continue
        if not isinstance(key, str) or not is_nameable(key):
            raise invalid("body", f"A key is unknown. Known keys are {', '.join(KEYS)}.")
        near = get_close_matches(key, KEYS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else f"Known keys are {', '.join(KEYS)}."
        raise invalid(key, f"{key} is not a known key. {hint}")


def _refuse_useless(doc: dict[str, Any], mode: Mode) -> None:
    for key, needed in (("maxRuntimeSeconds", Mode.RUN), ("expectedFreshnessSeconds", Mode.FRESHNESS)):
        if doc.get(key) is not None and mode is not needed:
            raise invalid(key, f"{key} goes with mode {needed} only, and this is mode {mode}. Leave it out.")
