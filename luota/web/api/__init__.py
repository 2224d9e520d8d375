"""The operator's API under `/api`: everything that a page can do, and what the CLI calls."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.core.errors import Code, LuotaError
from luota.core.spec.documents import decode_document
from luota.drills import Drills
from luota.engine import Engine
from luota.engine.audit import Actor
from luota.web.api import advice, audit, channels, drills, incidents, monitors, packets, runs, workspaces
from luota.web.api.call import Call, Handler, Role, Routes, find_workspace
from luota.web.http import read_body, rendered
from luota.web.passwords import Passwords
from luota.web.refusal import UNKEPT
from luota.web.server import LOCAL

ROUTES: Routes = [
    *workspaces.ROUTES,
    *monitors.ROUTES,
    *channels.ROUTES,
    *incidents.ROUTES,
    *packets.ROUTES,
    *drills.ROUTES,
    *runs.ROUTES,
    *advice.ROUTES,
    *audit.ROUTES,
]

Authorise = Callable[[Request, Role, Collection[str]], Awaitable[tuple[str, str, Actor]]]
"""Returns for a request, the least role and the ids of workspaces which of these is the first one that is theirs who
ask, their user's id, and how the audit log names them.

UNAUTHENTICATED, FORBIDDEN, or NOT_FOUND where none is theirs.
"""

_OWNER_OF_THE_SOCKET = Actor("operator", "unix socket")


@dataclass(frozen=True, slots=True)
class Api:
    """The routes of all tables.

    A request over the Unix socket may do everything; any other is for `authorise` to decide, and is refused
    without one. `base_url` returns where jobs reach this Luota, `sickness` what keeps it from watching.
    """

    engine: Engine
    sender: Sender
    policy: AddressPolicy
    resolver: Resolver
    base_url: Callable[[], str]
    drills: Drills
    passwords: Passwords
    sickness: Callable[[], str | None]
    authorise: Authorise | None = None

    def routes(self) -> list[Route]:
        """Return all routes."""
        paths: dict[str, dict[str, tuple[Role, Handler]]] = {}
        for method, path, role, handler in ROUTES:
            paths.setdefault(path, {})[method] = (role, handler)
        return [Route(path, self._endpoint(by_method), methods=list(by_method)) for path, by_method in paths.items()]

    def _endpoint(self, by_method: dict[str, tuple[Role, Handler]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            role, handler = by_method["GET" if request.method == "HEAD" else request.method]
            try:
                reply = await handler(await self._call(request, role))
            except LuotaError as error:
                if error.code is not Code.UNAVAILABLE:
                    raise
                status, body, headers = rendered(error)  # the operator learns the cause, jobs do not
                return JSONResponse({**body, "message": error.message}, status_code=status, headers=headers)
            return Response(msgspec.json.encode(reply), media_type="application/json", headers=UNKEPT)

        return endpoint

    async def _call(self, request: Request, role: Role) -> Call:
        """Return the call if it is allowed: who asks is known before the body is looked at."""
        wanted = request.path_params.get("workspace", request.query_params.get("workspace"))
        workspace = find_workspace(self.engine, wanted)
        known = self.engine.registry.workspaces
        user_id: str | None
        local = LOCAL in request.scope
        if local:
            user_id, actor = None, _OWNER_OF_THE_SOCKET
        elif self.authorise is None:
            raise LuotaError(Code.FORBIDDEN, "The API is reached over the Unix socket in the data directory.")
        else:
            among = known if wanted is None else () if workspace is None else (workspace.id,)
            here, user_id, actor = await self.authorise(request, role, among)
            workspace = known[here]
        if workspace is None:
            said = f"Workspace {wanted or repr(wanted)} not found. See: luota workspace list."
            raise LuotaError(Code.NOT_FOUND, said, field="workspace")
        doc = decode_document(await read_body(request.scope, request.receive))
        return Call(
            engine=self.engine,
            sender=self.sender,
            policy=self.policy,
            resolver=self.resolver,
            base_url=self.base_url(),
            drills=self.drills,
            passwords=self.passwords,
            sick=self.sickness(),
            request=request,
            doc=doc,
            workspace=workspace,
            actor=actor,
            user_id=user_id,
            may=partial(self._may, request, workspace.id),
        )

    async def _may(self, request: Request, workspace_id: str, role: Role) -> bool:
        """Tell whether who asks has at least `role` in the workspace."""
        if LOCAL in request.scope:
            return True
        assert self.authorise is not None  # they were let in
        try:
            await self.authorise(request, role, (workspace_id,))
        except LuotaError as error:
            if error.code is not Code.FORBIDDEN:
                raise
            return False
        return True
