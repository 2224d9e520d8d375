"""Advice from evidence, and what a schedule would have opened."""

import random

from msgspec.structs import replace

from luota.core import advice
from luota.core.advice import intervals, rehearsal, spread
from luota.core.slots import Signal
from luota.core.model import Kind, Mode, Rules, RunState, Window, Windows
from luota.core.schedule import Every
from tests.core.history import DAY, HOUR, MINUTE, SECOND, at, cron, heartbeat

NIGHTLY = heartbeat(cron("0 2 * * *"), grace=30 * MINUTE)


def suggestions(*given):
    return _taken(advice.suggestions(*given))


def would_have_opened(*given, **more):
    return _taken(rehearsal(*given, **more))


def _taken(steps):
    """What steps come to, taken to their end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def pings(*instants):
    return [Signal(instant, instant) for instant in instants]


def nights(count, delay=5 * MINUTE, without=()):
    return pings(*(at("02:00") + night * DAY + delay for night in range(count) if night not in without))


def test_the_spread_of_durations_is_by_the_nearest_rank():
    found = spread(range(100, 0, -1))
    assert (found.count, found.shortest, found.median, found.p90, found.p95, found.longest) == (100, 1, 50, 90, 95, 100)
    assert spread([7]).p95 == 7
    assert spread([]) is None


def test_intervals_are_between_effective_instants():
    assert intervals([Signal(5, 90), Signal(1, 2), Signal(9, 9)]) == (4, 4)
    assert intervals(pings(1)) == ()


def test_too_little_evidence_suggests_nothing():
    assert suggestions(NIGHTLY, nights(4)) == ()
    assert suggestions(heartbeat(Every(HOUR)), nights(5)) == ()


def test_a_grace_covers_the_latest_arrival_and_leaves_plain_misses_out():
    (found,) = suggestions(NIGHTLY, [*nights(20), *pings(at("21 02:20"), at("22 18:00"))])
    assert (found.key, found.value) == ("graceSeconds", 22 * MINUTE)
    assert found.evidence.startswith("the latest of 21 signals came 20 min after it was expected; 1 more than half")


def test_the_grace_of_an_interval_is_what_the_longest_took_beyond_it():
    times = [hour * HOUR + (10 * MINUTE if hour == 7 else 0) for hour in range(20)] + [30 * HOUR]
    (found,) = suggestions(heartbeat(Every(HOUR)), pings(*times))
    assert (found.key, found.value) == ("graceSeconds", 11 * MINUTE)
    assert found.evidence == ("the longest of 19 intervals was 1 h 10 min; 1 longer than twice the usual was left out")


def test_freshness_and_the_longest_run_are_suggested_from_what_was_seen():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=HOUR)
    (found,) = suggestions(fresh, pings(*(i * 26 * HOUR + (4 * MINUTE if i == 6 else 0) for i in range(7))))
    assert (found.key, found.value) == ("expectedFreshnessSeconds", 29 * HOUR)
    assert found.evidence == "the longest of 6 intervals was 1 d 2 h 4 min"
    (found,) = suggestions(Rules(mode=Mode.RUN), nights(10), [10 * MINUTE] * 9 + [12 * MINUTE])
    assert (found.key, found.value) == ("maxRuntimeSeconds", 27 * MINUTE)


def test_a_suggestion_for_a_schedule_of_seconds_hides_none_of_the_silences_that_it_leaves_out():
    times, now = [], 0
    for number in range(60):
        now += 49 * SECOND if number % 12 == 11 else 4 * SECOND
        times.append(now)
    present = heartbeat(Every(6 * SECOND), grace=3 * SECOND)
    (found,) = suggestions(present, pings(*times))
    assert (found.key, found.value) == ("graceSeconds", SECOND)
    assert found.evidence == (
        "the longest of 54 intervals was 4 s; 5 longer than twice the usual were left out; "
        "a tenth of the interval is left in any case"
    )
    fresh = Rules(mode=Mode.FRESHNESS, freshness=8 * SECOND, grace=4 * SECOND)
    (renewed,) = suggestions(fresh, pings(*times))
    assert (renewed.key, renewed.value) == ("expectedFreshnessSeconds", 5 * SECOND)
    for rules in (
        present,
        fresh,
        replace(present, grace=found.value),
        replace(fresh, freshness=renewed.value),
    ):
        assert len(would_have_opened(rules, pings(*times), now).opened) == 5


def test_a_grace_leaves_room_for_the_first_delay_and_says_so():
    on_time = pings(*(hour * HOUR for hour in range(8)))
    (found,) = suggestions(heartbeat(Every(HOUR)), on_time)
    assert found.value == MINUTE
    assert found.evidence == "the longest of 7 intervals was 1 h; a minute is left in any case"
    (found,) = suggestions(NIGHTLY, nights(9, delay=0))
    assert found.value == MINUTE
    assert found.evidence.endswith("came 0 s after it was expected; a minute is left in any case")
    (found,) = suggestions(heartbeat(cron("* * * * *")), pings(*(at("02:00") + n * MINUTE for n in range(9))))
    assert (found.value, found.evidence.rpartition("; ")[2]) == (
        6 * SECOND,
        "a tenth of the interval is left in any case",
    )


def test_a_max_runtime_leaves_room_for_a_slower_run_and_says_so():
    quick = [300] * 9 + [400]
    (found,) = suggestions(Rules(mode=Mode.RUN), nights(10), quick)
    assert (found.key, found.value) == ("maxRuntimeSeconds", MINUTE)
    assert found.evidence == "the longest of 10 durations was 400 ms; a minute is left in any case"
    every_few = pings(*(n * 8 * SECOND for n in range(12)))
    (found,) = suggestions(Rules(mode=Mode.RUN, max_runtime=5 * SECOND), every_few, quick)
    assert found.value == 8 * SECOND
    assert found.evidence.endswith("; the usual interval is left in any case")


def test_the_evidence_of_a_schedule_of_seconds_tells_their_tenths():
    times = [*(number * 10 * SECOND for number in range(20)), 202_300]
    (found,) = suggestions(heartbeat(Every(10 * SECOND)), pings(*times))
    assert found.evidence.startswith("the longest of 20 intervals was 12.3 s")


def test_what_is_suggested_is_round_and_covers_what_was_seen():
    for longest, value in (
        (300, SECOND),
        (8 * SECOND, 9 * SECOND),
        (50 * SECOND, MINUTE),
        (4 * MINUTE, 4 * MINUTE + 30 * SECOND),
        (5 * MINUTE, 6 * MINUTE),
        (5 * HOUR, 5 * HOUR + 30 * MINUTE),
        (7 * HOUR, 8 * HOUR),
    ):
        fresh = Rules(mode=Mode.FRESHNESS, freshness=SECOND)
        assert suggestions(fresh, pings(*(n * longest for n in range(30))))[0].value == value


def test_what_hung_is_said_to_be_left_out_of_the_evidence_for_a_limit():
    (found,) = suggestions(Rules(mode=Mode.RUN), nights(9), [10 * MINUTE] * 9, 2)
    assert found.evidence == "the longest of 9 durations was 10 min; 2 that hung were left out"


def bursts(count, every=300):
    return pings(*(at("02:05") + number * every for number in range(count)))


def test_a_history_much_shorter_than_the_present_threshold_suggests_nothing_and_says_so():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=DAY, grace=2 * HOUR)
    (found,) = suggestions(fresh, bursts(11))
    assert (found.key, found.value) == ("expectedFreshnessSeconds", None)
    assert found.evidence == (
        "too short a history: the last 11 signals span 3 s, less than 3 times the present freshness of 1 d"
    )
    (found,) = suggestions(heartbeat(Every(HOUR)), bursts(6, every=30 * MINUTE))
    assert (found.value, found.evidence.partition(":")[0]) == (None, "too short a history")
    (found,) = suggestions(NIGHTLY, bursts(11))
    assert found.value is None
    assert found.evidence.endswith("11 signals met 1 expected moment of the schedule, fewer than 5")
    (found,) = suggestions(Rules(mode=Mode.RUN), bursts(11), [200] * 11)
    assert (found.key, found.value) == ("maxRuntimeSeconds", None)


def test_a_history_of_three_times_the_present_threshold_is_long_enough_to_suggest_another():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=2 * HOUR)
    assert suggestions(fresh, bursts(7, every=HOUR))[0].value == 75 * MINUTE
    assert suggestions(fresh, bursts(7, every=HOUR - 1))[0].value is None


def test_what_lasted_less_than_a_second_is_said_in_milliseconds():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=SECOND)
    (found,) = suggestions(fresh, bursts(11))
    assert found.evidence == "the longest of 10 intervals was 300 ms"


def test_the_incidents_are_those_that_the_rules_would_have_opened():
    result = would_have_opened(NIGHTLY, nights(90, without=(10, 11, 40)), at("90 12:00"))
    assert result.opened == ((Kind.MISSED, at("11 02:30")), (Kind.MISSED, at("41 02:30")))
    assert (result.since, result.until, result.capped) == (at("02:05"), at("90 12:00"), False)
    tight = heartbeat(cron("0 2 * * *"), grace=MINUTE)
    assert len(would_have_opened(tight, nights(90), at("90 12:00")).opened) == 89
    assert len(would_have_opened(NIGHTLY, nights(3), at("4 02:30")).opened) == 1  # and up to now
    assert would_have_opened(NIGHTLY, [], at("00:00")).opened == ()


def test_runs_fail_get_stuck_and_heal():
    rules = Rules(mode=Mode.RUN, schedule=cron("0 2 * * *"), grace=30 * MINUTE, max_runtime=HOUR)
    runs = []
    for night in range(6):
        began = at("02:00") + night * DAY
        state = {2: RunState.FAILED, 4: RunState.STUCK}.get(night, RunState.SUCCESS)
        runs.append(Signal(began, began, False, f"r{night}", state, None if night == 4 else began + 20 * MINUTE))
    result = would_have_opened(rules, runs, at("6 12:00"))
    assert result.opened == ((Kind.FAILED, at("3 02:20")), (Kind.STUCK, at("5 03:00")))


def test_blind_windows_and_pauses_excuse_as_they_did():
    signals = nights(10, without=(4,))
    now = at("10 12:00")
    assert len(would_have_opened(NIGHTLY, signals, now).opened) == 1
    windows = Windows((Window(at("5 01:00"), at("5 03:00")),))
    assert would_have_opened(NIGHTLY, signals, now, windows).opened == ()
    assert would_have_opened(NIGHTLY, signals, now, pauses=[(at("5 01:00"), at("5 03:00"))]).opened == ()


def test_a_history_that_is_too_long_is_judged_in_part_and_says_so():
    rules = heartbeat(Every(SECOND), grace=0)
    result = would_have_opened(rules, pings(at("00:00")), at("90 00:00"), most=1000)
    assert result.capped
    assert result.until == at("00:00") + 1000 * SECOND
    assert len(result.opened) == 1


def test_others_get_their_turn_between_slices():
    rules = heartbeat(Every(HOUR), grace=0)
    assert len(list(rehearsal(rules, pings(*range(0, 1000 * HOUR, HOUR)), 1000 * HOUR))) >= 5


def test_ticks_at_each_deadline_and_signals_in_order_agree_with_one_late_tick():
    choice = random.Random(7)
    for _ in range(30):
        rules = heartbeat(choice.choice([Every(HOUR), cron("0 * * * *")]), grace=choice.choice([0, 5 * MINUTE]))
        when, times = at("00:00"), []
        for _ in range(40):
            when += choice.choice([HOUR, HOUR, HOUR + 6 * MINUTE, 3 * HOUR])
            times.append(when)
        silent = sum(after - before > HOUR + rules.grace for before, after in zip(times, times[1:], strict=False))
        opened = would_have_opened(rules, pings(*times), times[-1]).opened
        if isinstance(rules.schedule, Every):
            assert len(opened) == silent
        assert all(times[0] < instant <= times[-1] for _, instant in opened)


def test_a_long_history_is_looked_through_in_pieces():
    assert len(list(advice.suggestions(NIGHTLY, nights(1000)))) >= 8
