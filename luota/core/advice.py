"""Advice from what really happened: how often signals came, how long runs took, what a schedule would have cost.

A suggestion covers all that was seen but what was plainly missed, leaves a tenth above it, and brings its
evidence with it. A grace leaves room where no delay was seen, too: a tenth of the interval, a minute at most. So does a
max runtime where runs are short: as long as there usually is between two starts, a minute at most.
"""

from collections.abc import Generator, Iterable, Sequence
from itertools import pairwise
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from luota.core.events import Event, Fail, PauseBegins, Ping, Resume, Start, Success, Tick
from luota.core.machine import draft, evaluate, wake_at
from luota.core.model import NO_WINDOWS, Action, Kind, Mode, OpenRun, Pause, Rules, RunState, Windows
from luota.core.schedule import Calendar, Cron, Every
from luota.core.slots import Signal, Stretch
from luota.core.spec.values import format_duration, format_measured

LEAST = 5
"""Fewer are no evidence."""
FEW = 3
"""A history shorter than so many of the present threshold is no evidence: it may not have seen a night."""
MOST_EVENTS = 20_000
_SLICE = 200
"""Events or signals that are judged before others get their turn; a cron or calendar takes the longest."""
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_ROUND = (
    *((_SECOND, 30 * _SECOND), (15 * _SECOND, 5 * _MINUTE)),
    *((_MINUTE, 30 * _MINUTE), (15 * _MINUTE, 6 * _HOUR), (_HOUR, 1 << 62)),
)
"""Up to which duration a suggestion is rounded to which unit."""
_Room = tuple[int, str]
"""A duration that a suggestion leaves in any case, and what it is in words."""
_CHANGES: dict[str, Event] = {"pause": PauseBegins(Pause()), "resume": Resume(), "tick": Tick()}


class Spread(Struct, frozen=True):
    """How `count` durations spread, in milliseconds; the middle one, and what nine and 95 in a hundred stay within."""

    count: int
    shortest: int
    median: int
    p90: int
    p95: int
    longest: int


class Suggestion(Struct, frozen=True):
    """A value for a key of the definition, in milliseconds, and why, in words.

    `value` is None where the history is too short to suggest one, and `evidence` says so.
    """

    key: str
    value: int | None
    evidence: str


class Rehearsal(Struct, frozen=True):
    """The incidents that some rules would have opened from `since` to `until`, as kind and instant.

    `capped` tells that the history was longer than what was judged, which ends just before `until` then.
    """

    opened: tuple[tuple[Kind, int], ...]
    since: int
    until: int
    capped: bool


def spread(durations: Iterable[int]) -> Spread | None:
    """Return how durations spread, by the nearest rank; None without any."""
    found = sorted(durations)
    if not found:
        return None

    def within(percent: int) -> int:
        return found[-(-len(found) * percent // 100) - 1]

    return Spread(len(found), found[0], within(50), within(90), within(95), found[-1])


def intervals(signals: Iterable[Signal]) -> tuple[int, ...]:
    """Return the times between signals, by their effective instants, the oldest first."""
    found = sorted(signal.at for signal in signals)
    return tuple(after - before for before, after in pairwise(found))


def suggestions(
    rules: Rules, signals: Sequence[Signal], durations: Sequence[int] = (), hung: int = 0
) -> Generator[None, None, tuple[Suggestion, ...]]:
    """Find what the evidence suggests for the keys that decide the verdicts of a monitor; nothing without enough.

    Signals in hand that span less than FEW of the present threshold suggest no value, and the words say that.

    `durations` are those of the runs that succeeded within their limits; how many succeeded only after them is `hung`:
    what those took is no evidence, and the words say that they are left out. What is more than twice the median is
    taken as missed, and said so.
    Yields every now and then, so that others get their turn.
    """
    found: list[Suggestion | None] = []
    schedule, gaps = rules.schedule, intervals(signals)
    if rules.mode is Mode.FRESHNESS:
        found.append(
            _too_short("expectedFreshnessSeconds", gaps, "freshness", rules.freshness)
            or _suggestion("expectedFreshnessSeconds", gaps, "intervals")
        )
    elif isinstance(schedule, Every):
        found.append(
            _too_short("graceSeconds", gaps, "interval", schedule.interval)
            or _suggestion("graceSeconds", gaps, "intervals", beyond=schedule.interval, room=_room(schedule.interval))
        )
    elif schedule is not None:
        found.append((yield from _grace(schedule, signals)))
    if rules.mode is Mode.RUN:
        short = _too_short("maxRuntimeSeconds", gaps, "max runtime", rules.max_runtime)
        usual = int(median(gaps)) if gaps else _MINUTE
        room = (_MINUTE, "a minute") if usual >= _MINUTE else (usual, "the usual interval")
        found.append(
            short
            if short and len(durations) >= LEAST
            else _suggestion("maxRuntimeSeconds", durations, "durations", factor=2, room=room, hung=hung)
        )
    return tuple(one for one in found if one is not None)


def rehearsal(
    rules: Rules,
    signals: Sequence[Signal],
    now: int,
    windows: Windows = NO_WINDOWS,
    pauses: Sequence[Stretch] = (),
    most: int = MOST_EVENTS,
) -> Generator[None, None, Rehearsal]:
    """Judge a history by the machine itself; yield every now and then, so that others get their turn.

    Each signal and each verdict is an event, of which at most `most` are judged. A run is closed at the
    client's word of its end, never before its start was received.
    """
    history = sorted(_history(signals, pauses, now), key=lambda step: step[0])
    begin = history[0][0] if history else now
    state, runs = draft(rules, begin), dict[str, OpenRun]()
    opened: list[tuple[Kind, int]] = []
    count, last = 0, begin
    for at, what, signal in [*history, (now, "tick", None)]:
        while True:
            due = wake_at(state)
            passes = due is not None and (due < at or (due == at and what == "tick"))
            last, event = (due, Tick()) if passes and due is not None else (at, _event(what, signal, runs))
            count += 1
            if count > most:
                return Rehearsal(tuple(opened), begin, last, capped=True)
            if count % _SLICE == 0:
                yield
            if event is not None:
                outcome = evaluate(rules, state, event, last, windows)
                for run in outcome.rearmed if outcome.run is None else (outcome.run, *outcome.rearmed):
                    runs[run.id] = run
                for ended in outcome.ended:
                    runs[ended.id] = replace(runs[ended.id], counted=ended.state is RunState.STUCK)
                opened += [(t.kind, t.at) for t in outcome.transitions if t.action is Action.OPENED and t.kind]
                state = outcome.state
            if not passes:
                break
    return Rehearsal(tuple(opened), begin, now, capped=False)


def _history(
    signals: Iterable[Signal], pauses: Iterable[Stretch], now: int
) -> Generator[tuple[int, str, Signal | None], None, None]:
    for signal in signals:
        yield signal.received_at, "ping" if signal.run is None else "start", signal
        if signal.state in (RunState.SUCCESS, RunState.FAILED) and signal.finished_at is not None:
            yield min(max(signal.finished_at, signal.received_at), now), signal.state.value, signal
    for start, end in pauses:
        yield start, "pause", None
        if end <= now:
            yield end, "resume", None


def _event(what: str, signal: Signal | None, runs: dict[str, OpenRun]) -> Event | None:
    """Return the event, or None for the end of a run whose start is not part of the history."""
    if signal is None:
        return _CHANGES[what]
    client = None if signal.at == signal.received_at else signal.at
    if signal.run is None:
        return Ping(client)
    if what == "start":
        return Start(signal.run, client)
    run = runs.get(signal.run)
    if run is None:
        return None
    return Success(run) if what == RunState.SUCCESS.value else Fail(run)


def _grace(schedule: Cron | Calendar, signals: Sequence[Signal]) -> Generator[None, None, Suggestion | None]:
    """Suggest a grace from how long after its occurrence the first signal came that met it."""
    first: dict[int, int] = {}
    for count, signal in enumerate(sorted(signals, key=lambda s: s.received_at), start=1):
        if count % _SLICE == 0:
            yield
        met = schedule.met_by(signal.at)
        if met is not None:
            first.setdefault(met, max(0, signal.at - met))
    delays, shortest = [], _DAY
    for count, (met, delay) in enumerate(first.items(), start=1):
        if count % _SLICE == 0:
            yield
        gap = _gap(schedule, met)
        shortest = min(shortest, gap)
        if delay < gap // 2:
            delays.append(delay)
    left = len(first) - len(delays)
    if len(signals) >= LEAST > len(first):
        moments = f"{len(first)} expected moment{'' if len(first) == 1 else 's'}"
        evidence = f"too short a history: {len(signals):,} signals met {moments} of the schedule, fewer than {LEAST}"
        return Suggestion("graceSeconds", None, evidence)
    if len(delays) < LEAST:
        return None
    evidence = f"the latest of {len(delays)} signals came {format_measured(max(delays))} after it was expected"
    if left:
        evidence += f"; {left} more than half an interval late {'was' if left == 1 else 'were'} left out"
    return _suggested("graceSeconds", max(delays) * 11 // 10, evidence, _room(shortest))


def _gap(schedule: Cron | Calendar, occurrence: int) -> int:
    following = schedule.after(occurrence)
    return 2 * _HOUR if following is None else following - occurrence


def _suggestion(
    key: str,
    values: Sequence[int],
    word: str,
    *,
    factor: int = 1,
    beyond: int = 0,
    room: _Room = (0, ""),
    hung: int = 0,
) -> Suggestion | None:
    """Suggest what lies a little above the longest that is no plain exception, `beyond` so much and times `factor`."""
    if len(values) < LEAST:
        return None
    usual = 2 * median(values)
    kept = [value for value in values if value <= usual]
    longest, left = max(kept), len(values) - len(kept)
    evidence = f"the longest of {len(kept)} {word} was {format_measured(longest)}"
    if left:
        evidence += f"; {left} longer than twice the usual {'was' if left == 1 else 'were'} left out"
    if hung:
        evidence += f"; {hung} that hung {'was' if hung == 1 else 'were'} left out"
    return _suggested(key, (longest - beyond) * factor * 11 // 10, evidence, room)


def _suggested(key: str, value: int, evidence: str, room: _Room) -> Suggestion:
    """Suggest a round value that leaves `room` in any case."""
    least, words = room
    if value < least:
        evidence += f"; {words} is left in any case"
    return Suggestion(key, _round_up(max(value, least)), evidence)


def _room(interval: int) -> _Room:
    """Return what a grace leaves for the first delay: so little that it hides no miss of a short interval."""
    return (_MINUTE, "a minute") if interval >= 10 * _MINUTE else (interval // 10, "a tenth of the interval")


def _too_short(key: str, gaps: Sequence[int], word: str, present: int) -> Suggestion | None:
    """Say that the signals span too little of time to judge the present threshold by; None where they do not.

    Too few signals need no words: they are seen to be few.
    """
    if len(gaps) < LEAST or sum(gaps) >= FEW * present:
        return None
    span = f"the last {len(gaps) + 1:,} signals span {format_measured(sum(gaps))}"
    evidence = f"too short a history: {span}, less than {FEW} times the present {word} of {format_duration(present)}"
    return Suggestion(key, None, evidence)


def _round_up(duration: int) -> int:
    """Return a round number of seconds, minutes or hours that is not shorter; a second at least."""
    unit = next(unit for unit, most in _ROUND if duration <= most)
    return max(-(-duration // unit), 1) * unit
