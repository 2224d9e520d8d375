"""A few attempts at once, then one at a time; and a memory that stays bounded."""

from luota.core import throttle
from luota.core.throttle import Throttle


def taken(bucket, key, now, most=100):
    """Take until refused; return how many attempts that were."""
    for count in range(most):
        if bucket.retry_after(key, now) is not None:
            return count
        bucket.take(key, now)
    return most


def test_the_burst_passes_and_then_one_for_each_interval():
    bucket = Throttle(3, 10_000)
    assert taken(bucket, "a", 5_000) == 3
    assert bucket.retry_after("a", 5_000) == 10
    assert taken(bucket, "a", 14_999) == 0
    assert taken(bucket, "a", 15_000) == 1
    assert taken(bucket, "a", 45_000) == 3


def test_a_try_after_the_told_seconds_passes():
    bucket = Throttle(1, 1_500)
    bucket.take("a", 0)
    assert bucket.retry_after("a", 0) == 2
    assert bucket.retry_after("a", 1_499) == 1
    assert bucket.retry_after("a", 1_500) is None


def test_keys_do_not_share_a_bucket():
    bucket = Throttle(1, 10_000)
    bucket.take("a", 0)
    assert bucket.retry_after("b", 0) is None


def test_an_attempt_that_is_given_back_does_not_count():
    bucket = Throttle(2, 10_000)
    bucket.take("a", 0)
    bucket.take("a", 0)
    bucket.give_back("a")
    assert taken(bucket, "a", 0) == 1
    bucket.give_back("unknown")


def test_what_is_given_back_adds_up_to_no_more_than_the_burst():
    bucket = Throttle(2, 10_000)
    for _ in range(5):
        bucket.take("a", 0)
        bucket.give_back("a")
    assert taken(bucket, "a", 0) == 2


def test_no_more_keys_are_remembered_than_allowed_and_full_buckets_go_first(monkeypatch):
    monkeypatch.setattr(throttle, "MAX_KEYS", 3)
    bucket = Throttle(1, 10_000)
    for at, key in ((0, "a"), (0, "a"), (0, "old"), (9_000, "b"), (11_000, "c")):
        bucket.take(key, at)
    assert [key for key in ("old", "a", "b", "c") if bucket.retry_after(key, 11_000)] == ["a", "b", "c"]
    bucket.take("d", 11_000)
    assert [key for key in ("a", "b", "c", "d") if bucket.retry_after(key, 11_000)] == ["b", "c", "d"]
