"""What a signal does: the effective instant of a client's time, what it heals, and what it arms."""

from msgspec.structs import replace

from luota.core import reasons
from luota.core.events import Fail, Ping, Start, Success
from luota.core.expectation import expected_next, fallen_due, met_by, was_late
from luota.core.model import MINUTE, Action, Kind, Mark, Mode, OpenRun, State
from luota.core.verdicts import Case, newest, status_of

_RESOLVED = Action.RESOLVED  # found through its class, it costs ten times as much

SKEW = 5 * MINUTE
"""Up to this far apart, the client's clock and ours are taken to agree (docs/verdicts.md, "Times of clients")."""


def effective(mode: Mode, client_at: int | None, now: int) -> tuple[int, bool]:
    """Return the effective instant of a signal received at `now`, and whether its clock was off.

    Never later than `now`, so that no timestamp delays a verdict.
    """
    if client_at is None:
        return now, False
    if mode is Mode.FRESHNESS:
        return min(client_at, now), client_at > now + SKEW
    if abs(client_at - now) <= SKEW:
        return now, False
    return min(client_at, now), True


def ping(case: Case, event: Ping) -> None:
    """A heartbeat or fresh output heals whatever a monitor of its mode can have."""
    at = _signal(case, event.at, "ping")
    if at is None:
        return
    if case.state.pause is not None:
        _end_pause(case)
    resolved = case.state.incident
    case.state = replace(_heard(case, at), incident=None, counted_at=None, failures=0, failing=False)
    # Most pings change no status, and words cost more than the verdict.
    if resolved is not None:
        case.tell(case.now, reasons.pinged(case.rules, at), _RESOLVED, resolved)
    elif case.state.status is not status_of(case.state):
        case.tell(case.now, reasons.pinged(case.rules, at))


def start(case: Case, event: Start) -> None:
    """A run began: the signal against the schedule, and a limit of its own."""
    rules, state = case.rules, case.state
    began, _ = effective(rules.mode, event.at, case.now)
    occurrence = met_by(rules, state.basis_at, began)
    counted = occurrence is not None and occurrence == state.counted_at
    # By the client's clock the limit may lie in the past; its verdict may not.
    limit = max(began + rules.max_runtime, case.now + 1)
    case.run = OpenRun(event.run, began, limit, occurrence, counted)
    at = _signal(case, event.at, "run start")
    case.arm(case.run)
    if at is None:
        return
    resolves = case.state.incident is Kind.MISSED
    case.state = _heard(case, at)
    case.move(
        case.now,
        lambda: reasons.started(event.run, unknown=case.state.outcome_unknown),
        Action.RESOLVED if resolves else None,
        Kind.MISSED if resolves else None,
        incident=None if resolves else case.state.incident,
    )


def success(case: Case, event: Success) -> None:
    """A run ended well: only that resolves what ended badly, and only when it is the newer evidence."""
    at = _close(case, event.run, event.at)
    if case.state.evidence_at is not None and at <= case.state.evidence_at:
        return
    _end_pause(case)
    case.about = event.run.id
    incident, expected = case.state.incident, case.state.expected_at
    resolves = incident in (Kind.STUCK, Kind.FAILED)
    # What a window hid, an old close may still tell; that all is well now, it cannot.
    unproven = case.state.unverified and case.state.unverified_by is None and fallen_due(case.rules, at, case.now)
    left = None if resolves else incident
    case.move(
        case.now,
        lambda: reasons.succeeded(event.run),
        Action.RESOLVED if resolves else None,
        incident if resolves else None,
        incident=left,
        failures=0,
        failing=False,
        counted_at=None,
        evidence_at=None if left is None else case.state.evidence_at,  # none of it counts against the next incident
        late=expected is not None and expected <= case.now,  # it began while something worse was shown
        unverified=unproven,
        unverified_by=None,
        outcome_unknown=False,
    )


def fail(case: Case, event: Fail) -> None:
    """A run ended badly: an incident at once, where the tolerance is used up."""
    at = _close(case, event.run, event.at)
    if case.state.pause is None:
        said = reasons.failed(event.run, event.summary)
        case.about = event.run.id
        case.bad_run(case.now, Kind.FAILED, said, event.run, at)


def _close(case: Case, run: OpenRun, client_at: int | None) -> int:
    """Disarm the limit of `run`; return the effective instant of its close."""
    at, skewed = effective(case.rules.mode, client_at, case.now)
    case.mark = Mark(at, skewed=skewed)
    left = tuple(r for r in case.state.runs if r.id != run.id)
    case.state = replace(case.state, runs=left, last_close_at=newest(case.state.last_close_at, at))
    return at


def _signal(case: Case, client_at: int | None, word: str) -> int | None:
    """Mark a signal against the schedule; return its effective instant, or None if it heals nothing."""
    rules, state = case.rules, case.state
    at, skewed = (case.now, False) if client_at is None else effective(rules.mode, client_at, case.now)
    case.mark = Mark(at, was_late(rules, state, at), skewed)
    if state.signal_at is None:
        if rules.mode is Mode.FRESHNESS or not fallen_due(rules, at, case.now):  # old output is stale at once
            return at
        case.state = _heard(case, at)
        case.move(case.now, lambda: reasons.overdue(word, at), unverified=True)
        return None
    if at >= state.signal_at and not fallen_due(rules, at, case.now):
        return at
    case.move(case.now, lambda: reasons.outdated(word, at), signal_at=newest(state.signal_at, at))
    return None


def _heard(case: Case, at: int) -> State:
    """Return the state with what every signal changes which heals.

    That a run began says nothing of how the one ended whose limit a window hid.
    """
    state, now = case.state, case.now
    unknown = state.outcome_unknown
    hidden_by = state.unverified_by if unknown else None
    if state.pause is not None:
        return replace(state, signal_at=at, basis_at=at, late=False, unverified=unknown, unverified_by=hidden_by)
    expected, deadline = expected_next(case.rules, at, now)
    return replace(
        state,
        signal_at=at,
        basis_at=at,
        set_at=now,
        expected_at=expected,
        deadline_at=deadline,
        late=expected is not None and expected <= now,
        unverified=unknown,
        unverified_by=hidden_by,
    )


def _end_pause(case: Case) -> None:
    """End a pause that was to last until the next healthy signal."""
    if case.state.pause is not None and case.state.pause.until_healthy:
        case.resume(case.now, "the pause ended at a healthy signal")
