"""The one thing that tests fake: a clock that moves when told to."""


class FakeClock:
    """Wall and monotonic time that advance together, or apart when the wall clock is stepped."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self._wall = now
        self._monotonic = 1_000_000

    def now(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return self._monotonic

    def advance(self, ms: int) -> None:
        """Let `ms` milliseconds pass."""
        self._wall += ms
        self._monotonic += ms

    def step(self, ms: int) -> None:
        """Set the wall clock forward or back, or suspend the host, by `ms` milliseconds."""
        self._wall += ms
