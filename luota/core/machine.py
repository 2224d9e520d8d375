"""The state machine of a monitor: `evaluate(rules, state, event, now) -> Outcome`, total and pure.

Theory
------
A monitor waits for at most three kinds of instant: the *expected* moment (silence from there is `late`),
the *deadline* (silence there is a verdict), and the *limit* of each open run. `next_due` names the
earliest. Every event first settles what fell due before it, in order and each at its own instant, so
one late tick equals a tick at each deadline, and a ping that races a deadline needs no guard: whoever
was received first is judged first. A signal exactly at a deadline is in time.

After a miss the expectation moves on to the next occurrence, so that a dead job is counted once per
occurrence; after a signal it moves to the first occurrence which that signal does not meet. Late is shown
only where nothing worse is: it shows again when a success ends what hid it.

| due       | hidden by a long blind window   | else, count < tolerance | else                    |
|-----------|---------------------------------|-------------------------|-------------------------|
| expected  | late                            | late                    | late                    |
| deadline  | unverified, from the window on  | failing                 | missed (stale)          |
| limit     | unverified, outcome unknown     | failing                 | stuck                   |

| event     | resolves                                        | the count | the expectation |
|-----------|-------------------------------------------------|-----------|-----------------|
| ping      | missed, stale                                   | resets    | moves           |
| start     | missed                                          | stays     | moves           |
| success   | stuck, failed, if it is newer than the evidence | resets    | stays           |
| fail      | nothing: it opens, or raises to failed          | counts    | stays           |

A signal that is older than the newest one, or by whose own instant the monitor has fallen due again
since (a replay two days late), is recorded and heals nothing. A run's close is not compared with: a start
may be sent after it and have begun before. A first signal that is overdue itself ends the draft, but proves
nothing: unverified, and the deadline lies after its receipt. Rules: docs/verdicts.md.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from luota.core import changes, signals
from luota.core.events import (
    Archive,
    ClockBack,
    Edit,
    Event,
    Fail,
    PauseBegins,
    Ping,
    Resolve,
    Resume,
    Start,
    Success,
    Tick,
)
from luota.core.expectation import expected_from
from luota.core.model import NO_WINDOWS, Outcome, Rules, State, Status, Windows
from luota.core.verdicts import Case, wake_at

__all__ = ["draft", "evaluate", "wake_at"]

_HANDLERS: dict[type, Callable[[Case, Any], None]] = {
    Ping: signals.ping,
    Start: signals.start,
    Success: signals.success,
    Fail: signals.fail,
    PauseBegins: changes.pause,
    Resume: lambda case, _: case.resume(case.now, "resumed"),
    Archive: lambda case, _: changes.archive(case),
    Resolve: changes.resolve,
    Edit: changes.edit,
    ClockBack: lambda case, _: changes.clock_back(case),
}


def draft(rules: Rules, now: int) -> State:
    """Return the state of a monitor created at `now`."""
    state = State(status=Status.DRAFT, since=now, reason="never signalled", basis_at=now, set_at=now)
    return replace(state, **{**expected_from(rules, now, None), "late": False})


def evaluate(rules: Rules, state: State, event: Event, now: int, windows: Windows = NO_WINDOWS) -> Outcome:
    """Return what `event`, received at `now`, makes of a monitor.

    Any event in any state gives an outcome; one that makes no sense (a resume of what is not paused)
    changes nothing. `now` must not lie before an earlier event of the monitor, unless a `ClockBack`
    comes first. `windows` are the blind windows known by now.
    """
    if state.archived:
        return Outcome(state)
    case = Case(rules, state, now, windows)
    kind = type(event)
    if kind is Tick:
        due = case.settle(now)
    else:
        case.settle(now - 1)
        _HANDLERS[kind](case, event)
        due = wake_at(case.state)
    return Outcome(case.state, due, case.transitions, case.ended, case.mark, case.run, case.rearmed)
