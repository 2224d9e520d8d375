import email
import email.policy
import re
import sys
from email.header import decode_header, make_header
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from luota.alerts.mail import SUBJECT_CHARACTERS, compose
from luota.alerts.words import title
from luota.core.text import head, visible
from tests.alerts.notices import notice
from tests.hostile import HOSTILE

SENDER = "luota@example.org"
TO = ("ann@example.org", "bob@example.org")
HEADERS = [
    "Content-Type",
    "MIME-Version",
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "X-Luota-Delivery",
]


def composed(told, recipients=TO, sender=SENDER):
    raw = compose(told, sender, recipients)
    return raw, email.message_from_bytes(raw, policy=email.policy.compat32)


def parts(message):
    return {
        part.get_content_type(): part.get_payload(decode=True).decode().replace("\r\n", "\n")
        for part in message.get_payload()
    }


def subject_of(message):
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", message["Subject"])
    return str(make_header(decode_header(unfolded)))


def check_wire(raw):
    """ASCII in lines of CRLF, none longer than RFC 5322 has it, and the header ends where it should."""
    assert raw.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head_, _, _ = raw.partition(b"\r\n\r\n")
    return [line.partition(b":")[0].decode() for line in head_.split(b"\r\n") if not line.startswith(b" ")]


class Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()
        self.attributes = set()

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_a_message_tells_monitor_kind_and_state_and_every_fact_in_both_parts():
    raw, message = composed(notice())
    assert subject_of(message) == "Invoices: failed (open)"
    text, html = parts(message)["text/plain"], parts(message)["text/html"]
    for part in (text, html):
        for said in ("Invoices: failed (open)", "Sent by 07:00", "3 of 14 failed", "Ann", "line 2", "db0 → db1"):
            assert said in part
    assert "https://wiki.example.org/invoices?a=1&b=2" in text
    assert "https://wiki.example.org/invoices?a=1&amp;b=2" in html
    check_wire(raw)


def test_the_headers_are_these_and_quieten_automatic_answers():
    raw, message = composed(notice())
    assert check_wire(raw) == message.keys() == HEADERS
    assert message["From"] == f"Luota <{SENDER}>"
    assert message["To"] == ", ".join(TO)
    assert message["Date"] == "Wed, 29 Apr 2026 01:33:11 -0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["List-Id"] == "Luota <luota.example.org>"
    assert message.get_content_type() == "multipart/alternative"


def test_a_repeat_is_the_same_to_the_byte():
    assert compose(notice(), SENDER, TO) == compose(notice(), SENDER, TO)


def test_opened_updated_and_resolved_sit_in_one_thread():
    other = "00000000-0000-4000-8000-00000000000"
    opened, again = composed(notice())[1], composed(notice(delivery_id=other + "9"))[1]
    assert opened["Message-ID"] == again["Message-ID"]
    assert opened["In-Reply-To"] is None
    replies = [
        composed(notice(type_, delivery_id=f"{other}{number}"))[1]
        for number, type_ in enumerate(("incident.updated", "incident.resolved", "incident.reminder"))
    ]
    for number, reply in enumerate(replies):
        assert reply["Message-ID"] == f"<{other}{number}@example.org>"
        assert reply["In-Reply-To"] == reply["References"] == opened["Message-ID"]
    assert composed(notice(channel="other"))[1]["Message-ID"] != opened["Message-ID"]


def test_what_belongs_to_no_incident_starts_a_thread_of_its_own():
    message = composed(notice("channel.test", incident=None, monitor=None, run=None, changes=()))[1]
    assert message["Message-ID"] == "<82f06f15-b4c4-462c-b264-3896ebc19a3a@example.org>"
    assert message["References"] is None


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_of_the_hostile_corpus_is_active_anywhere(text):
    told = notice(text=text)
    raw, message = composed(told)
    assert check_wire(raw) == message.keys() == HEADERS
    assert subject_of(message) == head(title(told), SUBJECT_CHARACTERS)
    assert len(message.get_payload()) == 2
    plain, html = parts(message)["text/plain"], parts(message)["text/html"]
    elements = Elements()
    elements.feed(html)
    assert elements.found == set("html head meta title body h1 table tr th td pre p bdi".split()) - (
        set() if "<pre" in html else {"pre"}
    )
    assert not elements.attributes & {"href", "src", "onerror"}
    assert "49" not in html or "49" in text
    for part in (plain, html):
        assert part == visible(part, lines=True)
        assert "\ufffd" not in part
        assert "\n>From" not in "\n" + part
    # A server that reads with the newer half of the library sees the same headers.
    assert email.message_from_bytes(raw, policy=email.policy.default).keys() == HEADERS


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "=?utf-8?q?",
                "=?utf-8?b?",
                "=?x?q?",
                "?=",
                "=0D=0A",
                "=0A",
                "\r",
                "\n",
                " ",
                "\t",
                "Bcc:",
                "_",
                "ä",
                "👩🏽‍🚀",
            ]
            + [
                "eve@example.org",
                "\x0b",
                "\x0c",
                "\x1c",
                "\x85",
                "\u2028",
                "x" * 70,
                "=",
                "?",
                ",",
                "<",
                ">",
                '"',
                "\\",
            ]
        ),
        max_size=24,
    ).map("".join)
)
def test_no_text_grows_a_header_and_the_subject_reads_as_it_was_written(text):
    told = notice("channel.test", summary=text, incident=None, monitor=None, run=None, changes=(), channel=text or "c")
    raw, message = composed(told)
    assert check_wire(raw) == message.keys() == HEADERS
    words = message["Subject"].split()
    assert all(len(word) <= 75 for word in words if word.startswith("=?"))
    assert subject_of(message) == head(visible(text), SUBJECT_CHARACTERS)
    assert re.search(rb"^Subject: (?:\S|\r\n\S|$)", raw, re.MULTILINE) if text else True
    newer = email.message_from_bytes(raw, policy=email.policy.default)
    assert newer.keys() == HEADERS


@pytest.mark.parametrize(
    "text",
    [
        "ä" * 100,
        "ä" + "b" * 100,
        "=?utf-8?q?x?= " * 20,
        "x" * 200,
        "x" * 70 + " y",
        " ä",
        "a  b ",
        "a" + " " * 90 + "b",
    ],
)
def test_a_subject_begins_in_its_first_line_and_is_read_with_no_space_more_or_less(text):
    told = notice("channel.test", summary=text, incident=None, monitor=None, run=None, changes=())
    raw, message = composed(told)
    lines = re.search(rb"^Subject: (.+(?:\r\n .+)*)\r\n", raw, re.MULTILINE)[0].split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert len(lines[0]) > len("Subject: ")
    assert lines[0][9:10] != b" "
    assert subject_of(message) == head(visible(text), SUBJECT_CHARACTERS)
    assert email.message_from_bytes(raw, policy=email.policy.default)["Subject"] == subject_of(message)


@pytest.mark.skipif(sys.version_info >= (3, 11, 10), reason="mended there")
def test_this_release_of_python_would_grow_a_header_through_the_newer_half_of_the_library():
    text = HOSTILE["encoded word, latin"]
    naive = EmailMessage()
    naive["Subject"] = text
    assert b"\nBcc: eve@example.org" in naive.as_bytes()
    assert b"\nBcc" not in composed(notice(text=text))[0]


def test_a_long_list_of_recipients_is_folded_between_addresses():
    recipients = tuple(f"somebody.with.a.name.{number}@department.example.org" for number in range(20))
    raw, _ = composed(notice(), recipients)
    check_wire(raw)
    newer = email.message_from_bytes(raw, policy=email.policy.default)
    assert [address.addr_spec for address in newer["To"].addresses] == list(recipients)


def test_a_resolved_incident_says_how_long_it_lasted_in_its_subject():
    assert subject_of(composed(notice("incident.resolved"))[1]) == "Invoices: failed (resolved after 1 min 30 s)"


def test_the_output_keeps_its_lines_in_both_parts():
    text, html = (parts(composed(notice())[1])[kind] for kind in ("text/plain", "text/html"))
    assert "Output (end):\n    line 1\n    line 2\n" in text
    assert ">line 1\nline 2</pre>" in html


def test_the_page_of_the_incident_is_the_one_link():
    url = "https://luota.example.org/a&b/incidents/" + notice().incident.id
    told = notice(incident=structs.replace(notice().incident, url=url))
    text, html = (parts(composed(told)[1])[kind] for kind in ("text/plain", "text/html"))
    assert f"Incident page: {url}\n" in text
    escaped = url.replace("&", "&amp;")
    assert re.findall('<a href="[^"]*">[^<]*</a>', html) == [f'<a href="{escaped}">{escaped}</a>']
    assert html.count("href") == 1
