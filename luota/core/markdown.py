"""Markdown in which texts of other people stand as code alone: nothing in them can become active.

Inside code no renderer looks for links, images, HTML, mentions or references; escaping with backslashes would
not keep GitHub from making a mention of a name, or a link of an address. What a terminal or a reader's eye would
obey is written out (`luota.core.text.visible`).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from luota.core.text import visible

Cell = Sequence[str]
"""The lines of one cell of a table, each a piece of Markdown."""

_TICKS = re.compile("`+")


def code(text: str | None) -> Cell:
    """Return a text as code, a cell of as many lines as it has; a dash for None and for an empty one."""
    if not text:
        return ("-",)
    return [_span(line) if line else "" for line in visible(text, lines=True).split("\n")]


def plain(text: str | None) -> Cell:
    """Return a word of Luota's own, an instant or a number as a cell; a dash for None."""
    return ("-" if text is None else text,)


def in_line(text: str) -> str:
    """Return a text as code on one line, for headings and sentences; line breaks become spaces."""
    line = visible(text)
    return _span(line) if line else "-"


def fence(text: str, language: str) -> str:
    """Return a text as a block that nothing in it can end; `language` is a word of our own."""
    shown = visible(text, lines=True)
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{shown}{'' if shown.endswith(chr(10)) else chr(10)}{marks}\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table. A cell of several lines goes on in rows whose other cells are empty."""
    lines = [_row(headers), _row(["---"] * len(headers))]
    for row in rows:
        lines += (_row(map(_in_cell, line)) for line in zip_longest(*row, fillvalue=""))
    return "\n".join(lines) + "\n"


def _span(line: str) -> str:
    """Return one line, which is not empty, as a code span."""
    taken = {len(run) for run in _TICKS.findall(line)}
    marks = "`" * next(length for length in range(1, len(taken) + 2) if length not in taken)
    # A renderer strips one space from both ends, unless there is nothing but spaces.
    room = " " if line.strip(" ") and (line[0] in " `" or line[-1] in " `") else ""
    return f"{marks}{room}{line}{room}{marks}"


def _in_cell(line: str) -> str:
    """Return a line for a cell, where a bar must be escaped even inside code (GFM, "Tables")."""
    return line.replace("|", "\\|")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
