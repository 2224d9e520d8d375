"""The live stream of a page: the ids of what has changed, at most once a second. The page asks for the rest."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec
from starlette.responses import Response, StreamingResponse

from luota.engine.changes import Listener
from luota.web.dashboard.visit import Page, Visit

MOST = 200
MOST_OF_ONE = 20
"""So many streams are open at once at most, of all people and of one: nobody can take them from all others."""
_EVERY_S = 1.0
_ALIVE_S = 4.0
"""How long the stream is silent at most, and a second more after a change: a page that hears nothing for nine seconds
(`luota.js`) is cut off."""
_LOOK_MS = 15_000
"""So often, and when anything about the visitor changes, it is looked whether they are signed in still, and as what."""


async def stream(visit: Visit) -> Response:
    """Answer with `live`, then events `changed`: ids of monitors, incidents, channels, deliveries, drills, members.

    They are those of the workspace alone; `*` is all of them. `alive` says in between that there is nothing to say.
    `seen` in the address is the number of the latest change that the page shows, `of` whose page it is: `other` comes
    once that is not so any more, and `signedout` once nobody may see it. Where too many are open, `full` with the
    reason is all that comes.
    """
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(visit), media_type="text/event-stream", headers=headers)


def _refusal(listeners: Iterable[Listener], user_id: str) -> str | None:
    """Return why there is no stream for one more page of a user, or None."""
    of_whom = [one.who for one in listeners if one.who]  # else a drill's
    if of_whom.count(user_id) >= MOST_OF_ONE:
        return f"You have {MOST_OF_ONE} pages open already: this one looks for changes twice a minute. Close some."
    if len(of_whom) >= MOST:
        return f"{MOST} pages of this Luota are open already: this one looks for changes twice a minute."
    return None


async def _events(visit: Visit) -> AsyncIterator[str]:
    changes, workspace_id, user_id = visit.engine.changes, visit.workspace.id, visit.session.user_id
    if visit.query("of") not in ("", visit.drawn_for):
        yield "event: other\ndata: {}\n\n"
        return
    refusal = _refusal(changes.listeners, user_id)
    if refusal is not None:
        yield f"event: full\ndata: {msgspec.json.encode(refusal).decode()}\n\n"
        return
    with changes.listen(workspace_id, user_id) as listener:
        yield "retry: 2000\nevent: live\ndata: {}\n\n"
        # What changed before this listened: while the page was loaded.
        if visit.query("seen") != str(changes.number(workspace_id)):
            yield 'event: changed\ndata: ["*"]\n\n'
        looked_at = visit.engine.clock.monotonic()
        while not changes.ended:
            ids = await listener.next(_ALIVE_S)
            now = visit.engine.clock.monotonic()
            if ids & {user_id, "*"} or now - looked_at >= _LOOK_MS:
                looked_at = now
                end = await _end(visit)
                if end is not None:
                    yield f"event: {end}\ndata: {{}}\n\n"
                    return
            if not ids:
                yield "event: alive\ndata: {}\n\n"
                continue
            yield f"event: changed\ndata: {msgspec.json.encode(list(ids)).decode()}\n\n"
            await asyncio.sleep(_EVERY_S)


async def _end(visit: Visit) -> str | None:
    """Return by which event the stream of a page ends now, or None."""
    session = await visit.site.auth.session(visit.request.scope, used=False)
    role = None if session is None else session.roles.get(visit.workspace.id)
    if role is None:
        return "signedout"
    return None if role == visit.role else "other"


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/stream", "viewer", stream),)
