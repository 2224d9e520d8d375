"""What is denied gets no connection through the real sender, whatever spells it and whoever resolves it."""

import asyncio
import contextlib
import itertools
import re
import socket
from ipaddress import ip_network

import pytest

from luota.alerts.apprise import Services
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver, system_lookup
from luota.alerts.sender import Sender
from luota.alerts.types import routes
from luota.core.errors import LuotaError
from luota.engine import channels
from luota.store.reads import fetch
from tests.alerts.rig import plain_client
from tests.engines import ACTOR
from tests.alerts.test_guard import DENIED
from tests.receiver import Receiver

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

ODD_NAMES = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127\u30020\u30020\u30021",  # ideographic dots
    "127\uff0e0\uff0e0\uff0e1",  # full-width dots
    "\uff11\uff12\uff17.0.0.1",  # full-width digits
    "\u2460\u2461\u2466.0.0.1",  # encircled digits
    "127.0.0.1\uff0e",
    "user@127.0.0.1",
    "example.org:80@127.0.0.1",
    "127.0.0.1\\@127.0.0.1",
    "example.org@127.0.0.1",
)
SECOND_ONLY = AddressPolicy(allow=(ip_network("127.0.0.2/32"),))
SCHEMES = {"webhook": "http", "slack": "http", "apprise": "json"}


@contextlib.asynccontextmanager
async def sending(rig, policy, lookup=system_lookup):
    async with plain_client(policy, Resolver(lookup)) as client:
        rig.send_by(routes(client, rig.engine.clock, None, Services(policy)))
        yield
        await rig.stop()


async def attempted(rig, count):
    sql = "SELECT c.name, d.state, d.last_error FROM deliveries d JOIN channels c ON c.id = d.channel_id "
    async with asyncio.timeout(90):
        while len(rows := await fetch(rig.engine.reader, sql + "WHERE d.attempts > 0")) < count:
            await asyncio.sleep(0.05)
    return rows


@pytest.mark.parametrize("type_", SCHEMES)
async def test_no_spelling_of_a_denied_address_gets_a_connection(rig, type_):
    async with Receiver(host="0.0.0.0") as four, contextlib.AsyncExitStack() as stack:
        listeners = [four]
        with contextlib.suppress(OSError):  # a machine without IPv6
            listeners.append(await stack.enter_async_context(Receiver(host="::1", port=four.port)))
        tried = 0
        for address in (*DENIED, *ODD_NAMES):
            host = f"[{address.strip('[]')}]" if ":" in address else address
            with contextlib.suppress(LuotaError):  # refused before it could be tried
                await rig.add(type_, f"to {address}", url=f"{SCHEMES[type_]}://{host}:{four.port}/")
                tried += 1
        await rig.fail(await rig.monitor())
        async with sending(rig, AddressPolicy()):
            rows = await attempted(rig, tried)
        assert tried >= 40
        assert [listener.connections for listener in listeners] == [0] * len(listeners)
    assert not [row for row in rows if row[1] == "delivered"]
    assert sum("to allow it, set [alerts] allow_networks" in row[2] for row in rows) >= 30
    # To most of these no listener here could be found. So each network has to be what an attempt was refused for.
    named = re.findall(r'allow_networks = \["(.+?)"\]', " ".join(row[2] for row in rows))
    assert set(named) >= {network for _, network in DENIED.values() if "." in network or len(listeners) > 1}


@pytest.mark.parametrize("type_", SCHEMES)
async def test_a_resolver_that_rebinds_gets_no_connection_to_what_is_denied(rig, type_, monkeypatch):
    flip = itertools.cycle((["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]))
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if not host.endswith(".rebind.test"):
            return real(host, port, *args, **kwargs)
        return [one for address in next(flip) for one in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)  # the resolver is the enemy; all else is real
    async with Receiver() as denied, Receiver(host="127.0.0.2", port=denied.port) as allowed:
        for number in range(30):
            await rig.add(type_, f"n{number}", url=f"{SCHEMES[type_]}://n{number}.rebind.test:{denied.port}/")
        await rig.fail(await rig.monitor())
        async with sending(rig, SECOND_ONLY):
            rows = await attempted(rig, 30)
        assert denied.connections == 0
        assert 0 < allowed.connections <= 30
    refused = [row for row in rows if row[1] != "delivered"]
    assert refused
    assert all("127.0.0.1 is a loopback address" in row[2] for row in refused)
