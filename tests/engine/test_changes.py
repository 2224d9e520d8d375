"""Those who look on hear of every change in their workspace and of none elsewhere, and cost little where they do not look."""

from luota.engine.changes import MOST_IDS, Changes
from tests.engines import workspace_of

HERE, ELSEWHERE = "here", "elsewhere"


async def test_a_listener_hears_once_of_all_that_has_changed_since_its_last_look():
    changes = Changes()
    with changes.listen(HERE) as listener:
        changes.publish({HERE: {"one"}})
        changes.publish({HERE: {"two", "one"}})
        assert await listener.next(5) == {HERE: {"one", "two"}}
        assert await listener.next(0.01) == {}


async def test_what_changes_in_another_workspace_neither_wakes_a_listener_nor_counts_here():
    changes = Changes()
    with changes.listen(HERE) as listener:
        before = changes.number(HERE)
        changes.publish({ELSEWHERE: {str(number) for number in range(2 * MOST_IDS)}})
        assert not listener._woken.is_set()
        assert changes.number(HERE) == before
        changes.publish({ELSEWHERE: {"three"}, HERE: {"one"}})
        assert await listener.next(5) == {HERE: {"one"}}
        assert changes.number(HERE) == before + 1


async def test_a_listener_to_several_workspaces_hears_what_changed_in_which_until_it_leaves_one():
    changes = Changes()
    with changes.listen(HERE, ELSEWHERE) as listener:
        changes.publish({HERE: {"one"}, ELSEWHERE: {"two"}, "third": {"three"}})
        assert await listener.next(5) == {HERE: {"one"}, ELSEWHERE: {"two"}}
        changes.publish({ELSEWHERE: {"four"}})
        listener.leave(ELSEWHERE)
        changes.publish({HERE: {"five"}, ELSEWHERE: {"six"}})
        assert await listener.next(5) == {HERE: {"five"}}
        changes.publish({ELSEWHERE: {"seven"}})
        assert not listener._woken.is_set()


async def test_a_transaction_that_changes_nothing_wakes_nobody():
    changes = Changes()
    with changes.listen(HERE) as listener:
        changes.publish({})
        changes.publish({HERE: {"one"}})
        assert await listener.next(5) == {HERE: {"one"}}
        changes.publish({})
        assert not listener._woken.is_set()


async def test_a_listener_who_does_not_look_keeps_no_more_than_a_bound_and_is_told_that_all_may_have_changed():
    changes = Changes()
    with changes.listen(HERE) as listener:
        for number in range(MOST_IDS):
            changes.publish({HERE: {str(number)}})
        assert len(listener._ids[HERE]) == MOST_IDS
        for number in range(MOST_IDS, 5 * MOST_IDS // 2):
            changes.publish({HERE: {str(number)}})
            assert len(listener._ids[HERE]) <= MOST_IDS
        assert "*" in (await listener.next(5))[HERE]


async def test_a_listener_who_has_left_is_forgotten_and_the_end_wakes_those_who_stay():
    changes = Changes()
    with changes.listen(HERE):
        pass
    assert not changes.listeners
    with changes.listen(HERE) as listener:
        changes.end()
        assert await listener.next(5) == {}
    assert changes.ended


def test_a_number_of_an_earlier_start_is_none_of_this_one():
    assert Changes(1_000).number(HERE) != Changes(2_000).number(HERE)


async def test_a_signal_that_leaves_its_monitor_as_it_was_is_no_turn_and_all_else_is(served):
    changes, here = served.engine.changes, workspace_of(served.engine).id
    turns = [changes.turn(here)]

    def is_turn():
        turns.append(changes.turn(here))
        return turns[-1] > turns[-2]

    job = await served.monitor(tags={"team": "data"})
    assert is_turn()
    await job.ping()
    assert is_turn()  # its first
    number = changes.number(here)
    await job.ping()
    assert not is_turn()
    assert changes.number(here) > number
    served.clock.advance(3_700_000)
    await served.judge()
    assert is_turn()
    (incident,) = (await served.api("GET", "/api/incidents"))["incidents"]
    await served.api("POST", f"/api/incidents/{incident['id']}/acknowledge", {"reason": "on it"})
    assert is_turn()
    await job.archive()
    assert is_turn()
