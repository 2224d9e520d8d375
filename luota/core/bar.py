"""The bar of a monitor: its last slots, laid out on the schedule (docs/verdicts.md, "Expected, grace, deadline").

A slot begins at the moment at which a signal was expected, and lasts until the next one. With cron and
calendar that is an occurrence. With `every` and freshness, which have no grid of their own, it is an interval
counted from the signal before, so that a job which drifts by a second a day leaves no false gap. A run
monitor without a schedule has a slot per run.

What is drawn is never better than the verdict was: a moment that was judged missed or stale is not `ok`,
whatever came later or was dated back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from luota.core.expectation import fallen_due, first_expected, met_by
from luota.core.model import Kind, Mode, Rules, RunState, Windows
from luota.core.preview import last_occurrences
from luota.core.schedule import Calendar, Cron
from luota.core.verdicts import exposed_from

Stretch = tuple[int, int]
"""From the one instant to the other."""


class Drawn(StrEnum):
    """How a slot is drawn. `none`: nothing was to be expected yet, since nothing had ever arrived."""

    OK = "ok"
    LATE = "late"
    MISSED = "missed"
    FAILED = "failed"
    STUCK = "stuck"
    STALE = "stale"
    RUNNING = "running"
    UNVERIFIED = "unverified"
    PAUSED = "paused"
    NONE = "none"


class Signal(Struct, frozen=True, gc=False):
    """A ping or a run start as recorded: its effective instant, when it was received, whether it came late.

    `run`, `state` and `ended_at` (the client's word) are those of the run that a start began.
    """

    at: int
    received_at: int
    late: bool = False
    run: str | None = None
    state: RunState | None = None
    ended_at: int | None = None


class Incident(Struct, frozen=True, gc=False):
    """An incident as recorded. `expected_at` is the occurrence or limit that decided it, where one did."""

    id: str
    kind: Kind
    state: str
    opened_at: int
    resolved_at: int | None = None
    expected_at: int | None = None
    run: str | None = None
    summary: str = ""


class Slot(Struct, frozen=True, gc=False):
    """One slot: the stretch from `start`, the moment at which a signal was expected, to `end`, exclusive.

    `at` is the effective instant of the signal that met it, which lies ahead of `start` where it came early;
    None where nothing came. `run` is the run that decided how it is drawn, `incident` the newest one that
    belongs to it, `blind` the stretches inside it in which Luota was not watching.
    """

    start: int
    end: int
    state: Drawn
    at: int | None = None
    run: str | None = None
    ended_at: int | None = None
    incident: str | None = None
    blind: tuple[Stretch, ...] = ()
    scheduled: bool = True


class _Entry:
    """A slot in the making: what met it, or the signal before it, from which it was expected."""

    __slots__ = ("basis", "signals", "start")

    def __init__(self, start: int, basis: int, signals: list[Signal]) -> None:
        self.start = start
        self.basis = basis
        self.signals = signals


def slots(
    rules: Rules,
    signals: Sequence[Signal],
    incidents: Iterable[Incident],
    pauses: Sequence[Stretch],
    windows: Windows,
    since: int,
    now: int,
    n: int,
) -> tuple[Slot, ...]:
    """Return the last `n` slots up to `now`, the oldest first; fewer where the history is shorter.

    `signals` are the newest pings, or run starts of a run monitor, in the order of receipt; `since` is the
    instant from which on they are complete: the creation of the monitor, or the oldest of them where older
    ones were not read. `pauses` are in order; one that lasts ends in the future. An empty bar is that of an
    `every` or freshness monitor that never signalled, or of a run monitor without schedule or runs.

    Slots never overlap. Signals that come more often than twice an interval share a slot.
    """
    incidents = tuple(incidents)
    bar = _Bar(rules, incidents, pauses, windows, now, n)
    if rules.mode is not Mode.FRESHNESS and isinstance(rules.schedule, Cron | Calendar):
        found = bar.grid(rules.schedule, signals, since)
    elif rules.mode is Mode.RUN and rules.schedule is None:
        found = [_Entry(s.at, s.at, [s]) for s in sorted(signals, key=lambda s: s.at)]
    else:
        found = bar.chain(signals)
    return bar.drawn(found[-n:], incidents)


_RUN_DRAWN = {
    RunState.FAILED: Drawn.FAILED,
    RunState.STUCK: Drawn.STUCK,
    RunState.UNKNOWN: Drawn.UNVERIFIED,
    RunState.RUNNING: Drawn.RUNNING,
}
_WORST_FIRST = (*_RUN_DRAWN, RunState.SUCCESS)


class _Bar:
    """One monitor's bar: the rules and what disturbed them."""

    def __init__(
        self, rules: Rules, incidents: Sequence[Incident], pauses: Sequence[Stretch], windows: Windows, now: int, n: int
    ) -> None:
        self.rules = rules
        self.pauses = pauses
        self.windows = windows
        self.opened = {i.opened_at for i in incidents if i.kind in (Kind.MISSED, Kind.STALE)}
        self.breaks: list[tuple[int, int, bool]] = []  # pauses and excusing windows in order; True: a pause
        self.now = now
        self.n = n
        self.judged: list[int] = []  # moments that were judged in silence, though what came later is dated before
        self.first: int | None = None  # the receipt of the first signal: nothing is judged before
        self.following: int | None = None

    # Where slots lie

    def grid(self, schedule: Cron | Calendar, signals: Sequence[Signal], since: int) -> list[_Entry]:
        """Return an entry for each of the last occurrences."""
        last = schedule.at_or_before(self.now)
        self.first = signals[0].received_at if signals else None
        if last is None:
            return []
        self.following = schedule.after(last)
        starts = last_occurrences(schedule, last, self.n)
        while len(starts) > 1 and starts[1] <= since:
            starts = starts[1:]
        oldest = starts[0] - schedule.slack(starts[0])
        self._narrow(oldest)
        entries = {start: _Entry(start, start, []) for start in starts}
        for signal in signals:
            if signal.at >= oldest:
                met = schedule.met_by(signal.at)
                entry = None if met is None else entries.get(met)
                if entry is None and met is not None and met > last:  # it is ahead of its occurrence
                    entry = entries[met] = _Entry(met, met, [])
                    self.following = schedule.after(met)
                if entry is not None:
                    entry.signals.append(signal)
        return list(entries.values())

    def chain(self, signals: Sequence[Signal]) -> list[_Entry]:
        """Return the entries of what counts from the signal before, as the machine takes the signals."""
        rules, entries, aside = self.rules, list[_Entry](), list[Signal]()
        newest: Signal | None = None
        if signals:
            self._narrow(signals[0].at)
        for signal in signals:
            if newest is None:
                self.first = signal.received_at
                entries.append(_Entry(signal.at, signal.at, [signal]))
            elif signal.at < newest.at or fallen_due(rules, signal.at, signal.received_at):
                aside.append(signal)  # it healed nothing
                continue
            else:
                self._follow(newest, signal, entries)
            newest = signal
        if newest is not None:
            quiet, basis = self._quiet(newest, self.now + 1)
            first = first_expected(rules, basis)
            assert first is not None
            rest = range(first, self.now + 1, first - basis)[-self.n :]
            entries += [*quiet, *(_Entry(e, basis, []) for e in rest)]
            last = entries[-1]
            self.following = first_expected(rules, max(basis, last.start))
        for signal in aside:
            place = bisect_right(entries, signal.at, key=lambda e: e.start) - 1
            if place < 0:
                entries.insert(0, _Entry(signal.at, signal.at, [signal]))
            else:
                if not entries[place].signals:
                    self.judged.append(entries[place].start)
                entries[place].signals.append(signal)
        return entries

    def _follow(self, newest: Signal, signal: Signal, entries: list[_Entry]) -> None:
        """Add what came between the newest signal and the next one, and the slot which that one meets."""
        rules, before = self.rules, len(entries)
        quiet, basis = self._quiet(newest, signal.received_at)
        entries += [entry for entry in quiet if entry.start < signal.at]
        self.judged += [entry.start for entry in quiet if entry.start >= signal.at]
        first = first_expected(rules, basis)
        assert first is not None
        interval = first - basis
        start = signal.at if rules.mode is Mode.FRESHNESS else met_by(rules, basis, signal.at)
        assert start is not None
        for expected in range(first, start, interval)[-self.n :]:
            # Output that came within the grace was renewed in time: there was no slot without it.
            if rules.mode is not Mode.FRESHNESS or self._moved(first + rules.grace) < signal.received_at:
                entries.append(_Entry(expected, basis, []))
        due = first if start < first else start + interval
        if self._moved(due + rules.grace) < signal.received_at:
            self.judged.append(due)
        last = entries[-1]
        here = len(entries) == before and start == signal.at and last.signals
        if here and start < max(last.start, last.signals[0].at) + interval // 2:
            last.signals.append(signal)
        else:
            entries.append(_Entry(start, basis, [signal]))

    def _quiet(self, newest: Signal, until: int) -> tuple[list[_Entry], int]:
        """Return what the pauses and blind windows that ended before `until` left after the newest signal.

        That is what was expected up to them and did not come, and the instant from which on the rest counts:
        after each, a full interval is waited for.
        """
        rules, entries, basis = self.rules, list[_Entry](), newest.at
        for start, end, paused in self.breaks:
            if end <= (newest.received_at if paused else basis):
                continue
            if end >= until:
                break
            first = first_expected(rules, basis)
            assert first is not None
            # Judged before it began. Stale output is judged once, and nothing is expected after it.
            before = range(first, start - rules.grace, first - basis)
            if before and rules.mode is Mode.FRESHNESS and not paused:
                break
            reached = first + len(before) * (first - basis)
            if not paused:
                deadline = self._moved(reached + rules.grace)
                if deadline >= until or exposed_from(rules, basis, reached) >= end or start > self._vouched(deadline):
                    continue
            entries += [_Entry(e, basis, []) for e in before[-self.n :]]
            if reached <= end or not paused:
                entries.append(_Entry(reached, basis, []))
            basis = end
        return entries, basis

    def _narrow(self, since: int) -> None:
        """Leave aside what disturbed nothing that is drawn, since there may be many windows."""
        self.windows = Windows(tuple(w for w in self.windows.all if w.end > since))
        found = [(start, end, True) for start, end in self.pauses]
        found += [(w.start, w.end, False) for w in self.windows.all if w.excuses]
        self.breaks = sorted(found)

    # How they are drawn

    def drawn(self, entries: list[_Entry], incidents: tuple[Incident, ...]) -> tuple[Slot, ...]:
        """Return the slots of these entries."""
        starts = [entry.start for entry in entries]
        met = max((i for i, entry in enumerate(entries) if entry.signals), default=-1)
        states = [self._state(entry, passed=i < met) for i, entry in enumerate(entries)]
        for moment in self.judged:
            _worse(states, bisect_right(starts, moment) - 1)
        of_run = {s.run: i for i, entry in enumerate(entries) for s in entry.signals if s.run is not None}
        belongs: dict[int, str] = {}
        for incident in sorted(incidents, key=lambda i: i.opened_at):
            silent = incident.kind in (Kind.MISSED, Kind.STALE) and incident.expected_at is not None
            moment = incident.expected_at if silent and incident.expected_at is not None else incident.opened_at
            place = of_run.get(incident.run) if incident.run is not None else None
            if place is None:
                place = bisect_right(starts, moment) - 1
            if place >= 0 and (place < len(entries) - 1 or moment < self._end(entries[-1])):
                belongs[place] = incident.id
                if silent:
                    _worse(states, place)
        ends = [*starts[1:], self._end(entries[-1])] if entries else []
        blind = self._blind(starts, ends[-1]) if entries else {}
        return tuple(
            self._slot(entry, end, state, belongs.get(i), blind.get(i, ()))
            for i, (entry, end, state) in enumerate(zip(entries, ends, states, strict=True))
        )

    def _blind(self, starts: list[int], end: int) -> dict[int, tuple[Stretch, ...]]:
        """Return the stretches of the windows inside each slot that has some, by its place."""
        found: dict[int, tuple[Stretch, ...]] = {}
        for window in self.windows.all:
            place = max(bisect_right(starts, window.start) - 1, 0)
            while place < len(starts) and starts[place] < window.end:
                until = min(window.end, starts[place + 1] if place + 1 < len(starts) else end)
                since = max(window.start, starts[place])
                if since < until:
                    found[place] = (*found.get(place, ()), (since, until))
                place += 1
        return found

    def _slot(self, entry: _Entry, end: int, state: Drawn, incident: str | None, blind: tuple[Stretch, ...]) -> Slot:
        told = _decisive(entry.signals)
        return Slot(
            entry.start,
            end,
            state,
            None if told is None else told.at,
            None if told is None else told.run,
            None if told is None else told.ended_at,
            incident,
            blind,
            self.rules.schedule is not None and self.rules.mode is not Mode.FRESHNESS,
        )

    def _end(self, last: _Entry) -> int:
        if self.following is not None:
            return max(self.following, last.start)
        return max(last.start, self.now)

    def _state(self, entry: _Entry, *, passed: bool) -> Drawn:
        if not entry.signals:
            return self._silence(entry, passed=passed)
        told = _decisive(entry.signals)
        assert told is not None
        if told.state is not None and told.state in _RUN_DRAWN:
            return _RUN_DRAWN[told.state]
        first = entry.signals[0]
        if first.late:
            return Drawn.LATE
        if first.received_at == self.first or (self.rules.schedule is None and self.rules.mode is Mode.RUN):
            return Drawn.OK  # nothing had been expected
        grid = isinstance(self.rules.schedule, Cron | Calendar)
        expected = entry.start if grid else first_expected(self.rules, entry.basis)
        assert expected is not None
        deadline = expected + self.rules.grace
        if first.received_at <= deadline:
            return Drawn.OK
        deadline = self._moved(deadline)
        if first.received_at <= deadline:
            return Drawn.OK
        # It is not marked late, and yet there was a verdict before it: it is dated back, or a window or a pause
        # has set the expectation anew meanwhile.
        if self._hidden(entry.basis, expected, deadline):
            return Drawn.UNVERIFIED
        anew = any(deadline < began <= first.received_at for began, _, _ in self.breaks)
        return Drawn.LATE if anew or first.at < first.received_at else Drawn.OK

    def _silence(self, entry: _Entry, *, passed: bool) -> Drawn:
        """Return how a slot is drawn that nothing met; `passed` when a later one was met."""
        rules, start = self.rules, entry.start
        deadline = self._moved(start + rules.grace)
        if self.first is None or self.first > deadline:
            return Drawn.NONE
        if any(began <= deadline and start <= ended for began, ended in self.pauses):
            return Drawn.PAUSED
        stale = rules.mode is Mode.FRESHNESS
        if stale:  # only the first moment is judged, and the verdict lasts
            start = first_expected(rules, entry.basis) or start
            deadline = self._moved(start + rules.grace)
        if self.now < deadline and (stale or not passed):
            return Drawn.LATE
        if self._hidden(entry.basis, start, deadline):
            return Drawn.UNVERIFIED
        return Drawn.STALE if stale else Drawn.MISSED

    def _hidden(self, basis: int, expected: int, deadline: int) -> bool:
        """Tell whether a window hid what was `expected` until its deadline."""
        return self.windows.over(exposed_from(self.rules, basis, expected), self._vouched(deadline)) is not None

    def _moved(self, deadline: int) -> int:
        """Return when the silence was judged that was due to be judged at `deadline`."""
        return deadline if deadline in self.opened else self.windows.moved(deadline)

    def _vouched(self, deadline: int) -> int:
        """Return the last instant at which a window can have begun that hid what was due at `deadline`."""
        # An incident may be the last that was written before a window, which begins in its very millisecond.
        return deadline - 1 if deadline in self.opened else deadline


def _decisive(signals: list[Signal]) -> Signal | None:
    """Return what a slot is drawn by: its worst run, else the signal that came first."""
    if not signals or signals[0].state is None:
        return signals[0] if signals else None
    return min(signals, key=lambda s: _WORST_FIRST.index(s.state or RunState.SUCCESS))


def _worse(states: list[Drawn], place: int) -> None:
    """A moment inside this slot was judged in silence: what met it came late."""
    if place >= 0 and states[place] is Drawn.OK:
        states[place] = Drawn.LATE
