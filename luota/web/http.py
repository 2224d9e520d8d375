"""Reading requests and writing answers: plain ASGI, one error → status map, a request id on everything."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Protocol

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from luota.core.errors import Code, LuotaError
from luota.web.refusal import UNKEPT
from luota.web.request_id import new_request_id
from luota.web.server import LOCAL
from luota.web.whole import Reply

log = logging.getLogger("luota.access")

MAX_BODY = 64 * 1024

STATUS = {
    Code.INVALID: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.CONFLICT: HTTPStatus.CONFLICT,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
}

Header = tuple[bytes, bytes]
Network = IPv4Network | IPv6Network

_JSON: Header = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


class Disconnected(Exception):  # noqa: N818 (nobody is left to see it as an error)
    """The client went away before its request was received whole."""


def too_large() -> LuotaError:
    """Return the refusal of a body of more than MAX_BODY."""
    return LuotaError(Code.TOO_LARGE, "Request failed")


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the body, decided while it streams: TOO_LARGE as soon as it is known to exceed 64 KiB."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > MAX_BODY:
            raise too_large()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise too_large()
        if not message.get("more_body", False):
            return bytes(body)


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first value of a request header, `name` in lower case, without white space around it."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).strip(b" \t")  # RFC 9110, 5.5
    return None


async def answer(send: Send, status: int, body: Any, headers: Iterable[Header] = ()) -> None:
    """Send `body` as JSON."""
    content = _encode(body)
    length = (b"content-length", str(len(content)).encode())
    start: Message = {"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": content})


def error_body(error: LuotaError) -> dict[str, Any]:
    """Return what a refusal looks like to a client (docs/api.md, "Errors")."""
    match error.code:
        case Code.TOO_LARGE:
            return {"code": "request_failed", "error": "Request failed"}
        case Code.INVALID:
            body = {"error": "Invalid request", "message": error.message}
            return body if error.field is None else {**body, "field": error.field}
        case Code.RATE_LIMITED:
            return {
                "error": "Rate limit exceeded",
                "policy": error.policy,
                "retryAfterSeconds": error.retry_after,
                "limit": error.limit,
            }
        case Code.UNAVAILABLE:
            return {"error": "Storage unavailable"}
        case _:
            return {"error": error.message} if error.field is None else {"error": error.message, "field": error.field}


def rendered(error: LuotaError) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, body and headers of a refusal: what a LuotaError means over HTTP."""
    headers = UNKEPT if error.retry_after is None else {**UNKEPT, "retry-after": str(error.retry_after)}
    return STATUS[error.code], error_body(error), headers


async def refuse(send: Send, error: LuotaError) -> None:
    """Answer with a refusal."""
    status, body, headers = rendered(error)
    await answer(send, status, body, _fields(headers))


def client_address(scope: Scope, trusted: tuple[Network, ...]) -> str:
    """Return the address that a request came from; a forwarded one is believed only from a trusted proxy."""
    client = scope.get("client")
    # A socket on `::` names IPv4 clients by their mapped form.
    address = "" if client is None else str(client[0]).removeprefix("::ffff:")
    if not trusted or not _within(address, trusted):
        return address
    # A proxy may add a header of its own to the one that the client sent: all of them are one list.
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        hop = hop.strip()  # noqa: PLW2901
        if not hop:
            continue
        address = hop
        if not _within(hop, trusted):
            break
    return address


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


class Taker(Protocol):
    """What answers some requests without a task; `takes` is that of `luota.web.whole.Direct`."""

    def takes(self, method: bytes, url: bytes) -> bool:
        """Tell whether it answers such a request."""
        ...

    def take(self, scope: Scope, body: bytes, done: Callable[[Any], None]) -> None:
        """Do what a request asks; call `done` once with the reply, or with the error. It raises nothing."""
        ...


class WithRequestId:
    """An ASGI app that gives every response an X-Request-Id, and its log line the same id.

    Around the raw `app`, since a 500 bypasses middleware that is added the usual way. A defect of ours
    becomes a 500 with the id, and a traceback in the log alone. `elapsed` reads monotonic milliseconds.
    Of requests that have come whole, `direct` answers those that it takes; see `luota.web.whole.Direct`.
    """

    def __init__(self, app: ASGIApp, direct: Taker, *, access_log: bool, elapsed: Callable[[], int]) -> None:
        self._app = app
        self._direct = direct
        self.takes = direct.takes
        self._access_log = access_log
        self._elapsed = elapsed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        request_id = new_request_id()
        id_header = (b"x-request-id", request_id.encode())
        scope["luota.request_id"] = request_id
        status = 0
        began = self._elapsed()

        def marked(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            return send(message)

        try:
            await self._app(scope, receive, marked)
        except Disconnected:
            status = status or 499  # as nginx logs it; nobody sees it
        except LuotaError as error:
            await refuse(marked, error)
        except Exception:
            log.exception("%s failed", request_id)
            if status:
                raise
            await answer(marked, 500, {"error": "Internal error", "requestId": request_id}, _fields(UNKEPT))
        # Whoever asks for health every few seconds would drown what jobs sent.
        if self._access_log and not (status == HTTPStatus.OK and scope["path"] == "/healthz"):
            self._log(scope, status, began, request_id)

    def answer(self, scope: Scope, body: bytes, reply: Reply) -> None:
        """Answer a request that `direct` takes."""
        began = self._elapsed() if self._access_log else 0

        def done(result: Any) -> None:
            request_id = new_request_id()
            status, headers = 202, dict[str, str]()
            try:
                if isinstance(result, LuotaError):
                    status, result, headers = rendered(result)
                elif isinstance(result, Exception):
                    raise result
                content = _encode(result)
            except Exception:
                log.exception("%s failed", request_id)
                status, headers = 500, UNKEPT
                content = _encode({"error": "Internal error", "requestId": request_id})
            reply(status, [(b"x-request-id", request_id.encode()), *_fields(headers)], content)
            if self._access_log:
                self._log(scope, status, began, request_id)

        self._direct.take(scope, body, done)

    def _log(self, scope: Scope, status: int, began: int, request_id: str) -> None:
        log.info(
            "%s %s %s %d %d ms %s",
            "socket" if scope.get(LOCAL) else client_address(scope, ()),
            scope["method"],
            scope["raw_path"].decode("latin-1"),  # not decoded: a path may hold an encoded line break
            status,
            self._elapsed() - began,
            request_id,
        )


def _fields(headers: dict[str, str]) -> list[Header]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
