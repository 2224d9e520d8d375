"""One request for a page: who asks, in which workspace, and how it is answered."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from luota import __version__
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.core.errors import Code, LuotaError, invalid
from luota.core.roles import allows
from luota.core.spec.values import parse_uuid
from luota.drills import Drills
from luota.engine import Engine
from luota.engine.audit import Actor
from luota.engine.registry import Live, LiveWorkspace
from luota.store import incidents as incident_rows
from luota.store import people
from luota.web.auth import Auth, Session
from luota.web.dashboard.board import Board
from luota.web.dashboard.html import Templates, who
from luota.web.dashboard.told import Told
from luota.web.http import read_body

T = TypeVar("T")


class Site(msgspec.Struct, frozen=True):
    """What all pages stand on.

    `host` is what the daemon listens on. `base_url` returns where jobs and links reach this Luota, `sickness` what
    keeps it from watching at present. `told` are sentences, `once` what else a page shows one time, by its names there.
    """

    engine: Engine
    sender: Sender
    policy: AddressPolicy
    resolver: Resolver
    auth: Auth
    host: str
    base_url: Callable[[], str]
    drills: Drills
    templates: Templates
    sickness: Callable[[], str | None]
    board: Board = msgspec.field(default_factory=Board)
    told: Told[str] = msgspec.field(default_factory=Told)
    once: Told[dict[str, Any]] = msgspec.field(default_factory=Told)


class Visit:
    """A request that may be answered: the sign-in, the role and, for a change, its origin have been checked.

    `session` is None on the pages for anyone; `workspace` and `role` are set below `/w/{workspace}`.
    `form` are the fields of a posted form, of several with one name the last.
    """

    def __init__(self, site: Site, request: Request, session: Session | None) -> None:
        self.site = site
        self.engine = site.engine
        self.reader = site.engine.reader
        self.request = request
        self.now = site.engine.clock.now()
        self.seen = 0  # the number of the latest change of the workspace that the page shows, or an earlier one
        self.fields: list[tuple[str, str]] = []
        self._session = session
        self._workspace: LiveWorkspace | None = None
        self.role: str | None = None
        self.aside = False  # the page itself is of no workspace

    # -- who, and where ----------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """Return who is signed in; for the pages that need it."""
        assert self._session is not None
        return self._session

    @property
    def signed_in(self) -> bool:
        """Tell whether anybody is."""
        return self._session is not None

    @property
    def actor(self) -> Actor:
        """Return whom the audit log shall name."""
        return self.site.auth.actor(self.session, self.request.scope)

    @property
    def drawn_for(self) -> str:
        """Return what `drawn_for` says of this page."""
        return drawn_for(self.workspace, self.session)

    @property
    def workspace(self) -> LiveWorkspace:
        """Return the workspace of the page, as it is now."""
        assert self._workspace is not None
        return self.engine.registry.workspaces[self._workspace.id]

    def enter(self, slug: str, needed: str) -> None:
        """Enter a workspace; NOT_FOUND for those who are no members, FORBIDDEN where the role is too low."""
        found = self._find(slug)
        if found is None:
            raise LuotaError(Code.NOT_FOUND, "There is no such workspace, or you are not a member of it.")
        role = self.session.roles[found.id]
        self._workspace, self.role = found, role
        self.seen = self.engine.changes.number(found.id)
        if not allows(role, needed):
            raise LuotaError(
                Code.FORBIDDEN, f"This needs the role {needed}, and you are {role} here: ask an owner of {found.name}."
            )

    def enter_aside(self) -> None:
        """Enter the workspace visited last, if the page is of none and there is one: its frame shows the way there."""
        if self._session is None or self._workspace is not None:
            return
        last = self._last_visited()
        if last is not None:
            self._workspace, self.role, self.aside = last, self._session.roles[last.id], True

    @property
    def local_only(self) -> bool:
        """Tell whether snippets and links reach this machine alone, since no public address is set."""
        return _loopback(urlsplit(self.site.base_url()).hostname or "")

    @property
    def listens_locally(self) -> bool:
        """Tell whether only this machine reaches the daemon, and others a reverse proxy on it at most."""
        return _loopback(self.site.host)

    def may(self, needed: str) -> bool:
        """Tell whether the visitor's role allows what needs `needed`: what they may not do is not offered."""
        return allows(self.role, needed)

    def admitted(self, path: str) -> bool:
        """Tell whether `path` leads into no workspace, or into one of the visitor's."""
        asked = unquote(urlsplit(path).path)  # as the server hands it to the routes
        return not asked.startswith("/w/") or self._find(asked.split("/")[2]) is not None

    # -- what was asked ----------------------------------------------------------------------------

    async def read_form(self) -> None:
        """Take in a posted form; INVALID for what is none."""
        raw = await read_body(self.request.scope, self.request.receive)
        try:
            self.fields = parse_qsl(
                raw.decode(), keep_blank_values=True, max_num_fields=5000, encoding="utf-8", errors="strict"
            )
        except (UnicodeDecodeError, ValueError):
            raise invalid("body", "The form could not be read: load the page again and repeat.") from None

    @property
    def form(self) -> dict[str, str]:
        """Return the posted fields, with plain newlines."""
        return {name: value.replace("\r\n", "\n") for name, value in self.fields}

    def values(self, name: str) -> list[str]:
        """Return all posted values of one name."""
        return [value for key, value in self.fields if key == name]

    def query(self, name: str) -> str:
        """Return a parameter of the address, empty when it is not there."""
        return self.request.query_params.get(name, "").strip()

    def page_number(self) -> int:
        """Return which page of a list the address asks for, 1 where that is no number of at most four digits."""
        asked = self.query("page")
        return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 5 else 1

    @property
    def htmx(self) -> bool:
        """Tell whether the page's own script asks, for a part of the page."""
        return "hx-request" in self.request.headers

    def live(self, wanted: str | None = None) -> Live:
        """Return the monitor that the path names by id or slug; NOT_FOUND when it is not live here."""
        wanted = wanted or str(self.request.path_params["monitor"])
        live = self.engine.registry.find(self.workspace.id, parse_uuid(wanted) or wanted)
        if live is None:
            raise LuotaError(Code.NOT_FOUND, "There is no such monitor in this workspace, or it is archived.")
        return live

    def open_count(self, here: str) -> int:
        """Return how many incidents are open in a workspace, by its id, those of drills left out."""
        return self.site.board.open_count(here, self.engine.changes.turn(here), self.engine.registry.monitors.values())

    # -- answers -----------------------------------------------------------------------------------

    def path(self, *parts: str) -> str:
        """Return the path of a page of this workspace: `path("monitors", id)`."""
        return "/".join(["/w", self.workspace.slug, *(quote(part, safe="") for part in parts)])

    async def html(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page: `template` with `context`, and with what stands around every page."""
        self.enter_aside()
        frame = await self._frame()
        page = HTMLResponse(self.site.templates.render(template, **frame, **context), status_code=status)
        here = None if self._workspace is None or self.aside or self.htmx else self._workspace.slug
        if here is not None and here != self.request.cookies.get(_LAST):
            page.set_cookie(_LAST, here, max_age=_YEAR_S, secure=self.site.auth.secure, httponly=True, samesite="lax")
        return page

    def part(self, template: str, **context: Any) -> Markup:
        """Return a part of a page."""
        return Markup(self.site.templates.render(template, visit=self, now=self.now, **context))  # noqa: S704 - escaped

    async def name_of(self, actor: str | None) -> str:
        """Return who acted, with the name that they chose."""
        return who(actor, await self.names())

    async def names(self) -> dict[str, str]:
        """Return the names that people chose, by address: `names` of each template that shows who acted."""
        return await people.names(self.reader)

    def told(self) -> str | None:
        """Return what was done a moment ago and is to be said on this page, once; None where nothing was.

        It is for the page that is loaded: what an open one asks for by itself must not use it up.
        """
        return self._left(self.site.told)

    def once(self) -> dict[str, Any]:
        """Return what else was left for this page a moment ago, likewise once: such as a secret that was just made."""
        return self._left(self.site.once) or {}

    def _left(self, told: Told[T]) -> T | None:
        if self.htmx:
            return None
        return told.take(self.session.token_hash, self.request.url.path, self.engine.clock.monotonic())

    def redirect(
        self, path: str, *, said: str | None = None, once: dict[str, Any] | None = None, session: bytes | None = None
    ) -> Response:
        """Send the browser to another page of this Luota, to be loaded by GET; the script's request too.

        The page that takes what it is `told` says there, one time, what was done, and that which takes what is left for
        it `once` shows that. So a reload does nothing again. `session` is the hash of the token with which that page
        will be asked for, where it is another than this request's.
        """
        where, now = urlsplit(path).path, self.engine.clock.monotonic()
        if said is not None:
            self.site.told.leave(session or self.session.token_hash, where, said, now)
        if once is not None:
            self.site.once.leave(session or self.session.token_hash, where, once, now)
        if self.htmx:
            return Response(status_code=204, headers={"hx-redirect": quote(path, safe=_SAFE)})
        return RedirectResponse(path, status_code=303)

    async def _frame(self) -> dict[str, Any]:
        """Return what the frame of every page shows: where one is, what is open, which routes are dead."""
        frame: dict[str, Any] = {
            "visit": self,
            "now": self.now,
            "session": self._session,
            "workspace": None,
            "workspaces": [],
            "open_count": 0,
            "banners": [],
            "version": __version__,
            "theme": _theme(self.request),
            "request_id": self.request.scope["luota.request_id"],
        }
        if self._session is not None:
            frame["workspaces"] = self._mine()
        if self._workspace is not None:
            frame["workspace"] = self.workspace
            frame["open_count"] = self.open_count(self.workspace.id)
            frame["banners"] = await self._banners()
        return frame

    def _mine(self) -> list[LiveWorkspace]:
        """Return the workspaces of which the visitor is a member."""
        return [w for w in self.engine.registry.workspaces.values() if w.id in self.session.roles]

    def _find(self, slug: str | None) -> LiveWorkspace | None:
        """Return the workspace of that slug; None where there is none, or the visitor is no member of it."""
        return next((w for w in self._mine() if w.slug == slug), None)

    def _last_visited(self) -> LiveWorkspace | None:
        """Return the one of the visitor's workspaces in which a page that is of none shows the way."""
        mine = self._mine()
        of_path = self.request.url.path.split("/")[2] if self.request.url.path.startswith("/w/") else None
        only = mine[0] if len(mine) == 1 else None
        return self._find(of_path) or self._find(self.request.cookies.get(_LAST)) or only

    async def _banners(self) -> list[str]:
        """Return what must be said on every page, since silence would be a lie."""
        sick = self.site.sickness()
        dead = await incident_rows.dead_routes(self.reader, self.workspace.id)
        return [
            *([f"Luota cannot vouch for anything at present: {sick}."] if sick else []),
            *(f"The channel {name} is a dead route: a notice to it was given up." for name in dead),
        ]


_LAST = "workspace"
"""The cookie with the slug of the workspace of which a page was opened last."""
_YEAR_S = 31_536_000
_SAFE = ":/%#?=@[]!$&'()*+,"
"""What stands in a redirect as it is, beside letters and digits; a header holds nothing beyond ASCII."""

Handler = Callable[[Visit], Awaitable[Response]]
Page = tuple[str, str, str, Handler]
"""Method, path, who may (`anyone`, `user`, or a role in the workspace of the path), and what answers."""


def _theme(request: Request) -> str:
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in ("light", "dark") else ""


def drawn_for(workspace: LiveWorkspace, session: Session) -> str:
    """Return what tells whose page of which workspace one is, and of which role, from all others."""
    return f"{workspace.slug}.{session.roles[workspace.id]}-{session.token_hash.hex()[:8]}"


def same_site_path(wanted: str) -> str:
    """Return `wanted` if it is a path of this Luota, else the front page: nobody is sent elsewhere."""
    try:
        netloc = urlsplit(wanted).netloc
    except ValueError:  # such as of `//[`
        return "/"
    fine = wanted.startswith("/") and not wanted.startswith("//") and not netloc and wanted.isprintable()
    return wanted if fine and "\\" not in wanted else "/"


def _loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
