"""How much and how often: the body's cap, the rate limits, the address that is held to account, and a full disk."""

import asyncio
import json
from ipaddress import ip_network

import pytest

from luota.core.limits import Limits
from tests.served import LOOPBACK, NOBODY, UNLIMITED

CAP = 64 * 1024
TOO_LARGE = {"code": "request_failed", "error": "Request failed"}


def limits(**some):
    return Limits(**{**UNLIMITED, **some})


def limited(answer, policy, limit):
    """Check a 429 of the contract's shape; return its Retry-After."""
    assert answer.status_code == 429, answer.text
    seconds = int(answer.headers["retry-after"])
    assert seconds >= 1
    assert answer.json() == {
        "error": "Rate limit exceeded",
        "policy": policy,
        "retryAfterSeconds": seconds,
        "limit": limit,
    }
    return seconds


async def chunks(*parts):
    for part in parts:
        yield part


# The body


async def test_a_body_of_64_kib_is_read_and_one_more_byte_is_413(served):
    monitor = await served.monitor()
    assert (await monitor.ping(b"{}" + b" " * (CAP - 2))).status_code == 202
    answer = await monitor.ping(b"{}" + b" " * (CAP - 1))
    assert (answer.status_code, answer.json()) == (413, TOO_LARGE)


async def test_the_cap_holds_for_chunked_bodies(served):
    monitor = await served.monitor()
    path, key = f"/v1/monitors/{monitor.id}/ping", {"x-luota-key": monitor.token}
    body = b"{}" + b" " * (CAP - 2)
    whole = await served.tcp.post(path, content=chunks(body[:1], body[1:40_000], body[40_000:]), headers=key)
    assert whole.status_code == 202
    over = await served.tcp.post(path, content=chunks(body[:40_000], body[40_000:], b" "), headers=key)
    assert (over.status_code, over.json()) == (413, TOO_LARGE)
    assert over.headers["x-request-id"].startswith("req_")


async def test_the_cap_holds_on_every_route_and_over_the_unix_socket(served):
    body = b" " * (CAP + 1)
    for path in (
        f"/v1/monitors/{NOBODY}/ping",
        "/v1/runs/start",
        f"/v1/runs/{NOBODY}/success",
        f"/v1/runs/{NOBODY}/fail",
        f"/v1/workspaces/{NOBODY}/monitors/x/ping",
    ):
        assert (await served.post(path, body)).status_code == 413
        assert (await served.post(path, body, local=True)).status_code == 413


async def answer_to(served, head, *parts):
    """Send a request head and then parts of a body; return the answer although more is owed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(head.encode())
    for part in parts:
        writer.write(part)
    found = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    content = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    writer.close()
    return int(found.split()[1]), json.loads(content)


async def test_413_is_told_before_the_rest_of_the_body_has_come(served):
    head = f"POST /v1/monitors/{NOBODY}/ping HTTP/1.1\r\nhost: x\r\n"
    declared = await answer_to(served, f"{head}content-length: {CAP + 1}\r\n\r\n")
    assert declared == (413, TOO_LARGE)
    huge = await answer_to(served, f"{head}content-length: 99999999999999\r\n\r\n", b"{")
    assert huge == (413, TOO_LARGE)
    chunked = f"{head}transfer-encoding: chunked\r\n\r\n"
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    assert await answer_to(served, chunked, piece, piece, b"1\r\n \r\n") == (413, TOO_LARGE)


# Rates


async def test_a_monitor_token_has_60_a_minute_by_default(serve):
    served = await serve(limits=Limits())
    monitor = await served.monitor()
    for _ in range(60):
        assert (await monitor.ping()).status_code == 202
    limited(await monitor.ping(), "ingest.monitor_token.minute", 60)
    assert served.rows("SELECT count(*) FROM heartbeats") == [(60,)]


async def test_a_request_after_retry_after_is_accepted_and_it_keeps_its_word_while_time_passes(serve):
    served = await serve(limits=limits(monitor_per_minute=5))
    monitor = await served.monitor()
    for _ in range(3):
        for _ in range(20):
            answer = await monitor.ping()
            if answer.status_code == 429:
                break
        seconds = limited(answer, "ingest.monitor_token.minute", 5)
        served.clock.advance(700)
        assert limited(await monitor.ping(), "ingest.monitor_token.minute", 5) <= seconds
        served.clock.advance(seconds * 1000 - 700)
        assert (await monitor.ping()).status_code == 202


async def test_a_monitor_token_has_an_hourly_limit_too(serve):
    served = await serve(limits=limits(monitor_per_minute=3, monitor_per_hour=4))
    monitor = await served.monitor()
    for _ in range(3):
        assert (await monitor.ping()).status_code == 202
    served.clock.advance(120_000)
    assert (await monitor.ping()).status_code == 202
    seconds = limited(await monitor.ping(), "ingest.monitor_token.hour", 4)
    served.clock.advance(seconds * 1000)
    assert (await monitor.ping()).status_code == 202


async def test_of_two_limits_that_refuse_the_longer_wait_is_told_so_that_it_is_enough(serve):
    served = await serve(limits=limits(monitor_per_minute=3, monitor_per_hour=3))
    monitor = await served.monitor()
    for _ in range(3):
        assert (await monitor.ping()).status_code == 202
    seconds = limited(await monitor.ping(), "ingest.monitor_token.hour", 3)
    served.clock.advance(seconds * 1000)
    assert (await monitor.ping()).status_code == 202


async def test_start_and_close_share_the_monitors_bucket(serve):
    served = await serve(limits=limits(monitor_per_minute=3))
    monitor, other = await served.monitor("run"), await served.monitor("run")
    run = await monitor.started()
    assert (await monitor.start()).status_code == 202
    assert (await monitor.success(run)).status_code == 202
    limited(await monitor.success(run), "ingest.monitor_token.minute", 3)
    limited(await monitor.fail(run), "ingest.monitor_token.minute", 3)
    limited(await monitor.start(), "ingest.monitor_token.minute", 3)
    assert (await other.start()).status_code == 202


async def test_a_workspace_has_one_bucket_for_all_tokens(serve):
    served = await serve(limits=limits(workspace_per_minute=3))
    one, other = await served.monitor(), await served.monitor()
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    token = (await served.api("GET", f"/api/workspaces/{workspace['id']}/token"))["token"]
    path = f"/v1/workspaces/{workspace['id']}/monitors/{one.id}/ping"
    for answer in (await one.ping(), await other.ping(), await served.post(path, token=token)):
        assert answer.status_code == 202
    for answer in (await one.ping(), await other.ping(), await served.post(path, token=token)):
        seconds = limited(answer, "ingest.workspace.minute", 3)
    served.clock.advance(seconds * 1000)
    assert (await one.ping()).status_code == 202


async def test_the_workspace_token_is_not_held_to_the_monitor_tokens_limit(serve):
    served = await serve(limits=limits(monitor_per_minute=1))
    monitor = await served.monitor()
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    token = (await served.api("GET", f"/api/workspaces/{workspace['id']}/token"))["token"]
    path = f"/v1/workspaces/{workspace['id']}/monitors/{monitor.id}/ping"
    assert [(await served.post(path, token=token)).status_code for _ in range(4)] == [202] * 4
    assert (await monitor.ping()).status_code == 202
    limited(await monitor.ping(), "ingest.monitor_token.minute", 1)


async def test_a_refusal_by_one_limit_drains_no_other(serve):
    served = await serve(limits=limits(monitor_per_minute=1, workspace_per_minute=2))
    one, other = await served.monitor(), await served.monitor()
    assert (await one.ping()).status_code == 202
    for _ in range(5):
        limited(await one.ping(), "ingest.monitor_token.minute", 1)
    assert (await other.ping()).status_code == 202


async def test_zero_turns_every_limit_off(serve):
    served = await serve(limits=limits())
    monitor = await served.monitor()
    assert {(await monitor.ping()).status_code for _ in range(70)} == {202}
    assert {(await monitor.ping(token="x")).status_code for _ in range(70)} == {401}


# The address


async def test_an_address_is_held_to_its_401s_and_404s_alone(serve):
    served = await serve(limits=limits(ip_per_minute=4))
    beats, runs = await served.monitor(), await served.monitor("run")
    for _ in range(10):
        assert (await beats.ping()).status_code == 202
        assert (await beats.ping(b"{")).status_code == 400
        assert (await beats.ping({"payload": 1})).status_code == 400
        assert (await beats.ping(b" " * (CAP + 1))).status_code == 413
        assert (await served.call("GET", "/v1/runs/start")).status_code == 405
        run = await runs.started()
        assert (await runs.success(run)).status_code == 202
        assert (await runs.fail(run)).status_code == 409
    assert (await beats.ping(token="x")).status_code == 401
    assert (await served.post(f"/v1/monitors/{NOBODY}/ping")).status_code == 404
    assert (await runs.success(NOBODY)).status_code == 401
    assert (await served.post("/v1/runs/x/success")).status_code == 404
    seconds = limited(await beats.ping(), "ingest.ip.minute", 4)
    limited(await beats.ping(token="x"), "ingest.ip.minute", 4)
    served.clock.advance(seconds * 1000)
    assert (await beats.ping()).status_code == 202


async def test_the_default_for_an_address_is_600_a_minute(serve):
    served = await serve(limits=Limits())
    for _ in range(600):
        answer = await served.post(f"/v1/monitors/{NOBODY}/ping")
        assert answer.status_code == 404
    limited(await served.post(f"/v1/monitors/{NOBODY}/ping"), "ingest.ip.minute", 600)


async def test_the_unix_socket_has_no_address_limit(serve):
    served = await serve(limits=limits(ip_per_minute=1))
    monitor = await served.monitor()
    for _ in range(5):
        assert (await monitor.ping(token="x", local=True)).status_code == 401
    assert (await monitor.ping(local=True)).status_code == 202
    assert (await monitor.ping()).status_code == 202


def forwarded(*values):
    return [("x-forwarded-for", value) for value in values]


async def unknown(served, *values):
    """Ask for a monitor that is not there, by way of a proxy that sends these headers; return the status."""
    answer = await served.tcp.post(f"/v1/monitors/{NOBODY}/ping", headers=forwarded(*values))
    return answer.status_code


async def test_a_forwarded_address_is_not_believed_by_default(serve):
    served = await serve(limits=limits(ip_per_minute=2))
    assert [await unknown(served, f"203.0.113.{n}") for n in range(4)] == [404, 404, 429, 429]


async def test_a_forwarded_address_is_not_believed_from_a_stranger(serve):
    served = await serve(limits=limits(ip_per_minute=2), trusted_proxies=(ip_network("10.0.0.0/8"),))
    assert [await unknown(served, f"203.0.113.{n}") for n in range(4)] == [404, 404, 429, 429]


async def test_a_trusted_proxy_says_who_is_held_to_account(serve):
    served = await serve(limits=limits(ip_per_minute=1), trusted_proxies=LOOPBACK)
    assert [await unknown(served, "203.0.113.1") for _ in range(2)] == [404, 429]
    assert [await unknown(served, "203.0.113.2") for _ in range(2)] == [404, 429]
    assert [await unknown(served) for _ in range(2)] == [404, 429]


@pytest.mark.parametrize(
    "headers",
    [
        lambda n: [f"198.51.100.{n}, 203.0.113.1"],
        lambda n: [f"198.51.100.{n}", "203.0.113.1"],  # a proxy that adds a header of its own
        lambda n: [f"198.51.100.{n},203.0.113.1, 127.0.0.1", "127.0.0.2"],  # through two trusted proxies
        lambda n: [f"198.51.100.{n}, , 203.0.113.1,"],
    ],
)
async def test_what_the_client_itself_put_before_the_proxys_word_is_not_believed(serve, headers):
    served = await serve(limits=limits(ip_per_minute=2), trusted_proxies=LOOPBACK)
    assert [await unknown(served, *headers(n)) for n in range(4)] == [404, 404, 429, 429]


# A full disk


async def test_what_cannot_be_made_durable_is_503_and_never_202(served):
    beats, runs = await served.monitor(), await served.monitor("run")
    run = await runs.started()
    big = {"payload": {"x": "y" * 30_000}}
    async with served.full_disk():
        for _ in range(3):  # the last free pages may still take one
            answer = await beats.ping(big)
        for answer in (
            await beats.ping(big),
            await runs.start("another", big),
            await runs.success(run, big),
            await runs.fail(run, {"summary": "x", **big}),
        ):
            assert answer.status_code == 503
            assert answer.json() == {"error": "Storage unavailable"}
            assert int(answer.headers["retry-after"]) > 0
        kept = served.rows("SELECT count(*) FROM heartbeats")
        assert served.rows("SELECT id, state FROM runs") == [(run, "running")]
        assert (await runs.shown())["openRuns"] == 1
    assert (await beats.ping(big)).status_code == 202
    assert (await runs.success(run, big)).status_code == 202
    assert served.rows("SELECT count(*) FROM heartbeats") == [(kept[0][0] + 1,)]


async def test_a_run_that_cannot_be_looked_up_is_503(served):
    runs = await served.monitor("run")
    run = await runs.started()
    await served.engine.writer._db.execute("ALTER TABLE runs RENAME TO lost")
    for answer in (await runs.success(run), await runs.start("another")):
        assert (answer.status_code, answer.json()) == (503, {"error": "Storage unavailable"})
        assert int(answer.headers["retry-after"]) > 0
    await served.engine.writer._db.execute("ALTER TABLE lost RENAME TO runs")
    assert (await runs.success(run)).status_code == 202
