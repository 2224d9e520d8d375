from luota.core.storms import MOST, SPAN, held_until


def test_up_to_ten_within_ten_seconds_are_told_one_by_one():
    assert held_until([1000 + n for n in range(MOST)], []) is None
    assert held_until([50_000, 50_001], [1000] * 20) is None
    assert held_until([n * SPAN for n in range(1, 30)], []) is None


def test_more_are_held_for_ten_seconds_after_the_first_that_waits():
    assert held_until([1000] * (MOST + 1), []) == 1000 + SPAN
    assert held_until([5000, 5001], [1000] * MOST) == 5000 + SPAN


def test_one_that_comes_alone_after_more_than_ten_is_held_too_and_the_tenth_is_not():
    assert held_until([5000], [1000] * MOST) == 5000 + SPAN
    assert held_until([5000], [1000] * (MOST - 1)) is None
    assert held_until([5000 + SPAN], [5000] * 30) is None
