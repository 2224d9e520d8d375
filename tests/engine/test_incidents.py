"""What people do to incidents: acknowledge and resolve, once each, and on record."""

import asyncio
import json

from luota.core.reasons import by_hand, reason_of
from luota.engine import incidents as commands
from luota.engine.audit import Actor
from luota.engine.changes import INCIDENTS
from tests.served import NOW

HOUR = 3_600_000


async def failed(served, **fields):
    """Return a monitor whose run failed, and its incident's id."""
    monitor = await served.monitor("run", **fields)
    await monitor.fail(await monitor.started())
    return monitor, (await monitor.shown())["incidentId"]


async def do(served, incident, what, body=None, status=200):
    return await served.api("POST", f"/api/incidents/{incident}/{what}", body, status)


def events(served):
    return served.rows("SELECT type, text, actor FROM incident_events ORDER BY recorded_at, rowid")


async def test_acknowledging_says_that_somebody_works_on_it(served):
    monitor, incident = await failed(served)
    served.clock.advance(1000)
    shown = (await do(served, incident, "acknowledge", {"reason": "looking"}))["incident"]
    assert (shown["state"], shown["acknowledgedAt"]) == ("acknowledged", "2026-04-29T01:33:12.398Z")
    assert [(e["type"], e["text"], e["actor"]) for e in shown["events"][1:]] == [
        ("acknowledged", "looking", "operator")
    ]
    assert (await monitor.shown())["status"] == "incident"


async def test_acknowledging_twice_changes_nothing(served):
    _, incident = await failed(served)
    first = await do(served, incident, "acknowledge")
    served.clock.advance(1000)
    assert await do(served, incident, "acknowledge", {"reason": "me too"}) == first
    assert served.row("SELECT count(*) FROM audit_entries WHERE action = 'incident.acknowledge'") == (1,)


async def test_who_acknowledges_at_the_same_time_as_another_learns_who_was_first(served):
    _, incident = await failed(served)
    ann, bob = (
        served.engine.submit(commands.acknowledge(incident, f"{name} looks", Actor(name, "test")))
        for name in ("ann", "bob")
    )
    told = await asyncio.gather(ann, bob)
    assert told == [None, commands.Taken("ann", served.clock.now(), "ann looks")]


async def test_an_acknowledged_incident_still_heals_and_still_rises(served):
    monitor = await served.monitor("run", schedule={"every": 3600})
    await monitor.success(await monitor.started("one"))
    served.clock.advance(HOUR + 1)
    await served.judge()
    incident = (await monitor.shown())["incidentId"]
    await do(served, incident, "acknowledge")
    run = served.rows("SELECT id FROM runs")[0][0]
    assert (await monitor.fail(run)).status_code == 409
    served.clock.advance(1)
    await monitor.fail(await monitor.started("two", {"startedAt": "2026-04-29T01:00:00Z"}))
    assert served.row("SELECT kind, state FROM incidents WHERE id = ?", incident)[0] == "failed"
    served.clock.advance(1000)
    await monitor.success(await monitor.started("three"))
    assert served.rows("SELECT state FROM incidents WHERE state <> 'resolved'") == []


async def test_resolving_by_hand_makes_the_monitor_unverified_until_its_next_signal(served):
    monitor, incident = await failed(served)
    served.clock.advance(1000)
    shown = (await do(served, incident, "resolve", {"reason": "restored from backup"}))["incident"]
    assert (shown["state"], shown["resolvedAt"]) == ("resolved", "2026-04-29T01:33:12.398Z")
    said = "resolved by hand by operator: restored from backup; unverified until the next signal"
    told = [(e["type"], e["text"], e["actor"]) for e in shown["events"][1:]]
    assert told == [("resolved", said, "operator")]
    assert shown["resolution"] == said
    after = await monitor.shown()
    assert (after["status"], after["incidentId"]) == ("unverified", None)
    served.clock.advance(1000)
    await monitor.started("next")
    assert (await monitor.shown())["status"] == "healthy"


def test_the_reason_of_a_resolution_by_hand_can_be_told_from_what_was_said():
    for by, reason in (("ann", "a: b; c"), ("ann", ""), ("", "x"), ("", "")):
        assert reason_of(by, by_hand(by, reason)) == reason


async def test_a_resolved_incident_can_be_neither_acknowledged_nor_resolved(served):
    _, incident = await failed(served)
    await do(served, incident, "resolve")
    for what in ("acknowledge", "resolve"):
        assert "resolved already" in (await do(served, incident, what, {"reason": "again"}, 409))["error"]
    assert "again" not in json.dumps(served.rows("SELECT text FROM incident_events"))


async def test_a_reason_is_a_text_of_at_most_500_characters(served):
    _, incident = await failed(served)
    for wrong in (7, 0, False, [], {}, "x" * 501, "a\0b"):
        for what in ("acknowledge", "resolve"):
            assert (await do(served, incident, what, {"reason": wrong}, 400))["field"] == "reason"
    assert served.rows("SELECT state FROM incidents") == [("open",)]
    for right in (None, "", "x" * 500):
        await do(served, incident, "acknowledge", {"reason": right})


async def test_an_unknown_incident_is_404(served):
    for incident in ("nope", "00000000-0000-4000-8000-000000000000", "%00"):
        for what in ("acknowledge", "resolve"):
            assert "luota incident list" in (await do(served, incident, what, None, 404))["error"]


async def test_a_new_failure_after_a_resolution_by_hand_opens_another_incident(served):
    monitor, incident = await failed(served)
    await do(served, incident, "resolve")
    served.clock.advance(1000)
    await monitor.fail(await monitor.started("next"))
    states = served.rows("SELECT state FROM incidents ORDER BY opened_at")
    assert states == [("resolved",), ("open",)]


async def test_an_incident_keeps_the_words_that_stood_at_its_opening(served):
    monitor, incident = await failed(served, promise="Out by nine", owner="Ann", runbook="https://wiki.example/a")
    changes = {"promise": "Out by ten", "owner": "Bob", "runbook": None, "name": "another"}
    await served.api("PATCH", f"/api/monitors/{monitor.id}", changes)
    shown = (await served.api("GET", f"/api/incidents/{incident}"))["incident"]
    kept = {key: shown[key] for key in ("monitorName", "promise", "owner", "runbook")}
    assert kept == {
        **{"monitorName": "a run job", "promise": "Out by nine", "owner": "Ann"},
        "runbook": "https://wiki.example/a",
    }


async def test_each_change_is_one_entry_with_its_reason(served):
    _, incident = await failed(served)
    await do(served, incident, "acknowledge", {"reason": "looking"})
    await do(served, incident, "resolve", {"reason": "done"})
    await do(served, incident, "resolve", None, 409)
    sql = "SELECT action, target, detail, actor, source, at FROM audit_entries WHERE action LIKE 'incident.%'"
    by = ("operator", "unix socket", NOW)
    assert served.rows(f"{sql} ORDER BY rowid") == [
        ("incident.acknowledge", incident, '{"reason":"looking"}', *by),
        ("incident.resolve", incident, '{"reason":"done"}', *by),
    ]


async def test_an_acknowledgement_ends_with_its_incident(served):
    monitor, incident = await failed(served)
    await do(served, incident, "acknowledge", {"reason": "looking"})
    served.clock.advance(1000)
    await monitor.success(await monitor.started("good"))
    assert (await served.api("GET", f"/api/incidents/{incident}"))["incident"]["state"] == "resolved"
    served.clock.advance(1000)
    await monitor.fail(await monitor.started("bad"))
    following = (await monitor.shown())["incidentId"]
    assert following != incident
    shown = (await served.api("GET", f"/api/incidents/{following}"))["incident"]
    assert (shown["state"], shown["acknowledgedAt"]) == ("open", None)


async def test_whoever_acknowledges_from_a_page_gives_a_reason(served):
    _, incident = await failed(served)
    client, csrf = await served.sign_in("operator")
    path, headers = f"/api/incidents/{incident}/acknowledge", {"x-csrf-token": csrf}
    for body in ({}, {"reason": ""}, {"reason": " \n"}, {"reason": None}, {"reason": "x" * 501}):
        answer = await client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, "reason")
    answer = await client.post(path, json={"reason": "x" * 500}, headers=headers)
    assert answer.json()["incident"]["state"] == "acknowledged"
    await client.aclose()


async def test_a_note_stands_on_the_timeline_of_an_incident_that_is_over_too(served):
    _, incident = await failed(served)
    await do(served, incident, "note", {"text": "db-1 is slow\ntoday"})
    await do(served, incident, "resolve")
    served.clock.advance(1000)
    shown = (await do(served, incident, "note", {"text": "it was the disk"}))["incident"]
    assert [(e["type"], e["text"], e["actor"]) for e in shown["events"] if e["type"] == "note"] == [
        ("note", "db-1 is slow\ntoday", "operator"),
        ("note", "it was the disk", "operator"),
    ]
    sql = "SELECT target, actor FROM audit_entries WHERE action = 'incident.note'"
    assert served.rows(sql) == [(incident, "operator")] * 2
    for wrong in (None, "", " \n", 7, "x" * 2001, "a\0b"):
        assert (await do(served, incident, "note", {"text": wrong}, 400))["field"] == "text"


async def test_who_looks_at_the_list_of_incidents_hears_of_what_it_shows_and_of_no_signal_else(served):
    monitor = await served.monitor("run")
    (here,) = served.row("SELECT id FROM workspaces")
    with served.engine.changes.listen(here) as listener:
        run = await monitor.started()
        assert INCIDENTS not in (await listener.next(5))[here]
        await monitor.fail(run)
        assert INCIDENTS in (await listener.next(5))[here]
        incident = (await monitor.shown())["incidentId"]
        await do(served, incident, "note", {"text": "seen"})
        assert INCIDENTS not in (await listener.next(5))[here]
        for what in ("acknowledge", "resolve"):
            await do(served, incident, what, {"reason": "why"})
            assert INCIDENTS in (await listener.next(5))[here]
