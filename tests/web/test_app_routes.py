"""The routes of the app as it is built: none is there that the tests of who may call what do not walk."""

from starlette.applications import Starlette
from starlette.routing import Route

from luota.web import api
from luota.web.dashboard import PAGES
from tests.web.test_dashboard import ANYONE, FORMS, filled

OPEN = ANYONE | {("GET", "/healthz"), ("GET", "/static/{hash}/{name}")}
"""All that is answered without a session and without a key."""
KEYED = {
    ("POST", "/v1/monitors/{monitor_id}/ping"),
    ("POST", "/v1/runs/start"),
    ("POST", "/v1/runs/{run_id}/success"),
    ("POST", "/v1/runs/{run_id}/fail"),
    ("POST", "/v1/workspaces/{workspace_id}/monitors/{id_or_slug}/ping"),
}
"""What jobs call with a key: test_ingest_errors.py walks it."""
TABLES = {(method, path) for method, path, *_ in (*PAGES, *api.ROUTES)}
"""What test_dashboard.py walks, role by role."""


def built(app):
    """The routes of the Starlette that an app wraps, as pairs of method and path; HEAD goes with GET."""
    found, wrapped = [], [app]
    while wrapped:
        one = wrapped.pop()
        if isinstance(one, Starlette):
            found.append(one)
        else:
            cells = (cell.cell_contents for cell in getattr(one, "__closure__", None) or ())
            wrapped += [inner for inner in (*vars(one).values(), *cells) if callable(inner)]
    (app,) = found
    return {
        (method, route.path)
        for route in app.routes
        for method in (route.methods - {"HEAD"} if isinstance(route, Route) and route.methods else {type(route)})
    }


async def test_every_route_is_in_a_table_whose_roles_are_tested_or_open_by_design(served):
    assert built(served.server._app) == OPEN | KEYED | TABLES | {("GET", path) for path in FORMS}


async def test_every_route_that_is_not_open_refuses_a_stranger(served):
    for method, path in built(served.server._app) - OPEN:
        answer = await served.call(method, filled(path), headers={"origin": served.base})
        if path.startswith(("/api", "/v1")):
            assert answer.status_code in ((401,) if path.startswith("/api") else (400, 401, 404)), path
        else:
            assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in"), path
