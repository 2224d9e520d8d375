import asyncio
import contextlib
import gc
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from luota.core.errors import Code, LuotaError
from luota.unix import unix_address
from luota.web.server import WebServer
from tests.web.serving import LONG, App, app, connect, event_loop_policy, serve

__all__ = ["app", "connect", "event_loop_policy", "serve"]  # fixtures

# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


# Both sockets


async def test_the_app_answers_over_tcp_and_over_the_unix_socket(serve, connect, tmp_path):
    server = await serve()
    for where in (server.port, tmp_path / "luota.sock"):
        client = await connect(where)
        client.send(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
        status, headers, told = await client.answer()
        assert (status, told["path"], told["body"]) == (200, "/x", "hello")
        assert "server" not in headers
        assert "date" in headers


async def test_only_a_request_over_the_unix_socket_is_marked_local(serve, connect, tmp_path):
    server = await serve()
    for where, marked in ((server.port, None), (tmp_path / "luota.sock", True)):
        client = await connect(where)
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\nluota.local: true\r\nx-forwarded-for: \r\n\r\n")
        assert (await client.answer())[2]["local"] is marked


async def test_a_peer_that_acknowledges_nothing_for_thirty_seconds_is_given_up_by_the_kernel(serve):
    server = await serve()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        kept = []
        while not kept:
            await asyncio.sleep(0.01)
            kept = [limit for peer, limit in connections() if peer == client.getsockname()]
    assert kept == [30_000]


def connections():
    """The peers of this process, with how long the kernel waits for each in milliseconds."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            one = socket.socket(fileno=fd)
            try:
                if one.family == socket.AF_INET:
                    yield one.getpeername(), one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            finally:
                one.detach()  # it is another's


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
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await client.answer())[0] == 200


async def test_a_unix_socket_that_somebody_listens_on_is_left_alone(serve, connect, tmp_path):
    await serve()
    with pytest.raises(LuotaError, match="Another process listens") as refused:
        await serve()
    assert refused.value.code is Code.CONFLICT
    client = await connect(tmp_path / "luota.sock")
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await client.answer())[0] == 200


async def test_a_file_in_the_place_of_the_unix_socket_is_not_removed(serve, tmp_path):
    (tmp_path / "luota.sock").write_text("precious")
    with pytest.raises(LuotaError, match="Cannot make the Unix socket"):
        await serve()
    assert (tmp_path / "luota.sock").read_text() == "precious"


async def test_a_unix_socket_works_in_a_directory_of_any_depth(serve, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    for path in (tmp_path / ("s" * (107 - len(bytes(tmp_path)) - 1)), deep / "luota.sock"):
        await serve(socket_path=path)
        assert path.is_socket()
        assert path.stat().st_mode & 0o777 == 0o600
        with unix_address(path) as address:
            reader, writer = await asyncio.open_unix_connection(address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


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
        writer.write(b"GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n")
        print((await reader.readline()).decode(), end="")
    await server.stop(5)

asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path / "luota.sock")]
    environ = os.environ | {"WEB_CONCURRENCY": "many"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert (done.stdout, done.stderr) == ("HTTP/1.1 204 No Content\n" * 2, "")


# Stopping


async def test_stopping_finishes_what_is_in_flight_and_accepts_nothing_new(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
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
    idle.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await idle.answer()
    half.send(b"GET / HT")
    await asyncio.sleep(0.05)
    async with asyncio.timeout(LONG / 2):
        await server.stop(LONG)
    assert [await c.rest() for c in (silent, idle, half)] == [b"", b"", b""]


async def test_stopping_lets_a_request_finish_whose_client_has_left(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
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
    client.send(f"{request_line} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n".encode())
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
