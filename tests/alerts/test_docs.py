"""docs/alerts.md and docs/webhook.md against the code: the table is walked, the schema holds for real bodies."""

import asyncio
import json
from email.utils import formatdate
from ipaddress import ip_network

import pytest

from luota.alerts import types
from luota.alerts.apprise import Services
from luota.alerts.guard import AddressPolicy
from luota.alerts.messages import body_of
from luota.alerts.sender import Sender
from luota.alerts.transport import Resolver, open_client
from luota.clock import SystemClock
from luota.core.model import RunState
from luota.engine import Engine, channels
from luota.engine.audit import Actor
from luota.store.reads import fetch
from tests.alerts.test_notice import created, engine, notices, ran  # noqa: F401 (engine is a fixture)
from tests.markdown import ROOT, fences
from tests.receiver import (
    Receiver,
    drip_body,
    drip_head,
    garbage,
    half_close,
    hang,
    reply,
    reset,
    self_signed,
)

ACTOR = Actor("test", "test")
NOW = SystemClock().now()
ANSWERS = {
    "200": reply(200),
    "204": reply(204),
    "301": reply(301, {"location": "/x"}),
    "307": reply(307, {"location": "/x"}),
    "400": reply(400),
    "401": reply(401),
    "403": reply(403),
    "404": reply(404),
    "410": reply(410),
    "429": reply(429),
    "429 with Retry-After in seconds": reply(429, {"retry-after": "120"}),
    "429 with Retry-After as a date": reply(429, {"retry-after": formatdate(NOW / 1000 + 600, usegmt=True)}),
    "500": reply(500),
    "503": reply(503),
    "no answer in time": hang,
    "connection refused": None,
    "connection reset": reset,
    "connection half closed": half_close,
    "headers a byte at a time": drip_head,
    "200, then the body a byte at a time": drip_body,
    "not HTTP": garbage,
    "certificate not trusted": reply(200),
    "address not allowed": reply(200),
}


def table():
    """The cells of "What becomes of a message": (condition, type of channel, state)."""
    lines = (ROOT / "docs/alerts.md").read_text().split("## What becomes of a message")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    kinds = [kind.lower() for kind in rows[0][1:]]
    return [
        (condition, kind, state.strip("`"))
        for condition, *states in rows[2:]
        for kind, state in zip(kinds, states, strict=True)
    ]


def no_death(name, error):
    if error is not None:
        raise error


def test_every_condition_that_can_be_played_stands_in_the_table():
    assert {condition for condition, _, _ in table()} == set(ANSWERS)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself
@pytest.mark.parametrize("kind", ["webhook", "slack", "apprise"])
async def test_each_condition_leads_to_the_state_that_the_table_says(kind, tmp_path):
    expected = {condition: state for condition, of, state in table() if of == kind}
    engine = await Engine.open(tmp_path / "data", SystemClock(), "a test")
    await engine.watch(no_death)
    workspace = next(iter(engine.registry.workspaces.values()))
    receivers = {}
    denied = "127.0.0.9"
    tls, _ = self_signed(tmp_path, "localhost")
    for condition, answer in ANSWERS.items():
        host = denied if condition == "address not allowed" else "127.0.0.1"
        receiver = Receiver(host=host, tls=tls if condition == "certificate not trusted" else None)
        await receiver.__aenter__()
        receivers[condition] = receiver
        receiver.default = answer
        url = receiver.url.replace("http", "json", 1) if kind == "apprise" else receiver.url
        if answer is None:
            await receiver.__aexit__()
        await engine.submit(channels.add(workspace, {"type": kind, "name": condition, "url": url}, ACTOR))
    live = await created(engine, name="job", mode="run")
    await ran_now(engine, live)
    policy = AddressPolicy((ip_network("127.0.0.0/8"),), (ip_network(f"{denied}/32"),))
    async with open_client(policy, Resolver()) as client:
        task = asyncio.ensure_future(Sender(engine, types.routes(client, None, Services(policy))).run())
        sql = "SELECT c.name, d.state, d.attempts FROM deliveries d JOIN channels c ON c.id = d.channel_id "
        sql += "WHERE d.type = 'incident.opened'"
        async with asyncio.timeout(60):
            while not all(row[2] for row in await fetch(engine.reader, sql)):
                await asyncio.sleep(0.05)
        rows = await fetch(engine.reader, sql)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for condition, receiver in receivers.items():
        if ANSWERS[condition] is not None:
            await receiver.__aexit__()
    await engine.close()
    assert {name: state for name, state, _ in rows} == expected


async def ran_now(engine, live):
    from luota.core.spec.ingest import Close, Start
    from luota.engine.ingest import CloseRun, StartRun

    run = (await engine.submit(StartRun(live.id, Start("1"), engine.clock.now()))).run
    await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="broke"), engine.clock.now()))


def check(value, schema, root, path="$"):
    """The few words of JSON Schema that ours uses; every key of a body must stand in it."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        assert value in schema["enum"], path
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if "type" in schema:
        named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert isinstance(value, tuple(kinds[name] for name in named)), path
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"]), path
        for key, one in value.items():
            check(one, schema["properties"][key], root, f"{path}.{key}")
    if isinstance(value, list):
        for one in value:
            check(one, schema["items"], root, f"{path}[]")
    assert len(value) <= schema.get("maxLength", 10**9) if isinstance(value, str) else True, path


BLOCKS = {fence.label: json.loads(fence.text) for fence in fences(ROOT / "docs/webhook.md") if fence.language == "json"}


@pytest.mark.parametrize("label", sorted(BLOCKS.keys() - {"schema"}))
def test_each_example_fits_the_schema(label):
    assert BLOCKS[label]["type"] == label
    check(BLOCKS[label], BLOCKS["schema"], BLOCKS["schema"])


async def test_real_bodies_fit_the_schema(engine):  # noqa: F811
    live = await created(engine, name="Report", mode="run", tags={"a": "b"})
    await ran(engine, live, "0", RunState.SUCCESS)
    await ran(engine, live, "1", RunState.FAILED, summary="broke", output="x" * 5000, exit_code=2)
    made = await notices(engine)
    await ran(engine, live, "2", RunState.SUCCESS)
    workspace_id = next(iter(engine.registry.workspaces))
    await engine.submit(channels.test(workspace_id, engine.channel, "hook", ACTOR))
    made += await notices(engine)
    assert {"incident.opened", "incident.resolved", "channel.test"} <= {notice.type for notice in made}
    for notice in made:
        check(body_of(notice), BLOCKS["schema"], BLOCKS["schema"])
