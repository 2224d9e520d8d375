"""What the daemon says about time in which it did not run (docs/verdicts.md, "Blind windows").

The instants in the file are moved back while it is down; with --long the tests are also run with real waiting.
"""

import asyncio
import os
import signal
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.past import HOUR, let_pass
from tests.process import Daemon, Job
from tests.receiver import Receiver

MINUTE = 60_000

either_way = pytest.mark.parametrize(
    "really", [pytest.param(False, id="shifted"), pytest.param(True, id="waited", marks=pytest.mark.long)]
)


async def sleep_long(luota: Daemon, *, really: bool) -> None:
    """Kill the daemon and start it again an hour later, or really 65 seconds later."""
    await luota.kill()
    if really:
        await asyncio.sleep(65)
    else:
        let_pass(luota, HOUR)
    await luota.start()


async def nap(luota: Daemon) -> None:
    """Be down for three seconds, as in an upgrade."""
    await luota.kill()
    await asyncio.sleep(3)
    await luota.start()


async def frozen(luota: Daemon, seconds: float) -> None:
    """Stop the process, as a paused container or machine is, and let it go on."""
    os.kill(luota.pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(luota.pid, signal.SIGCONT)


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def newest_window(luota: Daemon) -> tuple[int, int]:
    return luota.rows("SELECT started_at, ended_at FROM blind_windows ORDER BY started_at DESC LIMIT 1")[0]


async def status(luota: Daemon, job: Job) -> str:
    return (await luota.show(job))["status"]


async def opened(luota: Daemon, job: Job, within: float = 30) -> dict[str, Any]:
    """Wait for an incident of a monitor to open."""
    async with asyncio.timeout(within):
        while not (found := await luota.incidents(job)):
            await asyncio.sleep(0.1)
    return found[0]


async def accepted(reply_of) -> str:
    """Wait for a reply, which must be 202; return the run's id, if it is about a run."""
    reply = await reply_of
    assert reply.status_code == 202, reply.text
    return reply.json().get("run", {}).get("id", "")


async def notices(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    """Wait for `count` notices; a repeat of one, after a kill between sending and recording, is dropped."""
    async with asyncio.timeout(30):
        while True:
            told = {request.json["delivery"]["id"]: request.json for request in receiver.requests}
            if len(told) >= count:
                return list(told.values())
            await receiver.wait(len(receiver.requests) + 1)


def unverified_in(told: list[dict[str, Any]]) -> list[list[str]]:
    """Return the names in each gap notice."""
    return [sorted(m["name"] for m in one["gap"]["unverified"]) for one in told if one["type"] == "watch.gap"]


@either_way
async def test_what_fell_due_while_luota_was_down_is_unverified_and_told_once_and_a_dead_job_is_caught_all_the_same(
    tmp_path, really
):
    async with Receiver() as one, Receiver() as other, Daemon(tmp_path / "data") as luota:
        beat = await luota.monitor("beat", schedule={"every": 30}, graceSeconds=20)
        dead = await luota.monitor("dead", schedule={"every": 3})
        fresh = await luota.monitor("fresh", "freshness", expectedFreshnessSeconds=40)
        hung = await luota.monitor("hung", "run", maxRuntimeSeconds=40)
        unexposed = await luota.monitor("unexposed", schedule={"every": "1d"})
        for job in (beat, fresh, unexposed):
            await accepted(luota.ping(job))
        run_id = await accepted(luota.run(hung, "run-1"))
        await luota.webhook("one", one.url)
        await luota.webhook("other", other.url)
        await accepted(luota.ping(dead))

        await sleep_long(luota, really=really)
        start, end = newest_window(luota)
        assert end - start > MINUTE
        assert {await status(luota, job) for job in (beat, fresh, hung)} == {"unverified"}
        assert await status(luota, unexposed) == "healthy"
        assert luota.rows("SELECT state FROM runs WHERE id = ?", run_id) == [("unknown",)]

        incident = await opened(luota, dead)
        assert incident["kind"] == "missed"
        assert instant(incident["openedAt"]) == end + 3_000, "not at the first occurrence after the window"
        assert [await luota.incidents(job) for job in (beat, fresh, hung, unexposed)] == [[], [], [], []]
        packet = (await luota.api("GET", f"/api/incidents/{incident['id']}/packet"))["packet"]
        assert [instant(one["to"]) for one in packet["blindWindows"]] == [end], "it explains the later expectation"

        await nap(luota)  # a second start must not tell of the same window again
        await accepted(luota.ping(dead))
        for receiver in (one, other):
            told = await notices(receiver, 3)
            assert sorted(one["type"] for one in told) == ["incident.opened", "incident.resolved", "watch.gap"]
            assert unverified_in(told) == [["beat", "dead", "fresh", "hung"]]
        await accepted(luota.post(f"/v1/runs/{run_id}/success", hung))
        assert luota.rows("SELECT state FROM runs WHERE id = ?", run_id) == [("success",)], "a later close counts"


@either_way
async def test_a_monitor_that_a_second_window_in_a_row_hides_gets_an_incident_and_one_that_signalled_between_does_not(
    tmp_path, really
):
    async with Receiver() as receiver, Daemon(tmp_path / "data") as luota:
        silent = await luota.monitor("silent", schedule={"every": 30}, graceSeconds=20)
        alive = await luota.monitor("alive", schedule={"every": 30}, graceSeconds=20)
        await luota.webhook("hook", receiver.url)
        for job in (silent, alive):
            await accepted(luota.ping(job))
        await sleep_long(luota, really=really)
        assert [await status(luota, job) for job in (silent, alive)] == ["unverified", "unverified"]
        await accepted(luota.ping(alive))
        assert await status(luota, alive) == "healthy"

        await sleep_long(luota, really=really)
        incident = await opened(luota, silent)
        assert "second blind window in a row" in incident["summary"]
        assert await status(luota, alive) == "unverified"
        assert await luota.incidents(alive) == []
        assert unverified_in(await notices(receiver, 3)) == [["alive", "silent"], ["alive"]]


@either_way
async def test_a_restart_of_three_seconds_excuses_nothing(tmp_path, really):
    async with Receiver() as receiver, Daemon(tmp_path / "data") as luota:
        inside = await luota.monitor("inside", schedule={"every": 2})
        after = await luota.monitor("after", schedule={"every": 10})
        await luota.webhook("hook", receiver.url)
        await accepted(luota.ping(after))
        await accepted(luota.ping(inside))
        due = instant((await luota.show(after))["deadlineAt"])

        await nap(luota)
        start, end = newest_window(luota)
        assert end - start < MINUTE
        assert start <= instant((await luota.show(inside))["nextExpectedAt"]) <= end, "the nap missed the deadline"
        assert instant((await luota.show(inside))["deadlineAt"]) == end + MINUTE
        assert await status(luota, inside) == "late"
        assert instant((await opened(luota, after))["openedAt"]) == due, "its deadline lay after the nap"

        moved = end + MINUTE
        if not really:
            await luota.terminate()
            let_pass(luota, 45_000, alive=True)
            await luota.start()
            moved -= 45_000
        assert instant((await opened(luota, inside, within=70))["openedAt"]) == moved
        types = [one["type"] for one in await notices(receiver, 2)]
        assert types == ["incident.opened", "incident.opened"], "a short window is no gap to be told"


@pytest.mark.parametrize("seconds", [12, pytest.param(65, marks=pytest.mark.long)])
async def test_a_process_that_was_stopped_for_a_while_opens_no_incident_for_what_it_did_not_hear(tmp_path, seconds):
    async with Daemon(tmp_path / "data") as luota:
        beat = await luota.monitor("beat", schedule={"every": 5}, graceSeconds=3)
        await accepted(luota.ping(beat))
        await frozen(luota, seconds)
        await accepted(luota.ping(await luota.monitor("another", schedule={"every": 3600})))
        start, end = newest_window(luota)
        assert seconds * 1000 - 2_000 < end - start < seconds * 1000 + 8_000
        assert await luota.incidents(beat) == []
        shown = await luota.show(beat)
        if seconds > 60:
            assert shown["status"] == "unverified"
        else:
            assert instant(shown["deadlineAt"]) >= end + MINUTE
        assert "Luota stood still for" in luota.log
