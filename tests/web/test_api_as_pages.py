"""What pages show and do, over the operator's API: the audit log, a run, a threshold, a test, wiring, members."""

import pytest

from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY
from tests.web.calls import refused

PERSON = {"email": "bob@example.org", "password": "correct horse battery"}


async def test_the_audit_log_is_listed_in_pieces_and_by_kind(served):
    for name in ("one", "two", "three"):
        await served.monitor(name=name)
        served.clock.advance(1_000)
    await served.api("PATCH", "/api/workspaces/default", {"name": "Ops"})
    first = await served.api("GET", "/api/audit?of=monitor&limit=2")
    assert [entry["name"] for entry in first["entries"]] == ["three", "two"]
    entry = first["entries"][0]
    assert (entry["action"], entry["actor"], entry["source"]) == ("monitor.create", "operator", "unix socket")
    rest = await served.api("GET", f"/api/audit?of=monitor&limit=2&before={first['next']}")
    assert ([entry["name"] for entry in rest["entries"]], rest["next"]) == (["one"], None)
    assert (await served.api("GET", "/api/audit?actor=nobody"))["entries"] == []


@pytest.mark.parametrize(
    ("query", "field"), [("of=%25", "of"), ("limit=0", "limit"), ("limit=1001", "limit"), ("before=soon", "before")]
)
async def test_a_filter_of_the_audit_log_that_makes_no_sense_is_refused(served, query, field):
    await refused(served, 400, field, "GET", f"/api/audit?{query}")


async def test_a_run_is_shown_whole_with_what_changed_and_its_incident(served):
    job = await served.monitor("run")
    healthy = await job.started("n-1", {"host": "a"})
    served.clock.advance(60_000)
    await job.success(healthy)
    run = await job.started("n-2", {"host": "b"})
    await job.fail(run, {"summary": "no disk", "exitCode": 2, "output": "x\n", "payload": {"n": 1.50}})
    found = (await served.api("GET", f"/api/runs/{run}"))["run"]
    assert (found["state"], found["exitCode"], found["output"], found["monitorId"]) == ("failed", 2, "x\n", job.id)
    assert (found["lastHealthyRunId"], found["previousRunId"], found["nextRunId"]) == (healthy, healthy, None)
    assert {"label": "host", "before": "a", "after": "b"} in found["changes"]
    assert found["incidentId"] == (await job.shown())["incidentId"]
    assert (await served.api("GET", f"/api/runs/{healthy}"))["run"]["incidentId"] is None
    await refused(served, 404, "run", "GET", f"/api/runs/{NOBODY}")
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    await refused(served, 404, "run", "GET", f"/api/runs/{run}?workspace=other")


async def test_a_threshold_is_suggested_and_tried_and_nothing_changes(served):
    job = await served.monitor(graceSeconds=60)
    path = f"/api/monitors/{job.id}/advice"
    nothing = (await served.api("GET", path))["advice"]
    assert (nothing["intervals"], nothing["suggestions"], nothing["present"]) == (None, [], None)
    for _ in range(8):
        await job.ping()
        served.clock.advance(3_900_000)
    await served.judge()
    found = (await served.api("GET", f"{path}?grace=10m"))["advice"]
    assert (len(found["present"]["opened"]), found["tried"]["opened"]) == (8, [])
    assert found["intervals"]["medianSeconds"] == 3900
    (suggested,) = found["suggestions"]
    assert (suggested["key"], suggested["seconds"]) == ("graceSeconds", 360)
    assert (await job.shown())["graceSeconds"] == 60
    assert "Grace must be" in await refused(served, 400, "grace", "GET", f"{path}?grace=soon")
    await refused(served, 400, "limit", "GET", f"{path}?limit=5m")


async def test_a_history_too_short_suggests_no_value_over_the_api_either(served):
    job = await served.monitor("freshness", expectedFreshnessSeconds=86_400)
    for _ in range(11):
        await job.ping()
        served.clock.advance(300)
    ((one),) = (await served.api("GET", f"/api/monitors/{job.id}/advice"))["advice"]["suggestions"]
    assert (one["seconds"], one["evidence"].partition(":")[0]) == (None, "too short a history")


async def test_a_test_notice_goes_to_each_channel_of_a_monitor(serve):
    served = await serve(allow=LOOPBACK)
    job = await served.monitor(name="nightly")
    assert await served.api("POST", f"/api/monitors/{job.id}/test") == {"deliveries": []}
    async with Receiver() as good, Receiver() as bad:
        bad.default = reply(503)
        for name, receiver in (("desk", good), ("pager", bad)):
            await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": receiver.url})
        sent = (await served.api("POST", f"/api/monitors/{job.id}/test"))["deliveries"]
        assert {one["channel"]: one["state"] for one in sent} == {"desk": "delivered", "pager": "failed_terminal"}
        assert "of the monitor nightly" in good.requests[0].json["summary"]


async def test_snippets_hold_the_token_for_operators_alone(served):
    job = await served.monitor()
    path = f"/api/monitors/{job.id}/snippets"
    every = (await served.api("GET", path))["snippets"]
    assert {"curl", "crontab"} <= {one["kind"] for one in every}
    (one,) = (await served.api("GET", f"{path}?kind=curl"))["snippets"]
    assert job.token in one["files"][0]["text"]
    assert job.id in one["files"][0]["text"]
    assert "crontab" in await refused(served, 400, "kind", "GET", f"{path}?kind=telex")
    for role, may in (("viewer", False), ("operator", True), ("owner", True)):
        client, _ = await served.sign_in(role)
        text = (await client.get(path)).text
        assert (job.token in text, "YOUR-TOKEN" in text) == (may, not may), role
        await client.aclose()


async def test_a_workspace_tells_and_changes_its_name_and_how_long_it_keeps_what(served):
    path = "/api/workspaces/default"
    before = (await served.api("GET", path))["workspace"]
    after = (await served.api("PATCH", path, {"name": "Ops", "retentionDays": 7}))["workspace"]
    assert after == {**before, "name": "Ops", "retentionDays": 7}
    assert (await served.api("GET", path))["workspace"] == after


async def test_a_membership_begins_and_ends_in_one_workspace_and_the_user_stays(served):
    await served.api("POST", "/api/users", {"email": "ann@example.org", "password": "correct horse battery"})
    await served.api("POST", "/api/users", PERSON)
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    members = "/api/workspaces/other/members"
    added = (await served.api("POST", members, {"email": PERSON["email"], "role": "operator"}))["member"]
    assert (added["email"], added["role"]) == (PERSON["email"], "operator")
    await refused(served, 409, "email", "POST", members, {"email": PERSON["email"]})
    await served.api("DELETE", f"{members}/{PERSON['email']}")
    assert (await served.api("GET", "/api/users?workspace=other"))["users"] == []
    assert len((await served.api("GET", "/api/users"))["users"]) == 2
    await refused(served, 404, "user", "DELETE", f"{members}/{PERSON['email']}")
    assert "last owner" in await refused(served, 409, None, "DELETE", "/api/workspaces/default/members/ann@example.org")


async def test_a_link_sets_a_password_once_and_an_owner_makes_none_for_a_member_of_other_workspaces(served):
    client, csrf = await served.sign_in("owner")
    sent = {"headers": {"x-csrf-token": csrf}}
    bob = (await served.api("POST", "/api/users", PERSON))["user"]
    made = (await client.post(f"/api/users/{bob['email']}/link", **sent)).json()
    assert made["link"].startswith(f"{served.base}/password/")
    assert (await client.get(made["link"])).status_code == 200
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    await served.api("POST", "/api/workspaces/other/members", {"email": bob["email"]})
    assert (await client.post(f"/api/users/{bob['id']}/link", **sent)).status_code == 409
    by_host = await served.api("POST", f"/api/users/{bob['id']}/link")
    assert (await client.get(made["link"])).status_code == 404, "an older link holds no more"
    assert (await client.get(by_host["link"])).status_code == 200
    await client.aclose()
