"""What systemd is told of the daemon, and that no part of it dies without the whole (invariants 4 and 5)."""

import asyncio
import contextlib
import logging
import socket
import sys
import time

import httpx
import pytest

from luota import daemon
from luota.alarm import Alarm
from luota.alerts.sender import Sender
from luota.clock import SystemClock
from luota.config import load
from luota.drills import Drills
from luota.engine import Engine
from luota.engine.writer import Writer
from luota.unix import unix_address
from tests.clock import FakeClock
from tests.e2e.test_storage_failures import no_file_grows, ping_until
from tests.engines import engine_on
from tests.prepared import prepare
from tests.process import Daemon

FED_EVERY_S = 0.05
READY, FED, STOPPING = b"READY=1", b"WATCHDOG=1", b"STOPPING=1"


class Manager:
    """systemd's end of the socket; `environ` is what it gives to a service, `wrap` runs one with it."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(round(2e6 * FED_EVERY_S))}
        self.wrap = ["env", *(f"{name}={value}" for name, value in self.environ.items())]

    async def told(self):
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self._socket, 4096)

    def told_meanwhile(self):
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self._socket.recv(4096))
        return messages

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    with contextlib.closing(Manager(tmp_path / "notify")) as manager:
        yield manager


async def test_systemd_is_told_that_it_listens_then_that_it_lives_and_at_last_that_it_stops(tmp_path, manager):
    luota = Daemon(tmp_path / "data", wrap=manager.wrap)

    async def ready():
        said = await manager.told()
        with unix_address(luota.data_dir / "luota.sock") as address, socket.socket(socket.AF_UNIX) as sock:
            sock.connect(address)
        return said

    first = asyncio.ensure_future(ready())
    async with luota:
        assert await first == READY
        assert [await manager.told() for _ in range(5)] == [FED] * 5
        assert await luota.terminate() == 0
    rest = manager.told_meanwhile()
    assert rest == [FED] * (len(rest) - 1) + [STOPPING]


async def test_the_watchdog_is_fed_while_nothing_can_be_written(tmp_path, manager):
    async with Daemon(tmp_path / "data", wrap=manager.wrap) as luota:
        job = await luota.monitor("pings", schedule={"every": "1d"})
        await luota.ping(job)
        with no_file_grows(luota):
            await ping_until(luota, job, 503, set())
            manager.told_meanwhile()
            for _ in range(5):
                assert await manager.told() == FED
                assert (await luota.health()).status_code == 503


def with_fault(program):
    """Return what wraps a daemon in whose process `program` is run first."""
    return [sys.executable, "-c", f"{program}\nimport sys, luota.cli; sys.argv = sys.argv[3:]; luota.cli.main()"]


async def test_an_alarm_that_dies_takes_the_process_down_with_status_1_and_says_so(tmp_path):
    fault = "from luota.engine import Engine\nasync def judge(*_): raise RuntimeError('struck')\nEngine.judge = judge"
    status, said = await Daemon(tmp_path / "data", wrap=with_fault(fault)).refused()
    assert status == 1
    assert "CRITICAL luota: alarm ended by itself; Luota stops rather than watch nothing" in said
    assert "RuntimeError: struck" in said


# -- in the test's own process ---------------------------------------------------------------------


@contextlib.asynccontextmanager
async def running(data_dir, clock):
    """The daemon as a task, which gives its exit status; it is stopped at the end of the block."""
    await prepare(data_dir)
    config = load(None, {"LUOTA_DATA_DIR": str(data_dir), "LUOTA_SERVER_PORT": "0"}, {})
    task = asyncio.ensure_future(daemon._serve(config, clock, None))
    try:
        yield task
    finally:
        if not task.done():
            task.cancel()
        await asyncio.wait([task], timeout=30)


PARTS = [
    ("alarm", Alarm, "run"),
    ("sender", Sender, "run"),
    ("writer", Writer, "run"),
    ("drills", Drills, "run"),
    ("last-alive stamp", daemon, "stamp"),
    ("reminders", daemon, "remind_for_ever"),
    ("retention", daemon, "prune_for_ever"),
    ("watchdog", daemon, "_feed_watchdog"),
]


@pytest.mark.parametrize("end", ["by an error", "by returning"])
@pytest.mark.parametrize(("name", "owner", "attribute"), PARTS, ids=[name for name, *_ in PARTS])
async def test_whichever_part_ends_by_itself_the_daemon_ends_with_status_1_and_names_it(
    tmp_path, manager, monkeypatch, caplog, name, owner, attribute, end
):
    works = getattr(owner, attribute)

    async def ends(*args):
        with contextlib.suppress(TimeoutError) if end == "by returning" else contextlib.nullcontext():
            async with asyncio.timeout(0.2):
                await works(*args)

    monkeypatch.setattr(owner, attribute, ends)
    for key, value in manager.environ.items():
        monkeypatch.setenv(key, value)
    async with running(tmp_path / "data", SystemClock()) as served:
        async with asyncio.timeout(10):
            assert await served == 1
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert said[0] == f"{name} ended by itself; Luota stops rather than watch nothing"
    assert manager.told_meanwhile()[-1] == STOPPING


async def test_the_watchdog_is_not_fed_while_the_loop_or_the_alarm_stands_still(tmp_path, manager, monkeypatch):
    moves, judge = asyncio.Event(), Engine.judge
    moves.set()

    async def hangs(*args):
        await moves.wait()
        return await judge(*args)

    monkeypatch.setattr(Engine, "judge", hangs)
    for key, value in manager.environ.items():
        monkeypatch.setenv(key, value)
    clock, socket_path = FakeClock(), tmp_path / "data" / "luota.sock"
    async with running(tmp_path / "data", clock):
        assert [await manager.told() for _ in range(3)] == [READY, FED, FED]

        manager.told_meanwhile()
        time.sleep(5 * FED_EVERY_S)  # noqa: ASYNC251 - the loop stands still
        assert manager.told_meanwhile() == []
        assert await manager.told() == FED

        async with httpx.AsyncClient(
            base_url="http://luota", transport=httpx.AsyncHTTPTransport(uds=str(socket_path))
        ) as client:
            job = {"name": "job", "mode": "heartbeat", "schedule": {"every": 60}}
            made = (await client.post("/api/monitors", json=job)).json()
            ping = f"/v1/monitors/{made['monitor']['id']}/ping", {"x-luota-key": made["token"]}
            assert (await client.post(ping[0], headers=ping[1])).status_code == 202
            moves.clear()
            clock.advance(100_000)  # a verdict is due, and 40 s late
            assert (await client.post("/api/monitors", json=job)).status_code == 200  # the writer moves
            assert (await client.get("/healthz")).json()["error"] == "the alarm does not tick"
            manager.told_meanwhile()
            await asyncio.sleep(5 * FED_EVERY_S)
            assert manager.told_meanwhile() == []
            moves.set()
            assert await manager.told() == FED


@pytest.mark.parametrize(("seconds", "fed"), [(0, True), (3600, False)], ids=["moves", "stands still"])
async def test_the_watchdog_is_fed_while_some_writes_fail_as_long_as_the_writer_moves(
    tmp_path, manager, monkeypatch, seconds, fed
):
    for key, value in manager.environ.items():
        monkeypatch.setenv(key, value)
    async with engine_on(tmp_path / "data") as engine:
        await engine.stamp()
        for happens in ("failed", "passed", "failed", "passed"):  # a disk with a little room
            now = engine.clock.monotonic()
            getattr(engine.writer.outage, happens)(*(("no room", 0, None, now) if happens == "failed" else (now,)))
        assert engine.sickness() == "some writes fail, others work: no room"
        engine.clock.advance(seconds * 1000)
        feeding = asyncio.ensure_future(daemon._feed_watchdog(engine, engine.sickness, FED_EVERY_S))
        try:
            await asyncio.sleep(5 * FED_EVERY_S)
            assert bool(manager.told_meanwhile()) is fed
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])
