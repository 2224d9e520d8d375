"""The bar: slots laid out on the schedule, never drawn better than the machine judged."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from luota.core.bar import Drawn, Incident, Signal, slots
from luota.core.events import Fail, PauseBegins, Ping, Resume, Start, Success, Tick
from luota.core.machine import draft, evaluate
from luota.core.model import Action, Kind, Mode, Pause, Rules, RunState, Window, Windows
from luota.core.schedule import Every
from luota.core.words import said
from tests.core.history import DAY, HOUR, MINUTE, SECOND, at, calendar, clock, cron, heartbeat

FOR_EVER = 1 << 50


class Job:
    """One monitor driven through the machine, keeping what the store would keep of it."""

    def __init__(self, rules, created):
        self.rules, self.created, self.now = rules, created, created
        self.state = draft(rules, created)
        self.windows = Windows()
        self.signals, self.pauses, self.steps = [], [], []
        self.open = {}

    def take(self, event):
        outcome = evaluate(self.rules, self.state, event, self.now, self.windows)
        self.state = outcome.state
        self.steps += outcome.transitions
        for run in (outcome.run, *outcome.state.runs):
            if run is not None:
                self.open[run.id] = run
        for end in outcome.ended:
            self.mark(end.id, end.state)
        for step in outcome.transitions:
            if step.after == "paused":
                self.pauses.append((step.at, FOR_EVER))
            elif step.before == "paused":
                self.pauses[-1] = (self.pauses[-1][0], step.at)
        return outcome

    def mark(self, run, state):
        self.signals = [replace(s, state=state) if s.run == run else s for s in self.signals]

    def ping(self, client=None):
        mark = self.take(Ping(client)).mark
        self.signals.append(Signal(mark.effective_at, self.now, mark.late))

    def start(self, client=None):
        run = f"run{len(self.signals)}"
        mark = self.take(Start(run, client)).mark
        self.signals.append(Signal(mark.effective_at, self.now, mark.late, run, RunState.RUNNING))

    def close(self, run, event):
        self.take(event(self.open.pop(run)))
        self.mark(run, RunState.SUCCESS if event is Success else RunState.FAILED)

    def blind(self, length):
        self.take(Tick())
        self.windows = self.windows.add(Window(self.now, self.now + length))
        self.now += length
        self.take(Tick())

    def incidents(self):
        found = []
        for step in self.steps:
            if step.action is Action.OPENED:
                found.append(Incident(f"i{len(found)}", step.kind, "open", step.at, None, step.due_at, step.run))
        return found

    def bar(self, n=30, incidents=()):
        return slots(self.rules, self.signals, incidents, self.pauses, self.windows, self.created, self.now, n)


def pinged(rules, *when, now, created="00:00", **rest):
    """Return the bar of a monitor that was pinged at these times."""
    job = Job(rules, at(created))
    for text in when:
        job.now = at(text)
        job.ping()
    job.now = at(now)
    job.take(Tick())
    return job.bar(**rest)


def drawn(bar):
    return [f"{clock(slot.start)} {slot.state}" for slot in bar]


HOURLY = heartbeat(cron("0 * * * *"), grace=10 * MINUTE)
EVERY = heartbeat(Every(HOUR), grace=10 * MINUTE)


def test_a_slot_begins_at_each_occurrence_and_lasts_until_the_next():
    bar = pinged(HOURLY, "01:00:04", "02:01", "03:00", now="03:30")
    assert drawn(bar) == ["00:00 none", "01:00 ok", "02:00 ok", "03:00 ok"]
    assert [clock(slot.end) for slot in bar] == ["01:00", "02:00", "03:00", "04:00"]
    assert [slot.at and clock(slot.at) for slot in bar] == [None, "01:00:04", "02:01", "03:00"]


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


def test_a_signal_after_the_deadline_is_late_and_one_at_it_is_not():
    assert drawn(pinged(HOURLY, "01:00", "02:10", now="02:30", n=1)) == ["02:00 ok"]
    assert drawn(pinged(HOURLY, "01:00", "02:10:00.001", now="02:30", n=1)) == ["02:00 late"]
    assert drawn(pinged(EVERY, "01:00", "02:10:00.001", now="02:30", n=1)) == ["02:00 late"]


def test_a_second_signal_makes_no_late_slot_better():
    assert drawn(pinged(HOURLY, "01:00", "02:30", "02:40", now="02:50", n=1)) == ["02:00 late"]


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


def test_nothing_is_drawn_from_before_the_creation_nor_judged_before_the_first_signal():
    assert drawn(pinged(HOURLY, now="02:30", created="00:30")) == ["00:00 none", "01:00 none", "02:00 none"]
    assert pinged(EVERY, now="02:30", created="00:30") == ()


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


SCHEDULES = [Every(10 * MINUTE), Every(HOUR), cron("*/15 * * * *"), cron("30 3 * * *", "Europe/Helsinki")]
SCHEDULES += [cron("0 * * * *"), calendar("*-*-* *:10/20")]
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0, 1, MINUTE, 10 * MINUTE, 15 * MINUTE, HOUR, HOUR + 5 * MINUTE]), st.integers(0, 3 * HOUR)
        ),
        st.sampled_from("signal signal signal signal close fail tick pause resume blind short".split()),
        st.sampled_from([None] * 4 + [0, -MINUTE, -10 * MINUTE, -HOUR, -2 * DAY, HOUR]),
    ),
    min_size=1,
    max_size=25,
)


@st.composite
def rules_of(draw):
    mode = draw(st.sampled_from(Mode))
    grace = draw(st.sampled_from([0, MINUTE, 5 * MINUTE, 2 * HOUR]))
    if mode is Mode.FRESHNESS:
        return Rules(mode=mode, freshness=draw(st.sampled_from([30 * MINUTE, HOUR])), grace=grace)
    choice = SCHEDULES if mode is Mode.HEARTBEAT else [None, *SCHEDULES]
    return Rules(mode=mode, schedule=draw(st.sampled_from(choice)), grace=grace, max_runtime=40 * MINUTE)


def lived(rules, steps, skewed=True, words=None):
    job = Job(rules, at("18 22:00"))  # two nights before clocks jump in Europe
    for step, word, skew in steps:
        if words is not None and word not in words:
            continue
        job.now += step
        client = job.now + skew if skew is not None and skewed else None
        if word == "signal":
            job.start(client) if rules.mode is Mode.RUN else job.ping(client)
        elif word in ("close", "fail"):
            if job.open:
                job.close(min(job.open), Success if word == "close" else Fail)
        elif word == "blind":
            job.blind(max(step, 2 * MINUTE))
        elif word == "short":
            job.blind(30 * SECOND)
        elif word == "pause":
            job.take(PauseBegins(Pause(None if skew is None else job.now + abs(skew) + 1)))
        else:
            job.take(Resume() if word == "resume" else Tick())
    job.take(Tick())
    return job


BUDGET = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


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


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_what_the_machine_judged_in_silence_is_never_drawn_as_ok(rules, steps):
    job = lived(rules, steps)
    bar = job.bar(1000, job.incidents())
    begun = {window.start for window in job.windows.all}
    for step in job.steps:
        if step.action is Action.COUNTED and step.at in begun:
            continue  # unlike an opening, it is not on record that it came before the window
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
    for signal in job.signals:
        if signal.state in (RunState.FAILED, RunState.STUCK) and signal.at >= job.created:
            near = max(signal.at + MINUTE, bar[0].start)  # it may count for the slot ahead
            assert [s for s in bar if s.start <= near and s.state in ("failed", "stuck")]


@BUDGET
@given(rules=rules_of(), steps=STEPS)
def test_a_gap_is_drawn_only_where_the_machine_missed_something(rules, steps):
    rules = replace(rules, grace=min(rules.grace, 5 * MINUTE))  # shorter than any gap of the schedules
    job = lived(rules, steps, skewed=False, words=("signal", "close", "fail", "tick", "pause", "resume"))
    judged = {step.due_at for step in job.steps if step.kind in (Kind.MISSED, Kind.STALE)}
    first = job.signals[0].received_at if job.signals else FOR_EVER
    gaps = {slot.start for slot in job.bar(1000) if slot.state is Drawn.MISSED}
    assert gaps <= judged
    for slot in job.bar(1000):
        if slot.state is Drawn.NONE:
            assert slot.start + rules.grace < first
