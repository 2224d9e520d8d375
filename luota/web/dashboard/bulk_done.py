"""What was done to several monitors at once: how the address of the overview carries it, and how it is said there."""

from collections.abc import Sequence

from luota.core.text import visible
from luota.engine.registry import Live
from luota.web.dashboard.html import count
from luota.web.dashboard.visit import Visit

_NAMED = 3
_DONE = {"pause": "Paused", "resume": "Resumed", "tag": "Tagged"}


def told(do: str, done: Sequence[Live], left: int) -> dict[str, str]:
    """Return the parameters of an address from which `said` tells what was done to whom.

    `left` are those to which it could not be done, since it was so already.
    """
    ids = ",".join(live.id for live in done) if len(done) <= _NAMED else ""
    return {"done": do, "number": str(len(done)), "of": ids, "left": str(left or "")}


async def said(visit: Visit) -> str | None:
    """Return what was done by the address of a page, with the names of a few; None where it tells of nothing."""
    word = _DONE.get(visit.query("done"))
    if word is None:
        return None
    number, left, ids = _number(visit.query("number")), _number(visit.query("left")), visit.query("of").split(",")
    if not number:
        return "None of these monitors was paused." if word == "Resumed" else None
    cards = (await visit.site.board.cards(visit.reader, visit.workspace.id)).all if any(ids) else ()
    names = [visible(card.name) for card in cards if card.id in ids]
    named = f": {', '.join(names)}" if len(names) == number else ""
    rest = f" {left:,} of those chosen {'was' if left == 1 else 'were'} not paused." if left else ""
    return f"{word} {count(number, 'monitor')}{named}.{rest}"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
