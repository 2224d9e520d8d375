"""One monitor whose history a test tells by the clock: `at("2 03:04:05.006")` is that time on the second day."""

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
from luota.core.model import Mode, Pause, Rules, Window, Windows
from luota.core.schedule import Every, parse_schedule

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
FIRST_DAY = 1_773_100_800_000  # 2026-03-10T00:00Z, a Tuesday


def at(text):
    """Return the instant of `[day ]HH:MM[:SS[.mmm]]` in UTC; days count from 1."""
    day, _, clock = text.rpartition(" ")
    hours, minutes, *rest = clock.split(":")
    seconds = float(rest[0]) if rest else 0
    return FIRST_DAY + (int(day or 1) - 1) * DAY + int(hours) * HOUR + int(minutes) * MINUTE + round(seconds * SECOND)


def clock(instant):
    """Return the shortest text from which `at` gives the instant."""
    if instant is None:
        return None
    days, rest = divmod(instant - FIRST_DAY, DAY)
    text = f"{rest // HOUR:02}:{rest // MINUTE % 60:02}"
    if rest % MINUTE:
        text += f":{rest // SECOND % 60:02}"
    if rest % SECOND:
        text += f".{rest % SECOND:03}"
    return f"{days + 1} {text}" if days else text


def cron(expression, timezone="UTC"):
    return parse_schedule({"cron": expression, "timezone": timezone})


def calendar(expression, timezone="UTC"):
    return parse_schedule({"calendar": expression, "timezone": timezone})


def heartbeat(schedule, grace=5 * MINUTE, **rest):
    return Rules(mode=Mode.HEARTBEAT, schedule=schedule, grace=grace, **rest)


def run_rules(schedule=None, grace=5 * MINUTE, max_runtime=HOUR, **rest):
    return Rules(mode=Mode.RUN, schedule=schedule, grace=grace, max_runtime=max_runtime, **rest)


def freshness(limit=HOUR, grace=5 * MINUTE):
    return Rules(mode=Mode.FRESHNESS, freshness=limit, grace=grace)


HOURLY = heartbeat(Every(HOUR))
NIGHTLY = heartbeat(cron("0 2 * * *"))


class History:
    """Each call returns the transitions as text: `HH:MM before>after [action kind]`."""

    def __init__(self, rules, created="00:00"):
        self.rules = rules
        self.state = draft(rules, at(created))
        self.windows = Windows()
        self.known = {}
        self.said = []
        self.last = None

    def take(self, event, when):
        instant = at(when)
        outcome = evaluate(self.rules, self.state, event, instant, self.windows)
        self.last, self.state = outcome, outcome.state
        if isinstance(event, Edit):
            self.rules = event.rules
        for run in (outcome.run, *outcome.state.runs):
            if run is not None:
                self.known[run.id] = run
        for end in outcome.ended:
            if end.state == "stuck":  # the store keeps it so
                self.known[end.id] = replace(self.known[end.id], counted=True)
        said = []
        for step in outcome.transitions:
            what = f" {step.action.value} {step.kind.value}" if step.action else ""
            said.append(f"{clock(step.at)} {step.before.value}>{step.after.value}{what}")
        self.said += said
        return said

    def tick(self, when):
        return self.take(Tick(), when)

    def ping(self, when, client=None):
        return self.take(Ping(client and at(client)), when)

    def start(self, run, when, client=None):
        return self.take(Start(run, client and at(client)), when)

    def success(self, run, when, client=None):
        return self.take(Success(self.known[run], client and at(client)), when)

    def fail(self, run, when, client=None, summary=""):
        return self.take(Fail(self.known[run], client and at(client), summary), when)

    def pause(self, when, until=None, until_healthy=False):
        return self.take(PauseBegins(Pause(until and at(until), until_healthy)), when)

    def resume(self, when):
        return self.take(Resume(), when)

    def archive(self, when):
        return self.take(Archive(), when)

    def resolve(self, when):
        return self.take(Resolve(), when)

    def edit(self, when, **changes):
        return self.take(Edit(replace(self.rules, **changes)), when)

    def clock_back(self, when):
        return self.take(ClockBack(), when)

    def blind(self, start, end):
        self.windows = self.windows.add(Window(at(start), at(end)))

    @property
    def expects(self):
        """The next expected moment, then the deadline."""
        return clock(self.state.expected_at), clock(self.state.deadline_at)

    @property
    def status(self):
        return self.state.status.value

    @property
    def wakes(self):
        return clock(wake_at(self.state))

    @property
    def ended(self):
        return [f"{end.id} {end.state.value} {clock(end.at)}" for end in self.last.ended]


def proven(rules, when="01:00"):
    """Return the history of a monitor that was healthy at `when`."""
    history = History(rules)
    if rules.mode == "run":
        history.start("first", when)
        history.success("first", when)
    else:
        history.ping(when)
    return history
