"""The pace of messages to one address: whose turn it is, and when the next one begins."""

import asyncio
import time

import pytest

from luota.alerts.pace import Pace
from luota.clock import SystemClock
from tests.clock import FakeClock


async def test_a_turn_that_was_not_used_delays_nobody_and_one_that_broke_off_is_passed_on():
    clock = FakeClock()
    pace = Pace(60, clock)
    clock.advance(60_000)
    async with asyncio.timeout(10):
        for _ in range(3):
            async with pace.turn("a"):
                pass
        with pytest.raises(ZeroDivisionError):
            async with pace.turn("a"):
                raise ZeroDivisionError
        async with pace.turn("a"):
            pass


async def test_the_first_message_after_a_start_waits_as_if_one_had_just_gone_out():
    clock, began = FakeClock(), time.monotonic()
    pace = Pace(60, clock)
    clock.advance(59_800)
    async with pace.turn("a"):
        assert time.monotonic() - began >= 0.19


async def test_a_turn_that_is_to_be_the_first_goes_before_all_that_wait_even_for_the_pace_alone():
    pace, order = Pace(0.3, SystemClock()), []

    async def one(name, first=False):
        async with pace.turn("a", first):
            order.append((name, time.monotonic()))
            pace.sent("a")

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        broken_off = [group.create_task(one("nothing"))]
        for name in ("b", "c", "d"):
            group.create_task(one(name))
        await asyncio.sleep(0.05)  # the first of them has its place by then, and waits as after any start
        group.create_task(one("test", first=True))
        broken_off.append(group.create_task(one("nothing", first=True)))
        await asyncio.sleep(0.05)
        for task in broken_off:
            task.cancel()
    assert [name for name, _ in order] == ["test", "b", "c", "d"]
    at = [moment for _, moment in order]
    assert min(later - earlier for earlier, later in zip(at, at[1:], strict=False)) >= 0.29


async def test_the_pace_keeps_no_address_that_is_free_again():
    clock = FakeClock()
    pace = Pace(60, clock)
    for n in range(20):
        clock.advance(60_000)
        url = f"https://hooks.example.org/{n}"
        async with pace.turn(url):
            pace.sent(url)
    assert list(pace._addresses) == ["https://hooks.example.org/19"]
