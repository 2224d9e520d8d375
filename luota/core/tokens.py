"""Ingest tokens: derived when shown, never stored (docs/api.md)."""

import hmac
from base64 import urlsafe_b64encode
from functools import lru_cache
from hashlib import sha256

MONITOR = "wfm1"
WORKSPACE = "wfws1"


def _derive(prefix: str, secret: bytes, *parts: str) -> str:
    digest = hmac.digest(secret, "\n".join((prefix, *parts)).encode(), sha256)
    return f"{prefix}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@lru_cache(maxsize=10_000)  # every ping asks for it; a rotation changes the salt and so the key
def monitor_token(secret: bytes, workspace_id: str, monitor_id: str, salt: str) -> str:
    """Return the token that authorises signals of one monitor; 256 bits."""
    return _derive(MONITOR, secret, workspace_id, monitor_id, salt)


def workspace_token(secret: bytes, workspace_id: str, salt: str) -> str:
    """Return the token of the workspace-scoped ping route; 256 bits."""
    return _derive(WORKSPACE, secret, workspace_id, salt)


def matches(token: bytes, expected: str) -> bool:
    """Compare in constant time; as bytes, since text outside ASCII would raise."""
    return hmac.compare_digest(token, expected.encode())
