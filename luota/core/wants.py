"""Which notices a channel wants (docs/alerts.md, "Which notices")."""

from msgspec import Struct

from luota.core.model import Kind


class Wants(Struct, frozen=True):
    """What a channel is told of incidents. Gaps, dead routes and tests it is always told of.

    `opened` covers updates too. `delay` (milliseconds) holds the first notice of an incident back, mostly the
    opening; when the incident ends within it, the channel hears nothing of it at all.
    """

    kinds: tuple[Kind, ...] = tuple(Kind)
    opened: bool = True
    resolved: bool = True
    delay: int = 0

    def takes(self, type_: str, kind: str) -> bool:
        """Tell whether a notice of `type_` about an incident that is of `kind` now is wanted."""
        return kind in self.kinds and (self.resolved if type_ == "incident.resolved" else self.opened)


EVERYTHING = Wants()
