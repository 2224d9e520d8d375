"""What a service says when it refuses a message by Apprise: told, but for what may be a secret of the URL."""

import asyncio
import logging
from base64 import b64encode

import pytest

from luota.alerts.answer import LENGTH
from luota.alerts.apprise import Services
from luota.alerts.apprise_attempt import ATTEMPT, DETAILS_BYTES, Attempt, Listener
from tests.alerts.notices import notice
from tests.alerts.rig import LOOPBACK
from tests.receiver import Receiver, reply, reset

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself


def to(receiver):
    return {"target": f"json://127.0.0.1:{receiver.port}/"}


async def test_a_refusal_tells_the_beginning_of_what_the_service_answered_in_one_line():
    async with Receiver() as receiver:
        receiver.default = reply(403, body='{"error": "no such\n töpic"}'.encode())
        result = await Services(LOOPBACK).send(notice(), to(receiver))
        assert result.answer == '{"error": "no such töpic"}'
        assert result.error == f"JSON refused it: HTTP 403: {result.answer}"
        receiver.default = reply(500, body=b"<p>" + b"broken down " * 1000)
        result = await Services(LOOPBACK).send(notice(), to(receiver))
        assert len(result.answer) <= LENGTH
        assert result.answer.startswith("<p>broken down broken")
        receiver.default = reply(500, body=b"\0\xff")
        assert (await Services(LOOPBACK).send(notice(), to(receiver))).answer is None


async def test_the_text_of_a_redirect_is_not_told_since_it_repeats_where_it_leads():
    async with Receiver() as receiver:
        receiver.default = reply(302, {"location": "http://127.0.0.1/s3cret"}, b"moved to http://127.0.0.1/s3cret")
        result = await Services(LOOPBACK).send(notice(), to(receiver))
    assert (result.status, result.answer, result.error) == (302, None, "JSON refused it: HTTP 302")


async def test_of_several_places_in_one_url_status_and_answer_are_those_of_the_first_that_refused():
    async with Receiver() as receiver:
        receiver.answers = [reply(403, body=b"not you"), reply(500, body=b"broken")]
        target = f"rocket://hookone/hooktwo@127.0.0.1:{receiver.port}/#ops/#desk"
        result = await Services(LOOPBACK).send(notice(), {"target": target})
    assert len(receiver.requests) == 2
    assert (result.status, result.answer) == (403, "not you")


async def test_the_beginning_of_a_secret_at_the_end_of_what_is_known_of_an_answer_is_left_out():
    async with Receiver() as receiver:
        receiver.default = reply(401, body=b"no: ".ljust(DETAILS_BYTES - 6) + b"s3cretpart and more")
        result = await Services(LOOPBACK).send(notice(), {"target": to(receiver)["target"] + "s3cretpart"})
    assert result.answer == "no:"


async def test_what_is_refused_with_an_answer_is_told_of_its_own_service_and_part_alone():
    async with Receiver() as one, Receiver() as two:
        one.default, two.default = reply(500, body=b"one is down"), reset
        services = Services(LOOPBACK)
        results = await asyncio.gather(*(services.send(notice(), to(receiver)) for receiver in (one, two)))
    assert [result.answer for result in results] == ["one is down", None]


ECHOED = {
    "user and password": ("json://s3cretuser:s3cretpass@{}/", b64encode(b"s3cretuser:s3cretpass").decode()),
    "an escaped user": ("json://s3cret%3Auser:pass@{}/", b64encode(b"s3cret:user:pass").decode()),
    "an escaped part of the path": ("json://{}/some/s3cret%2Fpath/end", "s3cret/path"),
    "a part of the path of short parts": ("json://{}/a:s3c@r3t", "a:s3c@r3t"),
    "a part of a part of the path": ("json://{}/bot:s3cretpart@x", "s3cretpart"),
    "a header": ("json://{}/?+X-Key=s3cret%20key", "s3cret key"),
    "a header of short words": ("json://{}/?+X-Key=s3c+r3t", "s3c r3t"),
    "a field of the body": ("json://{}/?:key=a%2Fs3cret%3D%3D", "a/s3cret=="),
    "a value of a query": ("json://{}/?-key=s3cret,s3cret2", "s3cret,s3cret2"),
}


@pytest.mark.parametrize(("target", "secret"), ECHOED.values(), ids=ECHOED.keys())
async def test_a_secret_of_the_url_that_a_service_repeats_is_not_told(target, secret):
    async with Receiver() as receiver:
        receiver.default = reply(401, body=f"not good: {secret}, {secret.upper()}".encode())
        result = await Services(LOOPBACK).send(notice(), {"target": target.format(f"127.0.0.1:{receiver.port}")})
    assert result.answer == "not good: …, …"


def test_a_slip_of_a_services_module_in_what_it_logs_does_not_end_its_attempt():
    attempt = Attempt(LOOPBACK)
    token = ATTEMPT.set(attempt)
    try:
        for words, said in (("%d", "no number"), ("%s", "b'\\N'"), ("%s", "b'\xff'"), ("%s", b"it's \xff")):
            record = logging.makeLogRecord({"msg": f"Response Details:\r\n{words}", "args": (said,)})
            Listener().emit(record)
    finally:
        ATTEMPT.reset(token)
    assert attempt.answer == b"it's \xff"
