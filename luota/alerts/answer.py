"""What a provider says, without what may be a secret of the channel: receivers like to repeat what they were sent."""

import base64
import binascii
import codecs
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

import httpx

from luota.alerts.spellings import JOINT, LONG_RUN, RUN, SHORTEST, decoded, spans
from luota.core.spec.channels import SECRET_PREFIX, secret_key
from luota.core.text import head, visible

LENGTH = 200
NEAR = 5 * LENGTH
"""How many characters of an answer are looked at; where much of them is left out, fewer than LENGTH are told."""
SHORTEST_SECRET = SHORTEST
"""How many characters a part of a URL or of a header's value has that may be a secret."""

_MOST_JOINTS = 32
"""Of a value with more of them what they join is not looked for, but each part is."""

_PLAIN = frozenset(
    "access access_token alert alerts api api_key apikey application auth authorization basic bearer channel channels "
    "charset client credential default digest discord.com error event events false format hook hooks hooks.slack.com "
    "html http https incoming integration integrations invalid json key localhost login luota message messages "
    "monitoring name notification notifications notify null pass password plain post query request secret send server "
    "service services session sign signature slack status team test text time token true type url user username utf-8 "
    "value version webhook webhooks workflows".split()
).union(("",))
"""Words in many addresses and headers, which tell nothing and stand in many answers."""

_LATIN_1 = "luota.latin-1"
"""How bytes are read that are no UTF-8: each by itself, as older receivers mean them."""


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN_1, _latin_1)


def echoes(said: str, url: httpx.URL, headers: httpx.Headers, more: Iterable[str] = ()) -> bool:
    """Tell whether an id repeats what may be a secret: it lies in the URL, is a word of a header, or holds a part.

    `more` are secrets that were not sent as they are.
    """
    folded = said.casefold()
    return (
        any(folded in place.casefold() for place in (str(url), url.path))
        or any(said in (value, *value.split()) for value in headers.values())
        or bool(spans(said, _forms(secrets_of_request(url, headers, more)), whole=True))
    )


def beginning(answer: bytes, whole: bool, secrets: Iterable[str]) -> str:
    """Return the start of an answer's text in one line, at most LENGTH characters, with … for each secret in it.

    A secret is found in any usual spelling, and a part of it that is long enough too (`spellings`). At the end of an
    answer that is not `whole` any beginning of one is left out.
    """
    if b"\0" in answer:  # no text, or in an encoding in which nothing would be found
        return ""
    text = codecs.getincrementaldecoder("utf-8")(_LATIN_1).decode(answer, final=whole)
    return told(text, secrets, LENGTH, whole=whole)


def told(said: str, secrets: Iterable[str], most: int, *, whole: bool = True) -> str:
    """Return the start of a text as `beginning` does, at most `most` characters."""
    line = _line(said)
    near = line[:NEAR]
    whole = whole and near == line
    found = spans(near, _forms(secrets), whole=whole)
    if not whole and found and found[-1][1] == len(near):
        near = near[: found.pop()[0]]
    for start, end in reversed(found):
        near = f"{near[:start]}…{near[end:]}"
    return head(near.strip(), most)


def secrets_of_request(url: httpx.URL, headers: httpx.Headers, more: Iterable[str] = ()) -> Iterator[str]:
    """Yield what may be a secret in what was sent, and in `more`: the whole and its parts."""
    place = url.raw_path.decode()
    host = url.netloc.decode()
    yield from _long((str(url), f"{url.scheme}://{host}", host))
    yield from secrets_of((place, place.partition("?")[0], f"{url.username}:{url.password}", *headers.values(), *more))


def secrets_of_target(target: str) -> Iterator[str]:
    """Yield what may be a secret in a URL of Apprise, in which each service puts its own where it likes."""
    _, _, rest = target.partition("://")
    place, _, query = rest.partition("?")
    login, _, path = place.rpartition("@")
    values = (value for pair in query.split("&") for value in (pair, *pair.split("=", 1)))
    yield from _long((target, rest))
    yield from secrets_of((place, login, *path.split("/"), *values))


def secrets_of_webhook(secret: str) -> Iterator[str]:
    """Yield a secret of Standard Webhooks and its key in the usual forms; all are secrets."""
    key = secret_key(secret)
    yield from (secret, secret.removeprefix(SECRET_PREFIX), base64.urlsafe_b64encode(key).decode(), key.hex())


def secrets_of(values: Iterable[str]) -> Iterator[str]:
    """Yield what may be a secret in each of these values: it and its parts, as they are and as receivers read them."""
    for value in values:
        read = {value, unquote(value), unquote_plus(value), decoded(value)}
        logins = {one for one in read if ":" in one}.union(filter(None, map(_login, value.split())))
        packed = {base64.b64encode(one.encode()).decode() for one in logins if one != ":"}
        for one in read | logins:
            parts = (*JOINT.split(one), *_between(one))
            dotted = (part for whole in parts if "." in whole for part in whole.split(".") if len(part) >= RUN)
            yield from _long((one, *one.split(), *one.split("/"), *parts, *dotted))
        yield from (one for one in logins | packed if len(one) >= SHORTEST_SECRET)


def _long(parts: Iterable[str]) -> Iterator[str]:
    return (one for one in parts if len(one) >= SHORTEST_SECRET and not _PLAIN.issuperset(JOINT.split(one.casefold())))


def _between(value: str) -> Iterator[str]:
    """Yield what stands between any two joints: a password may have some, too. What is longer counts by its runs."""
    joints = list(JOINT.finditer(value))[:_MOST_JOINTS]
    starts, ends = [0, *(one.end() for one in joints)], [*(one.start() for one in joints), len(value)]
    for place, start in enumerate(starts):
        yield from (value[start:end] for end in ends[place + 1 :] if end - start < LONG_RUN)


def _login(value: str) -> str | None:
    """Return the login that a word of `Authorization: Basic` holds, if it is one."""
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return text if ":" in text else None


def _forms(secrets: Iterable[str]) -> set[str]:
    """Return what is looked for: secrets as they are, as a line has them, and without what fills up base64."""
    lines = [line for secret in secrets for line in (secret, _line(secret))]
    forms = (*lines, *(line.rstrip("=") for line in lines if len(line) <= LONG_RUN))  # a longer one counts by its runs
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _line(text: str) -> str:
    return " ".join(visible(text).split())
