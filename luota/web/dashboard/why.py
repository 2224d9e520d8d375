"""Why the present verdict of a monitor holds, in sentences; and how a reason of Luota's is written on a page."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from markupsafe import Markup

from luota.core import reasons
from luota.core.model import Mode, RunState, Status
from luota.core.spec.values import format_instant
from luota.core.text import visible
from luota.engine.registry import Live
from luota.store import history
from luota.web.dashboard.html import told
from luota.web.dashboard.visit import Visit

_RUN = re.compile(r"\b([Rr]un) ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
_MEANING = {
    Status.LATE: "Silence inside grace: nobody is told before the deadline.",
    Status.PAUSED: "Signals are recorded meanwhile, and no incident opens.",
    Status.DRAFT: "No incident opens before its first signal.",
}
_SIGNALLED = {
    Mode.HEARTBEAT: "The last signal came",
    Mode.RUN: "The last run started",
    Mode.FRESHNESS: "The output last changed",
}


async def runs_named(visit: Visit, *texts: str) -> frozenset[str]:
    """Return which of the runs that these reasons name are on record: retention may have deleted others."""
    named = [run for text in texts for _, run in _RUN.findall(text)]
    return await history.runs_on_record(visit.reader, visit.workspace.id, named)


def sentence(visit: Visit, text: str, there: Collection[str]) -> Markup:
    """Return a reason of Luota's as a sentence: instants as times, runs that are `there` as links, all else as text."""
    text = visible(text)
    text += "" if text.endswith((".", "!", "?", "…")) else "."
    parts = _RUN.split(text[:1].upper() + text[1:])
    found = [told(parts[0])]
    for word, run, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found += [_run(visit, word, run) if run in there else told(f"{word} {run}"), told(rest)]
    return Markup().join(found)


async def why(
    visit: Visit,
    live: Live | None,
    incident: dict[str, Any] | None,
    newest: history.Event | None,
    events: Sequence[history.Event],
    runs: Sequence[history.Lasted],
    after_miss: int | None,
) -> list[Markup | str]:
    """Return why the present verdict holds, and what it means, in sentences.

    Green is proven by the newest signal, not by the one that it began with. While an incident is open its own reason
    stays the answer, whatever else the monitor has been told since. `newest` is what was heard of last; `events` and
    `runs` are the newest on record. The signal at `after_miss` met its own occurrence, and the one before was missed.
    """
    if live is None:
        return ["Its signals are refused. What it did stays here until its retention ends."]
    state = live.state
    reason = sentence(visit, state.reason, await runs_named(visit, state.reason))
    if state.status is Status.HEALTHY:
        # What came after it turned green is told alone; else what turned it is no signal.
        turned = newest is None or newest.heard_at < state.since
        return [*([reason] if turned else []), *_proof(visit, live, events, runs, after_miss)]
    own = incident["summary"] if incident is not None and state.status is Status.INCIDENT else None
    found: list[Markup | str] = [reason if own is None else own]
    match state.status:
        case Status.DRAFT:
            due = state.deadline_at
            if due is not None and due < visit.now:
                found.append(
                    Markup("The first one should have come by {}. Is the job set up?").format(told(format_instant(due)))
                )
            found.append(_MEANING[Status.DRAFT])
        case Status.FAILING:
            tolerance = live.rules.tolerance
            found.append(f"That is {state.failures} of {tolerance}: an incident opens at {tolerance}.")
        case Status.UNVERIFIED:
            found.append(f"Luota cannot vouch for it {reasons.vouched_again(state)}.")
        case Status.PAUSED if incident is not None:
            found.append("The incident stays open; nobody is reminded.")
        case status:
            found.append(_MEANING.get(status, ""))
    return [one for one in found if one]


def _proof(
    visit: Visit,
    live: Live,
    events: Sequence[history.Event],
    runs: Sequence[history.Lasted],
    after_miss: int | None,
) -> list[Markup | str]:
    """Return what proves at present that a healthy monitor is: its newest success, and its newest signal.

    Whether that came in time is told as far as it is on record.
    """
    rules, state = live.rules, live.state
    found: list[Markup | str] = []
    if rules.mode is Mode.RUN:
        ended = [run for run in runs if run.state is RunState.SUCCESS and run.finish_received_at is not None]
        proof = max(ended, key=lambda run: run.finish_received_at or 0, default=None)
        if proof is not None:
            at = told(format_instant(proof.finish_received_at or 0))
            found.append(Markup("{} succeeded {}.").format(_run(visit, "Run", proof.id), at))
            if rules.schedule is None:
                return found
    event = next((one for one in events if one.at == state.signal_at), None)
    judged = "" if event is None else ", late" if event.late else ", in time"
    if state.signal_at == after_miss:
        judged += "; what was expected before it was missed"
    signalled = told(format_instant(state.signal_at or 0))
    return [*found, Markup("{} {}{}.").format(_SIGNALLED[rules.mode], signalled, judged)]


def _run(visit: Visit, word: str, run: str) -> Markup:
    return Markup('<a href="{}">{} {}…</a>').format(visit.path("runs", run), word, run[:8])
