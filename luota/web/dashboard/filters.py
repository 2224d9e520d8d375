"""Which monitors the overview shows: what its address asks for."""

from urllib.parse import urlencode

import msgspec

from luota.engine.registry import Live
from luota.store.overview import Card
from luota.web.dashboard.visit import Visit


class Filters(msgspec.Struct, frozen=True):
    """What the address asks to see; empty is all."""

    q: str = ""
    state: str = ""
    mode: str = ""
    tag: str = ""
    environment: str = ""
    group: str = ""

    @classmethod
    def of(cls, visit: Visit) -> "Filters":
        """Return the filters in the address of a page."""
        return cls(**{name: visit.query(name)[:200] for name in cls.__struct_fields__})

    @property
    def any(self) -> bool:
        """Tell whether anything is filtered."""
        return any(getattr(self, name) for name in ("q", "state", "mode", "tag", "environment"))

    def address(self, path: str, **changes: str) -> str:
        """Return the address of `path` with these filters, changed."""
        wanted = {**{name: getattr(self, name) for name in self.__struct_fields__}, **changes}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"{path}?{query}" if query else path

    def take(self, card: Card, live: Live) -> bool:
        """Tell whether a monitor is to be shown."""
        if self.state and live.state.status.value != self.state:
            return False
        if self.mode and live.rules.mode.value != self.mode:
            return False
        if self.environment and card.environment != self.environment:
            return False
        if self.tag and self.tag not in {f"{key}={value}" for key, value in card.tags.items()}:
            return False
        return not self.q or all(word in _haystack(card) for word in self.q.casefold().split())


def _haystack(card: Card) -> str:
    tags = " ".join(f"{key}={value}" for key, value in card.tags.items())
    return f"{card.name}\n{card.slug}\n{card.promise}\n{card.owner}\n{card.environment}\n{tags}".casefold()
