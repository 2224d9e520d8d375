"""The page of one run: what it said, how long it took, what was different from the last healthy one."""

from typing import Any

from starlette.responses import Response

from luota.core.errors import Code, LuotaError
from luota.core.evidence import changes
from luota.core.model import Mode
from luota.core.spec.values import parse_uuid
from luota.core.text import visible
from luota.store import history
from luota.store import monitors as monitor_rows
from luota.web.dashboard.html import pretty
from luota.web.dashboard.past import run_shown, unjudged_of
from luota.web.dashboard.visit import Page, Visit
from luota.web.runs import incident_of

_MOST_INCIDENTS = 200


async def run(visit: Visit) -> Response:
    """Show the page; NOT_FOUND for a run that is not of this workspace, or that retention has deleted."""
    wanted = str(visit.request.path_params["run"])
    found = await history.run_of(visit.reader, visit.workspace.id, parse_uuid(wanted) or wanted)
    if found is None:
        raise LuotaError(Code.NOT_FOUND, "There is no such run in this workspace, or its retention has ended.")
    kept = await monitor_rows.kept(visit.reader, visit.workspace.id, found.monitor_id)
    assert kept is not None  # runs go before their monitor
    healthy = await history.healthy_before(visit.reader, found)
    before, after = await history.neighbours(visit.reader, found)
    incidents = await history.incidents(visit.reader, found.monitor_id, _MOST_INCIDENTS)
    facts = found.facts
    unjudged = await unjudged_of(visit, kept.id, Mode.RUN)
    mark, word = run_shown(found.state, found.effective_at, found.limit_at, found.finish_received_at, unjudged)
    return await visit.html(
        "run.html",
        run=found,
        facts=facts,
        name=(await monitor_rows.definition_of(visit.reader, kept.id)).name,
        kept=kept,
        path=visit.path("monitors", kept.slug if kept.archived_at is None else kept.id),
        mark=mark,
        word=word,
        beyond=max(0, (found.finish_received_at or 0) - found.limit_at),
        limit=found.limit_at - found.effective_at,
        tags=sorted(facts.tags.items()),
        output=visible(found.output or "", lines=True),
        payloads=_payloads(found),
        healthy=healthy,
        changes=changes(facts, healthy.facts) if healthy is not None else (),
        before=before,
        after=after,
        incident=incident_of(found, incidents, unjudged.windows, unjudged.pauses),
    )


def _payloads(run: history.Run) -> list[dict[str, Any]]:
    """Return the payloads of start and close, those that were sent, as text to read."""
    both = (("start", run.start_payload), ("close", run.close_payload))
    return [{"of": of, "text": visible(pretty(text), lines=True)} for of, text in both if text]


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/runs/{run}", "viewer", run),)
