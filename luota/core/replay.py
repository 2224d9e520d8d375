"""A history judged by the very core that judges live signals: no network, no clock, no file.

What the daemon gets from its alarm, its store and its callers comes here from the lines of a trace, in
order of time. What falls due strictly before a line at T is judged before it; a signal exactly at a deadline is
in time.

A silence is judged by the signal that ends it, since one late tick says the same as a tick at each deadline. Only
when the steps are asked for it is judged for all monitors up to the last line, so that they come in order of time.
Silence that goes on in an open incident makes no step. It is judged only when something else happens to the
monitor, and then all but what can still matter is passed over: a trace takes time for what it says and for
what is said about it, not for how long a history lasts.
"""

import sys
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace

from luota.core import events
from luota.core.deadlines import Deadlines
from luota.core.errors import invalid
from luota.core.expectation import last_due
from luota.core.machine import draft, evaluate
from luota.core.model import (
    MINUTE,
    NO_WINDOWS,
    Action,
    Mode,
    OpenRun,
    Pause,
    Rules,
    RunState,
    State,
    Transition,
    Window,
)
from luota.core.occurrences import SLACK
from luota.core.spec import trace
from luota.core.spec.monitors import MAX_TOLERANCE, parse_rules
from luota.core.spec.values import format_instant, parse_instant, parse_text

MAX_NAME = 200
"""The longest name of a monitor or a run, as for `externalRunId` (docs/api.md)."""

Step = tuple[str, Transition]
"""One transition and the monitor that made it."""

AT_ONCE = 5 * MINUTE
"""A signal judges so much silence before it together with itself; no schedule is denser than a second."""

_PLACE = itemgetter(0, 1)
_TICK, _PING = events.Tick(), events.Ping()
_RUN = Mode.RUN  # found through its class, it costs ten times as much
_TOLD = (Action.OPENED, Action.UPDATED, Action.RESOLVED, Action.UNVERIFIED)


class _Watched(Struct):
    """One monitor, and what became of every run that it ever named; None: its start was not heard."""

    id: str
    rules: Rules
    state: State
    runs: dict[str, OpenRun | RunState | None]
    wake_at: int | None = None


class Replay:
    """A history under way: `take` its lines in order, of which `End` is the last, and ask for what was `told`."""

    def __init__(self) -> None:
        self._monitors: dict[str, _Watched] = {}
        self._deadlines = Deadlines()
        self._windows = NO_WINDOWS
        self._now = -sys.maxsize
        self._down_at: int | None = None
        self._ended = False
        self._steps: list[tuple[int, str, Step]] = []
        self._told: list[Step] = []

    def take(self, line: trace.Line) -> None:
        """Let happen what a line says.

        INVALID with the field to blame for one that contradicts those before it; then nothing has happened.
        """
        at = parse_instant(line.at, "at")
        if at < self._now:
            said = f"at must not lie before {format_instant(self._now)}, the instant of the line before it."
            raise invalid("at", f"{said} Sort the lines.")
        if self._ended:
            raise invalid("event", "the history has ended: nothing may follow the line with event end.")
        if isinstance(line, trace.Ping):
            self._ping(line, at)
        elif isinstance(line, trace.Start):
            self._start(line, at)
        elif isinstance(line, trace.Success | trace.Fail):
            self._close(line, at)
        elif isinstance(line, trace.Monitor):
            self._define(line, at)
        elif isinstance(line, trace.Down | trace.Up | trace.End):
            self._watch(line, at)
        else:
            self._change(line, at)
        self._now = at

    def told(self) -> list[Step]:
        """Return the steps since the last call, up to the last line, in order of time.

        Of one instant, what the lines say comes first, in their order, then what falls due, by the monitors' names.

        Left out is what changes neither a status nor an incident: one more miss or failure of an open
        incident. While Luota is down, there is nothing to tell.
        """
        if self._down_at is None:
            self._tell(self._now)
        told, self._told = self._told, []
        return told

    def _ping(self, line: trace.Ping, at: int) -> None:
        watched = self._find(line.monitor)
        if watched.rules.mode is _RUN:
            raise invalid("monitor", f"{line.monitor} is a run monitor: it takes start, success and fail.")
        ping = _PING if line.occurred_at is None else events.Ping(_client(line.occurred_at, "occurredAt"))
        if self._down_at is None:
            self._apply(watched, ping, at)

    def _start(self, line: trace.Start, at: int) -> None:
        watched = self._find(line.monitor, runs=True)
        started_at = _client(line.started_at, "startedAt")
        run = parse_text(line.run, "run", minimum=1, maximum=MAX_NAME)
        if watched.runs.get(run) is not None:  # a repeated start is no signal
            return
        if self._down_at is None:
            self._apply(watched, events.Start(run, started_at), at)
        else:
            watched.runs[run] = None

    def _close(self, line: trace.Success | trace.Fail, at: int) -> None:
        watched = self._find(line.monitor, runs=True)
        if line.run not in watched.runs:
            raise invalid("run", f"run {line.run} of {line.monitor} is unknown: it has no start before this line.")
        known = watched.runs[line.run]
        sense = RunState.SUCCESS if isinstance(line, trace.Success) else RunState.FAILED
        if isinstance(known, RunState) and known is not sense:
            raise invalid("event", f"run {line.run} has already ended: {known}. It cannot end as {sense} too.")
        finished_at = _client(line.finished_at, "finishedAt")
        if self._down_at is not None or not isinstance(known, OpenRun):
            return
        self._settle(watched, at)
        # While its limit is armed, the machine knows the run better.
        run = next((r for r in watched.state.runs if r.id == line.run), None) or watched.runs[line.run]
        assert isinstance(run, OpenRun)
        watched.runs[line.run] = sense
        if isinstance(line, trace.Success):
            self._apply(watched, events.Success(run, finished_at), at)
        else:
            self._apply(watched, events.Fail(run, finished_at, line.summary or ""), at)

    def _define(self, line: trace.Monitor, at: int) -> None:
        doc = trace.definition_of(line)
        rules = parse_rules(doc)
        if line.monitor not in self._monitors:
            name = parse_text(line.monitor, "monitor", minimum=1, maximum=MAX_NAME)
            parse_rules(doc, now=at)
            self._monitors[name] = _Watched(name, rules, draft(rules, at), {})
            return
        watched = self._find(line.monitor)
        if rules.mode is not watched.rules.mode:
            raise invalid("mode", "mode of a monitor cannot change. Give the new monitor another id.")
        if rules.schedule != watched.rules.schedule:  # one that has run out may stay
            parse_rules(doc, now=at)
        self._decide(watched, events.Edit(rules), at)
        watched.rules = rules

    def _change(self, line: trace.Pause | trace.Resume | trace.Archive, at: int) -> None:
        watched = self._find(line.monitor)
        event: events.Event
        if isinstance(line, trace.Pause):
            until = _client(line.until, "until")
            if until is not None and until <= at:
                raise invalid("until", "until must lie after the beginning of the pause.")
            event = events.PauseBegins(Pause(until, bool(line.until_healthy)))
        else:
            event = events.Resume() if isinstance(line, trace.Resume) else events.Archive()
        self._decide(watched, event, at)

    def _decide(self, watched: _Watched, event: events.Event, at: int) -> None:
        """Make a person's change.

        While Luota is down the command that makes it runs alone: it judges its own monitor, knows for how
        long Luota has been down, and leaves the others to the next start.
        """
        if self._down_at is not None:
            self._blind(self._down_at, at)
        self._apply(watched, event, at)

    def _watch(self, line: trace.Down | trace.Up | trace.End, at: int) -> None:
        """Luota itself stops, begins again, or the history is over."""
        down_at = self._down_at
        if isinstance(line, trace.Down):
            if down_at is not None:
                raise invalid("event", "Luota is down already: an up must come before another down.")
            self._tell(at)
            for watched in self._monitors.values():
                self._settle(watched, at)  # what was due before belongs to no window
            self._down_at = at
        elif isinstance(line, trace.Up):
            if down_at is None:
                raise invalid("event", "Luota is not down: a down must come before an up.")
            self._blind(down_at, at)
            self._down_at = None
        else:
            self._ended = True
            self._tell(at + 1 if down_at is None else -sys.maxsize)

    def _find(self, name: str, *, runs: bool = False) -> _Watched:
        """Return the monitor that a line names; with `runs` it must be one that has them."""
        watched = self._monitors.get(name)
        if watched is None:
            raise invalid("monitor", f"monitor {name} is unknown: a line with event monitor must come first.")
        if watched.state.archived:
            raise invalid("monitor", f"monitor {name} is archived: nothing more can happen to it.")
        if runs and watched.rules.mode is not Mode.RUN:
            raise invalid("monitor", f"{name} is a {watched.rules.mode} monitor: it takes ping.")
        return watched

    def _tell(self, until: int) -> None:
        """Judge all monitors up to `until`, exclusive; what they have done is complete then."""
        while (due := self._deadlines.pop(until - 1)) is not None:
            at, monitors = due
            for monitor in monitors:
                self._apply(self._monitors[monitor], _TICK, at)
        self._told += [step for _, _, step in sorted(self._steps, key=_PLACE)]
        self._steps.clear()

    def _blind(self, start: int, end: int) -> None:
        if start < end:
            self._windows = self._windows.add(Window(start, end, "Luota was not running"))

    def _apply(self, watched: _Watched, event: events.Event, at: int) -> None:
        """Evaluate one event, and keep what follows from it."""
        due = watched.wake_at
        if due is not None and due < at and (watched.state.incident is not None or at - due > AT_ONCE):
            self._settle(watched, at)
        before = watched.state
        outcome = evaluate(watched.rules, before, event, at, self._windows)
        watched.state, watched.wake_at = state, due = outcome.state, outcome.wake_at
        self._deadlines.set(watched.id, due if state.incident is None else _next_step(state, due))
        for made in outcome.transitions:
            if made.before is not made.after or made.action in _TOLD:
                due_by = watched.id if made.at < at or event is _TICK else ""
                self._steps.append((made.at, due_by, (watched.id, made)))
        if outcome.run is not None:
            watched.runs[outcome.run.id] = outcome.run
        for ended in outcome.ended:
            run = next(r for r in before.runs if r.id == ended.id)
            watched.runs[ended.id] = replace(run, counted=run.counted or ended.state is RunState.STUCK)

    def _settle(self, watched: _Watched, until: int) -> None:
        """Judge the silence of one monitor up to `until`, exclusive.

        A miss in an open incident replaces what the one before it has left, but for the count; and that says nothing
        more once it is beyond every tolerance. So all but the last may then be passed over, unless a window hides one
        of them.
        """
        while (due := watched.wake_at) is not None and due < until:
            state, expected = watched.state, watched.state.expected_at
            beyond = due == state.deadline_at and state.failures >= MAX_TOLERANCE and state.incident is not None
            if beyond and expected is not None and self._windows.ended_by(expected - SLACK):
                last = last_due(watched.rules, expected, until)
                due = watched.wake_at = last + watched.rules.grace
                watched.state = replace(state, expected_at=last, deadline_at=due)
            self._apply(watched, _TICK, due)


def _next_step(state: State, due: int | None) -> int | None:
    """Return when what falls due, first at `due`, can make a step of a monitor whose incident is open."""
    if state.pause is not None:
        return due
    return state.runs[0].limit_at if state.runs else None


def _client(text: str | None, field: str) -> int | None:
    return None if text is None else parse_instant(text, field)
