"""The bar of a monitor: how its last slots are drawn, which lie where `luota.core.slots` puts them.

What is drawn is never better than the verdict was: a moment that was judged missed or stale is not `ok`,
whatever came later or was dated back.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from luota.core.expectation import first_expected
from luota.core.model import Kind, Mode, Rules, RunState, Windows
from luota.core.schedule import Calendar, Cron
from luota.core.slots import Entry, Incident, Layout, Signal, Stretch


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


class Slot(Struct, frozen=True, gc=False):
    """One slot: the stretch from `start`, the moment at which a signal was expected, to `end`, exclusive.

    `at` is the effective instant of the signal that met it, which lies ahead of `start` where it came early;
    None where nothing came. `expected` is the moment from which that signal is late or not: `start`, but with `every`
    the first one that nothing met since the signal before. `run` is the run that decided how it is drawn, `incident`
    the newest one that belongs to it, `blind` the stretches inside it in which Luota was not watching. The `first` one
    begins with the creation of the monitor, where that precedes all that was expected. `followed` is the instant of a
    later signal that came within the grace of this slot, which nothing met: it is late, and was never judged missed.
    """

    start: int
    end: int
    expected: int
    state: Drawn
    at: int | None = None
    run: str | None = None
    finished_at: int | None = None
    incident: str | None = None
    blind: tuple[Stretch, ...] = ()
    scheduled: bool = True
    first: bool = False
    followed: int | None = None


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
    layout = Layout(rules, signals, tuple(incidents), pauses, windows, since, now, n)
    return _Drawing(layout).slots()


_RUN_DRAWN = {
    RunState.SUCCESS: Drawn.OK,
    RunState.FAILED: Drawn.FAILED,
    RunState.STUCK: Drawn.STUCK,
    RunState.UNKNOWN: Drawn.UNVERIFIED,
    RunState.RUNNING: Drawn.RUNNING,
}


def run_drawn(
    state: RunState,
    began: int,
    limit_at: int | None,
    finish_received_at: int | None,
    windows: Windows,
    pauses: Sequence[Stretch],
) -> Drawn:
    """Return how a run is drawn: by its state, unless it succeeded only after its limit.

    Then it is stuck, which was the verdict at its limit; or unverified where there was none, since a window hid
    whether it hung, or the limit passed in one of the `pauses`. `began` is the effective instant of its start.
    """
    late = limit_at is not None and finish_received_at is not None and finish_received_at > limit_at
    if limit_at is None or not late or state is not RunState.SUCCESS:
        return _RUN_DRAWN[state]
    paused = any(start <= limit_at <= end for start, end in pauses)
    return Drawn.UNVERIFIED if paused or windows.over(began, limit_at) is not None else Drawn.STUCK


_WORST_FIRST = (Drawn.FAILED, Drawn.STUCK, Drawn.UNVERIFIED, Drawn.RUNNING, None)


class _Drawing:
    """One bar on the way from its layout to its slots."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rules = layout.rules

    def slots(self) -> tuple[Slot, ...]:
        """Return the slots of all entries."""
        layout, entries = self._layout, self._layout.entries
        if not entries:
            return ()
        starts, last = [entry.start for entry in entries], layout.end()
        afterwards = _afterwards(entries)
        states = [self._state(entry, came) for entry, came in zip(entries, afterwards, strict=True)]
        for moment in layout.judged:
            _worse(states, bisect_right(starts, moment) - 1)
        of_run = {s.run: i for i, entry in enumerate(entries) for s in entry.signals if s.run is not None}
        belongs: dict[int, str] = {}
        for incident in sorted(layout.incidents, key=lambda i: i.opened_at):
            silent = incident.kind in (Kind.MISSED, Kind.STALE) and incident.expected_at is not None
            moment = incident.expected_at if silent and incident.expected_at is not None else incident.opened_at
            place = of_run.get(incident.run) if incident.run is not None else None
            if place is None:
                place = bisect_right(starts, moment) - 1
            if place >= 0 and (place < len(entries) - 1 or moment < last):
                belongs[place] = incident.id
                if incident.kind is Kind.MISSED and states[place] is Drawn.LATE and not entries[place].signals:
                    states[place] = Drawn.MISSED  # it was judged, by a shorter grace than the present one
                elif silent:
                    _worse(states, place)
                elif incident.kind is Kind.STUCK and incident.run in of_run and states[place] is Drawn.OK:
                    states[place] = Drawn.STUCK  # closed in the very millisecond of its limit
        ends, blind = [*starts[1:], last], self._blind(starts, last)
        return tuple(
            self._slot(entry, end, state, belongs.get(i), blind.get(i, ()), came)
            for i, (entry, end, state, came) in enumerate(zip(entries, ends, states, afterwards, strict=True))
        )

    def _blind(self, starts: list[int], end: int) -> dict[int, tuple[Stretch, ...]]:
        """Return the stretches of the windows inside each slot that has some, by its place."""
        found: dict[int, tuple[Stretch, ...]] = {}
        for window in self._layout.windows.all:
            place = max(bisect_right(starts, window.start) - 1, 0)
            while place < len(starts) and starts[place] < window.end:
                until = min(window.end, starts[place + 1] if place + 1 < len(starts) else end)
                since = max(window.start, starts[place])
                if since < until:
                    found[place] = (*found.get(place, ()), (since, until))
                place += 1
        return found

    def _slot(
        self,
        entry: Entry,
        end: int,
        state: Drawn,
        incident: str | None,
        blind: tuple[Stretch, ...],
        came: Signal | None,
    ) -> Slot:
        told = self._decisive(entry.signals)
        followed = state is Drawn.LATE and not entry.signals and came is not None
        return Slot(
            entry.start,
            end,
            min(entry.start, self._expected(entry)),
            state,
            None if told is None else told.at,
            None if told is None else told.run,
            None if told is None else told.finished_at,
            incident,
            blind,
            self._rules.schedule is not None and self._rules.mode is not Mode.FRESHNESS,
            entry.start == self._layout.created,
            came.at if followed and came is not None else None,
        )

    def _state(self, entry: Entry, came: Signal | None) -> Drawn:
        if not entry.signals:
            return self._silence(entry, came)
        told = self._decisive(entry.signals)
        assert told is not None
        bad = self._of_run(told)
        if bad is not None:
            return bad
        rules, first = self._rules, entry.signals[0]
        if first.late:
            return Drawn.LATE
        if first.received_at == self._layout.first or (rules.schedule is None and rules.mode is Mode.RUN):
            return Drawn.OK  # nothing had been expected
        expected = self._expected(entry)
        deadline = expected + rules.grace
        if first.received_at <= deadline:
            return Drawn.OK
        deadline = self._layout.moved(deadline)
        if first.received_at <= deadline:
            return Drawn.OK
        # It is not marked late, and yet there was a verdict before it: it is dated back, or a window or a pause
        # has set the expectation anew meanwhile.
        if self._layout.hidden(entry.basis, expected, deadline):
            return Drawn.UNVERIFIED
        anew = any(deadline < began <= first.received_at for began, _, _ in self._layout.breaks)
        return Drawn.LATE if anew or first.at < first.received_at else Drawn.OK

    def _expected(self, entry: Entry) -> int:
        """Return the moment from which what met a slot is late or not."""
        rules = self._rules
        on_grid = isinstance(rules.schedule, Cron | Calendar)
        expected = None if on_grid else first_expected(rules, entry.basis)
        return entry.start if expected is None else expected

    def _of_run(self, signal: Signal) -> Drawn | None:
        """Return how a run decides its slot; None where it ended well and in time, and for a ping."""
        if signal.state is None:
            return None
        limit_at, end, layout = signal.limit_at, signal.finish_received_at, self._layout
        drawn = run_drawn(signal.state, signal.at, limit_at, end, layout.windows, layout.pauses)
        return None if drawn is Drawn.OK else drawn

    def _decisive(self, signals: list[Signal]) -> Signal | None:
        """Return what a slot is drawn by: its worst run, else the signal that came first."""
        if not signals or signals[0].state is None:
            return signals[0] if signals else None
        return min(signals, key=lambda signal: _WORST_FIRST.index(self._of_run(signal)))

    def _silence(self, entry: Entry, came: Signal | None) -> Drawn:
        """Return how a slot is drawn that nothing met; `came` is what came first of all that met a later one."""
        layout, rules, start = self._layout, self._rules, entry.start
        deadline = layout.moved(start + rules.grace)
        if layout.first is None or layout.first > deadline or start == layout.created:
            return Drawn.NONE
        if any(began <= deadline and start <= ended for began, ended in layout.pauses):
            return Drawn.PAUSED
        stale = rules.mode is Mode.FRESHNESS
        if stale:  # only the first moment is judged, and the verdict lasts
            start = first_expected(rules, entry.basis) or start
            deadline = layout.moved(start + rules.grace)
        elif came is not None and came.received_at <= deadline:
            return Drawn.NONE if came.received_at == layout.first else Drawn.LATE
        if layout.now < deadline:
            return Drawn.LATE
        if layout.hidden(entry.basis, start, deadline):
            return Drawn.UNVERIFIED
        return Drawn.STALE if stale else Drawn.MISSED


def missed_before(found: Sequence[Slot]) -> int | None:
    """Return the instant of the first signal in the newest slot that was met, if one since the last met was missed.

    That signal is in time all the same: it meets the occurrence of its own slot. None where nothing was missed.
    """
    met = [place for place, slot in enumerate(found) if slot.at is not None][-2:]
    if not met:
        return None
    since = met[0] + 1 if len(met) == 2 else 0
    return found[met[-1]].at if any(slot.state is Drawn.MISSED for slot in found[since : met[-1]]) else None


def _afterwards(entries: Sequence[Entry]) -> list[Signal | None]:
    """Return for each entry which signal was received first of those that met a later one."""
    found, came = list[Signal | None](), None
    for entry in reversed(entries):
        found.append(came)
        for signal in entry.signals:
            if came is None or signal.received_at <= came.received_at:
                came = signal
    return found[::-1]


def _worse(states: list[Drawn], place: int) -> None:
    """A moment inside this slot was judged in silence: what met it came late."""
    if place >= 0 and states[place] is Drawn.OK:
        states[place] = Drawn.LATE
