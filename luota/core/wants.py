"""Which notices a channel wants (docs/alerts.md, "Which notices"), and so of which incidents nobody hears."""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from luota.core.model import Kind, Mode, Rules
from luota.core.spec.values import format_duration

Hears = Literal["always", "if_lost", "if_told", "if_on_its_way", "never"]
"""Whether a channel hears of something: always; if a notice of the incident was lost, and either an earlier one told
it, or is to, or nobody was told and it was lost to each channel of the monitor's own that was to tell it; if an earlier
notice of the incident told it, or is to; if one, or the digest that tells it, is still on its way; never."""


class Wants(Struct, frozen=True):
    """What a channel is told of incidents. Gaps, dead routes and tests it is always told of.

    `opened` covers updates and reminders too. Without `resolved`, an end is told alone in the place of an earlier
    notice that was not delivered yet. `delay` (milliseconds) holds the first notice of an incident back, mostly the
    opening; when the incident ends within it, the channel hears nothing of it at all.
    """

    kinds: tuple[Kind, ...] = tuple(Kind)
    opened: bool = True
    resolved: bool = True
    delay: int = 0

    def hears(self, type_: str, kind: str, *, routed: bool = True) -> Hears:
        """Return whether the channel hears of a notice of `type_` about an incident that is of `kind` now.

        Who was told of the beginning is told of the end, whatever kind the incident has risen to, and also when its
        monitor is not `routed` to the channel any more. Who wants no ends is told of one all the same in the place of
        what is still on its way: nobody hears "open" of what has ended.
        """
        wanted = kind in self.kinds
        if type_ != "incident.resolved":
            if not (self.opened and wanted):
                return "never"
            return "always" if routed else "if_lost"
        if self.resolved:
            return "always" if routed and wanted else "if_told"
        return "if_on_its_way"

    def tells(self, kind: Kind) -> bool:
        """Return whether a channel of a monitor hears when an incident of this kind opens."""
        return self.hears("incident.opened", kind) == "always"

    def in_words(self) -> str:
        """Return what it wants in a short phrase, "" for everything."""
        parts = []
        if set(self.kinds) != set(Kind):
            parts.append(f"only {named(self.kinds)}")
        if not (self.opened and self.resolved):
            parts.append("not when resolved" if self.opened else "only when resolved")
        if self.delay:
            parts.append(f"held back for {format_duration(self.delay)}")
        return ", ".join(parts)

    def wider_than(self, before: "Wants") -> bool:
        """Return whether the channel hears of openings now that it did not want to hear of `before`."""
        return self.opened and not (before.opened and set(self.kinds) <= set(before.kinds))


EVERYTHING = Wants()

_ENDS = (Kind.STUCK, Kind.FAILED)
_KINDS = {Mode.HEARTBEAT: (Kind.MISSED,), Mode.RUN: (Kind.MISSED, *_ENDS), Mode.FRESHNESS: (Kind.STALE,)}


def kinds_of(rules: Rules) -> tuple[Kind, ...]:
    """Return the kinds that an incident of a monitor can have."""
    return _ENDS if rules.mode is Mode.RUN and rules.schedule is None else _KINDS[rules.mode]


def untold(kinds: Iterable[Kind], channels: Iterable[Wants]) -> tuple[Kind, ...]:
    """Return of which of the kinds nobody hears when an incident opens, given what the channels of its monitor want."""
    heard = {kind for wants in channels for kind in wants.kinds if wants.tells(kind)}
    return tuple(kind for kind in kinds if kind not in heard)


def named(kinds: Sequence[Kind]) -> str:
    """Return kinds as people say them: `missed, stuck and failed`."""
    *most, last = (kind.value for kind in kinds)
    return f"{', '.join(most)} and {last}" if most else last
