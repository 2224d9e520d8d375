"""What pages show and do, over the operator's API: the audit log, a run, a threshold, a test, wiring, members."""

import pytest
from typer.main import get_command

from luota.cli.app import app
from luota.web.api import ROUTES
from luota.web.dashboard import PAGES
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY
from tests.web.calls import refused

ALIKE = {  # what a page changes, the command and the route of the API that do the same
    "/w/{workspace}": [
        ("monitor pause", "POST /api/monitors/{monitor}/pause"),
        ("monitor resume", "POST /api/monitors/{monitor}/resume"),
        ("monitor tag", "POST /api/monitors/{monitor}/tags"),
    ],
    "/w/{workspace}/monitors": [("monitor create", "POST /api/monitors")],
    "/w/{workspace}/monitors/{monitor}/edit": [("monitor edit", "PATCH /api/monitors/{monitor}")],
    "/w/{workspace}/monitors/{monitor}/pause": [("monitor pause", "POST /api/monitors/{monitor}/pause")],
    "/w/{workspace}/monitors/{monitor}/resume": [("monitor resume", "POST /api/monitors/{monitor}/resume")],
    "/w/{workspace}/monitors/{monitor}/archive": [("monitor archive", "POST /api/monitors/{monitor}/archive")],
    "/w/{workspace}/monitors/{monitor}/token": [("token rotate", "POST /api/monitors/{monitor}/token/rotate")],
    "/w/{workspace}/monitors/{monitor}/test": [("monitor test", "POST /api/monitors/{monitor}/test")],
    "/w/{workspace}/monitors/{monitor}/drills": [("drill run", "POST /api/monitors/{monitor}/drills")],
    "/w/{workspace}/incidents/{incident}/acknowledge": [("incident ack", "POST /api/incidents/{incident}/acknowledge")],
    "/w/{workspace}/incidents/{incident}/note": [("incident note", "POST /api/incidents/{incident}/note")],
    "/w/{workspace}/incidents/{incident}/resolve": [("incident resolve", "POST /api/incidents/{incident}/resolve")],
    "/w/{workspace}/channels": [
        (f"channel add {type_}", "POST /api/channels") for type_ in ("email", "slack", "webhook", "apprise")
    ],
    "/w/{workspace}/channels/{channel}": [("channel edit", "PATCH /api/channels/{channel}")],
    "/w/{workspace}/channels/{channel}/test": [("channel test", "POST /api/channels/{channel}/test")],
    "/w/{workspace}/channels/{channel}/secret": [
        ("channel rotate-secret", "POST /api/channels/{channel}/rotate-secret")
    ],
    "/w/{workspace}/channels/{channel}/remove": [("channel remove", "DELETE /api/channels/{channel}")],
    "/w/{workspace}/members": [
        ("user create", "POST /api/users"),
        ("member add", "POST /api/workspaces/{workspace}/members"),
    ],
    "/w/{workspace}/members/{user}/link": [("user link", "POST /api/users/{user}/link")],
    "/w/{workspace}/members/{user}/role": [("user role", "POST /api/users/{user}/role")],
    "/w/{workspace}/members/{user}/remove": [("member remove", "DELETE /api/workspaces/{workspace}/members/{user}")],
    "/w/{workspace}/settings": [("workspace edit", "PATCH /api/workspaces/{workspace}")],
    "/w/{workspace}/settings/token": [("token rotate", "POST /api/workspaces/{workspace}/token/rotate")],
    "/account": [("user password", "POST /api/users/{user}/password")],
    "/setup/{token}": [("user create", "POST /api/users")],
    "/password/{token}": [("user password", "POST /api/users/{user}/password")],
    "/sign-in": [],  # the socket lets in whoever may open it
    "/sign-out": [],
}
PERSON = {"email": "bob@example.org", "password": "correct horse battery"}


def test_what_a_page_can_do_a_command_and_the_api_can_do():
    assert ALIKE.keys() == {path for method, path, *_ in PAGES if method == "POST"}
    done = [pair for pairs in ALIKE.values() for pair in pairs]
    assert {route for _, route in done} <= {f"{method} {path}" for method, path, *_ in ROUTES}
    for command, _ in done:
        found = get_command(app)
        for word in command.split():
            found = found.commands[word]


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


async def listed(served, what, monitor, limit):
    """Return all pings or runs of a monitor, asked for in pieces of at most `limit`."""
    found, path = [], f"/api/{what}?monitor={monitor}&limit={limit}"
    piece = await served.api("GET", path)
    while True:
        assert 0 < len(piece[what]) <= limit
        found += piece[what]
        assert len({one["id"] for one in found}) == len(found), "none stands there twice"
        if piece["next"] is None:
            return found
        piece = await served.api("GET", f"{path}&before={piece['next']}")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_pings_are_listed_in_pieces_the_newest_first_also_those_of_one_millisecond(served, limit):
    beats, other = await served.monitor(), await served.monitor()
    for number in range(6):
        await beats.ping({"payload": {"n": number, "host": "a"}})
        await other.ping()
        served.clock.advance(1_000 if number == 2 else 0)
    found = await listed(served, "heartbeats", beats.id, limit)
    assert [ping["payload"] for ping in found] == [f'{{"n": {n}, "host": "a"}}' for n in (5, 4, 3, 2, 1, 0)]
    assert (found[0]["host"], found[0]["late"], found[0]["clockSkew"]) == ("a", False, False)
    assert (await served.api("GET", f"/api/runs?monitor={beats.id}")) == {"runs": [], "next": None}


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_runs_are_listed_in_pieces_the_latest_start_first_without_what_may_be_large(served, limit):
    job, other = await served.monitor("run"), await served.monitor("run")
    for number in range(6):
        run = await job.started(f"n-{number}", {"payload": {"a": 1}})
        await job.success(run, {"output": "long", "summary": "well"})
        await other.started()
        served.clock.advance(1_000 if number % 2 else 0)
    found = await listed(served, "runs", job.id, limit)
    assert {run["externalRunId"] for run in found} == {f"n-{n}" for n in range(6)}
    begun = [run["startReceivedAt"] for run in found]
    assert (begun, len(set(begun))) == (sorted(begun, reverse=True), 3)
    whole = (await served.api("GET", f"/api/runs/{found[0]['id']}"))["run"]
    assert whole["output"] == "long"
    left_out = {"output", "startPayload", "closePayload"}
    assert found[0] == {key: whole[key] for key in found[0]}
    assert not left_out & found[0].keys()


async def test_what_an_archived_monitor_received_is_listed_still(served):
    beats = await served.monitor()
    await beats.ping()
    await beats.archive()
    assert len((await served.api("GET", f"/api/heartbeats?monitor={beats.id}"))["heartbeats"]) == 1


@pytest.mark.parametrize("what", ["heartbeats", "runs"])
async def test_a_list_of_signals_that_makes_no_sense_is_refused(served, what):
    beats = await served.monitor()
    said = await refused(served, 400, "monitor", "GET", "/api/incidents?monitor=")
    for query in ("", "?monitor="):
        assert await refused(served, 400, "monitor", "GET", f"/api/{what}{query}") == said
    await refused(served, 404, "monitor", "GET", f"/api/{what}?monitor={NOBODY}")
    for query, field in (("limit=0", "limit"), ("limit=201", "limit"), ("before=soon", "before")):
        await refused(served, 400, field, "GET", f"/api/{what}?monitor={beats.id}&{query}")


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
    assert "grace must be" in await refused(served, 400, "grace", "GET", f"{path}?grace=soon")
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


async def test_a_tag_is_added_and_the_others_stay(served):
    job = await served.monitor(tags={"host": "nas", "team": "ops"})
    path = f"/api/monitors/{job.id}/tags"
    shown = (await served.api("POST", path, {"tags": {"team": "night"}}))["monitor"]
    assert shown["tags"] == {"host": "nas", "team": "night"}
    await served.api("POST", path, {"tags": {"team": "night"}})
    assert [one["action"] for one in (await served.api("GET", "/api/audit"))["entries"]].count("monitor.edit") == 1
    await refused(served, 400, "tags", "POST", path, {})
    many = {str(number): "x" for number in range(15)}
    assert "at most 16" in await refused(served, 400, "tags", "POST", path, {"tags": many})


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


async def test_a_user_without_a_password_is_invited_by_a_link(served):
    client, csrf = await served.sign_in("owner")
    new = {"email": "new@example.org", "role": "operator"}
    invited = (await client.post("/api/users", json=new, headers={"x-csrf-token": csrf})).json()
    assert (invited["user"]["role"], set(invited)) == ("operator", {"user", "link", "expiresAt"})
    assert (await client.get(invited["link"])).status_code == 200
    await client.aclose()
    assert "link" not in await served.api("POST", "/api/users", PERSON)


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
