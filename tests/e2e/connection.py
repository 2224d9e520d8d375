"""One connection to the daemon, for load: a client that costs a tenth of one that can do everything."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from tests.process import Job

BROKEN = (ConnectionError, asyncio.IncompleteReadError)
"""What `post` raises when the daemon is gone: the signal may have been taken or not."""


@dataclass(frozen=True)
class Reply:
    """As httpx.Response has it."""

    status_code: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


class Connection:
    """Signals over one connection, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, job: Job, body: object = None) -> Reply:
        """Send one signal; return what was answered, which was whole."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: luota\r\nx-luota-key: {job.token}\r\ncontent-length: {len(text)}\r\n"
        if text:
            head += "content-type: application/json\r\n"
        async with asyncio.timeout(30):
            self._writer.write(head.encode() + b"\r\n" + text)
            answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in answer.split("\r\n")[1:-2])
            return Reply(int(answer[9:12]), (await self._reader.readexactly(int(fields["content-length"]))).decode())


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Connect to the daemon that listens on `port`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()
