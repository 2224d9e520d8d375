"""Each incident of a digest is named, by every channel, however many they are and whatever stands in their names."""

import re
from email import message_from_bytes
from email.policy import default

import pytest

from luota.alerts.apprise import MOST_PARTS, inert, said_of
from luota.alerts.mail import compose
from luota.alerts.notice import Notice, Told
from luota.alerts.slack import FALLBACK, HEADER, MOST_BLOCKS, SECTION, escaped, message_of, together
from luota.core.spec.monitors import MAX_NAME
from luota.core.text import middle, visible
from tests.alerts.notices import AT

WORST = {
    "usual": "Backup of the orders database",
    "ampersands": "&" * MAX_NAME,
    "tags": "<>" * MAX_NAME,
    "mentions": "@" * MAX_NAME,
    "fences": "`" * MAX_NAME,
    "directions": "\u202e" * MAX_NAME,
    "controls": "\x85" * MAX_NAME,
    "emoji": "👩🏽‍🚀" * MAX_NAME,
}
COUNTS = (1, 50, 51, 52, 100, 246, 500)
BODIES = {"Pushover": 512, "Discord": 2000, "Telegram": 4096, "ntfy": 7800}


def names_of(text, count):
    """Names of the greatest length that differ in their last characters."""
    return [f"{text[: MAX_NAME - 4]} {number:03}" for number in range(count)]


def digest(names, **more):
    summary = "run 74a92e79-c459-42ea-81e1-b13faaf59f7e failed: <a> && <b> " * 5
    told = tuple(
        Told("incident.opened", f"i{n}", name, "failed", summary, f"https://luota.example.org/incidents/i{n}", **more)
        for n, name in enumerate(names)
    )
    said = {"type": "incident.digest", "summary": f"Many incidents at once: {len(names)} opened", "digest": told}
    return Notice(delivery_id="82f06f15-b4c4-462c-b264-3896ebc19a3a", channel="team", at=AT, queued_at=AT, **said)


def units(text):
    return len(text.encode("utf-16-le")) // 2


def unnamed(names, said):
    return [name for name in names if name not in said]


@pytest.mark.parametrize("text", WORST.values(), ids=WORST.keys())
def test_slack_names_each_in_blocks_and_in_plain_text_within_its_limits(text):
    for count in COUNTS:
        left = names_of(text, count)
        while left:
            most = together(left)
            now, left = left[:most], left[most:]
            message = message_of(digest(now))
            blocks = [block["text"]["text"] for block in message["blocks"]]
            assert len(blocks) <= MOST_BLOCKS
            assert all(0 < units(said) <= (SECTION if n else HEADER) for n, said in enumerate(blocks))
            assert units(message["text"]) <= FALLBACK
            shown = [escaped(visible(name)) for name in now]
            assert unnamed(shown, message["text"]) == []
            assert (
                unnamed([re.sub("`(?=``)", "` ", name) if len(now) > 1 else name for name in shown], "\n".join(blocks))
                == []
            )


def test_slack_takes_five_hundred_of_usual_names_in_one_digest_and_fifty_of_the_worst():
    assert together(names_of(WORST["usual"], 500)) == 500
    assert min(together(names_of(text, 500)) for text in WORST.values()) >= 50


@pytest.mark.parametrize("text", WORST.values(), ids=WORST.keys())
@pytest.mark.parametrize("count", [2, 90, 500])
def test_email_names_each_in_one_message(count, text):
    names = names_of(text, count)
    mail = message_from_bytes(compose(digest(names), "luota@example.org", ["ann@example.org"]), policy=default)
    plain = mail.get_body(("plain",)).get_content()
    assert unnamed([visible(name) for name in names], plain) == []


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("text", WORST.values(), ids=WORST.keys())
def test_a_hundred_by_apprise_are_nine_parts_at_most_that_name_each_with_its_end_at_least(text, body):
    names = names_of(text, 99)
    notice = digest(names)
    room = body * 3 // 4 - len(notice.summary)
    parts = said_of(notice, room, room)
    assert len(parts) <= MOST_PARTS == 9
    assert all(len(part) <= body * 3 // 4 for part in parts)
    lines = {line[-4:] for part in parts for line in re.split("\n", part)}
    assert {name[-4:] for name in names} <= lines or unnamed([inert(visible(n)) for n in names], "".join(parts)) == []


def test_what_no_shortening_makes_few_parts_by_apprise_keeps_whole_names():
    names = names_of(WORST["usual"], 500)
    assert unnamed(names, "\n".join("".join(said_of(digest(names), 200, 200)).split("\n"))) == []


@pytest.mark.parametrize("count", [2, 500])
def test_no_name_ends_the_block_that_it_stands_in(count):
    for block in message_of(digest(names_of(WORST["fences"], count)))["blocks"][1:]:
        said = block["text"]["text"]
        assert said.count("```") == 2 * said.startswith("```")


def test_an_incident_of_a_digest_that_has_two_states_by_now_is_named_once_where_names_alone_are_told():
    first = digest(names_of(WORST["ampersands"], 50))
    both = [Told("incident.updated", one.incident_id, one.monitor, "stuck", "x") for one in first.digest]
    notice = Notice(
        **{name: getattr(first, name) for name in first.__struct_fields__} | {"digest": (*first.digest, *both)}
    )
    message = message_of(notice)
    assert message["text"].count("stuck (open, it became worse)") == 1
    assert "failed (open)" not in message["text"]
    assert unnamed([escaped(one.monitor) for one in first.digest], message["text"]) == []


def test_a_shortened_name_keeps_its_beginning_and_its_end():
    assert middle("Backup of the orders database 017", 24) == "Backup of t…database 017"
    assert middle("Backup", 24) == "Backup"
    assert len(middle("👩🏽‍🚀" * 40, 24)) <= 24
