"""Request ids: one short text that ties a response to its log line."""

import os

from luota.clock import Clock, SystemClock

# Crockford base32, as the ULID specification orders it.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_RANDOM_CHARS = 16  # 80 bits
# 256 is a multiple of 32, so every symbol is hit by exactly eight byte values and stays equally likely.
_SYMBOL_OF_BYTE = (_ALPHABET * 8).encode("ascii")


class RequestIds:
    """Makes ids of the form `req_<ULID>` (docs/api.md; layout from the ULID specification).

    A ULID is 26 characters: 48 bits of UTC milliseconds, read from `clock`, then 80 random bits from the
    kernel. Ids made in one millisecond are in no particular order.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pool: list[str] = []
        self._stamp = (-1, "")

    def __call__(self) -> str:
        """Return a new id. It may be called from any thread."""
        now = self._clock.now()
        made_at, prefix = self._stamp
        if made_at != now:
            prefix = "req_" + "".join([_PAIRS[now >> shift & 1023] for shift in (40, 30, 20, 10, 0)])
            self._stamp = (now, prefix)
        try:
            # pop() is atomic, so that two threads never get the same random part.
            return prefix + self._pool.pop()
        except IndexError:
            # One system call for 256 ids: a call for each would cost more than all the rest.
            drawn = os.urandom(256 * _RANDOM_CHARS).translate(_SYMBOL_OF_BYTE).decode("ascii")
            parts = [drawn[i : i + _RANDOM_CHARS] for i in range(0, len(drawn), _RANDOM_CHARS)]
            last = parts.pop()
            self._pool.extend(parts)
            return prefix + last


new_request_id = RequestIds(SystemClock())
