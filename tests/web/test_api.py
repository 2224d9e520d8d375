"""The operator's API over the Unix socket: the shapes that scripts rely on, and what it refuses."""

import asyncio
import re

import pytest

from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY, UUID

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HEARTBEAT = {"name": "Nightly", "mode": "heartbeat", "schedule": {"every": 60}, "graceSeconds": 30}


async def refused(served, status, field, method, path, body=None):
    """Check that a call is refused, with its field; return the words."""
    answer = await served.api(method, path, body, status)
    assert answer.get("field") == field, answer
    if status == 400:
        assert answer["error"] == "Invalid request"
        return answer["message"]
    return answer["error"]


# Workspaces


async def test_the_first_workspace_is_there_from_the_start(served):
    answer = await served.api("GET", "/api/workspaces")
    (workspace,) = answer["workspaces"]
    assert set(workspace) == {"id", "name", "slug"}
    assert UUID.fullmatch(workspace["id"])
    assert (workspace["name"], workspace["slug"]) == ("Default", "default")


async def test_a_workspace_is_named_by_id_or_slug_and_an_unknown_one_is_404(served):
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    by_slug = await served.api("GET", "/api/workspaces/default/token")
    by_id = await served.api("GET", f"/api/workspaces/{workspace['id']}/token")
    assert by_slug == by_id
    assert set(by_slug) == {"token"}
    assert by_slug["token"].startswith("wfws1.")
    for path in ("/api/workspaces/nope/token", "/api/monitors?workspace=nope", "/api/incidents?workspace=nope"):
        assert "luota workspace list" in await refused(served, 404, None, "GET", path)


# Monitors


async def test_creating_a_monitor_shows_it_with_its_token(served):
    made = await served.api("POST", "/api/monitors", {**HEARTBEAT, "owner": "Ann", "tags": {"team": "ops"}})
    assert set(made) == {"monitor", "token"}
    assert re.fullmatch(r"wfm1\.[A-Za-z0-9_-]{43}", made["token"])
    monitor = made["monitor"]
    assert UUID.fullmatch(monitor["id"])
    expected = {
        **{"slug": "nightly", "name": "Nightly", "mode": "heartbeat", "schedule": {"every": 60}, "graceSeconds": 30},
        **{"owner": "Ann", "promise": None, "runbook": None, "environment": None, "tags": {"team": "ops"}},
        **{"status": "draft", "lastSignalAt": None, "failuresBeforeIncident": 1, "channels": None},
        **{"pausedUntil": None, "incidentId": None, "openRuns": 0, "failures": 0},
        **{"nextExpectedAt": "2026-04-29T01:34:11.398Z", "deadlineAt": "2026-04-29T01:34:41.398Z"},
    }
    assert {key: monitor[key] for key in expected} == expected
    shown = await served.api("GET", f"/api/monitors/{monitor['id']}")
    assert shown == {"monitor": monitor}
    assert await served.api("GET", "/api/monitors/nightly") == shown
    assert await served.api("GET", "/api/monitors") == {"monitors": [monitor]}
    assert await served.api("GET", "/api/monitors/nightly/token") == {"token": made["token"]}


async def test_showing_a_monitor_tells_its_status_signal_expectation_and_deadline(served):
    monitor = await served.monitor(schedule={"every": 60}, graceSeconds=30)
    await monitor.ping()
    shown = await monitor.shown()
    assert shown["status"] == "healthy"
    assert shown["lastSignalAt"] == "2026-04-29T01:33:11.398Z"
    assert shown["nextExpectedAt"] == "2026-04-29T01:34:11.398Z"
    assert shown["deadlineAt"] == "2026-04-29T01:34:41.398Z"
    assert shown["reason"]
    for key in ("since", "lastSignalAt", "nextExpectedAt", "deadlineAt"):
        assert INSTANT.fullmatch(shown[key])


async def test_monitors_are_listed_by_name_and_without_archived_ones(served):
    names = ("beta", "Alpha", "gamma", "älg")
    for name in names:
        made = await served.api("POST", "/api/monitors", {**HEARTBEAT, "name": name})
    await served.api("POST", f"/api/monitors/{made['monitor']['slug']}/archive")
    listed = (await served.api("GET", "/api/monitors"))["monitors"]
    assert [monitor["name"] for monitor in listed] == ["Alpha", "beta", "gamma"]


async def test_an_unknown_key_is_refused_with_the_nearest_known_one(served):
    said = await refused(served, 400, "graceSecond", "POST", "/api/monitors", {**HEARTBEAT, "graceSecond": 1})
    assert "graceSeconds" in said
    monitor = await served.monitor()
    await refused(served, 400, "nmae", "PATCH", f"/api/monitors/{monitor.id}", {"nmae": "x"})
    assert served.row("SELECT count(*) FROM monitors") == (1,)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"mode": "weekly"}, "mode"),
        ({"schedule": None}, "schedule"),
        ({"slug": "Not A Slug"}, "slug"),
        ({"runbook": "javascript:alert(1)"}, "runbook"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"failuresBeforeIncident": 0}, "failuresBeforeIncident"),
        ({"channels": ["nope"]}, "channels"),
        ({"maxRuntimeSeconds": 5}, "maxRuntimeSeconds"),
    ],
)
async def test_a_wrong_definition_is_refused_with_its_field_and_leaves_nothing(served, changes, field):
    await refused(served, 400, field, "POST", "/api/monitors", {**HEARTBEAT, **changes})
    assert served.row("SELECT count(*) FROM monitors") == (0,)
    assert served.row("SELECT count(*) FROM audit_entries") == (0,)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b"\xff", b'{"name":"\\ud800"}', b"[" * 60_000, b'{"graceSeconds":1e999}', b"\x00"],
)
async def test_a_body_that_is_no_json_object_is_400(served, body):
    answer = await served.call("POST", "/api/monitors", content=body, local=True)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")


async def test_numbers_beyond_any_type_and_odd_types_are_400(served):
    for body in (b'{"graceSeconds":1' + b"0" * 400 + b"}", b'{"name":{"a":[]},"mode":[],"tags":7}'):
        answer = await served.call("POST", "/api/monitors", content=body, local=True)
        assert answer.status_code == 400


async def test_an_api_body_over_64_kib_is_413(served):
    answer = await served.call("POST", "/api/monitors", content=b" " * 65_537, local=True)
    assert (answer.status_code, answer.json()["code"]) == (413, "request_failed")


async def test_an_unknown_or_archived_monitor_is_404_in_every_call(served):
    monitor = await served.monitor()
    await monitor.archive()
    for named in (monitor.id, monitor.slug, NOBODY, "nope", "%00", "%ff"):
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("GET", "/token"),
            ("POST", "/token/rotate"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/archive"),
        ):
            said = await refused(served, 404, None, method, f"/api/monitors/{named}{path}", {})
            assert "luota monitor list" in said


# Incidents


async def test_incidents_are_shown_as_the_interface_says(serve):
    async with Receiver() as receiver:
        receiver.default = reply(503)
        served = await serve(allow=LOOPBACK, send=True)
        await served.api("POST", "/api/channels", {"type": "webhook", "name": "ops", "url": receiver.url})
        monitor = await served.monitor("run", promise="Reports are out by nine", owner="Ann")
        run = await monitor.started()
        await monitor.fail(run, {"summary": "3 of 14 syncs returned 500"})
        await receiver.wait(1)
        for _ in range(100):
            (incident,) = (await served.api("GET", "/api/incidents"))["incidents"]
            if incident["deliveries"][0]["attempts"]:
                break
            await asyncio.sleep(0.01)
    expected = {
        **{"monitorId": monitor.id, "kind": "failed", "state": "open", "openedAt": "2026-04-29T01:33:11.398Z"},
        **{"acknowledgedAt": None, "resolvedAt": None, "runId": run, "owner": "Ann"},
        "promise": "Reports are out by nine",
    }
    assert {key: incident[key] for key in expected} == expected
    assert "3 of 14 syncs returned 500" in incident["summary"]
    (delivery,) = incident["deliveries"]
    shown = {"channel": "ops", "type": "webhook", "state": "failed_retrying", "attempts": 1}
    assert {key: delivery[key] for key in shown} == shown
    assert INSTANT.fullmatch(delivery["nextAttemptAt"])
    assert "503" in delivery["lastError"]


async def test_incidents_are_filtered_by_monitor_and_state(served):
    one, other = await served.monitor("run", slug="one"), await served.monitor("run", slug="other")
    await one.fail(await one.started())
    await other.fail(await other.started())
    served.clock.advance(1000)
    await other.success(await other.started("later"))

    async def found(query):
        return {incident["monitorId"] for incident in (await served.api("GET", f"/api/incidents{query}"))["incidents"]}

    assert await found("") == {one.id, other.id}
    assert await found("?state=open") == {one.id}
    assert await found("?state=resolved&monitor=other") == {other.id}
    assert await found(f"?monitor={one.id}") == {one.id}
    assert await found("?state=acknowledged") == set()
    await refused(served, 400, "state", "GET", "/api/incidents?state=closed")
    await refused(served, 404, None, "GET", "/api/incidents?monitor=nope")
    await one.archive()
    assert await found("?monitor=one") == {one.id}


async def test_one_incident_shows_its_timeline_and_attempts(served):
    monitor = await served.monitor("run")
    await monitor.fail(await monitor.started())
    (incident,) = (await served.api("GET", "/api/incidents"))["incidents"]
    shown = (await served.api("GET", f"/api/incidents/{incident['id']}"))["incident"]
    assert [event["type"] for event in shown["events"]] == ["opened"]
    assert shown["events"][0]["at"] == "2026-04-29T01:33:11.398Z"
    assert shown["deliveries"] == []
    assert "luota incident list" in await refused(served, 404, None, "GET", f"/api/incidents/{NOBODY}")


# Users


async def test_a_user_is_created_and_listed_without_a_password(served):
    doc = {"email": "Ann@Example.org", "password": "correct horse battery", "role": "operator"}
    made = await served.api("POST", "/api/users", doc)
    assert made["user"]["email"] == "ann@example.org"
    listed = (await served.api("GET", "/api/users"))["users"]
    expected = {**made["user"], "createdAt": "2026-04-29T01:33:11.398Z"}
    assert listed == [expected]
    assert set(expected) == {"id", "email", "name", "role", "createdAt"}
