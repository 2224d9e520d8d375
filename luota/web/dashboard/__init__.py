"""The pages: their routes, who may call them, and what every answer of theirs carries."""

import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from luota.core.errors import Code, LuotaError
from luota.store.db import translated
from luota.web.auth import Session
from luota.web.dashboard import (
    audit,
    bulk,
    channels,
    define,
    drills,
    incident,
    incidents,
    integration,
    members,
    monitor,
    overview,
    run,
    settings,
    signin,
    stream,
)
from luota.web.dashboard.html import static_file, static_path
from luota.web.dashboard.visit import Handler, Page, Site, Visit
from luota.web.http import STATUS

log = logging.getLogger(__name__)

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGES: tuple[Page, ...] = (
    *signin.PAGES,
    *overview.PAGES,
    *bulk.PAGES,
    *audit.PAGES,
    *incidents.PAGES,
    *incident.PAGES,
    *channels.PAGES,
    *drills.PAGES,
    *members.PAGES,
    *settings.PAGES,
    *define.PAGES,
    *integration.PAGES,
    *monitor.PAGES,  # after what has a name below /monitors
    *run.PAGES,
    *stream.PAGES,
)
"""All pages; a test walks them, so that none is without a rule of who may call it."""


class Dashboard:
    """The pages of one Luota."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._pages: list[Route] = []

    def routes(self) -> list[Route]:
        """Return all routes."""
        by_path: dict[str, dict[str, tuple[str, Handler]]] = {}
        for method, path, needed, handler in PAGES:
            by_path.setdefault(path, {})[method] = (needed, handler)
        shown = {path for path, by_method in by_path.items() if "GET" in by_method}
        for path in by_path.keys() - shown:
            by_path[path]["GET"] = ("user", _page_of(path, shown))
        self._pages = [
            Route(path, self._endpoint(by_method), methods=list(by_method)) for path, by_method in by_path.items()
        ]
        return [Route("/static/{hash}/{name}", self._static), *self._pages]

    async def error(self, request: Request, error: LuotaError, session: Session | None = None) -> Response:
        """Return the page that says what was refused, why, and what to do next."""
        return await self._said(request, STATUS[error.code], error.message, error.retry_after, session)

    async def _said(
        self,
        request: Request,
        status: int,
        message: str,
        retry_after: int | None = None,
        session: Session | None = None,
    ) -> Response:
        # What keeps Luota from answering may be what the navigation shows, too.
        visit = Visit(self.site, request, session if status < 500 else None)
        # The address of a refused form leads to its page; what is not there has none.
        back = quote(request.url.path, safe="/") if request.method == "POST" and status not in (403, 404) else None
        page = await visit.html(
            "error.html", status, code=int(status), message=message, retry_after=retry_after, back=back
        )
        if retry_after is not None:
            page.headers["retry-after"] = str(retry_after)
        return self._finished(page)

    async def no_page(self, request: Request, status: int, headers: Mapping[str, str] | None) -> Response:
        """Return the page for a path that leads nowhere, or is not called so; the way, where a slash is too many."""
        meant = self._without_slash(request)
        if meant is not None:
            # No 308: browsers keep that for ever, and whether the page is there may change.
            return self._finished(RedirectResponse(meant, status_code=307))
        said = {404: "There is no such page.", 405: "This page is not called like that: go back and load it again."}
        session = None
        with contextlib.suppress(LuotaError, sqlite3.Error):
            session = await self.site.auth.session(request.scope, used=False)
        page = await self._said(request, status, said.get(status, "That cannot be done."), session=session)
        page.headers.update(headers or {})
        return page

    def _without_slash(self, request: Request) -> str | None:
        """Return the address without the slash at its end, where one is and a page would be without it; else None.

        It is the path of a page, and hence never one of another site, as `//evil` would be.
        """
        path, query = request.scope["path"], request.url.query
        bare = {**request.scope, "path": path[:-1]}
        if request.method not in ("GET", "HEAD") or not path.endswith("/"):
            return None
        if all(page.matches(bare)[0] is not Match.FULL for page in self._pages):
            return None
        return quote(path[:-1], safe="/") + (f"?{query}" if query else "")

    def _endpoint(self, by_method: dict[str, tuple[str, Handler]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            needed, handler = by_method["GET" if request.method == "HEAD" else request.method]
            return await self._answer(request, needed, handler)

        return endpoint

    async def _answer(self, request: Request, needed: str, handler: Handler) -> Response:
        """Admit the visitor and let the page answer; what it refuses becomes a page as well."""
        session = None
        try:
            # What an open page asks for by itself is no use of the session by a person.
            used = handler is not stream.stream and "x-luota-live" not in request.headers
            session = await self.site.auth.session(request.scope, used=used)
            if session is None and needed != "anyone":
                return self._finished(_to_sign_in(request))
            visit = Visit(self.site, request, session)
            if request.method not in ("GET", "HEAD"):
                await visit.read_form()
                given = visit.form.get("csrf") or request.headers.get("x-csrf-token")
                # Who signs in leaves the session that there is: two tabs may both be at it.
                self.site.auth.check_change(request.scope, None if needed == "anyone" else session, given)
            if needed not in ("anyone", "user"):
                visit.enter(request.path_params["workspace"], needed)
            tidy = _tidy(request)
            return self._finished(await handler(visit) if tidy is None else visit.redirect(tidy))
        except LuotaError as error:
            refused = error
        except sqlite3.Error as error:
            log.exception("%s: the file cannot be read", request.scope["luota.request_id"])
            refused = translated(error)
        except Exception:
            log.exception("%s failed", request.scope["luota.request_id"])
            return await self._said(request, 500, "This is a defect of Luota: the log has what happened.")
        return await self.error(request, refused, session)

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        content = static_file(name)
        kind = _TYPES.get(name.rpartition(".")[2])
        # The path of older or newer content would be kept for a year, with this content in it.
        if content is None or kind is None or request.url.path != static_path(name):
            return await self.error(request, LuotaError(Code.NOT_FOUND, "There is no such file."))
        page = Response(content, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})
        return self._finished(page)

    def _finished(self, page: Response) -> Response:
        page.headers["content-security-policy"] = _POLICY
        page.headers.setdefault("cache-control", "no-store")
        return page


def _tidy(request: Request) -> str | None:
    """Return the address without the parameters that are empty, as forms send fields; None if there are none.

    What the script asks for is no address that anybody sees.
    """
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if value]
    if len(kept) == len(given) or request.method not in ("GET", "HEAD") or "hx-request" in request.headers:
        return None
    path = quote(request.url.path, safe="/")
    return f"{path}?{urlencode(kept)}" if kept else path


def _page_of(path: str, shown: set[str]) -> Handler:
    """Return what answers a GET of a form's address, of a bookmark or a reload: the way to the page that it is of.

    `shown` are the paths that have a page.
    """
    above = path
    while above not in shown:
        above = above.rpartition("/")[0] or "/"

    async def to_page(visit: Visit) -> Response:
        params = {name: quote(value, safe="") for name, value in visit.request.path_params.items()}
        return visit.redirect(above.format(**params))

    return to_page


def _to_sign_in(request: Request) -> Response:
    """Send a visitor to the sign-in, and back to the page afterwards; who sends a form is told that it is lost."""
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    changes = request.method not in ("GET", "HEAD")
    if request.url.path == "/sign-out":
        return RedirectResponse("/sign-in", status_code=303)
    if "hx-request" in request.headers:  # by a page that is open; its script says which
        return Response(status_code=401)
    asked = {**({"next": where} if where != "/" else {}), **({"undone": "1"} if changes else {})}
    return RedirectResponse(f"/sign-in?{urlencode(asked)}" if asked else "/sign-in", status_code=303)
