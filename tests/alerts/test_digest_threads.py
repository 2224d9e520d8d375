"""What a digest of ends answers, by email, and that it tells of which monitors are down again."""

import json
import uuid

from luota.alerts.brief import brief
from luota.alerts.mail import MOST_ANSWERED
from luota.alerts.notice import Told
from luota.core.model import RunState
from luota.core.storms import SPAN
from luota.engine.deliveries import gather, renew
from luota.store import deliveries
from luota.store.reads import fetch
from tests.alerts.notices import notice
from tests.alerts.test_digest import digest, jobs, lines  # noqa: F401 (jobs is a fixture)
from tests.alerts.test_digest_again import ANN, MANY, many  # noqa: F401 (many is a fixture)
from tests.alerts.test_mail import check_wire, composed
from tests.alerts.test_notice import engine, notices, ran  # noqa: F401 (engine is a fixture)
from tests.mailserver import MailServer


async def end_in_a_digest(many, lives, server):  # noqa: F811
    """Let monitors recover while nothing is sent; return the message that tells of all the ends."""
    await many.stop()
    await many.recover(lives)
    many.engine.clock.advance(SPAN)
    many.send(server)
    await many.told()
    return server.mails[-1].message


async def said_again(many):  # noqa: F811
    """What each digest says of each of its lines: whether the monitor is open again."""
    sql = "SELECT notice FROM deliveries WHERE type = 'incident.digest' ORDER BY seq"
    digests = [json.loads(told) for (told,) in await fetch(many.engine.reader, sql)]
    return [[one["openAgain"] for one in told["incidents"]] for told in digests]


async def test_a_digest_of_ends_answers_the_digest_that_told_of_the_openings(many):  # noqa: F811
    async with MailServer() as server:
        await many.open("email", to=ANN)
        many.send(server)
        await many.told()
        ends = await end_in_a_digest(many, many.lives, server)
        (opened,) = (mail.message for mail in server.mails[:-1])
    assert ends["Subject"] == f"Many incidents at once: {MANY} resolved"
    assert ends["In-Reply-To"] == ends["References"] == opened["Message-ID"]


async def test_a_digest_of_ends_names_every_message_that_told_of_one_and_answers_the_one_that_told_of_most(many):  # noqa: F811
    async with MailServer() as server:
        many.desk = await many.add("email", "desk", to=ANN)
        alone = [await many.monitor(name=f"alone {number}") for number in range(2)]
        many.send(server)
        for live in alone:
            await many.fail(live)
        await many.told()
        await many.stop()
        many.lives = [await many.monitor(name=f"job {number:03}") for number in range(MANY)]
        for live in many.lives:
            await many.fail(live)
        many.engine.clock.advance(SPAN)
        many.send(server)
        await many.told()
        ends = await end_in_a_digest(many, [*alone, *many.lives], server)
        *singles, opened = (mail.message["Message-ID"] for mail in server.mails[:-1])
    assert len(singles) == 2
    assert ends["In-Reply-To"] == opened
    assert ends["References"].split()[-1] == opened
    assert sorted(ends["References"].split()) == sorted([*singles, opened])


async def test_a_digest_of_what_nobody_was_told_of_answers_nothing_though_an_opening_was_tried(many):  # noqa: F811
    async with MailServer() as server:
        await many.begin_in_vain(server)
        await many.stop()
        server.answers = {}
        ends = await end_in_a_digest(many, many.lives, server)
    assert ends["Subject"] == f"Many incidents at once: {MANY} opened and resolved"
    assert ends["In-Reply-To"] is ends["References"] is None


def test_a_digest_names_no_more_messages_than_a_header_can_hold():
    domain = ".".join(letter * 60 for letter in "abcd") + ".example"
    told = [
        Told("incident.resolved", str(uuid.uuid4()), "job", "missed", "x", first_notice=False)
        for _ in range(MOST_ANSWERED + 1)
    ]
    many_told = notice("incident.digest", incident=None, monitor=None, run=None, changes=(), digest=tuple(told))
    raw, message = composed(many_told, sender=f"luota@{domain}")
    check_wire(raw)
    assert len(message["References"].split()) == MOST_ANSWERED
    assert message["In-Reply-To"].split() == message["References"].split()[-1:]
    assert len(raw.partition(b"\r\n\r\n")[0]) < 1 << 14


async def test_a_digest_tells_of_an_end_that_its_monitor_is_down_again(engine, jobs):  # noqa: F811
    for live in jobs:
        await ran(engine, live, "1", RunState.FAILED)
    await notices(engine)
    for live in jobs:
        await ran(engine, live, "2", RunState.SUCCESS)
    await ran(engine, jobs[1], "3", RunState.FAILED)
    told = await digest(engine)
    assert [(one.type, one.open_again) for one in told.digest] == [
        ("incident.resolved", False),
        ("incident.resolved", True),
        ("incident.opened", False),
    ]
    said = brief(told)
    assert "failed (resolved):\njob 0\n" in said
    assert "failed (resolved, open again):\njob 1\n" in said


async def test_a_line_about_an_end_says_that_the_monitor_is_open_again(engine, jobs):  # noqa: F811
    await ran(engine, jobs[0], "1", RunState.FAILED)
    await notices(engine)
    await ran(engine, jobs[0], "2", RunState.SUCCESS)
    await ran(engine, jobs[0], "3", RunState.FAILED)
    ended, again = await lines(engine)
    assert ended.startswith("job 0: failed (resolved after 1 min 1 s, open again): run ")
    assert again.startswith("job 0: failed (open): run ")


async def test_a_digest_that_is_put_together_anew_says_what_is_open_again_by_then_and_the_one_before_stays(many):  # noqa: F811
    async with MailServer() as server:
        await many.open("email", to=ANN)
        many.send(server)
        await many.told()
    await many.stop()
    ended, other = many.lives[0], await many.monitor(name="other")
    await many.recover([ended])
    await many.fail(other)
    waiting = await deliveries.waiting_first(many.engine.reader, many.desk, many.engine.clock.now())
    await many.engine.submit(gather(many.workspace.id, many.desk, [one for one, *_ in waiting]))
    *_, (*_, before) = await many.digests()
    await many.fail(ended)
    await many.recover([other])
    await many.engine.submit(renew(before))
    assert await said_again(many) == [[0] * MANY, [0, 0], [1, 0]]
