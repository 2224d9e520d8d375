"""A stretch in which writes fail: one blind window and few words in the log, though some pass in between."""

import logging

log = logging.getLogger(__name__)

QUIET = 300_000
"""How long no write has failed until an outage is over; retries of jobs come in shorter pauses."""


class Outage:
    """What the failures so far have in common, in monotonic milliseconds.

    On a disk with a little room small writes pass where large ones fail. If each that passes ended the matter, the
    signals that were refused again and again would lie in many short windows, none of which excuses a deadline.
    """

    def __init__(self) -> None:
        self._since: int | None = None
        self._failed_at = 0
        self._passed = False
        self._mixed = False

    def failed(self, error: str, since: int, newest: int | None, now: int) -> int:
        """Note a failure at `now`; return where its blind window begins: at `since`, or where that of the outage does.

        `newest` is the start of the newest blind window on record: one that came in between is not reached across.
        """
        goes_on = not self._passed or (newest == self._since and now - self._failed_at <= QUIET)
        if self._since is None or not goes_on:
            self._since, self._mixed = since, False
            log.error("nothing can be written: %s; signals are answered with 503 until it works again", error)
        elif self._passed and not self._mixed:
            self._mixed = True
            said = "some writes fail, others work: %s; until none has failed for %d min it is one blind window"
            log.error(said, error, QUIET // 60_000)
        self._failed_at, self._passed = now, False
        return self._since

    def passed(self, now: int) -> None:
        """Note that a write has worked."""
        if self._since is None:
            return
        if not (self._passed or self._mixed):
            log.warning("storage works again")
        self._passed = True
        if now - self._failed_at > QUIET:
            if self._mixed:
                log.warning("storage works again: no write has failed for %d min", QUIET // 60_000)
            self._since = None
