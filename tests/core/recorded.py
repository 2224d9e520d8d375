"""One monitor driven through the machine, its record kept as the store keeps it: what a bar is laid out from."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from luota.core.bar import slots
from luota.core.events import Fail, PauseBegins, Ping, Resume, Start, Success, Tick
from luota.core.machine import draft, evaluate
from luota.core.model import Action, Mode, Pause, Rules, RunState, Window, Windows
from luota.core.schedule import Every
from luota.core.slots import Incident, Signal
from tests.core.history import DAY, HOUR, MINUTE, SECOND, at, calendar, clock, cron, heartbeat

HOURLY = heartbeat(cron("0 * * * *"), grace=10 * MINUTE)
EVERY = heartbeat(Every(HOUR), grace=10 * MINUTE)
FOR_EVER = 1 << 50


class Job:
    """One monitor driven through the machine, keeping what the store would keep of it."""

    def __init__(self, rules, created):
        self.rules, self.created, self.now = rules, created, created
        self.state = draft(rules, created)
        self.windows = Windows()
        self.signals, self.pauses, self.steps, self.ended = [], [], [], []
        self.open = {}

    def take(self, event):
        outcome = evaluate(self.rules, self.state, event, self.now, self.windows)
        self.state = outcome.state
        self.steps += outcome.transitions
        self.ended += outcome.ended
        for run in (outcome.run, *outcome.state.runs):
            if run is not None:
                self.open[run.id] = run
        for end in outcome.ended:
            self.mark(end.id, end.state)
        for step in outcome.transitions:
            if step.after == "paused" and step.before != "paused":
                self.pauses.append((step.at, FOR_EVER))
            elif step.before == "paused" and step.after != "paused":
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
        limit_at = self.open[run].limit_at
        self.take(event(self.open.pop(run)))
        self.mark(run, RunState.SUCCESS if event is Success else RunState.FAILED)
        closed = {"finished_at": self.now, "limit_at": limit_at, "finish_received_at": self.now}
        self.signals = [replace(s, **closed) if s.run == run else s for s in self.signals]

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
            elif step.action is Action.RESOLVED:
                found[-1] = replace(found[-1], state="resolved", resolved_at=step.at)
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
    tolerance = draw(st.sampled_from([1, 1, 2]))
    return Rules(
        mode=mode, schedule=draw(st.sampled_from(choice)), grace=grace, max_runtime=40 * MINUTE, tolerance=tolerance
    )


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
