"""Clients that send slowly, stop in between, or do not read their answers."""

import asyncio
import socket

import pytest
import uvloop

from luota.web.server import WebServer
from tests.web.serving import LONG, app, connect, event_loop_policy, is_refusal, serve, two_at_most

__all__ = ["app", "connect", "event_loop_policy", "serve", "two_at_most"]  # fixtures

# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


async def test_a_client_that_drips_its_head_gets_408_however_often_it_drips(serve, connect):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n")
    assert is_refusal(await client.drip(b"a: b\r\n", client.answer()), 408, "Request timed out")
    assert await client.rest() == b""


async def test_a_client_that_drips_its_body_is_cut_off_and_the_app_sees_a_disconnect(serve, connect, app):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
    assert await client.drip(b"a", client.rest()) == b""
    await asyncio.wait_for(app.disconnected.wait(), LONG)


async def test_a_client_that_sends_nothing_is_cut_off(serve, connect):
    server = await serve(receive_within=0.2)
    assert await (await connect(server.port)).rest() == b""


async def test_line_ends_before_a_request_do_not_put_off_the_cut(serve, connect):
    server = await serve(receive_within=0.3)
    client = await connect(server.port)
    assert await client.drip(b"\r\n", client.rest()) == b""


async def test_the_time_to_receive_starts_anew_with_each_request(serve, connect):
    server = await serve(receive_within=1.5)
    client = await connect(server.port)
    for _ in range(2):
        await asyncio.sleep(0.9)
        client.send(b"GET / HT")
        await asyncio.sleep(0.9)
        client.send(b"TP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_a_request_that_was_received_may_be_answered_late(serve, connect, app):
    server = await serve(receive_within=0.5)
    client = await connect(server.port)
    client.send(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-")
    await asyncio.sleep(0.01)
    client.send(b"length: 2\r\n\r\nhi")
    await asyncio.sleep(0.8)
    app.release.set()
    assert (await client.answer())[2]["body"] == "hi"


async def test_an_idle_connection_outlives_the_time_to_receive_until_its_own_limit(serve, connect):
    server = await serve(receive_within=0.5, keep_alive=2)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.answer()
    await asyncio.sleep(0.8)
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await client.answer())[0] == 200
    assert await client.rest() == b""


async def test_line_ends_after_an_answer_do_not_put_off_the_end_of_an_idle_connection(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.answer()
    assert await client.drip(b"\r\n", client.rest()) == b""


async def test_a_busy_connection_outlives_the_time_that_an_idle_one_has(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    for _ in range(5):
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer())[0] == 200
        await asyncio.sleep(0.4)


async def test_a_client_that_ends_its_side_after_a_request_gets_the_answer(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n")
    client.writer.write_eof()
    await asyncio.sleep(0.1)
    app.release.set()
    assert [(await client.answer())[2]["path"] for _ in range(2)] == ["/slow", "/second"]
    assert await client.rest() == b""


async def test_a_client_that_ends_its_side_within_a_request_is_cut_off(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nab")
    client.writer.write_eof()
    assert await client.rest() == b""
    await asyncio.wait_for(app.disconnected.wait(), LONG)


async def test_a_body_that_arrives_after_its_answer_leaves_the_connection_usable(serve, connect):
    server = await serve(receive_within=1)
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
    assert (await client.answer())[0] == 200
    client.send(b"cd")
    await asyncio.sleep(1.3)
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await client.answer())[2]["path"] == "/"


async def test_a_connection_whose_body_arrived_after_its_answer_does_not_idle_for_ever(serve, connect):
    server = await serve(keep_alive=1)
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
    assert (await client.answer())[0] == 200
    client.send(b"cd")
    assert await client.rest() == b""


async def test_a_half_sent_second_request_is_refused_after_the_first_is_answered(serve, connect, app):
    server = await serve(receive_within=0.5)
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\nGET /second HT")
    await asyncio.sleep(0.8)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 408, "Request timed out")
    assert app.paths == ["/slow"]


async def test_a_client_held_up_by_an_earlier_answer_gets_its_time_to_send_the_body(serve, connect, app):
    server = await serve(receive_within=1.5)
    client = await connect(server.port)
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\nPOST /second HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n")
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
            sock.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 20000000\r\n\r\n")
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


# Answers that are not read


GREEDY = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n" * 20  # more than all buffers hold


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
    job.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await job.answer())[0] == 200
