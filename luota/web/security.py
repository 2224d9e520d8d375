"""The headers that keep an answer to itself in a browser, of every answer (OWASP ASVS 5.0, 3.4)."""

Header = tuple[bytes, bytes]

_ALWAYS: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),  # a page has one of its own
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
# Over plain HTTP browsers ignore them, the second with an error in the console.
_OVER_TLS: tuple[Header, ...] = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


def security_headers(*, secure: bool) -> tuple[Header, ...]:
    """Return them; `secure` tells that people come by https."""
    return (*_ALWAYS, *_OVER_TLS) if secure else _ALWAYS
