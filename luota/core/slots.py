"""Where the slots of a monitor's bar lie: laid out on the schedule (docs/verdicts.md, "Expected, grace, deadline").

A slot begins at the moment at which a signal was expected, and lasts until the next one. With cron and
calendar that is an occurrence; what precedes the first one begins with the creation of the monitor. With
`every` and freshness, which have no grid of their own, it is an interval counted from the signal before, so
that a job which drifts by a second a day leaves no false gap. A run monitor without a schedule has a slot per run.
"""

from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

from luota.core.expectation import fallen_due, first_expected, met_by
from luota.core.model import Kind, Mode, Rules, RunState, Windows
from luota.core.preview import last_occurrences
from luota.core.schedule import Calendar, Cron
from luota.core.verdicts import exposed_from

Stretch = tuple[int, int]
"""From the one instant to the other."""


class Signal(Struct, frozen=True, gc=False):
    """A ping or a run start as recorded: its effective instant, when it was received, whether it came late.

    The rest is of the run that a start began: `finished_at` is its client's word, `limit_at` the instant by which its
    end was to be received, `finish_received_at` that of this receipt.
    """

    at: int
    received_at: int
    late: bool = False
    run: str | None = None
    state: RunState | None = None
    finished_at: int | None = None
    limit_at: int | None = None
    finish_received_at: int | None = None


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


class Entry:
    """A slot before it is drawn: what met it, or the signal before it, from which it was expected."""

    __slots__ = ("basis", "signals", "start")

    def __init__(self, start: int, basis: int, signals: list[Signal]) -> None:
        self.start = start
        self.basis = basis
        self.signals = signals


class Layout:
    """The slots of one monitor, and what was due when, by its record.

    `signals` are the newest pings, or run starts of a run monitor, in the order of receipt; `since` is the
    instant from which on they are complete: the creation of the monitor, or the oldest of them where older
    ones were not read. `pauses` are in order; one that lasts ends in the future.
    """

    def __init__(
        self,
        rules: Rules,
        signals: Sequence[Signal],
        incidents: Sequence[Incident],
        pauses: Sequence[Stretch],
        windows: Windows,
        since: int,
        now: int,
        n: int,
    ) -> None:
        self.rules = rules
        self.incidents = incidents
        self.pauses = pauses
        self.windows = windows
        self.breaks: list[tuple[int, int, bool]] = []  # pauses and excusing windows in order; True: a pause
        self.now = now
        self.n = n
        self.judged: list[int] = []  # moments that were judged in silence, though what came later is dated before
        self.created: int | None = None  # where the first slot begins with the creation: nothing was expected in it
        self.first: int | None = None  # the receipt of the first signal: nothing is judged before
        self.following: int | None = None
        self._opened = {i.opened_at for i in incidents if i.kind in (Kind.MISSED, Kind.STALE)}
        self._begun = {window.start for window in windows.all}
        if rules.mode is not Mode.FRESHNESS and isinstance(rules.schedule, Cron | Calendar):
            found = self._grid(rules.schedule, signals, since)
        elif rules.mode is Mode.RUN and rules.schedule is None:
            found = [Entry(s.at, s.at, [s]) for s in sorted(signals, key=lambda s: s.at)]
        else:
            found = self._chain(signals)
        self.entries = found[-n:]

    def end(self) -> int:
        """Return the end of the last slot."""
        last = self.entries[-1].start
        return max(last, self.now if self.following is None else self.following)

    def moved(self, deadline: int) -> int:
        """Return when the silence was judged that was due to be judged at `deadline`."""
        return deadline if self._judged_at(deadline) else self.windows.moved(deadline, deadline)

    def hidden(self, basis: int, expected: int, deadline: int) -> bool:
        """Tell whether a window hid what was `expected`, after a signal at `basis`, until its deadline."""
        return self.windows.over(exposed_from(self.rules, basis, expected), self._vouched(deadline)) is not None

    def _vouched(self, deadline: int) -> int:
        """Return the last instant at which a window can have begun that hid what was due at `deadline`."""
        return deadline - 1 if self._judged_at(deadline) else deadline

    def _judged_at(self, deadline: int) -> bool:
        """Tell whether the silence was judged at `deadline` itself, as far as that is on record.

        A verdict may be the last that is written before a window, which begins in its very millisecond then. One
        that opened an incident is known by it. One that was counted, in an open incident or below the tolerance, is
        not on record here: a window that begins where it was due is taken to begin with it.
        """
        if deadline in self._opened or deadline not in self._begun:
            return deadline in self._opened
        earlier = (i for i in self.incidents if i.opened_at < deadline)
        return self.rules.tolerance > 1 or any(i.resolved_at is None or i.resolved_at > deadline for i in earlier)

    def _grid(self, schedule: Cron | Calendar, signals: Sequence[Signal], since: int) -> list[Entry]:
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
        entries = {start: Entry(start, start, []) for start in starts}
        # Where older signals were not read, `since` is the oldest that was.
        if starts[0] < since <= self.now and all(signal.at > since for signal in signals):
            self.created = entries[starts[0]].start = since
        for signal in signals:
            if signal.at >= oldest:
                met = schedule.met_by(signal.at)
                entry = None if met is None else entries.get(met)
                if entry is None and met is not None and met > last:  # it is ahead of its occurrence
                    entry = entries[met] = Entry(met, met, [])
                    self.following = schedule.after(met)
                if entry is not None:
                    entry.signals.append(signal)
        return list(entries.values())

    def _chain(self, signals: Sequence[Signal]) -> list[Entry]:
        """Return the entries of what counts from the signal before, as the machine takes the signals."""
        rules, entries, aside = self.rules, list[Entry](), list[Signal]()
        newest: Signal | None = None
        if signals:
            self._narrow(min(signal.at for signal in signals))
        for signal in signals:
            if newest is None:
                self.first = signal.received_at
                entries.append(Entry(signal.at, signal.at, [signal]))
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
            entries += [*quiet, *(Entry(e, basis, []) for e in rest)]
            last = entries[-1]
            self.following = first_expected(rules, max(basis, last.start))
        for signal in aside:
            place = bisect_right(entries, signal.at, key=lambda e: e.start) - 1
            if place < 0:
                entries.insert(0, Entry(signal.at, signal.at, [signal]))
            else:
                if not entries[place].signals:
                    self.judged.append(entries[place].start)
                entries[place].signals.append(signal)
        return entries

    def _follow(self, newest: Signal, signal: Signal, entries: list[Entry]) -> None:
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
            if rules.mode is not Mode.FRESHNESS or self.moved(first + rules.grace) < signal.received_at:
                entries.append(Entry(expected, basis, []))
        due = first if start < first else start + interval
        if self.moved(due + rules.grace) < signal.received_at:
            self.judged.append(due)
        last = entries[-1]
        here = len(entries) == before and start == signal.at and last.signals
        if here and start < max(last.start, last.signals[0].at) + interval // 2:
            last.signals.append(signal)
        else:
            entries.append(Entry(start, basis, [signal]))

    def _quiet(self, newest: Signal, until: int) -> tuple[list[Entry], int]:
        """Return what the pauses and blind windows that ended before `until` left after the newest signal.

        That is what was expected up to them and did not come, and the instant from which on the rest counts:
        after each, a full interval is waited for.
        """
        rules, entries, basis = self.rules, list[Entry](), newest.at
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
                deadline = self.moved(reached + rules.grace)
                if deadline >= until or exposed_from(rules, basis, reached) >= end or start > self._vouched(deadline):
                    continue
            entries += [Entry(e, basis, []) for e in before[-self.n :]]
            if reached <= end or not paused:
                entries.append(Entry(reached, basis, []))
            basis = end
        return entries, basis

    def _narrow(self, since: int) -> None:
        """Leave aside what disturbed nothing that is drawn, since there may be many windows."""
        self.windows = Windows(tuple(w for w in self.windows.all if w.end > since))
        found = [(start, end, True) for start, end in self.pauses]
        found += [(w.start, w.end, False) for w in self.windows.all if w.excuses]
        self.breaks = sorted(found)
