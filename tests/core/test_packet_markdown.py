"""What anybody wrote is code in the Markdown of a packet: a parser finds nothing active in it, and the text exactly."""

import functools
import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from luota.core.evidence import RunFacts
from luota.core.markdown import code, fence, in_line, table
from luota.core.model import Mode, Rules, Window
from luota.core.packet import (
    Attempt,
    Delivery,
    Drill,
    Edit,
    Event,
    IncidentFacts,
    MonitorFacts,
    Packet,
    Run,
    Signal,
    to_json,
)
from luota.core.packet_markdown import to_markdown
from luota.core.schedule import parse_schedule
from luota.core.spec.monitors import Definition
from luota.core.text import visible
from tests.hostile import HOSTILE

NOW = 1_777_426_391_398
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
STRICT = MarkdownIt("commonmark")
"""It knows no tables, as CommonMark does not; HTML is live in both."""
HARMLESS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "strong_open", "strong_close"),
    *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close"),
    *("th_open", "th_close", "td_open", "td_close", "inline", "text", "softbreak", "hr", "code_inline", "fence"),
}
MARKUP = (
    "`a`",
    "``",
    "` `` ```",
    "a\n```\n# out\n<script>",
    "~~~\n```````\n",
    "|a|b|",
    "\\",
    "\\|",
    "a\\\\|`|`\\",
    " a ",
    "   ",
    "\ta\t",
    "\n\n",
    "\n- [x](http://x) @ann #12 ![i](j)\n\n    code",
    "&lt;&#96;",
    "<!-- ",
    "]]>",
    "$x$ :tada: www.example.org ann@example.org",
    "---\n===",
    "[a]: http://x\n",
)

texts = st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("`|\\ \n\t<>[]()!*_~#@&-")))


def packet(text, kind="failed", mode=Mode.RUN):
    """A packet in which `text` stands wherever a person, a job or a destination has a say."""
    facts = RunFacts(
        *("run-1", text, "failed", NOW - 60_000, NOW, text, 3, text, text, text, text),
        tags={text: text},
    )
    run = Run(
        facts, NOW - 60_000, NOW - 60_000, NOW, NOW + 1, late=True, skewed=False, start_payload=text, close_payload=text
    )
    before = RunFacts("run-0", text, "success", NOW - 900_000, NOW - 890_000, tags={})
    healthy = Run(before, 1, 1, 2, 3, late=False, skewed=False, start_payload=None, close_payload=None)
    signal = Signal("s", NOW, NOW, NOW, False, True, text, text, text)
    words = (text, text, text, text)
    incident = IncidentFacts("i", kind, "resolved", NOW, NOW, text, 2, NOW, NOW, NOW + 1, text, *words)
    rules = Rules(mode=mode, schedule=parse_schedule({"cron": "0 2 * * *", "timezone": "Europe/Helsinki"}))
    definition = Definition(name=text, slug="slug", rules=rules, environment=text, tags={text: text}, channels=(text,))
    attempt = Attempt(1, NOW, NOW + 120, False, 503, text, text)
    answered = (NOW, NOW, None, text, text, None, None)
    return Packet(
        incident=incident,
        monitor=MonitorFacts("m", definition, None, (Edit(NOW, text, (text,)),)),
        drill=Drill("m0", text, "failed"),
        run=run,
        healthy=healthy,
        signal=signal,
        events=(Event(NOW, NOW, "opened", "failed", text, None), Event(NOW, NOW, "note", None, text, text)),
        deliveries=(Delivery("d", text, "webhook", "incident.opened", "failed_retrying", *answered, (attempt,)),),
        windows_since=NOW - 2,
        windows=(Window(NOW - 1, NOW, text),),
        earlier_windows=3,
        exported_at=NOW,
        version="1.2.3",
    )


def tokens(parsed):
    """All tokens of a parsed text, those inside lines too, in order."""
    for token in parsed:
        yield token
        yield from token.children or ()


def own_words(parsed):
    """What is not code in a text, and the shape in which it stands."""
    return [
        (token.type, token.content if token.type == "text" else token.info if token.type == "fence" else "")
        for token in tokens(parsed)
        if token.type != "code_inline"
    ]


@functools.cache
def own_words_of(text):
    return own_words(PARSER.parse(to_markdown(packet(text))))


def spoken(parsed):
    return [token.content for token in tokens(parsed) if token.type == "code_inline"]


def blocks(parsed):
    return [token.content for token in tokens(parsed) if token.type == "fence"]


def check(text):
    markdown = to_markdown(packet(text))
    shown = visible(text, lines=True)
    parsed = PARSER.parse(markdown)
    for one in (parsed, STRICT.parse(markdown)):
        found = {token.type for token in tokens(one)}
        assert found <= HARMLESS, found - HARMLESS
    # A text of the same lines, with nothing in it that any Markdown knows, leads to the same document.
    tame = re.sub(r"[^\n]+", "x", shown)
    assert own_words(parsed) == own_words_of(tame)
    ended = shown if shown.endswith("\n") else shown + "\n"
    assert blocks(parsed) == [ended] * 4  # the ping's payload, output, payloads of start and close
    # Every table tells every line of it, one after the other.
    promise, *_ = [block for block in tables(parsed) if block[0][0] == "Promise"]
    for label in ("Promise", "Why this verdict", "Runbook at opening"):
        assert value_of(promise, label) == (shown or "-")


def tables(parsed):
    """The rows of each table, each cell as the code in it, else as its text."""
    found, row = [], []
    for before, token in itertools.pairwise(parsed):
        if token.type == "tbody_open":
            found.append([])
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and found:
            found[-1].append(row)
        elif token.type == "inline" and before.type == "td_open":
            row.append("".join(child.content for child in token.children))
    return found


def value_of(rows, label):
    """The value of a fact, which goes on in rows without a label."""
    begun = next(number for number, row in enumerate(rows) if row[0] == label)
    lines = [rows[begun][1]]
    for row in rows[begun + 1 :]:
        if row[0]:
            break
        lines.append(row[1])
    return "\n".join(lines)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_shown_exactly_and_nothing_in_it_is_active(name):
    check(HOSTILE[name])


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_shown_exactly_and_does_nothing(text):
    check(text)


@settings(max_examples=150, deadline=None)
@given(texts)
@example("")
@example("\n")
def test_any_text_is_shown_exactly_and_nothing_in_it_is_active(text):
    check(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_a_table_keeps_its_shape_and_tells_every_line_exactly(rows):
    (found,) = tables(PARSER.parse(table(("A", "B"), [(code(a), code(b)) for a, b in rows])))
    told = iter(found)
    for pair in rows:
        lines = [(visible(text, lines=True) or "-").split("\n") for text in pair]
        for expected in itertools.zip_longest(*lines, fillvalue=""):
            assert next(told) == list(expected)
    assert next(told, None) is None


@settings(max_examples=300, deadline=None)
@given(texts)
def test_a_block_ends_where_its_text_does(text):
    parsed = PARSER.parse(fence(text, "text") + "\nafter\n")
    assert [token.type for token in parsed] == [
        *("fence", "paragraph_open", "inline", "paragraph_close"),
    ]
    shown = visible(text, lines=True)
    assert blocks(parsed) == [shown if shown.endswith("\n") else shown + "\n"]


@settings(max_examples=300, deadline=None)
@given(texts)
def test_a_text_in_a_heading_or_a_sentence_stays_on_its_line(text):
    line = visible(text)
    for sentence in (f"# Incident: {in_line(text)} failed", f"The last one was {in_line(text)}, started."):
        assert "\n" not in in_line(text)
        parsed = PARSER.parse(sentence)
        assert spoken(parsed) == ([line] if line else [])
        assert {token.type for token in tokens(parsed)} <= HARMLESS


def test_what_a_terminal_would_obey_is_written_out_in_markdown_and_exact_in_json():
    text = "\x1b[2J\u202egnp.exe"
    assert "\\x1b[2J\\u202egnp.exe" in to_markdown(packet(text))
    assert not set("\x1b\u202e") & set(to_markdown(packet(text)))
    assert to_json(packet(text))["run"]["output"] == text


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("kind", ("missed", "stuck", "failed", "stale"))
def test_a_packet_stands_on_its_own_for_every_kind_and_mode(mode, kind):
    markdown = to_markdown(packet("x", kind, mode))
    headings = re.findall(r"^## (.+)$", markdown, re.MULTILINE)
    assert headings == [
        *("What arrived", "What changed since the last healthy run", "Definition", "Timeline", "Deliveries"),
        "Blind windows",
    ]
    assert markdown.startswith(f"# Incident: `x` {kind} (resolved)\n")
    assert "**Drill `failed`.**" in markdown
    assert "2026-04-29T04:33:11.398+03:00" in markdown
    assert markdown.endswith("Exported 2026-04-29T01:33:11.398Z by Luota 1.2.3.\n")


@pytest.mark.parametrize("state", ["queued", "delivered", "failed_retrying", "failed_terminal", "cancelled"])
def test_the_state_of_a_delivery_is_said_in_the_words_of_the_pages_and_in_json_as_it_is_named(state):
    told = packet("x")
    told = replace(told, deliveries=(replace(told.deliveries[0], state=state),))
    (row,) = re.findall(r"^\|.*`incident.opened` \| ([a-z][^|]*) \|", to_markdown(told), re.MULTILINE)
    assert row == {"failed_retrying": "failed, retrying", "failed_terminal": "failed, terminal"}.get(state, state)
    assert to_json(told)["deliveries"][0]["state"] == state


def test_an_instant_is_told_once_with_the_zone_of_the_schedule_beside_it():
    markdown = to_markdown(packet("x"))
    for label in ("Expected at", "Opened"):
        (row,) = [line for line in markdown.splitlines() if line.startswith(f"| {label}")]
        assert row == f"| {label} | 2026-04-29T01:33:11.398Z, 2026-04-29T04:33:11.398+03:00 in Europe/Helsinki |"
