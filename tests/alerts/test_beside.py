"""A channel that hangs beside one that works: the delivery of the latter is delayed by less than a second."""

import asyncio
import contextlib
import threading

import pytest

from luota.alerts.apprise import Services
from luota.alerts.sender import Sender
from luota.alerts.smtp import Relay
from luota.alerts.transport import Resolver, open_client
from luota.alerts.types import routes
from luota.config import Email
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.test_sender import ACTOR, LOOPBACK, rig  # noqa: F401 (a fixture)
from tests.mailserver import MailServer
from tests.receiver import Receiver, hang

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

HEALTHY = ["well webhook", "well slack", "well email", "well apprise"]
HANGING = ["ill webhook", "ill slack", "ill email", "ill apprise", "ill name"]
MOST_MS = 1000


async def delays(rig, live):  # noqa: F811
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


async def test_channels_of_each_type_that_hang_delay_those_that_work_by_less_than_a_second(rig):  # noqa: F811
    stuck, asked = threading.Event(), threading.Event()

    def lookup(host, port):
        if host == "stuck.test":
            asked.set()
            stuck.wait()
        return ["127.0.0.1"]

    async with contextlib.AsyncExitStack() as stack:
        ill, well, server = [await stack.enter_async_context(one) for one in (Receiver(), Receiver(), MailServer())]
        ill.default = hang
        server.answers = {"RCPT ill@example.org": "HANG"}
        workspace = next(iter(rig.engine.registry.workspaces.values()))
        for state, receiver in (("well", well), ("ill", ill)):
            json = f"json://127.0.0.1:{receiver.port}/"
            for type_, more in (
                ("webhook", {"url": receiver.url}),
                ("slack", {"url": receiver.url}),
                ("email", {"to": [f"{state}@example.org"]}),
                ("apprise", {"url": json}),
            ):
                doc = {"type": type_, "name": f"{state} {type_}", **more}
                await rig.engine.submit(channels.add(workspace, doc, ACTOR))
                workspace = rig.engine.registry.workspaces[workspace.id]
        doc = {"type": "webhook", "name": "ill name", "url": f"http://stuck.test:{ill.port}/"}
        await rig.engine.submit(channels.add(workspace, doc, ACTOR))

        resolver = Resolver(lookup)
        email = Email(host="mail.test", port=server.port, security="plain", sender="luota@example.org")
        client = await stack.enter_async_context(open_client(LOOPBACK, resolver))
        table = routes(client, Relay(email, resolver), Services(LOOPBACK))
        task = asyncio.ensure_future(Sender(rig.engine, table).run())
        await delays(rig, await rig.monitor(channels=HEALTHY))  # whatever is loaded at the first use
        await asyncio.sleep(1.2)  # the pace of Slack
        alone = await delays(rig, await rig.monitor(channels=HEALTHY))

        for _ in range(9):  # more than a channel has places
            await rig.fail(await rig.monitor(channels=HANGING))
        await ill.wait(8 + 1 + 2)
        await asyncio.to_thread(asked.wait, 10)
        beside = await delays(rig, await rig.monitor(channels=HEALTHY))
        busy = await fetch(rig.engine.reader, "SELECT count(*) FROM deliveries WHERE attempts = 0")
        stuck.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert busy[0][0] >= 9 * len(HANGING) - 20, "the others did not hang"
    slower = {name: beside[name] - alone[name] for name in HEALTHY}
    assert max(slower.values()) < MOST_MS, (alone, beside)
