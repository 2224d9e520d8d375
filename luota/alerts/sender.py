"""The sender: takes what is due out of the outbox, one lane a channel, so that a dead one delays no other.

An attempt is recorded after it was made. A crash in between repeats it under the same delivery id, so that
a receiver can drop the repeat; the other order could lose it (docs/architecture.md, invariant 2).
"""

import asyncio
import logging
import random
import sqlite3

import httpx

from luota.alerts import messages, webhook
from luota.core.errors import LuotaError
from luota.core.retry import AttemptResult, retry_at
from luota.core.spec.monitors import Definition
from luota.engine import Engine
from luota.engine.deliveries import RecordAttempt
from luota.store import deliveries
from luota.store.deliveries import Outgoing
from luota.store.monitors import definitions

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Attempts under way per channel."""
WAVE = 64
LONGEST_SLEEP_S = 30.0
STORAGE_PAUSE_S = 2.0


class Sender:
    """Sends the outbox through `client` until it is cancelled."""

    def __init__(self, engine: Engine, client: httpx.AsyncClient) -> None:
        self._engine = engine
        self._client = client
        self._lanes: dict[str, asyncio.Event] = {}
        self._proofs: dict[str, asyncio.Event] = {}
        self._running = False
        self._stopping = False
        self._attempts: set[asyncio.Task[None]] = set()

    async def finish(self, within: float) -> None:
        """Begin no more attempts, and give those under way up to `within` seconds to end and be recorded."""
        self._stopping = True
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=within)

    async def run(self) -> None:
        """Keep a lane for every channel, and wake them when something was queued."""
        self._running = True
        queued = self._engine.notices_queued
        async with asyncio.TaskGroup() as lanes:
            for channel_id in await self._waiting_channels():
                self._open(lanes, channel_id)
            while True:
                queued.clear()
                for workspace in self._engine.registry.workspaces.values():
                    for channel_id in workspace.channels:
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

    async def prove(self, delivery_id: str, channel_id: str, within: float = 15.0) -> None:
        """Wait until a delivery has been attempted once; attempt it here when no lane runs."""
        if not self._running:
            await self._drain(channel_id, deadline=self._engine.clock.now())
            return
        done = self._proofs.setdefault(delivery_id, asyncio.Event())
        try:
            row = await deliveries.delivery(self._engine.reader, delivery_id)
            if row[3] == 0:
                async with asyncio.timeout(within):
                    await done.wait()
        except TimeoutError:
            pass
        finally:
            self._proofs.pop(delivery_id, None)

    def _open(self, lanes: asyncio.TaskGroup, channel_id: str) -> None:
        if channel_id not in self._lanes:
            self._lanes[channel_id] = asyncio.Event()
            lanes.create_task(self._lane(channel_id), name=f"sender lane {channel_id}")

    async def _lane(self, channel_id: str) -> None:
        """Send what one channel is due, and sleep until it is due more."""
        poked = self._lanes[channel_id]
        while True:
            poked.clear()
            try:
                await self._drain(channel_id, deadline=None)
                at = await deliveries.next_due(self._engine.reader, channel_id)
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

    async def _drain(self, channel_id: str, deadline: int | None) -> None:
        """Attempt all that is due now, a wave at a time; up to what is due at `deadline` if given."""
        while True:
            until = self._engine.clock.now() if deadline is None else deadline
            wave = await deliveries.due(self._engine.reader, channel_id, until, WAVE)
            if not wave or self._stopping:
                return
            channel = await deliveries.webhook_of(self._engine.reader, channel_id)
            monitors = await definitions(self._engine.reader, [o.monitor_id for o in wave if o.monitor_id])
            places = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for outgoing in wave:
                    monitor = monitors.get(outgoing.monitor_id or "")
                    one = self._attempt(places, outgoing, channel, monitor)
                    task = group.create_task(one, name=f"delivery {outgoing.id}")
                    self._attempts.add(task)
                    task.add_done_callback(self._attempts.discard)

    async def _attempt(
        self,
        places: asyncio.Semaphore,
        outgoing: Outgoing,
        channel: tuple[str, str] | None,
        monitor: Definition | None,
    ) -> None:
        """Make one attempt and record it, however long recording takes: forgetting would repeat it at once."""
        clock = self._engine.clock
        async with places:
            if self._stopping:
                return
            started_at = clock.now()
            result = await self._send(outgoing, channel, monitor, started_at)
        finished_at = clock.now()
        number = outgoing.attempts + 1
        again = None
        if not (result.ok or result.terminal or outgoing.type == "channel.test"):
            jitter = random.random()  # noqa: S311 (spreads retries; nothing secret)
            again = retry_at(number, outgoing.first_attempt_at or started_at, finished_at, jitter, result.retry_after)
        record = RecordAttempt(outgoing.id, number, started_at, finished_at, result, again)
        if not result.ok:
            log.warning("delivery %s, attempt %d: %s", outgoing.id, number, result.error)
        while True:
            try:
                await self._engine.submit(record)
                break
            except LuotaError as error:
                log.warning("delivery %s, attempt %d cannot be recorded yet: %s", outgoing.id, number, error)
                await asyncio.sleep(STORAGE_PAUSE_S)
        proof = self._proofs.get(outgoing.id)
        if proof is not None:
            proof.set()

    async def _send(
        self, outgoing: Outgoing, channel: tuple[str, str] | None, monitor: Definition | None, now: int
    ) -> AttemptResult:
        """Put the message together and send it."""
        if channel is None:
            return AttemptResult(ok=False, terminal=True, error="the channel was removed")
        name, url = channel
        try:
            body = messages.render(outgoing, monitor, name)
        except Exception:
            # A defect of ours in one notice must not stop all the others, start after start.
            log.exception("delivery %s", outgoing.id)
            return AttemptResult(ok=False, error="the notice could not be put together")
        return await webhook.send(self._client, url, body, {}, now=now)
