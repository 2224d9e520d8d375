"""Incidents that open one after another, faster than anybody can read, by a channel that is faster still."""

import asyncio

import pytest

from luota.alerts.resolver import Resolver
from luota.alerts.smtp import Relay
from luota.alerts.types import routes
from luota.config import Email
from luota.core.model import RunState
from luota.core.storms import MOST, SPAN
from luota.engine import channels
from luota.engine.reminders import remind
from tests.alerts.rig import Rig, rigged
from tests.engines import ACTOR
from tests.clock import FakeClock
from tests.mailserver import MailServer

EACH_MS = 100
HOUR = 3_600_000


class Storm(Rig):
    """Incidents of many monitors, told by email to a server that answers at once."""

    async def tell(self, server, **rules):
        self.desk = await self.add("email", "desk", to=["ann@example.org"])
        if rules:
            await self.engine.submit(channels.edit(self.workspace.id, self.desk, "desk", rules, ACTOR))
        email = Email(host="127.0.0.1", port=server.port, security="plain", sender="luota@example.org")
        self.server, self.opened = server, 0
        self.send_by(routes(None, self.engine.clock, Relay(email, Resolver())))

    async def settled(self):
        """Return once all that is due is told or held."""
        now = self.engine.clock.now()
        async with asyncio.timeout(20):
            while any(at is not None and at <= now for _, _, _, at, *_ in await self.rows()):
                if self.sender._storms.get(self.desk, 0) > now:
                    return
                self.engine.notices_queued.set()
                await asyncio.sleep(0.01)

    async def job(self, **more):
        self.opened += 1
        return await self.monitor(name=f"job {self.opened - 1:03}", **more)

    async def open(self, count, **more):
        lives = []
        for _ in range(count):
            lives.append(await self.job(**more))
            await self.fail(lives[-1])
            await self.pass_(EACH_MS)
        return lives

    async def pass_(self, ms):
        self.engine.clock.advance(ms)
        await self.settled()

    async def is_gathered(self, count):
        """The first are told at once, one by one; the rest in one message more, and each of all is named."""
        assert len(self.server.mails) == MOST
        await self.pass_(SPAN)
        assert len(self.server.mails) == MOST + 1
        assert self.named() == [*range(count)]

    def named(self):
        said = "".join(mail.part("plain") + str(mail.message["subject"]) for mail in self.server.mails)
        return [number for number in range(self.opened) if f"job {number:03}" in said]


@pytest.fixture
async def storm(tmp_path):
    async with rigged(tmp_path, FakeClock(), Storm) as storm:
        yield storm


async def test_forty_one_by_one_are_few_messages_and_each_is_named(storm):
    async with MailServer() as server:
        await storm.tell(server)
        await storm.open(40)
        await storm.is_gathered(40)


async def test_forty_that_end_one_by_one_are_few_messages_and_each_is_named(storm):
    async with MailServer() as server:
        await storm.tell(server)
        lives = await storm.open(40)
        await storm.pass_(SPAN)
        await storm.pass_(SPAN)
        server.mails.clear()
        for live in lives:
            await storm.succeed(live)
            await storm.pass_(EACH_MS)
        assert len(server.mails) == MOST
        await storm.pass_(SPAN)
        assert len(server.mails) == MOST + 1
        assert storm.named() == [*range(40)]
        assert server.mails[-1].part("plain").count("failed (resolved after") == 40 - MOST


async def test_what_a_channel_holds_back_for_longer_than_a_storm_takes_is_gathered_too(storm):
    async with MailServer() as server:
        await storm.tell(server, delaySeconds=60)
        await storm.open(20)
        await storm.pass_(60_000 - 20 * EACH_MS - 1)
        assert server.mails == []
        for _ in range(20):
            await storm.pass_(EACH_MS)
        await storm.is_gathered(20)


async def test_what_is_held_back_though_it_is_no_opening_is_gathered_too(storm):
    async with MailServer() as server:
        await storm.tell(server, kinds=["failed"], delaySeconds=60)
        runs = [await storm.begin(await storm.job(maxRuntimeSeconds=60)) for _ in range(20)]
        await storm.pass_(60_001)
        await storm.engine.judge(storm.engine.clock.now())
        for run in runs:
            await storm.end(run, RunState.FAILED)
            await storm.pass_(EACH_MS)
        await storm.pass_(60_000 - 20 * EACH_MS - 1)
        assert server.mails == [], "each was stuck, which this channel does not want to hear"
        for _ in range(20):
            await storm.pass_(EACH_MS)
        await storm.is_gathered(20)


async def test_one_that_stays_alone_is_held_and_then_told_as_what_it_is(storm):
    async with MailServer() as server:
        await storm.tell(server)
        await storm.open(MOST + 1)
        assert len(server.mails) == MOST
        await storm.pass_(SPAN)
        assert len(server.mails) == MOST + 1
        assert "job 010: failed (open)" in str(server.mails[-1].message["subject"])


async def test_a_calm_stretch_delays_nothing(storm):
    async with MailServer() as server:
        await storm.tell(server)
        for _ in range(2):
            before = len(server.mails)
            await storm.open(MOST)
            assert len(server.mails) == before + MOST
            await storm.pass_(SPAN)


async def test_reminders_of_many_incidents_are_one_message_that_names_each(storm):
    async with MailServer() as server:
        await storm.tell(server)
        await storm.open(MOST + 2, reminderSeconds="4h")
        await storm.pass_(4 * HOUR)
        server.mails.clear()
        await storm.engine.submit(remind)
        await storm.settled()
        assert server.mails == [], "they are held, as openings are"
        await storm.pass_(SPAN)
        (mail,) = server.mails
        assert mail.message["subject"] == f"Many incidents at once: {MOST + 2} still open"
        assert storm.named() == [*range(MOST + 2)]
        assert mail.part("plain").count("failed (still open after 4 h") == MOST + 2
