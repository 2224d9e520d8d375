"""Tells those who look on what was committed in their workspace: pages that are open follow it live."""

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import Self

INCIDENTS = "incidents"
"""Stands among the ids for: what the list of a workspace's incidents shows."""
MOST_IDS = 1000
"""So many ids are kept for a listener who does not look; beyond, all may have changed: `*`."""


class Listener:
    """The ids of what has changed in some workspaces since the last look; a context, which ends the listening.

    `who` is for whom it listens, so that their listeners can be counted.
    """

    def __init__(self, changes: "Changes", workspace_ids: Iterable[str], who: tuple[str, ...]) -> None:
        self.who = who
        self._changes = changes
        self._workspace_ids = set(workspace_ids)
        self._ids: dict[str, set[str]] = {}
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        self._changes.listeners.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._changes.listeners.discard(self)

    def hear(self, changed: Mapping[str, AbstractSet[str]]) -> None:
        """Add ids to what has changed, by workspace, of those to which it listens."""
        for workspace_id in self._workspace_ids & changed.keys():
            ids = self._ids.setdefault(workspace_id, set())
            ids.update(changed[workspace_id])
            if len(ids) > MOST_IDS:
                self._ids[workspace_id] = {"*"}
            self._woken.set()

    def leave(self, workspace_id: str) -> None:
        """Hear of a workspace no more."""
        self._workspace_ids.discard(workspace_id)
        self._ids.pop(workspace_id, None)

    def wake(self) -> None:
        """Let `next` return with what there is."""
        self._woken.set()

    async def next(self, within: float) -> dict[str, set[str]]:
        """Return what has changed, by workspace, as soon as anything has; nothing after `within` s, or at the end.

        `*` stands for more than MOST_IDS ids.
        """
        try:
            async with asyncio.timeout(within):
                await self._woken.wait()
        except TimeoutError:
            return {}
        self._woken.clear()
        ids, self._ids = self._ids, {}
        return ids


class Changes:
    """All listeners. An id is a monitor's, or that of an incident, a channel, a delivery, a member, a workspace.

    Among them stands the kind of each thing that people changed (`engine/audit.py`). `first` is where numbers begin.
    Each start has another, so that no page takes one of an earlier start for its own.
    """

    def __init__(self, first: int = 0) -> None:
        self.listeners: set[Listener] = set()
        self.ended = False
        self._first = first
        self._numbers: dict[str, int] = {}
        self._turns: dict[str, int] = {}

    def number(self, workspace_id: str) -> int:
        """Return what grows with every change in a workspace: who read before it grew must read again."""
        return self._first + self._numbers.get(workspace_id, 0)

    def turn(self, workspace_id: str) -> int:
        """Return what grows with each change of a workspace but those signals that leave all monitors as they were.

        Then only when they came, and what falls due when, has changed.
        """
        return self._turns.get(workspace_id, 0)

    def listen(self, *workspace_ids: str, who: tuple[str, ...] = ()) -> Listener:
        """Return a listener, to be entered. It hears nothing of other workspaces."""
        return Listener(self, workspace_ids, who)

    def publish(self, changed: Mapping[str, AbstractSet[str]], turned: AbstractSet[str] = frozenset()) -> None:
        """Tell all listeners what a transaction has changed, by workspace; `turned` are those where `turn` grows."""
        for workspace_id in turned:
            self._turns[workspace_id] = self._turns.get(workspace_id, 0) + 1
        for workspace_id in changed:
            self._numbers[workspace_id] = self._numbers.get(workspace_id, 0) + 1
        for listener in self.listeners:
            listener.hear(changed)

    def end(self) -> None:
        """Wake all listeners, for they shall stop: the process ends."""
        self.ended = True
        for listener in self.listeners:
            listener.wake()
