"""When the next signal is expected, and which occurrence a signal meets (docs/verdicts.md)."""

from typing import Any

from luota.core.model import Mode, Rules, State
from luota.core.schedule import Calendar, Cron, Every

_FRESHNESS = Mode.FRESHNESS  # found through its class, it costs ten times as much


def first_expected(rules: Rules, basis: int) -> int | None:
    """Return the moment expected after a signal at `basis`, or None where nothing is expected."""
    if rules.mode is _FRESHNESS:
        return basis + rules.freshness
    schedule = rules.schedule
    if schedule is None:
        return None
    if isinstance(schedule, Every):
        return basis + schedule.interval
    return schedule.first_unmet(basis)


def fallen_due(rules: Rules, signal: int, now: int) -> bool:
    """Tell whether, by a signal at `signal` alone, the monitor would have fallen due before `now`."""
    if signal >= now:  # most are; what a signal makes expected lies after it
        return False
    expected = first_expected(rules, signal)
    return expected is not None and expected + rules.grace < now


def expected_next(rules: Rules, basis: int, now: int) -> tuple[int | None, int | None]:
    """Return what is expected after a signal at `basis`, received at `now`, and the deadline of that.

    The deadline lies after `now`: occurrences whose deadline has passed by then are left out, and stale
    output, which has no further occurrence, is due at once.
    """
    return _ahead(rules, first_expected(rules, basis), now)


def expected_since(rules: Rules, basis: int, now: int) -> dict[str, Any]:
    """Return the changes of a state that make it expect what follows a signal at `basis`: see `expected_next`."""
    return _from(rules, first_expected(rules, basis), basis, now)


def expected_from(rules: Rules, start: int, basis: int | None) -> dict[str, Any]:
    """Return the changes that make a state expect the next occurrence after `start`, or a full interval.

    An occurrence that a signal at `basis`, shortly before, has met is left out.
    """
    schedule = rules.schedule
    if schedule is None or isinstance(schedule, Every):
        return _from(rules, first_expected(rules, start), start, start)
    expected = schedule.after(start)
    met = None if basis is None else schedule.met_by(basis)
    if expected is not None and met is not None and met >= expected:
        expected = schedule.after(met)
    return _from(rules, expected, _stand_in(schedule, expected, start), start)


def next_after(rules: Rules, expected: int, deadline: int) -> tuple[int | None, int | None]:
    """Return what is expected after the occurrence `expected`, missed at `deadline`, and the deadline of that."""
    schedule = rules.schedule
    assert schedule is not None
    following = expected + schedule.interval if isinstance(schedule, Every) else schedule.after(expected)
    return following, None if following is None else max(following + rules.grace, deadline)


def last_due(rules: Rules, expected: int, until: int) -> int:
    """Return the last occurrence whose deadline lies before `until`, as that of the occurrence `expected` does."""
    schedule, latest = rules.schedule, until - 1 - rules.grace
    assert schedule is not None
    if isinstance(schedule, Every):
        return latest - (latest - expected) % schedule.interval
    return schedule.at_or_before(latest) or expected


def expected_after(rules: Rules, expected: int, end: int, deadline: int) -> dict[str, Any]:
    """Return the changes after `expected` was hidden by a blind window that ended at `end`."""
    schedule, basis = rules.schedule, end
    if schedule is None or isinstance(schedule, Every):
        following = first_expected(rules, end)
    else:
        following = schedule.after(max(end, expected))
        basis = _stand_in(schedule, following, end)
    due = None if following is None else max(following + rules.grace, deadline)
    return {"expected_at": following, "deadline_at": due, "basis_at": basis, "set_at": end}


def met_by(rules: Rules, basis: int, signal: int) -> int | None:
    """Return the occurrence that a signal at `signal` meets, the one before it at `basis`; None without a schedule.

    With `every`, a signal ahead of its time is an occurrence of its own.
    """
    schedule = rules.schedule
    if schedule is None:
        return None
    if not isinstance(schedule, Every):
        return schedule.met_by(signal)
    first = basis + schedule.interval
    return signal if signal < first else signal - (signal - first) % schedule.interval


def was_late(rules: Rules, state: State, signal: int) -> bool:
    """Tell whether a signal at `signal` came after expected + grace of what it was to meet."""
    if state.signal_at is None or state.pause is not None:
        return False
    schedule = rules.schedule
    if schedule is None or isinstance(schedule, Every):
        expected = first_expected(rules, state.basis_at)
        return expected is not None and signal > expected + rules.grace
    met = schedule.met_by(signal)
    if met is None or signal <= met + rules.grace:
        return False
    return not schedule.meets(state.basis_at, met)


def _from(rules: Rules, expected: int | None, basis: int, now: int) -> dict[str, Any]:
    """Return the changes for `expected`, moved on until its deadline lies after `now`."""
    expected, deadline = _ahead(rules, expected, now)
    late = expected is not None and expected <= now
    return {"expected_at": expected, "deadline_at": deadline, "basis_at": basis, "set_at": now, "late": late}


def _ahead(rules: Rules, expected: int | None, now: int) -> tuple[int | None, int | None]:
    """Return `expected` and its deadline, moved on until that lies after `now`."""
    if expected is None:
        return None, None
    deadline = expected + rules.grace
    if deadline > now:
        return expected, deadline
    schedule = rules.schedule
    if schedule is None:
        return expected, now + 1
    if isinstance(schedule, Every):
        expected += ((now - deadline) // schedule.interval + 1) * schedule.interval
        return expected, expected + rules.grace
    following = schedule.after(now - rules.grace)
    return following, None if following is None else following + rules.grace


def _stand_in(schedule: Cron | Calendar, expected: int | None, start: int) -> int:
    """Return the basis for expecting `expected` from `start` on, where no signal came.

    Unlike a signal, `start` meets no occurrence early: inside the slack of `expected` the basis is what lies before.
    """
    return start if expected is None else min(start, expected - schedule.slack(expected) - 1)
