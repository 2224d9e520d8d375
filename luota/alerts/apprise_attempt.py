"""One attempt by Apprise in its thread: what it dials is judged, and what the service answers is noted.

How Apprise dials is not ours to choose: it resolves names itself, and follows redirects where a service wants it. So
what it dials is judged where no code of Python gets around it: an audit hook (PEP 578) sees each address immediately
before the kernel connects to it, and what it raises keeps that from happening. Hook and listener know the attempts by
their context and leave everybody else alone.
"""

import contextlib
import logging
import re
import socket
import threading
from contextvars import ContextVar
from typing import Any

from luota.alerts.guard import AddressPolicy

_DIALLING = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
_DETAILS = "Response Details:"
_BYTES = re.compile(r"b(?P<quote>['\"])(?P<bytes>.*)(?P=quote)", re.DOTALL)
"""How Apprise logs the body of a refusal: as Python writes bytes, mostly the first DETAILS_BYTES of them."""
DETAILS_BYTES = 2000


class Attempt:
    """What one attempt may dial, what it dialled, why it was kept from it, and the first refusal's text.

    Shared with its thread.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self.refusal: str | None = None
        self.answer = b""
        self._policy = policy
        self._lock = threading.Lock()
        self._dialled: list[socket.socket] = []
        self._ended = False

    def dial(self, sock: socket.socket, address: object) -> None:
        """Judge the address that `sock` is about to be connected to; raise what keeps it from that."""
        if address is None:  # a datagram by a socket that was connected, and so judged, before
            return
        host = address[0] if isinstance(address, tuple) else "a socket of this machine"
        refusal = self._policy.refusal(str(host))
        if refusal is not None:
            self.refusal = refusal
            raise PermissionError(refusal)
        with self._lock:
            if self._ended:
                raise TimeoutError
            self._dialled.append(sock.dup())

    @property
    def ended(self) -> bool:
        """Whether its connections were cut."""
        with self._lock:
            return self._ended

    def end(self) -> None:
        """Cut all connections, so that the thread cannot go on for long, and allow no further ones."""
        with self._lock:
            self._ended = True
            for sock in self._dialled:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            self._dialled.clear()


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def judge(
    event: str,
    arguments: tuple[Any, ...],
    dialling: frozenset[str] = _DIALLING,  # bound here: at the end of the process it outlives the module's names
    current: ContextVar[Attempt | None] = ATTEMPT,
) -> None:
    """Judge what an attempt dials: the audit hook, to be added once Apprise is about to be loaded."""
    if event in dialling and (attempt := current.get()) is not None:
        attempt.dial(*arguments)


class Listener(logging.Handler):
    """Takes the text of the first refusal out of what Apprise logs at DEBUG, and nothing else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note the answer, if the record holds one; a slip of a service's module in it must not end the attempt."""
        attempt = ATTEMPT.get()
        if attempt is None or attempt.answer or not str(record.msg).startswith(_DETAILS):
            return
        with contextlib.suppress(Exception):
            found = _BYTES.fullmatch(record.getMessage().removeprefix(_DETAILS).strip())
            if found is not None:
                attempt.answer = found["bytes"].encode("ascii").decode("unicode_escape").encode("latin-1")
