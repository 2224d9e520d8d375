"""The bar: its slots are never drawn better than the machine judged."""

import pytest
from hypothesis import given
from msgspec.structs import replace

from luota.core.bar import Drawn
from luota.core.events import Fail, PauseBegins, Resume, Success, Tick
from luota.core.model import Action, Kind, Mode, Pause, Rules, RunState, Window
from luota.core.schedule import Every
from luota.core.slots import Incident
from luota.core.words import said
from tests.core.history import HOUR, MINUTE, SECOND, at, calendar, cron, heartbeat
from tests.core.recorded import BUDGET, EVERY, FOR_EVER, HOURLY, STEPS, Job, drawn, lived, pinged, rules_of


def test_an_occurrence_that_nothing_met_is_a_gap():
    assert drawn(pinged(HOURLY, "01:00", "04:01", now="04:30", n=4)) == [
        "01:00 ok",
        "02:00 missed",
        "03:00 missed",
        "04:00 ok",
    ]


def test_silence_is_late_inside_the_grace_and_missed_from_the_deadline_on():
    assert drawn(pinged(HOURLY, "01:00", now="02:09:59.999", n=1)) == ["02:00 late"]
    assert drawn(pinged(HOURLY, "01:00", now="02:10", n=1)) == ["02:00 missed"]
    assert drawn(pinged(EVERY, "01:00", now="02:09:59.999", n=1)) == ["02:00 late"]
    assert drawn(pinged(EVERY, "01:00", now="02:10", n=1)) == ["02:00 missed"]


def test_where_the_grace_is_longer_than_the_interval_each_slot_is_missed_only_from_its_own_deadline_on():
    for schedule in (HOURLY.schedule, EVERY.schedule):
        slack = heartbeat(schedule, grace=150 * MINUTE)
        assert drawn(pinged(slack, "01:00", now="04:29:59.999", n=3)) == ["02:00 late", "03:00 late", "04:00 late"]
        assert drawn(pinged(slack, "01:00", now="04:30", n=3)) == ["02:00 missed", "03:00 late", "04:00 late"]
        assert drawn(pinged(slack, "01:00", "04:30:00.001", now="04:31", n=3))[0] == "02:00 missed"


def test_an_occurrence_that_nothing_met_is_no_gap_where_a_later_signal_came_within_its_grace():
    for schedule, late_by in ((HOURLY.schedule, "10 min"), (EVERY.schedule, "1 h 10 min")):
        slack = heartbeat(schedule, grace=150 * MINUTE)
        for now in ("03:11", "04:30", "06:00"):  # ahead of its own deadline, and ever after
            bar = [s for s in pinged(slack, "01:00", "03:10", now=now, n=5) if s.start in (at("02:00"), at("03:00"))]
            assert drawn(bar) == ["02:00 late", "03:00 ok"]
            followed = "; the next came within its grace, at "
            assert said(bar[0]) == ("no signal of its own, expected ", at("02:00"), followed, at("03:10"))
            assert said(bar[1]) == ("signal at ", at("03:10"), f", {late_by} after expected")


def test_what_preceded_the_first_signal_stays_undrawn_where_its_grace_lasted_beyond_it():
    slack = heartbeat(HOURLY.schedule, grace=150 * MINUTE)
    assert drawn(pinged(slack, "03:10", now="06:00", n=5))[:2] == ["02:00 none", "03:00 ok"]


def test_a_gap_that_was_judged_stays_one_when_the_grace_is_widened_later():
    job = Job(heartbeat(HOURLY.schedule, grace=150 * MINUTE), at("00:30"))
    for text in ("01:00", "03:10"):
        job.now = at(text)
        job.ping()
    missed = Incident("i", Kind.MISSED, "resolved", at("02:01"), at("03:10"), at("02:00"))
    assert [(slot.state, slot.incident) for slot in job.bar(2, [missed])] == [("missed", "i"), ("ok", None)]


def test_a_signal_after_the_deadline_is_late_and_one_at_it_is_not():
    assert drawn(pinged(HOURLY, "01:00", "02:10", now="02:30", n=1)) == ["02:00 ok"]
    assert drawn(pinged(HOURLY, "01:00", "02:10:00.001", now="02:30", n=1)) == ["02:00 late"]
    assert drawn(pinged(EVERY, "01:00", "02:10:00.001", now="02:30", n=1)) == ["02:00 late"]


def test_the_words_of_a_late_signal_count_from_the_moment_that_made_it_late():
    on_time = ", 1 s after expected"  # it meets the occurrence of 05:00, and those before were missed
    late = ", 3 h 1 s after expected"  # a full interval after the signal before was 02:00
    for rules, *words in ((HOURLY, on_time), (EVERY, late, ", late")):
        bar = pinged(rules, "01:00", "05:00:01", now="05:01")
        assert drawn(bar)[-4:-1] == ["02:00 missed", "03:00 missed", "04:00 missed"]
        assert said(bar[-1]) == ("signal at ", at("05:00:01"), *words)


def test_a_signal_ahead_of_its_interval_is_told_without_a_distance_since_the_next_counts_from_it():
    assert said(pinged(EVERY, "01:00", "01:40", now="01:41")[-1]) == ("signal at ", at("01:40"))


def test_a_second_signal_makes_no_late_slot_better():
    assert drawn(pinged(HOURLY, "01:00", "02:30", "02:40", now="02:50", n=1)) == ["02:00 late"]


def test_stale_output_is_drawn_from_the_moment_at_which_it_should_have_been_renewed():
    fresh = Rules(mode=Mode.FRESHNESS, freshness=HOUR, grace=10 * MINUTE)
    assert drawn(pinged(fresh, "01:00", "02:05", "04:35", now="04:40")) == [
        "01:00 ok",
        "02:05 ok",
        "03:05 stale",
        "04:05 stale",
        "04:35 late",
    ]
    assert drawn(pinged(fresh, "01:00", now="02:05")) == ["01:00 ok", "02:00 late"]


def test_a_run_decides_how_its_slot_is_drawn():
    for event, state in ((Success, "ok"), (Fail, "failed")):
        job = Job(Rules(mode=Mode.RUN, schedule=cron("0 * * * *"), max_runtime=30 * MINUTE), at("00:30"))
        job.now = at("01:00:02")
        job.start()
        assert drawn(job.bar())[-1] == "01:00 running"
        job.now = at("01:10")
        job.close("run0", event)
        assert drawn(job.bar())[-1] == f"01:00 {state}"
        assert job.bar()[-1].run == "run0"


def test_the_worst_run_of_a_slot_decides():
    job = Job(Rules(mode=Mode.RUN, schedule=cron("0 * * * *")), at("00:30"))
    for minute, event in ((0, Success), (10, Fail), (20, Success)):
        job.now = at(f"01:{minute:02}")
        job.start()
        job.close(job.signals[-1].run, event)
    (slot,) = job.bar(1)
    assert (slot.state, slot.run) == (Drawn.FAILED, "run1")


def test_a_run_that_succeeds_only_after_its_limit_stays_drawn_as_hung():
    for schedule in (None, cron("0 * * * *")):
        job = Job(Rules(mode=Mode.RUN, schedule=schedule, max_runtime=10 * MINUTE), at("00:30"))
        for began, ended in (("01:00", "01:10"), ("02:00", "02:10:00.001")):
            job.now = at(began)
            job.start()
            job.now = at(ended)
            job.close(job.signals[-1].run, Success)
        *_, in_time, hung = job.bar()
        assert (in_time.state, hung.state) == (Drawn.OK, Drawn.STUCK)
        assert said(hung) == ("run of ", at("02:00"), ": hung, then succeeded", ", ended ", at("02:10:00.001"))


def test_a_run_that_ends_in_the_millisecond_in_which_it_was_judged_stuck_is_drawn_as_hung():
    job = Job(Rules(mode=Mode.RUN, max_runtime=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.start()
    job.now = at("01:10")
    job.take(Tick())
    job.close("run0", Success)
    job.now = at("01:11")
    assert drawn(job.bar(1, job.incidents())) == ["01:00 stuck"]


def test_a_run_that_succeeds_after_a_limit_that_a_window_hid_is_unverified_and_not_accused():
    job = Job(Rules(mode=Mode.RUN, max_runtime=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.start()
    job.now = at("01:05")
    job.blind(30 * MINUTE)
    assert drawn(job.bar()) == ["01:00 unverified"]
    job.close("run0", Success)
    (slot,) = job.bar()
    assert slot.state is Drawn.UNVERIFIED
    assert said(slot)[2] == ": success, unverified"


@pytest.mark.parametrize("resumed", ["01:20", "01:50", None])
def test_a_run_that_succeeds_after_a_limit_that_passed_in_a_pause_is_unverified_and_not_accused(resumed):
    job = Job(Rules(mode=Mode.RUN, max_runtime=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.start()
    job.now = at("01:05")
    job.take(PauseBegins(Pause()))
    for when, event in sorted([("01:40", "close"), *([(resumed, "resume")] if resumed else [])]):
        job.now = at(when)
        job.close("run0", Success) if event == "close" else job.take(Resume())
    assert not [step for step in job.steps if step.kind is Kind.STUCK]
    (slot,) = job.bar()
    assert slot.state is Drawn.UNVERIFIED
    assert said(slot)[2] == ": success, unverified"


@pytest.mark.parametrize(("paused", "resumed"), [("01:01", "01:09:59.999"), ("01:10:00.001", "01:15")])
def test_a_pause_that_does_not_cover_the_limit_excuses_no_run(paused, resumed):
    job = Job(Rules(mode=Mode.RUN, max_runtime=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.start()
    for when, event in ((paused, PauseBegins(Pause())), (resumed, Resume())):
        job.now = at(when)
        job.take(event)
    job.now = at("01:40")
    job.close("run0", Success)
    assert drawn(job.bar()) == ["01:00 stuck"]


def test_a_run_that_is_dated_back_over_a_window_before_the_first_signal_is_not_accused():
    job = Job(Rules(mode=Mode.RUN, schedule=Every(HOUR), max_runtime=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.blind(5 * MINUTE)
    job.start()
    job.start(at("00:30"))
    job.now = at("01:06")
    job.close("run0", Success)
    job.close("run1", Success)
    assert drawn(job.bar(2)) == ["00:30 unverified", "01:05 ok"]


def test_of_two_runs_of_a_slot_the_one_that_hung_decides():
    job = Job(Rules(mode=Mode.RUN, schedule=cron("0 * * * *"), max_runtime=10 * MINUTE), at("00:30"))
    for began, ended in (("01:00", "01:20"), ("01:30", "01:31")):
        job.now = at(began)
        job.start()
        job.now = at(ended)
        job.close(job.signals[-1].run, Success)
    (slot,) = job.bar(1)
    assert (slot.state, slot.run) == (Drawn.STUCK, "run0")


def test_what_a_blind_window_hid_is_unverified_and_the_window_is_shaded():
    for rules, last in ((HOURLY, "03:00"), (EVERY, "03:20")):
        job = Job(rules, at("00:30"))
        job.now = at("01:00")
        job.ping()
        job.now = at("01:50")
        job.blind(30 * MINUTE)
        job.now = at(last) + 5 * SECOND
        job.ping()
        assert drawn(job.bar(3)) == ["01:00 ok", "02:00 unverified", f"{last} ok"]
        first, second, third = job.bar(3)
        assert first.blind == ((at("01:50"), at("02:00")),)
        assert second.blind == ((at("02:00"), at("02:20")),)
        assert third.blind == ()


def test_a_miss_that_was_judged_as_a_window_began_stays_a_miss():
    for rules in (HOURLY, EVERY):
        job = Job(rules, at("00:30"))
        job.now = at("01:00")
        job.ping()
        job.now = at("02:10")  # the deadline: the incident is the last that is written before the daemon dies
        job.take(Tick())
        job.blind(50 * MINUTE)
        job.now = at("03:30")
        assert drawn(job.bar(2, job.incidents()))[:1] == ["02:00 missed"]
        assert "02:00 unverified" in drawn(job.bar())


def test_stale_output_that_was_judged_as_a_window_began_stays_stale():
    job = Job(Rules(mode=Mode.FRESHNESS, freshness=HOUR, grace=10 * MINUTE), at("00:30"))
    job.now = at("01:00")
    job.ping()
    job.now = at("02:10")
    job.take(Tick())
    job.blind(50 * MINUTE)
    job.now = at("04:05")
    assert {slot.state for slot in job.bar(9, job.incidents())[1:]} == {Drawn.STALE}


def test_a_miss_that_was_only_counted_as_a_window_began_stays_a_miss():
    for schedule in (HOURLY.schedule, EVERY.schedule):
        open_since, below = (heartbeat(schedule, grace=10 * MINUTE, tolerance=most) for most in (1, 3))
        for rules, when in ((open_since, "03:10"), (below, "02:10")):
            job = Job(rules, at("00:30"))
            job.now = at("01:00")
            job.ping()
            job.now = at(when)
            job.take(Tick())
            assert job.steps[-1].action is Action.COUNTED
            job.blind(50 * MINUTE)
            missed = when.replace(":10", ":00")
            assert f"{missed} missed" in drawn(job.bar(5, job.incidents()))


def test_what_a_window_hid_from_its_first_millisecond_on_is_unverified_though_an_incident_was_open_before_or_is_later():
    job = Job(HOURLY, at("00:30"))
    for text in ("01:00", "02:30"):  # the incident of 02:00 ends at 02:30
        job.now = at(text)
        job.take(Tick())
        job.ping()
    job.now = at("03:10")
    job.windows = job.windows.add(Window(job.now, at("03:50")))
    for text in ("03:50", "04:10"):
        job.now = at(text)
        job.take(Tick())
    assert drawn(job.bar(3, job.incidents())) == ["02:00 late", "03:00 unverified", "04:00 missed"]


def test_what_was_expected_during_a_pause_is_drawn_as_paused():
    for rules in (HOURLY, EVERY):
        job = Job(rules, at("00:30"))
        job.now = at("01:00")
        job.ping()
        job.now = at("01:30")
        job.take(PauseBegins(Pause()))
        job.now = at("02:30")
        assert drawn(job.bar(2)) == ["01:00 ok", "02:00 paused"]
        job.take(Resume())
        job.now = at("03:40")
        job.take(Tick())
        following = "03:00" if rules is HOURLY else "03:30"
        assert drawn(job.bar(3)) == ["01:00 ok", "02:00 paused", f"{following} missed"]


def test_an_incident_belongs_to_the_slot_that_it_is_about_and_is_never_in_a_good_one():
    bar = pinged(HOURLY, "01:00", "02:05", now="02:30", n=2)
    assert drawn(bar) == ["01:00 ok", "02:00 ok"]
    missed = Incident(
        "i", Kind.MISSED, "resolved", at("02:01"), at("02:05"), at("02:00")
    )  # before the grace was widened
    bar = pinged(HOURLY, "01:00", "02:05", now="02:30", n=2)
    job = Job(HOURLY, at("00:30"))
    for text in ("01:00", "02:05"):
        job.now = at(text)
        job.ping()
    bar = job.bar(2, [missed])
    assert [(slot.state, slot.incident) for slot in bar] == [("ok", None), ("late", "i")]


def test_the_words_of_a_slot_leave_instants_to_the_page():
    early, gap, ok, due = (
        *pinged(HOURLY, "01:00:04", "02:59:59", now="03:00", n=3),
        *pinged(HOURLY, "01:00", now="02:05", n=1),
    )
    assert said(early) == ("signal at ", at("01:00:04"), ", 4 s after expected")
    assert said(gap) == ("missed: no signal, expected ", at("02:00"))
    assert said(ok) == ("signal at ", at("02:59:59"), ", 1 s before expected")
    assert said(due) == ("late: no signal yet, expected ", at("02:00"))


# Random histories

BAD = (Action.OPENED, Action.COUNTED, Action.UPDATED)


def begun(job):
    """When pauses and windows began: whether a verdict of the same millisecond came before is not on record."""
    return {start for start, _ in job.pauses} | {window.start for window in job.windows.all}


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_what_the_machine_judged_in_silence_is_never_drawn_as_ok(rules, steps):
    job = lived(rules, steps)
    bar = job.bar(1000, job.incidents())
    for step in job.steps:
        bad = step.action in (Action.OPENED, Action.COUNTED, Action.UPDATED, Action.UNVERIFIED)
        # A signal in the very millisecond of a verdict is on record as in time.
        tie = any(s.received_at == step.at for s in job.signals)
        if bad and step.kind in (Kind.MISSED, Kind.STALE) and not tie and step.due_at >= job.created:
            (slot,) = (slot for slot in bar if slot.start <= step.due_at < slot.end)
            assert slot.state is not Drawn.OK, (step, slot)


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_a_bad_run_is_never_drawn_as_ok(rules, steps):
    job = lived(rules, steps)
    bar = job.bar(1000)
    judged = {(end.id, end.at) for end in job.ended if end.state is RunState.STUCK}
    began = begun(job)
    for signal in job.signals:
        was_stuck = any(run == signal.run and at != signal.finish_received_at and at not in began for run, at in judged)
        if (was_stuck or signal.state in (RunState.FAILED, RunState.STUCK)) and signal.at >= job.created:
            near = max(signal.at + MINUTE, bar[0].start)  # it may count for the slot ahead
            assert [s for s in bar if s.start <= near and s.state in ("failed", "stuck")], signal


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_a_run_is_drawn_as_stuck_only_where_the_machine_said_so(rules, steps):
    job = lived(rules, steps)
    judged = {step.run for step in job.steps if step.kind is Kind.STUCK and step.action in BAD}
    assert {slot.run for slot in job.bar(1000) if slot.state is Drawn.STUCK} <= judged


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_a_gap_is_drawn_only_where_the_machine_missed_something_however_long_the_grace(rules, steps):
    job = lived(rules, steps, skewed=False, words=("signal", "close", "fail", "tick", "pause", "resume"))
    judged = {step.due_at for step in job.steps if step.kind in (Kind.MISSED, Kind.STALE)}
    assert {slot.start for slot in job.bar(1000) if slot.state is Drawn.MISSED} <= judged


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_with_a_short_grace_nothing_is_left_undrawn_after_the_first_signal(rules, steps):
    rules = replace(rules, grace=min(rules.grace, 5 * MINUTE))  # shorter than any gap of the schedules
    job = lived(rules, steps, skewed=False, words=("signal", "close", "fail", "tick", "pause", "resume"))
    first = job.signals[0].received_at if job.signals else FOR_EVER
    for slot in job.bar(1000):
        if slot.state is Drawn.NONE:
            assert slot.start + rules.grace < first
