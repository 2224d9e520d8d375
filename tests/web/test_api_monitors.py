"""Monitors over the operator's API: the shapes that scripts rely on, and what it refuses."""

import re

import pytest

from tests.clock import FakeClock
from tests.served import NOBODY, NOW, UUID, serving
from tests.web.calls import HEARTBEAT, INSTANT, refused


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


async def test_the_last_signal_of_a_run_monitor_is_its_newest_start_or_close_after_a_restart_too(tmp_path):
    clock = FakeClock(NOW)
    async with serving(tmp_path, clock=clock) as served:
        monitor = await served.monitor("run", slug="job")
        one, other = await monitor.started("one"), await monitor.started("other")
        for close, run, at in ((monitor.success, one, ":12.398Z"), (monitor.fail, other, ":13.398Z")):
            clock.advance(1_000)
            await close(run)
            assert (await monitor.shown())["lastSignalAt"] == "2026-04-29T01:33" + at
    async with serving(tmp_path, clock=clock) as served:
        (shown,) = (await served.api("GET", "/api/monitors"))["monitors"]
        assert shown["lastSignalAt"] == "2026-04-29T01:33:13.398Z"
        clock.advance(1_000)
        begun = {"monitorId": shown["id"], "externalRunId": "third"}
        await served.post("/v1/runs/start", begun, (await served.api("GET", "/api/monitors/job/token"))["token"])
        (shown,) = (await served.api("GET", "/api/monitors"))["monitors"]
        assert shown["lastSignalAt"] == "2026-04-29T01:33:14.398Z"


async def test_a_close_that_a_clock_set_back_puts_in_the_future_is_shown_as_of_now(served):
    monitor = await served.monitor("run")
    run = await monitor.started()
    served.clock.advance(3_600_000)
    await monitor.success(run)
    served.clock.step(-1_800_000)
    await served.engine.stamp()
    assert (await monitor.shown())["lastSignalAt"] == "2026-04-29T02:03:11.398Z"


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
            said = await refused(served, 404, "monitor", method, f"/api/monitors/{named}{path}", {})
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
    await refused(served, 404, "monitor", "GET", f"/api/monitors/{monitor.id[:7]}")
    await monitor.archive()
    await refused(served, 404, "monitor", "GET", f"/api/monitors/{monitor.id[:8]}")
    assert await served.api("GET", f"/api/incidents?monitor={monitor.id[:8]}") == {"incidents": [], "more": False}


async def test_a_beginning_that_several_ids_share_is_refused_with_their_names(served, monkeypatch):
    ids = iter(f"abcdef01-0000-4000-8000-{number:012}" for number in range(9))
    monkeypatch.setattr("luota.engine.monitors.new_id", lambda: next(ids))
    one, other = await served.monitor(slug="one"), await served.monitor(slug="other")
    for path in ("/api/monitors/abcdef01", "/api/incidents?monitor=abcdef01"):
        said = await refused(served, 409, "monitor", "GET", path)
        assert f"one ({one.id})" in said
        assert f"other ({other.id})" in said
    by_slug = await served.monitor(slug="abcdef01")
    assert (await served.api("GET", "/api/monitors/abcdef01"))["monitor"]["id"] == by_slug.id
