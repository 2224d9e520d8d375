"""The operator's API over the Unix socket: the shapes that scripts rely on, and what it refuses."""

import asyncio
import json
import re
import threading
import time

import pytest
from argon2 import PasswordHasher

from luota.core.errors import Code, LuotaError
from luota.engine.audit import Actor
from luota.web.api import ROUTES
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
    assert set(made) == {"monitor", "token", "baseUrl"}
    assert made["baseUrl"] == served.base
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
    [b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 60_000, b"\x00"],
)
async def test_a_body_that_is_no_json_object_is_400(served, body):
    answer = await served.call("POST", "/api/monitors", content=body, local=True)
    assert (answer.status_code, answer.json()["field"]) == (400, "body")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name":"a","name":"b"}', "name"),
        (b'{"name":"a","tags":{"x":"1","x":"2"}}', "tags.x"),
        (b'{"schedule":[{"a":{"b":1,"b":1}}]}', "schedule.a.b"),
        (b'{"tags":' + b"[" * 65 + b"]" * 65 + b"}", "tags"),
        (b'{"name":"\\ud800"}', "name"),
        (b'{"name":NaN}', "name"),
        (b'{"graceSeconds":1e999}', "graceSeconds"),
    ],
)
async def test_an_api_body_is_held_to_the_guards_of_the_ingest_api(served, body, field):
    answer = await served.call("POST", "/api/monitors", content=body, local=True)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


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


async def test_archived_monitors_are_listed_apart(served):
    monitor, _ = await served.monitor(name="old"), await served.monitor(name="new")
    await monitor.archive()
    (shown,) = (await served.api("GET", "/api/monitors?archived=true"))["monitors"]
    expected = {"id": monitor.id, "slug": "old", "name": "old", "status": "archived"}
    assert expected.items() <= shown.items()
    assert shown["archivedAt"] == "2026-04-29T01:33:11.398Z"


async def test_a_monitor_is_found_by_the_beginning_of_its_id(served):
    monitor = await served.monitor()
    for length in (8, 9, 13, 35):
        shown = await served.api("GET", f"/api/monitors/{monitor.id[:length].upper()}")
        assert shown["monitor"]["id"] == monitor.id
    await refused(served, 404, None, "GET", f"/api/monitors/{monitor.id[:7]}")
    await monitor.archive()
    await refused(served, 404, None, "GET", f"/api/monitors/{monitor.id[:8]}")
    assert await served.api("GET", f"/api/incidents?monitor={monitor.id[:8]}") == {"incidents": [], "more": False}


async def test_a_beginning_that_several_ids_share_is_refused_with_their_names(served, monkeypatch):
    ids = iter(f"abcdef01-0000-4000-8000-{number:012}" for number in range(9))
    monkeypatch.setattr("luota.engine.monitors.new_id", lambda: next(ids))
    one, other = await served.monitor(slug="one"), await served.monitor(slug="other")
    for path in ("/api/monitors/abcdef01", "/api/incidents?monitor=abcdef01"):
        said = await refused(served, 409, None, "GET", path)
        assert f"one ({one.id})" in said
        assert f"other ({other.id})" in said
    by_slug = await served.monitor(slug="abcdef01")
    assert (await served.api("GET", "/api/monitors/abcdef01"))["monitor"]["id"] == by_slug.id


# Who may


async def test_what_did_not_come_over_the_socket_needs_a_session(served):
    answer = await served.call("GET", "/api/monitors")
    assert answer.status_code == 401


async def test_every_route_asks_for_its_role_in_the_workspace_that_it_names(serve):
    asked = []

    async def authorise(request, role, workspace_id):
        asked.append((role, workspace_id))
        raise LuotaError(Code.UNAUTHENTICATED, "Sign in.")

    served = await serve(authorise=authorise)
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    for method, path, role, _ in ROUTES:
        named = re.sub(r"\{workspace\}", "default", path)
        answer = await served.call(method, re.sub(r"\{\w+\}", "x", named))
        assert answer.status_code == 401, path
        assert asked.pop() == (role, workspace["id"])
        answer = await served.call(method, re.sub(r"\{\w+\}", "x", path) + "?workspace=nope")
        assert asked.pop() == (role, "")
    reads = {(path, role) for method, path, role, _ in ROUTES if method == "GET"}
    assert {role for path, role in reads if not path.endswith("/token")} == {"viewer"}
    assert "viewer" not in {role for method, _, role, _ in ROUTES if method != "GET"}
    for path in ("/api/monitors", "/api/channels", "/api/incidents/{incident}/resolve"):
        assert {role for method, p, role, _ in ROUTES if p == path and method != "GET"} == {"operator"}


async def test_whom_the_authoriser_lets_in_is_the_actor_of_the_change(serve):
    async def authorise(request, role, workspace_id):
        return Actor("ann@example.org", "192.0.2.7")

    served = await serve(authorise=authorise)
    answer = await served.post("/api/monitors", HEARTBEAT)
    assert answer.status_code == 200
    assert served.row("SELECT actor, source FROM audit_entries") == ("ann@example.org", "192.0.2.7")
    answer = await served.call("GET", "/api/monitors?workspace=nope")
    assert answer.status_code == 404


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


async def test_passwords_of_many_calls_at_once_are_hashed_two_at_a_time(served, monkeypatch):
    real, lock, working, most = PasswordHasher.hash, threading.Lock(), 0, 0

    def hashed(self, *args, **kwargs):
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.02)
        try:
            return real(self, *args, **kwargs)
        finally:
            with lock:
                working -= 1

    monkeypatch.setattr(PasswordHasher, "hash", hashed)
    password = {"password": "correct horse battery"}
    people = [f"user{number}@example.org" for number in range(8)]
    await asyncio.gather(*(served.api("POST", "/api/users", {"email": one, **password}) for one in people))
    await asyncio.gather(*(served.api("POST", f"/api/users/{one}/password", password) for one in people))
    assert most == 2


# Storage


async def test_over_the_api_a_full_disk_is_named(served):
    async with served.full_disk():
        for number in range(200):
            doc = {**HEARTBEAT, "name": f"{number}", "promise": "x" * 500}
            answer = await served.call("POST", "/api/monitors", content=json.dumps(doc).encode(), local=True)
            if answer.status_code != 200:
                break
    assert answer.status_code == 503
    assert answer.json()["error"] == "Storage unavailable"
    assert "full" in answer.json()["message"]
    assert answer.headers["retry-after"]


# Workspaces and users, by people who signed in


async def test_an_owner_of_one_workspace_cannot_change_how_people_sign_in_elsewhere(served):
    await served.sign_in("viewer", "bob@example.org")
    client, csrf = await served.sign_in("owner")
    for method, path in (("POST", "/password"), ("DELETE", "")):
        answer = await client.request(
            method,
            f"/api/users/bob@example.org{path}",
            json={"password": "correct horse battery"},
            headers={"x-csrf-token": csrf},
        )
        assert answer.status_code == 403, answer.text
    await client.aclose()


async def test_who_creates_a_workspace_owns_it_and_sees_no_other_by_it(served):
    client, csrf = await served.sign_in("owner")
    made = await client.post("/api/workspaces", json={"name": "Mine"}, headers={"x-csrf-token": csrf})
    assert made.status_code == 200, made.text
    await served.api("POST", "/api/workspaces", {"name": "Not mine"})
    seen = (await client.get("/api/workspaces?workspace=mine")).json()
    assert [workspace["slug"] for workspace in seen["workspaces"]] == ["mine"]
    assert (await client.get("/api/monitors?workspace=not-mine")).status_code == 404
    await client.aclose()


async def test_retention_of_a_workspace_is_changed(served):
    await served.api("PATCH", "/api/workspaces/default", {"retentionDays": 7, "name": "Ops"})
    assert served.row("SELECT name, retention_days FROM workspaces") == ("Ops", 7)
    await refused(served, 400, "retentionDays", "PATCH", "/api/workspaces/default", {"retentionDays": 0})
