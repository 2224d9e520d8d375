"""The pace of messages to one address: one after another, so far apart as its provider takes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from luota.clock import Clock


class _Address:
    """Whose turn it is at one address, when the next one may begin, and how many want one, or the very next."""

    def __init__(self, free_at: float) -> None:
        self.lock = asyncio.Lock()
        self.turn: object | None = None
        self.free_at = free_at
        self.users = 0
        self.urgent = 0


class Pace:
    """Lets messages to one address begin one after another, each `apart_s` seconds after the last was sent.

    The start counts as a message to every address: nobody knows what the process before this one sent last.
    Used from one event loop.
    """

    def __init__(self, apart_s: float, clock: Clock) -> None:
        self._apart = apart_s * 1000
        self._clock = clock
        self._first_at = clock.monotonic() + self._apart
        self._addresses: dict[str, _Address] = {}

    @contextlib.asynccontextmanager
    async def turn(self, address: str, first: bool = False) -> AsyncIterator[None]:
        """Wait for the next turn at `address`. It lasts until `sent` is called, or else to the end.

        So a message that takes long to go out holds up the next one, and one that is never answered does not.
        `first` goes before all others that wait.
        """
        # One that is free needs no entry: addresses are secrets, and are not to outlive their channels here.
        now = self._clock.monotonic()
        self._addresses = {key: one for key, one in self._addresses.items() if one.users or one.free_at > now}
        place = self._addresses.setdefault(address, _Address(self._first_at))
        place.users += 1
        try:
            place.urgent += first
            try:
                await self._begin(place)
                while place.urgent and not first:  # a lock is fair: this one waits anew, behind the first
                    place.lock.release()
                    await self._begin(place)
            finally:
                place.urgent -= first
            own = place.turn = object()
            try:
                yield
            finally:
                if place.turn is own:
                    _pass_on(place)
        finally:
            place.users -= 1

    async def _begin(self, place: _Address) -> None:
        """Acquire the lock of an address at which the next message may begin."""
        await place.lock.acquire()
        try:
            await asyncio.sleep((place.free_at - self._clock.monotonic()) / 1000)
        except BaseException:
            place.lock.release()
            raise

    def sent(self, address: str) -> None:
        """End the present turn at `address`, whose message has gone out; to be called once in it."""
        place = self._addresses.get(address)
        if place is not None and place.turn is not None:
            place.free_at = self._clock.monotonic() + self._apart
            _pass_on(place)


def _pass_on(place: _Address) -> None:
    place.turn = None
    place.lock.release()
