"""What people do to channels: where they may point, who is told, and what a removal leaves behind."""

import asyncio
import json

import pytest

from tests.clock import FakeClock
from tests.receiver import Receiver, after, reply
from tests.served import LOOPBACK, NOW, serving

HOUR = 3_600_000


async def add(served, name="ops", url="https://hooks.example/x", status=200, **changes):
    return await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": url, **changes}, status)


async def failing(served, **fields):
    """Let a new run monitor fail; return it."""
    monitor = await served.monitor("run", **fields)
    await monitor.fail(await monitor.started())
    return monitor


def deliveries(served):
    sql = "SELECT c.name, d.type, d.state, d.last_error FROM deliveries d JOIN channels c ON c.id = d.channel_id"
    return served.rows(f"{sql} ORDER BY d.seq")


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1:8000/hook", '[alerts] allow_networks = ["127.0.0.0/8"]'),
        ("http://127.1/", '[alerts] allow_networks = ["127.0.0.0/8"]'),
        ("http://localhost:8000/", "[alerts] allow_networks = ["),
        ("http://[::1]/", '[alerts] allow_networks = ["::1/128"]'),
        ("http://169.254.169.254/latest", '[alerts] allow_networks = ["169.254.0.0/16"]'),
    ],
)
async def test_a_webhook_to_loopback_or_link_local_is_refused_and_the_refusal_names_the_line(served, url, line):
    refused = await add(served, url=url, status=400)
    assert refused["field"] == "url"
    assert line in refused["message"]
    assert (await served.api("GET", "/api/channels")) == {"channels": []}


async def test_the_line_allows_it(serve):
    served = await serve(allow=LOOPBACK)
    added = (await add(served, url="http://127.0.0.1:1/hook"))["channel"]
    assert (added["name"], added["type"], added["lastDelivery"]) == ("ops", "webhook", None)
    assert "url" not in json.dumps(added).lower()
    assert (await served.api("GET", "/api/channels")) == {"channels": [added]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "pigeon"}, "type"),
        ({"type": None}, "type"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"url": None}, "url"),
        ({"url": "ftp://hooks.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": ["https://hooks.example/"]}, "url"),
    ],
)
async def test_a_channel_that_makes_no_sense_is_refused_with_its_field(served, changes, field):
    assert (await add(served, status=400, **changes))["field"] == field


async def test_a_name_that_is_taken_conflicts_and_is_free_again_after_removal(serve):
    served = await serve(allow=LOOPBACK)
    await add(served, url="http://127.0.0.1:1/")
    refused = await add(served, url="http://127.0.0.1:2/", status=409)
    assert refused["field"] == "name"
    await served.api("DELETE", "/api/channels/ops")
    await add(served, url="http://127.0.0.1:2/")


async def test_of_many_channels_of_one_name_at_once_one_is_added(serve):
    served = await serve(allow=LOOPBACK)
    doc = json.dumps({"type": "webhook", "name": "ops", "url": "http://127.0.0.1:1/"}).encode()
    calls = [served.call("POST", "/api/channels", content=doc, local=True) for _ in range(6)]
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_a_channel_hears_of_every_monitor_unless_the_monitor_names_its_own(serve):
    served = await serve(allow=LOOPBACK)
    for name in ("one", "two"):
        await add(served, name, "http://127.0.0.1:1/")
    await failing(served)
    assert [row[0] for row in deliveries(served)] == ["one", "two"]
    own = await failing(served, channels=["two"])
    assert [row[0] for row in deliveries(served)] == ["one", "two", "two"]
    assert (await own.shown())["channels"] == ["two"]
    await served.api("PATCH", f"/api/monitors/{own.id}", {"channels": None})
    served.clock.advance(1000)
    await own.success(await own.started("next"))
    assert [row[:2] for row in deliveries(served)[3:]] == [
        ("one", "incident.opened"),
        ("one", "incident.resolved"),
        ("two", "incident.resolved"),
    ]


async def test_a_new_channel_is_told_of_what_is_open_by_its_own_rules_and_a_restart_keeps_them(tmp_path):
    rules = {"kinds": ["stuck"], "notify": ["resolved"], "delaySeconds": 600}
    async with serving(tmp_path, allow=LOOPBACK) as served:
        await failing(served)
        await add(served, "other kinds", "http://127.0.0.1:1/", kinds=["stuck"])
        await add(served, "ends", "http://127.0.0.1:1/", notify=["resolved"])
        await add(served, "all of it", "http://127.0.0.1:1/", **rules)
        assert deliveries(served) == []
        await add(served, "patient", "http://127.0.0.1:1/", delaySeconds=600)
        assert served.rows("SELECT next_attempt_at FROM deliveries") == [(NOW + 600_000,)]
        (detail,) = served.row("SELECT detail FROM audit_entries WHERE detail LIKE '%all of it%'")
        assert json.loads(detail) == {"name": "all of it", "type": "webhook", **rules}
        await failing(served)
        assert [row[0] for row in deliveries(served)] == ["patient", "patient"]
    async with serving(tmp_path) as served:
        shown = {one["name"]: one for one in (await served.api("GET", "/api/channels"))["channels"]}
        assert {key: shown["all of it"][key] for key in rules} == rules


async def test_routes_outlive_a_restart(tmp_path):
    async with serving(tmp_path, allow=LOOPBACK) as served:
        for name in ("one", "two"):
            await add(served, name, "http://127.0.0.1:1/")
        monitor = await served.monitor("run", channels=["two"])
        await served.api("DELETE", "/api/channels/one")
    async with serving(tmp_path) as served:
        monitor.served = served
        await monitor.fail(await monitor.started())
        await failing(served)
        assert [row[0] for row in deliveries(served)] == ["two", "two"]


async def test_what_channels_want_is_known_of_those_that_are_there_alone(served):
    registry = served.engine.registry
    (workspace_id,) = registry.workspaces
    for name in ("one", "two", "three"):
        await add(served, name, kinds=["missed"])
    await served.api("DELETE", "/api/channels/two")
    workspace = registry.workspaces[workspace_id]
    assert (len(workspace.channels), tuple(workspace.wants)) == (2, workspace.channels)


async def test_what_a_removed_channel_had_not_sent_is_cancelled_with_the_reason(serve):
    served = await serve(allow=LOOPBACK)
    for name in ("gone", "stays"):
        await add(served, name, "http://127.0.0.1:1/")
    monitor = await failing(served)
    removed = await served.api("DELETE", "/api/channels/gone")
    assert removed["channel"]["name"] == "gone"
    assert deliveries(served) == [
        ("gone", "incident.opened", "cancelled", "the channel was removed"),
        ("stays", "incident.opened", "queued", None),
    ]
    (incident,) = (await served.api("GET", f"/api/incidents?monitor={monitor.id}"))["incidents"]
    cancelled = incident["deliveries"][0]
    assert (cancelled["state"], cancelled["nextAttemptAt"]) == ("cancelled", None)
    assert cancelled["lastError"] == "the channel was removed"
    served.clock.advance(1000)
    await monitor.success(await monitor.started("next"))
    assert [row[0] for row in deliveries(served)] == ["gone", "stays", "stays"]
    await served.api("DELETE", "/api/channels/gone", None, 404)


async def test_a_removal_leaves_what_was_delivered_as_it_is(serve):
    async with Receiver() as receiver:
        served = await serve(allow=LOOPBACK)
        await add(served, url=receiver.url)
        await served.api("POST", "/api/channels/ops/test")
    await served.api("DELETE", "/api/channels/ops")
    assert deliveries(served) == [("ops", "channel.test", "delivered", None)]


async def test_a_monitor_whose_own_channel_was_removed_is_told_over_the_others(serve):
    served = await serve(allow=LOOPBACK)
    for name in ("gone", "stays"):
        await add(served, name, "http://127.0.0.1:1/")
    monitor = await served.monitor("run", channels=["gone"])
    await served.api("DELETE", "/api/channels/gone")
    assert (await monitor.shown())["channels"] is None
    await monitor.fail(await monitor.started())
    assert [row[0] for row in deliveries(served)] == ["stays"]


@pytest.mark.parametrize("running", [True, False])
async def test_a_test_sends_one_real_notice_and_tells_its_outcome(serve, running):
    async with Receiver() as receiver:
        receiver.answers = [reply(200, {"x-request-id": "abc"}), reply(503)]
        served = await serve(allow=LOOPBACK, send=running)
        await add(served, url=receiver.url)
        proven = (await served.api("POST", "/api/channels/ops/test"))["delivery"]
        assert (proven["state"], proven["attempts"], proven["providerId"]) == ("delivered", 1, "abc")
        failed = (await served.api("POST", "/api/channels/ops/test"))["delivery"]
        assert (failed["state"], failed["attempts"]) == ("failed_terminal", 1)
        assert "503" in failed["lastError"]
    assert [request.json["type"] for request in receiver.requests] == ["channel.test"] * 2
    assert receiver.requests[0].json["delivery"]["id"] == proven["id"]
    (channel,) = (await served.api("GET", "/api/channels"))["channels"]
    assert (failed.pop("status"), failed.pop("answer")) == (503, None)
    assert channel["lastDelivery"] == failed


async def test_an_incident_and_its_end_reach_the_receiver_in_order(serve):
    async with Receiver() as receiver:
        served = await serve(allow=LOOPBACK, send=True)
        await add(served, url=receiver.url)
        monitor = await failing(served)
        await receiver.wait(1)  # what is not sent yet would be told by the end
        served.clock.advance(1000)
        await monitor.success(await monitor.started("next"))
        requests = await receiver.wait(2)
    assert [request.json["type"] for request in requests] == ["incident.opened", "incident.resolved"]
    assert requests[0].json["monitor"]["id"] == monitor.id


async def test_a_channel_removed_during_an_attempt_stays_cancelled(serve):
    async with Receiver() as receiver:
        held = asyncio.Event()
        receiver.default = after(held, reply(503))
        served = await serve(allow=LOOPBACK, send=True)
        await add(served, url=receiver.url)
        await failing(served)
        await receiver.wait(1)
        await served.api("DELETE", "/api/channels/ops")
        held.set()
        for _ in range(200):
            if served.rows("SELECT 1 FROM attempts"):
                break
            await asyncio.sleep(0.01)
    assert deliveries(served) == [("ops", "incident.opened", "cancelled", "the channel was removed")]
    assert served.rows("SELECT status, ok FROM attempts") == [(503, 0)]


async def test_an_unknown_channel_is_404(served):
    for method, path in (("DELETE", "/api/channels/nope"), ("POST", "/api/channels/nope/test")):
        assert "luota channel list" in (await served.api(method, path, None, 404))["error"]


async def test_a_blind_window_is_told_once_to_each_channel_in_one_digest(tmp_path):
    clock = FakeClock(NOW)
    async with serving(tmp_path, allow=LOOPBACK, clock=clock) as served:
        for name in ("one", "two"):
            await add(served, name, "http://127.0.0.1:1/")
        beats = [await served.monitor(name=f"job {n}") for n in range(3)]
        for monitor in beats:
            await monitor.ping()
    clock.advance(2 * HOUR)
    async with serving(tmp_path, alarm=True, clock=clock) as served:
        for _ in range(200):
            if len(deliveries(served)) >= 2:
                break
            await asyncio.sleep(0.01)
        told = sorted(row[:3] for row in deliveries(served))
        assert told == [("one", "watch.gap", "queued"), ("two", "watch.gap", "queued")]
        notice = json.loads(served.row("SELECT notice FROM deliveries LIMIT 1")[0])
        assert [monitor["name"] for monitor in notice["unverified"]] == ["job 0", "job 1", "job 2"]
        assert served.row("SELECT count(*) FROM incidents") == (0,)
    async with serving(tmp_path, alarm=True, clock=clock) as served:
        await asyncio.sleep(0.1)
        assert len(deliveries(served)) == 2


async def test_each_change_is_one_entry_without_the_address(serve):
    served = await serve(allow=LOOPBACK)
    await add(served, url="http://127.0.0.1:1/secret-path")
    await served.api("POST", "/api/channels/ops/test")
    await served.api("DELETE", "/api/channels/ops")
    await add(served, url="http://10.255.255.1/refused", name="", status=400)
    entries = served.rows("SELECT action, actor, source, detail FROM audit_entries ORDER BY rowid")
    assert [entry[:3] for entry in entries] == [
        (action, "operator", "unix socket") for action in ("channel.add", "channel.test", "channel.remove")
    ]
    assert "secret-path" not in json.dumps(entries)


async def test_the_reply_to_a_removal_names_the_monitors_that_lose_the_channel_and_no_twin(served):
    await add(served)
    job, twin = await served.monitor(channels=["ops"]), await served.monitor(name="twin", channels=["ops"])
    served.engine.registry.monitors[twin.id].drill_of = job.id
    removed = await served.api("DELETE", "/api/channels/ops")
    assert removed["monitors"] == [{"id": job.id, "slug": job.slug, "channels": None}]
