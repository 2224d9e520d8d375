"""The short way of a request that comes whole: who answers it, and its answer, without a task."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from luota.web.protocol import GuardedProtocol

Reply = Callable[[int, list[tuple[bytes, bytes]], bytes], None]
"""Answers a request: with a status, headers, and a body that is JSON."""

_ANSWER = b"%b%b%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_CLOSE = (b"connection", b"close")


@runtime_checkable
class Direct(Protocol):
    """An app that answers some requests itself, without a task."""

    def takes(self, method: bytes, url: bytes) -> bool:
        """Tell whether it answers a request of that method and target, whatever else is in it."""
        ...

    def answer(self, scope: Scope, body: bytes, reply: Reply) -> None:
        """Answer a request that it takes, by one call of `reply`, at once or later. It raises nothing.

        Of ASGI's scope it has `method`, `path`, `raw_path`, `headers` and `client`.
        """
        ...


class _Unheard:
    """The event of a request whose messages nobody awaits."""

    def set(self) -> None:
        """Do nothing."""


class Whole:
    """One request that may come whole, and then its answer: for uvicorn's protocol it is the cycle that is under way.

    `expects` says that its client waits to be told to continue, `body` has what came of it so far.
    """

    message_event = _Unheard()
    waiting_for_100_continue = False
    response_started = False
    response_complete = False
    disconnected = False
    keep_alive = True

    def __init__(self, protocol: "GuardedProtocol", headers: list[tuple[bytes, bytes]], *, expects: bool) -> None:
        self.headers = headers
        self.expects = expects
        self.body: list[bytes] = []
        self._protocol = protocol

    def begin(self, direct: Direct, method: bytes, url: bytes) -> None:
        """Have it answered, now that all of it has come."""
        scope = {
            "method": method.decode("ascii"),
            "path": url.decode("ascii"),
            "raw_path": url,
            "headers": self.headers,
            "client": self._protocol.client,
        }
        direct.answer(scope, b"".join(self.body), self.reply)

    def reply(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        """Answer in one write. `headers` must be sound, and none of them a default."""
        if self.disconnected:
            return
        protocol = self._protocol
        if not self.keep_alive:
            headers = [*headers, _CLOSE]
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        default = protocol.server_state.default_lines
        protocol.transport.write(_ANSWER % (STATUS_LINE[status], default, lines, len(content), content))
        self.response_started = self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()
