"""The lines of a trace, the recorded or invented history that `luota replay` runs over: one JSON object each."""

import json
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import Struct

from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.values import kind_of


class _Line(Struct, frozen=True, kw_only=True, rename="camel", tag_field="event", forbid_unknown_fields=True, gc=False):
    """What all lines have: the instant, as text that `parse_instant` reads."""

    at: str


class Monitor(_Line, frozen=True, tag="monitor"):
    """The whole definition of a monitor: its creation, and when it is there already, an edit."""

    monitor: str
    mode: Any = None
    schedule: Any = None
    grace_seconds: Any = None
    max_runtime_seconds: Any = None
    expected_freshness_seconds: Any = None
    failures_before_incident: Any = None


class Ping(_Line, frozen=True, tag="ping"):
    """A heartbeat, or word of fresh output."""

    monitor: str
    occurred_at: str | None = None


class Start(_Line, frozen=True, tag="start"):
    """A run start. `run` names the run among those of its monitor."""

    monitor: str
    run: str
    started_at: str | None = None


class Success(_Line, frozen=True, tag="success"):
    """The good end of a run."""

    monitor: str
    run: str
    finished_at: str | None = None


class Fail(_Line, frozen=True, tag="fail"):
    """The bad end of a run."""

    monitor: str
    run: str
    finished_at: str | None = None
    summary: str | None = None


class Pause(_Line, frozen=True, tag="pause"):
    """A person pauses a monitor."""

    monitor: str
    until: str | None = None
    until_healthy: bool | None = None


class Resume(_Line, frozen=True, tag="resume"):
    """A person ends a pause."""

    monitor: str


class Archive(_Line, frozen=True, tag="archive"):
    """A person puts a monitor away."""

    monitor: str


class Down(_Line, frozen=True, tag="down"):
    """Luota itself stops to hear."""


class Up(_Line, frozen=True, tag="up"):
    """Luota hears again."""


class End(_Line, frozen=True, tag="end"):
    """The end of the history."""


Line = Monitor | Ping | Start | Success | Fail | Pause | Resume | Archive | Down | Up | End

_TYPES: dict[str, type[Struct]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (Monitor, Ping, Start, Success, Fail, Pause, Resume, Archive, Down, Up, End)
}
# The event and each required field take two quotes for the key and two for the text.
_QUOTES = {kind: 4 * (1 + sum(field.required for field in msgspec.structs.fields(kind))) for kind in _TYPES.values()}
_decode = msgspec.json.Decoder(Line).decode


def parse_line(raw: bytes) -> Line:
    """Return what one line says; null stands for absent.

    The types of all values but those of a definition are checked here, their meaning is not. INVALID
    with the field to blame, or without one where the line as a whole is wrong.
    """
    try:
        line: Line = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(raw, error) from None
    if raw.count(b'"') != _QUOTES[type(line)]:  # else there is no room for more than what is required
        _refuse_repeated(raw)
    return line


def definition_of(line: Monitor) -> dict[str, Any]:
    """Return the definition in the form that `parse_rules` reads."""
    return {
        "mode": line.mode,
        "schedule": line.schedule,
        "graceSeconds": line.grace_seconds,
        "maxRuntimeSeconds": line.max_runtime_seconds,
        "expectedFreshnessSeconds": line.expected_freshness_seconds,
        "failuresBeforeIncident": line.failures_before_incident,
    }


def _refuse_repeated(raw: bytes) -> None:
    """Raise INVALID, with the key, where an object of a line that is valid JSON has one twice."""
    repeated: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    try:
        json.loads(raw, object_pairs_hook=check, parse_int=str, parse_float=str)  # a long number would raise
    except RecursionError:
        raise LuotaError(Code.INVALID, "not valid JSON: nested too deep. Write one JSON object a line.") from None
    if repeated:
        raise invalid(repeated[0], f"{repeated[0][:60]} stands twice on the line. Give each key once.")


def _refusal(raw: bytes, error: Exception) -> LuotaError:
    """Return the error for a line that does not decode, with the field to blame where one is."""
    try:
        doc = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        if isinstance(malformed, msgspec.DecodeError):
            reason = str(malformed).removeprefix("JSON is malformed: ")
        else:
            reason = "not UTF-8" if isinstance(malformed, UnicodeDecodeError) else "nested too deep"
        return LuotaError(Code.INVALID, f"not valid JSON: {reason}. Write one JSON object a line.")
    if not isinstance(doc, dict):
        return LuotaError(Code.INVALID, f"a line must be a JSON object, not {kind_of(doc)}.")
    _refuse_repeated(raw)
    event = doc.get("event")
    kind = _TYPES.get(event) if isinstance(event, str) else None
    if kind is None:
        near = get_close_matches(event, _TYPES, n=1) if isinstance(event, str) else []
        hint = f"Did you mean {near[0]}?" if near else "It says what happened."
        return invalid("event", f"event must be one of {', '.join(_TYPES)}. {hint}")
    fields = msgspec.structs.fields(kind)
    known = ["at", "event", *(field.encode_name for field in fields if field.encode_name != "at")]
    for key in doc:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(known)}."
            return invalid(key, f"{key[:60]} is not a key of {event}. {hint}")
    for field in fields:
        key = field.encode_name
        value = doc.get(key)
        if field.required and value is None:
            return invalid(key, f"{key} is required for {event}.")
        try:
            msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            word = "true or false" if field.type == bool | None else "a text"
            return invalid(key, f"{key} must be {word}, not {kind_of(value)}.")
    return LuotaError(Code.INVALID, f"the line cannot be read: {error}.")
