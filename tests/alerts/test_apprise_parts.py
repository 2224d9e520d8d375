"""Messages that are too long for a service: what arrives of them, within which time, and after a failure."""

import asyncio
import gc
from ipaddress import ip_network

import pytest

from luota.alerts import apprise
from luota.alerts.apprise import MOST_PARTS, Services
from luota.alerts.brief import brief
from luota.alerts.guard import AddressPolicy
from luota.alerts.notice import GapFacts, Named, Notice, Told
from luota.core.retry import AttemptResult
from tests.alerts.notices import AT
from tests.alerts.rig import LOOPBACK
from tests.receiver import Receiver, hang, reply

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself


def many(count, name="job", **more):
    told = tuple(
        Told(
            "incident.opened",
            f"i{n}",
            f"{name} {n:03}",
            "failed",
            "x" * 150,
            f"https://luota.example.org/incidents/i{n}",
        )
        for n in range(count)
    )
    said = {"type": "incident.digest", "summary": f"Many incidents at once: {count} opened", "digest": told, **more}
    return Notice(delivery_id="d1", channel="phone", at=AT, queued_at=AT, **said)


def rocket(receiver):
    """Of a service that takes 1,000 characters."""
    return {"target": f"rocket://hookone/hooktwo@127.0.0.1:{receiver.port}/#ops"}


def said_by(receiver):
    return "\n".join(request.json["text"] for request in receiver.requests)


async def test_a_digest_of_ninety_names_each_in_a_few_short_messages():
    async with Receiver() as receiver:
        assert await Services(LOOPBACK).send(many(90), rocket(receiver)) == AttemptResult(ok=True)
        assert 1 < len(receiver.requests) <= MOST_PARTS
        said = said_by(receiver)
    assert [n for n in range(90) if f"\njob {n:03}\n" not in f"\n{said}\n".replace("\r", "")] == []
    assert said.replace("\\", "").endswith("\nMore: https://luota.example.org/incidents")


async def test_a_gap_of_many_monitors_names_each_in_a_few_short_messages():
    named = tuple(Named(f"m{n}", f"job {n:03}", "it was to be heard of meanwhile, " + "x" * 150) for n in range(90))
    notice = many(0, type="watch.gap", gap=GapFacts(AT - 60_000, AT, named[:60], named[60:]))
    async with Receiver() as receiver:
        assert await Services(LOOPBACK).send(notice, rocket(receiver)) == AttemptResult(ok=True)
        assert 1 < len(receiver.requests) <= MOST_PARTS
        assert all(f"job {n:03}" in said_by(receiver) for n in range(90))


async def test_further_parts_make_the_deadline_later_and_all_of_them_arrive():
    async with Receiver() as receiver:
        services = Services(LOOPBACK, deadline=2.5)  # with a second between the parts it would pass at the third
        assert await services.send(many(40, name="n" * 90), rocket(receiver)) == AttemptResult(ok=True)
        assert len(receiver.requests) > 4


async def test_the_next_attempt_goes_on_after_the_parts_that_arrived():
    async with Receiver() as receiver:
        services, notice = Services(LOOPBACK, deadline=0.5), many(40, name="n" * 90)
        receiver.answers[:] = [reply(200), reply(200), reply(503)]
        assert not (await services.send(notice, rocket(receiver))).ok
        assert len(receiver.requests) == 3
        assert (await services.send(notice, rocket(receiver))).ok
        texts = [request.json["text"] for request in receiver.requests]
        assert texts[2] == texts[3]
        assert len(set(texts)) == len(texts) - 1


async def test_what_arrived_is_forgotten_when_the_message_is_another_or_whole(monkeypatch):
    monkeypatch.setattr(apprise, "APART_SECONDS", 0.0)
    async with Receiver() as receiver:
        services = Services(LOOPBACK)
        receiver.answers[:] = [reply(200), reply(503)]
        await services.send(many(40, name="n" * 90), rocket(receiver))
        receiver.requests.clear()
        assert (await services.send(many(40, name="m" * 90), rocket(receiver))).ok
        assert all(f"{n:03}" in said_by(receiver) for n in range(40))
        assert services._sent._of == {}


async def test_no_url_is_kept_once_no_message_to_it_is_under_way():
    async with Receiver() as receiver:
        services = Services(LOOPBACK)
        assert (await services.send(many(2), rocket(receiver))).ok
    gc.collect()
    assert dict(services._of_one) == {}


async def test_a_test_is_sent_beside_messages_that_hang():
    async with Receiver() as receiver:
        receiver.answers[:] = [hang] * apprise.THREADS_OF_ONE
        services = Services(LOOPBACK, deadline=4.0)
        hanging = [asyncio.ensure_future(services.send(many(2), rocket(receiver))) for _ in range(6)]
        await receiver.wait(apprise.THREADS_OF_ONE)
        assert (await services.send(many(0, type="channel.test", summary="A test"), rocket(receiver))).ok
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


def test_only_what_names_many_has_a_brief_form():
    assert brief(many(0)) is None
    assert brief(many(2)) == "failed (open):\njob 000\njob 001\nMore: https://luota.example.org/incidents\n"
