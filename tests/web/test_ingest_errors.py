"""What the five routes refuse: exact bodies, tokens, and which of two reasons is told first."""

import sqlite3

import pytest

from luota.core.limits import Limits
from tests.served import NOBODY, UNLIMITED, Monitor, serving

BAD_KEY = {"error": "Invalid ingest key"}
BAD_KEY_OR_RUN = {"error": "Invalid ingest key or run not found"}
NO_MONITOR = {"error": "Monitor not found"}
TOO_LARGE = b" " * (64 * 1024 + 1)
MALFORMED = b'{"payload":'


def refused(answer, status, body):
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["content-type"] == "application/json"


def invalid(answer, field, word=""):
    """Check a 400 of the contract's shape."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert set(body) == {"error", "message", "field"}
    assert (body["error"], body["field"]) == ("Invalid request", field)
    assert word in body["message"]
    assert body["message"].endswith(".")


async def workspace_of(served, name="default"):
    found = (await served.api("GET", "/api/workspaces"))["workspaces"]
    (workspace,) = [w for w in found if w["slug"] == name]
    return workspace["id"], (await served.api("GET", f"/api/workspaces/{workspace['id']}/token"))["token"]


class Calls:
    """A heartbeat and a run monitor, one closed and one open run, and every route by its name."""

    def __init__(self, served, beats, runs, open_run, closed_run, workspace):
        self.served, self.beats, self.runs = served, beats, runs
        self.open_run, self.closed_run, self.workspace = open_run, closed_run, workspace

    @classmethod
    async def made(cls, served):
        beats, runs = await served.monitor(), await served.monitor("run")
        open_run, closed_run = await runs.started("open"), await runs.started("closed")
        await runs.success(closed_run)
        workspace, token = await workspace_of(served)
        return cls(served, beats, runs, open_run, closed_run, (workspace, token))

    def paths(self):
        """Return each route's path with the token that it wants."""
        workspace, token = self.workspace
        return {
            "ping": (f"/v1/monitors/{self.beats.id}/ping", self.beats.token),
            "start": ("/v1/runs/start", self.runs.token),
            "success": (f"/v1/runs/{self.open_run}/success", self.runs.token),
            "fail": (f"/v1/runs/{self.open_run}/fail", self.runs.token),
            "workspace ping": (f"/v1/workspaces/{workspace}/monitors/{self.beats.id}/ping", token),
        }

    def body(self, route):
        return {
            "start": {"monitorId": self.runs.id, "externalRunId": "x"},
            "fail": {"summary": "it broke"},
        }.get(route, {})


@pytest.fixture
async def calls(served):
    return await Calls.made(served)


async def exhaust_address(served):
    statuses = [(await served.post(f"/v1/monitors/{NOBODY}/ping")).status_code for _ in range(4)]
    assert statuses[-1] == 429


TAKES = {
    "ping": ("occurredAt", "payload"),
    "workspace ping": ("occurredAt", "payload"),
    "start": ("monitorId", "externalRunId", "startedAt", "payload", "deploySha", "host", "environment", "tags"),
    "success": ("finishedAt", "summary", "output", "payload", "deploySha", "host", "environment", "tags"),
    "fail": ("finishedAt", "summary", "output", "exitCode", "payload", "deploySha", "host", "environment", "tags"),
}


@pytest.mark.parametrize("route", TAKES)
async def test_null_is_no_value_of_any_field(served, calls, route):
    path, token = calls.paths()[route]
    for field in TAKES[route]:
        invalid(await served.post(path, {**calls.body(route), field: None}, token), field)
    assert (await served.post(path, {**calls.body(route), "mood": None}, token)).status_code == 202


# Tokens


async def test_each_route_refuses_each_wrong_token_with_its_own_words(served, calls):
    other, other_run = await served.monitor(), await served.monitor("run")
    _, workspace_token = calls.workspace
    for route, (path, right) in calls.paths().items():
        expected = BAD_KEY_OR_RUN if route in ("success", "fail") else BAD_KEY
        wrong = [None, "", "x", right[:-1], right + "A", right.swapcase(), right.split(".")[1], f"{right}, {right}"]
        wrong += [other.token, other_run.token]
        wrong.append(calls.beats.token if route == "workspace ping" else workspace_token)
        for token in wrong:
            refused(await served.post(path, calls.body(route), token), 401, expected)
        assert (await served.post(path, calls.body(route), right)).status_code in (202, 409), route


async def test_the_token_of_the_same_monitor_does_not_open_the_workspace_route(served, calls):
    path, _ = calls.paths()["workspace ping"]
    refused(await served.post(path, token=calls.beats.token), 401, BAD_KEY)


async def test_bytes_that_are_no_text_in_the_key_are_a_wrong_key(served, calls):
    for route, (path, _) in calls.paths().items():
        expected = BAD_KEY_OR_RUN if route in ("success", "fail") else BAD_KEY
        for key in (b"\xff\xfe", "päivää".encode(), b"wfm1.\xc3"):
            answer = await served.post(path, calls.body(route), headers={"x-luota-key": key})
            refused(answer, 401, expected)


async def test_any_other_authorisation_header_is_ignored(served, calls):
    path, token = calls.paths()["ping"]
    for header in ("authorization", "x-api-key", "proxy-authorization", "cookie"):
        assert (await served.post(path, token=token, headers={header: "Bearer x"})).status_code == 202
        refused(await served.post(path, headers={header: f"Bearer {token}"}), 401, BAD_KEY)
        refused(await served.post(path, headers={header: token}), 401, BAD_KEY)


async def test_the_name_of_the_key_header_takes_any_case(served, calls):
    path, token = calls.paths()["ping"]
    assert (await served.post(path, headers={"X-Luota-Key": token})).status_code == 202


async def test_rotation_refuses_the_old_token_for_the_very_next_request(served, calls):
    runs, beats = calls.runs, calls.beats
    for monitor in (runs, beats):
        old = monitor.token
        fresh = (await served.api("POST", f"/api/monitors/{monitor.id}/token/rotate"))["token"]
        assert fresh != old
        assert (await served.api("GET", f"/api/monitors/{monitor.id}/token"))["token"] == fresh
        monitor.new = fresh
    refused(await beats.ping(), 401, BAD_KEY)
    refused(await runs.start(), 401, BAD_KEY)
    refused(await runs.success(calls.open_run), 401, BAD_KEY_OR_RUN)
    assert (await beats.ping(token=beats.new)).status_code == 202
    assert (await runs.success(calls.open_run, token=runs.new)).status_code == 202


async def test_rotating_the_workspace_token_refuses_the_old_one_and_leaves_monitor_tokens_alone(served, calls):
    path, old = calls.paths()["workspace ping"]
    workspace, _ = calls.workspace
    fresh = (await served.api("POST", f"/api/workspaces/{workspace}/token/rotate"))["token"]
    refused(await served.post(path, token=old), 401, BAD_KEY)
    assert (await served.post(path, token=fresh)).status_code == 202
    assert (await calls.beats.ping()).status_code == 202


async def test_tokens_outlive_a_restart_and_old_ones_stay_dead(tmp_path):
    async with serving(tmp_path) as served:
        calls = await Calls.made(served)
        path, old = calls.paths()["workspace ping"]
        fresh = (await served.api("POST", "/api/workspaces/default/token/rotate"))["token"]
        rotated = (await served.api("POST", f"/api/monitors/{calls.runs.id}/token/rotate"))["token"]
    async with serving(tmp_path) as served:
        calls.beats.served = calls.runs.served = served
        assert (await calls.beats.ping()).status_code == 202
        refused(await calls.runs.start(), 401, BAD_KEY)
        assert (await calls.runs.start(token=rotated)).status_code == 202
        refused(await served.post(path, token=old), 401, BAD_KEY)
        assert (await served.post(path, token=fresh)).status_code == 202


async def test_no_workspace_reaches_into_another(tmp_path):
    async with serving(tmp_path) as served:
        mine = await served.monitor(slug="job")
    db = sqlite3.connect(tmp_path / "luota.db")
    with db:
        row = ("55555555-5555-4555-8555-555555555555", "Other", "other", "salt", 0)
        db.execute("INSERT INTO workspaces (id, name, slug, token_salt, created_at) VALUES (?, ?, ?, ?, ?)", row)
    db.close()
    async with serving(tmp_path) as served:
        doc = {"name": "n", "mode": "heartbeat", "schedule": {"every": 60}, "slug": "theirs"}
        made = await served.api("POST", "/api/monitors?workspace=other", doc)
        theirs = Monitor(served, made["monitor"], made["token"])
        here, mine_token = await workspace_of(served)
        there, their_token = await workspace_of(served, "other")
        for workspace, token in ((here, mine_token), (there, their_token)):
            for named in (theirs.id, theirs.slug) if workspace == here else (mine.id, mine.slug):
                path = f"/v1/workspaces/{workspace}/monitors/{named}/ping"
                refused(await served.post(path, token=token), 404, NO_MONITOR)
        path = f"/v1/workspaces/{there}/monitors/theirs/ping"
        refused(await served.post(path, token=mine_token), 401, BAD_KEY)
        assert (await served.post(path, token=their_token)).status_code == 202


# What is not there


@pytest.mark.parametrize("odd", [NOBODY, "x", "2222", NOBODY.replace("-", ""), "%00", "%ff%fe", "a%2Fb", "{}", "ä"])
async def test_a_malformed_or_unknown_id_in_a_path_is_404(served, calls, odd):
    workspace, token = calls.workspace
    for path in (
        f"/v1/monitors/{odd}/ping",
        f"/v1/workspaces/{odd}/monitors/{calls.beats.id}/ping",
        f"/v1/workspaces/{workspace}/monitors/{odd}/ping",
    ):
        answer = await served.post(path, token=token)
        assert answer.status_code == 404
        if "%2F" not in odd:
            assert answer.json() == NO_MONITOR
    if odd != NOBODY:
        for word in ("success", "fail"):
            answer = await served.post(f"/v1/runs/{odd}/{word}", token=calls.runs.token)
            assert answer.status_code == 404
            assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("odd", [None, "", "x", 7, True, {}, [], NOBODY.replace("-", ""), f" {NOBODY}", f"{NOBODY}\n"])
async def test_a_malformed_id_in_the_body_of_a_start_is_400(served, calls, odd):
    invalid(await calls.runs.start(body={"monitorId": odd}), "monitorId", "is no UUID" if odd is not None else "null")


async def test_a_start_without_a_monitor_id_is_400_and_with_an_unknown_one_404(served, calls):
    invalid(await served.post("/v1/runs/start", {"externalRunId": "x"}, calls.runs.token), "monitorId")
    invalid(await served.post("/v1/runs/start", None, calls.runs.token), "monitorId")
    refused(await calls.runs.start(body={"monitorId": NOBODY}), 404, NO_MONITOR)


async def test_an_unknown_run_is_refused_like_a_wrong_key(served, calls):
    for word in ("success", "fail"):
        answer = await served.post(f"/v1/runs/{NOBODY}/{word}", {"summary": "x"}, calls.runs.token)
        refused(answer, 401, BAD_KEY_OR_RUN)


async def test_an_archived_monitor_is_404_and_its_runs_401(served, calls):
    await calls.beats.archive()
    await calls.runs.archive()
    refused(await calls.beats.ping(), 404, NO_MONITOR)
    refused(await calls.runs.start(), 404, NO_MONITOR)
    path, token = calls.paths()["workspace ping"]
    refused(await served.post(path, token=token), 404, NO_MONITOR)
    refused(await served.post(path.replace(calls.beats.id, calls.beats.slug), token=token), 404, NO_MONITOR)
    for run in (calls.open_run, calls.closed_run):
        refused(await calls.runs.success(run), 401, BAD_KEY_OR_RUN)
        refused(await calls.runs.fail(run), 401, BAD_KEY_OR_RUN)
    assert served.rows("SELECT count(*) FROM heartbeats") == [(0,)]


async def test_a_ping_to_a_run_monitor_names_the_call_to_use(served, calls):
    workspace, token = calls.workspace
    invalid(await calls.runs.ping(), "monitorId", "/v1/runs/start")
    path = f"/v1/workspaces/{workspace}/monitors/{calls.runs.id}/ping"
    invalid(await served.post(path, token=token), "monitorId", "/v1/runs/start")
    assert served.rows("SELECT count(*) FROM heartbeats") == [(0,)]


@pytest.mark.parametrize("mode", ["heartbeat", "freshness"])
async def test_a_start_to_a_monitor_without_runs_names_the_call_to_use(served, mode):
    monitor = await served.monitor(mode)
    invalid(await monitor.start(), "monitorId", f"/v1/monitors/{monitor.id}/ping")
    assert served.rows("SELECT count(*) FROM runs") == [(0,)]


async def test_a_close_in_the_opposite_sense_conflicts_in_the_seeds_words(served, calls):
    said = "Run is already successful and cannot be marked failed."
    refused(await calls.runs.fail(calls.closed_run), 409, {"error": said})
    await calls.runs.fail(calls.open_run)
    said = "Run is already failed and cannot be marked successful."
    refused(await calls.runs.success(calls.open_run), 409, {"error": said})
    assert served.rows("SELECT external_run_id, state FROM runs ORDER BY 1") == [
        ("closed", "success"),
        ("open", "failed"),
    ]


# Which reason is told first: 413, address limit, syntax and monitorId, 404, 401, limits, other 400, 409


async def test_413_comes_before_everything(serve):
    served = await serve(limits=Limits(**{**UNLIMITED, "ip_per_minute": 2}))
    calls = await Calls.made(served)
    await exhaust_address(served)
    for path, token in [*calls.paths().values(), (f"/v1/monitors/{NOBODY}/ping", None)]:
        answer = await served.post(path, TOO_LARGE, token)
        refused(answer, 413, {"code": "request_failed", "error": "Request failed"})


async def test_the_address_limit_comes_before_syntax_and_monitor_id(serve):
    served = await serve(limits=Limits(**{**UNLIMITED, "ip_per_minute": 2}))
    calls = await Calls.made(served)
    await exhaust_address(served)
    for path, token in calls.paths().values():
        assert (await served.post(path, MALFORMED, token)).json()["policy"] == "ingest.ip.minute"
    answer = await served.post("/v1/runs/start", {"monitorId": "x"})
    assert (answer.status_code, answer.json()["policy"]) == (429, "ingest.ip.minute")


async def test_syntax_comes_before_404_and_401(served, calls):
    for path, _ in calls.paths().values():
        invalid(await served.post(path, MALFORMED, "wrong"), "body")
    invalid(await served.post(f"/v1/monitors/{NOBODY}/ping", MALFORMED), "body")
    invalid(await served.post("/v1/runs/x/success", MALFORMED), "body")
    invalid(await served.post("/v1/runs/start", {"monitorId": "x"}, "wrong"), "monitorId")


async def test_404_comes_before_401(served, calls):
    workspace, _ = calls.workspace
    refused(await served.post(f"/v1/monitors/{NOBODY}/ping", token="wrong"), 404, NO_MONITOR)
    refused(await served.post(f"/v1/workspaces/{workspace}/monitors/x/ping", token="wrong"), 404, NO_MONITOR)
    refused(await served.post(f"/v1/workspaces/{NOBODY}/monitors/x/ping", token="wrong"), 404, NO_MONITOR)
    refused(await served.post("/v1/runs/start", {"monitorId": NOBODY}, "wrong"), 404, NO_MONITOR)


async def test_404_comes_before_other_400(served, calls):
    refused(await served.post(f"/v1/monitors/{NOBODY}/ping", {"payload": 1}), 404, NO_MONITOR)
    refused(await served.post("/v1/runs/start", {"monitorId": NOBODY, "externalRunId": 1}), 404, NO_MONITOR)


async def test_401_comes_before_the_limits_and_drains_none(serve):
    served = await serve(limits=Limits(**{**UNLIMITED, "monitor_per_minute": 3, "workspace_per_minute": 4}))
    calls = await Calls.made(served)  # three requests of the run monitor, so its bucket is empty
    served.clock.advance(1)
    refused(await calls.runs.start(token="wrong"), 401, BAD_KEY)
    refused(await calls.runs.success(calls.open_run, token="wrong"), 401, BAD_KEY_OR_RUN)
    path, token = calls.paths()["workspace ping"]
    for _ in range(10):
        refused(await calls.beats.ping(token="wrong"), 401, BAD_KEY)
        refused(await served.post(path, token="wrong"), 401, BAD_KEY)
    assert (await served.post(path, token=token)).status_code == 202  # the workspace's fourth
    refused(await served.post(path, token="wrong"), 401, BAD_KEY)
    assert (await served.post(path, token=token)).status_code == 429


async def test_401_comes_before_other_400_and_409(served, calls):
    refused(await calls.beats.ping({"payload": 1}, token="wrong"), 401, BAD_KEY)
    refused(await calls.runs.ping(token="wrong"), 401, BAD_KEY)
    refused(await calls.runs.start(body={"externalRunId": 1}, token="wrong"), 401, BAD_KEY)
    refused(await calls.beats.start(token="wrong"), 401, BAD_KEY)
    refused(await calls.runs.fail(calls.open_run, {}, token="wrong"), 401, BAD_KEY_OR_RUN)
    refused(await calls.runs.fail(calls.closed_run, token="wrong"), 401, BAD_KEY_OR_RUN)


async def test_the_limits_come_before_other_400_and_409(serve):
    served = await serve(limits=Limits(**{**UNLIMITED, "workspace_per_minute": 3}))
    calls = await Calls.made(served)  # three requests: the workspace's bucket is empty
    path, token = calls.paths()["workspace ping"]
    for answer in (
        await calls.beats.ping({"payload": 1}),
        await calls.runs.ping(),
        await calls.beats.start(),
        await calls.runs.start(body={"externalRunId": 1}),
        await calls.runs.fail(calls.open_run, {}),
        await calls.runs.fail(calls.closed_run),
        await served.post(path, {"payload": 1}, token),
    ):
        assert (answer.status_code, answer.json()["policy"]) == (429, "ingest.workspace.minute")


async def test_other_400_comes_before_409(served, calls):
    invalid(await calls.runs.fail(calls.closed_run, {}), "summary")
    invalid(await calls.runs.fail(calls.closed_run, {"summary": "x", "payload": []}), "payload")
    await calls.runs.fail(calls.open_run)
    invalid(await calls.runs.success(calls.open_run, {"tags": {"a": 1}}), "tags.a")
