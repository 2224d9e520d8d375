"""The runner of drills: where it reaches its own daemon, and the one address that it opens."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import httpx
import pytest

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.transport import Unreachable, open_client
from luota.alerts.types import routes
from luota.clock import SystemClock
from luota.core.drills import DrillKind
from luota.core.model import RunState
from luota.core.spec.ingest import Close, Start
from luota.drills import _dead_route, own_url
from luota.engine import Engine, drills, monitors
from luota.engine.audit import Actor
from luota.engine.ingest import CloseRun, StartRun
from luota.store.reads import fetch
from tests.served import NO_TLS

ACTOR = Actor("ann", "test")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("192.0.2.7", "http://192.0.2.7:8080"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_the_daemon_reaches_its_own_listener_wherever_that_is_bound(host, url):
    assert own_url(host, 8080) == url


async def test_a_dead_route_may_be_dialled_as_it_is_spelt_while_it_is_open_and_answers_503():
    own: set[tuple[str, int]] = set()
    names = {"inside.test": ["127.0.0.1"]}
    resolver = Resolver(lambda host, _: names[host])
    async with open_client(AddressPolicy(), resolver, own=own, ssl_context=NO_TLS) as client:
        async with _dead_route(own) as url:
            for size in (0, 200_000):
                assert (await client.post(url, content=b"x" * size)).status_code == 503
            port = urlsplit(url).port
            for other in (f"http://inside.test:{port}/", f"http://127.1:{port}/", f"http://127.0.0.1:{port ^ 1}/"):
                with pytest.raises(Unreachable, match="loopback"):
                    await client.post(other)
        assert own == set()
        with pytest.raises(Unreachable, match="loopback"):
            await client.post(url)


async def test_what_is_no_request_gets_no_answer_and_harms_nothing():
    async with _dead_route(set()) as url:
        address = urlsplit(url)
        for said in (b"", b"\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(said)
            writer.write_eof()
            await reader.read()
            writer.close()
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as client:
            assert (await client.get(url)).status_code == 503


async def test_the_lane_of_a_dead_route_ends_with_its_drill(tmp_path):
    own: set[tuple[str, int]] = set()
    async with contextlib.AsyncExitStack() as reverse:
        engine = await Engine.open(tmp_path, SystemClock(), "a test")
        reverse.push_async_callback(engine.close)
        await engine.watch(lambda *_: None)
        client = await reverse.enter_async_context(
            open_client(AddressPolicy(), Resolver(), own=own, ssl_context=NO_TLS)
        )
        sender = Sender(engine, routes(client, engine.clock))
        sending = asyncio.ensure_future(sender.run())
        reverse.callback(sending.cancel)
        url = await reverse.enter_async_context(_dead_route(own))
        workspace = next(iter(engine.registry.workspaces.values()))
        live = await engine.submit(monitors.create(workspace, {"name": "job", "mode": "run"}, ACTOR))
        drill = await engine.submit(drills.begin(live.id, DrillKind.DEAD_ROUTE, url, ACTOR))
        run = (await engine.submit(StartRun(drill.twin.id, Start("1"), engine.clock.now()))).run
        await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="x"), engine.clock.now()))
        async with asyncio.timeout(10):
            while await fetch(engine.reader, "SELECT status FROM attempts") != [(503,)]:
                await asyncio.sleep(0.02)
            assert len(sender._lanes) == 1
            await engine.submit(drills.put_away(drill.twin.id, drill.id))
            await engine.submit(drills.end(drill.id, live.id, drill.twin.id, drill.steps, "why"))
            engine.notices_queued.set()
            while sender._lanes:
                await asyncio.sleep(0.02)
