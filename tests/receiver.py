"""A real HTTP receiver on 127.0.0.1 that records what arrives and answers from a script.

async with Receiver() as r:
    r.answers = [reply(503), hang, reply(200)]   # one each request; then r.default, for ever
    ... send to r.url ...
    await r.wait(3)
    r.requests[0].json, r.requests[0].at
"""

import asyncio
import json
import socket
import ssl
import struct
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from luota.clock import SystemClock

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `at` is the instant (UTC ms) at which it was whole. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: int

    @property
    def json(self):
        return json.loads(self.body)


def reply(status: int = 200, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """A whole answer; the connection stays open."""

    async def answer(reader, writer):
        head = f"HTTP/1.1 {status} Scripted\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if status != 204:
            head += f"content-length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    return answer


def after(event: asyncio.Event, then: Answer) -> Answer:
    """An answer that is held back until something has happened."""

    async def answer(reader, writer):
        await event.wait()
        await then(reader, writer)

    return answer


async def hang(reader, writer):
    """Never answer."""
    await reader.read()


async def reset(reader, writer):
    """Answer with a TCP reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(reader, writer):
    """Close both ways without an answer."""
    writer.close()


async def half_close(reader, writer):
    """End the own direction without an answer and go on listening."""
    writer.write_eof()
    await reader.read()


async def drip_head(reader, writer):
    """Send the answer's headers a byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_body(reader, writer):
    """Send whole headers with status 200, then the body a byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(reader, writer):
    """Send status 200 and a body without end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"z" * 65536)
        await writer.drain()


async def garbage(reader, writer):
    """Answer with something that is not HTTP."""
    writer.write(b"220 mail.example ESMTP ready\r\n\r\n")
    await writer.drain()


def self_signed(directory: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a fresh certificate for the host `name`, and the certificate, to be trusted."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


class Receiver:
    """Listens while its context is open. `connections` counts accepted ones, also those that sent nothing."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None):
        self.answers: list[Answer] = []
        self.default: Answer = reply(200)
        self.requests: list[Request] = []
        self.connections = 0
        self._host, self._port, self._tls = host, port, tls
        self._arrived = asyncio.Condition()
        self._open: dict[asyncio.Task, asyncio.StreamWriter] = {}
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{self._host}:{self._port}/hook"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    async def wait(self, count: int, timeout: float = 10) -> list[Request]:
        """Return the requests once there are at least `count`; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info) -> None:
        self._server.close()
        for _ in range(20):  # turns of the loop: a connection that was accepted just now takes some to begin
            for task, writer in list(self._open.items()):
                task.cancel()
                writer.transport.abort()
            await asyncio.gather(*self._open, return_exceptions=True)
            await asyncio.sleep(0)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        task = asyncio.current_task()
        self._open[task] = writer
        self._writers.append(writer)
        try:
            while not writer.is_closing():
                await self._one(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()  # what is left of the answer will never be read
        finally:
            del self._open[task]
            writer.close()

    async def _one(self, reader, writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        async with self._arrived:
            self.requests.append(Request(method, path, headers, body, SystemClock().now()))
            self._arrived.notify_all()
        answer = self.answers.pop(0) if self.answers else self.default
        await answer(reader, writer)
