import asyncio
import base64
import html
import json
import socket
from email.utils import formatdate
from ipaddress import ip_network

import httpx
import pytest

from luota import __version__
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.webhook import retry_after, send
from luota.core.retry import AttemptResult
from tests.alerts.rig import LOOPBACK, plain_client
from tests.hostile import cut_inside
from tests.receiver import (
    Receiver,
    close,
    drip_body,
    drip_head,
    flood,
    garbage,
    half_close,
    hang,
    reply,
    reset,
    self_signed,
)

NOW = 1_790_000_000_000
HTTP_DATE = formatdate(NOW / 1000 + 120, usegmt=True)
REDIRECT = "redirect not followed: point the channel at its target"


@pytest.fixture
async def receiver():
    async with Receiver() as started:
        yield started


@pytest.fixture
async def client():
    async with plain_client(LOOPBACK, Resolver()) as opened:
        yield opened


async def post(client, receiver, **options):
    return await send(client, receiver.url, b'{"a":1}', {}, now=NOW, **options)


async def test_the_receiver_gets_one_post_with_the_body_as_given(client, receiver):
    result = await send(client, receiver.url, b'{"a":"\xc3\xa4"}', {"x-team": "ops"}, now=NOW)
    assert result == AttemptResult(ok=True, status=200)
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook", b'{"a":"\xc3\xa4"}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"luota/{__version__}"
    assert request.headers["x-team"] == "ops"


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, AttemptResult(ok=True, status=200)),
        (204, {}, AttemptResult(ok=True, status=204)),
        (200, {"retry-after": "9"}, AttemptResult(ok=True, status=200)),
        (301, {"location": "/x"}, AttemptResult(ok=False, status=301, error=f"HTTP 301: {REDIRECT}")),
        (307, {"location": "/x"}, AttemptResult(ok=False, status=307, error=f"HTTP 307: {REDIRECT}")),
        (308, {}, AttemptResult(ok=False, status=308, error=f"HTTP 308: {REDIRECT}")),
        (400, {}, AttemptResult(ok=False, status=400, error="HTTP 400 from the receiver")),
        (401, {}, AttemptResult(ok=False, status=401, error="HTTP 401 from the receiver")),
        (404, {}, AttemptResult(ok=False, status=404, error="HTTP 404 from the receiver")),
        (410, {}, AttemptResult(ok=False, terminal=True, status=410, error="HTTP 410 from the receiver")),
        (
            429,
            {"retry-after": "21"},
            AttemptResult(ok=False, status=429, error="HTTP 429 from the receiver", retry_after=21_000),
        ),
        (
            429,
            {"retry-after": HTTP_DATE},
            AttemptResult(ok=False, status=429, error="HTTP 429 from the receiver", retry_after=120_000),
        ),
        (500, {}, AttemptResult(ok=False, status=500, error="HTTP 500 from the receiver")),
        (
            503,
            {"retry-after": "3600"},
            AttemptResult(ok=False, status=503, error="HTTP 503 from the receiver", retry_after=3_600_000),
        ),
    ],
)
async def test_the_status_decides(client, receiver, status, headers, expected):
    receiver.answers = [reply(status, headers)]
    assert await post(client, receiver) == expected
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("answer", [hang, drip_head])
async def test_an_answer_whose_headers_are_not_whole_by_the_deadline_is_cut_off(client, receiver, answer):
    receiver.answers = [answer]
    result = await post(client, receiver, deadline=0.3)
    assert result == AttemptResult(ok=False, error="no answer within 0.3 s")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reset, "the receiver closed the connection"),
        (close, "the receiver closed the connection"),
        (half_close, "the receiver closed the connection"),
        (garbage, "the answer is not HTTP"),
        (reply(301, {"location": "http://sEcReT:x y/"}), "the answer cannot be read"),
    ],
)
async def test_an_answer_that_is_none_is_a_failure_in_plain_words(client, receiver, answer, error):
    receiver.answers = [answer]
    assert await post(client, receiver) == AttemptResult(ok=False, error=error)


async def test_after_each_kind_of_failure_the_next_attempt_gets_through(client, receiver):
    for answer in (reset, close, half_close, garbage, hang, drip_head, drip_body, flood, reply(503)):
        receiver.answers = [answer]
        await post(client, receiver, deadline=0.3)
        assert (await post(client, receiver)).ok


async def test_a_body_that_drips_past_the_deadline_does_not_undo_a_200(client, receiver):
    receiver.answers = [drip_body]
    result = await post(client, receiver, deadline=0.3)
    assert (result.ok, result.status, result.error, set(result.answer)) == (True, 200, None, {"z"})


async def test_a_body_without_end_is_left_after_a_little(client, receiver):
    sent = 0

    async def counted(reader, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"z" * 65536)
            await writer.drain()
            sent += 65536

    receiver.answers = [counted]
    async with asyncio.timeout(60):
        assert (await post(client, receiver, deadline=600)).ok
    assert sent < 64 * 1024 * 1024


async def test_a_short_body_is_read_so_that_the_connection_is_used_again(client, receiver):
    receiver.default = reply(503, body=b"x" * 1000)
    for _ in range(3):
        await post(client, receiver)
    assert receiver.connections == 1


async def test_nobody_listening_is_connection_refused(client):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    result = await send(client, f"http://127.0.0.1:{port}/", b"{}", {}, now=NOW)
    assert result == AttemptResult(ok=False, error="connection refused")


async def test_a_bad_certificate_is_told(client, tmp_path):
    context, _ = self_signed(tmp_path, "hook.test")
    async with Receiver(tls=context) as receiver:
        result = await post(client, receiver)
    assert result == AttemptResult(ok=False, error="TLS certificate not trusted: self-signed certificate")
    assert receiver.requests == []


async def test_the_guards_refusal_is_told_word_for_word(receiver):
    async with plain_client(AddressPolicy(), Resolver()) as client:
        result = await post(client, receiver)
    assert result.error == AddressPolicy().refusal("127.0.0.1")
    assert receiver.connections == 0


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://[::1/sEcReT", {}),
        ("http://0177.0.0.1/sEcReT", {}),
        ("sEcReT", {}),
        ("ftp://127.0.0.1/sEcReT", {}),
        ("http://127.0.0.1:1/", {"x-key": "sEcReT\r\nx: y"}),
        ("http://127.0.0.1:1/", {"x-key": "sEcReT\u2603"}),
    ],
)
async def test_a_channel_that_cannot_work_fails_without_telling_its_secret(client, url, headers):
    result = await send(client, url, b"{}", headers, now=NOW)
    assert not result.ok
    assert result.error
    assert "sEcReT" not in result.error


async def test_a_forbidden_header_value_is_told_when_somebody_listens(client, receiver):
    result = await send(client, receiver.url, b"{}", {"x-key": "a\r\nb: c"}, now=NOW)
    assert result.error == "the request cannot be sent: check the URL and the headers of the channel"
    assert receiver.requests == []


async def test_an_id_that_only_repeats_a_header_of_the_channel_is_not_kept(client, receiver):
    for secret in ("s3cret", "Bearer s3cret"):
        receiver.answers = [reply(200, {"x-request-id": secret})]
        result = await send(client, receiver.url, b"{}", {"authorization": "Bearer s3cret"}, now=NOW)
        assert (result.ok, result.provider_id) == (True, None)


@pytest.mark.parametrize(
    ("headers", "provider_id"),
    [
        ({"x-request-id": "req_1"}, "req_1"),
        ({"request-id": "r 2"}, "r 2"),
        ({"request-id": "b", "x-request-id": "a"}, "a"),
        ({"x-request-id": "x" * 200}, "x" * 200),
        ({"x-request-id": "x" * 201}, None),
        ({"x-request-id": "caf\u00e9"}, None),
        ({"x-request-id": ""}, None),
        ({}, None),
    ],
)
async def test_the_providers_id_is_kept_when_it_is_sane(client, receiver, headers, provider_id):
    receiver.answers = [reply(500, headers)]
    assert (await post(client, receiver)).provider_id == provider_id


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("0", 0),
        ("120", 120_000),
        (" 7 ", 7_000),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        (HTTP_DATE, 120_000),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Sun Nov  6 08:49:37 1994", 0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 4_070_908_800_000 - NOW),
        ("Thu Jan  1 00:00:00 2099", 4_070_908_800_000 - NOW),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\u0661\u0662", None),
        ("9" * 5000, None),
        ("Sun, 06 Nov 1994 08:49:37 +99999999999999", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_understood_in_all_forms_and_nothing_else(value, pause):
    assert retry_after(value, NOW) == pause


@pytest.mark.parametrize(
    "echo",
    [
        "s3cretpath",
        "req-S3CRETPATH-1",
        "a:s3 cret/q",
        "a:s3%20cret%2Fq",
        "id=s3header",
        "x s3cretuser y",
        "ok Bearer s3header",
    ],
)
async def test_an_id_that_repeats_a_part_of_the_url_or_of_a_header_is_not_kept(client, receiver, echo):
    receiver.default = reply(200, {"x-request-id": echo})
    url = receiver.url.replace("//", "//s3cretuser:s3cretword@") + "/s3cretpath?key=s3%20cret%2Fq"
    result = await send(client, url, b"{}", {"Authorization": "Bearer s3header"}, now=NOW)
    assert (result.ok, result.provider_id) == (True, None)


@pytest.mark.parametrize("echo", ["B0x4", "b0x4", "id-B0x4-1", "a/B0", "/hook", "127.0.0.1"])
async def test_an_id_that_repeats_a_short_part_of_the_path_or_lies_in_the_url_is_not_kept(client, receiver, echo):
    receiver.default = reply(200, {"x-request-id": echo})
    result = await send(client, f"{receiver.url}/a/B0x4/services", b"{}", {}, now=NOW)
    assert (result.ok, result.provider_id) == (True, None)


async def test_an_id_with_a_common_word_of_addresses_is_kept(client, receiver):
    receiver.default = reply(200, {"x-request-id": "services-1"})
    assert (await send(client, f"{receiver.url}/services", b"{}", {}, now=NOW)).provider_id == "services-1"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"ok", "ok"),
        (200, b"", None),
        (200, "k\u00e4se \x1b[31m\r\n\t  n\u202eo".encode(), "käse \\x1b[31m n\\u202eo"),
        (503, b"No Service Here; contact ops", "No Service Here; contact ops"),
        (200, b"k\xe4se k\xc3\xa4se", "k\u00e4se k\u00e4se"),
        (200, b"s\0e\0c", None),
        (200, b"x" * 3000, "x" * 199 + "…"),
        (200, "👩‍🚀".encode() * 300, None),
    ],
)
async def test_the_beginning_of_an_answer_is_told_in_one_line(client, receiver, status, body, said):
    receiver.default = reply(status, body=body)
    result = await post(client, receiver)
    if said is None and body.startswith(b"\xf0"):
        assert not cut_inside(result.answer)
        assert len(result.answer) <= 200
    else:
        assert result.answer == said
    if status == 503:
        assert result.error == f"HTTP 503 from the receiver: {said}"


SECRET_URL = "http://us3r:pa55&w0rd@{}/T0a4/B0/x%20y%2Fz?key=s3%20cret%2Fq&n0key"
SECRETS = [
    "us3r",
    "pa55&w0rd",
    "T0a4",
    "x%20y%2Fz",
    "x y/z",
    "s3%20cret%2Fq",
    "s3 cret/q",
    "n0key",
    "h3ad",
    "d3coded",
]


@pytest.mark.parametrize("packed", [str, html.escape, json.dumps, str.upper, lambda text: text.replace("/", "\\/")])
async def test_an_answer_that_repeats_what_was_sent_is_told_without_its_secrets(client, receiver, packed):
    login = base64.b64encode(b"ann:d3coded").decode()
    headers = {"authorization": f"Basic {login}", "x-key": "h3ad er"}
    url = SECRET_URL.format(f"127.0.0.1:{receiver.port}")
    whole = httpx.URL(url)
    for said in (url, str(whole), whole.path, whole.raw_path.decode(), str(headers), "ann:d3coded", *SECRETS):
        receiver.default = reply(400, body=f"You sent {packed(said)} to services".encode())
        result = await send(client, url, b"{}", headers, now=NOW)
        assert result.answer.startswith("You sent ")
        assert result.answer.endswith("to services")
        for secret in (*SECRETS, login, str(receiver.port)):
            assert secret.casefold() not in result.answer.casefold(), said
        assert result.error == f"HTTP 400 from the receiver: {result.answer}"


async def test_no_part_of_a_secret_is_left_where_an_answer_breaks_off(client, receiver):
    secret = "s3kr" * 100
    for many in (9, 10, 11, 40):
        receiver.default = reply(200, body=(secret * many).encode())
        result = await send(client, f"{receiver.url}/{secret}", b"{}", {}, now=NOW)
        assert "s3kr" not in (result.answer or "")

    async def broken(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nyou sent " + secret[:150].encode())
        writer.close()

    receiver.default = broken
    result = await send(client, f"{receiver.url}/{secret}", b"{}", {}, now=NOW)
    assert result.ok
    assert "s3kr" not in (result.answer or "")


async def test_an_id_that_repeats_nothing_is_kept(client, receiver):
    receiver.default = reply(200, {"x-request-id": "hook-1-ab"})
    result = await send(client, f"{receiver.url}/s3cretpath?v=1", b"{}", {"x-n": "1"}, now=NOW)
    assert result.provider_id == "hook-1-ab"
