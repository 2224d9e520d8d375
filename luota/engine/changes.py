"""Tells those who look on what was committed: pages that are open follow it live."""

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

MOST_IDS = 1000
"""So many ids are kept for a listener who does not look; beyond, all may have changed: `*`."""


class Listener:
    """The ids of what has changed since the last look; a context, which ends the listening."""

    def __init__(self, changes: "Changes") -> None:
        self._changes = changes
        self._ids: set[str] = set()
        self._woken = asyncio.Event()

    def __enter__(self) -> Self:
        self._changes.listeners.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._changes.listeners.discard(self)

    def hear(self, ids: Iterable[str]) -> None:
        """Add `ids` to what has changed."""
        self._ids.update(ids)
        if len(self._ids) > MOST_IDS:
            self._ids = {"*"}
        self._woken.set()

    def wake(self) -> None:
        """Let `next` return with what there is."""
        self._woken.set()

    async def next(self, within: float) -> set[str]:
        """Return what has changed, as soon as anything has; nothing after `within` seconds, or at the end.

        `*` stands for more than MOST_IDS ids.
        """
        try:
            async with asyncio.timeout(within):
                await self._woken.wait()
        except TimeoutError:
            return set()
        self._woken.clear()
        ids, self._ids = self._ids, set()
        return ids


class Changes:
    """All listeners. An id is a monitor's, or that of an incident, a channel, a delivery, a member, a workspace."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.number = 0
        """Grows with every transaction: who has read the state before it grew must read again."""
        self.ended = False

    def listen(self) -> Listener:
        """Return a listener, to be entered."""
        return Listener(self)

    def publish(self, ids: Iterable[str]) -> None:
        """Tell all listeners what a transaction has changed."""
        ids = list(ids)
        if not ids:  # most transactions of a quiet Luota: its last-alive stamp
            return
        for listener in self.listeners:
            listener.hear(ids)

    def end(self) -> None:
        """Wake all listeners, for they shall stop: the process ends."""
        self.ended = True
        for listener in self.listeners:
            listener.wake()
