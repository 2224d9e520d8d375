"""One request and its answer, as uvicorn's protocol keeps them."""

# ruff: noqa: D102 - the contracts of the overridden callbacks are uvicorn's

import asyncio
from collections.abc import Awaitable, Generator, Sized
from typing import TYPE_CHECKING

from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from luota.web.protocol import GuardedProtocol

MOST_WAITING = 16  # requests of one connection behind the one that is being answered, before no more are read
_DECISIVE = frozenset((b"connection", b"transfer-encoding"))  # headers that decide how an answer ends


class _Sent:
    """What there is to await of a message that has been sent."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_SENT = _Sent()


class Exchange(RequestResponseCycle):
    """One request and its answer, which leaves in one write when it comes whole.

    A default header gives way to one that the answer sets itself.

    An answer begins with its first body message, as ASGI has it. uvicorn writes its head before that: one
    more system call for each answer, and a packet.
    """

    _start: HTTPResponseStartEvent | None = None

    def send(self, message: ASGISendEvent) -> Awaitable[None]:  # type: ignore[override]
        if message["type"] == "http.response.start" and not self.response_started and self._start is None:
            own = {name for name, _ in message["headers"]}
            self.default_headers = [header for header in self.default_headers if header[0] not in own]
            self._start = message
            return _SENT
        start, self._start = self._start, None
        if start is None:
            return super().send(message)
        whole = self._whole(start, message)
        if whole is None:
            return self._send_both(start, message)
        self.transport.write(whole)
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()
        return _SENT

    def _whole(self, start: HTTPResponseStartEvent, message: ASGISendEvent) -> bytes | None:
        """Return the answer as it goes over the wire, or None where uvicorn has more to decide about it."""
        if message["type"] != "http.response.body" or message.get("more_body", False) or not self.keep_alive:
            return None
        if self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD":
            return None
        body = message.get("body", b"")
        parts = [STATUS_LINE[start["status"]]]
        measured = False
        for name, value in (*self.default_headers, *start["headers"]):
            if name == b"content-length":
                measured = int(value) == len(body)
            elif name in _DECISIVE or HEADER_VALUE_RE.search(value):
                return None
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", body)
        return b"".join(parts) if measured else None

    async def _send_both(self, start: HTTPResponseStartEvent, message: ASGISendEvent) -> None:
        await super().send(start)
        await super().send(message)


class Unread:
    """The transport as the answer to a request sees it that is still arriving."""

    def __init__(self, protocol: "GuardedProtocol") -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.close_answered()


class Flow(FlowControl):
    """Stops reading while many requests of one connection wait: each answer, and each body awaited, resumes it.

    One read brings a thousand more, so that a client who never waits would fill the memory.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if len(self._waiting) <= MOST_WAITING:
            super().resume_reading()
