"""Packets over the API: all that is known of one incident, read from a real file."""

import asyncio
import json

from luota import __version__
from luota.core.spec.values import format_instant, parse_instant
from tests.hostile import HOSTILE
from tests.markdown import ROOT, fences
from tests.process import Daemon
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY, NOW

HOUR = 3_600_000
FREE_FORM = {"tags", "schedule"}
PROMISE = {"promise": "Out by nine", "owner": "Ann", "runbook": "https://wiki.example/a"}


async def exported(served, incident, **how):
    return (await served.api("GET", f"/api/incidents/{incident}/packet", **how))["packet"]


async def incident_of(monitor):
    return (await monitor.shown())["incidentId"]


async def failed(served, body=None, start=None, **fields):
    """A run monitor with a healthy run, then one that failed; its incident's id."""
    monitor = await served.monitor("run", **{**PROMISE, **fields})
    before = {"deploySha": "4b825dc", "host": "db-1", "tags": {"team": "ops"}}
    run = await monitor.started("first", before)
    served.clock.advance(10_000)
    await monitor.success(run)
    served.clock.advance(HOUR)
    run = await monitor.started(
        "second", {"deploySha": "c0ffee1", "host": "db-1", "tags": {"team": "ops"}, **(start or {})}
    )
    served.clock.advance(90_000)
    assert (await monitor.fail(run, body)).status_code == 202
    return monitor, await incident_of(monitor)


async def test_a_packet_holds_all_that_a_run_sent_with_payloads_as_they_came(served):
    monitor = await served.monitor("run")
    begun, closed = '{"b": 1.10,  "a":[1e3, "\\u00e9"]}', '{"bytes": 7.0}'
    doc = {"monitorId": monitor.id, "externalRunId": "one", "environment": "production", "payload": 0}
    sent = json.dumps(doc).replace('"payload": 0', f'"payload": {begun}').encode()
    answer = await served.post("/v1/runs/start", sent, monitor.token)
    assert answer.status_code == 202, answer.text
    output = "line\n" * 5000 + "the end"
    doc = {"summary": "disk full", "exitCode": 28, "output": output, "payload": 0}
    sent = json.dumps(doc).replace('"payload": 0', f'"payload": {closed}').encode()
    assert (await monitor.fail(answer.json()["run"]["id"], sent)).status_code == 202
    told = (await exported(served, await incident_of(monitor)))["run"]
    assert (told["summary"], told["exitCode"], told["output"]) == ("disk full", 28, output)
    assert (told["startPayload"], told["closePayload"], told["environment"]) == (begun, closed, "production")


async def test_a_packet_tells_what_changed_since_the_last_healthy_run(served):
    _, incident = await failed(served)
    told = await exported(served, incident)
    assert told["lastHealthyRun"]["externalRunId"] == "first"
    assert (told["run"]["externalRunId"], told["run"]["durationSeconds"]) == ("second", 90)
    assert told["changes"] == [
        {"label": "deploy SHA", "before": "4b825dc", "after": "c0ffee1"},
        {"label": "duration", "before": "10 s", "after": "1 min 30 s"},
    ]


async def test_a_packet_keeps_the_words_of_the_opening_and_tells_which_keys_were_edited_since(served):
    monitor, incident = await failed(served)
    changes = {"promise": "Out by ten", "owner": "Bob", "runbook": None, "name": "another", "maxRuntimeSeconds": 60}
    assert (await exported(served, incident))["monitor"]["editsSinceOpening"] == []
    served.clock.advance(1000)
    await served.api("PATCH", f"/api/monitors/{monitor.id}", changes)
    told = await exported(served, incident)
    assert told["atOpening"] == {**PROMISE, "monitorName": "a run job"}
    assert told["monitor"]["definition"]["maxRuntimeSeconds"] == 60
    (edit,) = told["monitor"]["editsSinceOpening"]
    assert (edit["actor"], edit["keys"]) == ("operator", sorted(changes))
    markdown = (await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"]
    assert "`Ann`" in markdown
    assert "It was edited since the incident opened" in markdown


async def test_what_was_expected_is_told_in_utc_and_in_the_timezone_of_the_monitor(served):
    monitor = await served.monitor(
        schedule={"cron": "0 6 * * *", "timezone": "Europe/Helsinki"}, graceSeconds=1800, **PROMISE
    )
    await monitor.ping({"payload": {"host": "db-1", "deploySha": "abc"}})
    served.clock.advance(3 * HOUR)
    await served.judge()
    told = await exported(served, await incident_of(monitor))
    assert told["expected"] == {
        "what": "a signal",
        "at": "2026-04-29T03:00:00.000Z",
        "local": "2026-04-29T06:00:00.000+03:00",
        "timezone": "Europe/Helsinki",
    }
    assert told["incident"]["openedAt"] == "2026-04-29T03:30:00.000Z"
    assert told["incident"]["reason"] == told["timeline"][0]["text"]
    assert (told["lastSignal"]["host"], told["lastSignal"]["deploySha"]) == ("db-1", "abc")
    assert told["lastSignal"]["payload"] == '{"host": "db-1", "deploySha": "abc"}'
    assert (told["run"], told["changes"]) == (None, None)


async def test_the_newest_ping_by_the_opening_is_told_and_no_later_one(served):
    monitor = await served.monitor()
    for step in range(2):
        await monitor.ping({"payload": {"step": step}})
        served.clock.advance(1000)
    served.clock.advance(2 * HOUR)
    await served.judge()
    incident = await incident_of(monitor)
    await monitor.ping({"payload": {"step": 2}})
    told = await exported(served, incident)
    assert told["lastSignal"]["payload"] == '{"step": 1}'
    assert told["incident"]["state"] == "resolved"
    assert "ping" in told["incident"]["resolution"]


async def test_a_missed_run_shows_the_newest_one_that_had_begun(served):
    monitor = await served.monitor("run", schedule={"every": 3600})
    await monitor.success(await monitor.started("one"))
    served.clock.advance(2 * HOUR)
    await served.judge()
    told = await exported(served, await incident_of(monitor))
    assert (told["incident"]["kind"], told["run"]["externalRunId"], told["lastHealthyRun"]) == ("missed", "one", None)


async def test_the_timeline_names_who_did_what_and_why(served):
    _, incident = await failed(served)
    for what, body in (
        ("acknowledge", {"reason": "looking"}),
        ("note", {"text": "a\nb"}),
        ("resolve", {"reason": "r"}),
    ):
        served.clock.advance(1000)
        await served.api("POST", f"/api/incidents/{incident}/{what}", body)
    told = await exported(served, incident)
    written = [(e["type"], e["actor"], e["text"]) for e in told["timeline"]]
    assert written[1:3] == [("acknowledged", "operator", "looking"), ("note", "operator", "a\nb")]
    assert written[3] == (
        "resolved",
        "operator",
        "resolved by hand by operator: r; unverified until the next signal",
    )
    assert (told["timeline"][0]["type"], told["timeline"][0]["actor"]) == ("opened", None)
    assert told["incident"]["acknowledgedAt"] < told["incident"]["resolvedAt"]


async def test_each_delivery_is_told_with_its_attempts_and_no_secret_of_its_channel(serve):
    served = await serve(send=True, allow=LOOPBACK)
    async with Receiver() as receiver:
        receiver.default = reply(503, body=b"busy")
        channel = {"type": "webhook", "name": "desk", "url": receiver.url + "?key=s3cret-url"}
        added = await served.api("POST", "/api/channels", {**channel, "headers": {"Authorization": "s3cret-header"}})
        _, incident = await failed(served)
        await receiver.wait(1)
        async with asyncio.timeout(20):
            while not (told := await exported(served, incident))["deliveries"][0]["attempts"]:
                await asyncio.sleep(0.02)
    (delivery,) = told["deliveries"]
    assert (delivery["channel"], delivery["channelType"], delivery["notice"]) == ("desk", "webhook", "incident.opened")
    assert (delivery["state"], delivery["attempts"][0]["status"]) == ("failed_retrying", 503)
    assert delivery["nextAttemptAt"] is not None
    assert delivery["attempts"][0]["durationMs"] >= 0
    markdown = (await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"]
    assert "failed, retrying" in markdown
    for text in (json.dumps(told), markdown):
        assert "s3cret" not in text
        assert added["secret"] not in text


async def test_a_notice_that_a_digest_told_names_it_and_shows_its_attempts(served):
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://hooks.example.org/x"})
    _, incident = await failed(served)
    db = served.engine.writer._db
    (told,) = served.rows("SELECT id FROM deliveries")[0]
    await db.execute(
        "INSERT INTO deliveries (id, workspace_id, channel_id, type, notice, state, queued_at) "
        "SELECT 'digest', workspace_id, channel_id, 'incident.digest', '{}', 'delivered', queued_at FROM deliveries"
    )
    await db.execute("INSERT INTO attempts VALUES ('digest', 1, ?, ?, 1, 200, NULL, 'p-1', 0)", (NOW, NOW + 7))
    await db.execute("UPDATE deliveries SET state = 'cancelled', told_by = 'digest' WHERE id = ?", (told,))
    first, second = (await exported(served, incident))["deliveries"]
    assert (first["state"], first["toldBy"], first["attempts"]) == ("cancelled", "digest", [])
    assert (second["id"], second["notice"], second["attempts"][0]["providerId"]) == ("digest", "incident.digest", "p-1")


async def blind(served, *windows):
    """Put blind windows on record, each from one instant to another."""
    db = served.engine.writer._db
    for start, end in windows:
        await db.execute("INSERT INTO blind_windows (started_at, ended_at, reason) VALUES (?, ?, 'off')", (start, end))


async def blind_ends(served, incident):
    return [parse_instant(one["to"], "to") for one in (await exported(served, incident))["blindWindows"]]


async def test_blind_windows_are_told_from_the_start_of_the_run_to_the_end(served):
    _, incident = await failed(served)
    opened = served.row("SELECT opened_at FROM incidents")[0]
    began = opened - 90_000
    hidden, during, later = (began - 20, began), (opened + 5, opened + 6), (opened + 2000, opened + 3000)
    await blind(served, (began - 40, began - 21), hidden, during, later)
    assert await blind_ends(served, incident) == [hidden[1], during[1], later[1]]
    served.clock.advance(1000)
    await served.api("POST", f"/api/incidents/{incident}/resolve")
    assert await blind_ends(served, incident) == [hidden[1], during[1]]


async def test_a_blind_window_after_the_last_signal_is_told_though_it_was_over_before_anything_was_expected(served):
    monitor = await served.monitor()
    served.clock.advance(1000)
    await monitor.ping()
    last = served.clock.now()
    served.clock.advance(2 * HOUR)
    await served.judge()
    incident = await incident_of(monitor)
    await blind(served, (last - 9, last - 1), (last + 1000, last + 91_000))
    told = await exported(served, incident)
    assert told["blindWindowsSince"] == told["lastSignal"]["effectiveAt"]
    assert await blind_ends(served, incident) == [last + 91_000]
    markdown = (await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"]
    assert "the wait began anew at its end" in markdown


async def test_blind_windows_are_told_from_the_start_of_the_run_though_a_later_one_had_begun_by_the_opening(served):
    monitor = await served.monitor("run", maxRuntimeSeconds=60)
    await monitor.started("hung")
    began = served.clock.now()
    served.clock.advance(30_000)
    await monitor.started("later")
    served.clock.advance(60_000)
    await served.judge()
    assert (await exported(served, await incident_of(monitor)))["blindWindowsSince"] == format_instant(began)


async def test_blind_windows_are_told_from_the_run_before_the_opening_though_a_later_one_made_it_worse(served):
    monitor = await served.monitor("run", maxRuntimeSeconds=60)
    await monitor.started("hung")
    last = served.clock.now()
    served.clock.advance(HOUR)
    await served.judge()
    await monitor.fail(await monitor.started("failed"))
    told = await exported(served, await incident_of(monitor))
    assert (told["run"]["externalRunId"], told["timeline"][0]["kind"]) == ("failed", "stuck")
    assert told["blindWindowsSince"] == format_instant(last)


async def test_blind_windows_are_told_from_the_creation_where_no_signal_is_on_record(served):
    created = served.clock.now()
    monitor = await served.monitor()
    served.clock.advance(1000)
    await monitor.ping()
    served.clock.advance(2 * HOUR)
    await served.judge()
    await served.engine.writer._db.execute("DELETE FROM heartbeats")
    told = await exported(served, await incident_of(monitor))
    assert (told["lastSignal"], told["blindWindowsSince"]) == (None, format_instant(created))


async def test_of_many_blind_windows_the_newest_hundred_are_told_and_how_many_came_before(served):
    _, incident = await failed(served)
    opened = served.row("SELECT opened_at FROM incidents")[0]
    windows = [(opened + 10 * number, opened + 10 * number + 5) for number in range(107)]
    await blind(served, *windows)
    assert await blind_ends(served, incident) == [end for _, end in windows[7:]]
    assert (await exported(served, incident))["earlierBlindWindows"] == 7
    markdown = (await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"]
    assert "And 7 earlier." in markdown


async def test_the_incident_of_a_twin_is_labelled_as_a_drill(served):
    monitor, incident = await failed(served)
    assert (await exported(served, incident))["drill"] is None
    real = await served.monitor("run", name="the real one")
    db = served.engine.writer._db
    await db.execute("UPDATE monitors SET drill_of = ? WHERE id = ?", (real.id, monitor.id))
    label = {"monitorId": real.id, "monitorName": "the real one"}
    assert (await exported(served, incident))["drill"] == {"kind": None, **label}
    await db.execute(
        "INSERT INTO drills (id, workspace_id, monitor_id, twin_id, kind, state, steps, started_at, actor) "
        "SELECT 'd', workspace_id, ?, ?, 'failed', 'running', '[]', 0, 'x' FROM incidents",
        (real.id, monitor.id),
    )
    assert (await exported(served, incident))["drill"] == {"kind": "failed", **label}


async def test_a_packet_is_the_same_again_but_for_the_stamp_of_its_export(served):
    _, incident = await failed(served)
    first = await exported(served, incident)
    pages = [(await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"]]
    served.clock.advance(1234)
    second = await exported(served, incident)
    pages.append((await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown"))["markdown"])
    assert (first.pop("exportedAt"), second.pop("exportedAt")) == (
        "2026-04-29T02:34:51.398Z",
        "2026-04-29T02:34:52.632Z",
    )
    assert first == second
    assert first["luotaVersion"] == __version__
    assert pages[0].replace("02:34:51.398Z by Luota", "02:34:52.632Z by Luota") == pages[1]


async def test_hostile_texts_are_stored_and_exported_exactly(served):
    monitor = await served.monitor("run", name="a job")
    for number, text in enumerate(HOSTILE.values()):
        served.clock.advance(1000)
        run = await monitor.started(f"run {number}")
        output = text.encode()[: 32 * 1024].decode("utf-8", "ignore")
        body = json.dumps({"summary": text[:240], "output": output}, ensure_ascii=False).encode()
        answer = await monitor.fail(run, body)
        assert answer.status_code == 202, answer.text
        incident = await incident_of(monitor)
        told = (await exported(served, incident))["run"]
        assert (told["summary"], told["output"]) == (text[:240], output)
        await served.api("GET", f"/api/incidents/{incident}/packet?format=markdown")
        await served.api("POST", f"/api/incidents/{incident}/resolve")


async def test_an_incident_of_nobody_and_a_format_of_nobody_are_refused(served):
    _, incident = await failed(served)
    for wrong in ("nope", NOBODY, "%00"):
        answer = await served.api("GET", f"/api/incidents/{wrong}/packet", status=404)
        assert "luota incident list" in answer["error"]
    answer = await served.api("GET", f"/api/incidents/{incident}/packet?format=pdf", status=400)
    assert answer["field"] == "format"


async def test_an_incident_of_another_workspace_is_not_found(served):
    _, incident = await failed(served)
    await served.api("POST", "/api/workspaces", {"name": "Others"})
    for format in ("json", "markdown"):
        path = f"/api/incidents/{incident}/packet?format={format}"
        await served.api("GET", path)
        await served.api("GET", path + "&workspace=others", status=404)


async def test_what_happened_in_one_instant_is_told_in_its_order(served):
    monitor = await served.monitor("run")
    for number in range(12):  # ids are random: one incident could come out right by chance
        served.clock.advance(1000)
        await monitor.fail(await monitor.started(f"run {number}"))
        incident = await incident_of(monitor)
        await served.api("POST", f"/api/incidents/{incident}/note", {"text": "before"})
        await served.api("POST", f"/api/incidents/{incident}/resolve", {"reason": "done"})
        await served.api("POST", f"/api/incidents/{incident}/note", {"text": "after"})
        told = (await exported(served, incident))["timeline"]
        assert [event["type"] for event in told] == ["opened", "note", "resolved", "note"]


def shape(value):
    """The keys of a document at every level, with what kind of value each has."""
    if isinstance(value, dict):
        return {key: "…" if key in FREE_FORM else shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_the_example_in_the_page_is_what_the_daemon_answers(tmp_path):
    (block,) = [fence for fence in fences(ROOT / "docs" / "packets.md") if fence.language == "json"]
    documented = json.loads(block.text)
    async with Receiver() as receiver, Daemon(tmp_path / "data") as luota:
        await luota.webhook("desk", receiver.url)
        monitor = await luota.monitor(
            "Weekly report", "run", environment="production", tags={"team": "reports"}, **PROMISE
        )
        run = (await luota.run(monitor, "report-46", deploySha="4b825dc")).json()["run"]["id"]
        await luota.post(f"/v1/runs/{run}/success", monitor, {"summary": "14 accounts rendered"})
        start = {"deploySha": "c0ffee1", "host": "reports-1", "environment": "production", "payload": {"accounts": 14}}
        run = (await luota.run(monitor, "report-47", **start)).json()["run"]["id"]
        close = {"summary": "3 of 14 failed", "exitCode": 2, "output": "no template\n", "payload": {"missing": 3}}
        assert (await luota.post(f"/v1/runs/{run}/fail", monitor, close)).status_code == 202
        await receiver.wait(1)
        found = (await luota.api("GET", "/api/incidents"))["incidents"][0]["id"]
        path = f"/api/incidents/{found}"
        await luota.api("POST", f"{path}/acknowledge", {"reason": "the template of account 7 is gone"})
        await luota.api("PATCH", f"/api/monitors/{monitor.id}", {"graceSeconds": 60})
        async with asyncio.timeout(20):
            while not (told := (await luota.api("GET", f"{path}/packet"))["packet"])["deliveries"][0]["attempts"]:
                await asyncio.sleep(0.02)
    # What a life this short has not got: an example of each is a test of its own above.
    for key in ("lastSignal", "blindWindows", "drill"):
        assert not told[key]
        told[key] = documented[key]
    assert shape(told) == shape(documented)
    assert told["changes"][0] == documented["changes"][0]
