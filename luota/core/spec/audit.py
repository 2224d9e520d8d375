"""Which entries of the audit log people ask for."""

from collections.abc import Mapping

from luota.core.errors import invalid
from luota.core.spec.places import Place, parse_page
from luota.core.spec.values import parse_text

KINDS = ("monitor", "incident", "channel", "drill", "member", "user", "workspace", "token", "session")
"""What an entry can be about: the word of its action before the point."""
MOST_LISTED = 1000
_MAX_ACTOR = 254


def parse_audit_filter(query: Mapping[str, str]) -> tuple[str, str, Place | None, int]:
    """Return the actor and the kind that a query asks for, empty for all, after which entry, and how many at most."""
    kind = query.get("of", "")
    if kind and kind not in KINDS:
        raise invalid("of", f"of must be one of {', '.join(KINDS)}.")
    return parse_text(query.get("actor", ""), "actor", maximum=_MAX_ACTOR), kind, *parse_page(query, MOST_LISTED)
