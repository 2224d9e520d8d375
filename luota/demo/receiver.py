"""The receiver of a demo's notices: a tiny HTTP server on a free port of loopback."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Self

from luota.core.text import visible

KEPT = 200
"""Notices that are kept, the newest last."""
_LARGEST = 1 << 20
_PATIENCE_S = 10


class Receiver:
    """Takes every notice, and tells `say` each one that it has taken, while its context is open.

    A POST to `/desk` is taken at once. One to `/pager` is refused with 503 the first time, so that a retry is seen,
    and taken when it is repeated. GET `/` answers with all that was taken, as JSON.
    """

    def __init__(self, say: Callable[[Mapping[str, Any], str], None]) -> None:
        self._say = say
        self._notices: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._refused: deque[str] = deque(maxlen=KEPT)
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_LARGEST)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; what is none is left without an answer."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *rest = head.splitlines()
                headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
                body = await reader.readexactly(min(int(headers.get("content-length", "0")), _LARGEST))
                method, path, *_ = line.split(" ")
                status, content = self._answer(method, path, headers, body)
                writer.write(
                    f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(content)}\r\nconnection: close\r\n\r\n".encode()
                )
                writer.write(content)
                await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not the sender: nobody waits for the answer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[HTTPStatus, bytes]:
        if method == "GET":
            return HTTPStatus.OK, json.dumps({"notices": list(self._notices)}).encode()
        id_ = headers.get("webhook-id", "")
        if path == "/pager" and id_ not in self._refused:
            self._refused.append(id_)
            return HTTPStatus.SERVICE_UNAVAILABLE, b"{}"
        notice = json.loads(body)
        if not isinstance(notice, dict):
            return HTTPStatus.BAD_REQUEST, b"{}"
        channel = path.strip("/")
        self._notices.append({"channel": channel, "notice": notice})
        monitor = notice.get("monitor")
        name = f"{monitor['name']}: " if isinstance(monitor, dict) else ""
        text = f"{channel} got {notice.get('type')}: {name}{notice.get('summary')}"
        self._say({"channel": channel, "notice": notice}, visible(text))
        return HTTPStatus.OK, b"{}"
