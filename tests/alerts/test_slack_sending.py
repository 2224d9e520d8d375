"""Slack: what it answers leads to the right state, and messages to one hook keep to its pace and rest together."""

import asyncio
import time

import pytest

from luota.alerts.pace import Pace
from luota.alerts.proofs import WITHIN_S
from luota.alerts.resolver import Resolver
from luota.alerts.slack import APART_S, address, send
from luota.alerts.types import routes
from luota.alerts.webhook import DEADLINE_SECONDS
from luota.cli.client import ANSWER_WITHIN_S
from luota.clock import SystemClock
from luota.core.model import RunState
from luota.core.storms import MOST
from luota.engine import channels
from luota.store import deliveries
from luota.store.reads import fetch
from tests.alerts.notices import AT, notice
from tests.alerts.rig import LOOPBACK, plain_client
from tests.engines import ACTOR
from tests.receiver import Receiver, hang, reply


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
        result = await send(client, notice(), {"url": receiver.url}, AT, Pace(0, SystemClock()))
    assert (result.ok, result.terminal, result.error) == (ok, terminal, error)


async def test_when_slack_refuses_the_blocks_the_plain_text_is_sent_alone(client):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(400, body=b"invalid_blocks")]
        assert (await send(client, notice(), {"url": receiver.url}, AT, Pace(0, SystemClock()))).ok
        first, second = receiver.requests
        assert "blocks" in first.json
        assert "blocks" not in second.json
        assert first.json["text"] == second.json["text"]


def gaps(requests):
    at = sorted(one.at for one in requests)
    return [later - earlier for earlier, later in zip(at, at[1:], strict=False)]


async def in_turn(client, pace, url, said=None):
    async with pace.turn(address({"url": url})):
        return await send(client, said or notice(), {"url": url}, AT, pace)


async def test_messages_to_one_hook_are_apart_as_they_arrive_though_the_first_connects_slowly():
    def slow_once(host, port):
        if not asked:
            asked.append(host)
            time.sleep(0.6)
        return ["127.0.0.1"]

    asked, pace = [], Pace(0.4, SystemClock())
    async with Receiver() as receiver, plain_client(LOOPBACK, Resolver(slow_once)) as client:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        results = await asyncio.gather(*(in_turn(client, pace, url) for _ in range(4)))
        assert all(result.ok for result in results)
        assert min(gaps(receiver.requests)) >= 390


async def test_the_plain_text_that_is_sent_alone_keeps_to_the_pace_too(client):
    pace = Pace(0.4, SystemClock())
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(400, body=b"invalid_blocks")] * 2
        results = await asyncio.gather(*(in_turn(client, pace, receiver.url) for _ in range(3)))
        assert all(result.ok for result in results)
        assert len(receiver.requests) == 5
        assert min(gaps(receiver.requests)) >= 390


async def test_the_plain_text_of_a_test_goes_before_what_waits_for_its_hook_too(client):
    pace = Pace(0.2, SystemClock())
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(400, body=b"invalid_blocks")]
        table = [notice("channel.test"), notice(), notice()]
        await asyncio.gather(*(in_turn(client, pace, receiver.url, said) for said in table))
        assert ["blocks" in request.json for request in receiver.requests] == [True, False, True, True]


async def test_a_test_goes_before_a_backlog_that_waits_for_its_hook(rig, client):
    async with Receiver() as receiver:
        hook = await rig.add("slack", "team", url=receiver.url)
        for number in range(3):
            await rig.fail(await rig.monitor(name=f"job {number}"))
        table = routes(client, rig.engine.clock)
        async with table["slack"].turn({"url": receiver.url}, False):  # as a message has it that cannot be connected
            rig.send_by(table)
            await rig.taken_up(3)
            proof = asyncio.ensure_future(rig.test(hook, "team"))
            await rig.taken_up(4)
        await proof
        assert len(receiver.requests) == 1
        assert [row[1:3] for row in await rig.rows() if row[0] == "channel.test"] == [("delivered", 1)]


def test_a_test_is_waited_for_longer_than_it_takes_behind_a_message_that_hangs_and_a_command_longer_still():
    before, own, plain = [DEADLINE_SECONDS + APART_S] * 3
    assert before + own + plain < WITHIN_S < ANSWER_WITHIN_S


async def test_a_hook_that_never_answers_holds_up_neither_its_next_message_nor_another_hook(client):
    pace = Pace(0.3, SystemClock())
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


async def test_the_pace_of_a_hook_holds_whatever_its_address_is_spelled_like():
    pace = Pace(0.3, SystemClock())
    async with Receiver() as receiver:
        host = receiver.url.replace("127.0.0.1", "localhost")
        names = Resolver(lambda *_: ["127.0.0.1"])
        urls = (
            host,
            f"{host}?",
            f"{host}#x",
            host.replace("http", "HTTP"),
            host.replace("localhost", "LocalHost"),
            host.replace("localhost", "localhost."),
            host.replace("localhost", "ann:pass@localhost"),
            host.replace("hook", "%68ook"),
            host.replace("/hook", "//hook/"),
            f"{host}?a=1",
        )
        async with plain_client(LOOPBACK, names) as client:
            assert all(one.ok for one in await asyncio.gather(*(in_turn(client, pace, url) for url in urls)))
        assert len(receiver.requests) == len(urls)
        assert min(gaps(receiver.requests)) >= 290


@pytest.mark.parametrize("more", [":443/T/x", "/T/x?a=1", "/T/x/", "//T//x", "/T/x//?"])
def test_neither_the_scheme_s_own_port_nor_a_query_nor_a_slash_too_many_makes_another_address(more):
    plain = address({"url": "https://hooks.slack.com/T/x"})
    assert address({"url": f"https://hooks.slack.com{more}"}) == plain


@pytest.mark.parametrize("other", [":8443/T/x", "/T/X", "/Tx", "/T", ""])
def test_another_port_or_path_makes_another_address(other):
    assert address({"url": f"https://hooks.slack.com{other}"}) != address({"url": "https://hooks.slack.com/T/x"})


def test_what_is_no_url_is_its_own_address():
    assert address({"url": "http://0177.0.0.1/x"}) == "http://0177.0.0.1/x"


@pytest.mark.parametrize("host", ["127.1", "127.0.0.1.", "0x7f.0.0.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_an_ip_address_is_one_address_in_all_its_spellings(host):
    assert address({"url": f"http://{host}:8080/x"}) == address({"url": "http://127.0.0.1:8080/x"})


async def test_after_a_429_the_channel_rests_and_nothing_is_lost(rig, client):
    async with Receiver() as receiver:
        receiver.answers[:] = [reply(429, {"retry-after": "2"})]
        channel = await rig.add("slack", "team", url=receiver.url)
        for _ in range(3):
            await rig.engine.submit(channels.test(rig.workspace.id, channel, "team", ACTOR))

        async def retried(tx):  # tests are attempted once; these shall be notices that are not
            await tx.execute(
                "UPDATE deliveries SET type = 'watch.gap', notice = json_set(notice, '$.from', 0, '$.to', 1, "
                "'$.unverified', json('[]'), '$.undecided', json('[]'))"
            )

        await rig.engine.submit(retried)
        rig.send_by(routes(client, rig.engine.clock))
        await receiver.wait(3, timeout=30)
        first, second, *_ = receiver.requests
        assert second.at - first.at >= 1900
        assert all(
            later.at - earlier.at >= 900
            for earlier, later in zip(receiver.requests, receiver.requests[1:], strict=False)
        )
        await rig.stop()
        states = await fetch(rig.engine.reader, "SELECT state FROM deliveries WHERE attempts > 0")
        assert len(states) >= 2


async def test_a_storm_that_begins_while_a_notice_waits_for_its_turn_holds_it_too(rig, client):
    async with Receiver() as receiver:
        await rig.add("slack", "team", url=receiver.url)
        runs = [await rig.begin(await rig.monitor(name=f"job {number}")) for number in range(MOST + 2)]
        table = routes(client, rig.engine.clock)
        async with table["slack"].turn({"url": receiver.url}, False):  # as a message has it that takes long to go out
            rig.send_by(table)
            await rig.end(runs[0], RunState.FAILED)
            await rig.taken_up(1)
            for run in runs[1:]:
                await rig.end(run, RunState.FAILED)
        async with asyncio.timeout(10):
            while not rig.sender._storms:
                await asyncio.sleep(0.01)
        assert receiver.requests == []


async def resting_hook(rig, client, receiver):
    """Two channels of one hook, one of which was told to rest for a minute."""
    receiver.answers[:] = [reply(429, {"retry-after": "60"})]
    await rig.add("slack", "team", url=receiver.url)
    await rig.fail(await rig.monitor(channels=["team"]))
    rig.send_by(routes(client, rig.engine.clock))
    await rig.until(lambda rows: rows[0][1] == "failed_retrying")
    await rig.add("slack", "ops", url=f"{receiver.url}?")


async def test_channels_of_one_hook_rest_together_and_nobody_looks_again_and_again_meanwhile(rig, client, monkeypatch):
    looks, due = [], deliveries.due

    async def counted(*args, **more):
        looks.append(args)
        return await due(*args, **more)

    monkeypatch.setattr(deliveries, "due", counted)
    async with Receiver() as receiver:
        await resting_hook(rig, client, receiver)
        await rig.fail(await rig.monitor(name="Other", channels=["ops"]))
        looks.clear()
        await asyncio.sleep(3)
        assert len(receiver.requests) == 1
        assert len(looks) <= 3


async def test_channels_of_one_hook_rest_together_after_a_restart_too(rig, client):
    async with Receiver() as receiver:
        await resting_hook(rig, client, receiver)
        await rig.stop()
        await rig.fail(await rig.monitor(name="Other", channels=["ops"]))
        async with plain_client(LOOPBACK, Resolver()) as again:
            rig.send_by(routes(again, rig.engine.clock))
            await asyncio.sleep(3)
            await rig.stop()
        assert len(receiver.requests) == 1
