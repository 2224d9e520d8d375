"""The headers by which browsers keep an answer to itself: over real HTTP."""

import asyncio

import httpx
import pytest

from luota.web.dashboard.html import static_path
from tests.process import Daemon

PAGE = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
PAGE += "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
ELSE = "default-src 'none'; frame-ancestors 'none'"
ALWAYS = {
    "x-content-type-options": ["nosniff"],
    "x-frame-options": ["DENY"],
    "referrer-policy": ["same-origin"],
    "cross-origin-resource-policy": ["same-origin"],
    "permissions-policy": ["camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
}
OVER_TLS = {"strict-transport-security": ["max-age=31536000"], "cross-origin-opener-policy": ["same-origin"]}


async def raw(served, request):
    """The answer to a request that no client would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(request)
    async with asyncio.timeout(20):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    writer.close()
    await writer.wait_closed()
    return httpx.Response(int(status.split()[1]), headers=[tuple(line.split(": ", 1)) for line in lines])


def carried(answer):
    """What an answer says by these headers, each value of which it gives."""
    names = ("content-security-policy", *ALWAYS, *OVER_TLS)
    return {name: found for name in names if (found := answer.headers.get_list(name))}


@pytest.mark.parametrize("public_url", [None, "https://watch.example.lan"])
async def test_every_answer_carries_the_headers_once_and_a_page_its_own_policy(serve, public_url):
    served = await serve(public_url=public_url)
    monitor = await served.monitor()
    job = await served.monitor("run")
    ping = f"POST /v1/monitors/{monitor.id}/ping HTTP/1.1\r\nhost: x\r\nx-luota-key: {monitor.token}\r\n"
    elsewhere = [
        await monitor.ping(),
        await monitor.ping(token="wrong"),
        await raw(served, f"{ping}connection: close\r\ncontent-length: 0\r\n\r\n".encode()),
        await job.start(),
        await served.call("GET", "/v1/runs/start"),
        await served.call("GET", "/healthz"),
        await served.call("GET", "/api/monitors", local=True),
        await served.call("GET", "/api/monitors"),
        await served.call("GET", "/api/nothing"),
        await raw(served, b"GET /x HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 20_000 + b"\r\n\r\n"),
        await raw(served, b"what?\r\n\r\n"),
    ]
    paths = ("/sign-in", "/w/default", "/nothing", static_path("luota.js"), "/stream?of=x", "/sign-in/")
    pages = [await served.call("GET", path) for path in paths]
    own = {**ALWAYS, **(OVER_TLS if public_url else {})}
    for policy, answers in ((ELSE, elsewhere), (PAGE, pages)):
        for answer in answers:
            assert carried(answer) == {"content-security-policy": [policy], **own}, answer
    assert [answer.status_code for answer in elsewhere] == [202, 401, 202, 202, 405, 503, 200, 401, 404, 431, 400]
    assert [answer.status_code for answer in pages] == [200, 303, 404, 200, 200, 307]


async def test_a_daemon_whose_public_url_is_https_tells_browsers_so(tmp_path):
    async with Daemon(tmp_path / "data", {"server.public_url": "https://watch.example.lan"}) as luota:
        assert (await luota.health()).headers["strict-transport-security"] == "max-age=31536000"
