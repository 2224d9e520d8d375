"""Rate limits as data (docs/api.md, "Limits"): sliding-window counters, and the four policies of ingest."""

from collections.abc import Hashable, Sequence

from luota.core.errors import Code, LuotaError
from luota.core.spec.values import HOUR, MINUTE, format_duration

MAX_KEYS = 100_000
"""The most keys that one generation of a limit remembers; there are two."""


class RateLimit:
    """At most `limit` requests of one key in `period_ms`; 0 turns the limit off.

    The period is cut into windows that are aligned to the clock. What a key sent in the window before
    weighs by the part of it that the last `period_ms` still overlaps, as if it had come evenly, rounded
    down to whole requests. So a steady flow of exactly the limit passes, a denied key waits one period at
    most, and no aligned window passes more than the limit. The worst stretch between two windows is a
    burst at the end of the one and a full trickle through the other: it stays within twice the limit.

    A key costs two counts at most, one in each window's table, and is forgotten with the table. When
    more than `MAX_KEYS` keys arrive in one window its table counts as the one before from then on: memory
    stays bounded, and addresses so many could not be held by a limit per address anyway.
    """

    __slots__ = ("_current", "_previous", "_window", "limit", "period_ms", "policy")

    def __init__(self, policy: str, limit: int, period_ms: int) -> None:
        self.policy = policy
        self.limit = limit
        self.period_ms = period_ms
        self._window = 0
        self._current: dict[Hashable, int] = {}
        self._previous: dict[Hashable, int] = {}

    def retry_after(self, key: Hashable, now: int) -> int | None:
        """Return the whole seconds, at least 1, until a request of `key` would pass; None if it does now.

        It holds absent other traffic of the key. Nothing is counted.
        """
        if self.limit <= 0:
            return None
        self._roll(now)
        wait = self._wait(self._previous.get(key, 0), self._current.get(key, 0), now % self.period_ms)
        return -(-wait // 1000) if wait else None

    def count(self, key: Hashable, now: int) -> None:
        """Count one request of `key`. Callers do not count those that they deny."""
        if self.limit <= 0:
            return
        self._roll(now)
        count = self._current.get(key, 0)
        if not count and len(self._current) >= MAX_KEYS:
            self._previous, self._current = self._current, {}
        self._current[key] = count + 1

    def check(self, key: Hashable, now: int) -> None:
        """Raise RATE_LIMITED if a request of `key` does not pass now. Nothing is counted."""
        seconds = self.retry_after(key, now)
        if seconds is not None:
            raise LuotaError(
                Code.RATE_LIMITED,
                f"More than {self.limit} requests in {format_duration(self.period_ms)}. "
                f"Send the next one in {seconds} s.",
                retry_after=seconds,
                policy=self.policy,
                limit=self.limit,
            )

    def _roll(self, now: int) -> None:
        """Bring the tables to the window of `now`.

        After a step of the clock backwards the counts stay as they are, as those of the window of `now`:
        nobody is locked out until the clock is back where it was.
        """
        passed = now // self.period_ms - self._window
        if not passed:
            return
        self._window += passed
        if passed == 1:
            self._previous, self._current = self._current, {}
        elif passed > 1:
            self._previous, self._current = {}, {}

    def _wait(self, previous: int, current: int, elapsed: int) -> int:
        """Return the milliseconds until one more request fits; it only falls while nothing arrives."""
        period = self.period_ms
        room = (self.limit - current) * period
        if previous * (period - 1 - elapsed) < room:
            return 0
        if room > 0:  # when enough of the window before has slid out
            return period - 1 - (room - 1) // previous - elapsed
        return period - elapsed + period - 1 - (self.limit * period - 1) // current  # in the next window


class Limits:
    """The limits of the ingest API. The one per address counts only requests that end in 401 or 404."""

    def __init__(
        self,
        *,
        monitor_per_minute: int = 60,
        monitor_per_hour: int = 1000,
        workspace_per_minute: int = 3000,
        ip_per_minute: int = 600,
    ) -> None:
        self.monitor_minute = RateLimit("ingest.monitor_token.minute", monitor_per_minute, MINUTE)
        self.monitor_hour = RateLimit("ingest.monitor_token.hour", monitor_per_hour, HOUR)
        self.workspace_minute = RateLimit("ingest.workspace.minute", workspace_per_minute, MINUTE)
        self.ip_minute = RateLimit("ingest.ip.minute", ip_per_minute, MINUTE)

    @staticmethod
    def admit(checks: Sequence[tuple[RateLimit, Hashable]], now: int) -> None:
        """Count one request in every limit under its key, or raise RATE_LIMITED and count it in none.

        Of several limits that refuse, the one to wait for longest is named: its wait is enough for all.
        """
        checks = [check for check in checks if check[0].limit > 0]  # the others cost time
        waits = [limit.retry_after(key, now) or 0 for limit, key in checks]
        if any(waits):
            limit, key = checks[waits.index(max(waits))]
            limit.check(key, now)
        for limit, key in checks:
            limit.count(key, now)
