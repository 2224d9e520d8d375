"""Slack by an incoming webhook: a notice as blocks, with a plain text beside them.

What a job writes can never mention anybody or become a link: `&`, `<` and `>` are escaped everywhere, and
`verbatim` and `parse: none` keep Slack from finding names in what is left. Limits of blocks:
https://docs.slack.dev/reference/block-kit/blocks.
"""

import functools
import re
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import httpx
import msgspec

from luota.alerts import webhook
from luota.alerts.brief import brief
from luota.alerts.guard import literal
from luota.alerts.notice import Notice
from luota.alerts.pace import Pace
from luota.alerts.words import LINKS, facts, text, title
from luota.core.retry import AttemptResult
from luota.core.text import cut, visible

SECTION = 3000
HEADER = 150
FALLBACK = 40_000
"""What Slack shows of a `text`: https://docs.slack.dev/reference/methods/chat.postMessage."""
NAMES = 38_000
"""How much of FALLBACK the names of one digest may take; the rest is for what is said of them."""
MOST_BLOCKS = 50
APART_S = 1.1
"""Slack takes one message a second from a hook; a little more, since messages travel at different speeds."""

_CANNOT_HEAL = frozenset((403, 404, 410))
"""The hook was revoked, its app or its channel removed: Slack makes a new URL then, this one stays dead."""
_FENCE = "```"
_THREE = re.compile("`(?=``)")
"""Each backtick that begins a fence, in a row of many too."""
_JSON = {"content-type": "application/json; charset=utf-8"}


def address(settings: Mapping[str, Any]) -> str:
    """Return what the hook in `settings` is known by, whichever of its spellings a person gave.

    That is host and port as they are dialled, and the path as a server reads it, without slashes that name nothing;
    neither login, query nor fragment: Slack looks at none of them.
    """
    raw: str = settings["url"]
    try:
        url = httpx.URL(raw)  # lowers scheme and host, and drops a port that is the scheme's own
    except httpx.InvalidURL:
        return raw
    name = url.raw_host.decode().rstrip(".")
    dialled = literal(name)
    host = getattr(dialled, "ipv4_mapped", None) or dialled or name
    return f"{url.scheme}://{host}:{url.port}/{'/'.join(filter(None, url.path.split('/')))}"


def together(names: Sequence[str]) -> int:
    """Return how many of the incidents of these monitors one digest can name, whatever stands in their names."""
    taken = 0
    for count, name in enumerate(names):
        taken += _units(escaped(visible(name))) + 1
        if taken > NAMES:
            return count
    return len(names)


async def send(
    client: httpx.AsyncClient, notice: Notice, settings: Mapping[str, Any], now: int, pace: Pace
) -> AttemptResult:
    """Make one attempt; never raises for what Slack does. The error tells Slack's own words, such as `no_service`.

    403, 404 and 410 are terminal. Should Slack refuse the blocks (400), the plain text is sent alone: an ugly
    message is better than none. The caller has a turn of `pace`, and a second message waits for another one, that of a
    test before all others.
    """
    message = message_of(notice)
    result = await _post(client, message, settings, now, pace)
    if result.status == httpx.codes.BAD_REQUEST:
        bare = {key: value for key, value in message.items() if key != "blocks"}
        async with pace.turn(address(settings), first=notice.type == "channel.test"):
            result = await _post(client, bare, settings, now, pace)
    return msgspec.structs.replace(result, terminal=result.status in _CANNOT_HEAL)


def message_of(notice: Notice) -> dict[str, Any]:
    """Return the message: `blocks` within Slack's limits, `text` for notifications and readers without them.

    What is too long of either tells names alone, where there are many (`brief`), and of those as many as fit.
    """
    headline, plain = title(notice), text(notice)
    header = next(pieces(headline, HEADER))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}},
    ]
    sections = list(_sections(notice))
    if header != escaped(headline):  # the name stands nowhere else
        sections.insert(0, next(pieces(headline, SECTION)))
    most = MOST_BLOCKS - len(blocks)
    if len(sections) > most:
        names = _longest_brief(notice, lambda names: len(list(islice(_fenced(names), most + 1))) <= most)
        sections = sections if names is None else list(_fenced(names))
    if len(sections) > most:
        sections[most - 1 :] = [_left_out(notice)]
    if _units(escaped(plain)) > FALLBACK:
        names = _longest_brief(notice, lambda names: _units(escaped(f"{headline}\n\n{names}")) <= FALLBACK)
        end = f"\n{_left_out(notice)}"
        plain = next(pieces(plain, FALLBACK - len(end))) + end if names is None else escaped(f"{headline}\n\n{names}")
    else:
        plain = escaped(plain)
    blocks += [{"type": "section", "text": {"type": "mrkdwn", "text": one, "verbatim": True}} for one in sections]
    return {
        "text": plain,
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _longest_brief(notice: Notice, fits: Callable[[str], bool]) -> str | None:
    """Return the names of as many as fit, and how many more there are; None for a notice that names no many."""
    total = len(notice.digest) if notice.gap is None else len(notice.gap.unverified) + len(notice.gap.undecided)
    shown = functools.cache(visible)
    count = bisect_left(range(1, total + 1), True, key=lambda count: not fits(brief(notice, shown, count) or ""))
    return brief(notice, shown, count)


def _left_out(notice: Notice) -> str:
    return f"… and more than fits into a message. Delivery {notice.delivery_id}"


def escaped(text: str) -> str:
    """Return `text` with the three characters escaped by which Slack marks mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pieces(text: str, most: int) -> Iterator[str]:
    """Yield `text` escaped, in pieces of at most `most` UTF-16 units, cut at line ends or else between characters."""
    start = 0
    while start < len(text) or start == 0:
        fitting = _fits(text, start, most)
        end = cut(text, fitting) if fitting < len(text) else fitting
        newline = text.rfind("\n", start + 1, end)
        if end < len(text) and newline > start:
            end = newline
        end = max(end, start + 1)
        yield escaped(text[start:end])
        start = end + 1 if text[end : end + 1] == "\n" else end


def _fits(text: str, start: int, most: int) -> int:
    """Return the end of the longest stretch from `start` that takes at most `most` units once it is escaped."""
    near = text[start : start + most]
    if _units(escaped(near)) <= most:
        return start + len(near)
    return start + bisect(range(len(near)), most, key=lambda end: _units(escaped(near[:end]))) - 1


def _sections(notice: Notice) -> Iterator[str]:
    """Yield the texts of sections: short facts together, each list and output in sections of its own."""
    together = ""
    for label, said in facts(notice):
        if "\n" in said or label == "Output (end)":
            if together:
                yield together
                together = ""
            yield f"*{escaped(label)}*"
            yield from _fenced(said)
            continue
        start = f"*{escaped(label)}:* "
        line = f"{start}<{escaped(said).replace('|', '%7C')}>"
        if label not in LINKS or _units(line) > SECTION:
            line = start + next(pieces(said, SECTION - len(start)))
        if together and _units(together) + 1 + _units(line) > SECTION:
            yield together
            together = ""
        together = f"{together}\n{line}" if together else line
    if together:
        yield together


def _fenced(said: str) -> Iterator[str]:
    for piece in pieces(_THREE.sub("` ", said), SECTION - 2 * len(_FENCE) - 2):
        yield f"{_FENCE}\n{piece}\n{_FENCE}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


async def _post(
    client: httpx.AsyncClient, message: Mapping[str, Any], settings: Mapping[str, Any], now: int, pace: Pace
) -> AttemptResult:
    going = True

    def sent() -> None:
        nonlocal going
        if going:
            pace.sent(address(settings))
        going = False

    try:
        body = msgspec.json.encode(message)
        return await webhook.send(client, settings["url"], body, _JSON, now=now, sent=sent)
    finally:
        sent()
