"""Which threshold a monitor should have: what really happened, and what other rules would have made of it."""

from typing import Any

from luota.core import advice
from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Rules
from luota.core.spec.monitors import Definition
from luota.core.spec.values import SECOND, format_instant
from luota.store import monitors as monitor_rows
from luota.web import advice as advised
from luota.web.api.call import Call, Routes

_TRIED = ("interval", *advised.FIELDS.values())


async def show(call: Call) -> dict[str, Any]:
    """Show what the last 90 days suggest, and the incidents that rules would have opened: the present, and those tried.

    Values are tried by `interval`, `grace`, `freshness` and `limit`, those that decide this monitor's verdicts.
    """
    live, engine, now = call.monitor(), call.engine, call.engine.clock.now()
    definition = await monitor_rows.definition_of(engine.reader, live.id)
    rules, tried = definition.rules, _tried(call, definition)
    found = await advised.evidence(engine, live.id, rules.mode, now)
    return {
        "advice": {
            "intervals": _spread(advice.spread(advice.intervals(found.signals))),
            "durations": _spread(advice.spread(found.durations)),
            "suggestions": [
                {
                    "key": one.key,
                    "seconds": None if one.value is None else one.value // SECOND,
                    "evidence": one.evidence,
                }
                for one in await advised.suggested(rules, found)
            ],
            "present": _rehearsal(await advised.rehearsed(engine, rules, found, now)),
            "tried": None if tried is None else _rehearsal(await advised.rehearsed(engine, tried, found, now)),
        }
    }


def _tried(call: Call, definition: Definition) -> Rules | None:
    """Return the rules with the values that the query tries, None for none; INVALID names the parameter to blame."""
    fields, query = advised.fields_of(definition.rules), call.request.query_params
    asked = {field: query[field] for field in _TRIED if field in query}
    for field in asked.keys() - fields.keys():
        raise invalid(field, f"{field} decides nothing of this monitor. These do: {', '.join(fields)}.")
    try:
        return advised.rules_with(definition, asked) if asked else None
    except LuotaError as error:
        if error.code is not Code.INVALID:
            raise
        raise advised.refusal(error) from None


def _spread(found: advice.Spread | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "count": found.count,
        "shortestSeconds": found.shortest / SECOND,
        "medianSeconds": found.median / SECOND,
        "p90Seconds": found.p90 / SECOND,
        "p95Seconds": found.p95 / SECOND,
        "longestSeconds": found.longest / SECOND,
    }


def _rehearsal(found: advice.Rehearsal | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "since": format_instant(found.since),
        "until": format_instant(found.until),
        "capped": found.capped,
        "opened": [{"kind": kind.value, "at": format_instant(at)} for kind, at in found.opened],
    }


ROUTES: Routes = [("GET", "/api/monitors/{monitor}/advice", "viewer", show)]
