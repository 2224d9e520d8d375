"""The webhook channel: one POST of JSON, one verdict (docs/webhook.md, "Retries and delivery states")."""

import asyncio
import base64
import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from luota import __version__
from luota.alerts.answer import beginning, echoes, secrets_of_request, secrets_of_webhook
from luota.alerts.transport import NotAllowed, Unreachable
from luota.core.retry import ERROR_LENGTH, AttemptResult
from luota.core.spec.channels import secret_key

DEADLINE_SECONDS = 10.0
BODY_BYTES = 4096

_OPEN = frozenset(("content-type", "webhook-id", "webhook-timestamp"))
"""Headers that hold no secret: Luota's own, which no channel can set (`core.spec.channels.parse_headers`)."""
_ID_HEADERS = ("x-request-id", "request-id")
_SANE_ID = re.compile(r"[\x20-\x7e]{1,200}")
_WHOLE_SECONDS = re.compile(r"[0-9]{1,15}")


async def send(
    client: httpx.AsyncClient,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    now: int,
    deadline: float = DEADLINE_SECONDS,
    sent: Callable[[], None] | None = None,
    secrets: Collection[str] = (),
) -> AttemptResult:
    """POST `body`, which is JSON, once; return the outcome, with the start of the answer's text.

    Never raises for what a receiver does. `client` comes from `open_client`; `headers` are added to Luota's
    own and win over them; `now` (UTC milliseconds) is what a date in `Retry-After` is measured from;
    `deadline` (seconds) covers the attempt from the name lookup to the end of the answer's headers. Only 2xx
    is ok; 410 is terminal. The answer's status decides as soon as its headers are in: of its body about
    BODY_BYTES are read at most. `sent` is called once the request is written, if it comes to that. What may be a
    secret is told of no answer: the URL, `headers` but for those that are _OPEN, and `secrets`, which were not sent.
    """
    result = answered = None
    unsent = whole = False
    answer = bytearray()

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        written = event == "http11.receive_response_headers.started"
        if sent is not None and written and info["request"].method == b"POST":  # and not for a tunnel through a proxy
            sent()

    try:
        asked = httpx.Headers({"content-type": "application/json", "user-agent": f"luota/{__version__}"})
        asked.update(headers)
        async with (
            asyncio.timeout(deadline),
            client.stream("POST", url, content=body, headers=asked, extensions={"trace": trace}) as response,
        ):
            result, answered = _verdict(response, now), response
            # A short body is read to its end, so that the connection can be used again; a long one is left.
            async for part in response.aiter_raw():
                answer += part
                if len(answer) >= BODY_BYTES:
                    break
            else:
                whole = True
    except TimeoutError:
        error = f"no answer within {deadline:g} s"
    except Unreachable as failure:
        error, unsent = str(failure), isinstance(failure, NotAllowed)
    except httpx.HTTPError:  # httpx's own texts quote URLs
        error = "the answer cannot be read"
    except (httpx.InvalidURL, ValueError):
        error = "the URL or a header of the channel is not valid"
    if result is None or answered is None:
        return AttemptResult(ok=False, error=error[:ERROR_LENGTH], unsent=unsent)
    hidden = httpx.Headers({name: value for name, value in headers.items() if name.lower() not in _OPEN})
    # Twenty long headers, each of which may be repeated in any spelling, would hold up the loop.
    return await asyncio.to_thread(_with_words, result, answered, hidden, secrets, bytes(answer[:BODY_BYTES]), whole)


def secrets_in(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may be a secret in the settings of a channel and is not sent as it is, of former secrets too."""
    for one in settings.get("secrets", ()):
        yield from secrets_of_webhook(one["secret"])


def signed(delivery_id: str, body: bytes, settings: Mapping[str, Any], now: int) -> dict[str, str]:
    """Return the headers that sign an attempt as Standard Webhooks 1.0 prescribes; none without a secret.

    One signature for each secret of `settings` that is valid at `now` (UTC milliseconds), the newest first.
    The id is the delivery's, so that it is the same in all attempts; the timestamp is the attempt's.
    """
    valid = [one["secret"] for one in settings.get("secrets", ()) if one["until"] is None or now < one["until"]]
    if not valid:
        return {}
    seconds = str(now // 1000)
    content = b".".join((delivery_id.encode(), seconds.encode(), body))
    digests = (hmac.digest(secret_key(secret), content, "sha256") for secret in valid)
    signature = " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)
    return {"webhook-id": delivery_id, "webhook-timestamp": seconds, "webhook-signature": signature}


def _with_words(
    result: AttemptResult,
    response: httpx.Response,
    hidden: httpx.Headers,
    secrets: Collection[str],
    answer: bytes,
    whole: bool,
) -> AttemptResult:
    """Return `result` with the id and the start of the text that an answer has, without what may be a secret."""
    url, text = response.request.url, None
    provider_id = next((response.headers[name] for name in _ID_HEADERS if name in response.headers), "")
    told = _SANE_ID.fullmatch(provider_id) and not echoes(provider_id, url, hidden, secrets)
    # A redirect's text repeats where it leads, and what is packed against our wish cannot be read.
    if not response.is_redirect and response.headers.get("content-encoding", "identity") == "identity":
        text = beginning(answer, whole, secrets_of_request(url, hidden, secrets)) or None
    said = f"{result.error}: {text}" if result.error and text else result.error
    return msgspec.structs.replace(result, error=said, answer=text, provider_id=provider_id if told else None)


def _verdict(response: httpx.Response, now: int) -> AttemptResult:
    ok = response.is_success
    error = None
    if response.is_redirect:
        error = f"HTTP {response.status_code}: redirect not followed: point the channel at its target"
    elif not ok:
        error = f"HTTP {response.status_code} from the receiver"
    return AttemptResult(
        ok=ok,
        terminal=response.status_code == httpx.codes.GONE,
        status=response.status_code,
        error=error,
        retry_after=None if ok else retry_after(response.headers.get("retry-after", ""), now),
    )


def retry_after(value: str, now: int) -> int | None:
    """Return the pause in milliseconds that a `Retry-After` value asks for, or None when it is neither form.

    RFC 9110 section 10.2.3: whole seconds, or an HTTP date (its three spellings), which is measured from
    `now` (UTC milliseconds); a date in the past gives 0.
    """
    value = value.strip()
    if _WHOLE_SECONDS.fullmatch(value):
        return int(value) * 1000
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # the asctime form carries no zone and means UTC
        date = date.replace(tzinfo=UTC)
    return max(0, int(date.timestamp() * 1000) - now)
