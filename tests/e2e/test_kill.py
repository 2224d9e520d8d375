"""SIGKILL at random moments under load: nothing acknowledged is lost, nothing is doubled."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.e2e.connection import BROKEN, Connection, Reply, connected
from luota.store.deliveries import CUT_OFF
from luota.store.heartbeats import newest_first
from tests.process import NO_LIMITS, Daemon, Job
from tests.receiver import Receiver, hang

PINGERS = 3
RUNNERS = 3


@dataclass
class Ledger:
    """What was sent, and what of it was acknowledged; it lives outside of the process that is killed."""

    pings_sent: int = 0
    pings: set[str] = field(default_factory=set)
    externals: set[str] = field(default_factory=set)
    runs: dict[str, str] = field(default_factory=dict)
    closes: dict[str, str] = field(default_factory=dict)
    starts_in_doubt: set[str] = field(default_factory=set)
    closes_in_doubt: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    doubts: int = 0

    def started(self, external: str, reply: Reply) -> str:
        """Note an acknowledged start, which must name the run that any earlier one named."""
        assert reply.status_code == 202, reply.text
        run_id = reply.json()["run"]["id"]
        assert self.runs.setdefault(external, run_id) == run_id, f"{external} is two runs"
        self.starts_in_doubt.discard(external)
        self.answered += 1
        return run_id

    def closed(self, run_id: str, state: str, reply: Reply) -> None:
        assert reply.status_code == 202, reply.text
        assert reply.json()["run"]["status"] == state
        self.closes[run_id] = state
        self.closes_in_doubt.pop(run_id, None)
        self.answered += 1


async def _ping(port: int, job: Job, ledger: Ledger) -> None:
    async with connected(port) as connection:
        while True:
            ledger.pings_sent += 1
            reply = await connection.post(f"/v1/monitors/{job.id}/ping", job)
            assert reply.status_code == 202, reply.text
            ledger.pings.add(reply.json()["heartbeat"]["id"])
            ledger.answered += 1


async def _start(connection: Connection, job: Job, external: str) -> Reply:
    return await connection.post("/v1/runs/start", job, {"monitorId": job.id, "externalRunId": external})


async def _close(connection: Connection, job: Job, run_id: str, state: str) -> Reply:
    path, body = (
        (f"/v1/runs/{run_id}/success", {}) if state == "success" else (f"/v1/runs/{run_id}/fail", {"summary": "x"})
    )
    return await connection.post(path, job, body)


async def _run(port: int, job: Job, ledger: Ledger) -> None:
    async with connected(port) as one, connected(port) as other:
        while True:
            external = f"run-{len(ledger.externals)}"
            ledger.externals.add(external)
            ledger.starts_in_doubt.add(external)
            twins = [_start(connection, job, external) for connection in (one, other)]  # a job that repeats its call
            for reply in await asyncio.gather(*twins):
                run_id = ledger.started(external, reply)
            state = random.choice(("success", "failed"))
            ledger.closes_in_doubt[run_id] = state
            ledger.closed(run_id, state, await _close(one, job, run_id, state))


def _size(luota: Daemon) -> int:
    """How long the file is without its log: only a checkpoint moves that there."""
    return (luota.data_dir / "luota.db").stat().st_size


async def _load(luota: Daemon, job: Job, run_job: Job, ledger: Ledger, answers: int, *, checkpoint: bool) -> None:
    """Send from several connections until `answers` more were acknowledged, and kill in the midst of it.

    With `checkpoint` only after one of the log, unless twenty thousand answers bring none.
    """
    enough, at_most, size = ledger.answered + answers, ledger.answered + 20_000, _size(luota)

    async def worker(send, about: Job) -> None:
        try:
            await send(luota.port, about, ledger)
        except BROKEN:
            ledger.doubts += 1  # the connection broke: it may have happened or not

    async with asyncio.TaskGroup() as group:
        for _ in range(PINGERS):
            group.create_task(worker(_ping, job))
        for _ in range(RUNNERS):
            group.create_task(worker(_run, run_job))
        while ledger.answered < enough or (checkpoint and _size(luota) == size and ledger.answered < at_most):
            await asyncio.sleep(0.002)
        await asyncio.sleep(random.uniform(0, 0.01))
        await luota.kill()


def _check(luota: Daemon, ledger: Ledger) -> None:
    """Compare the file with the ledger."""
    assert luota.rows("PRAGMA integrity_check") == [("ok",)]
    beats = Counter(row[0] for row in luota.rows("SELECT id FROM heartbeats"))
    lost = ledger.pings - beats.keys()
    assert not lost, f"{len(lost)} acknowledged pings lost"
    assert beats.total() <= ledger.pings_sent, "a ping was doubled"
    pinged = "SELECT monitor_id, count(*) FROM heartbeats GROUP BY monitor_id"
    for monitor_id, count in luota.rows(pinged):
        walked = luota.rows(f"SELECT count(*) FROM ({newest_first('h.seq')})", monitor_id)
        assert walked == [(count,)], "pages do not find each ping"
    runs = luota.rows("SELECT external_run_id, id, state FROM runs")
    assert len({external for external, *_ in runs}) == len(runs), "a run was doubled"
    on_disk = {external: run_id for external, run_id, _ in runs}
    assert on_disk.keys() <= ledger.externals
    lost = [external for external, run_id in ledger.runs.items() if on_disk.get(external) != run_id]
    assert not lost, f"{len(lost)} acknowledged starts lost: {lost[:5]}"
    states = {run_id: state for _, run_id, state in runs}
    lost = [run_id for run_id, state in ledger.closes.items() if states[run_id] != state]
    assert not lost, f"{len(lost)} acknowledged closes lost: {lost[:5]}"


async def _repeat_doubtful(luota: Daemon, job: Job, ledger: Ledger) -> None:
    """Do what a job does that got no answer: send it again. What was on disk already must be found again."""
    on_disk = dict(luota.rows("SELECT external_run_id, id FROM runs"))
    for external in list(ledger.starts_in_doubt):
        for _ in range(2):
            run_id = ledger.started(external, await luota.run(job, external))
            assert run_id == on_disk.setdefault(external, run_id)
    for run_id, state in list(ledger.closes_in_doubt.items()):
        path = f"/v1/runs/{run_id}/" + ("success" if state == "success" else "fail")
        ledger.closed(run_id, state, await luota.post(path, job, {"summary": "again"}))


@pytest.mark.parametrize("kills", [20, pytest.param(1000, marks=(pytest.mark.long, pytest.mark.timeout(4 * 3600)))])
async def test_no_acknowledged_signal_is_lost_or_doubled_however_often_the_process_is_killed(tmp_path, kills):
    ledger = Ledger()
    async with Daemon(tmp_path / "data", {**NO_LIMITS, "server.access_log": "false"}) as luota:
        job = await luota.monitor("pings", schedule={"every": "1d"})
        run_job = await luota.monitor("runs", "run")
        size = _size(luota)
        for number in range(kills):
            # From the very first answers to well beyond the first checkpoint of the log.
            beyond = number % 10 == 9
            answers = 1500 if beyond else int(10 ** random.uniform(0, 2.8))
            await _load(luota, job, run_job, ledger, answers, checkpoint=beyond)
            if number % 4 == 3:  # and once more, while it starts and recovers
                try:
                    async with asyncio.timeout(random.uniform(0, 0.3)):
                        await luota.start()
                except TimeoutError:
                    pass
                await luota.kill()
            await luota.start()
            if kills <= 20 or number % 20 == 19:
                _check(luota, ledger)
            await _repeat_doubtful(luota, run_job, ledger)
        _check(luota, ledger)
        grown = _size(luota) > size
    assert grown, "the log was never checkpointed under load"
    assert ledger.doubts >= kills, "the kills did not come in the midst of the load"
    print(f"{kills} kills, {ledger.answered} acknowledged, {ledger.doubts} in doubt")


async def test_a_notice_that_was_under_way_at_the_kill_is_sent_again_under_the_same_id(tmp_path):
    async with Receiver() as receiver, Daemon(tmp_path / "data") as luota:
        receiver.answers = [hang]
        job = await luota.monitor("dead", schedule={"every": 1})
        await luota.webhook("hook", receiver.url)
        await luota.ping(job)
        await receiver.wait(1)
        await luota.kill()
        await luota.start()
        first, second = (await receiver.wait(2))[:2]
        assert first.json["type"] == "incident.opened"
        assert second.body == first.body
        async with asyncio.timeout(10):
            while luota.rows("SELECT state, attempts FROM deliveries") != [("delivered", 2)]:
                await asyncio.sleep(0.05)
        cut_off, made = luota.rows("SELECT ok, error FROM attempts ORDER BY number")
        assert (cut_off, made) == ((0, CUT_OFF), (1, None))
