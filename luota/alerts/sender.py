"""The sender: takes what is due out of the outbox, one lane a channel, so that a dead one delays no other."""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from luota.alerts.attempt import STORAGE_PAUSE_S, Attempts
from luota.alerts.proofs import Proofs
from luota.alerts.types import Route
from luota.core import storms
from luota.core.errors import LuotaError
from luota.core.spec.monitors import Definition
from luota.core.wants import EVERYTHING
from luota.engine import Engine
from luota.engine.deliveries import gather, record_cut_off, renew
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


class Sender:
    """Sends the outbox by `routes`, the table of channel types, until it is cancelled.

    Links in notices lead to `base_url` (`config.Server.base_url`); without it there are none.
    """

    def __init__(self, engine: Engine, routes: Mapping[str, Route], base_url: str | None = None) -> None:
        self._engine = engine
        self._routes = routes
        self._attempts = Attempts(engine, routes, base_url)
        self.proofs = Proofs(engine, self._attempts)
        self._lanes: dict[str, asyncio.Event] = {}
        self._storms: dict[str, int] = {}
        self._moved_at: dict[str, int] = {}

    async def finish(self, within: float) -> None:
        """Begin no more attempts, and give those under way up to `within` seconds to end and be recorded."""
        await self._attempts.finish(within)

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
        queued = self._engine.notices_queued
        async with asyncio.TaskGroup() as lanes:
            self.proofs.start(lanes)
            for channel_id in await self._take_up():
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

    async def _take_up(self) -> list[str]:
        """Return the channels with something to send, as soon as the file can be read, and let rest on which rested.

        What was under way when Luota ended is on record by then, unless nothing can be written.
        """
        try:
            await self._engine.submit(record_cut_off)
        except LuotaError as error:
            log.warning("attempts that were cut off cannot be recorded: %s", error)
        while True:
            try:
                resting = await deliveries.resting_channels(self._engine.reader, self._engine.clock.now())
                for channel_id, until in resting.items():
                    if (channel := await deliveries.channel_of(self._engine.reader, channel_id)) is not None:
                        self._attempts.rest(channel, until)
                return await deliveries.waiting_channels(self._engine.reader)
            except sqlite3.Error as error:
                log.warning("the outbox cannot be read: %s", error)
                await asyncio.sleep(STORAGE_PAUSE_S)

    def _open(self, lanes: asyncio.TaskGroup, channel_id: str) -> None:
        if channel_id not in self._lanes:
            self._lanes[channel_id] = asyncio.Event()
            lanes.create_task(self._lane(channel_id), name=f"sender lane {channel_id}")

    def _close(self, channel_id: str) -> None:
        """Forget a lane, and all that was kept for it: what stays behind would look like a lane that stands still."""
        for kept in (self._lanes, self._moved_at, self._attempts.rests, self._storms):
            kept.pop(channel_id, None)

    async def _lane(self, channel_id: str) -> None:
        """Send what one channel is due, and sleep until it is due more."""
        poked = self._lanes[channel_id]
        while not self._attempts.stopping:
            self._moved_at[channel_id] = self._engine.clock.monotonic()
            poked.clear()
            try:
                await self._drain(channel_id)
                channel = await deliveries.channel_of(self._engine.reader, channel_id)
                at = await self._next(channel_id, channel)
                if at is None and channel is None:
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

    async def _drain(self, channel_id: str) -> None:
        """Attempt all that is due now, a wave at a time; no tests."""
        while True:
            now = self._engine.clock.now()
            channel = await deliveries.channel_of(self._engine.reader, channel_id)
            if self._attempts.stopping or await self._attempts.rests_now(channel):
                return
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
                    self._attempts.spawn(group, one, outgoing.id)

    async def _next(self, channel_id: str, channel: Channel | None) -> int | None:
        """Return when a lane has something to do next, or None."""
        held = self._storms.get(channel_id)
        at = await deliveries.next_due(self._engine.reader, channel_id, storm=held is not None)
        if held is not None:
            at = held if at is None else min(at, held)
        return None if at is None else max(at, self._attempts.rests_until(channel))

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
        while waiting := await deliveries.waiting_first(self._engine.reader, channel.id, now):
            until = await self._held_until(channel, waiting)
            if until is None:
                return False
            if now < until:
                self._storms[channel.id] = until
                return True
            if len(waiting) == 1:
                return False
            ids = [delivery_id for delivery_id, _, _ in waiting[: route.together([name for _, _, name in waiting])]]
            try:
                await self._engine.submit(gather(channel.workspace_id, channel.id, ids))
            except LuotaError as error:
                log.warning("a digest cannot be queued yet: %s", error)
                self._storms[channel.id] = now + int(STORAGE_PAUSE_S * 1000)
                return True
        return False

    async def _held_until(self, channel: Channel, waiting: Sequence[tuple[str, int, str]]) -> int | None:
        """Return until when the notices that wait (`deliveries.waiting_first`) are held, or None without a storm."""
        workspace = self._engine.registry.workspaces.get(channel.workspace_id)
        delay = 0 if workspace is None else workspace.wants.get(channel.id, EVERYTHING).delay
        since = waiting[0][1] - storms.SPAN
        told = await deliveries.told_since(self._engine.reader, channel.id, since, delay)
        return storms.held_until([at for _, at, _ in waiting], told)

    async def _held(self, outgoing: Outgoing, channel: Channel | None) -> bool:
        """Tell whether a notice is to be held after all: a storm may have begun while it waited for its turn."""
        route = None if channel is None else self._routes.get(channel.type)
        if channel is None or route is None or not route.digests or outgoing.attempts:
            return False
        now = self._engine.clock.now()
        try:
            waiting = await deliveries.waiting_first(self._engine.reader, channel.id, now)
            if all(delivery_id != outgoing.id for delivery_id, _, _ in waiting):
                return False
            until = await self._held_until(channel, waiting)
        except sqlite3.Error:
            return False  # rather one message too many
        return until is not None and now < until

    async def _attempt(
        self,
        places: asyncio.Semaphore,
        outgoing: Outgoing,
        channel: Channel | None,
        monitor: Definition | None,
        evidence: Evidence,
    ) -> None:
        held = partial(self._held, outgoing, channel)
        made = await self._attempts.make(places, outgoing, channel, monitor, evidence, held)
        if made is None:
            return
        await self._attempts.record(made, outgoing.type)
        if outgoing.channel_id in self._lanes:
            self._moved_at[outgoing.channel_id] = self._engine.clock.monotonic()
