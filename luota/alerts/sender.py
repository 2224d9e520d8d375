"""The sender: takes what is due out of the outbox, one lane a channel, so that a dead one delays no other.

An attempt is recorded after it was made. A crash in between repeats it under the same delivery id, so that
a receiver can drop the repeat; the other order could lose it (docs/architecture.md, invariant 2).
"""

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Mapping
from typing import Any

from luota.alerts.notice import notice_of
from luota.alerts.types import Route
from luota.core import storms
from luota.core.errors import Code, LuotaError
from luota.core.retry import AttemptResult, retry_at
from luota.core.spec.monitors import Definition
from luota.core.wants import EVERYTHING
from luota.engine import Engine
from luota.engine.deliveries import RecordAttempt, begin, gather, give_up, renew, withdraw
from luota.store import deliveries
from luota.store.deliveries import Channel, Evidence, Outgoing
from luota.store.monitors import definitions

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Attempts under way per channel."""
WAVE = 64
LONGEST_SLEEP_S = 30.0
STUCK_MS = 120_000
"""How long a lane may stand still: longer than any sleep, and than any attempt takes."""
STORAGE_PAUSE_S = 2.0
TOO_MANY_REQUESTS = 429
MOST_ANSWERS = 100
"""To tests, whose words are remembered until they are shown."""
LONGEST_REST = 3_600_000
"""How long a channel rests at most when it says that it got too much, in milliseconds."""

NOT_THE_DAEMON = (
    ". Luota does not run, so this command's own settings hold, and the channel keeps its state: "
    "give the command the daemon's (--config, LUOTA_…), or start Luota and test again."
)
"""What is said when a command that sends by itself is kept from it by its settings, which may not be the daemon's."""


_NO_ANSWER = AttemptResult(ok=False)


class Sender:
    """Sends the outbox by `routes`, the table of channel types, until it is cancelled.

    Links in notices lead to `base_url` (`config.Server.base_url`); without it there are none.
    """

    def __init__(self, engine: Engine, routes: Mapping[str, Route], base_url: str | None = None) -> None:
        self._engine = engine
        self._routes = routes
        self._base_url = base_url
        self._lanes: dict[str, asyncio.Event] = {}
        self._proofs: dict[str, asyncio.Event] = {}
        self._proofs_ended = False
        self._tested = asyncio.Event()
        self._under_test: set[str] = set()
        self._answers: dict[str, AttemptResult] = {}
        self._rests: dict[str, int] = {}
        self._storms: dict[str, int] = {}
        self._moved_at: dict[str, int] = {}
        self._running = False
        self._stopping = False
        self._attempts: set[asyncio.Task[None]] = set()

    def end_proofs(self) -> None:
        """Let nobody wait for a test any longer, since Luota stops; the attempts themselves go on until `finish`."""
        self._proofs_ended = True
        for done in self._proofs.values():
            done.set()

    async def finish(self, within: float) -> None:
        """Begin no more attempts, and give those under way up to `within` seconds to end and be recorded."""
        self._stopping = True
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=within)

    def missing(self, type_: str) -> str | None:
        """Return what this installation lacks to send to channels of a type, in a sentence, or None."""
        return self._routes[type_].missing

    async def refusal(self, type_: str, settings: Mapping[str, Any]) -> str | None:
        """Return why nothing can ever be sent to the URL in the settings of a channel, in a sentence, or None."""
        return await self._routes[type_].refusal(settings)

    def sickness(self) -> str | None:
        """Return why notices are not sent at present, or None. What a provider does is no sickness of the sender."""
        now = self._engine.clock.monotonic()
        if any(now - moved_at > STUCK_MS for moved_at in self._moved_at.values()):
            return "the sender does not move"
        return None

    async def run(self) -> None:
        """Keep a lane for every channel, and wake them when something was queued."""
        self._running = True
        queued = self._engine.notices_queued
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._tests(lanes), name="sender tests")
            for channel_id in await self._waiting_channels():
                self._open(lanes, channel_id)
            while True:
                queued.clear()
                for workspace in self._engine.registry.workspaces.values():
                    for channel_id in workspace.channels:
                        self._open(lanes, channel_id)
                for channel_id in self._engine.registry.dead_routes:
                    self._open(lanes, channel_id)
                for lane in self._lanes.values():
                    lane.set()
                await queued.wait()

    async def _waiting_channels(self) -> list[str]:
        """Return the channels with something to send, as soon as the file can be read."""
        while True:
            try:
                return await deliveries.waiting_channels(self._engine.reader)
            except sqlite3.Error as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)

    async def prove(self, delivery_id: str, within: float = 35.0) -> None:
        """Have a test attempted, whatever else waits for its channel, and wait for the end of that.

        STOPPING when Luota stops before; the test is then made again by the next start, if its end is not recorded.
        """
        if not self._running:
            for outgoing in await deliveries.waiting_tests(self._engine.reader):
                if outgoing.id == delivery_id:
                    await self._test(outgoing)
            return
        done = self._proofs.setdefault(delivery_id, asyncio.Event())
        self._tested.set()
        try:
            if await deliveries.attempts_of(self._engine.reader, delivery_id) == 0 and not self._proofs_ended:
                async with asyncio.timeout(within):
                    await done.wait()
        except TimeoutError:
            pass
        finally:
            self._proofs.pop(delivery_id, None)
        if self._proofs_ended and await deliveries.attempts_of(self._engine.reader, delivery_id) == 0:
            said = "Luota is stopping; nothing was proven. Test the channel again once Luota runs."
            raise LuotaError(Code.STOPPING, said)

    def answer(self, delivery_id: str) -> tuple[int | None, str | None]:
        """Return the status and the words by which a provider answered one of the latest tests, as far as it did."""
        result = self._answers.get(delivery_id, _NO_ANSWER)
        return result.status, result.answer

    def _open(self, lanes: asyncio.TaskGroup, channel_id: str) -> None:
        if channel_id not in self._lanes:
            self._lanes[channel_id] = asyncio.Event()
            lanes.create_task(self._lane(channel_id), name=f"sender lane {channel_id}")

    def _close(self, channel_id: str) -> None:
        """Forget a lane, and all that was kept for it: what stays behind would look like a lane that stands still."""
        for kept in (self._lanes, self._moved_at, self._rests, self._storms):
            kept.pop(channel_id, None)

    async def _lane(self, channel_id: str) -> None:
        """Send what one channel is due, and sleep until it is due more."""
        poked = self._lanes[channel_id]
        while not self._stopping:
            self._moved_at[channel_id] = self._engine.clock.monotonic()
            poked.clear()
            try:
                await self._drain(channel_id)
                at = await self._next(channel_id)
                if at is None and await deliveries.channel_of(self._engine.reader, channel_id) is None:
                    self._close(channel_id)  # it was removed
                    return
                now = self._engine.clock.now()
            except (sqlite3.Error, LuotaError) as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)
                continue
            sleep = LONGEST_SLEEP_S if at is None else min((at - now) / 1000, LONGEST_SLEEP_S)
            if sleep > 0:
                try:
                    async with asyncio.timeout(sleep):
                        await poked.wait()
                except TimeoutError:
                    pass

    async def _tests(self, group: asyncio.TaskGroup) -> None:
        """Attempt the tests of all channels beside the lanes: they prove a route that rests or hangs, or was mended."""
        while not self._stopping:
            self._tested.clear()
            known = set(self._under_test)  # taken before reading: what is gone from it by then is recorded
            try:
                waiting = await deliveries.waiting_tests(self._engine.reader)
            except sqlite3.Error as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)
                continue
            for outgoing in waiting:
                if outgoing.id not in known:
                    self._under_test.add(outgoing.id)
                    task = group.create_task(self._test(outgoing), name=f"delivery {outgoing.id}")
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)
            try:
                async with asyncio.timeout(LONGEST_SLEEP_S):
                    await self._tested.wait()
            except TimeoutError:
                pass

    async def _test(self, outgoing: Outgoing) -> None:
        try:
            channel = await deliveries.channel_of(self._engine.reader, outgoing.channel_id)
            await self._attempt(asyncio.Semaphore(1), outgoing, channel, None, Evidence())
        except sqlite3.Error as error:
            log.warning("delivery %s cannot be read: %s", outgoing.id, error)
        finally:
            self._under_test.discard(outgoing.id)

    async def _drain(self, channel_id: str) -> None:
        """Attempt all that is due now, a wave at a time; no tests."""
        while True:
            now = self._engine.clock.now()
            if self._stopping or now < self._rests.get(channel_id, 0):
                return
            channel = await deliveries.channel_of(self._engine.reader, channel_id)
            storm = channel is not None and await self._gather(channel, now)
            wave = await deliveries.due(self._engine.reader, channel_id, now, WAVE, storm=storm)
            if not wave:
                return
            monitors = await definitions(self._engine.reader, [o.monitor_id for o in wave if o.monitor_id])
            evidence = await deliveries.evidence(self._engine.reader, wave)
            places = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for outgoing in wave:
                    monitor = monitors.get(outgoing.monitor_id or "")
                    one = self._attempt(places, outgoing, channel, monitor, evidence.get(outgoing.id, Evidence()))
                    task = group.create_task(one, name=f"delivery {outgoing.id}")
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)

    async def _next(self, channel_id: str) -> int | None:
        """Return when a lane has something to do next, or None."""
        held = self._storms.get(channel_id)
        at = await deliveries.next_due(self._engine.reader, channel_id, storm=held is not None)
        if held is not None:
            at = held if at is None else min(at, held)
        return None if at is None else max(at, self._rests.get(channel_id, at))

    async def _gather(self, channel: Channel, now: int) -> bool:
        """Let a digest tell what a storm brought, when its time has come; tell whether one is going on.

        Digests that are due again are brought up to date before, while no attempt of this channel is under way.
        """
        self._storms.pop(channel.id, None)
        route = self._routes.get(channel.type)
        if route is None or not route.digests:
            return False
        for digest_id in await deliveries.outdated_digests(self._engine.reader, channel.id, now):
            await self._engine.submit(renew(digest_id))
        waiting = await deliveries.waiting_first(self._engine.reader, channel.id, now)
        if not waiting:
            return False
        workspace = self._engine.registry.workspaces.get(channel.workspace_id)
        delay = 0 if workspace is None else workspace.wants.get(channel.id, EVERYTHING).delay
        since = waiting[0][1] - storms.SPAN
        told = await deliveries.told_since(self._engine.reader, channel.id, since, delay)
        until = storms.held_until([at for _, at in waiting], told)
        if until is None:
            return False
        if now < until:
            self._storms[channel.id] = until
            return True
        if len(waiting) == 1:
            return False
        ids = [delivery_id for delivery_id, _ in waiting]
        try:
            await self._engine.submit(gather(channel.workspace_id, channel.id, ids))
        except LuotaError as error:
            log.warning("a digest cannot be queued yet: %s", error)
            self._storms[channel.id] = now + int(STORAGE_PAUSE_S * 1000)
            return True
        return False

    async def _attempt(
        self,
        places: asyncio.Semaphore,
        outgoing: Outgoing,
        channel: Channel | None,
        monitor: Definition | None,
        evidence: Evidence,
    ) -> None:
        """Make one attempt and record it, however long recording takes: forgetting would repeat it at once."""
        clock = self._engine.clock
        test = outgoing.type == "channel.test"
        async with places, contextlib.AsyncExitStack() as turn:
            if self._stopping:
                return
            route = None if channel is None else self._routes.get(channel.type)
            if channel is not None and route is not None:
                await turn.enter_async_context(route.turn(channel.settings))
            if self._stopping or (not test and clock.now() < self._rests.get(outgoing.channel_id, 0)):
                return
            if outgoing.type == "incident.digest":
                try:
                    await self._engine.submit(begin(outgoing.id))
                except LuotaError as error:
                    log.warning("delivery %s cannot be attempted yet: %s", outgoing.id, error)
                    await asyncio.sleep(STORAGE_PAUSE_S)
                    return
            started_at = clock.now()
            result = await self._send(outgoing, channel, route, monitor, evidence, started_at)
        finished_at = clock.now()
        if test:
            self._answers[outgoing.id] = result
            while len(self._answers) > MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
        number = outgoing.attempts + 1
        again = None
        if not (result.ok or result.terminal or test):
            jitter = random.random()  # noqa: S311 (spreads retries; nothing secret)
            first_at = outgoing.first_attempt_at or started_at
            again = retry_at(number + outgoing.tried, first_at, finished_at, jitter, result.retry_after)
        where = None if channel is None else channel.workspace_id
        record = RecordAttempt(outgoing.id, outgoing.channel_id, number, started_at, finished_at, result, again, where)
        change = record if result.ok or again is not None else give_up(record, outgoing.type)
        if result.unsent and not self._running:
            change = withdraw(record, f"{(result.error or '').rstrip('.')}{NOT_THE_DAEMON}")
        if not result.ok:
            log.warning("delivery %s, attempt %d: %s", outgoing.id, number, result.error)
        if result.status == TOO_MANY_REQUESTS and result.retry_after:
            # What it says of one message holds for them all; not for long, or a slip would silence the channel.
            self._rests[outgoing.channel_id] = finished_at + min(result.retry_after, LONGEST_REST)
        while True:
            try:
                await self._engine.submit(change)
                break
            except LuotaError as error:
                log.warning("delivery %s, attempt %d cannot be recorded yet: %s", outgoing.id, number, error)
                await asyncio.sleep(STORAGE_PAUSE_S)
        if outgoing.channel_id in self._lanes and not test:
            self._moved_at[outgoing.channel_id] = clock.monotonic()
        proof = self._proofs.get(outgoing.id)
        if proof is not None:
            proof.set()

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
            return AttemptResult(ok=False, terminal=True, error="the channel was removed")
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
