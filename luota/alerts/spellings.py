r"""Where a text spells a part of one of several words, whichever usual spelling it has for each character.

A receiver that repeats `a+b` may write `a\u002Bb` (JSON), `a&#43;b` (HTML), `a%2Bb` (URLs), or one within another
(`a%252Bb`, `a\u0026#43;b`), and it may repeat a beginning alone. So the text is decoded round by round, and each form
of it is searched for runs of characters of the words, which are decoded as well; and beside each form two others: with
its words unpacked from base64 or hex, and without white space, as of what was wrapped. The time depends on the length
of text and words alone, not on what they hold.
"""

import base64
import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from html.entities import html5

SHORTEST = 4
"""How many characters of a text a part of a word takes at least."""
RUN = 8
LONG_RUN = 16
"""How many characters of a word in a row count as the word; the second of a word with parts, such as an address, and of
the name of a host or a file.

An address shares short runs with others, such as `https://` and the domain of its provider. Shorter words count whole.
"""
JOINT = re.compile(r"[\s/:?&@;,=#+\"'()<>\[\]{}|]+")
"""What stands between the parts of a word; and dots do, but shorter parts than RUN stand in many names between them."""
_NAME = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}|(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
"""What reads like the name of a host or a file. Keys with dots mostly have capitals, or digits behind the last one."""
ROUNDS = 4
"""How often a text is read, each time decoded once more. What is written several times in one way (`%252541`,
`&amp;amp;#43;`, backslashes) is decoded at once."""

_HEX = "[0-9a-fA-F]"
_MORE = f"%(?:25)*[89abAB]{_HEX}"
_SPELLED = re.compile(
    rf"(?P<bytes>%(?:25)*(?:[cdCD]{_HEX}{_MORE}|[eE]{_HEX}(?:{_MORE}){{2}}|[fF]{_HEX}(?:{_MORE}){{3}}))"
    rf"|%(?:25)*(?:(?P<byte>{_HEX}{{2}})|u(?P<unit>{_HEX}{{4}}))"
    r"|\\+(?:"
    rf"u(?P<pair>[dD][89abAB]{_HEX}{{2}}\\+u[dD][c-fC-F]{_HEX}{{2}})|U(?P<long>00(?:0{_HEX}|10){_HEX}{{4}})"
    rf"|[uU](?P<short>{_HEX}{{4}})|[xX](?P<x>{_HEX}{{2}})|[uUxX]\{{0*(?P<braced>{_HEX}{{1,6}})\}}"
    r"|(?P<octal>[0-3][0-7]{2})|(?P<escaped>[^a-zA-Z0-9\s\\]))?"
    rf"|&(?:amp;)*(?:\#0*(?P<decimal>[0-9]{{1,7}})|\#[xX]0*(?P<hex>{_HEX}{{1,6}})|(?P<named>[a-zA-Z][a-zA-Z0-9]{{1,30}}));"
)
_BYTE = re.compile(f"%(?:25)*({_HEX}{{2}})")
_BROKEN_OFF = re.compile(
    rf"(?:%(?:25)*(?:[c-fC-F]{_HEX}(?:{_MORE}){{0,2}}(?:%(?:25)*)?)?(?:u{_HEX}{{0,3}}|{_HEX}?)"
    rf"|\\+(?:u[dD][89abAB]{_HEX}{{2}}\\+)?(?:[uU]{_HEX}{{0,7}}|[xX]{_HEX}?|[0-3][0-7]?|[uUxX]\{{{_HEX}*)?"
    r"|&[#0-9a-zA-Z;]*)\Z"
)
_LONGEST_SPELLING = 40
_HEXED = re.compile(f"{_HEX}{{2}}([: -]?){_HEX}{{2}}(?:\\1{_HEX}{{2}}){{2,}}")
"""With the same between all of its bytes: so each has its place in the text."""
_BASE64 = re.compile(r"[a-zA-Z0-9+/_-]{6,}")
_WRAPPED = re.compile(r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+|=(?:(?P<byte>[0-9A-F]{2})|(?=\s|\Z))")
"""Where what is written over several lines, or as quoted-printable, holds more than it spells."""
_SAME = str.maketrans({"+": " "} | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"))
"""What stands for another character: forms write spaces as plus signs, HTML's `&hyphen;` is none of ASCII."""

Span = tuple[int, int]


def spans(text: str, words: Collection[str], *, whole: bool) -> list[Span]:
    """Return where `text` spells a run of any of `words`, from and to, in order; what overlaps or touches is one.

    Case tells nothing, and no backslash. A run takes SHORTEST characters of the text at least.
    When the text is not `whole`, a word that begins at its end counts as if it were whole, and so does a spelling.
    """
    # Base64 has plus signs, and equals signs at its end, and is one part all the same.
    parted = {one for one in words if _NAME.fullmatch(one) or JOINT.search(one.replace("+", "").rstrip("="))}
    sought = {RUN: _sought({*words} - parted), LONG_RUN: _sought(parted)}
    short = [form for size, forms in sought.items() for form in set(forms.split("\0")) if 0 < len(form) < size]
    runs: dict[int, dict[str, list[Span]]] = {size: {} for size in sought}
    found: list[Span] = []
    ending = len(text)
    for plain, places, wrapped in _readings(text, whole):
        for size, of in runs.items():
            for at in range(len(plain) - size + 1):
                of.setdefault(plain[at : at + size], []).append((places[at], places[at + size]))
        for form in () if wrapped else short:  # without spaces, words that have nothing to do with each other make one
            found += [(places[at], places[at + len(form)]) for at in _places_of(form, plain)]
        if not whole:  # what is longer is a run
            ends = ((at, "\0" + plain[at:]) for at in range(max(0, len(plain) - LONG_RUN), len(plain)))
            begun = (at for at, end in ends if any(end in forms for forms in sought.values()))
            ending = min(ending, places[next(begun, len(plain))])
    # The runs of the text are few, those of the words may be many: they are only looked up.
    for size, forms in sought.items():
        of = runs[size]
        same = {run for at in range(len(forms) - size + 1) if (run := forms[at : at + size]) in of}
        found += [span for run in same for span in of[run]]
    found = [(start, start + len(text[start:end].rstrip())) for start, end in found]
    found = [(start, end) for start, end in found if end - start >= SHORTEST]
    if ending < len(text):
        found.append((ending, len(text)))
    return _joined(found)


def _sought(words: Iterable[str]) -> str:
    """Return each word as it is, decoded, and without white space, between zeros."""
    said = set(words)
    forms = _folded("\0".join(said.union(decoded("\0".join(said)).split("\0"))))
    return f"\0{forms}\0{forms.replace(' ', '')}\0"


def _readings(text: str, whole: bool) -> Iterator[tuple[str, list[int], bool]]:
    """Yield the text as it is, and decoded further and further, each with the places of its characters in it.

    After each come its words unpacked, and the text without white space, which alone is marked by True.
    """
    places = list(range(len(text) + 1))
    for _ in range(ROUNDS):
        if not whole and (broken := _BROKEN_OFF.search(text, max(0, len(text) - _LONGEST_SPELLING))):
            text, places = text[: broken.start()], places[: broken.start() + 1]
        folded = _folded(text)
        yield folded, places, False
        for pattern, unpack in _UNPACKED:
            unpacked, within = _replaced(pattern, unpack, text, places)
            if unpacked != text:
                yield _folded(unpacked), within, False
                unpacked, within = _replaced(_SPELLED, _spelled, unpacked, within)
                yield _folded(unpacked), within, False
        narrow, within = _replaced(_WRAPPED, _unwrapped, text.translate(_SAME), places)
        if narrow != folded:
            yield _folded(narrow), within, True
        before = text
        text, places = _replaced(_SPELLED, _spelled, text, places)
        if text == before:
            break


def _places_of(part: str, text: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _joined(found: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def decoded(word: str) -> str:
    """Return what a word spells."""
    for _ in range(ROUNDS):
        word, before = _SPELLED.sub(_spelled, word), word
        if word == before:
            break
    return word


def _replaced(
    pattern: re.Pattern[str], read: Callable[[re.Match[str]], str], text: str, places: list[int]
) -> tuple[str, list[int]]:
    """Return `text` with what is found in it replaced by what that is read as, and the place of each character.

    `places` are those of the characters of `text`, and its end.
    """
    parts: list[str] = []
    moved: list[int] = []
    last = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        said = read(found)
        parts += text[last:start], said
        moved += places[last:start]
        moved += [places[start + at * (end - start) // len(said)] for at in range(len(said))]
        last = end
    return "".join(parts) + text[last:], moved + places[last:]


def _spelled(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind is None:
        return ""
    said = found[kind]
    if kind == "escaped":
        return said
    if kind == "bytes":
        raw = bytes.fromhex("".join(_BYTE.findall(said)))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if kind == "pair":
        return bytes.fromhex(said[:4] + said[-4:]).decode("utf-16-be")
    if kind == "named":
        return html5.get(f"{said};", html5.get(f"{said.lower()};", found[0]))
    number = int(said, {"decimal": 10, "octal": 8}.get(kind, 16))
    return chr(number) if number < 0x110000 else "\ufffd"


def _from_hex(found: re.Match[str]) -> str:
    return _unpacked(found[0], bytes.fromhex(found[0].translate(_APART)))


def _from_base64(before: int, found: re.Match[str]) -> str:
    """Return what a word packs as base64 behind so many characters that are none of it; its end may be missing."""
    said = found[0][before:].translate(_SAFE)
    said = said[: len(said) - (len(said) % 4 == 1)]
    return _unpacked(found[0], b"\xff" * before + base64.b64decode(said + "=" * (-len(said) % 4)))


def _unpacked(packed: str, raw: bytes) -> str:
    """Return the text in `raw`, or what packed it where there is none, as in most words, which are no base64."""
    said = raw.decode("utf-8", "replace")
    return said if _TEXT.search(said) else packed


_TEXT = re.compile(f"[^\ufffd\\x00-\\x1f\\x7f]{{{SHORTEST},}}")
_SAFE = str.maketrans("-_", "+/")
_APART = dict.fromkeys(map(ord, ": -"))
_UNPACKED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_HEXED, _from_hex),
    *((_BASE64, functools.partial(_from_base64, before)) for before in range(4)),
)
"""How words are unpacked; from base64 in each of the ways in which its groups of four may lie."""


def _unwrapped(found: re.Match[str]) -> str:
    return "" if found["byte"] is None else chr(int(found["byte"], 16))


def _folded(text: str) -> str:
    """Return `text` without case, each character at its place, and with one for all that stand for it."""
    folded = text.casefold()
    if len(folded) != len(text):
        folded = "".join(one if len(one := c.casefold()) == 1 else c for c in text)
    return folded.translate(_SAME)
