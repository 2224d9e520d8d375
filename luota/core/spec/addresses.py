"""Email addresses that messages are sent from and to."""

import re

from luota.core.errors import invalid
from luota.core.spec.values import kind_of, parse_text

MAX_RECIPIENTS = 20
MAX_ADDRESS = 254

# RFC 5321 section 4.1.2 without quoted local parts, address literals and comments: nobody is alerted there, and
# what is left can stand in a header and in an SMTP command as it is. A host without a dot is a neighbour's name.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def parse_address(value: object, field: str) -> str:
    """Return one email address unchanged: `ann@example.org`, without a name or brackets around it.

    INVALID beyond 254 characters, for anything but ASCII (a domain of other letters is written as `xn--…`),
    and for what could be read as a second address, an option or an encoded word.
    """
    text = parse_text(value, field, minimum=1, maximum=MAX_ADDRESS)
    if not text.isascii():
        raise invalid(field, f"{field} must be ASCII: write a domain of other letters as xn--….")
    if not _ADDRESS.fullmatch(text) or "=?" in text:
        raise invalid(field, f"{field} must be an address such as ann@example.org, and nothing around it.")
    return text


def parse_addresses(value: object, field: str) -> tuple[str, ...]:
    """Return the addresses of a list, each once, in their order; at least one and at most 20.

    INVALID names the one that is wrong by path, `to.1`, counted from 0.
    """
    if not isinstance(value, list):
        raise invalid(field, f"{field} must be an array of addresses, not {kind_of(value)}.")
    found = dict.fromkeys(parse_address(item, f"{field}.{index}") for index, item in enumerate(value))
    if not 1 <= len(found) <= MAX_RECIPIENTS:
        raise invalid(field, f"{field} must hold 1 to {MAX_RECIPIENTS} addresses; it has {len(found)}.")
    return tuple(found)
