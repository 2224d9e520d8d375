"""What people and the host's clock change: pause, archive, resolve by hand, edit, a clock set back."""

from typing import Any

from msgspec.structs import replace

from luota.core import reasons
from luota.core.events import Edit, PauseBegins, Resolve
from luota.core.expectation import expected_since, fallen_due
from luota.core.model import Action, Kind, Mode, OpenRun
from luota.core.verdicts import Case


def pause(case: Case, event: PauseBegins) -> None:
    """Stop judging; an open incident stays. A pause that has ended already is none."""
    if event.pause.until is not None and event.pause.until <= case.now:
        return
    said = reasons.paused(event.pause.until, until_healthy=event.pause.until_healthy)
    case.move(case.now, lambda: said, pause=event.pause, late=False, expected_at=None, deadline_at=None)
    case.state = replace(case.state, reason=said)  # when it was paused already, too


def archive(case: Case) -> None:
    """Put the monitor away; its open incident can never heal, so it ends here."""
    incident = case.state.incident
    case.move(
        case.now,
        lambda: "archived",
        None if incident is None else Action.RESOLVED,
        incident,
        archived=True,
        incident=None,
        unverified=False,
        unverified_by=None,
        pause=None,
        expected_at=None,
        deadline_at=None,
        runs=(),
    )


def resolve(case: Case, event: Resolve) -> None:
    """End the incident on a person's word: unverified until the next signal."""
    incident = case.state.incident
    if incident is None:
        return
    rest: dict[str, Any] = {}
    if incident is Kind.STALE and case.state.pause is None:
        rest = expected_since(case.rules, case.now, case.now)  # without it nothing would ever fall due
    case.move(
        case.now,
        lambda: reasons.by_hand(event.by, event.reason),
        Action.RESOLVED,
        incident,
        incident=None,
        unverified=True,
        unverified_by=None,
        outcome_unknown=False,
        failing=False,
        **rest,
    )


def edit(case: Case, event: Edit) -> None:
    """Derive the deadlines anew; an edit neither opens nor resolves."""
    old, rules, now = case.rules, event.rules, case.now
    case.rules = rules
    changes: dict[str, Any] = {}
    same = (old.mode, old.schedule, old.grace, old.freshness) == (
        rules.mode,
        rules.schedule,
        rules.grace,
        rules.freshness,
    )
    stale = rules.mode is Mode.FRESHNESS and case.state.incident is Kind.STALE
    if not same and not stale and case.state.pause is None:
        past = fallen_due(rules, case.state.basis_at, now + 1)
        changes = expected_since(rules, now if past else case.state.basis_at, now)
    if old.max_runtime != rules.max_runtime:
        case.rearm(lambda run: _limited(case, run))
    case.move(now, lambda: "the definition was edited", **changes)


def clock_back(case: Case) -> None:
    """Clamp what is remembered of the future to now, so that a wrong clock delays no verdict.

    Nothing is waited for longer than after a signal or a start right now.
    """
    state, now = case.state, case.now
    latest = now + case.rules.max_runtime
    case.rearm(lambda r: replace(r, started_at=min(r.started_at, now), limit_at=min(r.limit_at, latest)))
    changes: dict[str, Any] = {
        "signal_at": None if state.signal_at is None else min(state.signal_at, now),
        "last_close_at": None if state.last_close_at is None else min(state.last_close_at, now),
        "evidence_at": None if state.evidence_at is None else min(state.evidence_at, now),
        "since": min(state.since, now),
        "basis_at": min(state.basis_at, now),
        "set_at": min(state.set_at, now),
    }
    anew = expected_since(case.rules, now, now)
    if state.deadline_at is not None and (anew["deadline_at"] or state.deadline_at) < state.deadline_at:
        changes.update(anew)
    case.move(now, lambda: "the clock was set back", **changes)


def _limited(case: Case, run: OpenRun) -> OpenRun:
    """Return `run` with its limit under the present rules, a full one from now if that has passed."""
    limit = run.started_at + case.rules.max_runtime
    return replace(run, limit_at=limit if limit > case.now else case.now + case.rules.max_runtime, moved=0)
