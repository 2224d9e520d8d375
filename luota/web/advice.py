"""Choosing a threshold on evidence, as the API and the pages do it: what happened, and what other rules would cost."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from luota.core import advice
from luota.core.bar import Drawn, run_drawn
from luota.core.errors import LuotaError, invalid, reworded
from luota.core.model import Mode, Rules, RunState, Windows
from luota.core.schedule import Every
from luota.core.slots import Signal, Stretch
from luota.core.spec.monitors import Definition, definition_json, parse_edit
from luota.core.spec.values import DAY
from luota.engine import Engine
from luota.store import history
from luota.store import overview as rows

T = TypeVar("T")

LOOKS_BACK = 90 * DAY
_MOST = 10_000
_PIECE = 500  # some 5 ms, at worst
FIELDS = {"graceSeconds": "grace", "expectedFreshnessSeconds": "freshness", "maxRuntimeSeconds": "limit"}
"""The parameters of the address by which other values are tried, by the key of the definition."""


class Evidence(Struct, frozen=True):
    """What is on record of a monitor: signals of the last 90 days, how long runs took that succeeded in time (ms).

    `hung` is how many succeeded only after their limit.
    """

    signals: Sequence[Signal]
    pauses: Sequence[Stretch]
    durations: Sequence[int]
    hung: int


async def evidence(engine: Engine, monitor_id: str, mode: Mode, now: int) -> Evidence:
    """Return what is on record."""
    since = now - LOOKS_BACK
    signals = await history.signals(engine.reader, monitor_id, mode, _MOST, since)
    runs = await history.durations(engine.reader, monitor_id, _MOST, since) if mode is Mode.RUN else ()
    pauses, windows = await rows.pauses(engine.reader, monitor_id, mode), engine.registry.windows
    in_time, hung = await _in_pieces(_succeeded(runs, windows, pauses))
    return Evidence(signals, pauses, in_time, hung)


def _succeeded(
    runs: Sequence[history.Lasted], windows: Windows, pauses: Sequence[Stretch]
) -> Generator[None, None, tuple[list[int], int]]:
    """Return how long the runs took that succeeded in time, and how many succeeded only after their limit."""
    in_time, hung = list[int](), 0
    for count, run in enumerate(runs):
        if count % _PIECE == 0:
            yield
        if run.state is not RunState.SUCCESS:
            continue
        drawn = run_drawn(run.state, run.effective_at, run.limit_at, run.finish_received_at, windows, pauses)
        if drawn is Drawn.STUCK:
            hung += 1
        elif run.duration is not None:
            in_time.append(run.duration)
    return in_time, hung


async def suggested(rules: Rules, found: Evidence) -> tuple[advice.Suggestion, ...]:
    """Return what the evidence suggests."""
    return await _in_pieces(advice.suggestions(rules, found.signals, found.durations, found.hung))


async def rehearsed(engine: Engine, rules: Rules, found: Evidence, now: int) -> advice.Rehearsal | None:
    """Judge the history by some rules; None where there is no history."""
    if not found.signals:
        return None
    return await _in_pieces(advice.rehearsal(rules, found.signals, now, engine.registry.windows, found.pauses))


def fields_of(rules: Rules) -> dict[str, tuple[str, int]]:
    """Return which durations decide this monitor's verdicts, each with its name and its present value."""
    fields: dict[str, tuple[str, int]] = {}
    if isinstance(rules.schedule, Every):
        fields["interval"] = ("Interval", rules.schedule.interval)
    if rules.mode is Mode.FRESHNESS:
        fields["freshness"] = ("Freshness", rules.freshness)
    if rules.schedule is not None or rules.mode is Mode.FRESHNESS:
        fields["grace"] = ("Grace", rules.grace)
    if rules.mode is Mode.RUN:
        fields["limit"] = ("Max runtime", rules.max_runtime)
    return fields


def rules_with(definition: Definition, asked: Mapping[str, str]) -> Rules:
    """Return the rules with the values to try; INVALID with the key to blame."""
    changes: dict[str, Any] = {key: asked[field] for key, field in FIELDS.items() if field in asked}
    if "interval" in asked:
        changes["schedule"] = {"every": asked["interval"]}
    return parse_edit(definition_json(definition), changes).rules


def refusal(error: LuotaError) -> LuotaError:
    """Return the refusal of a value that was tried, with the field by which it was."""
    fields = {**FIELDS, "schedule.every": "interval"}
    return invalid(fields[error.field or ""], reworded(error, fields))


async def _in_pieces(steps: Generator[None, None, T]) -> T:
    """Return the result of `steps`, taken one by one: nobody else waits long for the event loop."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)
