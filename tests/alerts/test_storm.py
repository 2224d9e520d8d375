"""Incidents that open one after another, faster than anybody can read, by a channel that is faster still."""

import asyncio
import contextlib

import pytest

from luota.alerts.sender import Sender
from luota.alerts.smtp import Relay
from luota.alerts.transport import Resolver
from luota.alerts.types import routes
from luota.config import Email
from luota.core.storms import MOST, SPAN
from luota.engine import Engine, channels
from tests.alerts.test_sender import ACTOR, Rig, no_death
from tests.clock import FakeClock
from tests.mailserver import MailServer

EACH_MS = 100


class Storm(Rig):
    """Incidents of many monitors, told by email to a server that answers at once."""

    async def begin(self, server, **rules):
        workspace = next(iter(self.engine.registry.workspaces.values()))
        doc = {"type": "email", "name": "desk", "to": ["ann@example.org"]}
        self.desk = await self.engine.submit(channels.add(workspace, doc, ACTOR))
        if rules:
            await self.engine.submit(channels.edit(workspace.id, self.desk, "desk", rules, ACTOR))
        email = Email(host="127.0.0.1", port=server.port, security="plain", sender="luota@example.org")
        self.server, self.opened = server, 0
        self.sender = Sender(self.engine, routes(None, Relay(email, Resolver())))
        self.sending = asyncio.ensure_future(self.sender.run())

    async def settled(self):
        """Return once all that is due is told or held."""
        now = self.engine.clock.now()
        async with asyncio.timeout(20):
            while any(at is not None and at <= now for _, _, _, at, *_ in await self.rows()):
                if self.sender._storms.get(self.desk, 0) > now:
                    return
                self.engine.notices_queued.set()
                await asyncio.sleep(0.01)

    async def open(self, count):
        for _ in range(count):
            await self.fail(await self.monitor(name=f"job {self.opened:03}"))
            self.opened += 1
            await self.pass_(EACH_MS)

    async def pass_(self, ms):
        self.engine.clock.advance(ms)
        await self.settled()

    def named(self):
        said = "".join(mail.part("plain") + str(mail.message["subject"]) for mail in self.server.mails)
        return [number for number in range(self.opened) if f"job {number:03}" in said]


@pytest.fixture
async def storm(tmp_path):
    engine = await Engine.open(tmp_path, FakeClock(), "a test")
    await engine.watch(no_death)
    storm = Storm(engine)
    yield storm
    storm.sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await storm.sending
    await engine.close()


async def test_forty_one_by_one_are_few_messages_and_each_is_named(storm):
    async with MailServer() as server:
        await storm.begin(server)
        await storm.open(40)
        assert len(server.mails) == MOST, "the first are told at once, one by one"
        await storm.pass_(SPAN)
        assert len(server.mails) == MOST + 1
        assert storm.named() == [*range(40)]


async def test_what_a_channel_holds_back_for_longer_than_a_storm_takes_is_gathered_too(storm):
    async with MailServer() as server:
        await storm.begin(server, delaySeconds=60)
        await storm.open(20)
        await storm.pass_(60_000 - 20 * EACH_MS - 1)
        assert server.mails == []
        for _ in range(20):
            await storm.pass_(EACH_MS)
        assert len(server.mails) == MOST
        await storm.pass_(SPAN)
        assert len(server.mails) == MOST + 1
        assert storm.named() == [*range(20)]


async def test_one_that_stays_alone_is_held_and_then_told_as_what_it_is(storm):
    async with MailServer() as server:
        await storm.begin(server)
        await storm.open(MOST + 1)
        assert len(server.mails) == MOST
        await storm.pass_(SPAN)
        assert len(server.mails) == MOST + 1
        assert "job 010: failed (open)" in str(server.mails[-1].message["subject"])


async def test_a_calm_stretch_delays_nothing(storm):
    async with MailServer() as server:
        await storm.begin(server)
        for _ in range(2):
            before = len(server.mails)
            await storm.open(MOST)
            assert len(server.mails) == before + MOST
            await storm.pass_(SPAN)
