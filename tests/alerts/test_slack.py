"""Slack: what is sent fits, mentions nobody, keeps to its pace; what Slack answers leads to the right state."""

import asyncio
import random
import time

import pytest
from msgspec import structs

from luota.alerts.notice import GapFacts, IncidentFacts, MonitorFacts, Named, Notice, Told
from luota.alerts.sender import Sender
from luota.alerts.slack import FALLBACK, HEADER, MOST_BLOCKS, SECTION, Pace, message_of, pieces, send
from luota.alerts.transport import Resolver
from luota.alerts.types import routes
from luota.clock import SystemClock
from luota.core.evidence import RunFacts
from luota.core.text import visible
from luota.engine import Engine, channels
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, plain_client
from tests.engines import ACTOR, no_death
from tests.hostile import HOSTILE, cut_inside
from tests.receiver import Receiver, hang, reply

NOW = 1_790_000_000_000
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def notice(text="broke", **more):
    return Notice(
        type="incident.opened",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary=text[:240],
        incident=IncidentFacts("i1", "failed", "open", NOW, None, None, text[:240]),
        monitor=MonitorFacts(
            "m1", text[:120], text[:500], text[:200], "https://wiki.example.org/a|b", tags={"k": text[:120]}
        ),
        run=RunFacts("r1", text[:200], "failed", NOW - 5000, NOW, text[:240], 3, text, text[:200]),
        **more,
    )


def strings(value):
    match value:
        case dict():
            for one in value.values():
                yield from strings(one)
        case list():
            for one in value:
                yield from strings(one)
        case str():
            yield value


def within_limits(message):
    def units(text):
        return len(text.encode("utf-16-le")) // 2

    assert units(message["text"]) <= FALLBACK
    assert len(message["blocks"]) <= MOST_BLOCKS
    for block in message["blocks"]:
        assert 0 < units(block["text"]["text"]) <= (HEADER if block["type"] == "header" else SECTION)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_that_a_job_writes_is_active_cut_inside_a_character_or_too_long(text):
    message = message_of(notice(text))
    within_limits(message)
    own = "<https://wiki.example.org/a%7Cb>"
    assert sum(own in said for said in strings(message["blocks"])) == 1
    for said in strings(message):
        assert not set("<>\x1b\x07\r\u202e\u2066\u200f") & set(said.replace(own, ""))
        assert "&" not in said.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert not cut_inside(said)
        assert said == visible(said, lines=True)
    assert all(block["text"].get("verbatim") for block in message["blocks"][1:])
    assert (message["parse"], message["link_names"]) == ("none", False)


def test_pieces_hold_the_whole_text_whatever_it_is():
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(
            chance.choice(["a", "&", "<", "\n", "é", FAMILY, "\U0001f600"]) for _ in range(chance.randrange(200))
        )
        found = list(pieces(text, 40))
        assert all(len(piece.encode("utf-16-le")) // 2 <= 40 for piece in found)
        whole = "".join(found).replace("&lt;", "<").replace("&amp;", "&").replace("\n", "")
        assert whole == text.replace("\n", "")


def test_a_gap_of_five_hundred_monitors_fits_and_names_them_all():
    hidden = tuple(
        Named(str(n), f"job {n:03}", "no ping since 2026-11-21T00:52:25.495Z; Luota was not watching")
        for n in range(500)
    )
    told = Notice(
        type="watch.gap",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary="Luota was not running",
        gap=GapFacts(NOW - 9_000_000, NOW, hidden, ()),
    )
    message = message_of(told)
    within_limits(message)
    said = "\n".join(strings(message))
    assert all(f"job {n:03}" in said for n in range(500))


def test_a_digest_of_a_hundred_hostile_incidents_fits_and_names_them_all():
    told = Notice(
        type="incident.digest",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary="Many incidents at once: 100 opened",
        digest=tuple(
            Told("incident.resolved", "i", f"job {n:03} <!here>", "missed", "&" * 300, None, 5_000, "<" * 300)
            for n in range(100)
        ),
    )
    message = message_of(told)
    within_limits(message)
    said = "\n".join(strings(message))
    assert all(f"job {n:03} &lt;!here&gt;: missed (resolved after 5 s)" in said for n in range(100))


def test_what_fits_into_no_message_says_so():
    message = message_of(
        notice("x", gap=GapFacts(0, 1, tuple(Named("m", "n" * 120, "r" * 400) for _ in range(2000)), ()))
    )
    within_limits(message)
    assert "more than fits" in message["blocks"][-1]["text"]["text"]


@pytest.fixture
async def client():
    async with plain_client(LOOPBACK, Resolver()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("answer", "ok", "terminal", "error"),
    [
        (reply(200, body=b"ok"), True, False, None),
        (reply(403, body=b"invalid_token"), False, True, "HTTP 403 from the receiver: invalid_token"),
        (reply(404, body=b"no_service"), False, True, "HTTP 404 from the receiver: no_service"),
        (reply(410, body=b"channel_is_archived"), False, True, "HTTP 410 from the receiver: channel_is_archived"),
        (
            reply(404, body=b"No Service Here; contact ops"),
            False,
            True,
            "HTTP 404 from the receiver: No Service Here; contact ops",
        ),
        (reply(404), False, True, "HTTP 404 from the receiver"),
        (reply(500, body=b"rollup_error"), False, False, "HTTP 500 from the receiver: rollup_error"),
    ],
)
async def test_an_answer_of_slack_leads_to_its_state_and_its_word_is_kept(client, answer, ok, terminal, error):
    async with Receiver() as receiver:
        receiver.default = answer
        result = await send(client, notice(), {"url": receiver.url}, NOW, Pace(0))
    assert (result.ok, result.terminal, result.error) == (ok, terminal, error)


async def test_when_slack_refuses_the_blocks_the_plain_text_is_sent_alone(client):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(400, body=b"invalid_blocks")]
        assert (await send(client, notice(), {"url": receiver.url}, NOW, Pace(0))).ok
        first, second = receiver.requests
        assert "blocks" in first.json
        assert "blocks" not in second.json
        assert first.json["text"] == second.json["text"]


def gaps(requests):
    at = sorted(one.at for one in requests)
    return [later - earlier for earlier, later in zip(at, at[1:], strict=False)]


async def in_turn(client, pace, url):
    async with pace.turn({"url": url}):
        return await send(client, notice(), {"url": url}, NOW, pace)


async def test_messages_to_one_hook_are_apart_as_they_arrive_though_the_first_connects_slowly():
    def slow_once(host, port):
        if not asked:
            asked.append(host)
            time.sleep(0.6)
        return ["127.0.0.1"]

    asked, pace = [], Pace(0.4)
    async with Receiver() as receiver, plain_client(LOOPBACK, Resolver(slow_once)) as client:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        results = await asyncio.gather(*(in_turn(client, pace, url) for _ in range(4)))
        assert all(result.ok for result in results)
        assert min(gaps(receiver.requests)) >= 390


async def test_the_plain_text_that_is_sent_alone_keeps_to_the_pace_too(client):
    pace = Pace(0.4)
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(400, body=b"invalid_blocks")] * 2
        results = await asyncio.gather(*(in_turn(client, pace, receiver.url) for _ in range(3)))
        assert all(result.ok for result in results)
        assert len(receiver.requests) == 5
        assert min(gaps(receiver.requests)) >= 390


async def test_a_hook_that_never_answers_holds_up_neither_its_next_message_nor_another_hook(client):
    pace = Pace(0.3)
    async with Receiver() as silent, Receiver() as other:
        silent.default = hang
        tasks = [asyncio.ensure_future(in_turn(client, pace, silent.url)) for _ in range(3)]
        await silent.wait(1)
        assert (await in_turn(client, pace, other.url)).ok
        assert len(silent.requests) == 1
        await silent.wait(3, timeout=2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_turn_that_was_not_used_delays_nobody_and_one_that_broke_off_is_passed_on(client):
    pace, loop = Pace(5), asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        async with pace.turn({"url": "a"}):
            pass
    with pytest.raises(ZeroDivisionError):
        async with pace.turn({"url": "a"}):
            raise ZeroDivisionError
    async with pace.turn({"url": "a"}):
        assert loop.time() - began < 1


async def test_after_a_429_the_channel_rests_and_nothing_is_lost(tmp_path, client):
    engine = await Engine.open(tmp_path, SystemClock(), "a test")
    await engine.watch(no_death)
    workspace = next(iter(engine.registry.workspaces.values()))
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "2"})]
        doc = {"type": "slack", "name": "team", "url": receiver.url}
        channel = await engine.submit(channels.add(workspace, doc, ACTOR))
        for _ in range(3):
            await engine.submit(channels.test(workspace.id, channel, "team", ACTOR))

        async def retried(tx):  # tests are attempted once; these shall be notices that are not
            await tx.execute(
                "UPDATE deliveries SET type = 'watch.gap', notice = json_set(notice, '$.from', 0, '$.to', 1, "
                "'$.unverified', json('[]'), '$.undecided', json('[]'))"
            )

        await engine.submit(retried)
        task = asyncio.ensure_future(Sender(engine, routes(client)).run())
        await receiver.wait(3, timeout=30)
        first, second, *_ = receiver.requests
        assert second.at - first.at >= 1900
        assert all(
            later.at - earlier.at >= 900
            for earlier, later in zip(receiver.requests, receiver.requests[1:], strict=False)
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        states = await fetch(engine.reader, "SELECT state FROM deliveries WHERE attempts > 0")
        assert len(states) >= 2
    await engine.close()


def test_the_page_of_the_incident_is_a_link():
    told = notice()
    url = "https://luota.example.org/incidents/i1"
    told = structs.replace(told, incident=structs.replace(told.incident, url=url))
    message = message_of(told)
    assert any(f"*Incident page:* <{url}>" in said for said in strings(message["blocks"]))
    assert url in message["text"]


async def test_the_pace_keeps_no_address_that_is_free_again():
    pace = Pace(0.01)
    for n in range(20):
        settings = {"url": f"https://hooks.example.org/{n}"}
        async with pace.turn(settings):
            pace.sent(settings)
        await asyncio.sleep(0.015)
    assert list(pace._hooks) == ["https://hooks.example.org/19"]
