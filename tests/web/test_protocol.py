"""Requests that are too large, malformed or unusual, and what is refused before any app sees it."""

import asyncio

import pytest

from luota.web.protocol import HEAD_LIMIT
from tests.web.serving import LONG, a_head, app, connect, event_loop_policy, is_refusal, serve

__all__ = ["app", "connect", "event_loop_policy", "serve"]  # fixtures

# pytest-asyncio would rather have a hook, but that reaches beyond this module.
pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy" fixture')


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
        b"GET /" + b"u" * HEAD_LIMIT + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a: b\r\n" * 3000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n" + b"n" * 20_000,
        b"GET / HTTP/1.1\r\nhost: a\r\nn:" + b" " * 20_000,
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
    first = b"POST /first HTTP/1.1\r\nhost: a\r\ncontent-length: 3000\r\n\r\n" + b"b" * 3000
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
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n" + b"b" * 60_000)
    assert len((await client.answer())[2]["body"]) == 60_000


async def test_endless_trailers_are_refused_and_the_app_sees_a_disconnect(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    client.send(b"t: " + b"x" * 30_000)
    assert is_refusal(await client.answer(), 431, "Request header too large")
    await asyncio.wait_for(app.disconnected.wait(), LONG)


async def test_a_trailer_does_not_pass_for_a_header(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-luota-key: k\r\n\r\n"
    )
    assert (await client.answer())[2]["headers"] == ["host", "transfer-encoding"]


# Transfer codings


@pytest.mark.parametrize(
    ("codings", "status"),
    [
        (b"transfer-encoding: gzip, chunked", 501),
        (b"transfer-encoding: gzip\r\nTransfer-Encoding: Chunked", 501),
        (b"connection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: gzip, chunked", 501),
        (b"transfer-encoding: gzip", 400),
        (b"transfer-encoding: identity", 400),
        (b"transfer-encoding: chunked;q=1", 400),
    ],
)
async def test_a_body_that_is_not_merely_chunked_is_refused_and_never_reaches_the_app(
    serve, connect, app, codings, status
):
    server = await serve()
    client = await connect(server.port)
    rest = b"5\r\nhello\r\n0\r\n\r\n" + a_head(100, "/two")
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\n" + codings + b"\r\n\r\n" + rest)
    assert is_refusal(await client.answer(), status, "The only transfer coding understood here is chunked")
    assert await client.rest() == b""
    assert app.paths == []


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 5",
        b"transfer-encoding: chunked, gzip",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        b"transfer-encoding:",
        b"content-length: 5\r\ncontent-length: 5",
    ],
)
async def test_a_body_that_could_end_in_two_places_is_refused_and_never_reaches_the_app(serve, connect, app, framing):
    server = await serve()
    client = await connect(server.port)
    rest = b"5\r\nhello\r\n0\r\n\r\n" + a_head(100, "/two")
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n\r\n" + rest)
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")
    assert await client.rest() == b""
    assert app.paths == []


@pytest.mark.parametrize("coding", [b"Chunked", b"  chunked ", b", chunked"])
async def test_a_chunked_body_is_taken_however_its_coding_is_written(serve, connect, coding):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:" + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert (await client.answer())[2]["body"] == "hello"


async def test_a_chunked_body_in_http_1_0_is_refused_and_nothing_after_it_is_answered(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    head = b"POST / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"
    client.send(head + b"5\r\nhello\r\n0\r\n\r\n" + a_head(100, "/two"))
    said = "HTTP/1.0 has no transfer codings: send Content-Length, or HTTP/1.1"
    assert is_refusal(await client.answer(), 400, said)
    assert await client.rest() == b""
    assert app.paths == []


# Whom a request is for


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n",
    ],
    ids=["none", "none in an offer to upgrade", "two", "two in HTTP/1.0"],
)
async def test_a_request_without_exactly_one_host_is_refused_and_never_reaches_the_app(serve, connect, app, head):
    server = await serve()
    client = await connect(server.port)
    client.send(head + a_head(100, "/two"))
    assert is_refusal(await client.answer(), 400, "Send exactly one Host header")
    assert await client.rest() == b""
    assert app.paths == []


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"a, b",
        b"a,b",
        b"a/b",
        b"u@a",
        b"a:b",
        b"a:80:80",
        b"[::1",
        b"::1",
        b"[g::1]",
        b"[]",
        b"a%zz",
        b"\xc3\xa4",
        b"<",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_host_that_is_no_name_or_address_is_refused(serve, connect, app, version, host):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET / HTTP/" + version + b"\r\nhost: " + host + b"\r\n\r\n")
    said = "The Host header is not valid: send a name or an address, and a port if need be"
    assert is_refusal(await client.answer(), 400, said)
    assert app.paths == []


@pytest.mark.parametrize(
    "host",
    [
        b"a_b.example.org:8080",
        b"127.0.0.1:",
        b"[::1]:80",
        b"[fe80::1%eth0]",
        b"[v1.x]",
        b"a%20b",
        b" \ta \t",
        b":80",
        b"xn--4ca",
    ],
)
async def test_a_host_may_be_any_name_or_address_with_a_port(serve, connect, host):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET / HTTP/1.1\r\nhost:" + host + b"\r\n\r\n")
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nhost:\r\n\r\n"])
async def test_a_host_may_be_empty_and_missing_in_http_1_0(serve, connect, head):
    server = await serve()
    client = await connect(server.port)
    client.send(head)
    assert (await client.answer())[0] == 200


# Malformed and unusual requests


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
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
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\nnonsense\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")


async def test_a_malformed_body_of_a_waiting_request_is_refused_in_turn(serve, connect, app):
    server = await serve()
    client = await connect(server.port)
    second = b"POST /second HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    client.send(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n" + second)
    await asyncio.wait_for(app.started.wait(), LONG)
    app.release.set()
    assert (await client.answer())[2]["path"] == "/slow"
    assert is_refusal(await client.answer(), 400, "Malformed HTTP request")
    assert app.paths == ["/slow"]


async def test_a_malformed_rest_of_a_body_that_was_answered_already_only_closes(serve, connect):
    server = await serve()
    client = await connect(server.port)
    client.send(b"POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
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
    request = b"POST /offer HTTP/1.1\r\nhost: a\r\n" + offer + framing + b"\r\n\r\n" + body
    client.send(request + request + b"GET /plain HTTP/1.1\r\nhost: a\r\n\r\n")
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
    client.send(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n")
    await asyncio.wait_for(app.started.wait(), LONG)
    client.writer.transport.abort()
    await asyncio.wait_for(app.disconnected.wait(), LONG)


@pytest.mark.parametrize("version", [b"2.0", b"0.9"])
async def test_another_version_of_http_is_refused_by_505_and_nothing_after_it_is_answered(serve, connect, app, version):
    server = await serve()
    client = await connect(server.port)
    client.send(b"GET /one HTTP/" + version + b"\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\nhost: a\r\n\r\n")
    assert is_refusal(await client.answer(), 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    assert await client.rest() == b""
    assert app.paths == []
