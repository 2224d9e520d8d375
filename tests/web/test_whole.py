"""Pings that come whole take a way of their own: to a client it must be the same way."""

import asyncio
import contextlib
import logging
import re
import socket
import struct
import threading

import pytest

from luota.store.db import in_thread
from luota.web.exchange import MOST_WAITING
from tests.served import NOBODY

PIECES = [None, 0, -2]  # how much of a body comes with the head: all, nothing, all but its end
BODY = b'{"payload":{"host":"db-1"}}'


def request(monitor, body=BODY, *, token=None, path=None, extra=()):
    lines = [
        f"POST {path or f'/v1/monitors/{monitor.id}/ping'} HTTP/1.1",
        "host: luota",
        f"x-luota-key: {token or monitor.token}",
        f"content-length: {len(body)}",
        *extra,
    ]
    return "\r\n".join([*lines, "", ""]).encode(), body


@contextlib.asynccontextmanager
async def connected(served):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer(reader):
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        return head.decode(), (await reader.readexactly(length)).decode()


def commits_wait(served):
    """Let nothing be committed until the event is set that this returns."""
    gate = threading.Event()
    in_thread(served.engine._db, lambda _: gate.wait(20))
    return gate


async def last_answer(reader):
    """Read the answer to a ping that says that it is the connection's last, and the end."""
    said, _ = await answer(reader)
    assert " 202 " in said.splitlines()[0]
    assert "connection: close" in said
    assert await ended(reader)


async def ended(reader):
    async with asyncio.timeout(4):
        return await reader.read() == b""


async def send(writer, head, body, first=None):
    """Send a request whole, or up to `first` of its body and then, once that has been read, the rest."""
    writer.write(head + body[:first])
    if first is not None:
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(body[first:])


def shape(head, body):
    """Return an answer without what differs from one to the next."""
    kept = sorted(line for line in head.splitlines()[1:] if line and not line.startswith(("x-request-id", "date")))
    assert len(re.findall(r"x-request-id: req_[0-9A-Z]{26}\r\n", head)) == 1
    return head.splitlines()[0], kept, re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", body)


@pytest.mark.parametrize(
    ("body", "token", "path", "status"),
    [
        (BODY, None, None, 202),
        (b"", None, None, 202),
        (b"{", None, None, 400),
        (b'{"payload":[]}', None, None, 400),
        (BODY, "wfm1.wrong", None, 401),
        (BODY, None, f"/v1/monitors/{NOBODY}/ping", 404),
        (BODY, None, "/v1/monitors/a/b/ping", 404),
        (b" " * 65_537, None, None, 413),
    ],
)
async def test_a_ping_gets_the_same_answer_whole_and_in_pieces(served, body, token, path, status):
    monitor = await served.monitor()
    head, body = request(monitor, body, token=token, path=path)
    async with connected(served) as (reader, writer):
        writer.write(head + body)
        whole = shape(*await answer(reader))
    async with connected(served) as (reader, writer):
        for piece in (head[:40], head[40:], body[:5], body[5:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        pieces = shape(*await answer(reader))
    assert whole == pieces
    assert f" {status} " in whole[0]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "PATH", 405),
        ("PUT", "PATH", 405),
        ("POST", "PATH?x=1", 202),
        ("POST", "PATH/", 404),
        ("POST", "PATHS", 404),
        ("POST", "/v1/xPATH", 404),
        ("POST", "http://luotaPATH", 202),
    ],
)
async def test_what_is_not_quite_a_ping_gets_the_same_answer_whole_and_in_pieces(served, method, target, status):
    monitor = await served.monitor()
    head, body = request(monitor)
    line = f"{method} {target.replace('PATH', f'/v1/monitors/{monitor.id}/ping')} HTTP/1.1"
    answers = []
    for first in (None, 0):
        async with connected(served) as (reader, writer):
            await send(writer, re.sub(rb"\A[^\r]*", line.encode(), head), body, first)
            answers.append(shape(*await answer(reader)))
    assert answers[0] == answers[1]
    assert f" {status} " in answers[0][0]
    assert served.row("SELECT count(*) FROM heartbeats") == (2 if status == 202 else 0,)


@pytest.mark.parametrize("broken", ["luota.web.ingest._pinged", "luota.web.ingest.spec.parse_ping"])
async def test_a_defect_of_ours_is_500_with_the_id_whole_and_in_pieces(served, caplog, monkeypatch, broken):
    monitor = await served.monitor()

    def breaks(_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(broken, breaks)
    answers = []
    for first in (None, 0):
        async with connected(served) as (reader, writer):
            await send(writer, *request(monitor), first)
            said, body = await answer(reader)
            id_ = re.search(r"x-request-id: (\S+)", said)[1]
            assert any(record.exc_info and id_ in record.getMessage() for record in caplog.records)
            answers.append((said.splitlines()[0], body.replace(id_, "ID")))
    assert answers == [("HTTP/1.1 500 Internal Server Error", '{"error":"Internal error","requestId":"ID"}')] * 2


async def test_pings_sent_at_one_go_on_one_connection_are_answered_in_their_order(served):
    monitor = await served.monitor()
    head, body = request(monitor)
    bad, worse = request(monitor, b"[]")
    async with connected(served) as (reader, writer):
        writer.write((head + body + bad + worse) * 20)
        for _ in range(20):
            assert " 202 " in (await answer(reader))[0].splitlines()[0]
            assert " 400 " in (await answer(reader))[0].splitlines()[0]
    assert served.row("SELECT count(*) FROM heartbeats") == (20,)


async def test_a_ping_under_way_when_the_server_stops_is_answered_and_told_that_it_was_the_last(served):
    monitor = await served.monitor()
    async with connected(served) as (reader, writer):
        gate = commits_wait(served)
        writer.write(b"".join(request(monitor)))
        await asyncio.sleep(0.1)
        stopping = asyncio.ensure_future(served.server.stop(5))
        await asyncio.sleep(0.1)
        gate.set()
        await last_answer(reader)
        await stopping


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_before_its_answer_does_not_take_its_ping_along(served, caplog, reset):
    monitor = await served.monitor()
    gate = commits_wait(served)
    async with connected(served) as (_, writer):
        writer.write(b"".join(request(monitor)))
        await asyncio.sleep(0.1)
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await asyncio.sleep(0.1)
    gate.set()
    assert (await monitor.ping()).status_code == 202
    assert served.row("SELECT count(*) FROM heartbeats") == (2,)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("first", PIECES)
@pytest.mark.parametrize(
    ("version", "extra"), [("1.1", ["connection: close"]), ("1.0", []), ("1.0", ["connection: keep-alive"])]
)
async def test_a_ping_that_is_its_connections_last_is_told_so_and_the_connection_ends(served, version, extra, first):
    monitor = await served.monitor()
    head, body = request(monitor, extra=extra)
    async with connected(served) as (reader, writer):
        await send(writer, head.replace(b"HTTP/1.1", f"HTTP/{version}".encode()), body, first)
        await last_answer(reader)


@pytest.mark.parametrize("first", PIECES)
async def test_a_client_that_ends_its_side_after_a_ping_gets_the_answer_and_the_end(served, first):
    monitor = await served.monitor()
    async with connected(served) as (reader, writer):
        gate = commits_wait(served)
        await send(writer, *request(monitor), first)
        writer.write_eof()
        await asyncio.sleep(0.1)
        gate.set()
        await last_answer(reader)


@pytest.mark.parametrize("first", PIECES)
async def test_a_ping_that_expects_to_be_told_to_continue_is_told_so_unless_all_of_it_is_there(served, first):
    monitor = await served.monitor()
    async with connected(served) as (reader, writer):
        await send(writer, *request(monitor, extra=["expect: 100-continue"]), first)
        if first is not None:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert " 202 " in (await answer(reader))[0].splitlines()[0]


@pytest.mark.parametrize("first", PIECES)
@pytest.mark.parametrize(
    ("rest", "status", "kept"),
    [
        (b"1b\r\n%b\r\n0\r\n\r\n" % BODY, 202, 1),
        (b"0\r\nx-luota-key: KEY\r\na: b\r\n\r\n", 401, 0),  # a trailer is no header
        (b"zz\r\n", 400, 0),
        (b"1b\r\n%bzz" % BODY, 400, 0),
    ],
)
async def test_a_ping_in_chunks_is_taken_or_refused_alike_whole_and_in_pieces(served, rest, status, kept, first):
    monitor = await served.monitor()
    lines = [f"POST /v1/monitors/{monitor.id}/ping HTTP/1.1", "host: luota", "transfer-encoding: chunked"]
    lines += [f"x-luota-key: {monitor.token}"] if status != 401 else []
    head = "\r\n".join([*lines, "", ""]).encode()
    async with connected(served) as (reader, writer):
        await send(writer, head, rest.replace(b"KEY", monitor.token.encode()), first)
        assert f" {status} " in (await answer(reader))[0].splitlines()[0]
    assert served.row("SELECT count(*) FROM heartbeats") == (kept,)


@pytest.mark.parametrize("cut", [None, 0, -2, -1])
@pytest.mark.parametrize("trailer", ["expect: 100-continue", "connection: close"])
async def test_a_trailer_asks_for_nothing_but_the_end_of_the_connection(served, trailer, cut):
    monitor = await served.monitor()
    lines = [f"POST /v1/monitors/{monitor.id}/ping HTTP/1.1", "host: luota", f"x-luota-key: {monitor.token}"]
    head = "\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode()
    async with connected(served) as (reader, writer):
        await send(writer, head, f"0\r\n{trailer}\r\na: b\r\n\r\n".encode(), cut)
        said, _ = await answer(reader)
        assert " 202 " in said.splitlines()[0]
        assert ("connection: close" in said) is (trailer == "connection: close")
        if trailer == "connection: close":
            assert await ended(reader)


async def test_the_answers_before_a_refusal_come_also_to_a_client_that_has_ended_its_side(served):
    monitor = await served.monitor()
    async with connected(served) as (reader, writer):
        gate = commits_wait(served)
        writer.write(b"".join(request(monitor)) + b"no request\r\n\r\n")
        writer.write_eof()
        await asyncio.sleep(0.1)
        gate.set()
        assert [(await answer(reader))[0].split()[1] for _ in range(2)] == ["202", "400"]
        assert await ended(reader)


async def test_who_sends_requests_without_end_is_read_no_faster_than_they_are_answered(served):
    monitor = await served.monitor()
    one = b"".join(request(monitor, token="wfm1.wrong", extra=[f"x-pad: {'x' * 1000}"]))
    most = 0
    async with connected(served) as (reader, writer):
        writer.write(one * 5000)
        for _ in range(5000):
            assert " 401 " in (await answer(reader))[0].splitlines()[0]
            (connection,) = served.server._connections.tcp
            most = max(most, len(connection.pipeline))
    assert MOST_WAITING < most < 1000


async def test_a_client_that_reads_no_answers_gets_none_until_it_does(served):
    monitor = await served.monitor()
    async with connected(served) as (reader, writer):
        await send(writer, *request(monitor))
        await answer(reader)
        (connection,) = served.server._connections.tcp
        connection.pause_writing()
        await send(writer, *request(monitor))
        await asyncio.sleep(0.1)
        assert connection.answering
        connection.resume_writing()
        assert " 202 " in (await answer(reader))[0].splitlines()[0]


async def test_the_log_has_a_line_for_a_ping_with_the_id_of_its_answer(served, caplog):
    caplog.set_level(logging.INFO, logger="luota.access")
    monitor = await served.monitor()
    head, body = request(monitor)
    async with connected(served) as (reader, writer):
        writer.write(head + body)
        said, _ = await answer(reader)
    id_ = re.search(r"x-request-id: (\S+)", said)[1]
    assert [
        line
        for line in caplog.messages
        if re.fullmatch(rf"127\.0\.0\.1 POST /v1/monitors/{monitor.id}/ping 202 \d+ ms {id_}", line)
    ]
