"""One evaluation under way: what falls due, and what a proven evil does to incident and count."""

from bisect import bisect
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from luota.core import reasons
from luota.core.expectation import expected_after, expected_from, next_after
from luota.core.model import (
    RANK,
    Action,
    EndedRun,
    Kind,
    Mark,
    Mode,
    OpenRun,
    Rules,
    RunState,
    State,
    Status,
    Transition,
    Window,
    Windows,
    by_limit,
)
from luota.core.schedule import Every

# Every signal asks for these, and a member found through its class costs ten times as much as a name.
_HEALTHY, _LATE, _INCIDENT = Status.HEALTHY, Status.LATE, Status.INCIDENT
_FRESHNESS, _STALE, _MISSED = Mode.FRESHNESS, Kind.STALE, Kind.MISSED
_OPENED, _COUNTED = Action.OPENED, Action.COUNTED


def status_of(state: State) -> Status:
    """Return the one status of a state; the order is the order of what a person must know first."""
    if state.archived:
        return Status.ARCHIVED
    if state.pause is not None:
        return Status.PAUSED
    if state.signal_at is None:
        return Status.DRAFT
    if state.incident is not None:
        return _INCIDENT
    if state.unverified:
        return Status.UNVERIFIED
    if state.failing:
        return Status.FAILING
    return _LATE if state.late else _HEALTHY


def wake_at(state: State) -> int | None:
    """Return the instant at which the monitor needs its next tick, or None."""
    if state.signal_at is None or state.pause is not None or state.archived:
        return None if state.archived or state.pause is None else state.pause.until
    due, expected = state.deadline_at, state.expected_at
    if state.status is _HEALTHY and expected is not None and due is not None and expected < due:
        due = expected
    if state.runs and (due is None or state.runs[0].limit_at < due):
        due = state.runs[0].limit_at
    return due


def undecided(rules: Rules, state: State, window: Window) -> int | None:
    """Return when the first thing falls due that `window` may turn out to have hidden, or None.

    It is unverified then, unless a signal comes before.
    """
    if state.pause is not None or state.signal_at is None or state.incident is not None:
        return None
    exposed = [run.limit_at for run in state.runs if run.started_at < window.end and window.start <= run.limit_at]
    expected, deadline = state.expected_at, state.deadline_at
    if expected is not None and deadline is not None:
        hidden_from = exposed_from(rules, state.basis_at, expected)
        exposed += [deadline] if hidden_from < window.end and window.start <= deadline else []
    return min(exposed, default=None)


def newest(one: int | None, other: int | None) -> int | None:
    """Return the later of two instants, of which either may be missing."""
    return other if one is None or (other is not None and other > one) else one


class Case(Struct, gc=False):
    """The state so far of one monitor in one evaluation, and what has been said about it.

    `about` is the run that the present verdict is on.
    """

    rules: Rules
    state: State
    now: int
    windows: Windows
    transitions: tuple[Transition, ...] = ()
    ended: tuple[EndedRun, ...] = ()
    rearmed: tuple[OpenRun, ...] = ()
    mark: Mark | None = None
    run: OpenRun | None = None
    about: str | None = None

    def move(
        self,
        at: int,
        reason: Callable[[], str],
        action: Action | None = None,
        kind: Kind | None = None,
        due_at: int | None = None,
        **changes: Any,
    ) -> None:
        """Change the state, and record a transition if its status or its incident changed; only then ask `reason`."""
        self.state = state = replace(self.state, **changes)
        if action is not None or status_of(state) is not state.status:
            self.tell(at, reason(), action, kind, due_at)

    def tell(
        self,
        at: int,
        said: str,
        action: Action | None = None,
        kind: Kind | None = None,
        due_at: int | None = None,
    ) -> None:
        """Record the transition to what the state has become."""
        state = self.state
        before, after = state.status, status_of(state)
        self.transitions += (
            Transition(
                at=at,
                before=before,
                after=after,
                reason=said,
                action=action,
                kind=kind,
                due_at=due_at,
                run=self.about,
            ),
        )
        self.state = replace(state, status=after, since=state.since if after is before else at, reason=said)

    def settle(self, until: int) -> int | None:
        """Judge all that falls due up to and including `until`, in order; return what `wake_at` says after it."""
        while (at := wake_at(self.state)) is not None and at <= until:
            state = self.state
            if state.pause is not None:
                self.resume(at, "the pause ended at its set time")
            elif state.runs and state.runs[0].limit_at == at and wake_at(replace(state, runs=())) != at:
                self.limit(state.runs[0])
            elif at != state.deadline_at:
                self.late(max(at, state.set_at))
            else:
                self.deadline(at)
        return at

    def late(self, at: int) -> None:
        """Say that silence has begun: only what is healthy waits for that."""
        state, said = self.state, reasons.silent(self.rules, self.state)
        self.transitions += (Transition(at=at, before=state.status, after=_LATE, reason=said),)
        self.state = replace(state, status=_LATE, since=at, reason=said, late=True)

    def deadline(self, at: int) -> None:
        """Judge the silence at the deadline `at`."""
        state, rules = self.state, self.rules
        expected = state.expected_at
        assert expected is not None
        kind = _STALE if rules.mode is _FRESHNESS else _MISSED
        window = None
        if self.windows.all:  # most often there is none
            moved = self.windows.moved(at, expected + rules.grace)
            if moved > at:
                self.state = replace(state, deadline_at=moved)
                return
            window = self.windows.over(exposed_from(rules, state.basis_at, expected), at)
        if window is not None:
            rest = expected_after(rules, expected, window.end, at)
            self.unverified(at, kind, window, reasons.hidden(rules, state, window), expected, rest)
        elif kind is _STALE:
            self.state = replace(state, expected_at=None, deadline_at=None)
            self.bad(at, kind, reasons.stale(rules, state), expected, at, counts=True)
        else:
            following, due = next_after(rules, expected, at)
            counted = newest(state.counted_at, expected)
            self.state = replace(state, expected_at=following, deadline_at=due, counted_at=counted)
            counts = expected != state.counted_at  # it falls due again when the clock is set back
            self.bad(at, kind, reasons.silent(rules, state), expected, at, counts=counts)

    def limit(self, run: OpenRun) -> None:
        """Judge a run that is open beyond its limit; the limit fires once."""
        at = run.limit_at
        rest: dict[str, Any] = {"runs": self.state.runs[1:]}  # it is the first that falls due
        moved = self.windows.moved(at, at - run.moved)
        if moved > at:
            self.state = replace(self.state, **rest)
            later = replace(run, limit_at=moved, moved=run.moved + moved - at)
            self.arm(later)
            self.rearmed += (later,)
            return
        self.about = run.id
        window = self.windows.over(run.started_at, at)
        if window is not None:
            self.ended += (EndedRun(run.id, RunState.UNKNOWN, at),)
            self.unverified(at, Kind.STUCK, window, reasons.outcome_unknown(run, window), at, rest)
        else:
            self.ended += (EndedRun(run.id, RunState.STUCK, at),)
            self.state = replace(self.state, **rest)
            self.bad_run(at, Kind.STUCK, reasons.stuck(self.rules, run), run, at)
        self.about = None

    def unverified(self, at: int, kind: Kind, window: Window, reason: str, expected: int, rest: dict[str, Any]) -> None:
        """Luota cannot vouch for what fell due at `at`, since `window` hid it.

        A second, separate window in a row opens an incident: a nightly restart must not hide a dead job. One that is
        open says nothing of how the run ended whose limit was hidden.
        """
        state = self.state
        rest.update(late=False)
        if state.incident is not None:
            if kind is Kind.STUCK:
                rest.update(unverified_by=window.start, outcome_unknown=True)
            self.move(at, lambda: reason, **rest)
        elif state.unverified_by is not None and state.unverified_by != window.start:
            said = f"{reason}; the second blind window in a row that hid it, so it may be down for good"
            rest.update(incident=kind, evidence_at=newest(state.evidence_at, at), failing=False, unverified=False)
            self.move(at, lambda: said, Action.OPENED, kind, expected, **rest)
        else:
            rest.update(unverified=True, unverified_by=window.start)
            rest.update(outcome_unknown=kind is Kind.STUCK or state.outcome_unknown)
            self.move(at, lambda: reason, Action.UNVERIFIED, kind, expected, **rest)

    def bad(self, at: int, kind: Kind, reason: str, expected: int | None, evidence: int, *, counts: bool) -> None:
        """Something bad is proven: raise or extend the open incident, open one, or count towards it."""
        state = self.state
        failures = state.failures + 1 if counts else state.failures
        said, action, incident, failing = reason, _COUNTED, state.incident, state.failing
        if state.incident is not None:
            if RANK[kind] > RANK[state.incident]:
                said, action, incident = reasons.raised(state.incident, reason), Action.UPDATED, kind
        elif failures >= self.rules.tolerance:
            action, incident, failing = _OPENED, kind, False
        else:
            said, failing = f"{reason}; {failures} of {self.rules.tolerance} before an incident", True
        unknown = kind is _MISSED and state.outcome_unknown
        self.state = replace(
            state,
            incident=incident,
            failures=failures,
            failing=failing,
            evidence_at=newest(state.evidence_at, evidence),
            late=False,
            unverified=False,
            unverified_by=state.unverified_by if unknown else None,
            outcome_unknown=unknown,
        )
        self.tell(at, said, action, kind, expected)

    def bad_run(self, at: int, kind: Kind, reason: str, run: OpenRun, evidence: int) -> None:
        """Count a stuck or failed run, unless its occurrence has been counted since the last success."""
        state = self.state
        same = run.occurrence is not None and run.occurrence == state.counted_at
        counts = state.failures == 0 or not (run.counted or same)
        self.state = replace(state, counted_at=newest(state.counted_at, run.occurrence))
        self.bad(at, kind, reason, run.limit_at if kind is Kind.STUCK else None, evidence, counts=counts)
        if run.occurrence is not None:
            self.rearm(lambda r: replace(r, counted=True) if r.occurrence == run.occurrence else r)

    def arm(self, run: OpenRun) -> None:
        """Add an open run in the order of the limits."""
        runs = self.state.runs
        place = bisect(runs, by_limit(run), key=by_limit)
        self.state = replace(self.state, runs=(*runs[:place], run, *runs[place:]))

    def rearm(self, change: Callable[[OpenRun], OpenRun]) -> None:
        """Change open runs."""
        after = [change(run) for run in self.state.runs]
        changed = [new for old, new in zip(self.state.runs, after, strict=True) if new != old]
        if changed:
            self.rearmed += (*changed,)
            self.state = replace(self.state, runs=tuple(sorted(after, key=by_limit)))

    def resume(self, at: int, reason: str) -> None:
        """Judge again from `at` on: the next occurrence or a full interval; what passed never opens."""
        if self.state.pause is None:
            return
        left = bisect(self.state.runs, at, key=lambda r: r.limit_at)
        self.ended += tuple(EndedRun(r.id, RunState.UNKNOWN, at) for r in self.state.runs[:left])
        self.move(
            at,
            lambda: reason,
            pause=None,
            runs=self.state.runs[left:],
            **expected_from(self.rules, at, self.state.basis_at),
        )


def exposed_from(rules: Rules, basis: int, expected: int) -> int:
    """Return from when on a blind window could have hidden what was `expected` after a signal at `basis`."""
    if rules.mode is Mode.FRESHNESS:
        return basis
    schedule = rules.schedule
    return expected if schedule is None or isinstance(schedule, Every) else expected - schedule.slack(expected)
