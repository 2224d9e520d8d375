"""Hashing beside the event loop: what it costs, how much of it at once, and that it ends."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters

from luota.core.errors import Code, LuotaError
from luota.web import passwords
from luota.web.passwords import Passwords

CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


class Blocked(PasswordHasher):
    """A real one that begins when told to, and remembers how many were at work at once."""

    def __init__(self):
        super().__init__(**CHEAP)
        self.gate = threading.Event()
        self.lock = threading.Lock()
        self.working = self.most = self.total = 0

    def hash(self, password, *, salt=None):
        with self.lock:
            self.total += 1
            self.working += 1
            self.most = max(self.most, self.working)
        self.gate.wait(20)
        with self.lock:
            self.working -= 1
        return super().hash(password, salt=salt)


@pytest.fixture
def cheap():
    made = Passwords(PasswordHasher(**CHEAP))
    yield made
    made.close()


@pytest.fixture
def hasher():
    made = Blocked()
    yield made
    made.gate.set()


async def test_a_password_matches_its_own_hash_only(cheap):
    hashed = await cheap.hash("pässwörd 🔑")
    assert hashed.startswith("$argon2id$")
    assert hashed != await cheap.hash("pässwörd 🔑")
    assert await cheap.verify(hashed, "pässwörd 🔑")
    for wrong in ("pässwörd", "", "pässwörd 🔑 ", "\ud800"):
        assert not await cheap.verify(hashed, wrong)


async def test_without_a_hash_or_with_a_broken_one_nothing_matches(cheap):
    for hashed in (None, "", "not a hash"):
        assert not await cheap.verify(hashed, "password")


async def test_the_hash_of_nobody_costs_what_a_real_one_does(cheap):
    hashed = await cheap.hash("password")
    assert extract_parameters(cheap._nobody) == extract_parameters(hashed)
    assert not cheap.is_outdated(cheap._nobody)


async def test_a_hash_with_other_parameters_is_outdated(cheap):
    assert not cheap.is_outdated(await cheap.hash("password"))
    assert cheap.is_outdated(PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("password"))


async def test_two_work_at_once_a_bounded_number_waits_and_the_next_is_told_to_come_back(hasher, monkeypatch):
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    made = Passwords(hasher)
    taken = [asyncio.ensure_future(made.hash("password")) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(LuotaError) as refused:
        await made.hash("password")
    assert (refused.value.code, refused.value.retry_after) == (Code.RATE_LIMITED, passwords.BUSY_S)
    hasher.gate.set()
    await asyncio.gather(*taken)
    assert hasher.most == 2
    await made.hash("password")
    made.close()


async def test_a_request_that_goes_away_frees_no_place_before_its_work_has_ended(hasher, monkeypatch):
    monkeypatch.setattr(passwords, "MOST_WAITING", 0)
    made = Passwords(hasher)
    taken = [asyncio.ensure_future(made.hash("password")) for _ in range(2)]
    while hasher.working < 2:
        await asyncio.sleep(0.001)
    for one in taken:
        one.cancel()
    await asyncio.wait(taken)
    with pytest.raises(LuotaError):
        await made.hash("password")
    made.close()
