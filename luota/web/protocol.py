"""uvicorn's HTTP/1.1 protocol, guarded against clients that are slow, endless or malformed."""

# ruff: noqa: D102 - the contracts of the overridden callbacks are asyncio's and uvicorn's

import asyncio
import logging
from enum import Enum
from functools import partial
from http import HTTPStatus

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from luota.web.connections import Connections
from luota.web.exchange import Exchange, Flow, Unread
from luota.web.framing import fault
from luota.web.refusal import refusal
from luota.web.request_id import new_request_id
from luota.web.whole import Direct, Whole

_log = logging.getLogger(__name__)

HEAD_LIMIT = 16 * 1024  # bytes of request line and headers together

_PIECE = 4096  # the parser is fed this much at a time, so that it buffers little beyond HEAD_LIMIT
_LINGER_S = 2.0  # how long a client has to read a refusal
_UNREAD_S = 30.0  # how long a client may leave an answer unread that no longer fits into the buffers


class _Phase(Enum):
    """What the client owes: nothing or a new request, the rest of a head, the rest of a body."""

    IDLE = 0
    HEAD = 1
    BODY = 2


class _Refused(Exception):  # noqa: N818 - it stops the parser and is never seen outside this module
    """Raised in a parser's callback after a refusal, so that no more is parsed."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with a deadline for receiving a request and a cap on its head.

    A request must be received whole within `receive_within` seconds of its first byte, and the first byte
    come as soon after connecting; time in which we do not read does not count. A head may have HEAD_LIMIT
    bytes. An overdue request that the app has seen ends for it as `http.disconnect`. A client that reads nothing
    of its answers for _UNREAD_S is cut off; one that has ended its side after a request still gets the answer.

    A refusal (400, 408, 431, 501, 505) is answered after the requests that were complete before it, in order, as
    JSON with an `X-Request-Id`; then the connection closes. Nothing that follows it is parsed. One for which
    `server_state` has no room gets a 503 at once; `tcp` tells whether it counts there.
    """

    server_state: Connections

    def __init__(self, config: Config, server_state: Connections, receive_within: float, *, tcp: bool) -> None:
        super().__init__(config, server_state, {})
        self._tcp = tcp
        self._receive_within = receive_within
        self._phase = _Phase.IDLE
        self._began = False  # a request began in the data at hand
        self._fed = 0  # length of the piece at hand; 0 after a request ended in it
        self._span = 0  # bytes since the head began, or since the body last grew
        self._replay = b""  # a head to be parsed again
        self._unanswered: list[RequestResponseCycle | Whole] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._refusal: tuple[HTTPStatus, str] | None = None
        self._hung_up: asyncio.TimerHandle | None = None
        self._direct: Direct | None = self.app if isinstance(self.app, Direct) else None
        self._held: Whole | None = None  # a request that nobody has seen yet
        self._unread: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None  # in the loop's time, while nothing is owed by either side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        if self.server_state.stopping:
            transport.close()
        elif self._tcp and not self.server_state.admit(self):
            self._write_refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections", (b"retry-after", b"1"))
            transport.close()
        else:
            self._arm()

    @property
    def answering(self) -> bool:
        """Whether the app has a request of this connection that is not answered."""
        return bool(self._unanswered)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.server_state.tcp.pop(self, None)
        self._disarm()
        self._unset_keepalive_if_required()
        for timer in (self._hung_up, self._unread):
            if timer is not None:
                timer.cancel()
        self._disconnect_app()
        if not self.connections:
            self.server_state.none_left.set()

    def eof_received(self) -> bool:  # type: ignore[override]
        # `nc -N` ends its side once it has asked. Of an event stream the end means that nobody listens any more.
        waiting = self._unanswered
        if not waiting or waiting[0].response_started:
            return False
        if self._refusal is not None:  # it comes after the answers, and ends the connection
            return True
        if self._phase is not _Phase.IDLE:
            return False
        waiting[-1].keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(_UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if self._refusal is not None or self._hung_up is not None:
                break
            self._feed(data[start : start + _PIECE])
        if self._held is not None:
            self._hand_over(self._held)
        if self._refusal is None and self._hung_up is None:
            self._watch()

    def _feed(self, piece: bytes) -> None:
        self._fed = len(piece)
        if self._phase is not _Phase.IDLE:
            self._span += len(piece)
        while piece:
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                piece = self._decline_upgrade() + piece[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(HTTPStatus.BAD_REQUEST, "Malformed HTTP request")
                return
            else:
                break
        # In a body this catches endless trailers and chunk extensions.
        if self._phase is not _Phase.IDLE and self._span > HEAD_LIMIT:
            self._refuse_head()

    def _decline_upgrade(self) -> bytes:
        # No protocol is offered, so the request counts as it stands (RFC 9110, 7.8). The parser would skip
        # its body, which Java's HttpClient sends along with `Upgrade: h2c`: a new one gets the same head
        # without that header.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        head, self._replay = self._replay, b""
        return head

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._phase = _Phase.HEAD
        self._idle_since = None
        self._began = True
        self._span = self._fed

    def on_headers_complete(self) -> None:
        # The span is exact but for a request that began in the middle of a piece.
        if self._span > HEAD_LIMIT - _PIECE and self._head_size() > HEAD_LIMIT:
            self._refuse_head()
            raise _Refused
        version = self.parser.get_http_version()
        found = fault(version, self.headers)
        if found is not None:
            self._refuse(*found)
            raise _Refused
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(HTTPStatus.BAD_REQUEST, "Malformed HTTP request")
                raise _Refused
            kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
            lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version.encode("ascii")]
            self._replay = b"\r\n".join([*lines, *(b": ".join(pair) for pair in kept), b"\r\n"])
            return
        if version == "1.1" and self._may_be_whole():
            self._held = Whole(self, self.headers, expects=self.expect_100_continue)
        else:
            self._begin_exchange()
        self._phase = _Phase.BODY
        self._span = 0
        # Trailers of a chunked body land in this list. They must not pass for headers (RFC 9110, 6.5.1).
        self.headers, self.expect_100_continue = [], False

    def _may_be_whole(self) -> bool:
        """Tell whether the app answers the request at hand without a task, if all of it is there."""
        return (
            self._direct is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and self.parser.should_keep_alive()
            and self._direct.takes(self.parser.get_method(), self.url)
        )

    def _begin_exchange(self) -> None:
        """Let uvicorn begin the request whose head has come."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()
        self.cycle.__class__ = Exchange  # uvicorn has no setting for it
        self._unanswered.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        self._span = 0
        if self._held is None:
            super().on_body(body)
        else:
            self._held.body.append(body)

    def on_message_complete(self) -> None:
        if self._replay:
            return
        self._phase = _Phase.IDLE
        self._fed = 0
        if self._held is None:
            super().on_message_complete()
            if not self.parser.should_keep_alive():  # by a trailer: it takes no request after this one
                self.cycle.keep_alive = False
            return
        whole, self._held = self._held, None
        whole.keep_alive = self.parser.should_keep_alive()
        self.cycle = whole  # type: ignore[assignment]
        self._unanswered.append(whole)
        assert self._direct is not None
        self.server_state.begin_soon(partial(whole.begin, self._direct, self.parser.get_method(), self.url))

    def _hand_over(self, held: Whole) -> None:
        """Let uvicorn have the request that was held: the rest of its body is still to come."""
        self._held = None
        # What came after the head may have been trailers.
        trailers, self.headers, self.expect_100_continue = self.headers, held.headers, held.expects
        self._begin_exchange()
        self.headers = trailers
        for piece in held.body:
            super().on_body(piece)

    def _head_size(self) -> int:
        request_line = len(self.parser.get_method()) + len(self.url) + len("  HTTP/1.1\r\n")
        return request_line + sum(len(name) + len(value) + 4 for name, value in self.headers) + 2

    # The deadline

    def _watch(self) -> None:
        if self._phase is not _Phase.IDLE:
            if self._began or self._deadline is None:
                self._arm()
            if self._phase is _Phase.BODY:
                self.cycle.transport = Unread(self)  # type: ignore[assignment]
        elif self.cycle is not None:
            self._disarm()
            if not self._unanswered and self._idle_since is None:  # the answer was ready before the request
                self._idle()
        self._began = False

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self._receive_within, self._overdue)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _overdue(self) -> None:
        self._deadline = None
        if self._holding_up():
            self._arm()
        elif self._phase is _Phase.HEAD:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "Request timed out")
        else:
            self._hang_up()

    def _holding_up(self) -> bool:
        # Is it we who keep the client from sending, or its request from being read?
        return self.flow.read_paused or bool(self.pipeline)

    def on_response_complete(self) -> None:
        # Stands in for uvicorn's, which makes a timer for each answer and cancels it for the next request.
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            held_up = self._holding_up()
            self.flow.resume_reading()
            if self.pipeline:
                super()._start_asgi_task(*self.pipeline.pop())
            elif self._phase is _Phase.IDLE:
                self._idle()
            if held_up and self._deadline is not None:
                self._arm()
        unanswered = self._unanswered
        if len(unanswered) == 1 and unanswered[0].response_complete:
            unanswered.clear()
        else:
            self._unanswered = [cycle for cycle in unanswered if not cycle.response_complete]
        order = self.server_state.tcp
        if self in order:
            del order[self]
            order[self] = None
        if self._refusal is not None and not self._unanswered:
            self._answer_refusal()

    def _idle(self) -> None:
        # One timer at most, which looks at the time when it fires.
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    # Refusals

    def _refuse_head(self) -> None:
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Request header too large")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        if self._refusal is not None:
            return
        self._refusal = (status, message)
        self._disarm()
        if self._held is not None:  # nobody has seen it
            self._held = None
        elif self._phase is _Phase.BODY:
            if self.pipeline:  # not begun yet, and never will be
                self._unanswered.remove(self.pipeline.popleft()[0])
            elif self.cycle.response_started:
                self._hang_up()
                return
            else:
                self._disconnect_app()
        if not self._unanswered:
            self._answer_refusal()

    def _answer_refusal(self) -> None:
        if self._refusal is None or self._hung_up is not None or self.transport.is_closing():
            return
        self._write_refusal(*self._refusal)
        self._hang_up()

    def _write_refusal(self, status: HTTPStatus, message: str, *more: tuple[bytes, bytes]) -> None:
        request_id = new_request_id()
        self.transport.write(refusal(status, message, request_id, (*self.server_state.default_headers, *more)))
        client = ":".join(map(str, self.client)) if self.client else "local"
        _log.info("%s %d %s client=%s", request_id, status, message, client)

    def close_answered(self) -> None:
        """Close after an answer, which the client will read although it may still be sending the request."""
        if self._phase is _Phase.BODY and not self.pipeline:
            self._hang_up(self._receive_within)
        else:
            self.transport.close()

    def _hang_up(self, linger: float = _LINGER_S) -> None:
        # To close with input unread makes the kernel reset the connection, and a client that is still
        # sending loses the answer. So: end our side, drop what comes, and cut after `linger` seconds.
        if self._hung_up is not None or self.transport.is_closing():
            return
        self._disarm()
        self._hung_up = self.loop.call_later(linger, self.transport.abort)
        self._unset_keepalive_if_required()
        self._disconnect_app()
        self.flow.resume_reading()
        self.transport.write_eof()

    def _disconnect_app(self) -> None:
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
        self._unanswered.clear()
