"""Too many connections: who gives way, and who is refused."""

import asyncio

import pytest

from luota.web.connections import Connections
from tests.web.serving import app, connect, event_loop_policy, is_refusal, serve, two_at_most

__all__ = ["app", "connect", "event_loop_policy", "serve", "two_at_most"]  # fixtures

# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


async def test_a_connection_too_many_takes_the_place_of_the_one_that_has_been_idle_the_longest(
    serve, connect, two_at_most
):
    server = await serve()
    first, second = await connect(server.port), await connect(server.port)
    for client in (second, first):
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer())[0] == 200
    third = await connect(server.port)
    assert await second.rest() == b""
    for client in (first, third):
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_a_request_that_does_not_come_whole_keeps_nobody_out(serve, connect, two_at_most):
    server = await serve()
    drips = [await connect(server.port), await connect(server.port)]
    for client in drips:
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n")
    job = await connect(server.port)
    job.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert (await job.answer())[0] == 200


async def test_while_every_connection_waits_for_an_answer_one_more_is_refused_and_the_unix_socket_is_not(
    serve, connect, app, two_at_most, tmp_path
):
    server = await serve()
    busy = [await connect(server.port), await connect(server.port)]
    for client in busy:
        client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
    while len(app.paths) < 2:
        await asyncio.sleep(0.01)
    refused = await connect(server.port)
    answer = await refused.answer()
    assert is_refusal(answer, 503, "Too many connections")
    assert answer[1]["retry-after"] == "1"
    assert await refused.rest() == b""
    for _ in range(3):
        local = await connect(tmp_path / "luota.sock")
        local.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await local.answer())[0] == 200
    app.release.set()
    assert [(await client.answer())[0] for client in busy] == [200, 200]
    assert (await connect(server.port)).writer.is_closing() is False


async def test_a_request_that_fails_as_it_begins_keeps_none_of_the_others_waiting():
    began = []
    connections = Connections(2)
    for begin in (lambda: began.append(1), lambda: 1 / 0, lambda: began.append(3)):
        connections.begin_soon(begin)
    assert began == []
    await asyncio.sleep(0)
    assert began == [1, 3]
