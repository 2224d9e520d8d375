"""One attempt to deliver a notice: made, and recorded after that.

A crash in between repeats it under the same delivery id, so that a receiver can drop the repeat; the other order
could lose it (docs/architecture.md, invariant 2).
"""

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping

from luota.alerts.notice import notice_of
from luota.alerts.types import Route
from luota.core.errors import LuotaError
from luota.core.retry import AttemptResult, rests_until, retry_at
from luota.core.spec.monitors import Definition
from luota.core.text import visible
from luota.engine import Engine
from luota.engine.deliveries import BeginAttempt, LeaveAttempt, RecordAttempt, Rest, give_up, prove, withdraw
from luota.engine.work import Command, Work
from luota.store.deliveries import WITH_CHANNEL, Channel, Evidence, Outgoing, next_number

log = logging.getLogger(__name__)

STORAGE_PAUSE_S = 2.0


async def _never() -> bool:
    return False


class Attempts:
    """Makes attempts by `routes`, until it is `stopping`. `rests` has until when a channel is read to rest, by its id.

    That is by a clock that is never set back: the wall clock and `Clocks.back`.
    """

    def __init__(self, engine: Engine, routes: Mapping[str, Route], base_url: str | None) -> None:
        self._engine = engine
        self._routes = routes
        self._base_url = base_url
        self._under_way: set[asyncio.Task[None]] = set()
        self.rests: dict[str, int] = {}
        self._addresses_rest: dict[str, int] = {}
        self.stopping = False

    def rest(self, channel: Channel, until: int) -> None:
        """Let a channel rest, and from their next turn on all others of its address; a longer rest stays as it is."""
        back = self._engine.writer.clocks.back
        now, until = self._engine.clock.now() + back, until + back
        self.rests[channel.id] = max(until, self.rests.get(channel.id, 0))
        # Addresses are secrets: none is kept for longer than it rests.
        self._addresses_rest = {key: at for key, at in self._addresses_rest.items() if at > now}
        if (address := self._address(channel)) is not None:
            self._addresses_rest[address] = max(until, self._addresses_rest.get(address, 0))

    def _address(self, channel: Channel) -> str | None:
        route = self._routes.get(channel.type)
        return None if route is None or route.address is None else route.address(channel.settings)

    def rests_until(self, channel: Channel | None) -> int:
        """Return until when a channel rests, with others of its address; the past if it never did, or was removed."""
        if channel is None:
            return 0
        until = self.rests.get(channel.id, 0)
        if (address := self._address(channel)) is not None:
            until = max(until, self._addresses_rest.get(address, 0))
        return until - self._engine.writer.clocks.back

    async def rests_now(self, channel: Channel | None) -> bool:
        """Tell whether a channel rests; if it does so with another of its address, people can read it by then.

        Unless nothing can be written: then the next call tries that again.
        """
        until = self.rests_until(channel)
        if channel is None or self._engine.clock.now() >= until:
            return False
        back = self._engine.writer.clocks.back
        if self.rests.get(channel.id, 0) < until + back:
            with contextlib.suppress(LuotaError):
                await self._engine.submit(Rest(channel.workspace_id, channel.id, until))
                self.rests[channel.id] = until + back
        return True

    def spawn(self, group: asyncio.TaskGroup, attempt: Coroutine[None, None, None], delivery_id: str) -> None:
        """Let `attempt` be made and recorded in a task of `group`, for whose end `finish` waits."""
        task = group.create_task(attempt, name=f"delivery {delivery_id}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finish(self, within: float) -> None:
        """Begin no more attempts, and give those under way up to `within` seconds to end and be recorded."""
        self.stopping = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=within)

    async def make(
        self,
        places: asyncio.Semaphore,
        outgoing: Outgoing,
        channel: Channel | None,
        monitor: Definition | None,
        evidence: Evidence,
        held: Callable[[], Awaitable[bool]] = _never,
    ) -> RecordAttempt | None:
        """Make one attempt, in one of `places`, and return what is to be recorded of it; None when it was not made.

        Once its turn has come, which a test has before all others, it is not made while the channel rests, but for a
        test, nor when Luota stops, nor when it is `held` or not due any more.
        """
        clock = self._engine.clock
        test = outgoing.type == "channel.test"
        async with places, contextlib.AsyncExitStack() as turn:
            if self.stopping:
                return None
            route = None if channel is None else self._routes.get(channel.type)
            if channel is not None and route is not None:
                await turn.enter_async_context(route.turn(channel.settings, test))
            if self.stopping or (not test and await self.rests_now(channel)):
                return None
            if await held() or (begun := await self._begin(outgoing)) is None:
                return None
            number, noted = begun
            started_at = clock.now()
            result = await self._send(outgoing, channel, route, monitor, evidence, started_at)
        finished_at = clock.now()
        again = None
        if not (result.ok or result.terminal or test):
            jitter = random.random()  # noqa: S311 (spreads retries; nothing secret)
            first_at = outgoing.first_attempt_at or started_at
            again = retry_at(number + outgoing.tried, first_at, finished_at, jitter, result.retry_after)
        to, rests = outgoing.channel_id, rests_until(result, finished_at)
        if channel is not None and rests is not None:
            self.rest(channel, rests)
        if not result.ok:
            name = "a channel that was removed" if channel is None else visible(channel.name)
            log.warning("%s to %s, delivery %s, attempt %d: %s", outgoing.type, name, outgoing.id, number, result.error)
        where = None if channel is None else channel.workspace_id
        return RecordAttempt(outgoing.id, to, number, started_at, finished_at, result, again, where, rests, noted)

    async def _begin(self, outgoing: Outgoing) -> tuple[int, bool] | None:
        """Return the number of the attempt to make, and whether it is noted; None when it is not to be made any more.

        By then the file says that the notice may arrive, should Luota be killed, unless nothing can be written.
        """
        noted = False
        with contextlib.suppress(LuotaError):  # nothing can be written: rather twice than not at all
            await self._engine.submit(BeginAttempt(outgoing.id))
            noted = True
        number = None
        try:
            number = await next_number(self._engine.reader, outgoing.id, self._engine.clock.now())
        except sqlite3.Error as error:
            log.warning("delivery %s cannot be read: %s", outgoing.id, error)
            await asyncio.sleep(STORAGE_PAUSE_S)
        if number is not None:
            return number, noted
        if noted:
            with contextlib.suppress(LuotaError):
                await self._engine.submit(LeaveAttempt(outgoing.id))
        return None

    async def record(self, made: RecordAttempt, type_: str, withdrawn: str | None = None) -> None:
        """Record an attempt of a notice of `type_`, however long that takes: forgetting would repeat it at once.

        With `withdrawn`, the reason, the delivery is cancelled instead, since the attempt says nothing of the channel.
        """
        change: Command | Work = made
        if withdrawn is not None:
            change = withdraw(made, withdrawn)
        elif made.result.ok and type_ == "channel.test":
            change = prove(made)
        elif not made.result.ok and made.again_at is None:
            change = give_up(made, type_)
        while True:
            try:
                await self._engine.submit(change)
            except LuotaError as error:
                log.warning("delivery %s, attempt %d cannot be recorded yet: %s", made.delivery_id, made.number, error)
                await asyncio.sleep(STORAGE_PAUSE_S)
            else:
                return

    async def _send(
        self,
        outgoing: Outgoing,
        channel: Channel | None,
        route: Route | None,
        monitor: Definition | None,
        evidence: Evidence,
        now: int,
    ) -> AttemptResult:
        """Put the message together and send it."""
        if channel is None:
            return AttemptResult(ok=False, terminal=True, error=WITH_CHANNEL)
        if route is None:
            return AttemptResult(ok=False, error=f"this program cannot send to channels of type {channel.type}")
        if route.missing is not None:
            return AttemptResult(ok=False, error=route.missing, unsent=True)
        try:
            notice = notice_of(outgoing, channel.name, monitor, evidence, self._base_url)
            return await route.send(notice, channel.settings, now)
        except Exception:
            # A defect of ours in one notice must not stop all the others, start after start.
            log.exception("delivery %s", outgoing.id)
            return AttemptResult(ok=False, error="the notice could not be put together")
