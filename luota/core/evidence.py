"""What is known of one run or signal, and what changed since the last healthy run (docs/webhook.md, "Bodies")."""

from msgspec import Struct

from luota.core.spec.values import format_duration


class RunFacts(Struct, frozen=True):
    """A run as it stands, times in UTC milliseconds; `output` is whole."""

    id: str
    external_run_id: str
    state: str
    started_at: int
    finished_at: int | None = None
    summary: str | None = None
    exit_code: int | None = None
    output: str | None = None
    host: str | None = None
    deploy_sha: str | None = None
    environment: str | None = None
    tags: dict[str, str] = {}

    @property
    def duration(self) -> int | None:
        """How long it took, in whole seconds as milliseconds; None while it is open."""
        return None if self.finished_at is None else max(0, self.finished_at - self.started_at) // 1000 * 1000


class SignalFacts(Struct, frozen=True):
    """A ping: when it came (UTC milliseconds), and what it said of its origin."""

    at: int
    host: str | None = None
    deploy_sha: str | None = None


class Change(Struct, frozen=True):
    """One thing that differs between two runs; None stands for what was not given."""

    label: str
    before: str | None
    after: str | None


def changes(run: RunFacts, healthy: RunFacts) -> tuple[Change, ...]:
    """Return what differs in `run` from the last healthy run before it.

    Deploy SHA, host, environment, each tag, and the duration where it moved by a tenth or more.
    """
    pairs = [
        ("deploy SHA", healthy.deploy_sha, run.deploy_sha),
        ("host", healthy.host, run.host),
        ("environment", healthy.environment, run.environment),
    ]
    keys = sorted(healthy.tags.keys() | run.tags.keys())
    pairs += [(f"tag {key}", healthy.tags.get(key), run.tags.get(key)) for key in keys]
    found = [Change(label, before, after) for label, before, after in pairs if before != after]
    before, after = healthy.duration, run.duration
    if before is not None and after is not None and abs(after - before) * 10 >= max(before, 1):
        found.append(Change("duration", format_duration(before), format_duration(after)))
    return tuple(found)
