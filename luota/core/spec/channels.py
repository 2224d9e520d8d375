"""Definitions of channels, as API and CLI receive them: a JSON object with camelCase keys.

How a notice leaves by each type: `luota.alerts.types`, which has the same types.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import Struct

from luota.core.errors import invalid
from luota.core.model import Kind
from luota.core.spec.addresses import parse_addresses
from luota.core.spec.values import DAY, SECOND, kind_of, parse_duration, parse_http_url, parse_text
from luota.core.wants import Wants

MAX_NAME = 80
MAX_DELAY = DAY
MAX_HEADERS = 20
MAX_HEADER_VALUE = 1000
SECRET_PREFIX = "whsec_"  # noqa: S105 (the prefix of Standard Webhooks 1.0, not a secret)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_OWN = frozenset(
    "host connection content-length content-type expect keep-alive te trailer transfer-encoding upgrade".split()
)

_APPRISE = re.compile(r"[a-z][a-z0-9]{0,30}://[\x21-\x7e]*", re.ASCII | re.IGNORECASE)
_MAX_APPRISE = 2000

WANTS_KEYS = ("kinds", "notify", "delaySeconds")
"""What tells which notices a channel wants."""
_KEYS = {"type", "name", "to", "url", "headers", "secret", *WANTS_KEYS}

Document = dict[str, Any]


class ChannelSpec(Struct, frozen=True):
    """A channel to be added, and which notices it wants. `settings` is what its type needs, and holds secrets."""

    name: str
    type: str
    settings: dict[str, Any]
    wants: Wants


def parse_channel(doc: Document) -> ChannelSpec:
    """Return the channel that `doc` defines; INVALID names the key to blame and never repeats a secret.

    A key that no type has is refused as well: a rule that is spelled wrong would let it hear of everything.
    """
    type_ = doc.get("type")
    parse = SETTINGS.get(type_) if isinstance(type_, str) else None
    if parse is None:
        raise invalid("type", f"type must be one of {', '.join(SETTINGS)}.")
    _refuse_unknown(doc, _KEYS, "A channel has no {}.")
    name = parse_text(doc.get("name"), "name", minimum=1, maximum=MAX_NAME)
    if not name.strip() or not name.isprintable():
        raise invalid("name", "name must be printable text.")
    wants = {key: value for key, value in doc.items() if key in WANTS_KEYS}
    return ChannelSpec(name, str(type_), parse(doc), parse_wants(wants))


def parse_wants(doc: Document) -> Wants:
    """Return which notices a channel wants: `kinds`, `notify` and `delaySeconds`; null and absent are the default.

    INVALID names the key to blame, also one that is not known.
    """
    _refuse_unknown(doc, WANTS_KEYS, "A channel has no {} to edit.")
    kinds = _choice(doc.get("kinds"), "kinds", tuple(Kind))
    notify = _choice(doc.get("notify"), "notify", ("opened", "resolved"))
    delay = doc.get("delaySeconds")
    held = 0 if delay is None else parse_duration(delay, "delaySeconds", maximum=MAX_DELAY)
    return Wants(tuple(Kind(kind) for kind in kinds), "opened" in notify, "resolved" in notify, held)


def wants_json(wants: Wants) -> Document:
    """Return the form from which `parse_wants` gives the same; the delay in seconds."""
    notify = [name for name, wanted in (("opened", wants.opened), ("resolved", wants.resolved)) if wanted]
    return {
        "kinds": [kind.value for kind in wants.kinds],
        "notify": notify,
        "delaySeconds": wants.delay // SECOND,
    }


def _refuse_unknown(doc: Document, known: Collection[str], words: str) -> None:
    if unknown := sorted(set(doc) - set(known)):
        raise invalid(unknown[0], f"{words.format(unknown[0])} Known are {', '.join(sorted(known))}.")


def _choice(value: object, field: str, known: Sequence[str]) -> list[str]:
    if value is None:
        return list(known)
    if not isinstance(value, list):
        raise invalid(field, f"{field} must be an array of one or more of {', '.join(known)}.")
    if not value or not all(one in known for one in value):
        raise invalid(field, f"{field} must be one or more of {', '.join(known)}.")
    return [one for one in known if one in value]


def parse_headers(value: object) -> dict[str, str]:
    """Return the headers that a webhook shall carry. INVALID for what HTTP or Luota reserves, without its value."""
    if not isinstance(value, dict):
        raise invalid("headers", f"headers must be an object of texts, not {kind_of(value)}.")
    if len(value) > MAX_HEADERS:
        raise invalid("headers", f"headers may hold at most {MAX_HEADERS}; there are {len(value)}.")
    for name, text in value.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise invalid("headers", "headers must be named by letters, digits and hyphens.")
        if name.lower() in _OWN or name.lower().startswith("webhook-"):
            raise invalid("headers", f"headers may not set {name}: Luota sets it, or HTTP itself does.")
        if not isinstance(text, str) or len(text) > MAX_HEADER_VALUE or not _VALUE.fullmatch(text):
            raise invalid(
                "headers",
                f"the value of header {name} must be 1 to {MAX_HEADER_VALUE} printable ASCII characters "
                "without a space at its ends.",
            )
    return dict(value)


def secret_key(secret: str) -> bytes:
    """Return the key in a secret of Standard Webhooks 1.0; ValueError if there is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError from None
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError
    return key


def _webhook(doc: Document) -> dict[str, Any]:
    settings: dict[str, Any] = {"url": parse_http_url(doc.get("url"), "url")}
    if doc.get("headers"):
        settings["headers"] = parse_headers(doc["headers"])
    if doc.get("secret") is not None:
        secret = parse_text(doc["secret"], "secret", maximum=200)
        try:
            secret_key(secret)
        except ValueError:
            raise invalid("secret", "secret must be whsec_ and 24 to 64 bytes in base64.") from None
        settings["secrets"] = [{"secret": secret, "until": None}]
    return settings


def _slack(doc: Document) -> dict[str, Any]:
    return {"url": parse_http_url(doc.get("url"), "url")}


def _email(doc: Document) -> dict[str, Any]:
    return {"to": parse_addresses(doc.get("to"), "to")}


def _apprise(doc: Document) -> dict[str, Any]:
    url = parse_text(doc.get("url"), "url", minimum=1, maximum=_MAX_APPRISE)
    if not _APPRISE.fullmatch(url) or url.lower().startswith(("http://", "https://")):
        raise invalid(
            "url",
            "url must be one Apprise URL, such as ntfy://topic, without spaces and with other letters as %XX. "
            "For an address that takes JSON by HTTP add a webhook instead.",
        )
    return {"target": url}


SETTINGS: dict[str, Callable[[Document], dict[str, Any]]] = {
    "email": _email,
    "webhook": _webhook,
    "slack": _slack,
    "apprise": _apprise,
}
"""What each type makes of a document. A new type is added here and in `luota.alerts.types`."""
