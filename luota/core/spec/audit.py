"""Which entries of the audit log people ask for."""

from collections.abc import Mapping

from luota.core.errors import invalid
from luota.core.spec.values import parse_text, parse_uuid

KINDS = ("monitor", "incident", "channel", "drill", "member", "user", "workspace", "token", "session")
"""What an entry can be about: the word of its action before the point."""
MOST_LISTED = 1000
_MAX_ACTOR = 254

Place = tuple[int, str]
"""The instant and the id of the entry after which a list goes on."""


def parse_place(text: str) -> Place | None:
    """Return the place that `place` wrote, None for what it did not."""
    at, _, entry_id = text.partition("-")
    fine = at.isascii() and at.isdigit() and len(at) < 18 and parse_uuid(entry_id) == entry_id
    return (int(at), entry_id) if fine else None


def place(at: int, entry_id: str) -> str:
    """Return where a list goes on, as text for an address."""
    return f"{at}-{entry_id}"


def parse_audit_filter(query: Mapping[str, str]) -> tuple[str, str, Place | None, int]:
    """Return the actor and the kind that a query asks for, empty for all, after which entry, and how many at most."""
    kind = query.get("of", "")
    if kind and kind not in KINDS:
        raise invalid("of", f"of must be one of {', '.join(KINDS)}.")
    limit = query.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 0 < int(limit) <= MOST_LISTED):
        raise invalid("limit", f"limit must be a whole number from 1 to {MOST_LISTED}.")
    before = query.get("before")
    begin = None if before is None else parse_place(before)
    if before is not None and begin is None:
        raise invalid("before", "before must be the next of an earlier answer.")
    return parse_text(query.get("actor", ""), "actor", maximum=_MAX_ACTOR), kind, begin, int(limit)
