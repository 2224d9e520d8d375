"""The details of an entry of the audit log in words, for the page and for the command."""

from collections.abc import Mapping
from typing import Any

from luota.core.spec.monitors import WORDS
from luota.core.spec.people import RETENTION_WORDS
from luota.core.spec.values import SECOND, format_duration

_KEYS = {
    **WORDS,
    **RETENTION_WORDS,
    "delaySeconds": "opening held back for",
    "untilHealthy": "until healthy",
    "notify": "told",
}
"""The words for keys of details that are none themselves."""


def details(detail: Mapping[str, Any], name: str | None) -> list[tuple[str, str]]:
    """Return the details of an entry as pairs of texts, its `changes` among them; what says nothing is left out.

    So is the `name` by which the entry is shown. Where `before` has what a change replaced, that stands in front of it.
    """
    detail = {key: value for key, value in detail.items() if key not in ("name", "email") or value != name}
    changes, before = detail.get("changes"), {}
    if isinstance(changes, dict):
        before = detail.get("before", {})
        detail = {key: value for key, value in detail.items() if key not in ("changes", "before")} | changes
    else:
        detail = {key: value for key, value in detail.items() if value is not None and value is not False}
    found = []
    for key, value in detail.items():
        now, was = _text(value, key), _text(before[key], key) if key in before else None
        found.append((_KEYS.get(key, key), now if was in (None, now) else f"{was} → {now}"))
    return found


def _text(value: Any, key: str = "") -> str:
    if key.endswith("Seconds") and isinstance(value, int):
        return format_duration(value * SECOND)
    if isinstance(value, str):
        return value.replace("_", " ") if key in {"kind", "state"} else value
    if isinstance(value, dict):
        sign = "=" if key == "tags" else ": "
        return ", ".join(f"{name}{sign}{_text(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
