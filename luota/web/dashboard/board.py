"""What the overviews of this process have drawn: open pages share it, so that ten cost hardly more than one."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiosqlite
from markupsafe import Markup
from msgspec import Struct

from luota.core.model import NO_WINDOWS, Windows
from luota.engine.registry import Live
from luota.store import overview as rows
from luota.store.overview import Card

_KEPT_MS = 4_000


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
    at: int


class Board:
    """Cards until somebody changes anything; rows for as long as a state holds, but no longer than a few seconds.

    What is `shared` holds for a version, until the next one is asked for.

    `drawing` is held by whoever draws rows: one at a time, since all of them together would keep everything
    else from the event loop, and who comes next finds them drawn. So is `refreshing` by open pages that hear of
    the same commit.
    """

    def __init__(self) -> None:
        self.drawing = asyncio.Lock()
        self.refreshing = asyncio.Lock()
        self._cards: dict[str, tuple[str | None, Cards]] = {}
        self._rows: dict[tuple[object, ...], Row] = {}
        self._parts: dict[tuple[object, ...], tuple[object, Markup]] = {}
        self._shared: dict[str, tuple[object, dict[Any, Any]]] = {}
        self._open: dict[str, tuple[int, int]] = {}
        self._since = 0
        self._windows = NO_WINDOWS

    async def cards(self, db: aiosqlite.Connection, workspace_id: str) -> Cards:
        """Return the monitors of a workspace, as they are now."""
        newest = await rows.newest_change(db)  # first: a change meanwhile makes the next one read again
        known = self._cards.get(workspace_id)
        if known is None or known[0] != newest:
            known = (newest, _sorted(await rows.cards(db, workspace_id)))
            self._cards[workspace_id] = known
        return known[1]

    def shared(self, workspace_id: str, version: object) -> dict[Any, Any]:
        """Return what was worked out of a workspace in this version of it, to look up and to add to."""
        known = self._shared.get(workspace_id)
        if known is None or known[0] != version:
            known = self._shared[workspace_id] = (version, {})
        return known[1]

    def rows(self, now: int, windows: Windows) -> dict[tuple[object, ...], Row]:
        """Return what was drawn lately under these blind windows, to look up and to add to.

        Who takes a row looks how old it is.
        """
        if now // _KEPT_MS != self._since or windows is not self._windows:
            self._since, self._windows, self._rows = now // _KEPT_MS, windows, {}
        return self._rows

    def open_count(self, workspace_id: str, turn: int, monitors: Iterable[Live]) -> int:
        """Return how many incidents are open in a workspace as of this `turn` of it, those of drills left out."""
        known = self._open.get(workspace_id)
        if known is None or known[0] != turn:
            open_ = (
                one.incident_id is not None and one.drill_of is None
                for one in monitors
                if one.workspace_id == workspace_id
            )
            known = self._open[workspace_id] = (turn, sum(open_))
        return known[1]

    def part(self, key: tuple[str, str], content: Mapping[str, Any], draw: Callable[[], Markup]) -> Markup:
        """Return what `draw` made of the same `content` for the same template and workspace, else what it makes now.

        How long ago things were may be told as it was then: the script keeps that up to date.
        """
        known = self._parts.get(key)
        if known is None or known[0] != content:
            known = self._parts[key] = (content, draw())
        return known[1]


def _sorted(found: list[Card]) -> Cards:
    pairs = {pair for card in found for pair in card.tags.items()}
    return Cards(
        tuple(sorted(found, key=lambda card: card.name.casefold())),
        tuple(sorted(f"{key}={value}" for key, value in pairs)[:200]),
        tuple(sorted({key for key, _ in pairs})),
        tuple(sorted({card.environment for card in found if card.environment})),
    )
