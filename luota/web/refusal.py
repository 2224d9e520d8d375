"""What every refusal carries, and the bytes of one that is written before any app has seen the request."""

import json
from collections.abc import Iterable
from http import HTTPStatus

UNKEPT = {"cache-control": "no-store"}
"""The header of answers of the API and of refusals: nothing keeps them."""

_UNKEPT = [(name.encode("ascii"), value.encode("ascii")) for name, value in UNKEPT.items()]


def refusal(status: HTTPStatus, message: str, request_id: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a refusal as it goes over the wire: JSON, its request id, `headers` too, and that the connection ends."""
    body = json.dumps({"error": message}).encode("ascii")
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}".encode("ascii"),
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"connection: close",
        b"x-request-id: " + request_id.encode("ascii"),
        *(b": ".join(header) for header in (*_UNKEPT, *headers)),
    ]
    return b"\r\n".join([*lines, b"", body])
