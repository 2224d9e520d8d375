"""What must hold when calls about one thing come at the same time (issue 2, "Must be shown")."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.process import NO_LIMITS, NO_TLS, Daemon, Job

RACES = 40


@pytest.fixture
async def luota(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "data", {**NO_LIMITS, "server.access_log": "false"}) as daemon:
        yield daemon


async def test_fifty_parallel_starts_of_one_external_run_id_give_one_run(luota: Daemon) -> None:
    job = await luota.monitor("runs", "run")
    for external in ("first", "second", "third"):
        replies = await asyncio.gather(*(luota.run(job, external, host=f"host-{n}") for n in range(50)))
        assert {reply.status_code for reply in replies} == {202}
        runs = {reply.json()["run"]["id"] for reply in replies}
        assert len({reply.text for reply in replies}) == 1, "they tell of one and the same run"
        assert luota.rows("SELECT id FROM runs WHERE external_run_id = ?", external) == [(runs.pop(),)]
    assert (await luota.show(job))["openRuns"] == 3


async def test_of_a_racing_success_and_fail_one_wins_and_the_other_sense_conflicts(luota: Daemon) -> None:
    job = await luota.monitor("runs", "run")
    seen = set()
    for number in range(RACES):
        run_id = (await luota.run(job, f"race-{number}")).json()["run"]["id"]
        success, fail = f"/v1/runs/{run_id}/success", f"/v1/runs/{run_id}/fail"
        # The one that is sent first usually wins: let both have it.
        order = [success, fail, success, fail] if number % 2 else [fail, success, fail, success]
        replies = await asyncio.gather(*(luota.post(path, job, {"summary": "raced"}) for path in order))
        won = {path for path, reply in zip(order, replies, strict=True) if reply.status_code == 202}
        assert len(won) == 1, [reply.text for reply in replies]
        for path, reply in zip(order, replies, strict=True):
            assert reply.status_code == (202 if path in won else 409), reply.text
        state = "success" if won == {success} else "failed"
        cannot = "Run is already successful and cannot be marked failed."
        if state == "failed":
            cannot = "Run is already failed and cannot be marked successful."
        assert {reply.json()["error"] for reply in replies if reply.status_code == 409} == {cannot}
        assert luota.rows("SELECT state FROM runs WHERE id = ?", run_id) == [(state,)]
        seen.add(state)
    assert seen == {"success", "failed"}
    assert (await luota.show(job))["openRuns"] == 0


async def test_rotation_rejects_the_old_token_for_the_very_next_request_while_pings_run(luota: Daemon) -> None:
    job = await luota.monitor("pings", schedule={"every": "1d"})
    rotated = asyncio.Event()
    counts = {202: 0, 401: 0}

    async def ping_for_ever(token: str) -> None:
        base = f"http://127.0.0.1:{luota.port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False, verify=NO_TLS) as client:
            while True:
                was_rotated = rotated.is_set()
                reply = await client.post(f"/v1/monitors/{job.id}/ping", headers={"x-luota-key": token})
                assert reply.status_code in counts, reply.text
                assert not (was_rotated and reply.status_code == 202), "the old token still works"
                counts[reply.status_code] += 1

    for _ in range(5):
        rotated.clear()
        pinging = [asyncio.ensure_future(ping_for_ever(job.token)) for _ in range(6)]
        enough = counts[202] + 50
        while counts[202] < enough:
            await asyncio.sleep(0)
            assert not any(task.done() for task in pinging), await asyncio.gather(*pinging)
        token = (await luota.api("POST", f"/api/monitors/{job.id}/token/rotate"))["token"]
        rotated.set()
        assert (await luota.ping(job)).status_code == 401
        new = Job(job.id, token)
        assert (await luota.ping(new)).status_code == 202
        enough = counts[401] + 50
        while counts[401] < enough:
            await asyncio.sleep(0.001)
            assert not any(task.done() for task in pinging), await asyncio.gather(*pinging)
        for task in pinging:
            task.cancel()
        await asyncio.gather(*pinging, return_exceptions=True)
        job = new
