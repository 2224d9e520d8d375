"""What a provider says, without what may be a secret of the channel: receivers like to repeat what they were sent."""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote

import httpx

from luota.core.text import head, visible

LENGTH = 200
SHORTEST_SECRET = 4
"""How many characters a part of a URL or of a header's value has that may be a secret."""

_PLAIN = frozenset(
    "alert alerts api application/json application/json; basic bearer channel channels charset=utf-8 events hook "
    "hooks http https incoming integration integrations json luota message messages monitoring notification "
    "notifications notify post services slack status text text/plain token utf-8 webhook webhooks workflows".split()
)
"""Words in many addresses and headers, which tell nothing and stand in many answers."""


def echoes(said: str, url: httpx.URL, headers: httpx.Headers) -> bool:
    """Tell whether an id repeats what may be a secret: it lies in the URL, is a word of a header, or holds a part."""
    folded = said.casefold()
    return (
        any(folded in place.casefold() for place in (str(url), url.path))
        or any(said in (value, *value.split()) for value in headers.values())
        or any(secret.casefold() in folded for secret in _secrets(url, headers))
    )


def beginning(answer: bytes, whole: bool, url: httpx.URL, headers: httpx.Headers) -> str:
    """Return the start of an answer's text in one line, at most LENGTH characters, with … for each secret in it.

    `headers` are what was sent. At the end of an answer that is not `whole` a part of one is left out.
    """
    if b"\0" in answer:  # no text, or in an encoding in which nothing would be found
        return ""
    text = _line(answer.decode("utf-8", "replace"))
    forms = sorted({form for secret in _secrets(url, headers) for form in _forms(secret)}, key=len, reverse=True)
    text = re.sub("|".join(map(re.escape, forms)), "…", text, flags=re.IGNORECASE)  # there is one, the URL
    if not whole:
        text = text.rstrip("\ufffd")
        text = text[: len(text) - max(_begun(text, form) for form in forms)]
    return head(text.strip(), LENGTH)


def _begun(text: str, secret: str) -> int:
    """Return how many characters at the end of a text are the beginning of a secret."""
    end, start = text[-len(secret) :].casefold(), secret.casefold()
    return next((many for many in range(len(end), 0, -1) if start.startswith(end[-many:])), 0)


def _secrets(url: httpx.URL, headers: httpx.Headers) -> Iterator[str]:
    """Yield what may be a secret in what was sent, the whole and its parts."""
    raw_path, _, raw_query = url.raw_path.decode().partition("?")
    values = [one for value in headers.values() for one in (value, *value.split())]
    logins = [f"{url.username}:{url.password}", *(filter(None, map(_decoded, values)))]
    yield from _long(
        [
            str(url),
            f"{url.scheme}://{url.netloc.decode()}",
            url.netloc.decode(),
            url.raw_path.decode(),
            raw_path,
            url.path,
            *re.split("[/;,]", f"{raw_path}/{url.path}"),
            *map(unquote, raw_path.split("/")),
            *re.split("[&=]", raw_query),
            *(one for pair in url.params.multi_items() for one in pair),
            *values,
            *(one for login in logins for one in (login, *login.split(":", 1))),
            *(base64.b64encode(login.encode()).decode() for login in logins if len(login) > 1),
        ]
    )


def _long(parts: Iterable[str]) -> Iterator[str]:
    return (one for one in parts if len(one) >= SHORTEST_SECRET and one.strip("/").casefold() not in _PLAIN)


def _decoded(value: str) -> str | None:
    """Return the login that a value of `Authorization: Basic` holds, if it is one."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if ":" in text else None


def _forms(secret: str) -> Iterator[str]:
    """Yield how a text may spell a secret."""
    for form in (secret, html.escape(secret), json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)):
        yield _line(form)
        yield _line(form.replace("/", "\\/"))


def _line(text: str) -> str:
    return " ".join(visible(text).split())
