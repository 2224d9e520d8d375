"""What the pages say of a channel that fails at present, though something was delivered by it before."""

import asyncio
import html
import re

import pytest

from tests.receiver import Receiver, reply
from tests.served import LOOPBACK
from tests.web.reading import words

HOME = "/w/default"


@pytest.fixture
async def served(serve):
    return await serve(send=True, allow=LOOPBACK)


@pytest.fixture
async def hook():
    async with Receiver() as receiver:
        yield receiver


async def add(served, hook, name):
    made = await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": hook.url})
    return made["channel"]["id"]


async def prove(served, channel):
    await served.api("POST", f"/api/channels/{channel}/test")


async def needs(served, client):
    """What needs a human, by the overview."""
    served.clock.advance(1_000)  # what pages share holds for a second
    text = (await client.get(HOME)).text.partition('id="human"')[2].partition("</section>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text.partition(">")[2])).split())


async def test_the_proof_of_delivery_holds_only_while_the_last_attempt_was_taken(served, operator, hook):
    desk = await add(served, hook, "desk")
    job = await served.monitor()
    await job.ping()
    pages = [f"{HOME}/monitors/{job.id}", f"{HOME}/monitors/{job.id}/integration"]
    await prove(served, desk)
    for page in pages:
        assert "Proven for 1 channel." in words(await operator.get(page))
    hook.answers = [reply(503)]
    await prove(served, desk)
    for page in pages:
        said = words(await operator.get(page))
        assert "Failing now, by the last attempt: desk. The channel" in said
        assert "Proven for" not in said
    await prove(served, desk)
    for page in pages:
        assert "Proven for 1 channel." in words(await operator.get(page))


async def test_a_channel_whose_last_attempt_failed_for_good_needs_a_human_until_one_succeeds(served, operator, hook):
    desk = await add(served, hook, "desk")
    job = await served.monitor()
    await job.ping()
    hook.answers = [reply(503)]
    await prove(served, desk)
    said = await needs(served, operator)
    assert "desk cannot be reached The last attempt failed, and none follows" in said
    assert "mend it or wait, then send a test notice: HTTP 503" in said
    assert "unproven" not in said, "it is told once, by what is worst"
    await prove(served, desk)
    assert (await needs(served, operator)).startswith("All is proven")


async def test_a_channel_that_never_worked_and_fails_is_told_once_with_the_answer_and_leads_to_its_page(
    served, operator, hook
):
    desk, job = await add(served, hook, "desk"), await served.monitor("run")
    hook.default = reply(503)
    await job.fail(await job.started())
    async with asyncio.timeout(20):
        while not served.rows("SELECT 1 FROM attempts WHERE finished_at IS NOT NULL"):
            await asyncio.sleep(0.02)
    where = f'href="{HOME}/channels/{desk}"'
    for waited, what in (
        (1_000, "Nothing has been delivered yet, and a notice is tried again"),
        (301_000, "for over 5"),
    ):
        served.clock.advance(waited)
        said = await needs(served, operator)
        assert said.count("desk") == 1, said
        assert what in said
        assert "HTTP 503" in said
        assert "send a test notice" not in said
        assert where in (await operator.get(HOME)).text
    for page in (f"{HOME}/monitors/{job.id}", f"{HOME}/monitors/{job.id}/integration"):
        proof = await operator.get(page)
        assert "send a test notice" not in words(proof)
        assert f"{where}>The channel</a>" in proof.text


async def test_a_dead_route_needs_a_human_for_as_long_as_the_banner_says_so(served, operator, hook):
    desk = await add(served, hook, "desk")
    job = await served.monitor("run")
    hook.answers = [reply(410)]
    await job.fail(await job.started())
    async with asyncio.timeout(20):
        while not served.rows("SELECT 1 FROM channels WHERE failed_at IS NOT NULL"):
            await asyncio.sleep(0.02)
    said = await needs(served, operator)
    assert "desk is a dead route A notice was given up, and nothing delivered since: HTTP 410" in said
    assert "cannot be reached" not in said
    assert "The channel desk is a dead route" in words(await operator.get(HOME))
    await prove(served, desk)
    assert "dead route" not in await needs(served, operator)
    assert "is a dead route" not in words(await operator.get(HOME))
