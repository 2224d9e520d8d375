import asyncio
import contextlib
import gc
import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from luota.core.errors import Code, LuotaError
from luota.web.protocol import HEAD_LIMIT
from luota.web.server import LOCAL, WebServer

LONG = 30.0  # for what is not to run out in a test


# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


@pytest.fixture(scope="module")
def event_loop_policy():
    return uvloop.EventLoopPolicy()


class App:
    """Echoes what it was given; /slow answers when released, /stream never ends, /early answers unread."""

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
            "path": path,
            "body": body.decode(),
            "local": scope.get(LOCAL),
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
    assert "date" in headers
    return True


def a_head(size, path="/"):
    start = f"GET {path} HTTP/1.1\r\nx-pad: ".encode()
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


# Both sockets


async def test_the_app_answers_over_tcp_and_over_the_unix_socket(serve, connect, tmp_path):
    server = await serve()
    for where in (server.port, tmp_path / "luota.sock"):
        client = await connect(where)
        client.send(b"POST /x HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello")
        status, headers, told = await client.answer()
        assert (status, told["path"], told["body"]) == (200, "/x", "hello")
        assert "server" not in headers
        assert "date" in headers


async def test_only_a_request_over_the_unix_socket_is_marked_local(serve, connect, tmp_path):
    server = await serve()
    for where, marked in ((server.port, None), (tmp_path / "luota.sock", True)):
        client = await connect(where)
        client.send(b"GET / HTTP/1.1\r\nluota.local: true\r\nx-forwarded-for: \r\n\r\n")
        assert (await client.answer())[2]["local"] is marked


async def test_the_unix_socket_is_its_owners_alone_and_goes_with_the_server(serve, tmp_path):
    server = await serve()
    assert stat.S_IMODE((tmp_path / "luota.sock").stat().st_mode) == 0o600
    await server.stop(0)
    assert not (tmp_path / "luota.sock").exists()


async def test_a_stale_unix_socket_is_replaced(serve, connect, tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "luota.sock"))
    await serve()
    client = await connect(tmp_path / "luota.sock")
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[0] == 200


async def test_a_unix_socket_that_somebody_listens_on_is_left_alone(serve, connect, tmp_path):
    await serve()
    with pytest.raises(LuotaError, match="Another process listens") as refused:
        await serve()
    assert refused.value.code is Code.CONFLICT
    client = await connect(tmp_path / "luota.sock")
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[0] == 200


async def test_a_file_in_the_place_of_the_unix_socket_is_not_removed(serve, tmp_path):
    (tmp_path / "luota.sock").write_text("precious")
    with pytest.raises(LuotaError, match="Cannot make the Unix socket"):
        await serve()
    assert (tmp_path / "luota.sock").read_text() == "precious"


async def test_a_unix_socket_path_of_107_bytes_works_and_of_108_is_explained(serve, tmp_path):
    longest = tmp_path / ("s" * (107 - len(bytes(tmp_path)) - 1))
    await serve(socket_path=longest)
    with pytest.raises(LuotaError, match=r"is 108 bytes long and Linux allows 107: choose a data directory"):
        await serve(socket_path=Path(f"{longest}s"))


async def test_a_taken_port_is_explained_and_leaves_no_unix_socket(serve, tmp_path):
    first = await serve()
    with pytest.raises(LuotaError, match=rf"Port {first.port} on 127.0.0.1 is taken") as refused:
        await serve(port=first.port, socket_path=tmp_path / "second.sock")
    assert refused.value.field == "server.port"
    assert not (tmp_path / "second.sock").exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"host": "203.0.113.1"}, "server.host"),
        ({"host": "256.1.1.1.1."}, "server.host"),
        ({"host": "a" * 70}, "server.host"),
        ({"port": 65536}, "server.port"),
        ({"port": -1}, "server.port"),
    ],
)
async def test_an_address_that_cannot_be_listened_on_is_explained(serve, given, field):
    with pytest.raises(LuotaError) as refused:
        await serve(**given)
    assert (refused.value.code, refused.value.field) == (Code.INVALID, field)


def test_a_privileged_port_is_explained(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may use every port")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("this host lets everybody use port 80")
    server = WebServer(App(), host="127.0.0.1", port=80, socket_path=tmp_path / "s")
    with pytest.raises(LuotaError, match="needs a privilege"):
        asyncio.run(server.start())


async def test_a_failed_start_leaves_the_port_free(serve, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(LuotaError):
        await serve(port=port, socket_path=tmp_path / "missing" / "luota.sock")
    gc.collect()  # a socket left open would warn here
    await serve(port=port)


def test_it_serves_on_asyncios_own_loop_too_and_leaves_signal_handlers_alone(tmp_path):
    script = """
import asyncio, signal, sys
from pathlib import Path
from luota.web.server import WebServer

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})

async def main():
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    server = WebServer(app, host="127.0.0.1", port=0, socket_path=Path(sys.argv[1]))
    await server.start()
    assert before == [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    for opened in (asyncio.open_connection("127.0.0.1", server.port), asyncio.open_unix_connection(sys.argv[1])):
        reader, writer = await opened
        writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
        print((await reader.readline()).decode(), end="")
    await server.stop(5)

asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path / "luota.sock")]
    environ = os.environ | {"WEB_CONCURRENCY": "many"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert (done.stdout, done.stderr) == ("HTTP/1.1 204 No Content\n" * 2, "")


# Slow clients


async def test_a_client_that_drips_its_head_gets_408_however_often_it_drips(serve, connect):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\n")
    answered = asyncio.ensure_future(client.answer())
    while not answered.done():
        client.send(b"a: b\r\n")
        await asyncio.sleep(0.02)
    assert is_refusal(await answered, 408, "Request timed out")
    assert await client.rest() == b""


async def test_a_client_that_drips_its_body_is_cut_off_and_the_app_sees_a_disconnect(serve, connect, app):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n")
    ended = asyncio.ensure_future(client.rest())
    while not ended.done():
        client.send(b"a")
        await asyncio.sleep(0.02)
    assert await ended == b""
    await asyncio.wait_for(app.disconnected.wait(), LONG)


async def test_a_client_that_sends_nothing_is_cut_off(serve, connect):
    server = await serve(receive_within=0.2)
    assert await (await connect(server.port)).rest() == b""


async def test_line_ends_before_a_request_do_not_put_off_the_cut(serve, connect):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    ended = asyncio.ensure_future(client.rest())
    while not ended.done():
        client.send(b"\r\n")
        await asyncio.sleep(0.02)
    assert await ended == b""


async def test_the_time_to_receive_starts_anew_with_each_request(serve, connect):
    server = await serve(receive_within=1.5)
    client = await connect(server.port)
    for _ in range(2):
        await asyncio.sleep(0.9)
        client.send(b"GET / HT")
        await asyncio.sleep(0.9)
        client.send(b"TP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_a_request_that_was_received_may_be_answered_late(serve, connect, app):
    server = await serve(receive_within=0.5)
    client = await connect(server.port)
    client.send(b"POST /slow HTTP/1.1\r\ncontent-")
    await asyncio.sleep(0.01)
    client.send(b"length: 2\r\n\r\nhi")
    await asyncio.sleep(0.8)
    app.release.set()
    assert (await client.answer())[2]["body"] == "hi"


async def test_an_idle_connection_outlives_the_time_to_receive_until_its_own_limit(serve, connect):
    server = await serve(receive_within=0.5, keep_alive=2)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    await client.answer()
    await asyncio.sleep(0.8)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[0] == 200
    assert await client.rest() == b""


async def test_a_body_that_arrives_after_its_answer_leaves_the_connection_usable(serve, connect):
    server = await serve(receive_within=1)
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\ncontent-length: 4\r\n\r\nab")
    assert (await client.answer())[0] == 200
    client.send(b"cd")
    await asyncio.sleep(1.3)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[2]["path"] == "/"


async def test_a_connection_whose_body_arrived_after_its_answer_does_not_idle_for_ever(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\ncontent-length: 4\r\n\r\nab")
    assert (await client.answer())[0] == 200
    client.send(b"cd")
    assert await client.rest() == b""


async def test_a_half_sent_second_request_is_refused_after_the_first_is_answered(serve, connect, app):
    server = await serve(receive_within=0.5)
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\nGET /second HT")
    await asyncio.sleep(0.8)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 408, "Request timed out")
    assert app.paths == ["/slow"]


async def test_a_client_held_up_by_an_earlier_answer_gets_its_time_to_send_the_body(serve, connect, app):
    server = await serve(receive_within=1.5)
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\nPOST /second HTTP/1.1\r\ncontent-length: 2\r\n\r\n")
    await asyncio.sleep(2.5)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    await asyncio.sleep(0.8)
    client.send(b"ok")
    assert (await client.answer())[2]["body"] == "ok"


def test_a_client_that_wants_to_close_reads_an_answer_that_came_before_all_was_sent(app, tmp_path):
    # A blocking client sends all before it reads, as Python's http.client does.
    def talk(port):
        with socket.create_connection(("127.0.0.1", port), timeout=LONG) as sock:
            sock.sendall(b"POST /early HTTP/1.1\r\nconnection: close\r\ncontent-length: 20000000\r\n\r\n")
            for _ in range(200):
                sock.sendall(b"b" * 100_000)
            return sock.makefile("rb").read()

    async def main():
        server = WebServer(app, host="127.0.0.1", port=0, socket_path=tmp_path / "s")
        await server.start()
        try:
            return await asyncio.to_thread(talk, server.port)
        finally:
            await server.stop(1)

    assert uvloop.run(main()).startswith(b"HTTP/1.1 200 OK")


# Large heads


async def test_a_head_of_exactly_the_limit_is_served(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(a_head(HEAD_LIMIT))
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        a_head(HEAD_LIMIT + 1),
        b"GET /" + b"u" * HEAD_LIMIT + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 3000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"n" * 20_000,
        b"GET / HTTP/1.1\r\nn:" + b" " * 20_000,
        a_head(2_000_000),
    ],
    ids=["one byte more", "request line", "many headers", "endless name", "endless blanks", "megabytes"],
)
async def test_a_larger_head_gets_431_and_never_reaches_the_app(serve, connect, app, head):
    server = await serve()
    client = await connect(server.port)
    client.send(head)
    assert is_refusal(await client.answer(), 431, "Request header too large")
    assert await client.rest() == b""
    assert app.paths == []


@pytest.mark.parametrize("size", [HEAD_LIMIT, HEAD_LIMIT + 1])
async def test_the_limit_holds_for_a_pipelined_request_and_the_first_is_answered(serve, connect, size):
    server = await serve()
    client = await connect(server.port)
    first = b"POST /first HTTP/1.1\r\ncontent-length: 3000\r\n\r\n" + b"b" * 3000
    client.send(first + a_head(size, "/second")[:-1])
    assert (await client.answer())[2]["path"] == "/first"
    client.send(b"\n")
    if size > HEAD_LIMIT:
        assert is_refusal(await client.answer(), 431, "Request header too large")
    else:
        assert (await client.answer())[2]["path"] == "/second"


async def test_the_limit_counts_each_request_anew(serve, connect):
    server = await serve()
    client = await connect(server.port)
    for _ in range(3):
        client.send(a_head(12_000))
        assert (await client.answer())[0] == 200


async def test_a_body_may_be_larger_than_the_limit_of_heads(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\ncontent-length: 60000\r\n\r\n" + b"b" * 60_000)
    assert len((await client.answer())[2]["body"]) == 60_000


async def test_endless_trailers_are_refused_and_the_app_sees_a_disconnect(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    client.send(b"t: " + b"x" * 30_000)
    assert is_refusal(await client.answer(), 431, "Request header too large")
    await asyncio.wait_for(app.disconnected.wait(), LONG)


async def test_a_trailer_does_not_pass_for_a_header(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-luota-key: k\r\n\r\n")
    assert (await client.answer())[2]["headers"] == ["transfer-encoding"]


# Malformed and unusual requests


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_malformed_http_gets_400(serve, connect, data):
    server = await serve()
    client = await connect(server.port)
    client.send(data)
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")
    assert await client.rest() == b""


async def test_a_malformed_second_request_is_refused_after_the_first_is_answered(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\nnonsense\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")


async def test_a_malformed_body_of_a_waiting_request_is_refused_in_turn(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    second = b"POST /second HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    client.send(b"GET /slow HTTP/1.1\r\n\r\n" + second)
    await asyncio.wait_for(app.started.wait(), LONG)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")
    assert app.paths == ["/slow"]


async def test_a_malformed_rest_of_a_body_that_was_answered_already_only_closes(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    assert (await client.answer())[0] == 200
    client.send(b"zz\r\n")
    assert await client.rest() == b""


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"content-length: 5", b"hello"),
        (b"transfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"content-length: 0", b""),
    ],
)
async def test_an_offer_to_upgrade_is_declined_and_the_body_kept(serve, connect, framing, body):
    server = await serve()
    client = await connect(server.port)
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    request = b"POST /offer HTTP/1.1\r\n" + offer + framing + b"\r\n\r\n" + body
    client.send(request + request + b"GET /plain HTTP/1.1\r\n\r\n")
    for _ in range(2):
        told = (await client.answer())[2]
        assert told["path"] == "/offer"
        assert told["body"] == ("hello" if body else "")
    assert (await client.answer())[2]["path"] == "/plain"


async def test_a_refusal_is_logged_with_its_request_id(serve, connect, caplog):
    caplog.set_level("INFO", logger="luota")
    server = await serve()
    client = await connect(server.port)
    client.send(b"nonsense\r\n\r\n")
    request_id = (await client.answer())[1]["x-request-id"]
    assert request_id in caplog.text.lower()


async def test_a_stream_followed_by_another_request_still_learns_that_its_client_left(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /stream HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    client.writer.transport.abort()
    await asyncio.wait_for(app.disconnected.wait(), LONG)


# Stopping


async def test_stopping_finishes_what_is_in_flight_and_accepts_nothing_new(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    stopping = asyncio.ensure_future(server.stop(LONG))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    with pytest.raises(ConnectionRefusedError):
        await connect(server.port)
    app.release.set()
    assert (await client.answer())[0] == 200
    assert await client.rest() == b""
    await asyncio.wait_for(stopping, LONG)


async def test_stopping_closes_idle_and_half_sent_connections_at_once(serve, connect):
    server = await serve()
    silent, idle, half = [await connect(server.port) for _ in range(3)]
    idle.send(b"GET / HTTP/1.1\r\n\r\n")
    await idle.answer()
    half.send(b"GET / HT")
    await asyncio.sleep(0.05)
    async with asyncio.timeout(LONG / 2):
        await server.stop(LONG)
    assert [await c.rest() for c in (silent, idle, half)] == [b"", b"", b""]


async def test_stopping_lets_a_request_finish_whose_client_has_left(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    client.writer.transport.abort()
    stopping = asyncio.ensure_future(server.stop(LONG))
    await asyncio.sleep(0.1)
    assert not stopping.done()
    app.release.set()
    await asyncio.wait_for(stopping, LONG)


@pytest.mark.parametrize("request_line", ["GET /stream", "GET /deaf", "POST /half"])
async def test_a_hung_client_or_an_open_stream_does_not_block_stopping(serve, connect, app, request_line):
    server = await serve()
    client = await connect(server.port)
    client.send(f"{request_line} HTTP/1.1\r\ncontent-length: 5\r\n\r\n".encode())
    await asyncio.wait_for(app.started.wait(), LONG)
    async with asyncio.timeout(LONG):
        await server.stop(0.1)
    if request_line != "GET /deaf":
        assert app.disconnected.is_set()
    assert not server._connections.tasks


async def test_stopping_without_a_start_and_twice_is_harmless(serve, app, tmp_path):
    await WebServer(app, host="127.0.0.1", port=0, socket_path=tmp_path / "never").stop(1)
    server = await serve()
    await server.stop(1)
    await server.stop(1)
