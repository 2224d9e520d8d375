"""Texts of other people on their way into a message: nothing active in them, nothing cut inside a character."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain, count

_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls but for tab and newline, line and paragraph separators, marks of direction, and halves of a pair."""
_JOINER = "\u200d"
_BACK = 40
"""How far back a cut moves to spare a sequence; longer ones are no characters that anybody would miss."""


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with what a terminal or a reader's eye would obey written out, such as `\x1b` and `\u202e`.

    That is: controls, line and paragraph separators, marks of direction. With `lines`, tabs and line breaks
    stay, each break as one newline; without, they are written as spaces.
    """
    text = text.replace("\r\n", "\n")
    if not lines:
        text = text.replace("\n", " ").replace("\t", " ")
    return _ACTIVE.sub(lambda one: _written(one[0]), text)


@cache
def _written(active: str) -> str:
    return active.encode("unicode_escape").decode()


def head(text: str, most: int) -> str:
    """Return `text`, or as much of its beginning as leaves at most `most` characters with an ellipsis."""
    return text if len(text) <= most else text[: cut(text, most - 1)] + "…"


def tail(text: str, most: int) -> str:
    """Return `text`, or as much of its end as leaves at most `most` characters with an ellipsis."""
    if len(text) <= most:
        return text
    start = len(text) - most + 1
    while start < len(text) and not _between(text, start):
        start += 1
    return "…" + text[start:]


def middle(text: str, most: int) -> str:
    """Return `text`, or its beginning and its end, at most `most` characters with an ellipsis in between."""
    if len(text) <= most:
        return text
    return head(text, most // 2) + tail(text, most - most // 2 + 1)[1:]


def shortened(names: Iterable[str], most: int) -> dict[str, str]:
    """Return each of `names` in at most `most` characters, of which no two look alike: as `middle` has it.

    Those that it makes alike are told from where they differ on, and numbered where they still are: `most` has to
    leave room for that.
    """
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(middle(name, most), []).append(name)
    found = {same[0]: short for short, same in alike.items() if len(same) == 1}
    taken = set(found.values())
    for same in alike.values():
        first, last = min(same), max(same)  # what they have in common, all have
        differ = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        differ = min(differ, min(map(len, same)) - most + 1)
        at = min(cut(name, differ) for name in same)
        for number, name in enumerate(same if len(same) > 1 else ()):
            told, ends = f"…{name[at:]}", (f" {n}" for n in count(number + 1))
            apart = chain((head(told, most),), (head(told, most - len(end)) + end for end in ends))
            found[name] = next(one for one in apart if one not in taken)
            taken.add(found[name])
    return found


def cut(text: str, at: int) -> int:
    """Return the last place at or before `at` that lies between two characters as people see them.

    Spared are combining marks, emoji joined or coloured, variation selectors and flags, up to a length; what
    is longer is cut between code points all the same.
    """
    for place in range(at, max(-1, at - _BACK), -1):
        if _between(text, place):
            return place
    return max(at, 0)


def _between(text: str, place: int) -> bool:
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    if before.isascii() and after.isascii():
        return not (before == "\r" and after == "\n")
    if _JOINER in (before, after) or unicodedata.category(after).startswith("M"):
        return False
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return False
    flags = 0
    while flags < place and _flag_letter(text[place - 1 - flags]):
        flags += 1
    return not (flags % 2 and _flag_letter(after))


def _flag_letter(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"
