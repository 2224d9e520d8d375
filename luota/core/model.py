"""The words of Luota as frozen values. Instants are UTC milliseconds, durations milliseconds.

The values are `msgspec.Struct`s instead of dataclasses: a daemon rebuilds 100,000 monitors at start and
replaces one state per signal, and a frozen Struct is built about five times as fast.
"""

from enum import StrEnum

from msgspec import Struct

from luota.core.schedule import Schedule

UTC_NAME = "UTC"
MINUTE = 60_000
EXCUSED_WINDOW = MINUTE
"""A blind window up to this length excuses nothing (docs/verdicts.md, "Blind windows")."""
RETRY_ROOM = MINUTE
"""What clients get after such a window to repeat what could not be heard."""
MOST_MOVED = 10 * MINUTE
"""Short windows one after the other move a deadline no further than this: a Luota that crashes again and again must
not hide a dead job."""


class Mode(StrEnum):
    """What a monitor watches."""

    HEARTBEAT = "heartbeat"
    RUN = "run"
    FRESHNESS = "freshness"


class Status(StrEnum):
    """The present verdict on a monitor."""

    DRAFT = "draft"
    HEALTHY = "healthy"
    LATE = "late"
    FAILING = "failing"
    UNVERIFIED = "unverified"
    INCIDENT = "incident"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Kind(StrEnum):
    """What is wrong. The kind of an open incident only rises: see `RANK`."""

    MISSED = "missed"
    STUCK = "stuck"
    FAILED = "failed"
    STALE = "stale"


RANK = {Kind.STALE: 0, Kind.MISSED: 0, Kind.STUCK: 1, Kind.FAILED: 2}


class Action(StrEnum):
    """What a transition does to the monitor's incident."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"
    UNVERIFIED = "unverified"
    """No incident, since a blind window hid what would have decided it."""
    COUNTED = "counted"
    """One more miss or failure of an open incident: for its timeline, no notice."""


class RunState(StrEnum):
    """The life of a run. `stuck` and `unknown` runs are open no longer for their limit, but a close still counts."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    STUCK = "stuck"
    UNKNOWN = "unknown"


class Rules(Struct, frozen=True, kw_only=True, gc=False):
    """The part of a monitor's definition that decides verdicts."""

    mode: Mode
    schedule: Schedule | None = None
    grace: int = 0
    max_runtime: int = 86_400_000
    freshness: int = 0
    tolerance: int = 1

    @property
    def timezone(self) -> str:
        """The zone of the schedule, in which people read times of the monitor; UTC where it has none."""
        return str(getattr(self.schedule, "timezone", UTC_NAME))


class OpenRun(Struct, frozen=True, gc=False):
    """A run as the machine sees it.

    `occurrence` is the one that its start met (None without a schedule); `counted` tells that this
    occurrence has already been counted against the tolerance. Short blind windows have `moved` the limit so far.
    """

    id: str
    started_at: int
    limit_at: int
    occurrence: int | None = None
    counted: bool = False
    moved: int = 0


def by_limit(run: OpenRun) -> tuple[int, str]:
    """Return the key that orders open runs: what falls due first stands first."""
    return run.limit_at, run.id


class Pause(Struct, frozen=True):
    """A pause ends by hand, at `until`, or at the next healthy signal."""

    until: int | None = None
    until_healthy: bool = False


class State(Struct, frozen=True, gc=False):
    """The live state of one monitor: all that `evaluate` remembers between two events.

    `signal_at` is the newest ping or run start. A close, the newest of which is at `last_close_at`, says nothing
    against the schedule and decides nothing there: only `last_signal_at`, which people are shown, tells of both.
    `basis_at` is the instant from which the present expectation was derived: the newest ping or start, or the
    creation, edit, resume or end of a blind window that stands in for one; while paused, what the resume will
    look back at. `set_at` is when that was done: no verdict on it may lie before. `evidence_at` is the newest
    proof of something bad since all was well, `missed` and `failed` alike. `counted_at` is the occurrence that
    was counted last against the tolerance since then. `unverified_by` is the start of the blind window behind
    the last unverified verdict, None when a person resolved by hand or the first signal was overdue itself.
    `outcome_unknown` says that a window hid the limit of a run: only a success, or a proven failure, says more. Both
    outlast a `missed` incident, so that the start that ends it leaves the monitor unverified.
    """

    status: Status
    since: int
    reason: str
    basis_at: int
    set_at: int
    signal_at: int | None = None
    expected_at: int | None = None
    deadline_at: int | None = None
    late: bool = False
    failing: bool = False
    failures: int = 0
    counted_at: int | None = None
    evidence_at: int | None = None
    unverified: bool = False
    unverified_by: int | None = None
    outcome_unknown: bool = False
    incident: Kind | None = None
    pause: Pause | None = None
    archived: bool = False
    runs: tuple[OpenRun, ...] = ()
    last_close_at: int | None = None

    @property
    def last_signal_at(self) -> int | None:
        """The effective instant of the newest signal of any kind, or None before the first."""
        return max((at for at in (self.signal_at, self.last_close_at) if at is not None), default=None)


class Transition(Struct, frozen=True, kw_only=True, gc=False):
    """One step of a monitor, at the instant to which it belongs, with its reason.

    `due_at` is the occurrence or limit that decided it, `run` the run, where one did.
    """

    at: int
    before: Status
    after: Status
    reason: str
    action: Action | None = None
    kind: Kind | None = None
    due_at: int | None = None
    run: str | None = None


class Mark(Struct, frozen=True, gc=False):
    """How a signal was judged: its effective instant, and whether it was late or its clock was off."""

    effective_at: int
    late: bool = False
    skewed: bool = False


class EndedRun(Struct, frozen=True):
    """A run whose limit has fired: `stuck`, or `unknown` when a blind window hid its end."""

    id: str
    state: RunState
    at: int


class Outcome(Struct, frozen=True, gc=False):
    """What one event did. `run` is the run that a start opened, `rearmed` are open runs that it changed.

    `wake_at` is when the monitor needs its next tick.
    """

    state: State
    wake_at: int | None = None
    transitions: tuple[Transition, ...] = ()
    ended: tuple[EndedRun, ...] = ()
    mark: Mark | None = None
    run: OpenRun | None = None
    rearmed: tuple[OpenRun, ...] = ()


class Window(Struct, frozen=True):
    """A blind window: from `start` to `end` Luota could not hear, for `reason`."""

    start: int
    end: int
    reason: str = ""

    @property
    def excuses(self) -> bool:
        """Tell whether it is long enough to make verdicts unverified."""
        return self.end - self.start > EXCUSED_WINDOW


class Windows:
    """The known blind windows, disjoint and in order."""

    def __init__(self, windows: tuple[Window, ...] = ()) -> None:
        self.all = windows
        self._long = tuple(w for w in windows if w.excuses)
        self._short = tuple(w for w in windows if not w.excuses)

    def over(self, start: int, end: int) -> Window | None:
        """Return the newest excusing window that overlaps the stretch from `start` to `end`."""
        for window in reversed(self._long):
            if window.end <= start:
                return None
            if window.start <= end:
                return window
        return None

    def moved(self, deadline: int, set_for: int) -> int:
        """Return `deadline`, or where a short window that holds it moves it: its end and a minute.

        `set_for` is the instant that it was set for, before any window moved it.
        """
        for window in self._short:  # in order: a moved deadline may lie inside a later window
            if window.start <= deadline <= window.end and window.end + RETRY_ROOM <= set_for + MOST_MOVED:
                deadline = window.end + RETRY_ROOM
        return deadline

    def add(self, window: Window, keep: int = 256) -> "Windows":
        """Return these windows and `window`, which is newer than all of them; the oldest give way.

        One that begins where the newest does takes its place: the same window, known to last longer.
        """
        older = self.all[:-1] if self.all and self.all[-1].start == window.start else self.all
        return Windows((*older, window)[-keep:])

    def ended_by(self, at: int) -> bool:
        """Tell whether all of them have ended by `at`."""
        return not self.all or self.all[-1].end <= at

    def until(self, now: int) -> "Windows":
        """Return what of these windows lies before `now`: what a clock that was set back has seen of them."""
        return Windows(tuple(Window(w.start, min(w.end, now), w.reason) for w in self.all if w.start < now))


NO_WINDOWS = Windows()
