"""Slack by an incoming webhook: a notice as blocks, with a plain text beside them.

What a job writes can never mention anybody or become a link: `&`, `<` and `>` are escaped everywhere, and
`verbatim` and `parse: none` keep Slack from finding names in what is left. Limits of blocks:
https://docs.slack.dev/reference/block-kit/blocks.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import msgspec

from luota.alerts import webhook
from luota.alerts.notice import LINKS, Notice, facts, text, title
from luota.core.retry import AttemptResult
from luota.core.text import cut

SECTION = 3000
HEADER = 150
FALLBACK = 3000
MOST_BLOCKS = 50
APART_S = 1.1
"""Slack takes one message a second from a hook; a little more, since messages travel at different speeds."""

_CANNOT_HEAL = frozenset((403, 404, 410))
"""The hook was revoked, its app or its channel removed: Slack makes a new URL then, this one stays dead."""
_FENCE = "```"
_JSON = {"content-type": "application/json; charset=utf-8"}


class _Hook:
    """One address: whose turn it is, when the next one may begin, and how many want one."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.turn: object | None = None
        self.free_at = 0.0
        self.users = 0


class Pace:
    """Lets messages to one address begin one after another, each `apart_s` seconds after the last was sent."""

    def __init__(self, apart_s: float = APART_S) -> None:
        self._apart_s = apart_s
        self._hooks: dict[str, _Hook] = {}

    @contextlib.asynccontextmanager
    async def turn(self, settings: Mapping[str, Any]) -> AsyncIterator[None]:
        """Wait for the next turn at the hook in `settings`. It lasts until `sent` is called, or else to the end.

        So a message that takes long to go out holds up the next one, and a hook that never answers does not.
        """
        now = asyncio.get_running_loop().time
        # A hook that is free needs no entry: URLs are secrets, and are not to outlive their channels here.
        self._hooks = {url: hook for url, hook in self._hooks.items() if hook.users or hook.free_at > now()}
        hook = self._hooks.setdefault(settings["url"], _Hook())
        hook.users += 1
        try:
            await hook.lock.acquire()
            own = hook.turn = object()
            try:
                await asyncio.sleep(hook.free_at - now())
                yield
            finally:
                if hook.turn is own:
                    _pass_on(hook)
        finally:
            hook.users -= 1

    def sent(self, settings: Mapping[str, Any]) -> None:
        """End the present turn at the hook in `settings`, whose message has gone out; to be called once in it."""
        hook = self._hooks.get(settings["url"])
        if hook is not None and hook.turn is not None:
            hook.free_at = asyncio.get_running_loop().time() + self._apart_s
            _pass_on(hook)


def _pass_on(hook: _Hook) -> None:
    hook.turn = None
    hook.lock.release()


async def send(
    client: httpx.AsyncClient, notice: Notice, settings: Mapping[str, Any], now: int, pace: Pace
) -> AttemptResult:
    """Make one attempt; never raises for what Slack does. The error tells Slack's own words, such as `no_service`.

    403, 404 and 410 are terminal. Should Slack refuse the blocks (400), the plain text is sent alone: an ugly
    message is better than none. The caller has a turn of `pace`, and a second message waits for another one.
    """
    message = message_of(notice)
    result = await _post(client, message, settings, now, pace)
    if result.status == httpx.codes.BAD_REQUEST:
        bare = {key: value for key, value in message.items() if key != "blocks"}
        async with pace.turn(settings):
            result = await _post(client, bare, settings, now, pace)
    return msgspec.structs.replace(result, terminal=result.status in _CANNOT_HEAL)


def message_of(notice: Notice) -> dict[str, Any]:
    """Return the message: `blocks` within Slack's limits, `text` for notifications and readers without them."""
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": next(pieces(title(notice), HEADER)), "emoji": False},
        }
    ]
    sections = list(_sections(notice))
    most = MOST_BLOCKS - len(blocks)
    if len(sections) > most:
        left_out = f"… and more than fits into a message. Delivery {notice.delivery_id}"
        sections[most - 1 :] = [left_out]
    blocks += [{"type": "section", "text": {"type": "mrkdwn", "text": one, "verbatim": True}} for one in sections]
    return {
        "text": next(pieces(text(notice), FALLBACK)),
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """Return `text` with the three characters escaped by which Slack marks mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pieces(text: str, most: int) -> Iterator[str]:
    """Yield `text` escaped, in pieces of at most `most` UTF-16 units, cut at line ends or else between characters."""
    start = 0
    while start < len(text) or start == 0:
        end = cut(text, _fits(text, start, most)) if _fits(text, start, most) < len(text) else len(text)
        newline = text.rfind("\n", start + 1, end)
        if end < len(text) and newline > start:
            end = newline
        end = max(end, start + 1)
        yield escaped(text[start:end])
        start = end + 1 if text[end : end + 1] == "\n" else end


def _fits(text: str, start: int, most: int) -> int:
    """Return the end of the longest stretch from `start` that takes at most `most` units once it is escaped."""
    taken, place = 0, start
    for c in text[start : start + most]:
        taken += {"&": 5, "<": 4, ">": 4}.get(c, 2 if c > "\uffff" else 1)
        if taken > most:
            break
        place += 1
    return place


def _sections(notice: Notice) -> Iterator[str]:
    """Yield the texts of sections: short facts together, each list and output in sections of its own."""
    together = ""
    for label, said in facts(notice):
        if "\n" in said or label == "Output (end)":
            if together:
                yield together
                together = ""
            yield f"*{escaped(label)}*"
            for piece in pieces(said.replace(_FENCE, "`` `"), SECTION - 2 * len(_FENCE) - 2):
                yield f"{_FENCE}\n{piece}\n{_FENCE}"
            continue
        start = f"*{escaped(label)}:* "
        if label in LINKS:
            line = f"{start}<{escaped(said).replace('|', '%7C')}>"
        else:
            line = start + next(pieces(said, SECTION - len(start)))
        if together and _units(together) + 1 + _units(line) > SECTION:
            yield together
            together = ""
        together = f"{together}\n{line}" if together else line
    if together:
        yield together


def _units(text: str) -> int:
    return len(text) + sum(c > "\uffff" for c in text)


async def _post(
    client: httpx.AsyncClient, message: Mapping[str, Any], settings: Mapping[str, Any], now: int, pace: Pace
) -> AttemptResult:
    going = True

    def sent() -> None:
        nonlocal going
        if going:
            pace.sent(settings)
        going = False

    try:
        body = msgspec.json.encode(message)
        return await webhook.send(client, settings["url"], body, _JSON, now=now, sent=sent)
    finally:
        sent()
