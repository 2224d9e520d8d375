"""A stretch in which writes fail: one blind window and few words in the log, though some pass in between."""

import logging

log = logging.getLogger(__name__)

QUIET = 300_000
"""How long no write has failed until an outage is over; retries of jobs come in shorter pauses."""
REACH = 3_600_000
"""How long one window may become while writes pass in between; the next one begins then: no dead job stays hidden."""


class Outage:
    """What the failures so far have in common, in monotonic milliseconds.

    On a disk with a little room small writes pass where large ones fail. If each that passes ended the matter, the
    signals that were refused again and again would lie in many short windows, none of which excuses a deadline.
    """

    def __init__(self) -> None:
        self._failed_at: int | None = None
        self._error = ""
        self._passed = False
        self._mixed = False
        self._since = 0
        self._began = 0

    def failed(self, error: str, since: int, newest: int | None, now: int) -> int:
        """Note a failure at `now`; return where its blind window begins: at `since`, or where that of the outage does.

        `newest` is the start of the newest blind window on record: one that came in between is not reached across.
        """
        lasts = self._failed_at is not None and (not self._passed or now - self._failed_at <= QUIET)
        if not lasts:
            self._mixed = False
            log.error("nothing can be written: %s; signals are answered with 503 until it works again", error)
        elif self._passed and not self._mixed:
            self._mixed = True
            log.error("some writes fail, others work: %s; some signals are answered with 503", error)
        if not lasts or (self._passed and (newest != self._since or now - self._began > REACH)):
            self._since, self._began = since, now
        self._failed_at, self._error, self._passed = now, error, False
        return self._since

    def passed(self, now: int) -> None:
        """Note that a write has worked."""
        if self._failed_at is None:
            return
        if not (self._passed or self._mixed):
            log.warning("storage works again")
        self._passed = True
        if now - self._failed_at > QUIET:
            if self._mixed:
                log.warning("storage works again: no write has failed for %d min", QUIET // 60_000)
            self._failed_at, self._mixed = None, False

    def sickness(self, now: int) -> str | None:
        """Return what is the matter while some writes fail and others pass, until none has failed for a while."""
        if not self._mixed or self._failed_at is None or now - self._failed_at > QUIET:
            return None
        return f"some writes fail, others work: {self._error}"
