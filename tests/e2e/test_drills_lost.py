"""Drills whose channel is removed in the middle, on the real daemon: nothing is waited for that cannot come."""

import asyncio

import pytest

from tests.e2e.test_drills import ended
from tests.process import Daemon
from tests.receiver import Receiver, after, reply

NO_NOTICE = "no notice went to this channel: it was removed, or does not want such notices any more"
MUCH_LESS_THAN_THE_LIMIT_S = 25


async def begun(luota, *hooks):
    """A drill of a failing run, told to these, the last of which has what it is told of the opening by now."""
    for number, hook in enumerate(hooks):
        await luota.webhook(f"hook{number}", hook.url)
    job = await luota.monitor("Invoices", "run")
    drill = (await luota.api("POST", f"/api/monitors/{job.id}/drills", {"kind": "failed"}))["drill"]
    await hooks[-1].wait(1)
    return drill


def told(drill, name):
    """State and detail of the two steps about a channel."""
    return [(one["state"], one["detail"]) for one in drill["steps"] if one["text"].startswith(f"{name} was told")]


async def test_a_drill_whose_channel_is_removed_waits_for_no_notice_of_the_recovery_to_it(tmp_path):
    async with Receiver() as good, Receiver() as bad, Daemon(tmp_path / "data") as luota:
        bad.default = reply(503)
        drill = await begun(luota, good, bad)
        while not luota.rows("SELECT 1 FROM deliveries WHERE state = 'failed_retrying'"):
            await asyncio.sleep(0.05)
        await luota.api("DELETE", "/api/channels/hook1")
        drill = await ended(luota, drill, MUCH_LESS_THAN_THE_LIMIT_S)
        assert drill["state"] == "not_proven"
        assert told(drill, "hook1") == [("not_proven", "cancelled: the channel was removed"), ("not_proven", NO_NOTICE)]
        assert [state for state, _ in told(drill, "hook0")] == ["proven"] * 2


async def test_a_drill_whose_channel_wants_no_ends_any_more_waits_for_none(tmp_path):
    go_on = asyncio.Event()
    async with Receiver() as slow, Receiver() as hook, Daemon(tmp_path / "data") as luota:
        slow.answers = [after(go_on, reply(200))]
        drill = await begun(luota, slow, hook)
        await luota.api("PATCH", "/api/channels/hook1", {"notify": ["opened"]})
        go_on.set()
        drill = await ended(luota, drill, MUCH_LESS_THAN_THE_LIMIT_S)
        assert told(drill, "hook1") == [("proven", "delivered: answer 200"), ("not_proven", NO_NOTICE)]


@pytest.mark.parametrize(
    ("status", "said"),
    [(200, ("proven", "delivered: answer 200")), (503, ("not_proven", "cancelled: the channel was removed"))],
)
async def test_of_an_attempt_that_was_under_way_when_its_channel_was_removed_a_drill_says_how_it_ended(
    tmp_path, status, said
):
    go_on = asyncio.Event()
    async with Receiver() as hook, Daemon(tmp_path / "data") as luota:
        hook.answers = [after(go_on, reply(status))]
        drill = await begun(luota, hook)
        await luota.api("DELETE", "/api/channels/hook0")
        await asyncio.sleep(1)
        shown = (await luota.api("GET", f"/api/drills/{drill['id']}"))["drill"]
        assert told(shown, "hook0")[0] == ("waiting", "cancelled: the channel was removed; an attempt is under way")
        go_on.set()
        drill = await ended(luota, drill, MUCH_LESS_THAN_THE_LIMIT_S)
        assert told(drill, "hook0")[0] == said
        ((state,),) = luota.rows("SELECT state FROM deliveries WHERE type = 'incident.opened'")
        assert state == ("delivered" if status == 200 else "cancelled")
