"""One transaction in the making: evaluations in order, over a staged copy of the live state."""

import itertools
import os
from collections.abc import Callable
from typing import Literal

import msgspec

from luota.core.events import Event, Resolve
from luota.core.machine import evaluate
from luota.core.model import Action, Outcome, Status, Transition
from luota.core.wants import EVERYTHING, Wants
from luota.engine.changes import INCIDENTS
from luota.engine.registry import Live, Registry
from luota.store.reads import RunRow
from luota.store.writes import Rows, run_changes, state_row

_TYPES = {
    Action.OPENED: "incident.opened",
    Action.UPDATED: "incident.updated",
    Action.RESOLVED: "incident.resolved",
}
_EVENTS = {Action.OPENED: "opened", Action.UPDATED: "updated", Action.RESOLVED: "resolved"}

Only = Literal["if_lost", "if_told", "if_on_its_way"]

_encode = msgspec.json.Encoder().encode

_ids: list[str] = []
_number = itertools.count()
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_id() -> str:
    """Return a random UUID (RFC 9562, version 4) as text."""
    if not _ids:
        # One system call for many ids: `uuid4` makes one for each, and costs five times as much.
        digits = os.urandom(16 * 256).hex()
        for at in range(0, len(digits), 32):
            one = digits[at : at + 32]
            _ids.append(f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{_VARIANT[one[16]]}{one[17:20]}-{one[20:]}")
    return _ids.pop()


def new_event_id() -> str:
    """Return an id for an event of an incident: of two events of one instant, the later one's is the greater."""
    return f"{next(_number):012x}-{new_id()}"


class Batch:
    """What one transaction will write, and what it will make live once it is committed.

    `now` is frozen for the transaction. `runs` holds the run rows that its commands asked for, by id and
    by (monitor id, external run id), the new ones of the batch included. `before` is the batch on top of
    which it is planned, while that is not live yet. `wants` has the channels that want other notices from now on.
    `concerns` are the ids of what it changes beside monitors, by workspace. After COMMIT, `turned` are the workspaces
    with a monitor that it gave another status or incident, made or removed.
    """

    def __init__(self, registry: Registry, now: int, before: "Batch | None" = None) -> None:
        self.registry = registry
        self.before = before
        self.now = now
        self.rows = Rows()
        self.runs: dict[str, RunRow] = {}
        self.external: dict[tuple[str, str], RunRow] = {}
        self.wants: dict[str, Wants] = {}
        self.after: list[Callable[[], None]] = []
        self.queued_notice = False
        self.found_unverified = False
        self.concerns: dict[str, set[str]] = {}
        self.turned: set[str] = set()
        self._staged: dict[str, Live] = {}

    def live(self, monitor_id: str) -> Live | None:
        """Return the monitor as this batch has left it, or None when it is unknown or archived."""
        live = self._staged.get(monitor_id)
        if live is None:
            live = self.registry.monitors.get(monitor_id) if self.before is None else self.before.live(monitor_id)
        return None if live is None or live.state.archived else live

    def apply(self, live: Live, event: Event, at: int) -> Outcome:
        """Evaluate `event`, received at `at`, and stage all that follows from it."""
        outcome = evaluate(live.rules, live.state, event, at, self.registry.windows)
        if outcome.state is live.state:
            return outcome
        incident_id = live.incident_id
        for transition in outcome.transitions:
            if transition.action is not None:
                incident_id = self._incident(live, incident_id, transition, event)
        run_changes(self.rows, outcome.rearmed, outcome.ended)
        self.stage(msgspec.structs.replace(live, state=outcome.state, incident_id=incident_id))
        return outcome

    def stage(self, live: Live) -> None:
        """Make `live` what the rest of the batch sees, and the world after COMMIT."""
        self._staged[live.id] = live

    def finish(self) -> None:
        """Add the state rows: one per monitor, however many of its events are in the batch."""
        for live in self._staged.values():
            self.rows.add(*state_row(live.id, live.state, live.incident_id, live.last_heartbeat, live.heartbeats))

    def publish(self) -> None:
        """After COMMIT: make everything live."""
        for change in self.after:
            change()
        for live in self._staged.values():
            if live.state.archived:
                self.registry.remove(live)
                self.turned.add(live.workspace_id)
            elif self.registry.put(live):
                self.turned.add(live.workspace_id)

    def concern(self, workspace_id: str, *ids: str) -> None:
        """Note what this batch changes beside monitors."""
        self.concerns.setdefault(workspace_id, set()).update(ids)

    def changed(self) -> dict[str, set[str]]:
        """Return the ids of all that this batch changes, by workspace, for those who look on."""
        changed = {workspace_id: set(ids) for workspace_id, ids in self.concerns.items()}
        for live in self._staged.values():
            ids = changed.get(live.workspace_id)
            if ids is None:
                changed[live.workspace_id] = {live.id}
            else:
                ids.add(live.id)
        return changed

    def _incident(self, live: Live, incident_id: str | None, transition: Transition, cause: Event) -> str | None:
        """Write what a transition does to the monitor's incident; return the open incident's id."""
        action, at, run_id = transition.action, transition.at, transition.run
        if transition.after is Status.UNVERIFIED:
            self.found_unverified = True
        if action is Action.UNVERIFIED:
            return incident_id
        if action is Action.COUNTED:
            if incident_id is not None:
                self.rows.add("counted", (at, incident_id))
                row = (incident_id, new_event_id(), at, self.now, transition.kind, transition.reason, incident_id)
                self.rows.add("counted_event", row)
            return incident_id
        assert action is not None
        assert transition.kind is not None
        kind = transition.kind.value
        if action is Action.OPENED:
            incident_id = new_id()
            opened = (
                incident_id,
                live.workspace_id,
                live.id,
                kind,
                at,
                transition.due_at,
                transition.reason,
                run_id,
                at,
            )
            self.rows.add("opened", opened)
        elif action is Action.UPDATED:
            self.rows.add("raised", (kind, transition.reason, run_id, at, incident_id))
        else:
            self.rows.add("resolved", (at, transition.reason, incident_id))
        assert incident_id is not None
        self.concern(live.workspace_id, INCIDENTS)
        by = (cause.by or None) if action is Action.RESOLVED and isinstance(cause, Resolve) else None
        event = (incident_id, new_event_id(), at, self.now, _EVENTS[action], kind, transition.reason, by)
        self.rows.add("incident_events", event)
        state = "resolved" if action is Action.RESOLVED else "open"
        facts = {"at": at, "kind": kind, "state": state, "reason": transition.reason, "run": run_id}
        to = self.registry.channels_of(live) if action is Action.OPENED else None  # nothing of it is lost yet
        self.notify(live, _TYPES[action], incident_id, facts, to=to)
        if action is not Action.RESOLVED:
            return incident_id
        for change in ("hushed", "hushed_first", "overtaken"):
            self.rows.add(change, (self.now, incident_id))
        return None

    def notify(
        self,
        live: Live,
        type_: str,
        incident_id: str,
        facts: dict[str, object],
        own: tuple[str, ...] | None = None,
        to: tuple[str, ...] | None = None,
    ) -> None:
        """Queue a notice to every channel that hears of it (`Wants.hears`), in this very transaction.

        The monitor goes to `own`, or else to where it is routed at present. The other channels of the workspace are
        asked too: it may have been routed to them when they were told of the beginning, or nobody else may be left to
        hear of it. With `to`, those alone are asked. Of a drill none hears but to whom its twin goes now; on its dead
        route no end takes the place of the opening, which is to show how it is tried again.
        """
        if live.drill_of is not None:
            facts["drill"] = True
            routed = self.registry.channels_of(live)
            to = routed if to is None else tuple(one for one in to if one in routed)
        notice, kind = _encode(facts).decode(), str(facts["kind"])
        workspace = self.registry.workspaces[live.workspace_id]
        own = self.registry.channels_of(live) if own is None else own
        for channel_id in dict.fromkeys((*own, *workspace.channels)) if to is None else to:
            wanted = self.wants.get(channel_id) or workspace.wants.get(channel_id, EVERYTHING)
            hears = wanted.hears(type_, kind, routed=channel_id in own)
            if hears == "always":
                self.tell(live, channel_id, wanted, incident_id, type_, notice)
            elif hears == "if_lost":
                self.tell(live, channel_id, wanted, incident_id, type_, notice, hears)
            elif hears != "never" and channel_id not in self.registry.dead_routes:
                # No delay concerns it: it is never the first.
                self.queue(live.workspace_id, channel_id, incident_id, live.id, type_, notice, hears)

    def tell(
        self,
        live: Live,
        channel_id: str,
        wanted: Wants,
        incident_id: str,
        type_: str,
        notice: str,
        only: Only | None = None,
    ) -> None:
        """Queue a notice of an incident to a channel; what its delay does to it, the statements decide.

        What came earlier stands in the file alone: they look there.
        """
        delivery_id = self.queue(live.workspace_id, channel_id, incident_id, live.id, type_, notice, only)
        if wanted.delay:
            self.rows.add("ended_early" if type_ == "incident.resolved" else "held", (wanted.delay, delivery_id))

    def queue(
        self,
        workspace_id: str,
        channel_id: str,
        incident_id: str | None,
        monitor_id: str | None,
        type_: str,
        notice: str,
        only: Only | None = None,
    ) -> str:
        """Queue one notice to one channel, to be sent at once; return the delivery's id.

        With `only` it comes to nothing unless that is so when it is written (`core.wants.Hears`).
        """
        self.queued_notice = True
        delivery_id = new_id()
        self.rows.add(
            f"deliveries_{only}" if only else "deliveries",
            (
                delivery_id,
                workspace_id,
                channel_id,
                incident_id,
                monitor_id,
                type_,
                notice,
                "queued",
                self.now,
                self.now,
            ),
        )
        return delivery_id
