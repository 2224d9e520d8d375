"""What a session has just done, to be told once, on the page to which that leads.

It is kept here and not in the address: a link made by anybody would make the page tell what never happened, and a
reload would tell again what may be undone by then.
"""

from typing import Generic, TypeVar

from msgspec import Struct

from luota.core.spec.values import MINUTE

T = TypeVar("T")
_KEPT = MINUTE
"""How long it waits for its page, in milliseconds."""


class _Left(Struct, Generic[T], frozen=True):
    what: T
    at: int


class Told(Generic[T]):
    """What waits for its page, by session and path; a restart forgets it. Instants are monotonic."""

    def __init__(self) -> None:
        self._left: dict[tuple[bytes, str], _Left[T]] = {}

    def leave(self, session: bytes, path: str, what: T, now: int) -> None:
        """Keep it for the next time that this session opens the page of this path."""
        self._left = {key: left for key, left in self._left.items() if now - left.at < _KEPT}
        self._left[session, path] = _Left(what, now)

    def take(self, session: bytes, path: str, now: int) -> T | None:
        """Return what waits for this page, which is told by that; None where nothing does."""
        left = self._left.pop((session, path), None)
        return left.what if left is not None and now - left.at < _KEPT else None
