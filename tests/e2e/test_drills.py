"""Drills from end to end: the real daemon, a real webhook receiver and SMTP server, all four kinds."""

import asyncio

import pytest

from tests.mailserver import MailServer
from tests.process import Daemon
from tests.receiver import Receiver, reply

HEARTBEAT = ("heartbeat", {"schedule": {"every": 3600}, "graceSeconds": 60, "failuresBeforeIncident": 3})
RUN = ("run", {"maxRuntimeSeconds": 3600})
SCHEDULED = ("run", {"schedule": {"cron": "0 2 * * *"}})
FRESHNESS = ("freshness", {"expectedFreshnessSeconds": 3600})


async def ended(luota, drill, within=60):
    """The drill with its result."""
    async with asyncio.timeout(within):
        while drill["state"] == "running":
            await asyncio.sleep(0.1)
            drill = (await luota.api("GET", f"/api/drills/{drill['id']}"))["drill"]
    return drill


async def drilled(luota, job, kind):
    return await ended(luota, (await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": kind}))["drill"])


def traces(luota, job):
    """All that the file says of a monitor itself."""
    return [
        luota.rows(f"SELECT * FROM {table} WHERE {column} = ?", job.id)
        for table, column in (
            ("monitors", "id"),
            ("monitor_states", "monitor_id"),
            ("heartbeats", "monitor_id"),
            ("runs", "monitor_id"),
            ("incidents", "monitor_id"),
            ("deliveries", "monitor_id"),
            ("monitor_channels", "monitor_id"),
        )
    ]


@pytest.mark.parametrize(
    ("kind", "mode", "definition"),
    [("missed", *HEARTBEAT), ("missed", *SCHEDULED), ("failed", *RUN), ("stale", *FRESHNESS)],
    ids=["missed", "missed start", "failed", "stale"],
)
async def test_each_drill_is_proven_to_every_channel_and_leaves_its_monitor_alone(tmp_path, kind, mode, definition):
    async with MailServer() as mail, Receiver() as hook:
        settings = {
            "email.host": "127.0.0.1",
            "email.port": mail.port,
            "email.security": "plain",
            "email.sender": "luota@example.org",
        }
        async with Daemon(tmp_path / "data", settings) as luota:
            await luota.webhook("desk", hook.url)
            await luota.api("POST", "/api/channels", {"type": "email", "name": "mail", "to": ["ann@example.org"]})
            job = await luota.monitor("Nightly backup", mode, promise="A copy exists", **definition)
            if mode == "run":
                await luota.run(job, "one")
            else:
                await luota.ping(job)
            before = traces(luota, job)
            drill = await drilled(luota, job, kind)
            assert drill["state"] == "proven", drill
            assert traces(luota, job) == before
            assert [step["state"] for step in drill["steps"]] == ["proven"] * 8
            assert [step["key"].partition(".")[0] for step in drill["steps"]] == (
                ["signal", "deadline", "incident", "told", "told", "recovered", "recovery", "recovery"]
            )
            assert (drill["fresh"], drill["actor"]) == (True, "operator")
            (opened, resolved) = hook.requests
            assert opened.json["drill"] is resolved.json["drill"] is True
            assert (opened.json["type"], resolved.json["type"]) == ("incident.opened", "incident.resolved")
            assert opened.json["monitor"]["name"] == "Nightly backup (drill)"
            assert opened.json["incident"]["kind"] == kind
            assert [one.message["Subject"] for one in mail.mails] == [
                f"[Drill] Nightly backup (drill): {kind} (open)",
                mail.mails[1].message["Subject"],
            ]
            assert "made on purpose" in mail.mails[0].part("plain")

            told = next(step for step in drill["steps"] if step["text"] == "mail was told of the incident")
            assert "4F3A2" in told["detail"]  # the provider's answer
            incident = (await luota.api("GET", f"/api/incidents/{drill['incidentId']}"))["incident"]
            assert (incident["kind"], incident["state"], incident["evidenceCount"]) == (kind, "resolved", 1)
            assert [m["id"] for m in (await luota.api("GET", "/api/monitors"))["monitors"]] == [job.id]
            assert (await luota.api("GET", "/api/monitors?archived=1"))["monitors"] == []
            kept = (await luota.api("GET", f"/api/monitors/{job.id}/drills"))["drills"]
            assert kept == [drill]
            entries = luota.rows("SELECT actor, source, action FROM audit_entries ORDER BY rowid")
            own = f"drill {drill['id']}"
            assert entries[-5:] == [
                ("drill", own, "monitor.create"),
                ("operator", "unix socket", "drill.run"),
                ("drill", own, "monitor.pause"),
                ("drill", own, "monitor.archive"),
                ("drill", own, "drill.end"),
            ]


@pytest.mark.parametrize(("mode", "definition"), [HEARTBEAT, RUN, FRESHNESS], ids=["heartbeat", "run", "freshness"])
async def test_a_dead_route_shows_as_retrying_and_troubles_nobody(tmp_path, mode, definition):
    async with Receiver() as hook, Daemon(tmp_path / "data", {"alerts.allow_networks": "192.0.2.0/24"}) as luota:
        job = await luota.monitor("Nightly backup", mode, **definition)
        drill = await drilled(luota, job, "dead_route")
        assert drill["state"] == "proven", drill
        step = next(step for step in drill["steps"] if step["key"] == "dead_route")
        assert step["detail"].startswith("retrying: HTTP 503 from the receiver; next attempt ")
        (delivery,) = luota.rows("SELECT state, attempts, last_error, next_attempt_at FROM deliveries")
        assert (delivery[0], delivery[1] >= 1, delivery[3]) == ("cancelled", True, None)
        assert "was retrying" in delivery[2]
        assert "HTTP 503" in delivery[2]
        assert {status for (status,) in luota.rows("SELECT status FROM attempts")} == {503}
        assert (await luota.api("GET", "/api/channels"))["channels"] == []
        assert luota.rows("SELECT count(*) FROM channels WHERE removed_at IS NULL") == [(0,)]
        assert hook.requests == []
        # The address was open to that one delivery alone: loopback is still refused.
        url = {"type": "webhook", "name": "desk", "url": hook.url}
        await luota.api("POST", "/api/channels", url, status=400)


async def test_a_channel_that_does_not_take_the_message_is_named(tmp_path):
    async with Receiver() as good, Receiver() as bad, Daemon(tmp_path / "data") as luota:
        bad.default = reply(410)
        await luota.webhook("desk", good.url)
        await luota.webhook("gone", bad.url)
        job = await luota.monitor("Invoices", "run")
        drill = await drilled(luota, job, "failed")
        assert drill["state"] == "not_proven"
        assert drill["fresh"] is False
        lost = {step["text"]: step["detail"] for step in drill["steps"] if step["state"] != "proven"}
        assert lost.keys() == {"gone was told of the incident", "gone was told of the recovery"}
        assert all("HTTP 410" in detail for detail in lost.values())


async def test_a_drill_without_a_channel_is_not_proven_and_says_what_to_do(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job = await luota.monitor("Invoices", "run")
        drill = await drilled(luota, job, "failed")
        lost = [step for step in drill["steps"] if step["state"] != "proven"]
        assert [step["key"] for step in lost] == ["told"]
        assert "luota channel add" in lost[0]["detail"]


async def test_killed_in_the_middle_a_drill_ends_as_not_proven_at_the_next_start_and_its_twin_is_archived(tmp_path):
    async with Receiver() as hook, Daemon(tmp_path / "data") as luota:
        await luota.webhook("desk", hook.url)
        job = await luota.monitor("Nightly backup", schedule={"every": 3600}, graceSeconds=60)
        asked = await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": "missed"})
        again = await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": "missed"}, status=409)
        assert again["error"] == "A drill of this monitor is running. Wait for its result."
        assert [m["id"] for m in (await luota.api("GET", "/api/monitors"))["monitors"]] == [job.id]
        before = traces(luota, job)
        await luota.kill()
        await luota.start()
        drill = await ended(luota, asked["drill"])
        assert drill["state"] == "not_proven"
        assert drill["steps"][-1]["detail"].endswith("Luota was stopped in the middle of it")
        assert luota.rows("SELECT count(*) FROM monitors WHERE archived_at IS NULL") == [(1,)]
        assert traces(luota, job) == before
        assert (await drilled(luota, job, "missed"))["state"] == "proven"


async def test_a_drill_that_does_not_fit_is_refused_with_those_that_do(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        job = await luota.monitor("Nightly backup", schedule={"every": 3600})
        refused = await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": "failed"}, status=400)
        assert (refused["field"], refused["message"]) == (
            "kind",
            "The drill failed needs a run monitor; this is a heartbeat monitor. "
            "Drills that fit it: missed, dead_route.",
        )
        refused = await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": "fire"}, status=400)
        assert refused["field"] == "kind"


async def test_a_signal_that_the_ingest_api_does_not_take_ends_the_drill_with_its_answer(tmp_path):
    async with Daemon(tmp_path / "data", {"limits.monitor_per_minute": 1}) as luota:
        job = await luota.monitor("Invoices", "run")
        drill = await drilled(luota, job, "failed")
        assert drill["state"] == "not_proven"
        step = next(step for step in drill["steps"] if step["key"] == "recovered")
        assert step["detail"].startswith("the ingest API answered 429: ")
