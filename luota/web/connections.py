"""The open connections of all listeners, and room for one more."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

if TYPE_CHECKING:
    from luota.web.protocol import GuardedProtocol

log = logging.getLogger(__name__)


class Connections(ServerState):
    """The open connections and running requests of all listeners.

    `none_left` is set when the last connection closes. While `stopping`, a new one is closed at once.

    At most `most` connections over TCP are open, so that file descriptors stay free for all else. One more takes
    the place of the one that has gone longest without a request, or of one that does not read its answers; while
    all of them wait for an answer, it is refused.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.tcp: dict[GuardedProtocol, None] = {}  # in the order of their last answers
        self.none_left = asyncio.Event()
        self.stopping = False
        self._ready: list[Callable[[], None]] = []
        self.default_lines = b""

    def set_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Set the headers of all answers, but for those that an answer sets itself."""
        self.default_headers = headers
        self.default_lines = b"".join([b"%b: %b\r\n" % header for header in headers])

    def admit(self, newcomer: "GuardedProtocol") -> bool:
        """Make room for one more connection over TCP, and take it in; False where there is none."""
        if len(self.tcp) >= self.most:
            idle = next((one for one in self.tcp if not one.answering), None)
            least = idle or next((one for one in self.tcp if one.flow.write_paused), None)
            if least is None:
                return False
            del self.tcp[least]
            least.transport.abort()
        self.tcp[newcomer] = None
        return True

    def begin_soon(self, begin: Callable[[], None]) -> None:
        """Call `begin` once all that has arrived is read: at one go, since the commit's thread waits at each pause."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._begin_all)
        self._ready.append(begin)

    def _begin_all(self) -> None:
        ready, self._ready = self._ready, []
        for begin in ready:
            try:
                begin()
            except Exception:  # a defect of ours in one request must not keep the others waiting
                log.exception("a request failed")
