"""The live stream of a page: the ids of what has changed, at most once a second. The page asks for the rest."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from luota.core.errors import Code, LuotaError
from luota.web.dashboard.visit import Page, Visit

MOST = 200
_EVERY_S = 1.0
_ALIVE_S = 15.0
"""How long the stream is silent at most.

So often, and whenever anything about the visitor changes, it is looked whether they are still signed in and a member.
"""


async def stream(visit: Visit) -> Response:
    """Answer with events `changed`, whose data are ids of monitors, incidents, channels, deliveries, drills.

    `*` is all of them. `seen` in the address is the number of the latest change that the page shows.
    """
    if len(visit.engine.changes.listeners) >= MOST:
        raise LuotaError(Code.UNAVAILABLE, f"{MOST} pages are open already: close some.", retry_after=30)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(visit), media_type="text/event-stream", headers=headers)


async def _events(visit: Visit) -> AsyncIterator[str]:
    changes, registry = visit.engine.changes, visit.engine.registry
    workspace_id = visit.workspace.id
    with changes.listen() as listener:
        yield "retry: 2000\n\n"
        if visit.query("seen") != str(changes.number):  # what changed before this listened: while the page was loaded
            yield 'event: changed\ndata: ["*"]\n\n'
        checked_at = visit.engine.clock.monotonic()
        while not changes.ended:
            ids = await listener.next(_ALIVE_S)
            now = visit.engine.clock.monotonic()
            # Not in silence alone: where something changes every second there is none.
            if not ids or ids & {visit.session.user_id, "*"} or now - checked_at >= _ALIVE_S * 1000:
                checked_at = now
                session = await visit.site.auth.session(visit.request.scope)
                if session is None or workspace_id not in session.roles:
                    yield "event: signedout\ndata: {}\n\n"
                    return
            if not ids:
                yield ": alive\n\n"
                continue
            here = []
            for one in ids:
                live = registry.monitors.get(one)
                if live is None or live.workspace_id == workspace_id:
                    here.append(one)
            if here:
                yield f"event: changed\ndata: {msgspec.json.encode(here).decode()}\n\n"
                await asyncio.sleep(_EVERY_S)


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/stream", "viewer", stream),)
