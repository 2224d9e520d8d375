"""How often somebody may try: a few attempts at once, then one at a time."""

from collections.abc import Hashable

MAX_KEYS = 100_000
"""The most keys that are remembered; beyond, the one that began first is forgotten."""


class Throttle:
    """`burst` attempts of one key at once, and one more for every `every_ms` that pass.

    An attempt is taken before it is judged, so that many at once are no way around, and given back when it
    was a rightful one. `now` is in milliseconds of a clock that never steps.
    """

    def __init__(self, burst: int, every_ms: int) -> None:
        self._burst = burst
        self._every = every_ms
        self._free_at: dict[Hashable, int] = {}  # when all attempts of a key will be there again

    def retry_after(self, key: Hashable, now: int) -> int | None:
        """Return the whole seconds, at least 1, until `key` may try again; None if it may now."""
        wait = max(self._free_at.get(key, now), now) + self._every - self._burst * self._every - now
        return -(-wait // 1000) if wait > 0 else None

    def take(self, key: Hashable, now: int) -> None:
        """Count an attempt, for which the caller has asked `retry_after`."""
        free_at = max(self._free_at.pop(key, now), now)
        if len(self._free_at) >= MAX_KEYS:
            self._free_at = {other: at for other, at in self._free_at.items() if at > now}
        if len(self._free_at) >= MAX_KEYS:
            del self._free_at[next(iter(self._free_at))]
        self._free_at[key] = free_at + self._every

    def give_back(self, key: Hashable) -> None:
        """Take the attempt back."""
        if key in self._free_at:
            self._free_at[key] -= self._every
