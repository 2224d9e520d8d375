"""A heap of deadlines with lazy invalidation: an entry that no longer holds is dropped when it surfaces."""

import sys
from collections.abc import Iterable
from heapq import heapify, heappop, heappush


class Deadlines:
    """The next wake-up instant (UTC ms) of each key, and the earliest of them.

    `_at` holds the truth. The heap holds each instant once, since crons make many keys fall due together, and
    `_keys` who was set to it, outdated entries among them. When those outnumber the true ones by more
    than a few, both are built anew, so that their size stays near twice that of the truth.
    """

    __slots__ = ("_at", "_entries", "_heap", "_keys")

    def __init__(self, entries: Iterable[tuple[int, str]] = ()) -> None:
        self._at = {key: at for at, key in entries}
        self._build()

    def _build(self) -> None:
        self._keys: dict[int, list[str]] = {}
        for key, at in self._at.items():
            self._keys.setdefault(at, []).append(key)
        self._heap = list(self._keys)
        heapify(self._heap)
        self._entries = len(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def set(self, key: str, at: int | None) -> None:
        """Make `at` the deadline of `key`, in place of any other; None discards."""
        known = self._at
        if known.get(key) == at:
            return
        if at is None:
            del known[key]
        else:
            known[key] = at
            keys = self._keys.get(at)
            if keys is None:
                self._keys[at] = [key]
                heappush(self._heap, at)
            else:
                keys.append(key)
            self._entries += 1
        if self._entries > 2 * len(known) + 64:
            self._build()

    def next(self) -> int | None:
        """Return the earliest deadline, or None."""
        heap, known = self._heap, self._at
        while heap:
            keys = self._keys[heap[0]]
            while keys and known.get(keys[-1]) != heap[0]:
                keys.pop()
                self._entries -= 1
            if keys:
                return heap[0]
            del self._keys[heappop(heap)]
        return None

    def pop_due(self, now: int, most: int) -> list[str]:
        """Remove and return up to `most` keys whose deadline is at or before `now`, the earliest first."""
        due: list[str] = []
        while len(due) < most and (first := self.pop(now, most - len(due))) is not None:
            due += first[1]
        return due

    def pop(self, now: int, most: int = sys.maxsize) -> tuple[int, list[str]] | None:
        """Remove and return the earliest deadline at or before `now` and up to `most` keys that have it, in order.

        None when nothing is due.
        """
        heap, known = self._heap, self._at
        while heap and heap[0] <= now:
            at = heap[0]
            keys = self._keys[at]
            taken = keys[-most:]
            if len(taken) == len(keys):
                del self._keys[heappop(heap)]
            else:
                del keys[-most:]
            self._entries -= len(taken)
            due: list[str] = []
            for key in taken:
                if known.get(key) == at:
                    del known[key]  # it may have been set to this instant twice
                    due.append(key)
            if due:
                due.sort()
                return at, due
        return None
