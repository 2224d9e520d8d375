"""Drills: what each one does to a twin of a monitor, and which facts prove each of its steps (docs/drills.md).

A drill is a checklist. Each step waits until the facts prove it, or show that they cannot any more; a step
that is settled stays as it is. The twin has the mode, the words and the channels of its monitor, and a rhythm
of seconds.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from luota.core.expectation import first_expected
from luota.core.model import Kind, Mode, Rules
from luota.core.packet import DELIVERY_WORDS
from luota.core.spec.monitors import MAX_NAME
from luota.core.spec.values import DAY, format_instant
from luota.core.wants import Wants

PROOF_LASTS = 90 * DAY
"""How long a drill proves anything about a monitor."""
INTERVAL_S, GRACE_S, RUN_LIMIT_S = 2, 1, 600
LABEL = " (drill)"
TYPE_OF = {"told": "incident.opened", "recovery": "incident.resolved"}
"""The notice that a step about a channel waits for, by the first word of its key."""


class DrillKind(StrEnum):
    """The four drills."""

    MISSED = "missed"
    FAILED = "failed"
    STALE = "stale"
    DEAD_ROUTE = "dead_route"


class DrillState(StrEnum):
    """A drill runs, or has a result."""

    RUNNING = "running"
    PROVEN = "proven"
    NOT_PROVEN = "not_proven"


class StepState(StrEnum):
    """A step waits, or is settled."""

    WAITING = "waiting"
    PROVEN = "proven"
    NOT_PROVEN = "not_proven"


class Step(Struct, frozen=True):
    """One line of the checklist. `at` is the instant that proved it, `detail` the evidence, or why there is none."""

    key: str
    text: str
    state: StepState = StepState.WAITING
    at: int | None = None
    detail: str = ""


class Listener(Struct, frozen=True):
    """A channel that hears of the twin, and which notices it wants."""

    id: str
    name: str
    wants: Wants


class Opened(Struct, frozen=True):
    """The incident of the twin."""

    id: str
    kind: str
    opened_at: int
    resolved_at: int | None
    resolution: str | None


class Telling(Struct, frozen=True):
    """One delivery about that incident; `status` and `provider_id` are the provider's answer to its last attempt.

    `under_way` tells that an attempt was begun and its outcome is not known yet, be the delivery cancelled meanwhile.
    """

    channel_id: str
    type: str
    state: str
    attempts: int
    next_attempt_at: int | None
    finished_at: int | None
    error: str | None
    status: int | None
    provider_id: str | None
    under_way: bool = False


class Facts(Struct, frozen=True):
    """What the file says of the twin. `deadline_at` is the deadline, or limit, that the first signal has set."""

    signal_at: int | None = None
    deadline_at: int | None = None
    failed_at: int | None = None
    opened: Opened | None = None
    tellings: tuple[Telling, ...] = ()


def refusal(kind: DrillKind, rules: Rules) -> str | None:
    """Return why a drill does not fit a monitor, and which do; None when it fits."""
    if kind in fitting(rules):
        return None
    mode = rules.mode.value
    needs = {
        DrillKind.MISSED: "a heartbeat monitor, or a run monitor with a schedule",
        DrillKind.FAILED: "a run monitor",
        DrillKind.STALE: "a freshness monitor",
    }[kind]
    this = f"a {mode} monitor" + (" without one" if kind is DrillKind.MISSED and rules.mode is Mode.RUN else "")
    return f"The drill {kind.value} needs {needs}; this is {this}. Drills that fit it: {', '.join(fitting(rules))}."


def fitting(rules: Rules) -> tuple[DrillKind, ...]:
    """Return the drills that fit a monitor, in the order in which they should be offered."""
    match rules.mode:
        case Mode.HEARTBEAT:
            return DrillKind.MISSED, DrillKind.DEAD_ROUTE
        case Mode.FRESHNESS:
            return DrillKind.STALE, DrillKind.DEAD_ROUTE
    missed = () if rules.schedule is None else (DrillKind.MISSED,)
    return DrillKind.FAILED, *missed, DrillKind.DEAD_ROUTE


def failure_of(kind: DrillKind, mode: Mode) -> Kind:
    """Return the kind of the incident that a drill provokes."""
    if kind is DrillKind.DEAD_ROUTE:
        return {Mode.HEARTBEAT: Kind.MISSED, Mode.RUN: Kind.FAILED, Mode.FRESHNESS: Kind.STALE}[mode]
    return Kind(kind.value)


def twin_of(definition: Mapping[str, Any], failure: Kind) -> dict[str, Any]:
    """Return the definition of a twin, of the form of `definition`, on which `failure` takes three seconds at most.

    One miss is enough, whatever the tolerance, and nobody is reminded.
    """
    mode = definition["mode"]
    doc = {
        **definition,
        "name": definition["name"][: MAX_NAME - len(LABEL)].rstrip() + LABEL,
        "slug": None,
        "graceSeconds": GRACE_S,
        "failuresBeforeIncident": 1,
        "reminderSeconds": None,
    }
    if mode == Mode.FRESHNESS:
        doc["expectedFreshnessSeconds"] = INTERVAL_S
    else:
        doc["schedule"] = None if failure is Kind.FAILED else {"every": INTERVAL_S}
    if mode == Mode.RUN:
        doc["maxRuntimeSeconds"] = RUN_LIMIT_S
    return doc


def checklist(kind: DrillKind, mode: Mode, listeners: Sequence[Listener]) -> tuple[Step, ...]:
    """Return the steps of a drill before its first signal; `listeners` are the channels that hear of the twin."""
    failure = failure_of(kind, mode)
    signal = {Mode.HEARTBEAT: "A ping", Mode.RUN: "A run start", Mode.FRESHNESS: "Word of fresh output"}[mode]
    deadline = "The limit of the run was set" if failure is Kind.FAILED else "The deadline was set"
    exactly = "at the failure" if failure is Kind.FAILED else "at its deadline"
    steps = [
        Step("signal", f"{signal} was accepted"),
        Step("deadline", deadline),
        Step("incident", f"An incident opened, kind {failure.value}, {exactly}"),
    ]
    recovered = Step("recovered", "A healthy signal resolved the incident")
    if kind is DrillKind.DEAD_ROUTE:
        return *steps, Step("dead_route", "The notice to a destination that answers 503 says retrying"), recovered
    told = [one for one in listeners if one.wants.hears(TYPE_OF["told"], failure) == "always"]
    steps += [Step(f"told.{one.id}", f"{one.name} was told of the incident") for one in told]
    if not told:
        why = f"no channel hears of {failure.value} incidents of this monitor. Add one: luota channel add"
        steps.append(Step("told", "Somebody was told of the incident", StepState.NOT_PROVEN, None, why))
    ended = [one for one in listeners if one.wants.hears(TYPE_OF["recovery"], failure) == "always"]
    return *steps, recovered, *(Step(f"recovery.{one.id}", f"{one.name} was told of the recovery") for one in ended)


def advance(
    steps: Sequence[Step], facts: Facts, rules: Rules, failure: Kind, ends: Mapping[str, int]
) -> tuple[Step, ...]:
    """Return the steps as `facts` about a twin with `rules` leave them; those that are settled stay.

    `ends` has the instants (UTC ms) until which `told` and `recovery` are waited for: a notice that is to be
    tried again only later is not proven. Nor is a recovery after the first failed attempt to a channel that was
    not told of the incident either, nor that a channel was told to which no notice was queued with the news.
    """
    lost = {step.key.partition(".")[2] for step in steps if step.state is StepState.NOT_PROVEN}
    found = []
    for step in steps:
        if step.state is not StepState.WAITING:
            found.append(step)
        elif step.key == "signal":
            found.append(_signal(step, facts))
        elif step.key == "deadline":
            found.append(_deadline(step, facts, rules, failure))
        elif step.key == "incident":
            found.append(_incident(step, facts, failure))
        elif step.key == "dead_route":
            found.append(_dead_route(step, facts))
        elif step.key == "recovered":
            found.append(_recovered(step, facts))
        else:
            phase, _, channel_id = step.key.partition(".")
            end = 0 if phase == "recovery" and channel_id in lost else ends[phase]
            found.append(_told(step, facts, channel_id, TYPE_OF[phase], end))
    return tuple(found)


def finish(steps: Sequence[Step], reason: str) -> tuple[Step, ...]:
    """Return the steps at the end of a drill: what still waits is not proven, for `reason` and what is known."""
    return tuple(
        step
        if step.state is not StepState.WAITING
        else replace(step, state=StepState.NOT_PROVEN, detail=f"{step.detail}; {reason}" if step.detail else reason)
        for step in steps
    )


def result(steps: Sequence[Step]) -> DrillState:
    """Return what a drill has come to whose steps are all settled."""
    proven = all(step.state is StepState.PROVEN for step in steps)
    return DrillState.PROVEN if proven else DrillState.NOT_PROVEN


def proves(state: DrillState, finished_at: int | None, now: int) -> bool:
    """Tell whether a drill has proven its path lately: a proof goes stale (docs/drills.md, "How long it holds")."""
    return state is DrillState.PROVEN and now - (finished_at or now) <= PROOF_LASTS


def waiting(steps: Sequence[Step], *phases: str) -> bool:
    """Tell whether a step still waits among those whose key begins with one of these words."""
    return any(step.state is StepState.WAITING and step.key.partition(".")[0] in phases for step in steps)


def _signal(step: Step, facts: Facts) -> Step:
    if facts.signal_at is None:
        return step
    return _proven(step, facts.signal_at, f"received {format_instant(facts.signal_at)}")


def _deadline(step: Step, facts: Facts, rules: Rules, failure: Kind) -> Step:
    if facts.signal_at is None or facts.deadline_at is None:
        return step
    if failure is Kind.FAILED:
        right = facts.signal_at + rules.max_runtime
    else:
        right = (first_expected(rules, facts.signal_at) or 0) + rules.grace
    if facts.deadline_at != right:
        return _lost(step, f"it is {format_instant(facts.deadline_at)} and not {format_instant(right)}")
    return _proven(step, facts.signal_at, f"{format_instant(right)}")


def _incident(step: Step, facts: Facts, failure: Kind) -> Step:
    opened = facts.opened
    if opened is None:
        return step
    due = facts.failed_at if failure is Kind.FAILED else facts.deadline_at
    if opened.kind != failure.value:
        return _lost(step, f"the incident is of kind {opened.kind}")
    if opened.opened_at != due:
        said = "never" if due is None else format_instant(due)
        return _lost(step, f"it opened {format_instant(opened.opened_at)}, due was {said}")
    return _proven(step, opened.opened_at, f"opened {format_instant(opened.opened_at)}")


def _recovered(step: Step, facts: Facts) -> Step:
    opened = facts.opened
    if opened is None or opened.resolved_at is None:
        return step
    return _proven(step, opened.resolved_at, f"resolved {format_instant(opened.resolved_at)}: {opened.resolution}")


def _dead_route(step: Step, facts: Facts) -> Step:
    for one in facts.tellings:
        if one.type == TYPE_OF["told"] and one.attempts:
            said = _answer(one)
            if one.state == "failed_retrying" and one.status == 503 and one.next_attempt_at is not None:
                again = f"retrying: {said}; next attempt {format_instant(one.next_attempt_at)}"
                return _proven(step, None, again)
            return _lost(step, f"{DELIVERY_WORDS[one.state]}: {said}")
    return step


def _told(step: Step, facts: Facts, channel_id: str, type_: str, end: int) -> Step:
    told = [one for one in facts.tellings if (one.channel_id, one.type) == (channel_id, type_)]
    if not told and _is_told(facts.opened, type_):
        return _lost(step, "no notice went to this channel: it was removed, or does not want such notices any more")
    for one in told:
        if one.state == "delivered":
            return _proven(step, one.finished_at, f"delivered: {_answer(one)}")
        if one.next_attempt_at is None:
            said = f"{DELIVERY_WORDS[one.state]}: {_answer(one)}"
            return replace(step, detail=f"{said}; an attempt is under way") if one.under_way else _lost(step, said)
        said = DELIVERY_WORDS[one.state] + (f"; last error: {_answer(one)}" if one.attempts else "")
        said += f"; next attempt {format_instant(one.next_attempt_at)}"
        if one.next_attempt_at > end and (one.attempts or end):
            why = "later than this drill waits" if end else "not waited for: it was not told of the incident either"
            return _lost(step, f"{said}, {why}")
        return replace(step, detail=said)
    return step


def _is_told(opened: Opened | None, type_: str) -> bool:
    """Tell whether what notices of `type_` tell has happened: they are queued in one transaction with it."""
    return opened is not None and (type_ == TYPE_OF["told"] or opened.resolved_at is not None)


def _answer(one: Telling) -> str:
    if one.state != "delivered":
        return one.error or "no reason given"
    parts = [None if one.status is None else f"answer {one.status}", one.provider_id]
    return ", ".join(part for part in parts if part) or "accepted"


def _proven(step: Step, at: int | None, detail: str) -> Step:
    return replace(step, state=StepState.PROVEN, at=at, detail=detail)


def _lost(step: Step, why: str) -> Step:
    return replace(step, state=StepState.NOT_PROVEN, detail=why)
