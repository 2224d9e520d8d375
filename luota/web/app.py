"""The one ASGI app: its routes, and what a request to none of them gets."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from luota.core.errors import LuotaError
from luota.engine import Engine
from luota.store.db import translated
from luota.web.api import Api
from luota.web.dashboard import Dashboard
from luota.web.http import Endpoint, WithRequestId, rendered
from luota.web.ingest import Ingest
from luota.web.refusal import UNKEPT

log = logging.getLogger(__name__)


def build(
    engine: Engine,
    ingest: Ingest,
    api: Api,
    sickness: Callable[[], str | None],
    dashboard: Dashboard | None = None,
    *,
    access_log: bool,
) -> ASGIApp:
    """Return the app.

    `sickness` says what keeps it from watching; `dashboard` is None in a command that runs by itself.
    """

    async def healthz(_: Request) -> Response:
        sick = sickness()
        if sick is None:
            return JSONResponse({"ok": True}, headers=UNKEPT)
        return JSONResponse({"ok": False, "error": sick}, status_code=503, headers=UNKEPT)

    async def no_route(request: Request, error: Exception) -> Response:
        """No such route, or not with this method: JSON where programs call, a page elsewhere."""
        assert isinstance(error, HTTPException)
        said = {404: "Not found", 405: "Method not allowed"}.get(error.status_code, error.detail)
        if dashboard is None or request.url.path.startswith(("/v1", "/api")):
            headers = {**UNKEPT, **(error.headers or {})}
            return JSONResponse({"error": said}, status_code=error.status_code, headers=headers)
        return await dashboard.no_page(request, error.status_code, error.headers)

    pages = [] if dashboard is None else dashboard.routes()
    app = Starlette(routes=[*ingest.routes(), Route("/healthz", healthz), *api.routes(), *pages])
    app.router.redirect_slashes = False
    # Without Starlette's outermost layer, which would answer a defect of ours in plain text before we could.
    handlers: dict[Any, Any] = {HTTPException: no_route, LuotaError: _refused, sqlite3.Error: _unreadable}
    app.middleware_stack = ExceptionMiddleware(app.router, handlers)
    routed = _pings_first(ingest.ping_endpoint, app)
    return WithRequestId(routed, ingest, access_log=access_log, elapsed=engine.clock.monotonic)


def _pings_first(ping: Endpoint, app: ASGIApp) -> ASGIApp:
    """Hand pings by a monitor's own token to their endpoint, all else to `app`.

    The layers of Starlette cost a ping more than all that it is checked for.
    """

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"].split("/"):
            case ["", "v1", "monitors", monitor_id, "ping"] if monitor_id and scope["method"] == "POST":
                scope["path_params"] = {"monitor_id": monitor_id}
                await ping(scope, receive, send)
            case _:
                await app(scope, receive, send)

    return routed


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, LuotaError)
    status, body, headers = rendered(error)
    return JSONResponse(body, status_code=status, headers=headers)


async def _unreadable(request: Request, error: Exception) -> Response:
    """What a request needed could not be read from the file."""
    assert isinstance(error, sqlite3.Error)
    log.error("%s: the file cannot be read: %s", request.scope["luota.request_id"], error)
    return await _refused(request, translated(error))
