"""What is on no route, or not with this method, the health check, and a defect of our own."""

import asyncio
import logging
from contextlib import aclosing

import pytest

from tests.served import NOBODY

INGEST = (
    f"/v1/monitors/{NOBODY}/ping",
    "/v1/runs/start",
    f"/v1/runs/{NOBODY}/success",
    f"/v1/runs/{NOBODY}/fail",
    f"/v1/workspaces/{NOBODY}/monitors/x/ping",
)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1",
            "/v1/",
            "/v1/nope",
            "/v1/runs",
            f"/v1/monitors/{NOBODY}",
            "/v1/runs/start/",
            "/v1/monitors//ping",
        ),
        *("/api", "/api/", "/api/nope", "/api/monitors/"),
    ],
)
async def test_an_unknown_route_is_404_as_json(served, path):
    for local in (False, True):
        for method in ("GET", "POST", "DELETE"):
            answer = await served.call(method, path, local=local)
            assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
            assert answer.headers["content-type"] == "application/json"
            assert "location" not in answer.headers


def allowed(answer):
    return {method.strip() for method in answer.headers["allow"].split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_wrong_method_on_an_ingest_route_is_405_with_allow(served, method):
    for path in INGEST:
        answer = await served.call(method, path)
        assert answer.status_code == 405
        assert allowed(answer) == {"POST"}
        assert answer.headers["content-type"] == "application/json"
        if method != "HEAD":
            assert answer.json() == {"error": "Method not allowed"}


async def test_a_wrong_method_under_api_is_405_with_all_methods_of_the_route(served):
    monitor = await served.monitor()
    for method, path, expected in (
        ("DELETE", "/api/monitors", {"GET", "HEAD", "POST"}),
        ("POST", f"/api/monitors/{monitor.id}", {"GET", "HEAD", "PATCH"}),
        ("GET", f"/api/monitors/{monitor.id}/pause", {"POST"}),
        ("GET", "/api/channels/x", {"DELETE", "PATCH"}),
    ):
        answer = await served.call(method, path, local=True)
        assert (answer.status_code, answer.json()) == (405, {"error": "Method not allowed"})
        assert allowed(answer) == expected


async def test_the_api_is_refused_over_tcp(served):
    monitor = await served.monitor()
    for method, path in (
        ("GET", "/api/workspaces"),
        ("GET", f"/api/monitors/{monitor.id}/token"),
        ("POST", f"/api/monitors/{monitor.id}/archive"),
        ("POST", "/api/users"),
        ("GET", "/api/incidents"),
    ):
        for headers in ({}, {"x-forwarded-for": "127.0.0.1"}, {"x-luota-key": monitor.token}, {"host": "localhost"}):
            answer = await served.call(method, path, headers=headers)
            assert answer.status_code == 401
            assert set(answer.json()) == {"error"}
    assert (await monitor.ping()).status_code == 202


async def until(served, status):
    for _ in range(200):
        answer = await served.call("GET", "/healthz")
        if answer.status_code == status:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(answer.text)


async def test_healthz_is_200_without_a_key_while_the_alarm_ticks_and_writes_commit(serve):
    served = await serve(alarm=True)
    await served.monitor()
    answer = await until(served, 200)
    assert answer.json() == {"ok": True}
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    head = await served.call("HEAD", "/healthz")
    assert (head.status_code, head.content) == (200, b"")
    assert (await served.call("POST", "/healthz")).status_code == 405
    assert (await served.call("GET", "/healthz", local=True)).status_code == 200


async def test_healthz_is_503_with_the_reason_while_nothing_is_watched(served):
    await served.monitor()
    answer = await until(served, 503)
    assert answer.json() == {"ok": False, "error": "the alarm has not ticked yet"}


async def test_healthz_is_503_with_the_reason_while_nothing_can_be_written(serve):
    served = await serve(alarm=True)
    monitor = await served.monitor()
    await until(served, 200)
    async with served.full_disk():
        for _ in range(3):
            await monitor.ping({"payload": {"x": "y" * 30_000}})
        answer = await until(served, 503)
        assert "nothing can be written" in answer.json()["error"]
    await monitor.ping()
    await until(served, 200)


async def test_healthz_is_503_when_no_write_has_been_committed_lately(serve):
    served = await serve(alarm=True)
    await served.monitor()
    await until(served, 200)
    served.clock.advance(60_000)
    assert "committed lately" in (await until(served, 503)).json()["error"]


async def test_a_defect_of_ours_is_500_as_json_with_the_id_and_its_trace_only_in_the_log(served, caplog):
    caplog.set_level(logging.INFO)
    monitor = await served.monitor("run")
    run = await monitor.started()
    await served.engine.reader.close()
    answer = await monitor.success(run)
    request_id = answer.headers["x-request-id"]
    assert answer.status_code == 500
    assert answer.json() == {"error": "Internal error", "requestId": request_id}
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    logged = [record for record in caplog.records if request_id in record.getMessage()]
    assert any(record.exc_info for record in logged)
    assert any(" 500 " in record.getMessage() for record in logged)
    assert (await monitor.start("another")).status_code == 202
    assert "uvicorn.error" not in {record.name for record in caplog.records}


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_defect(served, caplog):
    caplog.set_level(logging.INFO)
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(b"POST /v1/runs/start HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    for _ in range(100):
        if any(" 499 " in text for text in caplog.messages):
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError(caplog.messages)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_the_host_header_changes_no_answer(served):
    monitor = await served.monitor()
    for host in ("evil.example", "", "[::1]:8080"):
        answer = await monitor.ping(headers={"host": host})
        assert answer.status_code == 202
        assert "evil" not in answer.text


async def test_a_request_is_one_line_of_the_log_unless_it_found_luota_healthy(serve, caplog):
    served = await serve(alarm=True)
    caplog.set_level(logging.INFO, "luota.access")
    while (await served.call("GET", "/healthz")).status_code != 200:
        pass
    caplog.clear()
    assert (await served.call("GET", "/healthz")).status_code == 200
    await served.call("POST", "/healthz")
    await served.call("GET", "/nothing-here")
    lines = [record.getMessage() for record in caplog.records if record.name == "luota.access"]
    assert [line.split()[1:4] for line in lines] == [
        ["POST", "/healthz", "405"],
        ["GET", "/nothing-here", "404"],
    ]


async def test_every_answer_of_the_api_and_every_refusal_is_kept_by_nobody_and_read_as_nothing_but_json(serve):
    served = await serve()
    monitor = await served.monitor()
    client, csrf = await served.sign_in()
    token = f"/api/monitors/{monitor.id}/token"
    answers = [await served.call("GET", "/healthz"), await monitor.ping(token="wrong"), await monitor.ping(b"[")]
    async with aclosing(client):
        for one in (client, served.local):
            called = [("GET", token), ("GET", "/api/workspaces"), ("GET", "/api/monitors/none"), ("GET", "/api/none")]
            called += [("PUT", token), ("POST", "/api/monitors"), ("POST", f"/api/monitors/{monitor.id}/archive")]
            answers += [await one.request(method, path, headers={"x-csrf-token": csrf}) for method, path in called]
    answers += [await served.call("GET", token), await served.call("PUT", "/v1/runs/start")]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404, 405, 503}
    for answer in answers:
        kept = (answer.headers["cache-control"], answer.headers["x-content-type-options"])
        assert kept == ("no-store", "nosniff"), answer.url
