"""Reminders by email, from the engine through the sender to a real SMTP server; only the clock is replaced."""

import asyncio

from luota.alerts.sender import Sender
from luota.alerts.types import routes
from luota.core.model import RunState
from luota.engine import channels
from luota.engine.reminders import remind
from luota.store.reads import fetch
from tests.engines import ACTOR
from tests.alerts.test_notice import created, engine, ran  # noqa: F401 (engine is a fixture)
from tests.alerts.test_smtp import relay
from tests.mailserver import MailServer

HOUR = 3_600_000


async def test_a_reminder_arrives_in_the_thread_of_its_incident_with_how_long_it_is_open(engine):  # noqa: F811
    workspace = next(iter(engine.registry.workspaces.values()))
    doc = {"type": "email", "name": "desk", "to": ["ann@example.org"]}
    await engine.submit(channels.add(workspace, doc, ACTOR))
    live = await created(engine, name="Report", mode="run", reminderSeconds="4h", channels=["desk"])
    waiting = "SELECT id FROM deliveries WHERE type != 'channel.test' AND next_attempt_at IS NOT NULL"
    async with MailServer() as server:
        sender = Sender(engine, routes(None, engine.clock, relay(server)), "https://luota.example.org")
        task = asyncio.ensure_future(sender.run())
        await ran(engine, live, "1", RunState.FAILED, summary="broke")
        for count in (1, 2, 3):
            async with asyncio.timeout(20):
                while len(server.mails) < count:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                while await fetch(engine.reader, waiting):
                    await asyncio.sleep(0.01)
            engine.clock.advance(4 * HOUR)
            await engine.submit(remind)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    opened, *reminders = (mail.message for mail in server.mails[:3])
    assert opened["Subject"] == "Report: failed (open)"
    assert [mail["Subject"] for mail in reminders] == [f"Report: failed (still open after {n} h)" for n in (4, 8)]
    assert {mail["In-Reply-To"] for mail in reminders} == {opened["Message-ID"]}
    assert "https://luota.example.org/incidents/" in server.mails[1].part("plain")
