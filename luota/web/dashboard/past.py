"""What a monitor did, as its page shows it: the slots of the bar, the events, how long runs took."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from msgspec import Struct

from luota.core.bar import Drawn, Slot, run_drawn
from luota.core.model import Mode, Rules, RunState, Windows
from luota.core.slots import Stretch
from luota.core.spec.values import format_instant
from luota.core.text import head, visible
from luota.core.words import drawn_said, run_said, said
from luota.store import history
from luota.store import overview as rows
from luota.web.dashboard.bars import bar, empty
from luota.web.dashboard.charts import Column, columns, legend
from luota.web.dashboard.html import duration, exact, last_of
from luota.web.dashboard.visit import Visit

SLOTS = 60
_PREVIEW = 160
_MARKS = {
    Drawn.OK: "healthy",
    Drawn.LATE: "late",
    Drawn.RUNNING: "late",
    Drawn.UNVERIFIED: "unverified",
    Drawn.PAUSED: "paused",
    Drawn.NONE: "draft",
}
"""The marks of slots and of runs; all else is drawn as an incident."""

_MOST_EMPTY = 75
"""Percent of the axis that stay free at the left at most: its words need room."""


async def slots_of(visit: Visit, shown: rows.Watched, until: int) -> tuple[Slot, ...]:
    """Return the last slots of a monitor up to an instant."""
    return (await rows.bars(visit.reader, [shown], visit.engine.registry.windows, until, SLOTS))[shown.id]


def drawn_bar(visit: Visit, found: Sequence[Slot], now: int) -> dict[str, Any]:
    """Return the last slots up to `now` as a picture and as a list, and the blind windows among them."""
    windows = visit.engine.registry.windows
    since = found[0].start if found else now
    among = [window for window in windows.all if window.end > since and window.start < now]
    blind = [window for window in among if window.excuses]
    return {
        "svg": bar(found),
        "since": since,
        "empty": min(empty(found), _MOST_EMPTY),
        "until": now,
        "count": len(found),
        "states": [(state.value, drawn_said(state)) for state in dict.fromkeys(slot.state for slot in found)],
        "blind_drawn": any(slot.blind for slot in found),
        "slots": [_slot(visit, slot) for slot in reversed(found)],
        "blind": blind[:-6:-1],
        "more_blind": max(0, len(blind) - 5),
        "short_blind": len(among) - len(blind),
    }


def _slot(visit: Visit, slot: Slot) -> dict[str, Any]:
    words = [word if isinstance(word, str) else format_instant(word) for word in said(slot)]
    return {
        "mark": _mark(slot.state),
        "words": "".join(words),
        "run": None if slot.run is None else visit.path("runs", slot.run),
        "incident": None if slot.incident is None else visit.path("incidents", slot.incident),
        "blind": slot.blind,
    }


class Unjudged(Struct, frozen=True):
    """When nothing was judged: Luota did not hear, or people had paused the monitor."""

    windows: Windows
    pauses: tuple[Stretch, ...]


async def unjudged_of(visit: Visit, monitor_id: str, mode: Mode) -> Unjudged:
    """Return when a monitor was not judged."""
    return Unjudged(visit.engine.registry.windows, await rows.pauses(visit.reader, monitor_id, mode))


def run_shown(
    state: str, began: int, limit_at: int | None, finish_received_at: int | None, unjudged: Unjudged
) -> tuple[str, str]:
    """Return the mark and the word of a run, which are those of a bad one where it succeeded only after its limit.

    `began` is the effective instant of its start.
    """
    windows, pauses = unjudged.windows, unjudged.pauses
    drawn = run_drawn(RunState(state), began, limit_at, finish_received_at, windows, pauses)
    return _mark(drawn), run_said(drawn, closed=finish_received_at is not None)


def _mark(drawn: Drawn) -> str:
    return _MARKS.get(drawn, "incident")


def event_shown(visit: Visit, event: history.Event, unjudged: Unjudged) -> dict[str, Any]:
    """Return one line of the list of events."""
    run = event.kind == "run"
    mark, word = "late" if event.late else "healthy", "ping"
    if run:
        assert event.state is not None
        mark, word = run_shown(event.state, event.at, event.limit_at, event.finish_received_at, unjudged)
    return {
        "id": event.id,
        "mark": mark,
        "word": word,
        "path": visit.path("runs", event.id) if run else None,
        "at": event.at,
        "client_at": event.client_at,
        "received_at": event.received_at,
        "finish_received_at": event.finish_received_at,
        "finished_at": event.finished_at,
        "duration": event.duration,
        "late": event.late,
        "skewed": event.skewed,
        "exit_code": event.exit_code,
        "host": visible(event.host or ""),
        "sha": visible(event.deploy_sha or ""),
        "summary": head(visible(event.summary or ""), _PREVIEW),
        "payload": head(visible(event.payload or ""), _PREVIEW),
    }


def durations_chart(
    rules: Rules, runs: tuple[history.Lasted, ...], unjudged: Unjudged, now: int
) -> tuple[Markup, list[tuple[Markup, str]]]:
    """Return the durations of the newest runs with the limit drawn in, and the legend.

    One that is open lasts until now. Over the limit are those that stand above the line, which is the present limit,
    and those that hung by their own.
    """
    found = []
    for run in runs:
        mark, word = run_shown(run.state, run.effective_at, run.limit_at, run.finish_received_at, unjudged)
        lasted = run.duration
        if lasted is None:
            lasted = min(max(0, now - run.started_at), 2 * rules.max_runtime)
        took = "open" if run.duration is None else duration(run.duration)
        hung = run.state in (RunState.SUCCESS, RunState.STUCK) and mark == "incident"
        title = f"{took}, {word}, started {exact(run.started_at)}"
        over = hung or lasted > rules.max_runtime
        found.append(Column(lasted, run.state.value, title, over=over, of=run.id))
    chart = columns(found, rules.max_runtime, "limit", f"How long the {last_of(len(found), 'run')} took")
    return chart, legend(found)
