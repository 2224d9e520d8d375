"""Outgoing HTTP whose every connection is judged at the moment it is dialled.

The name is resolved here and the resolved address itself is dialled, so a name that answers differently the
second time (rebinding) gains nothing. Every failure below HTTP becomes one `Unreachable` with a short text.
"""

import asyncio
import contextlib
import http.cookiejar
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Sequence
from functools import cached_property

import h11
import httpcore
import httpx

from luota.alerts.guard import AddressPolicy, literal

# Both log whole URLs, which hold the secrets of channels, at INFO and DEBUG.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

CONNECT_SECONDS = 8.0
MAX_CONNECTIONS = 200
# Below the five seconds after which common servers close an idle connection: a request must not meet that.
KEEP_ALIVE_SECONDS = 4.0
KEEP_ALIVE_CONNECTIONS = 10

Lookup = Callable[[str, int], Sequence[str]]
"""Blocking: the addresses of a host for a TCP port, in order of preference; OSError when there are none."""


class Unreachable(httpx.TransportError):
    """The exchange ended without a whole HTTP answer. Its text is short, for people, and holds no URL."""


class NotAllowed(Unreachable):
    """Nothing was dialled, for the policy of addresses refuses."""


def system_lookup(host: str, port: int) -> list[str]:
    """Ask the host's own resolver (files, DNS); blocks. A `Lookup`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Resolver:
    """Name lookups in a few threads of their own.

    Lookups of one name that overlap share a thread, so a name that hangs holds one thread and no more. A
    lookup waits at most `wait` seconds for a free thread and `timeout` seconds for its answer. The threads
    are daemons, unlike those of an executor, whose hanging lookup would hold up the end of the process.
    Used from one event loop.
    """

    def __init__(
        self, lookup: Lookup = system_lookup, *, threads: int = 8, wait: float = 2.0, timeout: float = 5.0
    ) -> None:
        self._lookup = lookup
        self._threads = threads
        self._wait = wait
        self._timeout = timeout
        self._free = asyncio.Semaphore(threads)
        self._running: dict[tuple[str, int], asyncio.Future[list[str] | Exception]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of `host`, which may be a literal; never an empty list.

        Raises `Unreachable` when there are none, no answer came in time, or no thread was free.
        """
        if not 0 < port < 65536:
            raise Unreachable(_BAD_PORT)
        address = literal(host)
        if address is not None:
            return [str(address)]
        key = (host, port)
        running = self._running.get(key)
        if running is None:
            await self._take_thread()
            running = self._running.get(key)
            if running is not None:  # another waiter for the same name was first
                self._free.release()
            else:
                running = self._start(key)
        await asyncio.wait({running}, timeout=self._timeout)
        if not running.done():
            raise Unreachable(f"the host name was not resolved within {self._timeout:g} s")
        found = running.result()
        if isinstance(found, Exception):
            raise Unreachable(_lookup_words(found)) from found
        if not found:
            raise Unreachable("the host name has no address")
        return found

    async def _take_thread(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError:
            raise Unreachable(
                f"name lookups are stuck: {self._threads} of them wait for an answer; check this host's DNS"
            ) from None

    def _start(self, key: tuple[str, int]) -> "asyncio.Future[list[str] | Exception]":
        loop = asyncio.get_running_loop()
        running: asyncio.Future[list[str] | Exception] = loop.create_future()
        self._running[key] = running

        def finish(outcome: list[str] | Exception) -> None:
            del self._running[key]
            self._free.release()
            running.set_result(outcome)

        def work() -> None:
            outcome: list[str] | Exception
            try:
                outcome = list(self._lookup(*key))
            except (OSError, ValueError) as error:
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(finish, outcome)

        try:
            threading.Thread(target=work, name="luota-lookup", daemon=True).start()
        except RuntimeError:  # no more threads for this process
            finish(Unreachable("this machine gives Luota no more threads to look names up in"))
        return running


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, then dials the judged address itself. TLS still verifies the name."""

    def __init__(self, policy: AddressPolicy, resolver: Resolver, own: Container[tuple[str, int]]) -> None:
        self._policy = policy
        self._resolver = resolver
        self._own = own
        self._dialler = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host, port) in self._own:  # as it is written: a name that leads there is judged like any other
            return await self._dialler.connect_tcp(host, port, timeout, local_address, socket_options)
        allowed, refusal = _judge(await self._resolver.addresses(host, port), self._policy)
        if refusal is not None:
            raise NotAllowed(refusal)
        # One silent address must leave time for the next one.
        share = None if timeout is None else timeout / len(allowed)
        *others, last = allowed
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
    """httpx above a pool of httpcore that dials through `_GuardedBackend`."""

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: Resolver,
        own: Container[tuple[str, int]],
        ssl_context: ssl.SSLContext | None,
        proxy: str | None,
    ) -> None:
        self._backend = _GuardedBackend(policy, resolver, own)
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
            network_backend=self._backend,
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
        )

    async def _judged(self, url: httpx.URL) -> httpcore.AsyncConnectionPool:
        """Return the pool for a URL; raise NotAllowed where it must not be handed to the proxy.

        The proxy looks the name up once more, and dials any of its addresses: so none of those known here may be
        one that is refused. A name that is known to the proxy alone is handed over.
        """
        host, port = url.raw_host.decode("ascii"), url.port or {"https": 443}.get(url.scheme, 80)
        if self._proxy is None or (host, port) in self._own:
            return self._pool
        try:
            addresses = await self._resolver.addresses(host, port)
        except Unreachable:
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
        return _BAD_PORT
    try:
        addresses = await resolver.addresses(parsed.raw_host.decode("ascii"), port)
    except Unreachable:
        return None
    return _judge(addresses, policy)[1]


_BAD_PORT = "the URL's port is not between 1 and 65535"

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
    """Turn every failure of httpcore and of the socket below it into `Unreachable`."""
    try:
        yield
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
            return f"TLS certificate not trusted: {link.verify_message.rstrip('.')}"
    for kind, text in _WORDS:
        if any(isinstance(link, kind) for link in chain):
            return text
    return "the connection failed"


def _lookup_words(error: Exception) -> str:
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return "the host name was not resolved: no answer from DNS"
    if isinstance(error, socket.gaierror):
        return "the host name does not exist"
    return "the host name cannot be resolved"
