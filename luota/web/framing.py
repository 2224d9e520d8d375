"""What is wrong with a head that the parser lets pass: where a request ends, and whom it is for."""

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

Fault = tuple[HTTPStatus, str]

_VERSIONS = ("1.1", "1.0")  # of HTTP that are spoken here
# uri-host [":" port] (RFC 9112, 3.2; RFC 3986, 3.2.2), may be empty. Two things differ: no comma, since that would
# be two hosts which somebody on the way has joined; and an IPv6 address may have a zone, as some clients send it.
_HOST = re.compile(
    rb"(\[(?:[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~-]+)?|[vV][0-9A-Fa-f]+\.[0-9A-Za-z._~!$&'()*+;=:-]+)\]"
    rb"|(?:[0-9A-Za-z._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)


@lru_cache(maxsize=64)  # a service is called by few names, and each request tells one
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value.strip(b" \t")) is not None


def fault(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Fault | None:
    """Return the refusal of a request of HTTP/`version` with `headers` (names in lower case), or None."""
    if version not in _VERSIONS:  # RFC 9110, 15.6.6
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1.1 and HTTP/1.0 are spoken here"
    hosts, codings = [], []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
    if len(hosts) > 1 or (not hosts and version == "1.1"):  # RFC 9112, 3.2
        return HTTPStatus.BAD_REQUEST, "Send exactly one Host header"
    if hosts and not _is_host(hosts[0]):
        return HTTPStatus.BAD_REQUEST, "The Host header is not valid: send a name or an address, and a port if need be"
    if not codings:
        return None
    if version == "1.0":  # RFC 9112, 6.1: it knows none, so somebody on the way may see another end of the body
        return HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no transfer codings: send Content-Length, or HTTP/1.1"
    # The parser lets "gzip, chunked" pass, and the app would take what is packed for the body itself.
    named = [coding for each in b",".join(codings).lower().split(b",") if (coding := each.strip(b" \t"))]
    if named == [b"chunked"]:
        return None
    # Without chunked at its end nobody can tell where a body ends (RFC 9112, 6.1 and 6.3).
    status = HTTPStatus.NOT_IMPLEMENTED if named[-1:] == [b"chunked"] else HTTPStatus.BAD_REQUEST
    return status, "The only transfer coding understood here is chunked"
