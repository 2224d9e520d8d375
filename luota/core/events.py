"""What can happen to a monitor. `at` of a signal is the client's own time, where it sent one."""

from msgspec import Struct

from luota.core.model import OpenRun, Pause, Rules


class Tick(Struct, frozen=True):
    """Time has passed: judge every deadline up to now."""


class Ping(Struct, frozen=True):
    """A heartbeat, or word of fresh output."""

    at: int | None = None


class Start(Struct, frozen=True):
    """A run began. A repeated start is no signal and must not be passed in."""

    run: str
    at: int | None = None


class Success(Struct, frozen=True):
    """A run that was open ended well."""

    run: OpenRun
    at: int | None = None


class Fail(Struct, frozen=True):
    """A run that was open ended badly."""

    run: OpenRun
    at: int | None = None
    summary: str = ""


class PauseBegins(Struct, frozen=True):
    """A person paused the monitor."""

    pause: Pause


class Resume(Struct, frozen=True):
    """A person ended the pause."""


class Archive(Struct, frozen=True):
    """A person put the monitor away."""


class Resolve(Struct, frozen=True):
    """A person, `by`, resolved the open incident by hand, for a `reason` of their own if they gave one."""

    by: str = ""
    reason: str = ""


class Edit(Struct, frozen=True):
    """The definition changed to `rules`."""

    rules: Rules


class ClockBack(Struct, frozen=True):
    """The wall clock stepped back: what is remembered of the future is clamped to now."""


Event = Tick | Ping | Start | Success | Fail | PauseBegins | Resume | Archive | Resolve | Edit | ClockBack
