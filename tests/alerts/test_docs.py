"""docs/alerts.md and docs/webhook.md against the code: the table is walked, the schema holds for real bodies."""

import asyncio
import json
import re
from email.utils import formatdate
from ipaddress import ip_network

import pytest

from luota.alerts import types
from luota.alerts.apprise import Services
from luota.alerts.guard import AddressPolicy
from luota.alerts.messages import encode
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.transport import open_client
from luota.clock import SystemClock
from luota.core.drills import DrillKind
from luota.core.model import RunState
from luota.core.retry import AttemptResult
from luota.core.spec.ingest import Close, Ping, Start
from luota.engine import Engine, channels, drills
from luota.engine.channels import tell_gaps
from luota.engine.deliveries import RecordAttempt, give_up
from luota.engine.ingest import CloseRun, RecordPing, StartRun
from luota.engine.reminders import remind
from luota.store.reads import fetch
from tests.engines import ACTOR, no_death
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
from tests.served import UUID

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
        task = asyncio.ensure_future(Sender(engine, types.routes(client, engine.clock, None, Services(policy))).run())
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
    run = (await engine.submit(StartRun(live.id, Start("1"), engine.clock.now()))).run
    await engine.submit(CloseRun(run.id, RunState.FAILED, Close(summary="broke"), engine.clock.now()))


@pytest.mark.parametrize("page", ["alerts", "drills"])
def test_what_is_named_of_the_pages_stands_on_them(page):
    sources = [*ROOT.glob("luota/web/templates/*.html"), *ROOT.glob("luota/web/dashboard/*.py")]
    shown = "\n".join(path.read_text() for path in sources)
    text = (ROOT / f"docs/{page}.md").read_text()
    told = [one.replace("\n", " ") for one in re.findall(r"^On the pages:.*?(?=\n\n|\Z)", text, re.M | re.S)]
    assert len(told) == {"alerts": 8, "drills": 1}[page]
    named = {name for one in told for name in re.findall(r"(?<!\*)\*([^*]+)\*", one)}
    assert named
    assert [name for name in sorted(named) if name not in shown] == []


FORMATS = {"uuid": UUID.pattern, "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"}


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
    if isinstance(value, str):
        assert len(value) <= schema.get("maxLength", 10**9), path
        assert re.fullmatch(FORMATS.get(schema.get("format"), ".*"), value, re.S), path


BLOCKS = {fence.label: json.loads(fence.text) for fence in fences(ROOT / "docs/webhook.md") if fence.language == "json"}


@pytest.mark.parametrize("label", sorted(BLOCKS.keys() - {"schema"}))
def test_each_example_fits_the_schema(label):
    assert BLOCKS[label]["type"] == label
    check(BLOCKS[label], BLOCKS["schema"], BLOCKS["schema"])


def test_each_type_has_an_example():
    assert BLOCKS.keys() - {"schema"} == set(BLOCKS["schema"]["properties"]["type"]["enum"])


async def test_real_bodies_of_each_type_fit_the_schema(engine, tmp_path):  # noqa: F811
    clock, workspace_id = engine.clock, next(iter(engine.registry.workspaces))
    live = await created(engine, name="Report", mode="run", tags={"a": "b"}, reminderSeconds="1h", maxRuntimeSeconds=60)
    silent = await created(engine, name="Silent", mode="heartbeat", schedule={"every": 7200}, channels=["hook"])
    await engine.submit(RecordPing(silent.id, Ping(host="db-1", deploy_sha="abc"), clock.now()))
    await ran(engine, live, "0", RunState.SUCCESS, Start("0", host="db-0"))
    run = (await engine.submit(StartRun(live.id, Start("1", host="db-1"), clock.now()))).run
    clock.advance(61_000)
    await judged(engine)
    close = Close(summary="broke", output="x" * 5000, exit_code=2)
    await engine.submit(CloseRun(run.id, RunState.FAILED, close, clock.now()))
    made = await told(engine)
    clock.advance(3_600_000)
    await engine.submit(remind)
    made += await told(engine)
    await ran(engine, live, "2", RunState.SUCCESS)
    made += await told(engine)
    clock.advance(7_200_000)
    await judged(engine)
    made += await told(engine)
    await engine.submit(channels.test(workspace_id, engine.channel, "hook", ACTOR))

    workspace = engine.registry.workspaces[workspace_id]
    doc = {"type": "slack", "name": "team", "url": "http://192.0.2.1/"}
    other = await engine.submit(channels.add(workspace, doc, ACTOR))
    delivery_id = await engine.submit(channels.test(workspace_id, other, "team", ACTOR))
    now = clock.now()
    last = RecordAttempt(delivery_id, other, 1, now, now, AttemptResult(ok=False, terminal=True, error="gone"), None)
    await engine.submit(give_up(last, "incident.opened"))
    drill = await engine.submit(drills.begin(silent.id, DrillKind.MISSED, None, ACTOR))
    await engine.submit(RecordPing(drill.twin.id, Ping(), clock.now()))
    clock.advance(3_001)
    await judged(engine)
    made += await told(engine)
    for grace in (60, 3600):
        name = f"patient for {grace} s"
        one = await created(engine, name=name, mode="heartbeat", schedule={"every": 3600}, graceSeconds=grace)
        await engine.submit(RecordPing(one.id, Ping(), clock.now()))
    await engine.close()
    clock.advance(5_400_000)
    again = await Engine.open(tmp_path, clock, "a test")
    await again.watch(no_death)
    again.channel = engine.channel
    await judged(again)
    await again.submit(tell_gaps)
    made += await told(again)
    await again.close()

    bodies = [json.loads(encode(notice)) for notice in made]
    assert {body["type"] for body in bodies} == set(BLOCKS["schema"]["properties"]["type"]["enum"])
    for body in bodies:
        check(body, BLOCKS["schema"], BLOCKS["schema"])
    assert [body for body in bodies if "drill" in body]
    assert [body for body in bodies if "gap" in body and body["gap"]["unverified"] and body["gap"]["undecided"]]
    for part in ("incident", "monitor", "run", "signal", "changes"):
        assert [body for body in bodies if body[part]], part


async def told(engine):
    """All notices, those too that waited for an earlier one."""
    made = []
    while wave := await notices(engine):
        made += wave
    return made


async def judged(engine):
    while await engine.judge(engine.clock.now()):
        pass
