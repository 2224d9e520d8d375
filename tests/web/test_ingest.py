"""The five routes when all is well: the replies field for field, and what they leave in the file."""

import asyncio
import json
import logging

import pytest

from tests.served import NOBODY, NOW, REQUEST_ID, UUID

MINUTE = 60_000


async def workspace_token(served):
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    return workspace["id"], (await served.api("GET", f"/api/workspaces/{workspace['id']}/token"))["token"]


async def test_a_ping_answers_as_the_seeds_say(served):
    monitor = await served.monitor()
    answer = await monitor.ping({"occurredAt": "2026-04-29T01:33:00.000Z", "payload": {"source": "vercel-cron"}})
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    beat = answer.json()["heartbeat"]["id"]
    assert UUID.fullmatch(beat)
    assert answer.json() == {
        "ok": True,
        "monitor": {"id": monitor.id, "status": "healthy"},
        "heartbeat": {"id": beat, "occurredAt": "2026-04-29T01:33:00.000Z"},
    }
    assert served.rows("SELECT monitor_id, id, payload FROM heartbeats") == [
        (monitor.id, beat, '{"source": "vercel-cron"}')
    ]


async def test_a_ping_without_occurred_at_happened_when_it_was_received(served):
    answer = await (await served.monitor()).ping()
    assert answer.json()["heartbeat"]["occurredAt"] == "2026-04-29T01:33:11.398Z"
    assert served.row("SELECT occurred_at, received_at, effective_at FROM heartbeats") == (NOW, NOW, NOW)


async def test_a_ping_of_a_freshness_monitor_answers_alike(served):
    monitor = await served.monitor("freshness")
    answer = await monitor.ping({"occurredAt": "2026-04-29T01:00:00Z"})
    assert answer.status_code == 202
    assert answer.json()["monitor"] == {"id": monitor.id, "status": "healthy"}
    assert answer.json()["heartbeat"]["occurredAt"] == "2026-04-29T01:00:00.000Z"


async def test_a_run_start_answers_as_the_seeds_say(served):
    monitor = await served.monitor("run")
    answer = await monitor.start("nightly-backup-2026-04-29")
    assert answer.status_code == 202
    run = answer.json()["run"]["id"]
    assert UUID.fullmatch(run)
    assert answer.json() == {
        "monitor": {"id": monitor.id},
        "run": {"id": run, "externalRunId": "nightly-backup-2026-04-29", "startedAt": "2026-04-29T01:33:11.398Z"},
    }


async def test_a_success_answers_as_the_seeds_say(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    served.clock.advance(51_383)
    answer = await monitor.success(run)
    assert answer.status_code == 202
    assert answer.json() == {
        "run": {"id": run, "status": "success", "finishedAt": "2026-04-29T01:34:02.781Z", "durationSeconds": 51}
    }


async def test_a_failure_answers_as_the_seeds_say_and_opens_an_incident(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    served.clock.advance(51_383)
    answer = await monitor.fail(run, {"summary": "3 of 14 syncs returned 500"})
    assert answer.status_code == 202
    assert answer.json() == {
        "run": {"id": run, "status": "failed", "finishedAt": "2026-04-29T01:34:02.781Z"},
        "monitor": {"status": "incident"},
    }
    assert served.rows("SELECT monitor_id, kind, state, run_id FROM incidents") == [(monitor.id, "failed", "open", run)]


async def test_a_failure_within_the_tolerance_answers_failing(served):
    monitor = await served.monitor("run", failuresBeforeIncident=2)
    answer = await monitor.fail(await monitor.started())
    assert answer.json()["monitor"] == {"status": "failing"}


@pytest.mark.parametrize("by", ["id", "slug"])
async def test_a_workspace_ping_takes_an_id_or_a_slug_and_answers_as_a_ping(served, by):
    monitor = await served.monitor(slug="nightly")
    workspace, token = await workspace_token(served)
    named = monitor.id if by == "id" else "nightly"
    answer = await served.post(f"/v1/workspaces/{workspace}/monitors/{named}/ping", {"payload": {}}, token)
    assert answer.status_code == 202
    beat = answer.json()["heartbeat"]["id"]
    assert answer.json() == {
        "ok": True,
        "monitor": {"id": monitor.id, "status": "healthy"},
        "heartbeat": {"id": beat, "occurredAt": "2026-04-29T01:33:11.398Z"},
    }
    assert served.rows("SELECT id FROM heartbeats") == [(beat,)]


async def test_ids_in_paths_and_bodies_are_understood_in_upper_case(served):
    beats, runs = await served.monitor(), await served.monitor("run")
    workspace, token = await workspace_token(served)
    upper = beats.id.upper()
    assert (await served.post(f"/v1/monitors/{upper}/ping", token=beats.token)).json()["monitor"]["id"] == beats.id
    path = f"/v1/workspaces/{workspace.upper()}/monitors/{upper}/ping"
    assert (await served.post(path, token=token)).json()["monitor"]["id"] == beats.id
    answer = await runs.start(body={"monitorId": runs.id.upper()})
    assert answer.json()["monitor"]["id"] == runs.id
    assert (await runs.success(answer.json()["run"]["id"].upper())).status_code == 202


async def raw(served, *lines, body=b""):
    """Send a request exactly as written; return its status and decoded body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    head = "".join(f"{line}\r\n" for line in (*lines, "host: x", "connection: close")) + "\r\n"
    writer.write(head.encode() + body)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


async def test_a_post_without_any_body_and_length_is_an_empty_object(served):
    beats, runs = await served.monitor(), await served.monitor("run")
    status, _ = await raw(served, f"POST /v1/monitors/{beats.id}/ping HTTP/1.1", f"x-luota-key: {beats.token}")
    assert status == 202
    run = await runs.started()
    status, reply = await raw(served, f"POST /v1/runs/{run}/success HTTP/1.1", f"x-luota-key: {runs.token}")
    assert status == 202
    assert reply["run"]["status"] == "success"


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "application/xml; charset=utf-16", "multipart/form-data", "%%"],
)
async def test_the_content_type_changes_nothing(served, content_type):
    monitor = await served.monitor()
    for body in (b"", b" \r\n\t", b"{}", b'{"payload":{"a":1}}'):
        answer = await monitor.ping(body, headers={"content-type": content_type})
        assert answer.status_code == 202, body
    assert served.rows("SELECT payload FROM heartbeats WHERE payload IS NOT NULL") == [('{"a":1}',)]


async def test_unknown_fields_are_ignored_whatever_they_hold(served):
    beats, runs = await served.monitor(), await served.monitor("run")
    odd = {"summary": 7, "exitCode": "x", "tags": [], "nonsense": {"a": [None, 1e308]}, "": 1, "id": "x"}
    assert (await beats.ping(odd)).status_code == 202
    run = await runs.started(body={"summary": 7, "exitCode": "x", "output": 3, "finishedAt": False, "x": [[]]})
    assert (await runs.success(run, {"exitCode": "x", "startedAt": 1, "externalRunId": 2})).status_code == 202
    assert served.row("SELECT summary, exit_code, output FROM runs") == (None, None, None)


async def test_an_unknown_field_may_hold_a_number_beyond_any_type(served):
    monitor = await served.monitor()
    assert (await monitor.ping(b'{"x":1e999,"y":' + b"9" * 5000 + b"}")).status_code == 202


async def test_every_answer_has_its_own_request_id_and_the_log_line_carries_it(served, caplog):
    caplog.set_level(logging.INFO, "luota.access")
    monitor = await served.monitor()
    calls = [
        (202, monitor.ping({"payload": {"word": "sesame"}})),
        (400, monitor.ping(b"{")),
        (401, monitor.ping(token="wfm1.sesame")),
        (404, served.post(f"/v1/monitors/{NOBODY}/ping")),
        (413, monitor.ping(b" " * 70_000)),
        (405, served.call("GET", "/v1/runs/start")),
        (404, served.call("GET", "/no/such/page")),
    ]
    seen = set()
    for status, call in calls:
        answer = await call
        assert answer.status_code == status
        request_id = answer.headers["x-request-id"]
        assert REQUEST_ID.fullmatch(request_id)
        (line,) = [text for text in caplog.messages if request_id in text]
        assert f" {status} " in line
        seen.add(request_id)
    assert len(seen) == len(calls)
    assert "sesame" not in caplog.text
    assert monitor.token not in caplog.text


async def test_a_line_break_in_a_path_forges_no_log_line(served, caplog):
    caplog.set_level(logging.INFO, "luota.access")
    await served.post("/v1/monitors/x%0a%0dINFO forged/ping")
    assert "%0a%0dINFO" in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]


async def test_a_resent_start_returns_the_run_with_its_first_values(served):
    monitor = await served.monitor("run")
    first = await monitor.start("ci-1", {"startedAt": "2026-04-29T01:30:00Z", "host": "a", "payload": {"n": 1}})
    served.clock.advance(MINUTE)
    again = await monitor.start("ci-1", {"startedAt": "2026-04-29T01:34:00Z", "host": "b", "tags": {"a": "b"}})
    assert again.status_code == 202
    assert again.json() == first.json()
    found = served.rows("SELECT host, start_payload, tags, started_at FROM runs")
    assert found == [("a", '{"n": 1}', None, NOW - 191_398)]


async def test_a_resent_start_is_no_signal(served):
    monitor = await served.monitor("run", schedule={"every": 3600}, graceSeconds=0)
    await monitor.success(await monitor.started())
    before = await monitor.shown()
    served.clock.advance(3_600_001)
    await served.judge()
    assert (await monitor.shown())["status"] == "incident"
    assert (await monitor.start()).status_code == 202
    after = await monitor.shown()
    assert after["status"] == "incident"
    assert after["lastSignalAt"] == before["lastSignalAt"]
    assert after["openRuns"] == 0


async def test_a_start_after_the_close_of_its_run_returns_the_closed_run_and_opens_nothing(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    await monitor.fail(run)
    assert await monitor.started() == run
    assert served.rows("SELECT state FROM runs") == [("failed",)]


async def test_the_same_external_id_means_another_run_on_another_monitor(served):
    one, other = await served.monitor("run"), await served.monitor("run")
    assert await one.started("job-1") != await other.started("job-1")


async def test_a_resent_close_returns_the_run_as_it_was_closed(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    first = await monitor.success(run, {"summary": "done", "output": "one"})
    served.clock.advance(MINUTE)
    again = await monitor.success(run, {"summary": "again", "finishedAt": "2026-04-29T05:00:00Z"})
    assert again.status_code == 202
    assert again.json() == first.json()
    assert served.rows("SELECT summary, output, finished_at FROM runs") == [("done", "one", NOW)]


async def test_a_resent_failure_counts_once_and_tells_the_present_status(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    first = await monitor.fail(run)
    served.clock.advance(1000)
    assert (await monitor.fail(run)).json() == first.json()
    assert served.rows("SELECT evidence_count FROM incidents") == [(1,)]
    served.clock.advance(1000)
    await monitor.success(await monitor.started("job-43"))
    again = await monitor.fail(run)
    assert again.json() == {**first.json(), "monitor": {"status": "healthy"}}
    assert served.rows("SELECT state FROM incidents") == [("resolved",)]


async def test_fifty_parallel_starts_of_one_run_give_one_run(served):
    monitor = await served.monitor("run")
    answers = await asyncio.gather(*(monitor.start("same", {"host": f"h{n}"}) for n in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run"]["id"] for answer in answers}) == 1
    assert served.rows("SELECT count(*) FROM runs") == [(1,)]


async def test_racing_closes_have_one_winner_and_the_others_conflict(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    closes = [monitor.success(run) if n % 2 else monitor.fail(run) for n in range(20)]
    answers = await asyncio.gather(*closes)
    (state,) = served.row("SELECT state FROM runs")
    won = [answer.status_code for n, answer in enumerate(answers) if (state == "success") == bool(n % 2)]
    lost = [answer.status_code for n, answer in enumerate(answers) if (state == "success") != bool(n % 2)]
    assert won == [202] * 10
    assert lost == [409] * 10


async def test_a_close_overrides_what_the_start_said(served):
    monitor = await served.monitor("run")
    start = {"deploySha": "a1", "host": "one", "environment": "staging", "tags": {"a": "1", "b": "2"}}
    run = await monitor.started(body={**start, "payload": {"at": "start"}})
    close = {"deploySha": "b2", "host": "two", "environment": "production", "tags": {"c": "3"}}
    await monitor.success(run, {**close, "payload": {"at": "end"}, "summary": "ok", "output": "log"})
    columns = "deploy_sha, host, environment, tags, start_payload, close_payload, summary, output"
    assert served.row(f"SELECT {columns} FROM runs") == (
        *("b2", "two", "production", '{"c":"3"}'),
        *('{"at": "start"}', '{"at": "end"}', "ok", "log"),
    )


async def test_a_close_that_says_nothing_keeps_what_the_start_said(served):
    monitor = await served.monitor("run")
    start = {"deploySha": "a1", "host": "one", "environment": "staging", "tags": {"a": "1"}, "payload": {"x": 1}}
    await monitor.fail(await monitor.started(body=start))
    columns = "deploy_sha, host, environment, tags, start_payload, close_payload"
    assert served.row(f"SELECT {columns} FROM runs") == ("a1", "one", "staging", '{"a":"1"}', '{"x": 1}', None)


async def test_empty_tags_in_a_close_replace_those_of_the_start(served):
    monitor = await served.monitor("run")
    await monitor.success(await monitor.started(body={"tags": {"a": "1"}}), {"tags": {}})
    assert served.row("SELECT tags FROM runs") == ("{}",)


@pytest.mark.parametrize(
    ("started", "finished", "seconds"),
    [
        ("2026-04-29T01:30:00.000Z", "2026-04-29T01:30:00.999Z", 0),
        ("2026-04-29T01:30:00.001Z", "2026-04-29T01:31:00.000Z", 59),
        ("2026-04-29T01:30:00.000Z", "2026-04-29T01:31:00.000Z", 60),
        ("2026-04-29T01:30:00.000Z", "2026-04-29T01:29:59.999Z", 0),
        ("2026-04-29T01:30:00.000Z", "2026-04-28T01:30:00.000Z", 0),
    ],
)
async def test_the_duration_is_whole_seconds_and_never_negative(served, started, finished, seconds):
    monitor = await served.monitor("run")
    run = await monitor.started(body={"startedAt": started})
    answer = await monitor.success(run, {"finishedAt": finished})
    assert answer.json()["run"]["durationSeconds"] == seconds
    assert answer.json()["run"]["finishedAt"] == finished


async def test_a_failure_keeps_its_exit_code_and_output(served):
    monitor = await served.monitor("run")
    said = {"summary": "it broke", "exitCode": -15, "output": "killed\n", "payload": {"k": "v"}}
    await monitor.fail(await monitor.started(), said)
    columns = "state, summary, exit_code, output, close_payload"
    assert served.row(f"SELECT {columns} FROM runs") == ("failed", "it broke", -15, "killed\n", '{"k": "v"}')


async def test_a_stuck_run_can_still_be_closed(served):
    monitor = await served.monitor("run", maxRuntimeSeconds=10)
    run = await monitor.started()
    served.clock.advance(10_001)
    await served.judge()
    assert served.rows("SELECT state FROM runs") == [("stuck",)]
    served.clock.advance(1000)
    assert (await monitor.success(run)).json()["run"]["status"] == "success"
    assert served.rows("SELECT kind, state FROM incidents") == [("stuck", "resolved")]
