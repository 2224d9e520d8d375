"""A disk that is really full, below an engine in the test's own event loop."""

import asyncio

import pytest

from luota.alarm import Alarm
from luota.clock import SystemClock
from luota.core.errors import LuotaError
from luota.engine import Engine
from luota.store.db import OwnerLock
from tests.clock import FakeClock
from tests.e2e.test_storage_failures import full, small_disk  # noqa: F401 (small_disk is a fixture)
from tests.engine.test_writer import HOUR, filling_pings, hourly, no_death, ping, state


async def test_the_first_write_after_there_is_room_again_makes_health_well(small_disk):  # noqa: F811
    engine = await Engine.open(small_disk / "data", SystemClock(), "a test")
    await engine.watch(no_death)
    live = await hourly(engine)
    with full(small_disk):
        await filling_pings(engine, live)
        await engine.stamp()  # takes what was kept for such a day
        assert "disk is full" in engine.sickness()
        with pytest.raises(LuotaError):
            await ping(engine, live)
    await engine.stamp()
    async with asyncio.timeout(5):
        while engine.sickness() is not None:
            await asyncio.sleep(0.01)
    (window,) = engine.registry.windows.all
    assert "could be written" in window.reason
    await ping(engine, live)
    await engine.close()


async def test_the_log_says_once_that_nothing_can_be_written_however_many_deadlines_fall_due(small_disk, caplog):  # noqa: F811
    engine = await Engine.open(small_disk / "data", SystemClock(), "a test")
    await engine.watch(no_death)
    live = await hourly(engine)
    with full(small_disk):
        await filling_pings(engine, live)
        caplog.clear()
        engine.registry.deadlines.set(live.id, 1)  # due, as far as the alarm can tell
        alarm = asyncio.ensure_future(Alarm(engine).run())
        await asyncio.sleep(2.5)  # it tries again each second
        alarm.cancel()
        await asyncio.gather(alarm, return_exceptions=True)
        assert "disk is full" in engine.sickness()
        assert [record.getMessage() for record in caplog.records if record.name == "luota.alarm"] == []
    await engine.close()


async def test_a_clock_set_back_while_the_disk_is_full_clamps_nothing_before_there_is_room_again(small_disk):  # noqa: F811
    clock = FakeClock()
    engine = await Engine.open(small_disk / "data", clock, "a test")
    await engine.watch(no_death)
    live = await hourly(engine)
    await ping(engine, live)
    with full(small_disk):
        await filling_pings(engine, live)
        clock.step(-10 * HOUR)
        await engine.stamp()
        assert state(engine, live).signal_at == clock.now() + 10 * HOUR, "what room is left goes to what makes room"
    async with asyncio.timeout(5):
        while state(engine, live).signal_at > clock.now():
            await engine.stamp()
    await engine.close()


def test_a_directory_is_owned_on_a_full_disk_though_its_owner_cannot_be_named(small_disk):  # noqa: F811
    (small_disk / "luota.lock").touch()
    with full(small_disk):
        lock = OwnerLock(small_disk)
        lock.acquire("a test")
        with pytest.raises(LuotaError, match="an unknown process"):
            OwnerLock(small_disk).acquire("another")
        lock.release()
