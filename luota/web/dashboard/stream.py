"""The live stream of a browser: the ids of what has changed, at most twice a second. Its pages ask for the rest."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec
from starlette.responses import Response, StreamingResponse

from luota.engine.changes import Listener
from luota.web.auth import Session
from luota.web.dashboard.visit import Page, Visit, drawn_for

MOST = 200
MOST_OF_ONE = 20
"""So many streams are open at once at most, of all people and of one: nobody can take them from all others."""
MOST_ALONE = 3
"""So many of one session, where its tabs share none: a browser opens six connections to a host at most (HTTP/1.1), and
would load no page any more while streams hold all of them."""
_EVERY_S = 0.5
"""So long the stream rests after a change. It is that of many pages, each of which asks once a second at most."""
_LEFT_S = 2.0
"""So long a stream for which there is no room waits for one that its browser has left, and that has not ended yet."""
_LOOKS = 20
"""So often it looks meanwhile."""
_ALIVE_S = 4.0
"""How long the stream is silent at most, and half a second more after a change: a page that hears nothing for nine
seconds (`stream.js`) is cut off."""
_ANEW_MS = 500
"""So soon a browser asks anew whose session has ended. Another may be in its place: the cookie comes with the answer to
the form by which it was changed, a moment after the streams have heard of it."""
_LOOK_MS = 15_000
"""So often, and when anything about the visitor changes, it is looked whether they are signed in still, and as what."""


async def stream(visit: Visit) -> Response:
    """Follow what happens for all pages of a browser; each `of` in the address is what some of them are `drawn_for`.

    An event says in JSON what is `of` which of them. First comes `live` for each, then `changed` with the ids of
    monitors, incidents, channels, deliveries, drills, members of its workspace alone; `*` is all of them. The `number`
    of these two is that of the latest change that was told by then: a page that shows another one, as it begins, asks
    for all. `live` has the `count` of open incidents, and so has the event `count` when it changes. `alive` says in
    between that there is nothing to say. `other` comes at first or once it is so, where the pages are of another role
    or session than the visitor's, and `signedout` where the visitor may not see them; also who is not signed in is told
    so, since a browser that is sent to the sign-in instead tells its pages of a failure and no more. A stream whose
    session ends merely ends: the next one is asked for with the cookie that the browser has by then. Where too many
    are open, `full` with the reason `why` is all that comes; `alone` in the address says that this browser's tabs
    share no stream.
    """
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(visit), media_type="text/event-stream", headers=headers)


def _refusal(listeners: Iterable[Listener], who: tuple[str, ...]) -> str | None:
    """Return why there is no stream more for a user, or for a user's session whose tabs share none; or None."""
    of_whom = [one.who for one in listeners if one.who]  # else a drill's
    if len(who) > 1 and of_whom.count(who) >= MOST_ALONE:
        said = f"This browser shares no live connection between its tabs, and has {MOST_ALONE} already"
    elif sum(one[0] == who[0] for one in of_whom) >= MOST_OF_ONE:
        said = f"You have {MOST_OF_ONE} live connections already"
    elif len(of_whom) >= MOST:
        return f"This Luota has {MOST} live connections already: this page looks for changes twice a minute."
    else:
        return None
    return f"{said}: this page looks for changes twice a minute. Close some."


async def _events(visit: Visit) -> AsyncIterator[str]:
    changes, session = visit.engine.changes, visit.session if visit.signed_in else None
    following: dict[str, str] = {}  # the ids of workspaces
    for of in dict.fromkeys(visit.request.query_params.getlist("of")):
        end, here = _end(visit, of, session)
        if end is None:
            following[of] = here
        else:
            yield _event(end, of=of)
    if session is None or not following:
        return
    who = (session.user_id, *([session.token_hash.hex()] if visit.query("alone") else []))
    for patience in reversed(range(_LOOKS)):
        refusal = _refusal(changes.listeners, who)
        if refusal is None:
            break
        if not patience:
            yield _event("full", why=refusal)
            return
        await asyncio.sleep(_LEFT_S / _LOOKS)
    with changes.listen(*following.values(), who=who) as listener:
        yield "retry: 2000\n"
        counts = {of: visit.open_count(here) for of, here in following.items()}
        for of, here in following.items():
            yield _event("live", of=of, number=changes.number(here), count=counts[of])
        looked_at = visit.engine.clock.monotonic()
        while not changes.ended:
            heard = await listener.next(_ALIVE_S)
            numbers = {here: changes.number(here) for here in heard}  # what changes during an await is told next
            now = visit.engine.clock.monotonic()
            if now - looked_at >= _LOOK_MS or any(ids & {session.user_id, "*"} for ids in heard.values()):
                looked_at = now
                present = await visit.site.auth.session(visit.request.scope, used=False)
                if present is None:
                    yield f"retry: {_ANEW_MS}\n\n"
                    return
                for of in list(following):
                    end, _ = _end(visit, of, present)
                    if end is not None:
                        listener.leave(following.pop(of))
                        yield _event(end, of=of)
                if not following:
                    return
            if not heard:
                yield _event("alive")
                continue
            for of, here in following.items():
                if here not in heard:
                    continue
                yield _event("changed", of=of, number=numbers[here], ids=list(heard[here]))
                before, counts[of] = counts[of], visit.open_count(here)
                if counts[of] != before:
                    yield _event("count", of=of, count=counts[of])
            await asyncio.sleep(_EVERY_S)


def _event(kind: str, **said: object) -> str:
    return f"event: {kind}\ndata: {msgspec.json.encode(said).decode()}\n\n"


def _end(visit: Visit, of: str, session: Session | None) -> tuple[str | None, str]:
    """Return by which event the stream ends now for pages that are `of` something, or None; and the workspace's id."""
    slug = of.partition(".")[0]
    here = next((one for one in visit.engine.registry.workspaces.values() if one.slug == slug), None)
    if session is None or here is None or here.id not in session.roles:
        return "signedout", ""
    return None if of == drawn_for(here, session) else "other", here.id


PAGES: tuple[Page, ...] = (("GET", "/stream", "anyone", stream),)
