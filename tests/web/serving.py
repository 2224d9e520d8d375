"""What the tests of the server and of its protocol share: an app, a client on a plain socket, fixtures."""

import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest
import uvloop

from luota.web.server import WebServer

LONG = 30.0  # for what is not to run out in a test


@pytest.fixture(scope="module")
def event_loop_policy():
    return uvloop.EventLoopPolicy()


class App:
    """Echoes what it was given; /slow answers when released, /stream never ends, /early answers unread.

    /large answers with a megabyte.
    """

    def __init__(self):
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.paths = []

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        self.paths.append(path)
        self.started.set()
        if path in ("/stream", "/deaf"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            if path == "/deaf":
                await asyncio.Event().wait()
        body, more = b"", path != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            body += message["body"]
            more = message["more_body"] or path == "/stream"
        if path == "/slow":
            await self.release.wait()
        told = {
            **({"large": "x" * 1_000_000} if path == "/large" else {}),
            "path": path,
            "body": body.decode(),
            "local": scope.get("luota.local"),
            "headers": [name.decode() for name, _ in scope["headers"]],
        }
        answer = json.dumps(told).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def app():
    return App()


@pytest.fixture
def two_at_most(monkeypatch):
    monkeypatch.setattr("luota.web.server._MOST_OPEN", 2)


@pytest.fixture
async def serve(app, tmp_path):
    servers = []

    async def start(**given):
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        options = {"host": "127.0.0.1", "port": 0, "socket_path": tmp_path / "luota.sock"} | given
        server = WebServer(app, **options)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(0)


class Client:
    """A plain socket, read with asyncio's streams."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, data):
        self.writer.write(data)

    async def answer(self):
        """Return status, headers and body of the next response."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), LONG)).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await asyncio.wait_for(self.reader.readexactly(int(headers["content-length"])), LONG)
        return int(head[0].split()[1]), headers, json.loads(body)

    async def drip(self, data, until):
        """Send `data` over and over until `until`, which is awaited, has ended; return its result."""
        ended = asyncio.ensure_future(until)
        while not ended.done():
            self.send(data)
            await asyncio.sleep(0.02)
        return await ended

    async def rest(self):
        return await asyncio.wait_for(self.reader.read(), LONG)


@pytest.fixture
async def connect():
    opened = []

    async def over(where):
        if isinstance(where, Path):
            streams = await asyncio.open_unix_connection(where)
        else:
            streams = await asyncio.open_connection("127.0.0.1", where)
        opened.append(streams[1])
        return Client(*streams)

    yield over
    for writer in opened:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def is_refusal(answer, status, message):
    got, headers, body = answer
    assert (got, body) == (status, {"error": message})
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert re.fullmatch(r"req_[0-7][0-9a-hjkmnp-tv-z]{25}", headers["x-request-id"])
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "date" in headers
    return True


def a_head(size, path="/"):
    start = f"GET {path} HTTP/1.1\r\nhost: a\r\nx-pad: ".encode()
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"
