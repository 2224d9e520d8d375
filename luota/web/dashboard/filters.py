"""Which monitors the overview shows: what its address asks for."""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from luota.core.model import Mode, Status
from luota.core.text import visible
from luota.engine.registry import Live
from luota.store.overview import Card
from luota.web.dashboard.visit import Visit

_WORDS = {
    "state": tuple(Status),
    "mode": tuple(mode.value for mode in Mode),
}
"""The filters that have words of their own, and which those are."""


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
        """Return the filters in the address of a page; one of a word that it has not got is none."""
        asked = {name: visit.query(name)[:200] for name in cls.__struct_fields__}
        return cls(**{name: value for name, value in asked.items() if value in _WORDS.get(name, (value,))})

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
        return self.state in ("", live.state.status.value) and self.fit(card)

    def fit(self, card: Card) -> bool:
        """Tell whether a monitor is to be shown by what people gave it, whatever its status."""
        if self.mode and card.mode != self.mode:
            return False
        if self.environment and card.environment != self.environment:
            return False
        if self.tag and self.tag not in {f"{key}={value}" for key, value in card.tags.items()}:
            return False
        return not self.q or all(word in _haystack(card) for word in self.q.casefold().split())


async def matching(visit: Visit, filters: Filters) -> list[Live]:
    """Return all monitors of the workspace that are shown with these filters, on however many pages."""
    monitors = visit.engine.registry.monitors
    cards = (await visit.site.board.cards(visit.reader, visit.workspace.id)).all
    return [monitors[card.id] for card in cards if card.id in monitors and filters.take(card, monitors[card.id])]


def unknown(visit: Visit) -> list[str]:
    """Return what is to be said of the filters in the address of a page that are none."""
    asked = {name: visit.query(name)[:200] for name in _WORDS}
    return [no_such(name, value, _WORDS[name]) for name, value in asked.items() if value and value not in _WORDS[name]]


def no_such(name: str, value: str, words: Sequence[str]) -> str:
    """Return what is to be said of a filter that asks for a value which is none of its `words`."""
    known = ", ".join(words)
    return f"There is no {name} {visible(value)}, so that the list is not filtered by it. It can be {known}."


def _haystack(card: Card) -> str:
    tags = " ".join(f"{key}={value}" for key, value in card.tags.items())
    return f"{card.name}\n{card.slug}\n{card.promise}\n{card.owner}\n{card.environment}\n{tags}".casefold()
