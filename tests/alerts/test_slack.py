"""Slack: what is put together fits, mentions nobody, and names all that it can."""

import random
import re

import pytest
from msgspec import structs

from luota.alerts.notice import DeadRoute, GapFacts, IncidentFacts, MonitorFacts, Named, Notice, Told
from luota.alerts.slack import FALLBACK, HEADER, MOST_BLOCKS, SECTION, escaped, message_of, pieces
from luota.core.evidence import Change, RunFacts
from luota.core.spec.monitors import MAX_NAME
from luota.core.text import visible
from tests.hostile import HOSTILE, cut_inside

NOW = 1_790_000_000_000
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def notice(text="broke", **more):
    return Notice(
        type="incident.opened",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary=text[:240],
        incident=IncidentFacts("i1", "failed", "open", NOW, None, None, text[:240]),
        monitor=MonitorFacts(
            "m1", text[:120], text[:500], text[:200], "https://wiki.example.org/a|b", tags={"k": text[:120]}
        ),
        run=RunFacts("r1", text[:200], "failed", NOW - 5000, NOW, text[:240], 3, text, text[:200]),
        **more,
    )


def strings(value):
    match value:
        case dict():
            for one in value.values():
                yield from strings(one)
        case list():
            for one in value:
                yield from strings(one)
        case str():
            yield value


def within_limits(message):
    def units(text):
        return len(text.encode("utf-16-le")) // 2

    assert units(message["text"]) <= FALLBACK
    assert len(message["blocks"]) <= MOST_BLOCKS
    for block in message["blocks"]:
        assert 0 < units(block["text"]["text"]) <= (HEADER if block["type"] == "header" else SECTION)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_that_a_job_writes_is_active_cut_inside_a_character_or_too_long(text):
    message = message_of(notice(text))
    within_limits(message)
    own = "<https://wiki.example.org/a%7Cb>"
    assert sum(own in said for said in strings(message["blocks"])) == 1
    for said in strings(message):
        assert not set("<>\x1b\x07\r\u202e\u2066\u200f") & set(said.replace(own, ""))
        assert "&" not in said.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert not cut_inside(said)
        assert said == visible(said, lines=True)
    assert all(block["text"].get("verbatim") for block in message["blocks"][1:])
    assert (message["parse"], message["link_names"]) == ("none", False)


def test_a_title_that_does_not_fit_into_the_header_stands_whole_below_it():
    told = notice()
    told = structs.replace(told, monitor=structs.replace(told.monitor, name="&" * 117 + "001"))
    assert "&amp;001: failed (open)" in message_of(told)["blocks"][1]["text"]["text"]
    within_limits(message_of(told))


def test_pieces_hold_the_whole_text_whatever_it_is():
    chance = random.Random(1)
    for _ in range(300):
        text = "".join(
            chance.choice(["a", "&", "<", "\n", "é", FAMILY, "\U0001f600"]) for _ in range(chance.randrange(200))
        )
        found = list(pieces(text, 40))
        assert all(len(piece.encode("utf-16-le")) // 2 <= 40 for piece in found)
        whole = "".join(found).replace("&lt;", "<").replace("&amp;", "&").replace("\n", "")
        assert whole == text.replace("\n", "")


def test_a_gap_of_five_hundred_monitors_fits_and_names_them_all():
    hidden = tuple(
        Named(str(n), f"job {n:03}", "no ping since 2026-11-21T00:52:25.495Z; Luota was not watching")
        for n in range(500)
    )
    told = Notice(
        type="watch.gap",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary="Luota was not running",
        gap=GapFacts(NOW - 9_000_000, NOW, hidden, ()),
    )
    message = message_of(told)
    within_limits(message)
    said = "\n".join(strings(message))
    assert all(f"job {n:03}" in said for n in range(500))


def test_a_digest_of_a_hundred_hostile_incidents_fits_and_names_them_all():
    told = Notice(
        type="incident.digest",
        delivery_id="d1",
        channel="team",
        at=NOW,
        queued_at=NOW,
        summary="Many incidents at once: 100 opened",
        digest=tuple(
            Told("incident.resolved", "i", f"job {n:03} <!here>", "missed", "&" * 300, None, 5_000, "<" * 300)
            for n in range(100)
        ),
    )
    message = message_of(told)
    within_limits(message)
    said = "\n".join(strings(message))
    assert all(f"job {n:03} &lt;!here&gt;: missed (resolved after 5 s)" in said for n in range(100))


def gap(names):
    hidden = tuple(
        Named(str(n), name, "no ping since 2026-11-21; Luota was not watching") for n, name in enumerate(names)
    )
    return notice_of(
        "watch.gap", "Luota was not running", gap=GapFacts(NOW - 9_000_000, NOW, hidden[::2], hidden[1::2])
    )


def notice_of(type_, text, **more):
    return Notice(type=type_, delivery_id="d1", channel="team", at=NOW, queued_at=NOW, summary=text, **more)


def shown_in(said, names):
    """Which of these monitors a text names, each for itself, in a line of its own."""
    lines = {line.strip() for line in said.split("\n")}
    return [name for name in names if escaped(visible(name)) in lines]


@pytest.mark.parametrize("count", [1, 90, 500, 2000])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_gap_names_as_many_monitors_as_fit_and_tells_how_many_more_there_are(text, count):
    names = [f"{text[: MAX_NAME - 5]} {n:04}".strip() for n in range(count)]
    message = message_of(gap(names))
    within_limits(message)
    blocks = "\n".join(block["text"]["text"] for block in message["blocks"])
    for said, room in ((message["text"], FALLBACK), (blocks, SECTION * (MOST_BLOCKS - 1))):
        assert nothing_torn_or_active(said)
        said = re.sub("` (?=`)", "`", said)
        if f"{visible(names[0])}: no ping" in said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"):
            assert said.count("no ping since") + said.count(": decided") == count
            continue
        named = len(shown_in(said, names))
        more = re.search(r"^… and ([0-9]+) more$", said, re.MULTILINE)
        assert named + (int(more[1]) if more else 0) == count
        assert named == count or len(said.encode("utf-16-le")) // 2 > room * 3 // 4


def nothing_torn_or_active(said):
    return not re.search("&(?!amp;|lt;|gt;)|[<>\x1b\u202e]", said) and not cut_inside(said)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("type_", ["updated", "reminder", "resolved", "digest"])
def test_whatever_a_notice_tells_fits(type_, text):
    told = notice(text)
    at = NOW + 5_000 if type_ == "resolved" else None
    changes = tuple(Change(text[:40], text[:200], text[:200]) for _ in range(22))
    full = structs.replace(
        told,
        type=f"incident.{type_}",
        incident=structs.replace(told.incident, resolved_at=at, opened_summary=text),
        monitor=structs.replace(told.monitor, tags={f"{n} {text[:36]}": text[:120] for n in range(16)}),
        changes=changes,
    )
    if type_ == "digest":
        several = tuple(Told("incident.opened", f"i{n}", text[:120], "failed", text, None, 5, text) for n in range(30))
        full = notice_of("incident.digest", text[:240], digest=several)
    within_limits(message_of(full))
    assert all(nothing_torn_or_active(said) for said in strings(message_of(full)) if "wiki.example.org" not in said)


@pytest.mark.parametrize(
    "told",
    [
        notice_of("channel.test", "&" * 900),
        notice_of("channel.failed", "x", dead=DeadRoute("c", "<" * 80, "slack", "e")),
    ],
)
def test_a_notice_of_no_incident_fits(told):
    within_limits(message_of(told))


def test_an_address_that_is_too_long_for_a_link_stands_as_text():
    told = notice()
    told = structs.replace(
        told, monitor=structs.replace(told.monitor, runbook="https://wiki.example.org/?" + "&" * 1970)
    )
    within_limits(message_of(told))
    assert "*Runbook:* https://wiki.example.org/?&amp;" in "".join(strings(message_of(told)["blocks"]))


def test_what_fits_into_no_message_says_so():
    told = structs.replace(notice("x"), run=structs.replace(notice("x").run, output="\u202e" * 2000))
    changes = tuple(Change("host", "\u202e" * 200, "\u202e" * 200) for _ in range(100))
    message = message_of(structs.replace(told, changes=changes))
    within_limits(message)
    assert "more than fits" in message["blocks"][-1]["text"]["text"]
    assert "more than fits" in message["text"]


def test_the_page_of_the_incident_is_a_link():
    told = notice()
    url = "https://luota.example.org/incidents/i1"
    told = structs.replace(told, incident=structs.replace(told.incident, url=url))
    message = message_of(told)
    assert any(f"*Incident page:* <{url}>" in said for said in strings(message["blocks"]))
    assert url in message["text"]
