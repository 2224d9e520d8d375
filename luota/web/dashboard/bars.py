"""A monitor's bar as inline SVG: slots side by side, each with its exact times to hover."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup, escape

from luota.core.bar import Drawn, Slot
from luota.core.words import drawn_said, said
from luota.web.dashboard.html import exact, last_of

_WIDTH, _HEIGHT = 10, 28
_PLACES = 30
"""So many slots have room at least: those of a young monitor are as wide as those of an old one."""

# Where a slot's mark begins and ends from the top: a state differs by shape too, not by colour alone.
_SHAPE = {"ok": (2, 24), "late": (9, 17), "failed": (0, 28), "stuck": (0, 28), "stale": (0, 28), "none": (22, 4)}


def bar(slots: Sequence[Slot]) -> Markup:
    """Return the bar, its slots from the oldest to the newest at the right; empty text without slots."""
    if not slots:
        return Markup()
    drawn = []
    room = max(_PLACES, len(slots))
    for place, slot in enumerate(slots, start=room - len(slots)):
        top, height = _SHAPE.get(slot.state, (2, 24))
        x = place * _WIDTH
        if slot.blind:
            drawn.append(f'<rect class="blind" x="{x}" y="0" width="{_WIDTH}" height="{_HEIGHT}"/>')
        title = escape(describe(slot))
        drawn.append(
            f'<rect class="slot slot-{slot.state}" data-of="{slot.start}" '
            f'x="{x + 1}" y="{top}" width="{_WIDTH - 2}" height="{height}"><title>{title}</title></rect>'
        )
    size = f"0 0 {room * _WIDTH} {_HEIGHT}"
    said = f'role="img" aria-label="{escape(summary(slots))}"'
    svg = f'<svg class="bar" viewBox="{size}" preserveAspectRatio="none" {said}>{"".join(drawn)}</svg>'
    return Markup(svg)  # noqa: S704 - of names and numbers of our own, and of escaped text


def empty(slots: Sequence[Slot]) -> int:
    """Return how much of the bar is empty at its left, in whole percent."""
    return 100 * max(0, _PLACES - len(slots)) // _PLACES


def describe(slot: Slot) -> str:
    """Return one slot in words, with its times."""
    words = "".join(word if isinstance(word, str) else exact(word) for word in said(slot))
    return words + (", Luota was not watching all of it" if slot.blind else "")


def summary(slots: Sequence[Slot]) -> str:
    """Return what a bar shows, for those who cannot see it."""
    counts = Counter(slot.state for slot in slots)
    told = ", ".join(f"{count} {drawn_said(state)}" for state, count in counts.items() if state is not Drawn.NONE)
    return f"The {last_of(len(slots), 'slot')}, since {exact(slots[0].start)}: {told or drawn_said(Drawn.NONE)}"
