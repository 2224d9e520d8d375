"""What people and the host's clock change: pause, archive, resolve by hand, edit, a clock set back."""

from typing import Any

from msgspec.structs import replace

from luota.core import reasons
from luota.core.events import Edit, PauseBegins
from luota.core.expectation import expected_since, fallen_due
from luota.core.model import Action, Kind, OpenRun
from luota.core.verdicts import Case


def pause(case: Case, event: PauseBegins) -> None:
    """Stop judging; an open incident stays."""
    case.move(
        case.now,
        lambda: reasons.paused(event.pause.until, until_healthy=event.pause.until_healthy),
        pause=event.pause,
        late=False,
        expected_at=None,
        deadline_at=None,
    )


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
        pause=None,
        expected_at=None,
        deadline_at=None,
        runs=(),
    )


def resolve(case: Case) -> None:
    """End the incident on a person's word: unverified until the next signal."""
    incident = case.state.incident
    if incident is None:
        return
    rest: dict[str, Any] = {}
    if incident is Kind.STALE and case.state.pause is None:
        rest = expected_since(case.rules, case.now, case.now)  # without it nothing would ever fall due
    case.move(
        case.now,
        lambda: "resolved by hand; unverified until the next signal",
        Action.RESOLVED,
        incident,
        incident=None,
        unverified=True,
        unverified_by=None,
        failing=False,
        **rest,
    )


def edit(case: Case, event: Edit) -> None:
    """Derive the deadlines anew; an edit neither opens nor resolves."""
    old, rules, now = case.rules, event.rules, case.now
    case.rules = rules
    changes: dict[str, Any] = {}
    same = (old.schedule, old.grace, old.freshness) == (rules.schedule, rules.grace, rules.freshness)
    if not same and case.state.pause is None and case.state.incident is not Kind.STALE:
        past = fallen_due(rules, case.state.basis_at, now + 1)
        changes = expected_since(rules, now if past else case.state.basis_at, now)
    if old.max_runtime != rules.max_runtime:
        changes["runs"] = tuple(_limited(case, run) for run in case.state.runs)
    case.move(now, lambda: "the definition was edited", **changes)


def clock_back(case: Case) -> None:
    """Clamp what is remembered of the future to now, so that a wrong clock delays no verdict."""
    state, now = case.state, case.now
    changes: dict[str, Any] = {
        "runs": tuple(_limited(case, replace(r, started_at=now)) if r.started_at > now else r for r in state.runs),
        "signal_at": None if state.signal_at is None else min(state.signal_at, now),
        "evidence_at": None if state.evidence_at is None else min(state.evidence_at, now),
        "since": min(state.since, now),
        "set_at": min(state.set_at, now),
    }
    if state.basis_at > now:
        changes["basis_at"] = now
        if state.deadline_at is not None:
            changes.update(expected_since(case.rules, now, now))
    case.move(now, lambda: "the clock was set back", **changes)


def _limited(case: Case, run: OpenRun) -> OpenRun:
    """Return `run` with its limit under the present rules, a full one from now if that has passed."""
    limit = run.started_at + case.rules.max_runtime
    return replace(run, limit_at=limit if limit > case.now else case.now + case.rules.max_runtime)
