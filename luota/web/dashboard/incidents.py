"""The list of incidents, open ones first."""

from starlette.responses import Response

from luota.store import incidents as rows
from luota.web.dashboard.filters import no_such
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
STATES = ("open", "acknowledged", "resolved")


async def incidents(visit: Visit) -> Response:
    """Show incidents: those of one state or one monitor where the address asks for them."""
    asked, wanted = visit.query("state")[:200], visit.query("monitor")
    state = asked if asked in STATES else ""
    number = visit.page_number()
    monitor_id = wanted or None
    start = (number - 1) * PAGE
    found = await rows.listed(visit.reader, visit.workspace.id, monitor_id, state or None, start, PAGE + 1)
    return await visit.html(
        "incidents.html",
        incidents=found[:PAGE],
        state=state,
        monitor=wanted,
        states=STATES,
        unknown=no_such("state", asked, STATES) if asked and not state else None,
        number=number,
        more=len(found) > PAGE,
    )


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/incidents", "viewer", incidents),)
