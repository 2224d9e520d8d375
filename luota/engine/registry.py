"""The live state: what verdicts and authentication need of every monitor, in memory."""

from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from luota.core.deadlines import Deadlines
from luota.core.machine import wake_at
from luota.core.model import NO_WINDOWS, Rules, State, Windows
from luota.core.wants import Wants


class Live(Struct, gc=False):
    """One monitor that is not archived. Replaced, never changed, so that a failed commit leaves it as it was.

    `drill_of` is the monitor of which it is a twin, on which a drill runs: people see it nowhere else.
    `last_heartbeat` is the `seq` of its newest heartbeat, `heartbeats` how many there ever were.
    """

    id: str
    workspace_id: str
    slug: str
    salt: str
    rules: Rules
    state: State
    incident_id: str | None = None
    drill_of: str | None = None
    last_heartbeat: int | None = None
    heartbeats: int = 0


class LiveWorkspace(Struct, frozen=True):
    """One workspace, with the ids of its channels and the slugs of its monitors.

    `wants` says which notices each channel wants, those of drills that are running included.
    """

    id: str
    name: str
    slug: str
    salt: str
    channels: tuple[str, ...] = ()
    slugs: dict[str, str] = {}
    wants: dict[str, Wants] = {}


class Registry:
    """All that is live, and the heap of what falls due next. Only the writer changes it, after COMMIT."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.monitors: dict[str, Live] = {}
        self.workspaces: dict[str, LiveWorkspace] = {}
        self.routes: dict[str, tuple[str, ...]] = {}
        self.dead_routes: set[str] = set()  # channels of drills, of which their twins alone know
        self.deadlines = Deadlines()
        self.windows: Windows = NO_WINDOWS
        self.last_heartbeat = 0  # the greatest `seq` that was given away, be it written or not

    def put(self, live: Live) -> bool:
        """Make `live` the present state of its monitor; tell whether it came, or has another status or incident now."""
        before = self.monitors.get(live.id)
        self.monitors[live.id] = live
        self.deadlines.set(live.id, wake_at(live.state))
        if before is None or before.slug != live.slug:
            self.workspaces[live.workspace_id].slugs[live.slug] = live.id
            return True
        was, state = before.state, live.state
        return (was.status, was.since, before.incident_id) != (state.status, state.since, live.incident_id)

    def index(self) -> None:
        """Build slugs and deadlines for all monitors at once, after a start filled `monitors`."""
        due: list[tuple[int, str]] = []
        for live in self.monitors.values():
            self.workspaces[live.workspace_id].slugs[live.slug] = live.id
            at = wake_at(live.state)
            if at is not None:
                due.append((at, live.id))
        self.deadlines = Deadlines(due)

    def remove(self, live: Live) -> None:
        """Forget an archived monitor."""
        self.monitors.pop(live.id, None)
        self.deadlines.set(live.id, None)
        slugs = self.workspaces[live.workspace_id].slugs
        if slugs.get(live.slug) == live.id:
            del slugs[live.slug]

    def find(self, workspace_id: str, id_or_slug: str) -> Live | None:
        """Return the monitor of a workspace by its id or its slug."""
        live = self.monitors.get(id_or_slug)
        if live is None:
            workspace = self.workspaces.get(workspace_id)
            found = None if workspace is None else workspace.slugs.get(id_or_slug)
            live = None if found is None else self.monitors.get(found)
        return live if live is not None and live.workspace_id == workspace_id else None

    def want(self, workspace_id: str, channel_id: str, wants: Wants | None) -> None:
        """Note which notices a channel wants; None forgets it."""
        workspace = self.workspaces[workspace_id]
        kept = {one: wanted for one, wanted in workspace.wants.items() if one != channel_id}
        wanted = kept if wants is None else {**kept, channel_id: wants}
        self.workspaces[workspace_id] = replace(workspace, wants=wanted)

    def channels_of(self, live: Live) -> tuple[str, ...]:
        """Return the channels that hear of a monitor: its own, else all of its workspace."""
        own = self.routes.get(live.id)
        return own or self.workspaces[live.workspace_id].channels


def without(some: Collection[str], channels: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of `channels` that are none of `some`, in their order."""
    return tuple(channel_id for channel_id in channels if channel_id not in some)
