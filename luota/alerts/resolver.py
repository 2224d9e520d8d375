"""Name lookups that hold up nobody: in a few threads, each for a limited time."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence

from luota.alerts.guard import literal

BAD_PORT = "the URL's port is not between 1 and 65535"

Lookup = Callable[[str, int], Sequence[str]]
"""Blocking: the addresses of a host for a TCP port, in order of preference; OSError when there are none."""


class UnresolvedError(Exception):
    """No address. Its text is short, for people, and holds no URL."""


def system_lookup(host: str, port: int) -> list[str]:
    """Ask the host's own resolver (files, DNS); blocks. A `Lookup`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Resolver:
    """Name lookups in a few threads of their own.

    Lookups of one name that overlap share a thread, so a name that hangs holds one thread and no more. A
    lookup waits at most `wait` seconds for a free thread and `timeout` seconds for its answer. The threads
    are daemons, unlike those of an executor, whose hanging lookup would hold up the end of the process.
    Used from one event loop.
    """

    def __init__(
        self, lookup: Lookup = system_lookup, *, threads: int = 8, wait: float = 2.0, timeout: float = 5.0
    ) -> None:
        self._lookup = lookup
        self._threads = threads
        self._wait = wait
        self._timeout = timeout
        self._free = asyncio.Semaphore(threads)
        self._running: dict[tuple[str, int], asyncio.Future[list[str] | Exception]] = {}

    def beside(self) -> "Resolver":
        """Return one with the same lookup and a thread of its own, for a name that is to wait for no others."""
        return Resolver(self._lookup, threads=1, wait=self._wait, timeout=self._timeout)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, which may be a literal; never an empty list.

        Raises `UnresolvedError` when there are none, no answer came in time, or no thread was free.
        """
        if not 0 < port < 65536:
            raise UnresolvedError(BAD_PORT)
        address = literal(host)
        if address is not None:
            return [str(address)]
        key = (host, port)
        running = self._running.get(key)
        if running is None:
            await self._take_thread()
            running = self._running.get(key)
            if running is not None:  # another waiter for the same name was first
                self._free.release()
            else:
                running = self._start(key)
        await asyncio.wait({running}, timeout=self._timeout)
        if not running.done():
            raise UnresolvedError(f"the host name was not resolved within {self._timeout:g} s")
        found = running.result()
        if isinstance(found, Exception):
            raise UnresolvedError(_lookup_words(found)) from found
        if not found:
            raise UnresolvedError("the host name has no address")
        return found

    async def _take_thread(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError:
            raise UnresolvedError(
                f"name lookups are stuck: {self._threads} of them wait for an answer; check this host's DNS"
            ) from None

    def _start(self, key: tuple[str, int]) -> "asyncio.Future[list[str] | Exception]":
        loop = asyncio.get_running_loop()
        running: asyncio.Future[list[str] | Exception] = loop.create_future()
        self._running[key] = running

        def finish(outcome: list[str] | Exception) -> None:
            del self._running[key]
            self._free.release()
            running.set_result(outcome)

        def work() -> None:
            outcome: list[str] | Exception
            try:
                outcome = list(self._lookup(*key))
            except (OSError, ValueError) as error:
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(finish, outcome)

        try:
            threading.Thread(target=work, name="luota-lookup", daemon=True).start()
        except RuntimeError:  # no more threads for this process
            finish(UnresolvedError("this machine gives Luota no more threads to look names up in"))
        return running


def _lookup_words(error: Exception) -> str:
    if isinstance(error, UnresolvedError):
        return str(error)
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return "the host name was not resolved: no answer from DNS"
    if isinstance(error, socket.gaierror):
        return "the host name does not exist"
    return "the host name cannot be resolved"
