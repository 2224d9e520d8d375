"""A notice that names many, in the fewest words that still name each: for services that take short messages."""

from luota.alerts.notice import Notice
from luota.core.text import visible

_STATES = {
    "incident.opened": "open",
    "incident.updated": "open, it became worse",
    "incident.reminder": "still open",
    "incident.resolved": "resolved",
}


def brief(notice: Notice) -> str | None:
    """Return a digest or a gap as names alone, a line each, below what is said of them; None for other notices.

    No name is left out. The rest stands on the pages; their address comes last where it is known.
    """
    lists: dict[str, list[str]] = {}
    for told in notice.digest:
        state = "opened and resolved" if told.opened_by else _STATES.get(told.type, "open")
        lists.setdefault(f"{told.kind} ({state})", []).append(told.monitor)
    if notice.gap is not None:
        lists["Could not verify"] = [one.name for one in notice.gap.unverified]
        lists["May still turn out so"] = [one.name for one in notice.gap.undecided]
    lines = [line for label, names in lists.items() if names for line in (f"{label}:", *map(visible, names))]
    if not lines:
        return None
    page = next((told.url for told in notice.digest if told.url), None)
    if page is not None:
        lines.append(f"More: {page.rpartition('/')[0]}")
    return "\n".join(lines) + "\n"
