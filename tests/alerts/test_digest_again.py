"""A digest that did not arrive, while the incidents that it tells go on: nobody hears an opening of what has ended."""

import asyncio
from typing import ClassVar

import pytest

from luota.alerts.apprise import Services
from luota.alerts.resolver import Resolver
from luota.alerts.smtp import Relay
from luota.alerts.types import routes
from luota.config import Email
from luota.core.retry import HORIZON, PAUSES
from luota.core.storms import MOST, SPAN
from luota.engine import channels
from luota.engine.deliveries import BeginAttempt, gather, renew
from luota.store import deliveries
from luota.store.reads import fetch
from tests.alerts.rig import LOOPBACK, Rig, plain_client, rigged
from tests.clock import FakeClock
from tests.engines import ACTOR
from tests.mailserver import MailServer
from tests.receiver import Receiver, after, reply

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

MANY = 12
ANN = ["ann@example.org"]
KEEP_ON = 2
"""How many of them stay open."""


class Many(Rig):
    """Incidents of many monitors, all of these `rules`, that one digest is to tell, by any channel."""

    rules: ClassVar[dict[str, object]] = {}

    async def open(self, type_, **settings):
        self.desk = await self.add(type_, "desk", **settings)
        self.lives = [await self.monitor(name=f"job {number:03}", **self.rules) for number in range(MANY)]
        for live in self.lives:
            await self.fail(live)
        self.engine.clock.advance(SPAN)  # all are due, and none was told: the digest is made at once

    def send(self, server):
        """Start a sender whose email goes to `server`."""
        self.client = plain_client(self.policy, Resolver())
        email = Email(host="127.0.0.1", port=getattr(server, "port", 1), security="plain", sender="luota@example.org")
        self.send_by(routes(self.client, self.engine.clock, Relay(email, Resolver()), Services(LOOPBACK)))

    async def begin_in_vain(self, server):
        """Let a mail server refuse the first attempt of the digest of all openings."""
        server.answers = {"DATA": "451 later"}
        await self.open("email", to=ANN)
        self.send(server)
        await self.refused()

    async def recover(self, lives):
        for live in lives:
            self.engine.clock.advance(1)
            await self.succeed(live)

    async def digests(self):
        return [row for row in await self.rows() if row[0] == "incident.digest"]

    async def refused(self, times=1):
        """Wait until the newest digest was refused that often, and let its pause pass."""
        async with asyncio.timeout(20):
            while not (found := await self.digests()) or found[-1][1:3] != ("failed_retrying", times):
                await asyncio.sleep(0.01)

    def pass_pause(self):
        """Let the first pause pass."""
        self.engine.clock.advance(2 * PAUSES[0])
        self.engine.notices_queued.set()

    async def told(self):
        """Let pauses pass until nothing waits any more."""
        async with asyncio.timeout(20):
            while any(row[3] is not None for row in await self.rows()):
                self.engine.clock.advance(PAUSES[0] // 10)
                self.engine.notices_queued.set()
                await asyncio.sleep(0.02)

    async def once_each(self):
        """Tell which delivered messages name an incident as open or as ended: one each, for all of them."""
        sql = (
            "SELECT count(*), count(DISTINCT incident_id) FROM deliveries d WHERE EXISTS "
            "(SELECT 1 FROM deliveries g WHERE g.id = d.told_by AND g.state = 'delivered')"
        )
        return await fetch(self.engine.reader, sql) == [(MANY, MANY)]


@pytest.fixture
async def many(tmp_path):
    async with rigged(tmp_path, FakeClock(), Many) as many:
        yield many


@pytest.mark.parametrize("type_", ["slack", "apprise"])
async def test_what_ended_before_its_digest_arrived_is_told_in_one_message_that_tells_both(many, type_):
    async with Receiver() as receiver:
        receiver.default = reply(503)
        await many.open(type_, url=receiver.url if type_ == "slack" else f"json://127.0.0.1:{receiver.port}/")
        many.send(None)
        await many.refused()
        await many.recover(many.lives[KEEP_ON:])
        receiver.default = reply(200)
        await many.told()
    first, second = (request.body.decode() for request in receiver.requests)
    assert f"Many incidents at once: {MANY} opened" in first
    assert f"Many incidents at once: {KEEP_ON} opened, {MANY - KEEP_ON} opened and resolved" in second
    for number in range(MANY):
        state = "open" if number < KEEP_ON else "resolved after"
        assert f"job {number:03}: failed ({state}" in second
    assert await many.once_each()
    old, new = await many.digests()
    assert (old[1], new[1:3]) == ("cancelled", ("delivered", 1))
    assert new[5] in old[4], "the old one names the one that took its place"
    sql = "SELECT count(DISTINCT incident_id) FROM deliveries WHERE told_by = ?"
    shown = await fetch(many.engine.reader, sql, (old[5],))
    assert shown == [(MANY,)], "its attempt stays on record with each incident"


async def test_ends_that_a_channel_does_not_want_are_told_where_the_digest_of_the_openings_did_not_arrive(many):
    async with Receiver() as receiver:
        receiver.default = reply(503)
        await many.open("slack", url=receiver.url)
        await many.engine.submit(channels.edit(many.workspace.id, many.desk, "desk", {"notify": ["opened"]}, ACTOR))
        many.send(None)
        await many.refused()
        await many.recover(many.lives[KEEP_ON:])
        receiver.default = reply(200)
        await many.told()
        await many.recover(many.lives[:KEEP_ON])
    assert f"{KEEP_ON} opened, {MANY - KEEP_ON} opened and resolved" in receiver.requests[-1].body.decode()
    assert await many.once_each()


async def test_a_digest_of_which_there_is_no_news_is_repeated_under_its_id_as_it_was(many):
    async with MailServer() as server:
        await many.begin_in_vain(server)
        server.answers = {}
        await many.told()
        first, second = server.mails
        assert first.raw == second.raw
        ((_, state, attempts, *_),) = await many.digests()
        assert (state, attempts) == ("delivered", 2)


async def test_news_that_is_gone_by_the_time_of_looking_changes_nothing(many):
    await many.open("email", to=ANN)
    waiting = await deliveries.waiting_first(many.engine.reader, many.desk, many.engine.clock.now())
    await many.engine.submit(gather(many.workspace.id, many.desk, [id_ for id_, *_ in waiting]))
    before = await many.rows()
    await many.engine.submit(renew(before[-1][5]))
    assert await many.rows() == before


async def test_a_digest_of_which_an_attempt_may_have_been_cut_off_is_not_put_together_anew(many):
    await many.open("email", to=ANN)
    waiting = await deliveries.waiting_first(many.engine.reader, many.desk, many.engine.clock.now())
    await many.engine.submit(gather(many.workspace.id, many.desk, [id_ for id_, *_ in waiting]))
    ((*_, digest_id),) = await many.digests()
    await many.engine.submit(BeginAttempt(digest_id))
    await many.recover(many.lives)
    before = await many.rows()
    assert await deliveries.outdated_digests(many.engine.reader, many.desk, many.engine.clock.now()) == []
    await many.engine.submit(renew(digest_id))
    assert await many.rows() == before


async def test_an_opening_that_was_cut_off_before_a_storm_is_repeated_as_it_was_and_no_digest_tells_it(many):
    async with MailServer() as server:
        server.answers = {"DATA": "HANG"}
        many.desk = await many.add("email", "desk", to=ANN)
        await many.fail(await many.monitor(name="job"))
        many.send(server)
        async with asyncio.timeout(20):
            while not server.mails:
                await asyncio.sleep(0.01)
        await many.stop()  # the message is there, and nobody will ever record it
        server.answers = {}
        for number in range(MOST):
            await many.fail(await many.monitor(name=f"other {number:03}"))
        many.send(server)
        async with asyncio.timeout(20):
            while len(server.mails) < 2:
                await asyncio.sleep(0.01)
        await many.told()
        first, again, digest = server.mails
        assert again.raw == first.raw
        assert f"{MOST} opened" in digest.message["Subject"]
        assert "job:" not in digest.part("plain")


async def test_a_digest_that_was_cut_off_in_a_later_attempt_is_repeated_as_it_was_before_the_ends_are_told(many):
    async with MailServer() as server:
        await many.begin_in_vain(server)
        server.answers = {"DATA": "HANG"}
        many.pass_pause()
        async with asyncio.timeout(20):
            while len(server.mails) < 2:
                await asyncio.sleep(0.01)
        await many.stop()  # the message is there, and nobody will ever record it
        server.answers = {}
        await many.recover(many.lives)
        many.send(server)
        await many.told()
        assert len({mail.raw for mail in server.mails[:3]}) == 1
        *_, ends = server.mails
        assert ends.message["Subject"] == f"Many incidents at once: {MANY} resolved"


async def test_a_digest_that_was_cut_off_is_repeated_as_it_was_though_the_repeat_was_refused_and_there_is_news(many):
    async with MailServer() as server:
        server.answers = {"DATA": "HANG"}
        await many.open("email", to=ANN)
        many.send(server)
        async with asyncio.timeout(20):
            while not server.mails:
                await asyncio.sleep(0.01)
        await many.stop()  # the message is there, and nobody will ever record it
        server.answers = {"MAIL": "451 later"}
        many.send(server)
        await many.refused(2)  # with the one that was cut off
        await many.recover(many.lives[:KEEP_ON])
        server.answers = {}
        await many.told()
        first, again, *ends = server.mails
        assert again.raw == first.raw
        assert ["(resolved" in mail.message["Subject"] for mail in ends] == [True] * KEEP_ON
        assert [row[1:3] for row in await many.digests()] == [("delivered", 3)]


@pytest.mark.parametrize("news", [False, True], ids=["no news", "news"])
async def test_a_digest_is_given_up_72_hours_after_the_first_attempt_of_what_it_tells_and_told_elsewhere(many, news):
    async with MailServer() as server, Receiver() as other:
        await many.channel("other", other.url)
        many.rules = {"channels": ["desk"]}
        await many.begin_in_vain(server)
        if news:
            await many.recover(many.lives[:1])
        many.engine.clock.advance(HORIZON)
        many.engine.notices_queued.set()
        await many.until(lambda rows: any(row[:2] == ("channel.failed", "delivered") for row in rows))
        await many.told()
    assert [row[1] for row in await many.digests()] == ["cancelled", "failed_terminal"] if news else ["failed_terminal"]
    types = [request.json["type"] for request in other.requests]
    assert types.count("incident.opened") == MANY - news
    assert types.count("incident.resolved") == news


async def test_a_digest_that_ends_while_it_is_on_its_way_is_put_together_anew_only_once_it_failed(many):
    go_on = asyncio.Event()
    async with Receiver() as receiver:
        receiver.answers = [reply(503), after(go_on, reply(503))]
        await many.open("slack", url=receiver.url)
        many.send(None)
        await many.refused()
        many.pass_pause()
        await receiver.wait(2)
        await many.recover(many.lives[KEEP_ON:])
        assert len(await many.digests()) == 1
        go_on.set()
        await many.refused(2)
        await many.told()
    assert len({request.body for request in receiver.requests[:2]}) == 1
    assert f"{MANY - KEEP_ON} opened and resolved" in receiver.requests[-1].body.decode()
    assert len(receiver.requests) == 3


async def test_a_digest_that_had_to_wait_for_its_first_attempt_is_brought_up_to_date_before(many):
    async with Receiver() as receiver:
        await many.open("slack", url=receiver.url)
        waiting = await deliveries.waiting_first(many.engine.reader, many.desk, many.engine.clock.now())
        await many.engine.submit(gather(many.workspace.id, many.desk, [id_ for id_, *_ in waiting]))
        await many.recover(many.lives[KEEP_ON:])
        many.send(None)
        await many.told()
    (request,) = receiver.requests
    assert f"{KEEP_ON} opened, {MANY - KEEP_ON} opened and resolved" in request.body.decode()


async def test_the_pauses_go_on_where_those_of_the_digest_before_stood(many):
    async with MailServer() as server:
        await many.begin_in_vain(server)
        await many.recover(many.lives[:1])
        many.pass_pause()
        async with asyncio.timeout(20):
            while len(await many.digests()) < 2:
                await asyncio.sleep(0.01)
        await many.refused()
        *_, (_, _, _, due, *_) = await many.digests()
        assert due - many.engine.clock.now() > 2 * PAUSES[0]


async def test_an_end_whose_opening_a_digest_told_answers_that_digest(many):
    async with MailServer() as server:
        await many.open("email", to=ANN)
        many.send(server)
        await many.told()
        await many.recover(many.lives[:1])
        await many.told()
        digest, end = (mail.message for mail in server.mails)
        assert "job 000: failed (resolved" in end["Subject"]
        assert end["In-Reply-To"] == end["References"] == digest["Message-ID"]


async def test_an_end_answers_the_digest_that_arrived_and_not_the_one_whose_place_it_took(many):
    async with MailServer() as server:
        await many.begin_in_vain(server)
        await many.recover(many.lives[1:])
        server.answers = {}
        await many.told()
        await many.recover(many.lives[:1])
        await many.told()
        first, second, end = (mail.message for mail in server.mails)
        assert first["Message-ID"] != second["Message-ID"]
        assert end["In-Reply-To"] == second["Message-ID"]
