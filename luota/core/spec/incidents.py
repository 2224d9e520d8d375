"""What people send about incidents: reasons, and which ones to list."""

from collections.abc import Mapping
from typing import Any

from luota.core.errors import invalid
from luota.core.spec.values import parse_text

STATES = ("open", "acknowledged", "resolved")
MAX_REASON = 500
MAX_NOTE = 2000
MOST_LISTED = 999_999


def parse_reason(doc: Mapping[str, Any], *, required: bool = False) -> str:
    """Return the `reason`, of at most 500 characters, empty where none is given and none is `required`."""
    value = doc.get("reason")
    reason = "" if value is None else parse_text(value, "reason", maximum=MAX_REASON)
    if required and not reason.strip():
        raise invalid("reason", "reason is required: say who looks after it, or why nobody needs to.")
    return reason


def parse_note(doc: Mapping[str, Any]) -> str:
    """Return the `text` of a note, of 1 to 2000 characters that are not all blank."""
    text = parse_text(doc.get("text"), "text", minimum=1, maximum=MAX_NOTE)
    if not text.strip():
        raise invalid("text", "text must not be blank: say what people should know.")
    return text


def parse_filter(query: Mapping[str, str]) -> tuple[str | None, str | None, int]:
    """Return which incidents a query asks for: of which monitor and in which state, or None, and how many at most."""
    state = query.get("state")
    if state is not None and state not in STATES:
        raise invalid("state", f"state must be one of {', '.join(STATES)}.")
    limit = query.get("limit", "1000")
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:7]) <= MOST_LISTED and len(limit) < 7):
        raise invalid("limit", f"limit must be a whole number from 1 to {MOST_LISTED}.")
    return parse_monitor(query) if "monitor" in query else None, state, int(limit)


def parse_monitor(query: Mapping[str, str]) -> str:
    """Return of which monitor a query asks, by id or slug."""
    monitor = query.get("monitor")
    if not monitor:
        raise invalid("monitor", "monitor must be an id or a slug.")
    return monitor
