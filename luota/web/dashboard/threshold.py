"""Which threshold a monitor should have: what really happened, and what other rules would have made of it."""

import asyncio
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from markupsafe import Markup

from luota.core import advice
from luota.core.errors import Code, LuotaError
from luota.core.model import Mode, Rules, RunState
from luota.core.schedule import Every
from luota.core.slots import Signal, Stretch
from luota.core.spec.monitors import Definition, definition_json, parse_edit
from luota.core.spec.values import DAY
from luota.store import history
from luota.store import overview as rows
from luota.store.history import Lasted
from luota.web.dashboard.charts import Column, columns
from luota.web.dashboard.html import duration, exact, last_of
from luota.web.dashboard.visit import Visit

T = TypeVar("T")

LOOKS_BACK = 90 * DAY
_MOST = 10_000
_DRAWN = 60
_WORDS = {
    "interval": "Interval",
    "graceSeconds": "Grace",
    "expectedFreshnessSeconds": "Freshness",
    "maxRuntimeSeconds": "Max runtime",
}
_FIELDS = {"graceSeconds": "grace", "expectedFreshnessSeconds": "freshness", "maxRuntimeSeconds": "limit"}
"""The parameters of the address by which other values are tried, by the key of the definition."""


async def threshold(
    visit: Visit, monitor_id: str, definition: Definition, runs: Sequence[Lasted]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the section shows, and what was wrong with the values to try, by field."""
    rules, now = definition.rules, visit.now
    signals = await history.signals(visit.reader, monitor_id, rules.mode, _MOST, now - LOOKS_BACK)
    pauses = await rows.pauses(visit.reader, monitor_id, rules.mode)
    ended = [run for run in runs if run.state is RunState.SUCCESS]
    in_time = [run.duration for run in ended if run.duration is not None and not _hung(run)]
    fields = _fields(rules)
    asked = {field: visit.query(field) for field in fields if visit.query(field)}
    tried, errors = None, dict[str, str]()
    try:
        if asked and signals:
            tried = _rules(definition, asked)
    except LuotaError as error:
        if error.code is not Code.INVALID:
            raise
        errors = {_FIELDS.get(error.field or "", "interval"): _said(error)}
    shown = {
        "spread": advice.spread(advice.intervals(signals)),
        "lasted": advice.spread(in_time),
        "chart": _chart(rules, signals),
        "suggestions": [
            {
                "word": _WORDS[one.key],
                "value": one.value,
                "short": short(one.value),
                "evidence": one.evidence,
                "field": _FIELDS[one.key],
            }
            for one in await _in_pieces(advice.suggestions(rules, signals, in_time, len(ended) - len(in_time)))
        ],
        "present": await _rehearsed(visit, rules, signals, pauses) if signals else None,
        "tried": await _rehearsed(visit, tried, signals, pauses) if signals and tried is not None else None,
        "fields": [
            {"name": field, "word": word, "value": asked.get(field, short(value))}
            for field, (word, value) in fields.items()
        ],
        "signal": "run starts" if rules.mode is Mode.RUN else "signals",
    }
    return shown, errors


def _hung(run: Lasted) -> bool:
    """Tell whether the end of a run was heard of only after its limit."""
    return run.finish_received_at is not None and run.finish_received_at > run.limit_at


def short(ms: int) -> str:
    """Return a duration as the settings take it: `90s`, `10m`, `2h`, `1d`."""
    seconds = ms // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _said(error: LuotaError) -> str:
    """Return a refusal in the words of the form."""
    said = error.message
    for key, word in {"schedule.every": "interval", "every": "interval", **_WORDS}.items():
        if said.startswith(f"{key} "):
            return word.capitalize() + said[len(key) :]
    return said


def _fields(rules: Rules) -> dict[str, tuple[str, int]]:
    """Return which durations decide this monitor's verdicts, each with its name and its present value."""
    fields: dict[str, tuple[str, int]] = {}
    if isinstance(rules.schedule, Every):
        fields["interval"] = (_WORDS["interval"], rules.schedule.interval)
    if rules.mode is Mode.FRESHNESS:
        fields["freshness"] = (_WORDS["expectedFreshnessSeconds"], rules.freshness)
    if rules.schedule is not None or rules.mode is Mode.FRESHNESS:
        fields["grace"] = (_WORDS["graceSeconds"], rules.grace)
    if rules.mode is Mode.RUN:
        fields["limit"] = (_WORDS["maxRuntimeSeconds"], rules.max_runtime)
    return fields


def _rules(definition: Definition, asked: dict[str, str]) -> Rules:
    """Return the rules with the values to try; INVALID with the key to blame."""
    changes: dict[str, Any] = {key: asked[field] for key, field in _FIELDS.items() if field in asked}
    if "interval" in asked:
        changes["schedule"] = {"every": asked["interval"]}
    return parse_edit(definition_json(definition), changes).rules


async def _rehearsed(
    visit: Visit, rules: Rules, signals: Sequence[Signal], pauses: Sequence[Stretch]
) -> advice.Rehearsal:
    """Judge the history by some rules."""
    return await _in_pieces(advice.rehearsal(rules, signals, visit.now, visit.engine.registry.windows, pauses))


async def _in_pieces(steps: Generator[None, None, T]) -> T:
    """Return the result of `steps`, taken one by one: nobody else waits long for the event loop."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)


def _chart(rules: Rules, signals: Sequence[Signal]) -> Markup:
    """Return the newest intervals, against what is allowed between two signals where that is one duration."""
    newest = sorted(signals, key=lambda signal: signal.at)[-_DRAWN - 1 :]
    allowed = rules.freshness if rules.mode is Mode.FRESHNESS else None
    if isinstance(rules.schedule, Every):
        allowed = rules.schedule.interval
    limit = None if allowed is None else allowed + rules.grace
    found = []
    for before, after in pairwise(newest):
        gap = after.at - before.at
        over = limit is not None and gap > limit
        found.append(Column(gap, "ok", f"{duration(gap)} until {exact(after.at)}", over=over))
    said = "freshness + grace" if rules.mode is Mode.FRESHNESS else "interval + grace"
    return columns(found, limit, said, f"The {last_of(len(found), 'interval')} between signals")
