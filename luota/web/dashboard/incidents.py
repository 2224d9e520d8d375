"""The list of incidents, open ones first."""

from starlette.responses import Response

from luota.core.spec.values import parse_uuid
from luota.core.text import visible
from luota.store import incidents as rows
from luota.store import monitors as monitor_rows
from luota.web.dashboard.filters import no_such
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
STATES = ("open", "acknowledged", "resolved")


async def incidents(visit: Visit) -> Response:
    """Show incidents: those of one state or one monitor, by id or slug, where the address asks for them."""
    asked, wanted = visit.query("state")[:200], visit.query("monitor")[:200]
    state = asked if asked in STATES else ""
    unknown = [no_such("state", asked, STATES)] if asked and not state else []
    of = None
    if wanted:
        monitor = await monitor_rows.kept(visit.reader, visit.workspace.id, parse_uuid(wanted) or wanted)
        of = None if monitor is None else monitor.id
        if of is None:
            unknown.append(f"There is no monitor {visible(wanted)}, so that the list is not filtered by it.")
    number = visit.page_number()
    start = (number - 1) * PAGE
    found = await rows.listed(visit.reader, visit.workspace.id, of, state or None, start, PAGE + 1)
    return await visit.html(
        "incidents.html",
        incidents=found[:PAGE],
        state=state,
        monitor=of or "",
        states=STATES,
        unknown=unknown,
        number=number,
        more=len(found) > PAGE,
    )


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/incidents", "viewer", incidents),)
