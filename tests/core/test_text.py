import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.text import cut, head, shortened, tail, visible

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1eb\U0001f1ee"
THUMB = "\U0001f44d\U0001f3fd"
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = {"\N{ARABIC LETTER MARK}", "\N{LEFT-TO-RIGHT MARK}", "\N{RIGHT-TO-LEFT MARK}"}
"""Those marks of direction that are no embedding, override or isolate."""


def test_what_a_terminal_or_an_eye_would_obey_is_written_out():
    assert visible("\x1b[31mred\u202egnp.exe\x00\x07") == "\\x1b[31mred\\u202egnp.exe\\x00\\x07"
    assert visible("a\u2028b\x9bc") == "a\\u2028b\\x9bc"


def test_line_breaks_stay_where_lines_are_wanted_and_are_spaces_elsewhere():
    assert visible("a\r\nb\tc", lines=True) == "a\nb\tc"
    assert visible("a\r\nBcc: x\rb") == "a Bcc: x\\rb"


def test_emoji_and_letters_of_any_script_stay_as_they_are():
    text = f"Päivä {FAMILY}{FLAG}{THUMB} שלום e\u0301 \u00a0"
    assert visible(text) == text


@pytest.mark.parametrize("unit", [FAMILY, FLAG, THUMB, "e\u0301", "\u2764\ufe0f"])
@pytest.mark.parametrize("most", range(1, 40))
def test_nothing_is_cut_inside_a_character(unit, most):
    text = unit * 20
    for short in (head(text, most), tail(text, most)):
        assert len(short) <= max(most, 1)
        whole = short.replace("…", "")
        assert whole == unit * (len(whole) // len(unit))


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_is_short_enough_and_a_part_of_the_whole(text, most):
    first, last = head(text, most), tail(text, most)
    assert len(first) <= most
    assert len(last) <= most
    assert text.startswith(first.removesuffix("…")) or first == text
    assert text.endswith(last.removeprefix("…")) or last == text
    assert 0 <= cut(text, most) <= most


def test_of_all_of_unicode_controls_separators_of_lines_and_marks_of_direction_are_written_out_and_nothing_else():
    active = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"}}
    turning = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.bidirectional(c) in DIRECTIONS}
    changed = {c for c in map(chr, range(sys.maxunicode + 1)) if visible(c, lines=True) != c}
    assert changed == (active | turning | MARKS) - {"\n", "\t"}


@given(
    st.sets(st.text(st.sampled_from(["a", "b", " ", "\u0301", *FAMILY]), max_size=30), max_size=40), st.integers(8, 20)
)
def test_shortened_names_are_short_enough_and_no_two_look_alike(names, most):
    found = shortened(names, most)
    assert found.keys() == names
    assert len(set(found.values())) == len(names)
    assert all(len(short) <= most for short in found.values())


def test_names_that_would_look_alike_are_told_from_where_they_differ_on_and_numbered_where_they_still_do():
    names = [f"Backup of the {what} on the host in Berlin" for what in ("orders", "orders (old)", "users")]
    assert list(shortened(names, 20).values()) == [
        "…orders on the host…",
        "…orders (old) on th…",
        "…users on the host …",
    ]
    assert list(shortened(names, 8).values()) == ["…orders…", "…orde… 2", "…users …"]
    assert list(shortened(["x" * 50, "x" * 51, "x" * 52], 8).values()) == ["…xxxxxxx", "…xxxxxx…", "…xxxx… 3"]
    assert shortened(["Reports", *names[:1]], 20) == {"Reports": "Reports", names[0]: "Backup of… in Berlin"}


def test_a_name_that_is_told_from_where_it_differs_begins_with_a_whole_character():
    apart = shortened(["-" * 9 + f"e{mark}" + "-" * 9 for mark in ("", "\u0301")], 8)
    assert list(apart.values()) == ["…e-----…", "…e\u0301----…"]
