"""The only reader of real time."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time. Wall instants are UTC milliseconds; monotonic ones stop while the host sleeps."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since 1970-01-01T00:00Z."""
        ...

    def monotonic(self) -> int:
        """Return CLOCK_MONOTONIC in milliseconds; it never steps, and does not count a suspend."""
        ...


class SystemClock:
    """The host's clocks."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since 1970-01-01T00:00Z."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> int:
        """Return CLOCK_MONOTONIC in milliseconds."""
        return time.monotonic_ns() // 1_000_000
