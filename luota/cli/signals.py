"""The calls of `luota exec` to the ingest API: retried for a bounded time, and never a reason to fail."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from luota import __version__

_TIMEOUT_S = 5.0
_BEFORE_JOB_S, _AFTER_JOB_S = 10.0, 60.0
"""For how long a call is tried. A job must not wait for Luota; its end may, for a minute, which is what Luota leaves
for retries after an outage of its own (docs/verdicts.md, "Blind windows")."""
_PASSING = {408, 429}
_MAX_REPLY = 65_536


def encoded(value: object) -> bytes:
    """Return JSON in UTF-8; half a surrogate pair, which UTF-8 cannot carry, becomes `?`."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class Calls:
    """Signals to one monitor. A problem is told to `warn` in one line, without the token, and nothing is raised.

    The same problem twice in a row is told once.
    """

    def __init__(self, url: str, monitor: str, token: str, warn: Callable[[str], None]) -> None:
        self._url = url.strip().rstrip("/")
        self._monitor = monitor.strip()
        self._token = token.strip()
        self._tell, self._told = warn, ""

    def ping(self, body: Mapping[str, Any]) -> None:
        """Send a ping, after the job."""
        self._post(
            f"/v1/monitors/{quote(self._monitor, safe='')}/ping", body, _AFTER_JOB_S, "the ping could not be sent"
        )

    def start(self, fields: Mapping[str, Any], *, soon: bool) -> str | None:
        """Start a run and return its id; `soon` before a job that waits for it. None when that failed."""
        within = _BEFORE_JOB_S if soon else _AFTER_JOB_S
        body = {"monitorId": self._monitor, **fields}
        reply = self._post("/v1/runs/start", body, within, "the start could not be sent")
        run = reply.get("run") if reply else None
        id_ = run.get("id") if isinstance(run, dict) else None
        return id_ if isinstance(id_, str) else None

    def close(self, run: str, body: Mapping[str, Any]) -> None:
        """Close a run in the sense of `body["exitCode"]`."""
        verdict = "fail" if body["exitCode"] else "success"
        self._post(f"/v1/runs/{quote(run, safe='')}/{verdict}", body, _AFTER_JOB_S, "the end could not be sent")

    def _warn(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self._tell(message)

    def _post(self, path: str, body: Mapping[str, Any], within: float, failed: str) -> dict[str, Any] | None:
        """Send until it is answered or `within` seconds are over; what is refused for good is sent once."""
        if not self._monitor or not self._token:
            self._warn(f"{failed}: set LUOTA_MONITOR_ID and LUOTA_INGEST_TOKEN, or give --monitor and --token.")
            return None
        if not (self._token.isascii() and self._token.isprintable()):
            self._warn(f"{failed}: the token holds characters that no token has; compare `luota token show M`.")
            return None
        give_up_at = time.monotonic() + within
        pause = 1.0
        while True:
            try:
                status, text = self._once(path, encoded(body))
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem, again = str(error) or type(error).__name__, not isinstance(error, ValueError)
            else:
                if 200 <= status < 300:
                    return _object(text)
                problem = f"{status} {text[:300]}"
                again = status >= 500 or status in _PASSING
            if not again or time.monotonic() + pause > give_up_at:
                self._warn(f"{failed}: {problem}")
                return None
            time.sleep(pause)
            pause *= 2

    def _once(self, path: str, content: bytes) -> tuple[int, str]:
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address must begin with http:// or https://")
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
        headers = {
            "content-type": "application/json",
            "x-luota-key": self._token,
            "user-agent": f"luota/{__version__}",
        }
        try:
            connection.request("POST", parts.path + path, content, headers)
            response = connection.getresponse()
            return response.status, response.read(_MAX_REPLY).decode("utf-8", "replace")
        finally:
            connection.close()


def _object(text: str) -> dict[str, Any] | None:
    try:
        doc = json.loads(text)
    except ValueError:
        return None
    return doc if isinstance(doc, dict) else None
