"""One request and its answer, as uvicorn's protocol keeps them, and the short way for those that come whole."""

# ruff: noqa: D102 - the contracts of the overridden callbacks are uvicorn's

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseStartEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

Reply = Callable[[int, list[tuple[bytes, bytes]], bytes], None]
"""Answers a request at once: with a status, headers, and a body that is JSON."""

Direct = Callable[[Any, bytes, Reply], bool]
"""Takes a scope and a body and answers the request it by one later call, or returns False and leaves it to the app."""

_JSON = b"%b%b%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_DECISIVE = frozenset((b"connection", b"transfer-encoding"))  # headers that decide how an answer ends


class _Sent:
    """What there is to await of a message that has been sent."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


_SENT = _Sent()


class Exchange(RequestResponseCycle):
    """One request and its answer, which leaves in one write when it comes whole.

    `in_task` lets an app answer it in a task of its own. A default header gives way to one that the answer sets itself;
    `default_lines` are all of them as they go over the wire.

    An answer begins with its first body message, as ASGI has it. uvicorn writes its head before that: one
    more system call for each answer, and a packet.
    """

    in_task: Callable[[RequestResponseCycle, ASGI3Application], None]
    default_lines: bytes
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
        self._complete(whole)
        return _SENT

    def reply(self, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        """Answer with JSON, without a task where there is nothing to wait for.

        `headers` must be sound, and none of them a default.
        """
        if self.disconnected:
            return
        if self.keep_alive and not self.flow.write_paused:
            lines = b"".join([b"%b: %b\r\n" % header for header in headers])
            self._complete(_JSON % (STATUS_LINE[status], self.default_lines, lines, len(content), content))
            return
        json = [*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]

        async def app(_: Scope, __: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            await send({"type": "http.response.start", "status": status, "headers": json})
            await send({"type": "http.response.body", "body": content, "more_body": False})

        self.in_task(self, app)

    def _complete(self, whole: bytes) -> None:
        self.transport.write(whole)
        self.response_started = self.response_complete = True
        self.message_event.set()
        self.on_response()

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
