"""When many incidents open at once (a host dies), people get one digest instead of a hundred messages.

The first few of a storm are told one by one, since nobody can know yet that it is one. From then on what
arrives is held for SPAN after the first that waits, and told together. One that waits alone is held too: a fast
channel never has two waiting, however many there are one after another.
"""

from collections.abc import Sequence

SPAN = 10_000
MOST = 10
"""More notices than this within SPAN milliseconds are a storm (docs/alerts.md, "Many at once")."""


def held_until(waiting: Sequence[int], told: Sequence[int]) -> int | None:
    """Return until when what waits is to be held and then told, together if it is several; None without a storm.

    `waiting` are the instants at which the notices that wait fell due, in order and not empty; `told` those of
    the ones that were told lately. All are UTC milliseconds; an instant in the past means now.
    """
    first = waiting[0]
    near = sum(first - SPAN < at < first + SPAN for at in (*waiting, *told))
    return first + SPAN if near > MOST else None
