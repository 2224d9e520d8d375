"""A notice that names many, in the fewest words that still name each: for services that take short messages."""

from collections.abc import Callable

from luota.alerts.notice import Notice
from luota.core.text import visible

_STATES = {
    "incident.opened": "open",
    "incident.updated": "open, it became worse",
    "incident.reminder": "still open",
    "incident.resolved": "resolved",
}


def names(notice: Notice) -> list[str]:
    """Return the names of all monitors that a digest or a gap tells of."""
    gap = () if notice.gap is None else (*notice.gap.unverified, *notice.gap.undecided)
    return [told.monitor for told in notice.digest] + [one.name for one in gap]


def brief(notice: Notice, shown: Callable[[str], str] = visible, most: int | None = None) -> str | None:
    """Return a digest or a gap as names alone, a line each, below what is said of them; None for other notices.

    No name is left out: an incident's stands once, below its latest state, as it is `shown`; but where there may be
    `most`, and the last line tells how many more there are. The rest stands on the pages; their address comes last
    where it is known.
    """
    lists: dict[str, list[str]] = {}
    latest = {(told.incident_id, told.monitor): told for told in notice.digest}
    for told in latest.values():
        state = "opened and resolved" if told.opened_by else _STATES.get(told.type, "open")
        state += ", open again" if told.open_again else ""
        lists.setdefault(f"{told.kind} ({state})", []).append(told.monitor)
    if notice.gap is not None:
        lists["Could not verify"] = [one.name for one in notice.gap.unverified]
        lists["May still turn out so"] = [one.name for one in notice.gap.undecided]
    total = left = sum(map(len, lists.values()))
    if not total:
        return None
    room = total if most is None else most
    lines = []
    for label, names in lists.items():
        if named := names[:room]:
            lines += [f"{label}:", *map(shown, named)]
            room, left = room - len(named), left - len(named)
    if left:
        lines.append(f"… and {left} more")
    page = next((told.url for told in notice.digest if told.url), None)
    if page is not None:
        lines.append(f"More: {page.rpartition('/')[0]}")
    return "\n".join(lines) + "\n"
