"""Outgoing HTTP whose every connection is judged at the moment it is dialled.

The name is resolved first (`resolver`) and the resolved address itself is dialled, so a name that answers differently
the second time (rebinding) gains nothing. Every failure below HTTP becomes one `Unreachable` with a short text.
"""

import contextlib
import http.cookiejar
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator, Sequence
from functools import cached_property

import h11
import httpcore
import httpx

from luota.alerts.guard import AddressPolicy, literal
from luota.alerts.resolver import BAD_PORT, Resolver, UnresolvedError

# Both log whole URLs, which hold the secrets of channels, at INFO and DEBUG.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

CONNECT_SECONDS = 8.0
MAX_CONNECTIONS = 200
# Below the five seconds after which common servers close an idle connection: a request must not meet that.
KEEP_ALIVE_SECONDS = 4.0
KEEP_ALIVE_CONNECTIONS = 10

_NAME = re.compile(
    r"(?:[a-z0-9_-]+\.)*(?!(?:[0-9]+|0x[0-9a-f]*|localhost)\.?\Z)[a-z0-9_-]+\.?", re.ASCII | re.IGNORECASE
)
"""A name that nobody takes for an address: some decode what is escaped, and take for one what ends in a number (the URL
standard of browsers) or in `localhost` (RFC 6761)."""


class Unreachable(httpx.TransportError):
    """An exchange without a whole HTTP answer. Its text is short, for people, and holds no URL."""


class NotAllowed(Unreachable):
    """Nothing was dialled, for the policy of addresses refuses."""


class _Backend(httpcore.AsyncNetworkBackend):
    """Dials what `addresses` names for a host and a port, in order. TLS still verifies the name."""

    def __init__(self, addresses: Callable[[str, int], Awaitable[Sequence[str]]]) -> None:
        self._addresses = addresses
        self._dialler = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = found = await self._addresses(host, port)
        # One silent address must leave time for the next one.
        share = None if timeout is None else timeout / len(found)
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._dialler.connect_tcp(address, port, share, local_address, socket_options)
        return await self._dialler.connect_tcp(last, port, share, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._dialler.sleep(seconds)


def _judge(addresses: Sequence[str], policy: AddressPolicy) -> tuple[list[str], str | None]:
    """Return the addresses that may be dialled, in canonical spelling, or the first refusal when none may."""
    allowed: dict[str, None] = {}
    refusals = []
    for text in addresses:
        refusal = policy.refusal(text)
        if refusal is None:
            allowed[str(literal(text))] = None
        else:
            refusals.append(refusal)
    return list(allowed), None if allowed else refusals[0]


class _GuardedTransport(httpx.AsyncBaseTransport):
    """httpx above a pool of httpcore that dials what was judged, and above another one that dials the proxy."""

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: Resolver,
        own: Container[tuple[str, int]],
        ssl_context: ssl.SSLContext | None,
        proxy: str | None,
    ) -> None:
        self._ssl_context = ssl_context
        self._policy = policy
        self._resolver = resolver
        self._own = own
        self._proxy = proxy

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        return self._ssl_context or trusted()

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._trusted,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=_Backend(self._of_destination),
        )

    @cached_property
    def _proxied(self) -> httpcore.AsyncConnectionPool:
        assert self._proxy is not None
        return httpcore.AsyncHTTPProxy(
            self._proxy,
            ssl_context=self._trusted,
            proxy_ssl_context=self._trusted if self._proxy.startswith("https:") else None,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=_Backend(self._of_proxy),
        )

    @cached_property
    def _proxy_resolver(self) -> Resolver:
        return self._resolver.beside()

    async def _of_destination(self, host: str, port: int) -> list[str]:
        if (host, port) in self._own:  # as it is written: a name that leads there is judged like any other
            return [host]
        allowed, refusal = _judge(await self._resolver.addresses(host, port), self._policy)
        if refusal is not None:
            raise NotAllowed(refusal)
        return allowed

    async def _of_proxy(self, host: str, port: int) -> list[str]:
        try:
            return await self._proxy_resolver.addresses(host, port)
        except UnresolvedError as error:
            raise UnresolvedError(f"the proxy: {error}") from error

    async def _judged(self, url: httpx.URL) -> httpcore.AsyncConnectionPool:
        """Return the pool for a URL; raise NotAllowed where it must not be handed to the proxy.

        The proxy looks the name up once more, and dials any of its addresses: so none of those known here may be
        one that is refused. A name that is known to the proxy alone is handed over, if nobody could read an address
        in it; raise Unreachable for all others.
        """
        host, port = url.raw_host.decode("ascii"), url.port or {"https": 443}.get(url.scheme, 80)
        if self._proxy is None or (host, port) in self._own:
            return self._pool
        try:
            addresses = await self._resolver.addresses(host, port)
        except UnresolvedError as error:
            if not _NAME.fullmatch(host):
                raise Unreachable(str(error)) from error
            addresses = []
        for address in addresses:
            refusal = self._policy.refusal(address)
            if refusal is not None:
                raise NotAllowed(refusal)
        return self._proxied

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        pool = await self._judged(url)
        with _plain_errors():
            answer = await pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        for made in ("_pool", "_proxied"):
            if made in self.__dict__:
                await getattr(self, made).aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _plain_errors():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


def trusted() -> ssl.SSLContext:
    """Return what trusts the certificates of the host's store and of httpx's own bundle; to load them takes a while."""
    ssl_context = httpx.create_ssl_context(trust_env=False)
    ssl_context.load_default_certs()
    return ssl_context


def open_client(
    policy: AddressPolicy,
    resolver: Resolver,
    *,
    own: Container[tuple[str, int]] = frozenset(),
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """Return the client for all outgoing messages; the caller closes it, after the last attempt.

    Every address is judged by `policy` before it is dialled, but for those that are in `own` at that moment, as
    (IP address, port): what this process itself listens on for a drill (docs/drills.md, "Dead route"). The
    environment (proxies, netrc) is ignored, redirects are not followed, cookies are neither kept nor sent, and
    answers are asked for uncompressed. By a `proxy` (its URL) go all messages but those to `own`; its own address is
    not judged, and what it dials cannot be: a destination is judged by what its name stands for here.
    Certificates are checked by `trusted()`, made at the first message, unless `ssl_context` is given.
    There is no deadline over a whole exchange: that is the caller's. Failures raise `Unreachable`.
    """
    no_cookies = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        transport=_GuardedTransport(policy, resolver, own, ssl_context, proxy),
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies,
        headers={"accept": "*/*", "accept-encoding": "identity"},
        timeout=httpx.Timeout(30.0, connect=CONNECT_SECONDS, pool=5.0),
    )


async def refusal_of_url(url: str, policy: AddressPolicy, resolver: Resolver) -> str | None:
    """Return why no message can go to `url`, or None; to be asked when a channel is added or edited.

    Refused are: what is not an http or https URL with a host, and a host all of whose addresses `policy`
    refuses. A name that does not resolve now is not refused: it may later, and each attempt judges anew.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "the URL is not valid"
    if parsed.scheme not in ("http", "https") or not parsed.raw_host:
        return "the URL must start with http:// or https:// and name a host"
    port = parsed.port if parsed.port is not None else 443
    if not 0 < port < 65536:
        return BAD_PORT
    try:
        addresses = await resolver.addresses(parsed.raw_host.decode("ascii"), port)
    except UnresolvedError:
        return None
    return _judge(addresses, policy)[1]


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    # The first kind that occurs anywhere in the chain of causes gives the text.
    (httpcore.ConnectTimeout, "no connection in time"),
    (httpcore.PoolTimeout, "too many deliveries at once: no free connection"),
    (httpcore.TimeoutException, "no answer in time"),
    (ssl.SSLError, "TLS handshake failed"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "the receiver closed the connection"),
    (httpcore.ConnectError, "no route to the receiver"),
    (httpcore.NetworkError, "the receiver closed the connection"),
    (h11.RemoteProtocolError, "the answer is not HTTP"),
    (httpcore.RemoteProtocolError, "the receiver closed the connection"),
    (httpcore.LocalProtocolError, "the request cannot be sent: check the URL and the headers of the channel"),
)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn every failure of a lookup, of httpcore and of the socket below it into `Unreachable`."""
    try:
        yield
    except UnresolvedError as error:
        raise Unreachable(str(error)) from error
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
        httpcore.ProxyError,
        OSError,
    ) as error:
        raise Unreachable(_words(error)) from error


def _words(error: Exception) -> str:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__  # httpcore's pool re-raises "from None"
    if isinstance(error, httpcore.ProxyError):  # its text is the status, and words of the proxy
        return f"the proxy refused it: HTTP {str(error)[:3]}" if str(error)[:3].isdigit() else "the proxy refused it"
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            reason, _, _ = link.verify_message.partition(", certificate is not valid for ")  # and then the URL's host
            return f"TLS certificate not trusted: {reason.rstrip('.')}"
    for kind, text in _WORDS:
        if any(isinstance(link, kind) for link in chain):
            return text
    return "the connection failed"
