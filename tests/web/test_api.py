"""The operator's API over the Unix socket: the shapes that scripts rely on, and what it refuses."""

import asyncio
import json
import re
import threading
import time

from argon2 import PasswordHasher

from luota.core.errors import Code, LuotaError
from luota.engine.audit import Actor
from luota.web.api import ROUTES
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY, UUID
from tests.web.calls import HEARTBEAT, INSTANT, refused


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
        assert "luota workspace list" in await refused(served, 404, "workspace", "GET", path)


# Who may


async def test_what_did_not_come_over_the_socket_needs_a_session(served):
    answer = await served.call("GET", "/api/monitors")
    assert answer.status_code == 401


async def test_every_route_asks_for_its_role_in_the_workspace_that_it_names(serve):
    asked = []

    async def authorise(request, role, among):
        asked.append((role, [*among]))
        raise LuotaError(Code.UNAUTHENTICATED, "Sign in.")

    served = await serve(authorise=authorise)
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    for method, path, role, _ in ROUTES:
        named = re.sub(r"\{workspace\}", "default", path)
        answer = await served.call(method, re.sub(r"\{\w+\}", "x", named))
        assert answer.status_code == 401, path
        assert asked.pop() == (role, [workspace["id"]])
        answer = await served.call(method, re.sub(r"\{\w+\}", "x", path) + "?workspace=nope")
        assert asked.pop() == (role, [])
    reads = {(path, role) for method, path, role, _ in ROUTES if method == "GET"}
    assert {role for path, role in reads if not path.endswith("/token")} == {"viewer"}
    assert "viewer" not in {role for method, _, role, _ in ROUTES if method != "GET"}
    for path in ("/api/monitors", "/api/channels", "/api/incidents/{incident}/resolve"):
        assert {role for method, p, role, _ in ROUTES if p == path and method != "GET"} == {"operator"}


async def test_whom_the_authoriser_lets_in_is_the_actor_of_the_change(serve):
    async def authorise(request, role, among):
        if not among:
            raise LuotaError(Code.NOT_FOUND, "There is no such workspace.")
        return [*among][0], "0" * 32, Actor("ann@example.org", "192.0.2.7")

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
    await refused(served, 400, "state", "GET", "/api/incidents?state=")
    await refused(served, 404, "monitor", "GET", "/api/incidents?monitor=nope")
    await refused(served, 400, "monitor", "GET", "/api/incidents?monitor=")
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
    assert "luota incident list" in await refused(served, 404, "incident", "GET", f"/api/incidents/{NOBODY}")


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


async def test_the_api_lists_the_workspaces_that_are_ones_own_and_takes_the_first_of_them_where_none_is_named(served):
    everywhere, _ = await served.sign_in("viewer")
    there, csrf = await served.sign_in("owner")
    for slug in ("hidden", "second", "third"):
        await served.api("POST", "/api/workspaces", {"name": slug.capitalize(), "slug": slug})
    for slug in ("third", "second"):
        for role in ("viewer", "owner"):
            member = {"email": f"{role}@example.org", "role": role}
            await served.api("POST", f"/api/workspaces/{slug}/members", member)
    (owner,) = [one for one in (await served.api("GET", "/api/users"))["users"] if one["role"] == "owner"]
    await served.api("POST", "/api/users", {"email": "last@example.org", "role": "owner", "password": "x" * 12})
    await served.api("DELETE", f"/api/workspaces/default/members/{owner['id']}")
    for client, slugs in ((everywhere, ["default", "second", "third"]), (there, ["second", "third"])):
        for path in ("/api/workspaces", "/api/workspaces?workspace=third"):
            seen = (await client.get(path)).json()["workspaces"]
            assert [workspace["slug"] for workspace in seen] == slugs
    made = await there.post("/api/monitors", json=HEARTBEAT, headers={"x-csrf-token": csrf})
    assert made.status_code == 200, made.text
    assert served.row("SELECT slug FROM workspaces WHERE id = (SELECT workspace_id FROM monitors)") == ("second",)
    for client in (everywhere, there):
        await client.aclose()


async def test_who_creates_a_workspace_owns_it_and_sees_no_other_by_it(served):
    client, csrf = await served.sign_in("owner")
    made = await client.post("/api/workspaces", json={"name": "Mine"}, headers={"x-csrf-token": csrf})
    assert made.status_code == 200, made.text
    await served.api("POST", "/api/workspaces", {"name": "Not mine"})
    seen = (await client.get("/api/workspaces?workspace=mine")).json()
    assert [workspace["slug"] for workspace in seen["workspaces"]] == ["default", "mine"]
    assert (await client.get("/api/monitors?workspace=not-mine")).status_code == 404
    await client.aclose()


async def test_retention_of_a_workspace_is_changed(served):
    await served.api("PATCH", "/api/workspaces/default", {"retentionDays": 7, "name": "Ops"})
    assert served.row("SELECT name, retention_days FROM workspaces") == ("Ops", 7)
    await refused(served, 400, "retentionDays", "PATCH", "/api/workspaces/default", {"retentionDays": 0})
