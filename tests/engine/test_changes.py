"""Those who look on hear of every change, and cost little where they do not look."""

from luota.engine.changes import MOST_IDS, Changes


async def test_a_listener_hears_once_of_all_that_has_changed_since_its_last_look():
    changes = Changes()
    with changes.listen() as listener:
        changes.publish({"one"})
        changes.publish({"two", "one"})
        assert await listener.next(5) == {"one", "two"}
        assert await listener.next(0.01) == set()


async def test_a_transaction_that_changes_nothing_wakes_nobody():
    changes = Changes()
    with changes.listen() as listener:
        changes.publish(())
        changes.publish({"one"})
        assert await listener.next(5) == {"one"}
        changes.publish(())
        assert not listener._woken.is_set()


async def test_a_listener_who_does_not_look_keeps_no_more_than_a_bound_and_is_told_that_all_may_have_changed():
    changes = Changes()
    with changes.listen() as listener:
        for number in range(MOST_IDS):
            changes.publish({str(number)})
        assert len(listener._ids) == MOST_IDS
        for number in range(MOST_IDS, 5 * MOST_IDS // 2):
            changes.publish({str(number)})
            assert len(listener._ids) <= MOST_IDS
        assert "*" in await listener.next(5)


async def test_a_listener_who_has_left_is_forgotten_and_the_end_wakes_those_who_stay():
    changes = Changes()
    with changes.listen():
        pass
    assert not changes.listeners
    with changes.listen() as listener:
        changes.end()
        assert await listener.next(5) == set()
    assert changes.ended
