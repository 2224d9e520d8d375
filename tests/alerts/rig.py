"""A real engine on a real file, and a sender beside it: what the tests of alerts share."""

import asyncio
import contextlib
from ipaddress import ip_network

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.transport import open_client
from luota.alerts.types import routes
from luota.core.model import RunState
from luota.core.spec.ingest import Close, Start
from luota.engine import channels, monitors
from luota.engine.ingest import CloseRun, StartRun
from luota.store.reads import fetch
from tests.engines import ACTOR, engine_on, workspace_of
from tests.served import NO_TLS

LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"),))


def plain_client(policy, resolver):
    """A client for receivers without TLS: it trusts nobody, which spares the time to load all certificates."""
    return open_client(policy, resolver, ssl_context=NO_TLS)


class Rig:
    """Monitors and channels of an engine, and a sender that can be started and killed."""

    def __init__(self, engine, policy=LOOPBACK):
        self.engine = engine
        self.policy = policy
        self.number = 0
        self.client = self.task = None

    @property
    def workspace(self):
        return workspace_of(self.engine)

    async def start(self):
        self.client = plain_client(self.policy, Resolver())
        self.send_by(routes(self.client, self.engine.clock))

    def send_by(self, table, base_url=None):
        """Start a sender on a table of channel types."""
        self.sender = Sender(self.engine, table, base_url)
        self.task = asyncio.ensure_future(self.sender.run())

    async def stop(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None
        if self.client is not None:
            await self.client.aclose()
            self.client = None

    async def add(self, type_, name, **settings):
        doc = {"type": type_, "name": name, **settings}
        return await self.engine.submit(channels.add(self.workspace, doc, ACTOR))

    async def channel(self, name, url):
        return await self.add("webhook", name, url=url)

    async def test(self, channel_id, name="hook"):
        """Send a test and wait for its outcome; return the id of its delivery."""
        delivery_id = await self.engine.submit(channels.test(self.workspace.id, channel_id, name, ACTOR))
        async with asyncio.timeout(15):
            await self.sender.proofs.prove(delivery_id)
        return delivery_id

    async def monitor(self, **more):
        doc = {"name": "Invoices", "mode": "run", "promise": "Sent by 07:00", "owner": "Ann", **more}
        return await self.engine.submit(monitors.create(self.workspace, doc, ACTOR))

    async def begin(self, live):
        """Start a run."""
        self.number += 1
        return (await self.engine.submit(StartRun(live.id, Start(f"run-{self.number}"), self.engine.clock.now()))).run

    async def end(self, run, state):
        await self.engine.submit(CloseRun(run.id, state, Close(summary="3 of 14 failed"), self.engine.clock.now()))

    async def close(self, live, state):
        run = await self.begin(live)
        await asyncio.sleep(0.003)  # a success must be later than the evidence
        await self.end(run, state)

    async def fail(self, live):
        await self.close(live, RunState.FAILED)

    async def succeed(self, live):
        await self.close(live, RunState.SUCCESS)

    async def first(self, receiver, state):
        """Let a run fail of which a webhook is told, until that notice is in `state`; return the monitor."""
        await self.channel("hook", receiver.url)
        live = await self.monitor()
        await self.start()
        await self.fail(live)
        await self.until(lambda rows: rows[0][1] == state)
        return live

    async def taken_up(self, count):
        """Wait until that many attempts are under way: sent, or waiting for their turn."""
        async with asyncio.timeout(10):
            while len(self.sender._attempts._under_way) < count:
                await asyncio.sleep(0.01)

    async def rows(self):
        sql = "SELECT type, state, attempts, next_attempt_at, last_error, id FROM deliveries ORDER BY seq"
        return await fetch(self.engine.reader, sql)

    async def until(self, condition, within=10.0):
        async with asyncio.timeout(within):
            while not condition(rows := await self.rows()):
                await asyncio.sleep(0.01)
        return rows


@contextlib.asynccontextmanager
async def rigged(directory, clock, kind=Rig):
    """A rig on an engine of its own in `directory`, stopped at the end."""
    async with engine_on(directory, clock) as engine:
        rig = kind(engine)
        try:
            yield rig
        finally:
            await rig.stop()
