"""Hashing passwords (argon2id, RFC 9106) beside the event loop, a bounded number at a time."""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from luota.core.errors import Code, LuotaError

T = TypeVar("T")

THREADS = 2
"""Each takes the memory of one hash, 64 MiB: so many passwords at once, and no more, can take it."""
MOST_WAITING = 32
BUSY_S = 5


class Passwords:
    """Hashes and verifies in threads of its own. RATE_LIMITED when too many wait already."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(THREADS, "argon2")
        self._running: set[Future[Any]] = set()
        self._nobody = _unmatched(self._hasher)

    async def hash(self, password: str) -> str:
        """Return the hash to keep of a password."""
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password matches a hash; without a hash it never does, and costs the same."""

        def verified() -> bool:
            try:
                return self._hasher.verify(password_hash or self._nobody, _bytes(password))
            except (VerifyMismatchError, InvalidHashError):
                return False

        return await self._run(verified)

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """End the threads; what still waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        # What has begun goes on when its request is cancelled: hence what runs is counted, and not who waits.
        self._running = {future for future in self._running if not future.done()}
        if len(self._running) >= THREADS + MOST_WAITING:
            said = "Too many passwords are being checked at this moment. Try again in a few seconds."
            raise LuotaError(Code.RATE_LIMITED, said, retry_after=BUSY_S, policy="sign_in.passwords")
        future: Future[T] = self._threads.submit(work)
        self._running.add(future)
        return await asyncio.wrap_future(future)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _unmatched(hasher: PasswordHasher) -> str:
    """Return a hash that costs what a real one does, and that no password is known to match.

    It is put together instead of computed, so that not even the first sign-in takes longer.
    """
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
