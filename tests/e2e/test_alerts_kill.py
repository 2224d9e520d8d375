"""SIGKILL of the real daemon at every boundary of the sender: no notice is lost, a repeat has the same ids."""

import asyncio
import contextlib
import random
from collections import defaultdict

import pytest

from tests.mailserver import MailServer
from tests.process import Daemon
from tests.receiver import Receiver, reply

BOUNDARIES = ("before", "dialled", "webhook asked", "webhook told", "email asked", "email told", "refused", "anywhere")
WITHIN_S = 60
MANY = 15
"""Incidents that are a storm."""


class Deadly:
    """A webhook and an SMTP server of which one ends the daemon at a boundary of its next attempt, once."""

    def __init__(self, luota, receiver, server):
        self.luota, self.receiver, self.server = luota, receiver, server
        self.killed = asyncio.Event()

    def at(self, boundary):
        self.killed.clear()
        self.receiver.answers = []
        self.server.answers = {}
        match boundary:
            case "webhook asked":  # the request is there, no answer yet
                self.receiver.answers = [self._and_kill()]
            case "webhook told":  # the answer is on its way, and nothing of it recorded
                self.receiver.answers = [self._and_kill(reply(200), random.choice((0, 0.001, 0.003, 0.01)))]
            case "refused":  # what is to be recorded is a failure
                self.receiver.answers = [self._and_kill(reply(503), random.choice((0, 0.002, 0.01)))]
            case "email asked":
                self.server.answers = {"DATA": "HANG"}

    def _and_kill(self, answer=None, after=0.0):
        async def answer_and_kill(reader, writer):
            if answer is not None:
                await answer(reader, writer)
                await asyncio.sleep(after)
            await self.kill()

        return answer_and_kill

    async def kill(self):
        await self.luota.kill()
        self.killed.set()


async def _mails(server, count):
    while len(server.mails) <= count:
        await asyncio.sleep(0.001)


async def _one_kill(deadly, luota, job, boundary):
    """Make one incident, and kill at `boundary` of what it sends."""
    mails, connections = len(deadly.server.mails), deadly.server.connections
    run = (await luota.run(job, "1")).json()["run"]
    deadly.at(boundary)
    reply_ = await luota.post(f"/v1/runs/{run['id']}/fail", job, {"summary": "it broke"})
    assert reply_.status_code == 202
    async with asyncio.timeout(WITHIN_S):
        match boundary:
            case "before":
                await deadly.kill()
            case "dialled":
                while deadly.server.connections == connections:
                    await asyncio.sleep(0)
                await deadly.kill()
            case "email asked" | "email told":
                await _mails(deadly.server, mails)
                await deadly.kill()
            case "anywhere":
                await asyncio.sleep(random.uniform(0, 0.08))
                await deadly.kill()
            case _:
                await deadly.killed.wait()
    deadly.receiver.answers = []
    deadly.server.answers = {}


async def _all_delivered(luota):
    open_ = "SELECT count(*) FROM deliveries WHERE state NOT IN ('delivered')"
    async with asyncio.timeout(WITHIN_S):
        while luota.rows(open_) != [(0,)]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=(pytest.mark.long, pytest.mark.timeout(3 * 3600)))])
async def test_no_notice_is_lost_and_a_repeat_has_the_same_ids_wherever_the_sender_is_killed(tmp_path, kills):
    async with Receiver() as receiver, MailServer() as server, contextlib.AsyncExitStack() as stack:
        settings = {
            "email.host": "127.0.0.1",
            "email.port": server.port,
            "email.security": "plain",
            "email.sender": "luota@example.org",
            "server.public_url": "https://luota.example.org",
        }
        luota = await stack.enter_async_context(Daemon(tmp_path / "data", settings))
        await luota.webhook("hook", receiver.url)
        await luota.api("POST", "/api/channels", {"type": "email", "name": "desk", "to": ["ann@example.org"]})
        deadly = Deadly(luota, receiver, server)
        for number in range(kills):
            job = await luota.monitor(f"job {number}", "run")
            await _one_kill(deadly, luota, job, BOUNDARIES[number % len(BOUNDARIES)])
            luota.change("UPDATE deliveries SET next_attempt_at = 1 WHERE state = 'failed_retrying'")
            await luota.start()
            await _all_delivered(luota)
        notices = dict(luota.rows("SELECT d.id, c.type FROM deliveries d JOIN channels c ON c.id = d.channel_id"))
        assert len(luota.rows("SELECT id FROM incidents")) == kills
        assert luota.rows("PRAGMA integrity_check") == [("ok",)]
    assert len(notices) == 2 * kills

    told = defaultdict(list)
    for request in receiver.requests:
        assert request.json["delivery"]["id"] == request.headers["webhook-id"]
        told[request.headers["webhook-id"]].append(request.body)
    message_ids = defaultdict(set)
    for mail in server.mails:
        told[mail.message["X-Luota-Delivery"]].append(mail.raw)
        message_ids[mail.message["Message-ID"]].add(mail.message["X-Luota-Delivery"])
    lost = notices.keys() - told.keys()
    assert not lost, f"{len(lost)} notices lost"
    assert told.keys() == notices.keys(), "what was never queued was sent"
    for delivery_id, copies in told.items():
        assert len(set(copies)) == 1, f"the repeats of {delivery_id} differ"
    assert all(len(ids) == 1 for ids in message_ids.values())
    repeats = sum(len(copies) - 1 for copies in told.values())
    assert repeats >= kills // 8, "no kill came between an attempt and its record"
    print(f"{kills} kills, {len(notices)} notices, 0 lost, {repeats} repeats")


class DeadlyTo(MailServer):
    """A server that ends `luota`, once, when a message with `words` in its subject is there, before it has answered.

    What is to happen `meanwhile` comes first.
    """

    luota = None

    def __init__(self, words):
        super().__init__()
        self.words, self.begun, self.killed = words, False, asyncio.Event()
        self.kill = None

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        if not self.begun and self.words in self.mails[-1].message["Subject"]:
            self.begun = True
            await self.meanwhile()
            self.kill = asyncio.create_task(self._kill())
            await asyncio.shield(self.kill)  # whoever is killed hangs up, which cancels this
        return answer

    async def meanwhile(self):
        pass

    async def _kill(self):
        await self.luota.kill()
        self.killed.set()


def mailing(port):
    """Return the settings that send email to a server on this host."""
    return {
        "email.host": "127.0.0.1",
        "email.port": port,
        "email.security": "plain",
        "email.sender": "luota@example.org",
        "server.public_url": "https://luota.example.org",
    }


async def test_an_opening_that_was_on_its_way_at_a_kill_in_a_storm_is_repeated_as_it_was_and_in_no_digest(tmp_path):
    async with DeadlyTo("job") as server:
        async with Daemon(tmp_path / "data", mailing(server.port)) as luota:
            server.luota = luota
            await luota.api("POST", "/api/channels", {"type": "email", "name": "desk", "to": ["ann@example.org"]})
            jobs = [await luota.monitor(f"job {number:03}", "run") for number in range(MANY)]
            runs = [(job, (await luota.run(job, "1")).json()["run"]["id"]) for job in jobs]

            async def fail(job, run):
                return await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "x"})

            # While the first one is told: were all in one transaction, there would be a digest and no opening.
            server.meanwhile = lambda: asyncio.gather(*(fail(*one) for one in runs[1:]))
            assert (await fail(*runs[0])).status_code == 202
            async with asyncio.timeout(WITHIN_S):
                await server.killed.wait()
            cut_off = list(server.mails)
            await luota.start()
            async with asyncio.timeout(WITHIN_S):
                while luota.rows("SELECT 1 FROM deliveries WHERE next_attempt_at IS NOT NULL"):
                    await asyncio.sleep(0.02)
    assert {mail.raw for mail in cut_off} <= {mail.raw for mail in server.mails[len(cut_off) :]}
    said = [str(mail.message["Subject"]) for mail in {mail.raw: mail for mail in server.mails}.values()]
    said += [
        line for mail in server.mails if "Many" in mail.message["Subject"] for line in mail.part("plain").split("\n")
    ]
    assert [sum(f"job {number:03}:" in line for line in said) for number in range(MANY)] == [1] * MANY


async def test_a_digest_that_was_on_its_way_at_a_kill_is_repeated_as_it_was_and_nothing_beside_it(tmp_path):
    async with DeadlyTo("Many incidents") as server:
        async with Daemon(tmp_path / "data", mailing(server.port)) as luota:
            server.luota = luota
            await luota.api("POST", "/api/channels", {"type": "email", "name": "desk", "to": ["ann@example.org"]})
            jobs = [await luota.monitor(f"job {number:03}", "run") for number in range(MANY)]
            for job in jobs:
                run = (await luota.run(job, "1")).json()["run"]["id"]
                assert (await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "x"})).status_code == 202
            async with asyncio.timeout(WITHIN_S):
                await server.killed.wait()
            await luota.start()
            async with asyncio.timeout(WITHIN_S):
                while luota.rows("SELECT 1 FROM deliveries WHERE next_attempt_at IS NOT NULL"):
                    await asyncio.sleep(0.02)
            digests = luota.rows("SELECT id, state, attempts FROM deliveries WHERE type = 'incident.digest'")
    ((digest_id, *told),) = digests
    assert told == ["delivered", 2], "the attempt that was cut off and the one that repeated it"
    *singles, first, second = server.mails
    assert first.raw == second.raw
    assert {mail.message["X-Luota-Delivery"] for mail in (first, second)} == {digest_id}
    said = [str(mail.message["Subject"]) for mail in singles] + first.part("plain").splitlines()
    assert [sum(f"job {number:03}:" in line for line in said) for number in range(MANY)] == [1] * MANY
