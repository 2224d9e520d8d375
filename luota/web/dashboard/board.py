"""What the overviews of this process have drawn: open pages share it, so that ten cost hardly more than one."""

import asyncio

import aiosqlite
from markupsafe import Markup
from msgspec import Struct

from luota.core.model import NO_WINDOWS, Windows
from luota.engine.registry import Live
from luota.store import overview as rows
from luota.store.overview import Card


class Cards(Struct, frozen=True):
    """The monitors of a workspace, and what they can be filtered by."""

    all: tuple[Card, ...]
    tags: tuple[str, ...]
    tag_keys: tuple[str, ...]
    environments: tuple[str, ...]


class Row(Struct, frozen=True, gc=False):
    """A row, drawn for a state of a monitor and for what people gave it to be known by."""

    live: Live
    card: Card
    text: Markup


class Board:
    """Cards until somebody changes anything; rows for as long as a state holds, but no longer than their second.

    `drawing` is held by whoever draws rows: one at a time, since all of them together would keep everything
    else from the event loop, and who comes next finds them drawn.
    """

    def __init__(self) -> None:
        self.drawing = asyncio.Lock()
        self._cards: dict[str, tuple[str | None, Cards]] = {}
        self._rows: dict[tuple[object, ...], Row] = {}
        self._second = 0
        self._windows = NO_WINDOWS

    async def cards(self, db: aiosqlite.Connection, workspace_id: str) -> Cards:
        """Return the monitors of a workspace, as they are now."""
        newest = await rows.newest_change(db)  # first: a change meanwhile makes the next one read again
        known = self._cards.get(workspace_id)
        if known is None or known[0] != newest:
            known = (newest, _sorted(await rows.cards(db, workspace_id)))
            self._cards[workspace_id] = known
        return known[1]

    def rows(self, now: int, windows: Windows) -> dict[tuple[object, ...], Row]:
        """Return what was drawn within the second of `now` under these blind windows, to look up and to add to."""
        if now // 1000 != self._second or windows is not self._windows:
            self._second, self._windows, self._rows = now // 1000, windows, {}
        return self._rows


def _sorted(found: list[Card]) -> Cards:
    pairs = {pair for card in found for pair in card.tags.items()}
    return Cards(
        tuple(found),
        tuple(sorted(f"{key}={value}" for key, value in pairs)[:200]),
        tuple(sorted({key for key, _ in pairs})),
        tuple(sorted({card.environment for card in found if card.environment})),
    )
