"""The words of verdicts: each transition says why, so that a page can show it and replay can explain it."""

import re
from collections.abc import Callable

from luota.core.model import Kind, Mode, OpenRun, Rules, State, Window
from luota.core.spec.values import format_duration, format_instant, parse_instant

_UNVERIFIED = "; unverified until the next signal"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_THEIR_WORDS = re.compile(r"run \S+ failed: |resolved by hand")
_SIGNAL = {Mode.HEARTBEAT: "ping", Mode.RUN: "run start", Mode.FRESHNESS: "fresh output"}


def _at(instant: int | None) -> str:
    return "never" if instant is None else format_instant(instant)


def silent(rules: Rules, state: State) -> str:
    """Say what did not come, and by when it should have."""
    since, expected = state.signal_at, state.expected_at
    assert since is not None
    assert expected is not None
    return (
        f"no {_SIGNAL[rules.mode]} since {format_instant(since)}, expected {format_instant(expected)}, "
        f"grace {format_duration(rules.grace)}"
    )


def stale(rules: Rules, state: State) -> str:
    """Say that output is old, which says nothing about whether anything is down."""
    return (
        f"stale output: last known to change {_at(state.signal_at)}, to be renewed within "
        f"{format_duration(rules.freshness)}, grace {format_duration(rules.grace)}"
    )


def stuck(rules: Rules, run: OpenRun) -> str:
    """Say which run is open too long."""
    return f"run {run.id} open since {_at(run.started_at)}, longer than {format_duration(rules.max_runtime)}"


def failed(run: OpenRun, summary: str) -> str:
    """Say which run failed, in its own words."""
    return f"run {run.id} failed: {summary}" if summary else f"run {run.id} failed"


def hidden(rules: Rules, state: State, window: Window) -> str:
    """Say which blind window hid what was expected."""
    return silent(rules, state) + not_watching(window.start, window.end)


def outcome_unknown(run: OpenRun, window: Window) -> str:
    """Say which blind window hid the end of a run."""
    limit = f"outcome of run {run.id} unknown: its limit passed {_at(run.limit_at)}"
    return limit + not_watching(window.start, window.end)


def not_watching(start: int, end: int) -> str:
    """Return the end of a reason that names the blind window behind it."""
    return f"; Luota was not watching {_at(start)} to {_at(end)}"


def raised(kind: Kind, reason: str) -> str:
    """Say that an incident got worse."""
    return f"{reason}; the incident was {kind.value} before"


def pinged(rules: Rules, at: int) -> str:
    """Say which signal is the proof."""
    return f"{_SIGNAL[rules.mode]} at {format_instant(at)}"


def started(run: str, *, unknown: bool) -> str:
    """Say which run began, and that this does not tell how one before it ended whose limit a window hid."""
    return f"run {run} started, but the outcome of an earlier one is unknown" if unknown else f"run {run} started"


def succeeded(run: OpenRun) -> str:
    """Say which run ended well."""
    return f"run {run.id} succeeded"


def outdated(word: str, at: int) -> str:
    """Say why a signal healed nothing."""
    return f"the {word} of {_at(at)} is older than what has fallen due since; recorded, heals nothing"


def overdue(word: str, at: int) -> str:
    """Say why a first signal does not make the monitor healthy."""
    return f"the first {word}, of {_at(at)}, is older than what has fallen due since{_UNVERIFIED}"


def vouched_again(state: State) -> str:
    """Say what ends `unverified`: a run that begins says nothing of how the one ended whose limit a window hid."""
    return "until a run succeeds" if state.outcome_unknown else "until its next signal"


def paused(until: int | None, *, until_healthy: bool) -> str:
    """Say how long the pause lasts."""
    ends = [f"until {_at(until)}"] if until is not None else []
    ends += ["until the next healthy signal"] if until_healthy else []
    return " or ".join(["paused " + ends[0], *ends[1:]]) if ends else "paused"


def by_hand(by: str, reason: str) -> str:
    """Say who ended the incident, and why."""
    return f"{_by_hand(by)}{f': {reason}' if reason else ''}{_UNVERIFIED}"


def reason_of(by: str, said: str) -> str:
    """Return the reason that a person gave in what `by_hand` said; empty where none was given."""
    return said.removeprefix(_by_hand(by)).removesuffix(_UNVERIFIED).removeprefix(": ")


def with_times(said: str, write: Callable[[int], str]) -> str:
    """Return a reason with its instants as `write` says them; one that has words of a job or a person, as it is."""
    if _THEIR_WORDS.match(said):
        return said
    return _INSTANT.sub(lambda instant: write(parse_instant(instant[0], "at")), said)


def _by_hand(by: str) -> str:
    return f"resolved by hand by {by}" if by else "resolved by hand"
