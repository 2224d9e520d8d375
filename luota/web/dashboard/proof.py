"""The proof path of a monitor: what shows that an incident of it would reach a human, and what is still to be done."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from luota.core.drills import DrillKind
from luota.core.model import Kind, Mode, RunState, State
from luota.core.slots import Incident
from luota.core.spec.monitors import Definition
from luota.core.wants import kinds_of, named, untold
from luota.store.drills import Drill
from luota.store.history import Lasted
from luota.web.dashboard.html import count


class Proof(Struct, frozen=True):
    """One line of the checklist: `mark` is `healthy` where it is proven. `path` leads to `step`, what to do next."""

    mark: str
    title: str
    text: str
    at: int | None = None
    path: str | None = None
    step: str = ""


def proof_path(
    definition: Definition,
    state: State,
    runs: Iterable[Lasted],
    incidents: Iterable[Incident],
    drills: dict[DrillKind, Drill],
    channels: list[dict[str, Any]],
    path: str,
    channels_path: str,
    now: int,
) -> list[Proof]:
    """Return the checklist. `path` is that of the monitor's page; `channels` as the page lists them."""
    failures = [drill for kind, drill in drills.items() if kind is not DrillKind.DEAD_ROUTE]
    return [
        _signal(definition, state, runs, path),
        _failure(failures, path, now),
        _incident(incidents, failures, path),
        _delivery(kinds_of(definition.rules), channels, channels_path),
        _told("Owner", definition.owner, "Name who owns this promise, so that an incident says whom to ask.", path),
        _told("Runbook", definition.runbook, "Link what to do when it breaks: whoever is woken needs it.", path),
    ]


def _signal(definition: Definition, state: State, runs: Iterable[Lasted], path: str) -> Proof:
    title, at = "Healthy signal", state.signal_at
    if definition.rules.mode is Mode.RUN:
        ends = [
            run.finish_received_at
            for run in runs
            if run.state is RunState.SUCCESS and run.finish_received_at is not None
        ]
        at = max(ends, default=None)
    if at is not None:
        return Proof("healthy", title, "The job reaches Luota.", at)
    text = "No run has ended well yet." if state.signal_at is not None else "The job has not called yet."
    return Proof("draft", title, text, path=f"{path}/integration", step="Set up the job")


def _failure(failures: list[Drill], path: str, now: int) -> Proof:
    title, drills = "Deliberate failure", f"{path}/drills"
    newest = max(failures, key=lambda drill: drill.started_at, default=None)
    if newest is None:
        text = "Nobody has tried what happens when it breaks."
        return Proof("draft", title, text, path=drills, step="Run a drill")
    proven = max((drill for drill in failures if drill.proves(now)), key=lambda drill: drill.started_at, default=None)
    if proven is not None:
        return Proof("healthy", title, "A drill proved the path.", proven.finished_at, drills, "Drills")
    text = "The last drill did not prove the path." if newest.state == "not_proven" else "The last proof is too old."
    return Proof("failing", title, text, newest.finished_at, drills, "Run a drill")


def _incident(incidents: Iterable[Incident], failures: list[Drill], path: str) -> Proof:
    opened = [incident.opened_at for incident in incidents]
    drilled = [drill.started_at for drill in failures if drill.incident_id is not None]
    if not opened and not drilled:
        text = "None has ever opened: a drill opens one."
        return Proof("draft", "Incident", text, path=f"{path}/drills", step="Run a drill")
    at = max([*opened, *drilled])
    text = "The newest one was real." if at in opened else "The newest one was opened by a drill."
    return Proof("healthy", "Incident", text, at)


def _delivery(kinds: Sequence[Kind], channels: list[dict[str, Any]], path: str) -> Proof:
    """Judge the channels that hear of any of the kinds that an incident can have; of each, one has to hear."""
    if not channels:
        text = "There is no channel: nobody would be told."
        return Proof("failing", "Delivery", text, path=path, step="Add a channel")
    wanting = [channel for channel in channels if any(channel["wants"].tells(kind) for kind in kinds)]
    proof = None if not wanting else _delivered(wanting, path)
    lacking = untold(kinds, (channel["wants"] for channel in channels))
    if not lacking:
        assert proof is not None, "some channel tells each kind"
        return proof
    them = "it" if len(lacking) == 1 else "them"
    text = f"Nobody hears of {named(lacking)}: no channel of the monitor wants {them}."
    if proof is None or proof.mark == "healthy":
        return Proof("failing", "Delivery", text, path=path, step="Channels")
    mark = "incident" if proof.mark == "incident" else "failing"
    return Proof(mark, "Delivery", f"{text} {proof.text}", path=path, step="Channels")


def _delivered(channels: list[dict[str, Any]], path: str) -> Proof:
    dead = [channel for channel in channels if channel["failed_at"] is not None]
    if dead:
        return _undelivered("incident", "A dead route", dead, path)
    failing = [channel for channel in channels if channel["failing"]]
    if failing:
        return _undelivered("failing", "Failing now, by the last attempt", failing, path)
    unproven = [channel["name"] for channel in channels if channel["proven_at"] is None]
    if unproven:
        text = f"Nothing has been delivered yet to {', '.join(unproven)}: send a test notice."
        return Proof("draft", "Delivery", text, path=path, step="Channels")
    at = max(channel["proven_at"] for channel in channels)
    return Proof("healthy", "Delivery", f"Proven for {count(len(channels), 'channel')}.", at)


def _undelivered(mark: str, what: str, channels: list[dict[str, Any]], path: str) -> Proof:
    """Return which channels fail; one alone is led to, for what was answered stands on its page."""
    text = f"{what}: {', '.join(one['name'] for one in channels)}."
    if len(channels) == 1:
        return Proof(mark, "Delivery", text, path=channels[0]["path"], step="The channel")
    return Proof(mark, "Delivery", text, path=path, step="Channels")


def _told(title: str, value: str, lacking: str, path: str) -> Proof:
    if value:
        return Proof("healthy", title, "Named in every notice.")
    return Proof("draft", title, lacking, path=f"{path}/edit", step=f"Add the {title.lower()}")
