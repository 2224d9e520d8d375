import asyncio
import socket

import pytest
import uvloop

from luota.web.protocol import HEAD_LIMIT
from luota.web.server import WebServer
from tests.web.serving import LONG, a_head, app, connect, event_loop_policy, is_refusal, serve

__all__ = ["app", "connect", "event_loop_policy", "serve"]  # fixtures

# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


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


async def test_line_ends_after_an_answer_do_not_put_off_the_end_of_an_idle_connection(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    await client.answer()
    began = asyncio.get_running_loop().time()
    ended = asyncio.ensure_future(client.rest())
    while not ended.done() and asyncio.get_running_loop().time() < began + LONG:
        client.send(b"\r\n")
        await asyncio.sleep(0.05)
    assert await ended == b""


async def test_a_busy_connection_outlives_the_time_that_an_idle_one_has(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    for _ in range(5):
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200
        await asyncio.sleep(0.4)


async def test_a_client_that_ends_its_side_after_a_request_gets_the_answer(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\n\r\nGET /second HTTP/1.1\r\n\r\n")
    client.writer.write_eof()
    await asyncio.sleep(0.1)
    app.release.set()
    assert [(await client.answer())[2]["path"] for _ in range(2)] == ["/slow", "/second"]
    assert await client.rest() == b""


async def test_a_client_that_ends_its_side_within_a_request_is_cut_off(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nab")
    client.writer.write_eof()
    assert await client.rest() == b""
    await asyncio.wait_for(app.disconnected.wait(), LONG)


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


# Versions, and too many connections


@pytest.mark.parametrize("version", [b"2.0", b"0.9"])
async def test_another_version_of_http_is_refused_by_505_and_nothing_after_it_is_answered(serve, connect, app, version):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /one HTTP/" + version + b"\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\n\r\n")
    assert is_refusal(await client.answer(), 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    assert await client.rest() == b""
    assert app.paths == []


@pytest.fixture
def two_at_most(monkeypatch):
    monkeypatch.setattr("luota.web.server._MOST_OPEN", 2)


async def test_a_connection_too_many_takes_the_place_of_the_one_that_has_been_idle_the_longest(
    serve, connect, two_at_most
):
    server = await serve()
    first, second = await connect(server.port), await connect(server.port)
    for client in (second, first):
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200
    third = await connect(server.port)
    assert await second.rest() == b""
    for client in (first, third):
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_a_request_that_does_not_come_whole_keeps_nobody_out(serve, connect, two_at_most):
    server = await serve()
    drips = [await connect(server.port), await connect(server.port)]
    for client in drips:
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n")
    job = await connect(server.port)
    job.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await job.answer())[0] == 200


async def test_while_every_connection_waits_for_an_answer_one_more_is_refused_and_the_unix_socket_is_not(
    serve, connect, app, two_at_most, tmp_path
):
    server = await serve()
    busy = [await connect(server.port), await connect(server.port)]
    for client in busy:
        client.send(b"GET /slow HTTP/1.1\r\n\r\n")
    while len(app.paths) < 2:
        await asyncio.sleep(0.01)
    refused = await connect(server.port)
    answer = await refused.answer()
    assert is_refusal(answer, 503, "Too many connections")
    assert answer[1]["retry-after"] == "1"
    assert await refused.rest() == b""
    for _ in range(3):
        local = await connect(tmp_path / "luota.sock")
        local.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await local.answer())[0] == 200
    app.release.set()
    assert [(await client.answer())[0] for client in busy] == [200, 200]
    assert (await connect(server.port)).writer.is_closing() is False


GREEDY = b"GET /large HTTP/1.1\r\n\r\n" * 20  # more than all buffers hold


async def deaf(connect, port):
    """Return a client that asks for much and reads nothing."""
    client = await connect(port)
    client.writer.transport.pause_reading()
    client.send(GREEDY)
    return client


async def test_a_client_that_reads_nothing_is_cut_off(serve, connect, app, monkeypatch):
    monkeypatch.setattr("luota.web.protocol._UNREAD_S", 0.3)
    server = await serve()
    client = await deaf(connect, server.port)
    await asyncio.sleep(1.5)
    client.writer.transport.resume_reading()
    assert len(await client.rest()) < 1_000_000 * GREEDY.count(b"GET")


async def test_a_client_that_reads_slowly_gets_all_of_its_answers(serve, connect, app, monkeypatch):
    monkeypatch.setattr("luota.web.protocol._UNREAD_S", 0.5)
    server = await serve()
    client = await deaf(connect, server.port)
    await asyncio.sleep(0.2)
    client.writer.transport.resume_reading()
    for _ in range(GREEDY.count(b"GET")):
        await asyncio.sleep(0.05)
        assert (await client.answer())[0] == 200


async def test_a_client_that_reads_nothing_keeps_nobody_out(serve, connect, app, two_at_most):
    server = await serve()
    for _ in range(2):
        await deaf(connect, server.port)
    while len(app.paths) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    job = await connect(server.port)
    job.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await job.answer())[0] == 200
