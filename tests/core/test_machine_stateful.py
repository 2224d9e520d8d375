"""`evaluate` against the invariants of its theory, over random histories of any monitor.

Every event is evaluated twice over (purity), once more after a tick at each deadline before it (one late tick
equals a tick at each deadline), and its transitions are held against what an incident may do.
"""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from luota.core.events import (
    Archive,
    ClockBack,
    Edit,
    Fail,
    PauseBegins,
    Ping,
    Resolve,
    Resume,
    Start,
    Success,
    Tick,
)
from luota.core.machine import draft, evaluate, wake_at
from luota.core.model import RANK, Action, Mode, Pause, Rules, RunState, Status, Window, Windows
from luota.core.schedule import Every
from luota.core.verdicts import status_of
from tests.core.history import DAY, HOUR, MINUTE, calendar, cron

BEGIN = 1_774_656_000_000  # 2026-03-28T00:00Z; on the next day clocks jump in Europe
SCHEDULES = (
    Every(40_000),
    Every(HOUR),
    Every(90 * MINUTE + 1),
    cron("*/15 * * * *"),
    cron("0 * * * *"),
    cron("30 3 * * *", "Europe/Helsinki"),
    calendar("*-*-* *:10/20"),
    calendar("2026-03-28 02:00,03:00"),
)
GRACES = (0, 1, MINUTE, 5 * MINUTE, 2 * HOUR)
RUNTIMES = (30_000, 10 * MINUTE, HOUR, DAY)
FRESHNESS = (MINUTE, 30 * MINUTE, 6 * HOUR)
SKEWS = (0, 1, MINUTE, 5 * MINUTE, 5 * MINUTE + 1, HOUR, 2 * DAY, 60 * 365 * DAY, 2000 * 365 * DAY)


@st.composite
def rules_of(draw, mode, schedules=SCHEDULES):
    chosen = {"mode": mode, "grace": draw(st.sampled_from(GRACES))}
    if mode is Mode.FRESHNESS:
        return Rules(**chosen, freshness=draw(st.sampled_from(FRESHNESS)))
    if mode is Mode.RUN:
        schedules = (None, *schedules)
        chosen["max_runtime"] = draw(st.sampled_from(RUNTIMES))
    return Rules(**chosen, schedule=draw(st.sampled_from(schedules)), tolerance=draw(st.integers(1, 3)))


def client_times(now):
    """No time at all, or one that is more or less far behind or ahead of `now`."""
    behind, ahead = [now - skew for skew in SKEWS], [now + skew for skew in SKEWS]
    return st.sampled_from([None, None, None, *behind, *ahead])


def one_at_a_time(rules, state, event, now, windows):
    """Tick at each deadline, each with the windows that had begun by then; then take the event."""
    transitions, ended = [], []
    last = now if type(event) is Tick else now - 1
    for _ in range(10_000):
        due = wake_at(state)
        if due is None or due > last:
            break
        known = Windows(tuple(w for w in windows.all if w.start <= due))
        outcome = evaluate(rules, state, Tick(), due, known)
        transitions += outcome.transitions
        ended += outcome.ended
        state = outcome.state
        following = wake_at(state)
        assert following is None or following > due
    outcome = evaluate(rules, state, event, now, windows)
    return outcome.state, (*transitions, *outcome.transitions), (*ended, *outcome.ended)


class Histories(RuleBasedStateMachine):
    @initialize(data=st.data(), mode=st.sampled_from(Mode))
    def create(self, data, mode):
        self.rules = data.draw(rules_of(mode))
        self.now = BEGIN + data.draw(st.integers(0, 2 * DAY))
        self.state = draft(self.rules, self.now)
        self.windows = Windows()
        self.incident = None
        self.known = {}  # runs that are not closed, as the store keeps them
        self.gone = set()  # runs whose limit has fired
        self.started = 0

    def take(self, event):
        rules, state, now, windows = self.rules, self.state, self.now, self.windows
        written = msgspec.json.encode(state)
        outcome = evaluate(rules, state, event, now, windows)
        assert evaluate(rules, state, event, now, windows) == outcome
        assert msgspec.json.encode(state) == written
        assert one_at_a_time(rules, state, event, now, windows) == (outcome.state, outcome.transitions, outcome.ended)
        self.check_transitions(outcome)
        self.check_runs(event, outcome)
        if state.archived:
            assert outcome.state is state
        self.state, self.seen = outcome.state, now
        after = wake_at(outcome.state)
        assert after is None or after >= now
        if type(event) is Tick:
            assert after is None or after > now
        return outcome

    def check_transitions(self, outcome):
        state = self.state
        at, status, since = min(getattr(self, "seen", self.now), self.now), state.status, state.since
        for step in outcome.transitions:
            assert at <= step.at <= self.now
            assert step.before is status
            assert step.reason
            assert step.after is not step.before or step.action is not None
            self.check_action(step)
            if step.after is not step.before:
                since = step.at
            at, status = step.at, step.after
        assert outcome.state.status is status
        assert outcome.state.since in (since, min(since, self.now))
        assert outcome.state.incident is self.incident

    def check_action(self, step):
        if step.action is Action.OPENED:
            assert self.incident is None
            assert step.before not in (Status.PAUSED, Status.DRAFT, Status.ARCHIVED)
            assert step.after is Status.INCIDENT
            self.incident = step.kind
        elif step.action is Action.UPDATED:
            assert RANK[step.kind] > RANK[self.incident]
            self.incident = step.kind
        elif step.action is Action.RESOLVED:
            assert step.kind is self.incident
            self.incident = None
        elif step.action is Action.UNVERIFIED:
            assert self.incident is None
            assert step.after is Status.UNVERIFIED
        elif step.action is Action.COUNTED:
            assert step.after in (Status.INCIDENT, Status.FAILING)

    def check_runs(self, event, outcome):
        assert (outcome.run is not None) is (type(event) is Start and not self.state.archived)
        if type(event) in (Ping, Start, Success, Fail) and not self.state.archived:
            assert outcome.mark.effective_at <= self.now
        for run in (outcome.run, *outcome.state.runs):
            if run is not None:
                self.known[run.id] = run
                assert outcome.state.pause or run.limit_at >= self.now
        for end in outcome.ended:
            assert end.id not in self.gone
            self.gone.add(end.id)
            if end.state is RunState.STUCK:
                self.known[end.id] = replace(self.known[end.id], counted=True)
        assert not self.gone & {run.id for run in outcome.state.runs}

    @invariant()
    def the_status_agrees_with_the_state(self):
        assert self.state.status is status_of(self.state)

    @invariant()
    def an_early_tick_is_a_no_op_and_ticks_are_idempotent(self):
        wake = wake_at(self.state)
        for early in (self.now, self.now + 1, (wake or self.now + 9 * DAY) - 1):
            if early >= self.now and (wake is None or early < wake):
                outcome = evaluate(self.rules, self.state, Tick(), early, self.windows)
                assert (outcome.state, outcome.transitions, outcome.ended) == (self.state, (), ())
        if wake is not None:
            once = evaluate(self.rules, self.state, Tick(), wake, self.windows).state
            again = evaluate(self.rules, once, Tick(), wake, self.windows)
            assert (again.state, again.transitions, again.ended) == (once, (), ())

    # Time

    def pass_time(self, data):
        wake = wake_at(self.state)
        steps = [0, 1, 30_000, MINUTE, 7 * MINUTE, HOUR]
        if wake is not None and self.now <= wake <= self.now + 2 * DAY:
            steps += [wake - self.now, max(wake - self.now - 1, 0), wake - self.now + 1]
        self.now += data.draw(st.sampled_from(steps))

    @rule(data=st.data())
    def tick(self, data):
        self.pass_time(data)
        self.take(Tick())

    @rule(days=st.integers(1, 30 * HOUR))
    def a_long_time_passes(self, days):
        self.now += days
        self.take(Tick())

    @rule(data=st.data(), length=st.sampled_from([1, 3_000, MINUTE, MINUTE + 1, 30 * MINUTE, 7 * HOUR]))
    def luota_is_blind(self, data, length):
        self.pass_time(data)
        self.take(Tick())
        start, self.now = self.now, self.now + length
        self.windows = self.windows.add(Window(start, self.now))
        if data.draw(st.booleans()):
            self.take(Tick())

    @rule(data=st.data(), back=st.sampled_from([1, 2_000, 10 * MINUTE, DAY]))
    def the_clock_steps_back(self, data, back):
        self.now -= back
        self.windows = self.windows.until(self.now)
        self.take(ClockBack())
        state = self.state
        if not state.archived:
            instants = (state.since, state.basis_at, state.set_at, state.last_signal_at, state.evidence_at)
            assert max(i for i in instants if i is not None) <= self.now
            assert all(run.started_at <= self.now for run in state.runs)

    # Signals

    @precondition(lambda self: self.rules.mode is not Mode.RUN)
    @rule(data=st.data())
    def ping(self, data):
        self.pass_time(data)
        self.take(Ping(data.draw(client_times(self.now))))

    @precondition(lambda self: self.rules.mode is Mode.RUN)
    @rule(data=st.data())
    def start(self, data):
        self.pass_time(data)
        self.started += 1
        self.take(Start(f"run{self.started}", data.draw(client_times(self.now))))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), event=st.sampled_from([Success, Fail]))
    def close(self, data, event):
        self.pass_time(data)
        run = self.known[data.draw(st.sampled_from(sorted(self.known)))]
        self.take(event(run, data.draw(client_times(self.now))))
        del self.known[run.id]

    # People

    @rule(data=st.data(), lasts=st.sampled_from([None, 0, 1, 20 * MINUTE, 5 * HOUR]), healthy=st.booleans())
    def pause(self, data, lasts, healthy):
        self.pass_time(data)
        self.take(PauseBegins(Pause(None if lasts is None else self.now + lasts, healthy)))

    @rule(data=st.data(), event=st.sampled_from([Resume(), Resolve()]))
    def resume_or_resolve(self, data, event):
        self.pass_time(data)
        self.take(event)

    @rule(data=st.data())
    def edit(self, data):
        self.pass_time(data)
        rules = data.draw(rules_of(self.rules.mode))
        self.take(Tick())
        incident = self.incident
        outcome = self.take(Edit(rules))
        self.rules = rules
        assert self.incident is incident
        assert not [step for step in outcome.transitions if step.action is not None]

    @precondition(lambda self: self.started % 4 == 3 or self.state.failures > 4)
    @rule(data=st.data())
    def archive(self, data):
        self.pass_time(data)
        self.take(Archive())
        assert self.state.status is Status.ARCHIVED


def test_random_histories_keep_the_invariants(request):
    long = request.config.getoption("--long")
    budget = settings(
        max_examples=3_000 if long else 300,
        stateful_step_count=60 if long else 30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Histories, settings=budget)


# A history without a grid, shifted


INSTANTS = (
    "since basis_at set_at signal_at last_close_at expected_at deadline_at counted_at evidence_at unverified_by".split()
)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0, 1, MINUTE, 10 * MINUTE, HOUR, HOUR + 5 * MINUTE]), st.integers(0, DAY)),
        st.sampled_from("tick ping start success fail pause resume resolve blind back edit".split()),
        st.sampled_from([None, 0, -MINUTE, -HOUR, -2 * DAY, HOUR]),
    ),
    max_size=25,
)


def told(rules, other, steps, begin):
    """Return the state after each step, with instants relative to `begin`, and the transitions, without words."""

    def plain(value):
        return None if value is None else value - begin

    now, state, windows, runs, out = begin, draft(rules, begin), Windows(), [], []
    for number, (step, word, skew) in enumerate(steps):
        now += step
        client = None if skew is None else now + skew
        if word == "blind":
            windows = windows.add(Window(now - step, now)) if step else windows
            event = Tick()
        elif word == "back":
            now -= min(step, HOUR)
            windows, event = windows.until(now), ClockBack()
        elif word in ("success", "fail"):
            if not runs:
                continue
            event = (Success if word == "success" else Fail)(runs.pop(0), client)
        elif word == "edit":
            event = Edit(other)
        else:
            event = {
                "tick": Tick(),
                "ping": Ping(client),
                "start": Start(f"run{number}", client),
                "pause": PauseBegins(Pause(None if skew is None else now + abs(skew) + 1, skew == 0)),
                "resume": Resume(),
                "resolve": Resolve(),
            }[word]
        outcome = evaluate(rules, state, event, now, windows)
        state, rules = outcome.state, other if word == "edit" else rules
        if outcome.run:
            runs.append(outcome.run)
        moved = {name: plain(getattr(state, name)) for name in INSTANTS}
        open_runs = tuple((r.id, plain(r.started_at), plain(r.limit_at), plain(r.occurrence)) for r in state.runs)
        until = state.pause and plain(state.pause.until)
        rest = replace(state, reason="", runs=(), pause=None, **dict.fromkeys(INSTANTS, 0))
        said = [(plain(t.at), t.before, t.after, t.action, t.kind, plain(t.due_at)) for t in outcome.transitions]
        out.append((rest, moved, open_runs, until, said))
    return out


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), mode=st.sampled_from(Mode), steps=STEPS, shift=st.integers(-DAY, 400 * DAY))
def test_without_a_grid_a_shifted_history_has_the_shifted_outcome(data, mode, steps, shift):
    every = (Every(10 * MINUTE), Every(HOUR), Every(90 * MINUTE + 1))
    rules, other = data.draw(rules_of(mode, every)), data.draw(rules_of(mode, every))
    assert told(rules, other, steps, BEGIN) == told(rules, other, steps, BEGIN + shift)
