"""The slots of a bar lie on the schedule, in order, and each signal meets at most one."""

from hypothesis import given
from hypothesis import strategies as st

from luota.core.bar import Drawn, slots
from luota.core.events import Fail, Success, Tick
from luota.core.model import Mode, Rules, Window, Windows
from luota.core.schedule import Every
from luota.core.slots import Signal
from luota.core.words import said
from tests.core.history import HOUR, MINUTE, SECOND, at, calendar, clock, cron, heartbeat
from tests.core.recorded import BUDGET, EVERY, HOURLY, STEPS, Job, drawn, lived, pinged, rules_of


def test_a_slot_begins_at_each_occurrence_and_lasts_until_the_next():
    bar = pinged(HOURLY, "01:00:04", "02:01", "03:00", now="03:30")
    assert drawn(bar) == ["00:00 none", "01:00 ok", "02:00 ok", "03:00 ok"]
    assert [clock(slot.end) for slot in bar] == ["01:00", "02:00", "03:00", "04:00"]
    assert [slot.at and clock(slot.at) for slot in bar] == [None, "01:00:04", "02:01", "03:00"]


def test_a_signal_a_second_early_counts_for_the_occurrence_ahead():
    bar = pinged(HOURLY, "00:59:59", now="00:59:59.500")
    assert drawn(bar) == ["00:00 none", "01:00 ok"]
    assert clock(bar[-1].end) == "02:00"


def test_with_every_a_drifting_job_leaves_no_false_gap():
    times = [f"{hour:02}:00:{hour:02}" for hour in range(1, 20)]
    assert {slot.state for slot in pinged(EVERY, *times, now="19:30")} == {Drawn.OK}
    early = [f"{hour:02}:{59 - hour:02}:00" for hour in range(1, 20)]
    assert [slot.state for slot in pinged(EVERY, *early, now="19:50")] == [Drawn.OK] * 19


def test_with_every_silence_is_a_gap_per_interval():
    bar = pinged(EVERY, "01:00", "04:30", now="05:00")
    assert drawn(bar) == ["01:00 ok", "02:00 missed", "03:00 missed", "04:00 late"]
    assert clock(bar[-1].end) == "05:30"


def test_signals_more_often_than_twice_an_interval_share_a_slot():
    assert drawn(pinged(EVERY, "01:00", "01:10", "01:20", "01:40", "02:00", now="02:01")) == ["01:00 ok", "01:40 ok"]


def test_without_a_schedule_each_run_is_a_slot():
    job = Job(Rules(mode=Mode.RUN, max_runtime=HOUR), at("00:00"))
    for hour, event in ((1, Success), (5, Fail), (6, None)):
        job.now = at(f"{hour:02}:00")
        job.start()
        if event:
            job.close(job.signals[-1].run, event)
    job.now = at("08:00")
    job.take(Tick())
    assert drawn(job.bar()) == ["01:00 ok", "05:00 failed", "06:00 stuck"]
    assert clock(job.bar()[-1].end) == "08:00"


def test_nothing_is_drawn_from_before_the_creation_nor_judged_before_the_first_signal():
    assert drawn(pinged(HOURLY, now="02:30", created="00:30")) == ["00:30 none", "01:00 none", "02:00 none"]
    assert pinged(EVERY, now="02:30", created="00:30") == ()


def test_the_slot_before_the_first_occurrence_begins_with_the_creation_and_expected_nothing():
    nightly = heartbeat(cron("0 2 * * *", "Europe/Helsinki"))
    (slot,) = pinged(nightly, "12:31:31", now="12:32", created="12:31")
    assert (slot.start, slot.state) == (at("12:31"), Drawn.OK)
    assert said(slot) == ("first signal at ", at("12:31:31"))


def test_a_slot_before_the_first_occurrence_is_no_gap_though_a_signal_came_within_its_grace():
    before, _ = pinged(HOURLY, "01:00:02", now="01:30", created="00:59:30")
    assert (before.start, before.state) == (at("00:59:30"), Drawn.NONE)
    assert said(before) == ("nothing expected yet, created ", at("00:59:30"))


def test_a_blind_window_before_the_creation_is_in_no_slot():
    job = Job(HOURLY, at("00:37"))
    job.windows = Windows((Window(at("00:20"), at("00:22")), Window(at("00:36"), at("00:38"))))
    job.now = at("00:40")
    assert [slot.blind for slot in job.bar()] == [((at("00:37"), at("00:38")),)]


def test_a_signal_dated_before_the_creation_meets_the_occurrence_that_it_is_dated_to():
    job = Job(HOURLY, at("00:30"))
    job.now = at("00:31")
    job.ping(at("00:10"))
    (slot,) = job.bar()
    assert slot.start == at("00:00")
    assert said(slot) == ("signal at ", at("00:10"), ", 10 min after expected")


def test_where_older_signals_were_not_read_the_oldest_is_not_taken_for_the_first():
    seen = [Signal(at("01:10"), at("01:10"))]
    (slot,) = slots(HOURLY, seen, [], [], Windows(), at("01:10"), at("01:30"), 5)
    assert said(slot) == ("signal at ", at("01:10"), ", 10 min after expected")


def test_no_slot_begins_after_now_though_the_clock_stepped_back_behind_the_creation():
    bar = slots(HOURLY, [], [], [], Windows(), at("03:30"), at("01:30"), 5)
    assert drawn(bar) == ["01:00 none"]


def test_years_of_silence_of_a_dense_schedule_cost_no_more_than_the_bar():
    for schedule in (Every(SECOND), cron("* * * * *"), calendar("*-*-* *:*:0/10")):
        rules = heartbeat(schedule, grace=0)
        bar = slots(rules, [Signal(at("00:00"), at("00:00"))], [], [], Windows(), at("00:00"), at("3000 00:00"), 30)
        assert [slot.state for slot in bar] == [Drawn.MISSED] * 30


def test_a_schedule_that_is_dense_for_a_day_a_year_has_all_its_slots():
    rules = heartbeat(cron("* * 1 1 *"))
    bar = slots(rules, [Signal(0, 0)], [], [], Windows(), 0, at("00:00"), 40)
    assert len(bar) == 40
    assert {slot.end - slot.start for slot in bar[:-1]} == {MINUTE}


# Random histories


@BUDGET
@given(rules=rules_of(), steps=STEPS, n=st.integers(1, 40))
def test_slots_are_in_order_never_overlap_and_each_signal_meets_at_most_one(rules, steps, n):
    job = lived(rules, steps)
    bar = job.bar(n)
    assert len(bar) <= n
    for slot in bar:
        assert slot.start <= slot.end
        assert all(slot.start <= start < end <= slot.end for start, end in slot.blind)
        assert said(slot)
    for before, after in zip(bar, bar[1:], strict=False):
        assert before.end <= after.start
        if rules.schedule is not None or rules.mode is not Mode.RUN:
            assert before.start < after.start
    marks = [(slot.at, slot.run) for slot in bar if slot.at is not None]
    assert len(set(marks)) == len(marks)
    assert set(marks) <= {(s.at, s.run) for s in job.signals}
    whole = job.bar(1000)
    if rules.schedule is None or isinstance(rules.schedule, Every):
        assert len(bar) == min(n, len(whole))
    assert [s.start for s in bar] == [s.start for s in whole[-len(bar) :]]
