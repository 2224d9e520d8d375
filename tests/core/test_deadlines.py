"""The heap of deadlines, against a plain dict."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luota.core.deadlines import Deadlines

KEYS = st.sampled_from("abcdefgh")
INSTANTS = st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.none() | INSTANTS),
        st.tuples(st.just("pop"), INSTANTS, st.integers(0, 4)),
    ),
    max_size=200,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, INSTANTS), STEPS)
def test_it_behaves_as_a_dict_of_deadlines(entries, steps):
    model = dict(entries)
    deadlines = Deadlines((at, key) for key, at in entries.items())
    for word, one, other in steps:
        if word == "set":
            deadlines.set(one, other)
            model.pop(one, None) if other is None else model.update({one: other})
        else:
            due = deadlines.pop_due(one, other)
            instants = [model.pop(key) for key in due]
            assert instants == sorted(instants)
            assert all(at <= one for at in instants)
            left = min(model.values(), default=None)
            assert len(due) == other or left is None or left > one
            assert not instants or left is None or instants[-1] <= left
        assert deadlines.next() == min(model.values(), default=None)
        assert len(deadlines) == len(model)


def test_a_key_has_one_deadline_the_latest_set():
    deadlines = Deadlines()
    for at in (5, 1, 9):
        deadlines.set("a", at)
    assert deadlines.next() == 9
    assert deadlines.pop_due(100, 10) == ["a"]
    assert deadlines.pop_due(100, 10) == []


def test_what_is_set_again_to_an_instant_it_had_before_is_popped_once():
    deadlines = Deadlines()
    for at in (5, 7, 5, 7, 5):
        deadlines.set("a", at)
    deadlines.set("b", 6)
    assert deadlines.pop_due(10, 10) == ["a", "b"]
    assert deadlines.next() is None


def test_a_deadline_is_due_at_its_own_instant():
    deadlines = Deadlines([(5, "a")])
    assert deadlines.pop_due(4, 1) == []
    assert deadlines.pop_due(5, 1) == ["a"]


def test_a_discarded_key_is_never_due():
    deadlines = Deadlines([(5, "a"), (6, "b")])
    deadlines.set("a", None)
    deadlines.set("unknown", None)
    assert deadlines.pop_due(10, 10) == ["b"]


def test_all_of_one_instant_are_popped_with_it_in_order_but_what_has_moved_or_lies_ahead():
    deadlines = Deadlines([(5, "a"), (6, "c"), (6, "b"), (6, "d")])
    deadlines.set("a", 7)
    deadlines.set("d", 8)
    assert deadlines.pop(5) is None
    assert deadlines.pop(7) == (6, ["b", "c"])
    assert deadlines.pop(7) == (7, ["a"])
    assert deadlines.pop(7) is None


def test_no_more_than_asked_for_are_popped():
    deadlines = Deadlines((n, str(n)) for n in range(10))
    assert deadlines.pop_due(100, 3) == ["0", "1", "2"]
    assert len(deadlines) == 7


def test_no_more_than_asked_for_are_popped_of_one_instant_and_the_others_stay_due():
    deadlines = Deadlines((5, str(n)) for n in range(10))
    first = deadlines.pop_due(5, 3)
    assert (len(first), len(deadlines), deadlines.next()) == (3, 7, 5)
    assert sorted(first + deadlines.pop_due(5, 10)) == [str(n) for n in range(10)]


@pytest.mark.parametrize("apart", [1, 0], ids=["each at its own instant", "all at one"])
def test_its_size_stays_within_twice_what_it_holds(apart):
    deadlines = Deadlines((n, str(n)) for n in range(100))

    def entries():
        return sum(map(len, deadlines._keys.values()))

    for round_ in range(200):
        for n in range(100):
            deadlines.set(str(n), 1_000 + round_ * 100 + n * apart)
            assert len(deadlines._heap) <= entries() <= 2 * len(deadlines) + 64
        for n in range(0, 100, 7):
            deadlines.pop_due(1_000 + round_ * 100, n)
    for n in range(100):
        deadlines.set(str(n), None)
        assert len(deadlines._heap) <= entries() <= 2 * len(deadlines) + 64
    assert deadlines.next() is None
