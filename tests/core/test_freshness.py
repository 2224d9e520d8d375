"""docs/verdicts.md, as far as fresh and stale output tell them."""

from tests.core.history import HOUR, MINUTE, History, at, freshness


def fresh(rules=None, when="01:00"):
    history = History(rules or freshness(HOUR, 5 * MINUTE))
    history.ping(when)
    return history


def test_output_is_stale_at_the_limit_and_grace_after_the_latest_signal():
    history = fresh()
    assert history.tick("02:04:59.999") == ["02:00 healthy>late"]
    assert history.tick("02:05") == ["02:05 late>incident opened stale"]


def test_the_words_are_of_stale_output_and_never_of_downtime():
    history = fresh()
    history.tick("02:05")
    reason = history.last.transitions[-1].reason
    assert reason.startswith("stale output")
    assert "down" not in reason
    assert "missed" not in reason


def test_stale_output_has_no_further_occurrence():
    history = fresh()
    history.tick("02:05")
    assert history.wakes is None
    assert history.tick("9 00:00") == []


def test_a_fresh_signal_resolves_stale():
    history = fresh()
    history.tick("02:05")
    assert history.ping("02:30") == ["02:30 incident>healthy resolved stale"]
    assert history.last.mark.late
    assert history.expects == ("03:30", "03:35")


def test_a_signal_at_the_very_deadline_is_in_time():
    history = fresh()
    history.tick("02:01")
    assert history.ping("02:05") == ["02:05 late>healthy"]
    assert not history.last.mark.late


def test_the_earlier_of_the_two_times_is_effective_even_within_five_minutes():
    history = fresh()
    history.ping("01:30", "01:29")
    assert history.last.mark.effective_at == at("01:29")
    assert not history.last.mark.skewed
    assert history.expects == ("02:29", "02:34")


def test_an_old_change_of_the_output_is_no_clock_skew():
    history = fresh()
    history.ping("01:50", "01:10")
    assert not history.last.mark.skewed
    assert history.expects == ("02:10", "02:15")


def test_a_change_in_the_future_counts_as_now_and_is_skewed_beyond_five_minutes():
    history = fresh()
    history.ping("01:30", "01:35")
    assert not history.last.mark.skewed
    history.ping("01:30", "01:35:00.001")
    assert history.last.mark.skewed
    assert history.last.mark.effective_at == at("01:30")
    assert history.expects == ("02:30", "02:35")


def test_word_of_output_that_is_itself_stale_resolves_nothing():
    history = fresh()
    history.tick("02:05")
    assert history.ping("03:00", "01:54") == []
    assert history.status == "incident"


def test_word_of_output_that_is_not_quite_stale_resolves():
    history = fresh()
    history.tick("02:05")
    assert history.ping("03:00", "01:56") == ["03:00 incident>late resolved stale"]
    assert history.tick("03:01") == ["03:01 late>incident opened stale"]


def test_an_older_change_than_the_newest_known_moves_no_deadline_back():
    history = fresh()
    history.ping("01:30", "00:50")
    assert history.expects == ("02:00", "02:05")


def test_the_same_change_told_again_moves_nothing():
    history = fresh()
    history.ping("01:30", "01:00")
    assert history.expects == ("02:00", "02:05")


def test_a_first_signal_about_old_output_is_stale_after_its_receipt():
    history = History(freshness())
    assert history.ping("09:00", "01:00") == ["09:00 draft>late"]
    assert history.tick("10:00") == ["09:00:00.001 late>incident opened stale"]


def test_resolved_by_hand_stale_output_falls_due_again_after_a_full_interval():
    history = fresh()
    history.tick("02:05")
    assert history.resolve("03:00") == ["03:00 incident>unverified resolved stale"]
    assert history.tick("04:05") == ["04:05 unverified>incident opened stale"]


def test_an_edit_neither_resolves_stale_nor_arms_it_again():
    history = fresh()
    history.tick("02:05")
    assert history.edit("02:10", freshness=9 * HOUR) == []
    assert (history.status, history.wakes) == ("incident", None)
    assert history.ping("02:20") == ["02:20 incident>healthy resolved stale"]
    assert history.expects == ("11:20", "11:25")
