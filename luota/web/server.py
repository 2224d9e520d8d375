"""Serves the one ASGI app on a TCP and a Unix socket, with uvicorn's protocol under a lifecycle of our own.

`uvicorn.Server` is not used: it installs signal handlers, re-raises what it caught, and its shutdown waits
for open event streams.
"""

import asyncio
import contextlib
import email.utils
import errno
import resource
import socket
from collections.abc import Callable
from os import umask
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config

from luota.clock import Clock, SystemClock
from luota.core.errors import Code, LuotaError, invalid
from luota.unix import unix_address
from luota.web.connections import Connections
from luota.web.protocol import GuardedProtocol
from luota.web.security import security_headers

RECEIVE_WITHIN_S = 10.0  # from the first byte of a request to its last
KEEP_ALIVE_S = 75  # how long a connection may idle after an answer
LOCAL = "luota.local"  # the scope key that is True for a request that came over the Unix socket

_BACKLOG = 2048
_MOST_OPEN = 10_000
_VANISHED_MS = 30_000  # how long what was sent may stay unacknowledged
_RESERVED = 192  # file descriptors for the database, what is sent, and the Unix socket
_END_S = 0.5  # how long a request that was cut, and then one that was cancelled, has to end


class WebServer:
    """One app on the TCP address `host`:`port` and on the Unix socket `socket_path`.

    Requests over the Unix socket carry `scope[LOCAL] is True`, those over TCP never do. A request must be
    received whole within `receive_within` seconds of its first byte; `keep_alive` (whole seconds) is how
    long a connection may idle after an answer. Port 0 lets the kernel choose. Every answer carries `security_headers`,
    but those that the app sets itself; `secure` tells that people come by https.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        socket_path: Path,
        receive_within: float = RECEIVE_WITHIN_S,
        keep_alive: int = KEEP_ALIVE_S,
        secure: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.port = port
        self._app = app
        self._host = host
        self._socket_path = socket_path
        self._receive_within = receive_within
        self._keep_alive = keep_alive
        self._security = security_headers(secure=secure)
        self._clock = clock or SystemClock()
        self._connections, self._backlog = _room()
        self._listeners: list[asyncio.AbstractServer] = []
        self._date_timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen on both sockets; on return both accept, and `port` is the real one.

        LuotaError when an address cannot be had; then neither socket is left open.
        """
        with contextlib.ExitStack() as undo:
            tcp = undo.enter_context(await _bind_tcp(self._host, self.port, self._backlog))
            unix = undo.enter_context(_bind_unix(self._socket_path))
            undo.pop_all()
        self.port = tcp.getsockname()[1]
        self._refresh_date()
        loop = asyncio.get_running_loop()
        self._listeners = [
            await loop.create_server(self._protocol_for(self._app, tcp=True), sock=tcp, backlog=self._backlog),
            await loop.create_unix_server(
                self._protocol_for(_local(self._app), tcp=False), sock=unix, backlog=_BACKLOG
            ),
        ]

    async def stop(self, within: float) -> None:
        """Stop accepting at once, finish the requests in flight, close idle connections.

        What is not finished after `within` seconds, a hung client or an open event stream, is cut: its app
        sees http.disconnect, and is cancelled if that does not end it. The call returns a second after
        `within` at the latest, and at once when nothing is open. Without a start it does nothing.
        """
        if not self._listeners:
            return
        self._connections.stopping = True
        if self._date_timer is not None:
            self._date_timer.cancel()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        self._socket_path.unlink(missing_ok=True)
        open_now = self._connections
        open_now.none_left.clear()
        for connection in list(open_now.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                if open_now.connections:
                    await open_now.none_left.wait()
                if open_now.tasks:  # of clients that went away
                    await asyncio.wait(open_now.tasks)
        for connection in list(open_now.connections):
            connection.transport.abort()  # the app sees http.disconnect
        if open_now.tasks:
            await asyncio.wait(open_now.tasks, timeout=_END_S)
        for task in list(open_now.tasks):
            task.cancel()
        if open_now.tasks:
            await asyncio.wait(open_now.tasks, timeout=_END_S)

    def _protocol_for(self, app: ASGIApp, *, tcp: bool) -> Callable[[], GuardedProtocol]:
        config = Config(
            app,
            interface="asgi3",
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            workers=1,  # else uvicorn asks the environment
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=self._keep_alive,
        )
        config.load()
        return lambda: GuardedProtocol(config, self._connections, self._receive_within, tcp=tcp)

    def _refresh_date(self) -> None:
        date = email.utils.formatdate(self._clock.now() / 1000, usegmt=True)
        self._connections.set_headers([(b"date", date.encode("ascii")), *self._security])
        self._date_timer = asyncio.get_running_loop().call_later(1.0, self._refresh_date)


def _room() -> tuple[Connections, int]:
    """Return room for connections over TCP, and a backlog, that leave file descriptors free."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return Connections(_MOST_OPEN), _BACKLOG
    free = max(limit - _RESERVED, limit // 2)
    # The loop takes in the whole backlog before it closes what is too much.
    return Connections(min(_MOST_OPEN, free * 3 // 4)), min(_BACKLOG, free // 4)


def _local(app: ASGIApp) -> ASGIApp:
    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        scope[LOCAL] = True
        await app(scope, receive, send)

    return marked


async def _bind_tcp(host: str, port: int, backlog: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise invalid("server.port", f"Port {port} does not exist: choose one from 1 to 65535.")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise invalid(
            "server.host", f"{host!r} is no address of this host: use an IP address such as 127.0.0.1."
        ) from None
    family, kind, proto, _, address = found[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Each connection inherits it. A peer that vanished without a word would keep its live stream for 15 minutes.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _VANISHED_MS)
        sock.bind(address)
        sock.listen(backlog)  # a port may still turn out to be taken here
    except OSError as error:
        sock.close()
        raise _explained(error, host, port) from None
    return sock


def _explained(error: OSError, host: str, port: int) -> LuotaError:
    match error.errno:
        case errno.EADDRINUSE:
            message = f"Port {port} on {host} is taken: stop the program that uses it, or choose another port."
            return LuotaError(Code.CONFLICT, message, field="server.port")
        case errno.EACCES:
            return invalid(
                "server.port",
                f"Port {port} needs a privilege: choose one from 1024 up, or grant CAP_NET_BIND_SERVICE.",
            )
        case errno.EADDRNOTAVAIL:
            return invalid(
                "server.host",
                f"{host} is no address of this host: choose one of its own, or 0.0.0.0 for all.",
            )
        case _:
            return invalid("server.host", f"Cannot listen on {host} port {port}: {error.strerror}.")


def _bind_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Under this mask the file is born with mode 0600: at no instant can another user connect.
    before = umask(0o177)
    try:
        _remove_stale(path)
        with unix_address(path) as address:
            sock.bind(address)
    except OSError as error:
        sock.close()
        raise invalid("data_dir", f"Cannot make the Unix socket {path}: {error.strerror}.") from None
    except LuotaError:
        sock.close()
        raise
    finally:
        umask(before)
    return sock


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return  # bind refuses to replace anything else
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            with unix_address(path) as address:
                probe.connect(address)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # its backlog is full: it is alive
    message = f"Another process listens on {path}: stop it, or choose another data directory."
    raise LuotaError(Code.CONFLICT, message, field="data_dir")
