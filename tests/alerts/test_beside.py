"""A channel that hangs beside one that works: the delivery of the latter is delayed by less than a second."""

import asyncio
import contextlib
import threading

import pytest

from luota.alerts.apprise import THREADS_OF_ONE, Services
from luota.alerts.resolver import Resolver
from luota.alerts.sender import AT_ONCE
from luota.alerts.smtp import Relay
from luota.alerts.types import routes
from luota.config import Email
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client
from tests.engines import ACTOR
from tests.mailserver import MailServer
from tests.receiver import Receiver, hang

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

HEALTHY = ["well webhook", "well slack", "well email", "well apprise"]
HANGING = ["ill webhook", "ill slack", "ill email", "ill apprise", "ill name"]
MOST_MS = 1000
MANY = AT_ONCE + 1
"""How much each hanging channel is given: more than it has places, and too little for a storm."""
PACE_S = 1.2
"""After which Slack takes the next message at once."""


async def delays(rig, live):
    """Fail a run; return by channel how long its notice took from the queue to the end of its attempt, in ms."""
    await rig.fail(live)
    sql = (
        "SELECT c.name, a.finished_at - d.queued_at FROM deliveries d JOIN channels c ON c.id = d.channel_id "
        "JOIN attempts a ON a.delivery_id = d.id WHERE d.monitor_id = ? AND a.ok"
    )
    async with asyncio.timeout(30):
        while len(rows := await fetch(rig.engine.reader, sql, (live.id,))) < len(HEALTHY):
            await asyncio.sleep(0.02)
    return dict(rows)


@contextlib.asynccontextmanager
async def sending(rig, table):
    """Run a sender meanwhile."""
    rig.send_by(table)
    try:
        yield
    finally:
        await rig.stop()


async def test_channels_of_each_type_that_hang_delay_those_that_work_by_less_than_a_second(rig):
    stuck, asked = threading.Event(), threading.Event()

    def lookup(host, port):
        if host == "stuck.test":
            asked.set()
            stuck.wait()
        return ["127.0.0.1"]

    async with contextlib.AsyncExitStack() as stack:
        well, *ill = [await stack.enter_async_context(Receiver()) for _ in range(4)]
        server = await stack.enter_async_context(MailServer())
        for one in ill:
            one.default = hang
        server.answers = {"RCPT ill@example.org": "HANG"}
        webhook, slack, service = ill
        for state, (to_webhook, to_slack, to_apprise) in (("well", (well, well, well)), ("ill", ill)):
            await rig.add("webhook", f"{state} webhook", url=to_webhook.url)
            await rig.add("slack", f"{state} slack", url=to_slack.url)
            await rig.add("email", f"{state} email", to=[f"{state}@example.org"])
            await rig.add("apprise", f"{state} apprise", url=f"json://127.0.0.1:{to_apprise.port}/")
        await rig.add("webhook", "ill name", url=f"http://stuck.test:{webhook.port}/")

        resolver = Resolver(lookup)
        stack.callback(stuck.set)
        email = Email(host="mail.test", port=server.port, security="plain", sender="luota@example.org")
        client = await stack.enter_async_context(plain_client(LOOPBACK, resolver))
        table = routes(client, rig.engine.clock, Relay(email, resolver), Services(LOOPBACK))

        async with sending(rig, table):
            await delays(rig, await rig.monitor(channels=HEALTHY))  # whatever is loaded at the first use
            await asyncio.sleep(PACE_S)
            alone = await delays(rig, await rig.monitor(channels=HEALTHY))
            sessions = server.connections

        # All of them before any is sent, or a lane would wait for the end of the first alone before it begins the rest.
        for _ in range(MANY):
            await rig.fail(await rig.monitor(channels=HANGING))
        async with sending(rig, table):
            await webhook.wait(AT_ONCE, 60)
            await slack.wait(1, 60)
            await service.wait(THREADS_OF_ONE, 60)
            async with asyncio.timeout(60):
                while server.connections < sessions + AT_ONCE or not asked.is_set():
                    await asyncio.sleep(0.02)
            await asyncio.sleep(PACE_S)
            beside = await delays(rig, await rig.monitor(channels=HEALTHY))
            assert all(one.open for one in ill), "one of them did not hang all the while"
            assert not stuck.is_set()
    slower = {name: beside[name] - alone[name] for name in HEALTHY}
    assert max(slower.values()) < MOST_MS, (alone, beside)
