"""Lists that are read in pieces, the newest first: how many at once, and after which row to go on."""

from collections.abc import Mapping

from luota.core.errors import invalid
from luota.core.spec.values import parse_uuid

Place = tuple[int, str]
"""The instant and the id of the row after which a list goes on."""


MOST_SIGNALS = 200
"""How many pings or runs one answer holds at most; a ping has its payload with it."""


def place(at: int, row_id: str) -> str:
    """Return where a list goes on, as text for an address."""
    return f"{at}-{row_id}"


def parse_page(query: Mapping[str, str], most: int) -> tuple[Place | None, int]:
    """Return after which row a query goes on (`before`), and how many it asks for (`limit`): 50 unless said."""
    limit = query.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 0 < int(limit) <= most):
        raise invalid("limit", f"limit must be a whole number from 1 to {most}.")
    before = query.get("before")
    begin = None if before is None else _parse_place(before)
    if before is not None and begin is None:
        raise invalid("before", "before must be the next of an earlier answer.")
    return begin, int(limit)


def _parse_place(text: str) -> Place | None:
    """Return the place that `place` wrote, None for what it did not."""
    at, _, row_id = text.partition("-")
    fine = at.isascii() and at.isdigit() and len(at) < 18 and parse_uuid(row_id) == row_id
    return (int(at), row_id) if fine else None
