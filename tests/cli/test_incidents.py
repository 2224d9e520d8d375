"""Incidents by command: what became of the notices about them."""

import asyncio

import pytest

from luota.core.model import RunState
from luota.core.retry import AttemptResult
from luota.core.spec.ingest import Close, Start
from luota.engine import Engine, channels, monitors
from luota.engine.audit import Actor
from luota.engine.deliveries import RecordAttempt, gather
from luota.engine.ingest import CloseRun, StartRun
from luota.store.reads import fetch
from tests.clock import FakeClock

ACTOR = Actor("test", "test")


async def digested(data_dir, result):
    """Let two incidents be told by one digest, of which one attempt comes to `result`."""
    engine = await Engine.open(data_dir, FakeClock(), "a test")
    try:
        await engine.watch(lambda name, error: None)
        workspace, now = next(iter(engine.registry.workspaces.values())), engine.clock.now()
        doc = {"type": "slack", "name": "team", "url": "http://192.0.2.1/"}
        channel = await engine.submit(channels.add(workspace, doc, ACTOR))
        for name in ("one", "two"):
            live = await engine.submit(monitors.create(workspace, {"name": name, "mode": "run"}, ACTOR))
            run = (await engine.submit(StartRun(live.id, Start("1"), now))).run
            await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="broke"), now))
        waiting = [row[0] for row in await fetch(engine.reader, "SELECT id FROM deliveries")]
        await engine.submit(gather(workspace.id, channel, waiting))
        ((digest,),) = await fetch(engine.reader, "SELECT id FROM deliveries WHERE type = 'incident.digest'")
        await engine.submit(RecordAttempt(digest, channel, 1, now, now, result, None))
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("result", "state", "reason"),
    [
        (AttemptResult(True, status=200), "delivered", "a digest told of it"),
        (
            AttemptResult(False, True, 404, "HTTP 404 from Slack"),
            "failed_terminal",
            "a digest was to tell of it: failed_terminal",
        ),
    ],
)
def test_of_a_notice_left_to_a_digest_one_reads_what_became_of_the_digest(initialised, result, state, reason):
    asyncio.run(digested(initialised.data_dir, result))
    found = initialised.json("incident", "list")["incidents"]
    listed = initialised.run("incident", "list").stdout
    assert listed.count(f"1 {state}") == 2
    assert "cancelled" not in listed
    for incident in found:
        shown = initialised.run("incident", "show", incident["id"]).stdout
        (opened, digest) = [line for line in shown.splitlines() if line.startswith("team ")]
        assert opened.endswith(reason)
        assert digest.split()[1:4] == ["incident.digest", state, "1"]
        if result.error:
            assert digest.endswith(result.error)
        assert f"team, attempt 1: {result.error or state}" in shown


async def failed_unheard(data_dir):
    """Let a run fail while the only channel wants to hear of silence alone."""
    engine = await Engine.open(data_dir, FakeClock(), "a test")
    try:
        await engine.watch(lambda name, error: None)
        workspace, now = next(iter(engine.registry.workspaces.values())), engine.clock.now()
        doc = {"type": "slack", "name": "team", "url": "http://192.0.2.1/", "kinds": ["missed"]}
        await engine.submit(channels.add(workspace, doc, ACTOR))
        live = await engine.submit(monitors.create(workspace, {"name": "one", "mode": "run"}, ACTOR))
        run = (await engine.submit(StartRun(live.id, Start("1"), now))).run
        await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="broke"), now))
    finally:
        await engine.close()


def test_of_an_incident_that_no_channel_wanted_one_reads_that_and_not_that_there_is_no_channel(initialised):
    asyncio.run(failed_unheard(initialised.data_dir))
    (incident,) = initialised.json("incident", "list")["incidents"]
    shown = initialised.run("incident", "show", incident["id"]).stdout
    assert "Nobody was told: no channel was there for it, or none wanted it." in shown
