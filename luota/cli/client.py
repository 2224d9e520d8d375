"""How a command reaches Luota: over the Unix socket of the daemon, or in this process where none runs."""

import contextlib
import errno
import http.client
import json
import os
import shlex
import socket
import struct
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from luota.clock import SystemClock
from luota.config import Config
from luota.core.errors import Code, LuotaError
from luota.unix import unix_address

ANSWER_WITHIN_S = 60.0
"""How long the daemon may take; the test of a channel waits for a receiver."""
RETRY_FOR_MS = 15_000
"""How long a command waits while another one, or a daemon that just starts, holds the data directory. Each gets
that long: many commands at once take their turns, however slow the machine is.
"""
_RETRY_EVERY_S = 0.1
MAX_BODY = 64 * 1024
"""What the API takes (docs/api.md)."""

_SOCKET = "luota.sock"
_FILES = ("luota.db", "luota.lock", "luota.reserve")  # the lock comes first in the life of a directory
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h, as the next
_CAP_DAC_READ_SEARCH = 2

_CODES = {
    400: Code.INVALID,
    401: Code.UNAUTHENTICATED,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
}

Reply = tuple[int, bytes]


def call(
    config: Config,
    method: str,
    path: str,
    body: Mapping[str, Any] | bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    create: bool = False,
    only_running: bool = False,
) -> dict[str, Any]:
    """Send one request and return the JSON of its answer. A body in bytes is JSON already.

    Every answer but a 2xx is raised as the LuotaError that it stands for. Where no daemon listens the same
    app is run in this process; `create` lets that make a new data directory, else NOT_FOUND says that there
    is none. CONFLICT when one and the same process owns the directory for longer than RETRY_FOR_MS; FORBIDDEN when this
    user may not; UNAVAILABLE when the daemon goes away or stays silent, and then the request may have been
    carried out all the same. With `only_running` nothing is run in this process: UNAVAILABLE where no daemon listens.
    """
    content = body if isinstance(body, bytes) or body is None else _encoded(body)
    sent = {"content-type": "application/json", **(headers or {})}
    clock = SystemClock()
    owner, give_up_at = "", 0
    while True:
        connected = _connect(config.data_dir)
        if connected is not None:
            return _answer(*_over_socket(connected, method, path, content, sent))
        if only_running:
            raise LuotaError(Code.UNAVAILABLE, "The daemon does not run. Start it: luota serve")
        prepare(config.data_dir, create=create)
        try:
            return _answer(*_run(_in_process(config, method, path, content, sent)))
        except _InUseError as refusal:
            if refusal.error.message != owner:
                owner, give_up_at = refusal.error.message, clock.monotonic() + RETRY_FOR_MS
            elif clock.monotonic() >= give_up_at:
                raise refusal.error from None
        time.sleep(_RETRY_EVERY_S)


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON; INVALID with the key for what was given in bytes that are no UTF-8."""
    for key, value in body.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise LuotaError(Code.INVALID, f"{key} is not valid UTF-8 text. Give it in UTF-8.", field=key) from None
    content = json.dumps(body, ensure_ascii=False).encode()
    if len(content) > MAX_BODY:
        key, size = max(((key, len(json.dumps(value))) for key, value in body.items()), key=lambda pair: pair[1])
        raise LuotaError(Code.TOO_LARGE, f"{key} is too long: it has about {size} characters.", field=key)
    return content


class _InUseError(Exception):
    """The data directory could not be opened since another process owns it, so it seems."""

    def __init__(self, error: LuotaError) -> None:
        super().__init__(error.message)
        self.error = error


def _connect(data_dir: Path) -> socket.socket | None:
    """Return a connection to the daemon, or None when none listens there, whatever stands in the way."""
    path = data_dir / _SOCKET
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with unix_address(path) as address:
            sock.connect(address)
    except PermissionError:
        sock.close()
        raise _not_allowed(data_dir) from None
    except OSError:
        sock.close()
        return None
    sock.settimeout(ANSWER_WITHIN_S)
    return sock


def _over_socket(
    sock: socket.socket, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
) -> Reply:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = sock
    try:
        connection.request(method, path, content, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    except TimeoutError:
        problem = f"The daemon has not answered within {ANSWER_WITHIN_S:.0f} s."
    except (OSError, http.client.HTTPException):
        problem = "The daemon went away before it answered."
    finally:
        connection.close()
    raise LuotaError(
        Code.UNAVAILABLE, f"{problem} It may have done what was asked: check before you repeat the command."
    )


def listens(data_dir: Path) -> bool:
    """Tell whether a daemon listens on the socket of a data directory; FORBIDDEN when this user may not know."""
    connected = _connect(data_dir)
    if connected is not None:
        connected.close()
    return connected is not None


def prepare(data_dir: Path, *, create: bool) -> None:
    """See to it that this process can work in the data directory, as its owner would.

    NOT_FOUND where there is none, unless `create`; FORBIDDEN when this user may not use it; INVALID when nobody
    can, since its file system is read-only or it is no directory.
    """
    try:
        if create:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not any((data_dir / name).exists() for name in _FILES):
            hint = f"luota init --data-dir {shlex.quote(str(data_dir))}"
            message = (
                f"No data in {data_dir.absolute()}. Where Luota runs already, name its directory by --data-dir or "
                f"LUOTA_DATA_DIR. Else begin: {hint}"
            )
            raise LuotaError(Code.NOT_FOUND, message, field="data_dir")
        _act_as_owner(data_dir)
        usable = os.access(data_dir, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)
        if not usable and os.statvfs(data_dir).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    except PermissionError:
        usable = False
    except OSError as error:
        hint = " Mount it for writing, or use another --data-dir." if error.errno == errno.EROFS else ""
        message = f"The data directory {data_dir} cannot be used: {error.strerror}.{hint}"
        raise LuotaError(Code.INVALID, message, field="data_dir") from None
    if not usable:
        raise _not_allowed(data_dir)


def _act_as_owner(data_dir: Path) -> None:
    """As root, become the owner of the data directory until the process ends; PermissionError if that fails.

    A daemon under a user of its own could not write the files that root leaves beside the database.
    """
    owner = data_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    import ctypes  # noqa: PLC0415 - slow to load, and rarely needed

    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    # The owner may not be able to reach its directory by path: systemd keeps those of a DynamicUser below
    # /var/lib/private, which is root's alone. One capability of root stays for that, if it was there.
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    read_search = 1 << _CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).capset(header, struct.pack("=6I", read_search, read_search, 0, 0, 0, 0))


def _run(work: Coroutine[Any, Any, Reply]) -> Reply:
    import asyncio  # noqa: PLC0415 - a tenth of the time of a command that does without

    return asyncio.run(work)


async def _in_process(
    config: Config, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
) -> Reply:
    import httpx  # noqa: PLC0415 - these three are slow to load, and not needed while a daemon runs

    from luota.daemon import in_process  # noqa: PLC0415
    from luota.web.server import LOCAL  # noqa: PLC0415

    async with contextlib.AsyncExitStack() as reverse:
        try:
            app = await reverse.enter_async_context(in_process(config))
        except LuotaError as error:
            if error.field == "data_dir" and error.code is Code.CONFLICT:
                raise _InUseError(error) from None
            raise

        async def local(scope: Any, receive: Any, send: Any) -> None:
            scope[LOCAL] = True
            await app(scope, receive, send)

        transport = httpx.ASGITransport(local, raise_app_exceptions=False)
        http_client = httpx.AsyncClient(transport=transport, base_url="http://localhost", trust_env=False)
        await reverse.enter_async_context(http_client)
        response = await http_client.request(method, path, content=content, headers=headers)
        return response.status_code, response.content


def _answer(status: int, content: bytes) -> dict[str, Any]:
    """Return the JSON of a 2xx answer; raise what any other one stands for."""
    try:
        doc = json.loads(content)
    except ValueError:
        doc = None
    if 200 <= status < 300 and isinstance(doc, dict):
        return doc
    body = doc if isinstance(doc, dict) else {}
    if status == 413:
        raise LuotaError(Code.TOO_LARGE, "What was given is too long: a request holds at most 64 KiB.")
    message = body.get("message") or body.get("error") or f"Luota gave an answer of status {status}."
    if status >= 500 and body.get("requestId"):
        message = f"{message}. Its log says more about {body['requestId']}."
    code = _CODES.get(status, Code.UNAVAILABLE)
    raise LuotaError(code, message, field=body.get("field"), retry_after=body.get("retryAfterSeconds"))


def _not_allowed(data_dir: Path) -> LuotaError:
    message = f"This user may not use the data directory {data_dir}. Run the command as its owner or as root."
    return LuotaError(Code.FORBIDDEN, message, field="data_dir")
