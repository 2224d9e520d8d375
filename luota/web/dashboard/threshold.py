"""Which threshold a monitor should have: what really happened, and what other rules would have made of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from luota.core import advice
from luota.core.errors import Code, LuotaError
from luota.core.model import Mode, Rules
from luota.core.schedule import Every
from luota.core.slots import Signal
from luota.core.spec.monitors import WORDS, Definition
from luota.web import advice as advised
from luota.web.dashboard.charts import Column, columns
from luota.web.dashboard.html import duration, exact, last_of
from luota.web.dashboard.visit import Visit

_DRAWN = 60


async def threshold(visit: Visit, monitor_id: str, definition: Definition) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the section shows, and what was wrong with the values to try, by field."""
    rules, engine, now = definition.rules, visit.engine, visit.now
    found = await advised.evidence(engine, monitor_id, rules.mode, now)
    fields = advised.fields_of(rules)
    asked = {field: visit.query(field) for field in fields if visit.query(field)}
    tried, errors = None, dict[str, str]()
    try:
        if asked and found.signals:
            tried = advised.rules_with(definition, asked)
    except LuotaError as error:
        if error.code is not Code.INVALID:
            raise
        wrong = advised.refusal(error)
        errors = {wrong.field or "": wrong.message}
    shown = {
        "spread": advice.spread(advice.intervals(found.signals)),
        "lasted": advice.spread(found.durations),
        "chart": _chart(rules, found.signals),
        "suggestions": [
            {
                "word": WORDS[one.key],
                "value": one.value,
                "short": None if one.value is None else short(one.value),
                "evidence": one.evidence,
                "field": advised.FIELDS[one.key],
            }
            for one in await advised.suggested(rules, found)
        ],
        "present": await advised.rehearsed(engine, rules, found, now),
        "tried": None if tried is None else await advised.rehearsed(engine, tried, found, now),
        "fields": [
            {"name": field, "word": word, "value": asked.get(field, short(value))}
            for field, (word, value) in fields.items()
        ],
        "signal": "run starts" if rules.mode is Mode.RUN else "signals",
    }
    return shown, errors


def short(ms: int) -> str:
    """Return a duration as the settings take it: `90s`, `10m`, `2h`, `1d`."""
    seconds = ms // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


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
