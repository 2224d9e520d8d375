"""A heap of deadlines with lazy invalidation: an entry that no longer holds is dropped when it surfaces."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush


class Deadlines:
    """The next wake-up instant (UTC ms) of each key, and the earliest of them.

    The heap may hold outdated entries; `_at` holds the truth. When outdated entries outnumber the true
    ones, the heap is rebuilt, so its size stays within twice that of the truth.
    """

    def __init__(self, entries: Iterable[tuple[int, str]] = ()) -> None:
        self._heap = list(entries)
        heapify(self._heap)
        self._at = {key: at for at, key in self._heap}

    def __len__(self) -> int:
        return len(self._at)

    def set(self, key: str, at: int | None) -> None:
        """Make `at` the deadline of `key`, in place of any other; None discards."""
        known = self._at
        if at is None:
            known.pop(key, None)
        elif known.get(key) != at:
            known[key] = at
            heappush(self._heap, (at, key))
        else:
            return
        if len(self._heap) > 2 * len(known) + 64:
            self._heap = [(instant, one) for one, instant in known.items()]
            heapify(self._heap)

    def next(self) -> int | None:
        """Return the earliest deadline, or None."""
        heap = self._heap
        while heap and self._at.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now: int, most: int) -> list[str]:
        """Remove and return up to `most` keys whose deadline is at or before `now`, the earliest first."""
        due: list[str] = []
        while len(due) < most and (first := self.pop(now)) is not None:
            due.append(first[1])
        return due

    def pop(self, now: int) -> tuple[int, str] | None:
        """Remove and return the earliest deadline and its key, if it is at or before `now`; else None."""
        heap, known = self._heap, self._at
        while heap and heap[0][0] <= now:
            first = heappop(heap)
            if known.get(first[1]) == first[0]:
                del known[first[1]]
                return first
        return None
