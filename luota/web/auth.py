"""Signing in with a password, sessions in cookies, and whether a change comes from a page of ours (docs/roles.md)."""

import contextlib
import hmac
import ipaddress
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection, Hashable, Iterator
from hashlib import sha256
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.requests import Request
from starlette.types import Scope

from luota.core.errors import Code, LuotaError
from luota.core.roles import allows
from luota.core.spec.values import DAY, SECOND
from luota.core.throttle import Throttle
from luota.engine import Engine, people, sessions
from luota.engine.audit import Actor
from luota.store import people as rows
from luota.web.http import Network, client_address, header
from luota.web.passwords import Passwords

log = logging.getLogger(__name__)

SETUP_LINK = DAY
PASSWORD_LINK = 3 * DAY
"""How long a link holds."""

WRONG = "Email or password is wrong."
_READING = ("GET", "HEAD", "OPTIONS")


class Session(Struct, frozen=True):
    """Who is signed in, with the role in each workspace by its id, as they were when the request came.

    `csrf` must come with every change; `address` is where the request came from.
    """

    user_id: str
    email: str
    name: str
    roles: dict[str, str]
    csrf: str
    token_hash: bytes
    created_at: int
    address: str


async def password_link(engine: Engine, user_id: str, actor: Actor, maker_id: str | None) -> str:
    """Do what `Auth.password_link` says, for the API too."""
    token, expires_at = secrets.token_urlsafe(32), engine.clock.now() + PASSWORD_LINK
    work = people.make_link("password", user_id, hash_of(token), expires_at, actor, maker_id=maker_id)
    await engine.submit(work)
    return f"/password/{token}"


class Auth:
    """Who may do what, for everything that comes with a cookie.

    `public_url` is the setting, None where it is not set, and `host` what the daemon listens on. A forwarded address is
    believed only from the `trusted` networks: behind a proxy that is none of them, all people share one address and
    its throttle. `secure` tells that people come by https.
    """

    def __init__(
        self,
        engine: Engine,
        passwords: Passwords,
        *,
        public_url: str | None,
        trusted: tuple[Network, ...],
        host: str = "127.0.0.1",
    ) -> None:
        self._engine = engine
        self._passwords = passwords
        self._origin = None if public_url is None else _origin(public_url)
        self._host = host.lower()
        self._trusted = trusted
        self.secure = secure = public_url is not None and public_url.startswith("https://")
        # Browsers take neither `Secure` nor a name with __Host- over plain HTTP, as in most home networks.
        self.cookie = "__Host-luota" if secure else "luota"
        self._attributes = f"Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
        # By account and address, and not by account: nobody can lock the owner out from elsewhere.
        self._of_account = Throttle(10, 30 * SECOND)
        self._of_address = Throttle(60, 5 * SECOND)
        self._entries = Throttle(1000, 4 * SECOND)

    # -- sessions ----------------------------------------------------------------------------------

    async def session(self, scope: Scope, *, used: bool = True) -> Session | None:
        """Return the session of a request's cookie; None without one, and for one that has ended.

        Where it is `used` by a person, and not by a page that lies open, the idle limit begins anew.
        """
        token = self._token(scope)
        if token is None:
            return None
        token_hash, now = hash_of(token), self._engine.clock.now()
        row = await rows.session(self._engine.reader, token_hash)
        if row is None or now >= row.expires_at or now - row.seen_at >= sessions.IDLE:
            return None
        if used and now - row.seen_at >= sessions.TOUCH_EVERY:
            with contextlib.suppress(LuotaError):  # a full disk must not keep anybody from looking at it
                await self._engine.submit(sessions.touch(token_hash))
        address = self._address(scope)
        return Session(
            row.user_id, row.email, row.name, row.roles, self._csrf(token), token_hash, row.created_at, address
        )

    async def sign_in(self, scope: Scope, email: str, password: str) -> str:
        """Return the token of a new session; the one of the request's cookie ends.

        UNAUTHENTICATED, in the same words and after the same work, for an unknown address, a wrong
        password and a user without one. RATE_LIMITED after too many failures.
        """
        email = email.strip().lower()[:254]
        token, old = secrets.token_urlsafe(32), self._token(scope)
        while True:
            with self._throttled(scope, email):
                user = await rows.user_by_email(self._engine.reader, email)
                known = None if user is None else user.password_hash
                if not await self._passwords.verify(known, password) or user is None or known is None:
                    await self._refused(scope, None if user is None else user.id)
                    raise LuotaError(Code.UNAUTHENTICATED, WRONG)
            work = sessions.open_session(
                user.id,
                known,
                hash_of(token),
                Actor(user.email, self._source(scope)),
                replaces=None if old is None else hash_of(old),
                rehashed=await self._passwords.hash(password) if self._passwords.is_outdated(known) else None,
            )
            if await self._engine.submit(work):
                return token
            # Another hash by now: of another password, or of this one, renewed by a sign-in at the same time.

    async def sign_out(self, session: Session) -> None:
        """End a session."""
        actor = Actor(session.email, session.address)
        await self._engine.submit(sessions.close_session(session.token_hash, actor))

    async def changed_password(self, scope: Scope, session: Session, current: str, chosen: str) -> str:
        """Return the hash of the password that a user has chosen, after a look at the present one.

        UNAUTHENTICATED when that is wrong, with `current` as field; RATE_LIMITED after too many failures.
        """
        with self._throttled(scope, session.email):
            user = await rows.user_by_id(self._engine.reader, session.user_id)
            if not await self._passwords.verify(None if user is None else user.password_hash, current):
                await self._refused(scope, session.user_id, session)
                raise LuotaError(Code.UNAUTHENTICATED, "The present password is wrong.", field="current")
        return await self._passwords.hash(chosen)

    def set_cookie(self, token: str) -> str:
        """Return the header's value that gives a browser its session."""
        return f"{self.cookie}={token}; Max-Age={sessions.LONGEST // SECOND}; {self._attributes}"

    def clear_cookie(self) -> str:
        """Return the header's value that takes it away."""
        return f"{self.cookie}=; Max-Age=0; {self._attributes}"

    def actor(self, session: Session, scope: Scope) -> Actor:
        """Return whom the audit log shall name for a change."""
        return Actor(session.email, self._source(scope))

    # -- changes -----------------------------------------------------------------------------------

    def check_change(self, scope: Scope, session: Session | None, csrf: str | None) -> None:
        """Raise FORBIDDEN unless a change comes from a page of this Luota, and with its session's CSRF token.

        The origin is that of `Origin`, else of `Referer`; without both, `Sec-Fetch-Site` must say
        same-origin. With a public URL it must be that one's. Without it, it must be one of `_addresses`, and the
        browser must not say that it is another site's. The `Host` header counts nowhere: a name that somebody
        else points at this host (DNS rebinding) stands in it as well. The token is not asked where no `session`
        is given: of those who are not signed in, and where it is not used.
        """
        self._check_origin(scope)
        if session is not None and not hmac.compare_digest((csrf or "").encode(), session.csrf.encode()):
            raise LuotaError(
                Code.FORBIDDEN, "This page is from before you signed in, or not from here: load it again and repeat."
            )

    async def authorise_api(self, request: Request, role: str, among: Collection[str]) -> tuple[str, str, Actor]:
        """Return the first workspace `among` theirs, user's id and actor of who calls the API with a session.

        UNAUTHENTICATED without a session; NOT_FOUND for those who are members of none; FORBIDDEN when their role there
        is below `role`, and for a change whose origin or `X-CSRF-Token` is not right.
        """
        session = await self.session(request.scope)
        if session is None:
            said = "Sign in first, or use the Unix socket in the data directory, as the luota command does."
            raise LuotaError(Code.UNAUTHENTICATED, said)
        if request.method not in _READING:
            self.check_change(request.scope, session, request.headers.get("x-csrf-token"))
        here = next((one for one in among if one in session.roles), None)
        if here is None:
            raise LuotaError(Code.NOT_FOUND, "There is no such workspace, or you are not a member of it.")
        held = session.roles[here]
        if not allows(held, role):
            raise LuotaError(Code.FORBIDDEN, f"This needs the role {role}, and you are {held}: ask an owner.")
        return here, session.user_id, self.actor(session, request.scope)

    # -- one-time links ----------------------------------------------------------------------------

    async def setup_link(self) -> str | None:
        """Return the path of a fresh link by which the first owner is made, for 24 hours; None once there are users.

        Those made before hold no more.
        """
        if await rows.any_user(self._engine.reader):
            return None
        token, expires_at = secrets.token_urlsafe(32), self._engine.clock.now() + SETUP_LINK
        actor = Actor("luota", "start")
        work = people.make_link("setup", None, hash_of(token), expires_at, actor, maker_id=None)
        made = await self._engine.submit(work)
        return f"/setup/{token}" if made else None

    async def password_link(self, user_id: str, actor: Actor, maker_id: str | None) -> str:
        """Return the path of a fresh link by which a user chooses a password, for 72 hours; older ones hold no more.

        `maker_id` is who makes it, None for the host; errors as of `engine.people.make_link`.
        """
        return await password_link(self._engine, user_id, actor, maker_id)

    async def check_link(self, purpose: str, token: str) -> str | None:
        """Return the address of the user whose link it is, None for the set-up's; NOT_FOUND if it does not hold."""
        reader, token_hash, now = self._engine.reader, hash_of(token), self._engine.clock.now()
        if purpose == "setup":
            if await rows.setup_link_holds(reader, token_hash, now) and not await rows.any_user(reader):
                return None
            said = "This link does not hold: Luota is set up already, or has logged a newer link since."
            raise LuotaError(Code.NOT_FOUND, f"{said} Sign in, or look there.")
        user = await rows.password_link_user(reader, token_hash, now)
        if user is None:
            said = "This link does not hold any more: it was used, replaced or too old, or its maker is no owner now."
            raise LuotaError(Code.NOT_FOUND, f"{said} Ask an owner for a new one.")
        return user.email

    async def use_setup_link(self, scope: Scope, token: str, email: str, name: str, password: str) -> str:
        """Make the first owner, and return their id. Errors as of `engine.people.use_setup_link`."""
        await self.check_link("setup", token)  # before a hash is computed for anybody
        hashed = await self._passwords.hash(password)
        work = people.use_setup_link(hash_of(token), email, name, hashed, self._source(scope))
        user_id: str = await self._engine.submit(work)
        return user_id

    async def use_password_link(self, scope: Scope, token: str, password: str) -> str:
        """Set the password that a link is for, and return the user's id; NOT_FOUND for a link that does not hold."""
        await self.check_link("password", token)
        hashed = await self._passwords.hash(password)
        work = people.use_password_link(hash_of(token), hashed, self._source(scope))
        user_id: str = await self._engine.submit(work)
        return user_id

    # -- parts -------------------------------------------------------------------------------------

    def _token(self, scope: Scope) -> str | None:
        return Request(scope).cookies.get(self.cookie) or None

    def _csrf(self, token: str) -> str:
        digest = hmac.digest(self._engine.registry.secret, f"csrf\n{token}".encode(), sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _address(self, scope: Scope) -> str:
        return client_address(scope, self._trusted)

    def _source(self, scope: Scope) -> str:
        return self._address(scope) or "unix socket"

    @contextlib.contextmanager
    def _throttled(self, scope: Scope, email: str) -> Iterator[None]:
        """Count an attempt before it is judged; only those that end with UNAUTHENTICATED stay counted."""
        now, network = self._engine.clock.monotonic(), _network(self._address(scope))
        buckets: tuple[tuple[Throttle, Hashable], ...] = (
            (self._of_account, (email, network)),
            (self._of_address, network),
        )
        seconds = max(throttle.retry_after(key, now) or 0 for throttle, key in buckets)
        if seconds:
            said = f"Too many attempts to sign in have failed. Try again in {seconds} s."
            raise LuotaError(Code.RATE_LIMITED, said, retry_after=seconds, policy="sign_in")
        for throttle, key in buckets:
            throttle.take(key, now)
        try:
            yield
        except LuotaError as error:
            if error.code is Code.UNAUTHENTICATED:
                raise
            self._give_back(buckets)
            raise
        self._give_back(buckets)

    @staticmethod
    def _give_back(buckets: "tuple[tuple[Throttle, Hashable], ...]") -> None:
        for throttle, key in buckets:
            throttle.give_back(key)

    async def _refused(self, scope: Scope, user_id: str | None, session: Session | None = None) -> None:
        """Put a wrong password on record, with as much work for an unknown address as for a known one.

        With a `session` it is known who gave it. Else it was a sign-in, and what was typed as the address is not
        recorded: it may have been the password.
        """
        source, now = self._source(scope), self._engine.clock.monotonic()
        log.warning("a sign-in from %s failed" if session is None else "a present password from %s was wrong", source)
        if self._entries.retry_after(None, now) is None:  # else the log alone has it: the file must not fill with them
            self._entries.take(None, now)
            with contextlib.suppress(LuotaError):  # a full disk does not make a password right
                if session is None:
                    await self._engine.submit(sessions.refused(user_id, Actor("somebody", source)))
                else:
                    await self._engine.submit(sessions.mistyped(session.user_id, Actor(session.email, source)))

    def _check_origin(self, scope: Scope) -> None:
        given, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
        if given is None:
            given = header(scope, b"referer")
        if given is None:
            if site == b"same-origin":
                return
            said = "The browser does not say which page this comes from, in Origin or Referer. Let it, and repeat."
            raise LuotaError(Code.FORBIDDEN, said)
        origin = _origin(given.decode("latin-1"))
        if self._origin is not None:
            if origin != self._origin:
                said = f"Changes are taken from pages at {_shown(self._origin)} only, which is [server] public_url."
                raise LuotaError(
                    Code.FORBIDDEN, f"{said} Open that address, or set public_url to the one that you use."
                )
            return
        if origin not in self._addresses(scope) or site not in (None, b"same-origin"):
            said = "Without [server] public_url, changes are taken from pages at the IP address of this machine and "
            said += "Luota's own port alone, or at localhost with that port."
            if origin is None:
                raise LuotaError(Code.FORBIDDEN, f"{said} Set public_url to the address that you use, and open that.")
            line = f'public_url = "{_shown(origin)}"'
            said += f" If you opened {_shown(origin)} yourself, put this line into the config file below [server], and"
            raise LuotaError(Code.FORBIDDEN, f"{said} restart Luota: {line}")

    def _addresses(self, scope: Scope) -> "set[_Origin]":
        """Return of which origins pages are without a public URL: nothing that a header says is among them.

        They are those of the loopback addresses, of the host that is set, and of the address on which the connection
        was accepted, which is known where the daemon listens on all; each by plain HTTP, with the port of its socket.
        """
        address, port = scope.get("server") or (self._host, None)
        if port is None:
            return set()
        hosts = {"localhost", "127.0.0.1", "::1", self._host, _unmapped(address)}
        return {("http", host, port) for host in hosts}


def hash_of(token: str) -> bytes:
    """Return what is kept of a token. It has 256 random bits: a plain hash cannot be guessed back."""
    return sha256(token.encode()).digest()


_Origin = tuple[str, str, int]


def _origin(url: str) -> _Origin | None:
    """Return scheme, host and port of an address (RFC 6454, section 4), None for `null` and all that is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}[parts.scheme]


def _shown(origin: _Origin) -> str:
    scheme, host, port = origin
    usual = {"http": 80, "https": 443}[scheme] == port
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if usual else f':{port}'}"


def _unmapped(address: str) -> str:
    """Return an address as browsers write it: of IPv4 also where a socket for both takes it (RFC 4291, 2.5.5.2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str((parsed.version == 6 and parsed.ipv4_mapped) or parsed)


def _network(address: str) -> str:
    """Return what one client can choose its addresses from: of IPv6 the /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((int(parsed), 64), strict=False))
