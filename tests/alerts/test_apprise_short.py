"""Services of Apprise that take few characters or lines: how many messages a storm becomes, and what each names."""

import pytest
from apprise import NotifyFormat
from msgspec import structs

from luota.alerts import apprise
from luota.alerts.apprise import MOST_PARTS, SHORT, SHORTER, Services, inert, messages_of
from luota.alerts.notice import GapFacts, Named
from luota.alerts.words import OUTPUT_CHARACTERS
from luota.core.spec.monitors import MAX_NAME
from luota.core.text import visible
from tests.alerts.notices import AT, notice
from tests.alerts.rig import LOOPBACK
from tests.alerts.test_apprise_parts import many
from tests.alerts.test_named import WORST, digest, names_of, unnamed
from tests.hostile import HOSTILE, cut_inside
from tests.receiver import Receiver

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

URLS = {
    140: "plivo://MAXXXXXXXXXXXXXXXXXXX@abcdefghijklmnopqrstuvwxyzabcdefghijklmn/+15551233456/+15551233457",
    160: "46elks://user:password@+15551234567",
    240: f"kumulos://8b799edf-6f98-4d3a-9be7-2862fb4e5752/{'a' * 36}",
    255: f"strmlabs://{'a' * 40}",
    280: "bluesky://user@app-password",
    380: "irc://user@127.0.0.1/#ops",
    400: f"splunk://routing@db78c32e-c0b6-4ac9-9d57-c1fd0e9b5d6b/entity",
    500: "mastodon://token@127.0.0.1",
}
"""A service for each number of characters, as Apprise knows them, below SHORT."""


LONGER = {
    1024: "pover://user@token",
    1000: "rocket://hookone/hooktwo@127.0.0.1/#ops",
    2000: "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    4096: "tgram://123456789:abcdefg_hijklmnop/12315544/",
}


def service_of(url):
    service, *_ = apprise._service(url)
    assert service is not None, url
    service.overflow_mode = "split"
    return service


def messages(told, service):
    """What the service would send, once Apprise has split what is too long still."""
    return [
        one
        for title, body in messages_of(told, service)
        for one in service._apply_overflow(body, title=title, body_format=NotifyFormat.TEXT)
    ]


@pytest.mark.parametrize("text", WORST.values(), ids=WORST.keys())
@pytest.mark.parametrize(("most", "url"), URLS.items())
def test_a_hundred_are_few_messages_of_which_each_fits_and_each_name_stands_with_its_end_at_least(most, url, text):
    service = service_of(url)
    assert service.body_maxlen == most < SHORT
    names = names_of(text, 100)
    for told in (digest(names), gap(names)):
        sent = messages(told, service)
        assert len(sent) <= MOST_PARTS
        assert all(len(one["body"]) <= most for one in sent)
        lines = {line.strip()[-3:] for one in sent for line in one["body"].split("\n")}
        whole = "\n".join(one["body"] for one in sent)
        assert {name[-3:] for name in names} <= lines or unnamed([inert(visible(n)) for n in names], whole) == []


def gap(names):
    hidden = tuple(Named(f"m{n}", name, "no ping; Luota was not watching") for n, name in enumerate(names))
    return many(0, type="watch.gap", summary="Luota was not running", gap=GapFacts(AT - 60_000, AT, hidden, ()))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize(("most", "url"), (URLS | LONGER).items())
def test_any_other_notice_is_one_message_by_a_service_that_takes_few_characters(most, url, text):
    told = notice(text=text[:MAX_NAME])
    told = structs.replace(told, run=structs.replace(told.run, output=text + "x" * OUTPUT_CHARACTERS))
    service = service_of(url)
    assert service.body_maxlen == most
    (one,) = messages(told, service)
    assert one["body"].endswith("…") or "Output (end):\n    …" in one["body"]
    assert not cut_inside(one["title"] + one["body"])


def test_of_one_message_the_first_facts_that_fit_are_told():
    ((title, body),) = messages_of(notice(), service_of(URLS[160]))
    assert title == "Invoices: failed (open)"
    assert body.startswith("Promise: Sent by 07:00\nExpected: ")
    assert body.endswith("\n…")


async def test_the_title_of_a_digest_stands_in_the_first_message_alone_where_few_characters_are_taken():
    async with Receiver() as receiver:
        target = f"mastodon://token@127.0.0.1:{receiver.port}"
        assert (await Services(LOOPBACK).send(many(90), {"target": target})).ok
        said = [request.json["status"] for request in receiver.requests if request.json]
    assert 1 < len(said) <= MOST_PARTS
    assert sum("Many incidents at once" in one for one in said) == 1
    assert [n for n in range(90) if f"job {n:03}" not in "\n".join(said)] == []


@pytest.mark.parametrize(("most", "few"), [(80, 100), (67, 100)])
def test_names_that_no_nine_messages_can_hold_stay_whole(most, few):
    service = service_of(URLS[160])
    service.body_maxlen = most
    names = names_of(WORST["usual"], few)
    assert few * (min(SHORTER) + 1) > MOST_PARTS * most
    assert unnamed(names, "".join(body for _, body in messages_of(digest(names), service)).replace("\n", "")) == []


def test_names_stand_in_one_line_where_a_service_leaves_out_further_lines():
    service = service_of("kodi://127.0.0.1")
    assert service.body_max_line_count == 2
    (one,) = messages(many(90), service)
    assert [n for n in range(90) if f"job {n:03}" not in one["body"]] == []


@pytest.mark.parametrize(
    "form", ["Backup of the {:03} database on the great host in Berlin", "{:03} " + "🦉" * 40 + "x"]
)
@pytest.mark.parametrize("most", URLS)
def test_shortened_names_that_differ_in_the_middle_alone_do_not_look_alike(most, form):
    names = [form.format(number) for number in range(100)]
    for told in (digest(names), gap(names)):
        sent = messages(told, service_of(URLS[most]))
        assert len(sent) <= MOST_PARTS
        lines = [line.strip() for one in sent for line in one["body"].split("\n")]
        assert len({line for line in lines if "…" in line or line in names}) == len(names)
