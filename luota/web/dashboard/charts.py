"""Durations side by side as inline SVG, with the limit to which they are held drawn in.

Without a view box: lengths are percentages, so that the chart fills its place and its words keep their size.
The words of the axis stand left of it, in the padding that the style sheet gives.
"""

from collections.abc import Sequence

from markupsafe import Markup, escape
from msgspec import Struct

from luota.web.dashboard.html import duration

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(100, 200, 500),
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
_LOW, _HIGH = 94.0, 18.0
"""Where the plot lies from the top, in hundredths of the height: above it stand the words of the limit."""
_LEAST_PLACES = 24
_FAR = 3


class Column(Struct, frozen=True):
    """One duration in milliseconds: how it is drawn (a class of the style sheet), and its exact words to hover.

    One that is `over` what is allowed is red and has a cap, whatever it is beside; one that is drawn as `failed` has a
    cross above it, since a short one has no room for a shape. `of` names what it is of: by it one is found again in a
    chart that is drawn anew.
    """

    value: int
    drawn: str
    title: str
    over: bool = False
    of: str = ""

    @property
    def kind(self) -> str:
        """By which of the two its body is drawn."""
        return "over" if self.over else self.drawn


_LEGEND = {"failed": "failed", "over": "over the limit", "unknown": "unverified", "running": "still open"}
"""The words for how columns are drawn that are not plain."""


def legend(found: Sequence[Column]) -> list[tuple[Markup, str]]:
    """Return a small column of each kind in this chart that is not plain, with the word for it."""
    kinds = {one.kind for one in found} | {"failed" for one in found if one.drawn == "failed"}
    return [(_small(kind), word) for kind, word in _LEGEND.items() if kind in kinds]


def _small(kind: str) -> Markup:
    top = 8 if kind == "failed" else 0
    drawn = f'<rect class="chart-bar chart-bar-{kind}" y="{top}" width="8" height="{14 - top}"/>'
    if kind == "failed":
        drawn += _cross('x="4" y="8"')
    if kind == "over":
        drawn += '<rect class="chart-cap" width="8" height="4"/>'
    return Markup(drawn)  # noqa: S704 - of names and numbers of our own


def _cross(place: str) -> str:
    return f'<text class="chart-cross" {place} text-anchor="middle">&times;</text>'


def columns(found: Sequence[Column], limit: int | None, word: str, label: str) -> Markup:
    """Return the chart of these durations, the oldest first; empty text without any.

    `limit` (milliseconds) is a line that is called `word`, above the plot where no column hides it. One far above all
    durations would press them flat: it is drawn at the top then, and said to be out of scale. `label` names the chart
    for those who cannot see it.
    """
    if not found:
        return Markup()
    longest = max(_SECOND, *(one.value for one in found))
    out_of_scale = limit is not None and limit > _FAR * longest
    top = longest if limit is None or out_of_scale else max(longest, limit)
    drawn = []
    for step in _ticks(top):
        y = _at(step, top)
        drawn.append(f'<line class="chart-grid" x1="0" x2="100%" y1="{y}%" y2="{y}%"/>')
        drawn.append(f'<text x="-8" y="{y}%" dy="4" text-anchor="end">{_label(step)}</text>')
    places = max(len(found), _LEAST_PLACES)
    width = 100 / places
    for place, one in enumerate(found, places - len(found)):
        y = _at(one.value, top)
        x, wide, high = f"{place * width + width * 0.12:.3f}", f"{width * 0.76:.3f}", f"{max(_LOW - y, 0.8):.2f}"
        place_of = f'x="{x}%" y="{min(y, _LOW - 0.8):.2f}%" width="{wide}%"'
        title = f"<title>{escape(one.title)}</title></rect>"
        named = f'class="chart-bar chart-bar-{one.kind}" data-of="{escape(one.of)}"'
        drawn.append(f'<rect {named} {place_of} height="{high}%">{title}')
        if one.over:
            drawn.append(f'<rect class="chart-cap" {place_of} height="4">{title}')
        if one.drawn == "failed":
            middle = f"{(place + 0.5) * width:.3f}"
            drawn.append(_cross(f'x="{middle}%" y="{min(y, _LOW - 0.8):.2f}%" dy="-2"'))
    if limit is not None:
        y = 9.0 if out_of_scale else _at(limit, top)
        above = sum(one.value > limit for one in found)
        said = f"- - {word} {duration(limit)}" + (f", {above} of {len(found)} over it" if above else "")
        said += ", far above: not to scale" if out_of_scale else ""
        drawn.append(f'<line class="chart-limit" x1="0" x2="100%" y1="{y}%" y2="{y}%"/>')
        drawn.append(f'<text class="chart-limit-word" x="100%" y="9" text-anchor="end">{escape(said)}</text>')
    svg = f'<svg class="chart" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>'
    return Markup(svg)  # noqa: S704 - of numbers and names of our own, and of escaped text


def _at(value: int, top: int) -> float:
    """Return where a duration lies from the top, in hundredths of the height."""
    return round(_LOW - (_LOW - _HIGH) * value / top, 2)


def _label(tick: int) -> str:
    """Return a duration of the axis, exactly: up to a minute with the half seconds that `duration` leaves out."""
    if tick == 0:
        return "0"
    return f"{tick / _SECOND:g} s" if tick < _MINUTE else duration(tick)


def _ticks(top: int) -> list[int]:
    """Return two to five round durations from zero up to `top`."""
    step = next((step for step in _STEPS if top / step <= 4), _STEPS[-1])
    return list(range(0, top + 1, step))
