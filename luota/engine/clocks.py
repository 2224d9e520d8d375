"""What the two clocks tell since they were last looked at: a step, a suspend, a pause of the process itself."""

import logging

from msgspec import Struct

from luota.clock import Clock

log = logging.getLogger(__name__)

JUMP = 5_000
"""A step of the wall clock against the monotonic one by more than this is a blind window."""
STILL = 10_000
"""A longer pause between two looks at the clocks is a blind window: `Engine.stamp` makes them every few seconds."""
BACK = 1_000
"""A step back by more than this clamps what is remembered of the future; less is the clock being disciplined."""


class Look(Struct, frozen=True):
    """It is `now`, and was `last` at the look before. `deaf` says why nothing was heard in between, None if all was."""

    now: int
    last: int
    deaf: str | None


class Clocks:
    """Both clocks, and what they said last. `stamped` says that a look comes every few seconds.

    The wall clock was set `back` by so much since the process began, in all: with it, it never goes back.
    """

    def __init__(self, clock: Clock) -> None:
        self.stamped = False
        self.back = 0
        self._clock = clock
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def look(self) -> Look:
        """Look at both."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        pause = monotonic - self._monotonic
        jump = (now - self._wall) - pause
        last, self._wall, self._monotonic = self._wall, now, monotonic
        deaf = None
        if jump < -BACK:
            log.warning("the clock was set back by %.1f s; remembered instants are clamped to now", -jump / 1000)
            self.back -= jump
        if jump > JUMP:
            log.warning("the clock jumped forward by %.1f s: a suspend, or it was set", jump / 1000)
            deaf = "the host was suspended or its clock was set forward"
        elif pause > STILL and self.stamped:
            log.warning("Luota stood still for %.1f s: it was stopped, or the host was too busy", pause / 1000)
            deaf = "Luota stood still"
        return Look(now, last, deaf)
