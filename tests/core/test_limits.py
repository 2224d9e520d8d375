"""Rate limits: what passes, what is told to wait, and for how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luota.core import limits as limits_module
from luota.core.errors import Code, LuotaError
from luota.core.limits import Limits, RateLimit

NOW = 1_777_426_391_398


def send(limit, key, now):
    """Send one request; tell whether it passed."""
    if limit.retry_after(key, now) is not None:
        return False
    limit.count(key, now)
    return True


@given(st.integers(1, 100), st.integers(1, 4_000_000), st.integers(0, 10**13))
def test_the_first_requests_up_to_the_limit_pass_in_one_instant_and_the_next_does_not(n, period, now):
    limit = RateLimit("p", n, period)
    assert all(send(limit, "k", now) for _ in range(n))
    assert not send(limit, "k", now)
    assert send(limit, "other", now)


@given(
    st.integers(1, 20),
    st.sampled_from([1, 7, 1000, 60_000]),
    st.lists(st.integers(0, 40_000), min_size=1, max_size=60),
    st.integers(0, 100_000),
)
def test_a_request_after_retry_after_passes_and_the_wait_is_never_longer_than_a_period(n, period, gaps, late):
    limit = RateLimit("p", n, period)
    now = NOW
    for gap in gaps:
        now += gap
        for _ in range(3):
            seconds = limit.retry_after("k", now)
            if seconds is None:
                limit.count("k", now)
                continue
            assert 1 <= seconds <= -(-period // 1000)
    seconds = limit.retry_after("k", now)
    if seconds is not None:
        assert limit.retry_after("k", now + seconds * 1000 + late) is None


@given(st.integers(1, 8), st.integers(1, 40), st.data())
def test_the_wait_is_the_shortest_after_which_the_weighted_count_leaves_room(n, period, data):
    previous, current = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    elapsed = data.draw(st.integers(0, period - 1))

    def fits(at):
        """The rule as written down: whole requests of the window before, by the part that still overlaps."""
        before, here = (previous, current) if at < period else (current, 0) if at < 2 * period else (0, 0)
        return before * (period - 1 - at % period) // period + here + 1 <= n

    limit = RateLimit("p", n, period)
    for _ in range(previous):
        limit.count("k", NOW * period)
    for _ in range(current):
        limit.count("k", (NOW + 1) * period)
    shortest = next(wait for wait in range(2 * period + 1) if fits(elapsed + wait))
    assert limit._wait(previous, current, elapsed) == shortest
    found = limit.retry_after("k", (NOW + 1) * period + elapsed)
    assert found == (1 if shortest else None)
    assert shortest <= period


@given(st.integers(1, 30), st.lists(st.integers(0, 3_000), max_size=300))
def test_no_window_passes_more_than_the_limit_and_no_stretch_more_than_twice(n, gaps):
    limit, period = RateLimit("p", n, 10_000), 10_000
    now, passed = NOW, []
    for gap in gaps:
        now += gap
        if send(limit, "k", now):
            passed.append(now)
    for start in passed:
        assert sum(1 for at in passed if start <= at < start + period) <= 2 * n
        assert sum(1 for at in passed if at // period == start // period) <= n


def test_a_steady_flow_of_exactly_the_limit_passes_for_ever():
    limit = RateLimit("p", 60, 60_000)
    assert all(send(limit, "k", NOW + second * 1000) for second in range(600))


def test_a_steady_flow_of_twice_the_limit_passes_at_about_the_limit():
    limit = RateLimit("p", 60, 60_000)
    passed = sum(send(limit, "k", NOW + half * 500) for half in range(120 * 20))
    assert 60 * 19 <= passed <= 60 * 21


def test_a_burst_at_the_end_of_a_window_is_not_followed_by_another_at_the_start_of_the_next():
    limit = RateLimit("p", 60, 60_000)
    end = NOW - NOW % 60_000 + 59_999
    assert sum(send(limit, "k", end) for _ in range(100)) == 60
    assert sum(send(limit, "k", end + 1) for _ in range(100)) <= 1


def test_a_denied_request_lengthens_no_wait():
    limit = RateLimit("p", 2, 60_000)
    send(limit, "k", NOW), send(limit, "k", NOW)
    before = limit.retry_after("k", NOW)
    for _ in range(50):
        send(limit, "k", NOW)
    assert limit.retry_after("k", NOW) == before


def test_a_limit_of_zero_is_off():
    limit = RateLimit("p", 0, 60_000)
    assert all(send(limit, "k", NOW) for _ in range(1000))
    assert not limit._current


@settings(max_examples=200)
@given(st.integers(1, 10), st.lists(st.integers(-200_000, 100_000), max_size=80))
def test_a_clock_that_steps_backwards_locks_no_key_out_for_longer_than_a_period(n, steps):
    limit, now = RateLimit("p", n, 60_000), NOW
    for step in steps:
        now += step
        seconds = limit.retry_after("k", now)
        if seconds is None:
            limit.count("k", now)
        else:
            assert 1 <= seconds <= 60
    assert limit.retry_after("k", now + 60_000) is None


def test_a_step_backwards_gives_no_fresh_allowance():
    limit = RateLimit("p", 3, 60_000)
    assert all(send(limit, "k", NOW) for _ in range(3))
    assert not send(limit, "k", NOW - 3_600_000)


def test_idle_keys_are_forgotten():
    limit = RateLimit("p", 60, 60_000)
    for number in range(1000):
        limit.count(number, NOW)
    limit.count("k", NOW + 60_000)
    limit.count("k", NOW + 120_000)
    assert set(limit._current) | set(limit._previous) == {"k"}


def test_many_keys_in_one_window_leave_memory_bounded(monkeypatch):
    monkeypatch.setattr(limits_module, "MAX_KEYS", 100)
    limit = RateLimit("p", 2, 60_000)
    for number in range(10_000):
        assert send(limit, number, NOW)
        assert len(limit._current) + len(limit._previous) <= 200


def test_admit_names_the_policy_that_refuses_and_then_counts_in_none():
    limits = Limits(monitor_per_minute=100, monitor_per_hour=2, workspace_per_minute=1000)
    checks = [(limits.monitor_minute, "m"), (limits.monitor_hour, "m"), (limits.workspace_minute, "w")]
    limits.admit(checks, NOW)
    limits.admit(checks, NOW)
    with pytest.raises(LuotaError) as refused:
        limits.admit(checks, NOW)
    error = refused.value
    assert (error.code, error.policy, error.limit) == (Code.RATE_LIMITED, "ingest.monitor_token.hour", 2)
    assert 1 <= error.retry_after <= 3600
    assert str(error.retry_after) in error.message
    assert limits.monitor_minute._current == {"m": 2}
    assert limits.workspace_minute._current == {"w": 2}


def test_the_policies_and_figures_are_those_of_the_contract():
    limits = Limits()
    found = {
        limit.policy: (limit.limit, limit.period_ms)
        for limit in (limits.monitor_minute, limits.monitor_hour, limits.workspace_minute, limits.ip_minute)
    }
    assert found == {
        "ingest.monitor_token.minute": (60, 60_000),
        "ingest.monitor_token.hour": (1000, 3_600_000),
        "ingest.workspace.minute": (3000, 60_000),
        "ingest.ip.minute": (600, 60_000),
    }
