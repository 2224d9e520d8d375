"""What each setting takes, and how it is read from TOML or from the text of a variable."""

import ipaddress
import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from luota.core.spec.addresses import parse_address
from luota.core.spec.values import kind_of, parse_http_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""Addresses of IPv4 in the form of IPv6 (RFC 4291, section 2.5.5.2)."""


class WrongValueError(Exception):
    """A value that its setting does not take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting takes: `read` returns the value or raises a WrongValueError that may say more.

    `from_text` makes of a variable's text what TOML would have given.
    """

    allowed: str
    read: Callable[[object], Any]
    from_text: Callable[[str], object] = str


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise WrongValueError
    return Path(os.path.expanduser(value))  # noqa: PTH111 - the method raises where there is no home


def _host(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or "/" in value or " " in value:
        raise WrongValueError
    return value.removeprefix("[").removesuffix("]")


def _optional(read: Callable[[object], Any]) -> Callable[[object], Any]:
    """Return a reader for which an empty text means not set, as in a variable."""
    return lambda value: None if value == "" else read(value)


def _line(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise WrongValueError
    return value


def _security(value: object) -> str:
    if value not in ("starttls", "tls", "plain"):
        raise WrongValueError
    return str(value)


def _url(value: object) -> str:
    parse_http_url(value, "public_url")
    assert isinstance(value, str)
    parts = urlsplit(value)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise WrongValueError("it may hold a path, but no user, query or fragment")
    return value.rstrip("/")


def _proxy(value: object) -> str:
    parse_http_url(value, "proxy")
    assert isinstance(value, str)
    parts = urlsplit(value)
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise WrongValueError("it holds a host and a port, and no user, path, query or fragment")
    return value.rstrip("/")


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError
    return value


def _switch_text(text: str) -> object:
    word = text.lower()
    return True if word in {"true", "yes", "on", "1"} else False if word in {"false", "no", "off", "0"} else text


def _number(minimum: int, maximum: int) -> Setting:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise WrongValueError
        return value

    def from_text(text: str) -> object:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text

    return Setting(f"a whole number from {minimum} to {maximum}", read, from_text)


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise WrongValueError
    return tuple(map(_network, value))


def _network(value: object) -> Network:
    if not isinstance(value, str):
        raise WrongValueError(f"it holds {kind_of(value)}")
    try:
        near = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise WrongValueError(f"{value[:60]!r} is none") from None
    # As it stands, ::ffff:10.0.0.1 would lie in it and 10.0.0.1 would not.
    if isinstance(near, ipaddress.IPv6Network) and near.subnet_of(_MAPPED):
        plain = ipaddress.IPv4Network((int(near.network_address) & 0xFFFF_FFFF, near.prefixlen - 96))
        raise WrongValueError(f"{value!r} is a network of IPv4 in the form of IPv6: write {str(plain)!r}")
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        raise WrongValueError(f"{value!r} is an address inside a network: write {str(near)!r}") from None


_NETWORKS: Final = Setting(
    'a list of networks such as ["10.0.0.0/8", "fd00::/8"]',
    _networks,
    lambda text: [part.strip() for part in text.split(",") if part.strip()],
)
_LIMIT: Final = _number(0, 1_000_000_000)

SETTINGS: Final[Mapping[str, Setting]] = {
    "data_dir": Setting("the path of a directory", _path),
    "server.host": Setting("an address or a name to listen on", _host),
    "server.port": _number(0, 65535),
    "server.public_url": Setting("an address that starts with http:// or https://", _url),
    "server.trusted_proxies": _NETWORKS,
    "server.access_log": Setting("true or false", _switch, _switch_text),
    "limits.monitor_per_minute": _LIMIT,
    "limits.monitor_per_hour": _LIMIT,
    "limits.workspace_per_minute": _LIMIT,
    "limits.ip_per_minute": _LIMIT,
    "alerts.allow_networks": _NETWORKS,
    "alerts.deny_networks": _NETWORKS,
    "alerts.proxy": Setting("an address that starts with http:// or https://", _optional(_proxy)),
    "email.host": Setting("the address or name of an SMTP server", _optional(_host)),
    "email.port": _number(1, 65535),
    "email.security": Setting('"starttls", "tls" or "plain"', _security),
    "email.username": Setting("a line of text", _optional(_line)),
    "email.password": Setting("a line of text", _optional(_line)),
    "email.password_file": Setting("the path of a file", _optional(_path)),
    "email.sender": Setting("an address", _optional(lambda value: parse_address(value, "sender"))),
}
"""Every setting by name; `section.key`, or the bare key at the top of the file."""
