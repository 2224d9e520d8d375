import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.retry import HORIZON, HOUR, LONGEST_RETRY_AFTER, PAUSES, SECOND, AttemptResult, rests_until, retry_at

START = 1_790_000_000_000
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)
asked = st.none() | st.integers(min_value=0, max_value=10**15)
spent = st.integers(min_value=0, max_value=30 * SECOND)  # how long an attempt itself took


def history(steps):
    """The instants of all attempts when each (jitter, Retry-After, duration) of `steps` is used in a circle."""
    attempts, now = [START], START
    while True:
        jitter, retry_after, took = steps[(len(attempts) - 1) % len(steps)]
        now += took
        following = retry_at(len(attempts), START, now, jitter, retry_after)
        if following is None:
            return attempts, now
        attempts.append(following)
        now = following
        assert len(attempts) < 1000


@given(st.lists(st.tuples(jitters, st.none(), spent), min_size=1, max_size=20))
def test_attempts_move_forward_are_bounded_in_number_and_the_last_fails_at_or_after_the_horizon(steps):
    attempts, ended = history(steps)
    assert all(a < b for a, b in zip(attempts, attempts[1:], strict=False))
    assert ended - START >= HORIZON
    assert attempts[-1] - START >= HORIZON - 30 * SECOND
    assert attempts[-2] - START < HORIZON
    assert 60 <= len(attempts) <= 110


@given(st.lists(jitters, min_size=1, max_size=20))
def test_with_instant_failures_the_last_attempt_lies_at_or_after_72_hours_for_any_jitter(some):
    attempts, _ = history([(jitter, None, 0) for jitter in some])
    assert attempts[-1] - START >= 72 * HOUR


@given(st.lists(st.tuples(jitters, asked, spent), min_size=1, max_size=20))
def test_whatever_a_receiver_asks_for_the_attempts_end_within_a_day_after_the_horizon(steps):
    attempts, _ = history(steps)
    assert attempts[-1] - START <= HORIZON + LONGEST_RETRY_AFTER
    assert len(attempts) <= 110


@given(st.integers(1, 500), st.integers(0, HORIZON - 1), jitters, st.integers(0, 10**15))
def test_the_next_attempt_is_never_before_retry_after_up_to_a_day(attempt, elapsed, jitter, retry_after):
    now = START + elapsed
    assert retry_at(attempt, START, now, jitter, retry_after) >= now + min(retry_after, LONGEST_RETRY_AFTER)


@given(st.integers(1, 500), jitters)
def test_a_pause_stays_within_a_fifth_of_the_table(attempt, jitter):
    pause = PAUSES[min(attempt, len(PAUSES)) - 1]
    assert 0.8 * pause - 1 <= retry_at(attempt, START, START, jitter, None) - START <= 1.2 * pause


@given(st.integers(1, 500), jitters, jitters)
def test_a_larger_jitter_never_means_an_earlier_attempt(attempt, one, other):
    low, high = sorted((one, other))
    assert retry_at(attempt, START, START, low, None) <= retry_at(attempt, START, START, high, None)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        (1, 10),
        (2, 30),
        (3, 60),
        (4, 120),
        (5, 300),
        (6, 600),
        (7, 1200),
        (8, 2400),
        (9, 3600),
        (10, 3600),
        (99, 3600),
    ],
)
def test_without_jitter_the_pauses_are_the_tables(attempt, seconds):
    assert retry_at(attempt, START, START, 0.5, None) == START + seconds * SECOND


def test_a_retry_after_beyond_the_horizon_still_gets_one_attempt_and_no_second():
    now = START + HORIZON - 1
    following = retry_at(80, START, now, 0.5, 30 * 24 * HOUR)
    assert following == now + 24 * HOUR
    assert retry_at(81, START, following, 0.5, None) is None


def test_a_short_retry_after_does_not_hasten_the_next_attempt():
    assert retry_at(5, START, START, 0.5, 1000) == START + 300 * SECOND


@pytest.mark.parametrize(
    ("status", "retry_after", "rests"),
    [
        (429, 1, 1),
        (429, 600 * SECOND, 600 * SECOND),
        (429, 24 * HOUR, HOUR),
        (429, None, None),
        (429, 0, None),
        (503, 600 * SECOND, None),
        (None, None, None),
    ],
)
def test_a_channel_rests_as_long_as_a_429_says_an_hour_at_most(status, retry_after, rests):
    until = rests_until(AttemptResult(ok=False, status=status, retry_after=retry_after), START)
    assert until == (None if rests is None else START + rests)
