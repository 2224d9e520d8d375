"""Which notices a channel wants (docs/alerts.md, "Which notices")."""

from typing import Literal

from msgspec import Struct

from luota.core.model import Kind

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

    def wider_than(self, before: "Wants") -> bool:
        """Return whether the channel hears of openings now that it did not want to hear of `before`."""
        return self.opened and not (before.opened and set(self.kinds) <= set(before.kinds))


EVERYTHING = Wants()
