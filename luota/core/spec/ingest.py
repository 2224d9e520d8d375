"""The bodies of the ingest API (docs/api.md).

`decode_body` is the syntax step, which stands before authentication and so must be cheap: msgspec
splits the object into its fields and leaves their values unparsed. What msgspec does not see (repeated
keys, nesting that is too deep for it) is looked for in a slower pass, and only where a cheap test of the
bytes says that it may be there. The `parse_…` functions then check one field after the other.
"""

import json
import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import msgspec

from luota.core.errors import LuotaError, invalid
from luota.core.spec.values import (
    is_nameable,
    kind_of,
    parse_instant,
    parse_tags,
    parse_text,
    parse_uuid,
    path_of,
)

Body = dict[str, msgspec.Raw]
"""A body's top-level fields, their values as JSON text that is known to be well-formed."""

MAX_DEPTH = 64
MAX_PAYLOAD = 32 * 1024
MAX_OUTPUT = 32 * 1024
MAX_SUMMARY = 240
MAX_LABEL = 200


class Ping(msgspec.Struct, frozen=True):
    """A ping's body. `payload` is its JSON text exactly as sent."""

    occurred_at: int | None = None
    payload: str | None = None
    host: str | None = None
    deploy_sha: str | None = None


class Start(msgspec.Struct, frozen=True):
    """A run start's body, without the `monitorId`, which is checked earlier."""

    external_run_id: str
    started_at: int | None = None
    payload: str | None = None
    deploy_sha: str | None = None
    host: str | None = None
    environment: str | None = None
    tags: dict[str, str] | None = None


class Close(msgspec.Struct, frozen=True):
    """The body of a run's success or failure; a success has no `exit_code`."""

    finished_at: int | None = None
    summary: str | None = None
    output: str | None = None
    exit_code: int | None = None
    payload: str | None = None
    deploy_sha: str | None = None
    host: str | None = None
    environment: str | None = None
    tags: dict[str, str] | None = None


class _Origin(msgspec.Struct):
    """What a ping's payload says about where it comes from."""

    host: msgspec.Raw = msgspec.Raw()
    deploy_sha: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="deploySha")


_FIELDS = msgspec.json.Decoder(Body)
_VALUE = msgspec.json.Decoder()
_ORIGIN = msgspec.json.Decoder(_Origin)

# An unterminated string ends with the text, so that no start is tried twice.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRINGS_AND_BRACKETS = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)
_STRINGS_AND_SPACES = re.compile(_STRING + rb"|[ \t\n\r]+", re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")  # one down, one up, as signed bytes


def decode_body(raw: bytes) -> Body:
    """Return the fields of a body; one that is empty or blank is an empty object.

    INVALID with field `body`, or with the top-level field to blame where it can be told, for what is not
    UTF-8 or not a JSON object, NaN, Infinity and lone surrogates, a key that stands twice, and a field
    whose value nests beyond 64 levels.
    """
    if not raw.strip():
        return {}
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise invalid("body", "The body is not valid UTF-8. Send JSON in UTF-8.") from None
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _refuse_deep(raw)
    try:
        body = _FIELDS.decode(raw)
    except msgspec.ValidationError:
        raise invalid("body", f"The body must be a JSON object, not {_kind(raw)}.") from None
    except msgspec.DecodeError as error:
        raise _malformed(raw, error) from None
    if (key := _repeated_key(raw, body, body.values())) is not None:
        raise invalid(_top(key), "The body has the same key twice. Send each key once.")
    return body


def monitor_id(body: Body) -> str:
    """Return the `monitorId` of a run start in canonical form; INVALID when it is missing or no UUID."""
    value = _value(body, "monitorId")
    found = parse_uuid(value)
    if found is None:
        wrong = "is required" if value is None else "is no UUID"
        raise invalid("monitorId", f"monitorId {wrong}: send the UUID that the monitor's page shows.")
    return found


def parse_ping(body: Body) -> Ping:
    """Return a ping. Its host and deploy SHA are the payload's, where they are texts that fit."""
    if not body:
        return Ping()
    payload = _payload(body)
    host = deploy_sha = None
    if payload is not None:
        origin = _ORIGIN.decode(payload)
        host, deploy_sha = _label_or_none(origin.host), _label_or_none(origin.deploy_sha)
    return Ping(_instant(body, "occurredAt"), payload, host, deploy_sha)


def parse_start(body: Body) -> Start:
    """Return a run start; INVALID without an `externalRunId` of 1-200 characters."""
    external_run_id = _text(body, "externalRunId", MAX_LABEL, minimum=1)
    if external_run_id is None:
        raise invalid("externalRunId", "externalRunId is required: your own stable id of this run.")
    return Start(
        external_run_id=external_run_id,
        started_at=_instant(body, "startedAt"),
        payload=_payload(body),
        deploy_sha=_text(body, "deploySha", MAX_LABEL),
        host=_text(body, "host", MAX_LABEL),
        environment=_text(body, "environment", MAX_LABEL),
        tags=_tags(body),
    )


def parse_success(body: Body) -> Close:
    """Return the close of a run that went well."""
    return _close(body, summary=_text(body, "summary", MAX_SUMMARY), exit_code=None) if body else Close()


def parse_fail(body: Body) -> Close:
    """Return the close of a run that failed; INVALID without a `summary` of 1-240 characters."""
    summary = _text(body, "summary", MAX_SUMMARY, minimum=1)
    if summary is None:
        raise invalid("summary", "summary is required: say in one sentence what failed.")
    return _close(body, summary=summary, exit_code=_exit_code(body))


def _close(body: Body, *, summary: str | None, exit_code: int | None) -> Close:
    return Close(
        finished_at=_instant(body, "finishedAt"),
        summary=summary,
        output=_output(body),
        exit_code=exit_code,
        payload=_payload(body),
        deploy_sha=_text(body, "deploySha", MAX_LABEL),
        host=_text(body, "host", MAX_LABEL),
        environment=_text(body, "environment", MAX_LABEL),
        tags=_tags(body),
    )


def _value(body: Body, field: str) -> Any:
    """Return the decoded value of a field, None when it is absent. INVALID for null, which is no value of any type."""
    raw = body.get(field)
    if raw is None:
        return None
    try:
        value = _VALUE.decode(raw)
    except msgspec.ValidationError:  # the one thing that splitting lets pass: a number that no type holds
        raise invalid(field, f"{field} holds a number that is out of range.") from None
    if value is None:
        raise invalid(field, f"{field} must not be null. Send a value; one that is optional may be left out.")
    return value


def _text(body: Body, field: str, maximum: int, *, minimum: int = 0) -> str | None:
    value = _value(body, field)
    return None if value is None else parse_text(value, field, minimum=minimum, maximum=maximum)


def _instant(body: Body, field: str) -> int | None:
    value = _value(body, field)
    return None if value is None else parse_instant(value, field)


def _exit_code(body: Body) -> int | None:
    value = _value(body, "exitCode")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise invalid("exitCode", "exitCode must be a whole number of at most 64 bits.")
    return value


def _output(body: Body) -> str | None:
    output = _text(body, "output", 64 * 1024)  # no more fits a body; the limit proper is one of bytes
    if output is not None and len(output.encode()) > MAX_OUTPUT:
        raise invalid(
            "output",
            "output must fit in 32 KiB of UTF-8. Keep it in object storage and send its address.",
        )
    return output


def _tags(body: Body) -> dict[str, str] | None:
    value = _value(body, "tags")
    if value is None:
        return None
    tags = parse_tags(value, "tags")
    texts = (text.encode() for text in tags.values())
    if (key := _repeated_key(bytes(body["tags"]), tags, texts)) is not None:
        raise invalid(path_of("tags", key), "tags has the same key twice. Send each key once.")
    return tags


def _payload(body: Body) -> str | None:
    """Return the payload's text as sent; None when it is absent."""
    raw = body.get("payload")
    if raw is None:
        return None
    text = bytes(raw)
    if not text.startswith(b"{"):
        raise invalid("payload", f"payload must be a JSON object, not {_kind(text)}.")
    if len(text) > MAX_PAYLOAD and _compact_size(text) > MAX_PAYLOAD:
        raise invalid(
            "payload",
            "payload must fit in 32 KiB as compact JSON. Keep it in object storage and send its address.",
        )
    return text.decode()


def _label_or_none(raw: msgspec.Raw) -> str | None:
    if not bytes(raw).startswith(b'"'):
        return None
    try:
        return parse_text(_VALUE.decode(raw), "payload", maximum=MAX_LABEL)
    except LuotaError:
        return None


def _compact_size(text: bytes) -> int:
    """Return the UTF-8 size of JSON without spaces between tokens and without needless escapes."""

    def compact(match: re.Match[bytes]) -> bytes:
        token = match[0]
        if not token.startswith(b'"'):
            return b""
        return json.dumps(json.loads(token), ensure_ascii=False).encode() if b"\\" in token else token

    return len(_STRINGS_AND_SPACES.sub(compact, text))


def _refuse_deep(raw: bytes) -> None:
    """Raise INVALID if a field's value nests beyond 64 levels. Sound for malformed JSON too.

    It runs before any decoding: decoders raise RecursionError on deep input.
    """
    brackets = _STRINGS.sub(b"", raw).translate(_STEPS, _NOT_BRACKETS)
    limit = MAX_DEPTH + 1  # the body itself is one level
    if max(accumulate(memoryview(brackets).cast("b")), default=0) <= limit:
        return
    depth, key = 0, b""
    for match in _STRINGS_AND_BRACKETS.finditer(raw):
        token = match[0]
        if token.startswith(b'"'):
            key = token if depth == 1 else key
        else:
            depth += 1 if token in b"{[" else -1
        if depth > limit:
            break
    raise invalid(_top_token(key), f"The body nests deeper than {MAX_DEPTH} levels. Send it flatter.")


def _repeated_key(raw: bytes, found: Iterable[str], values: Iterable[bytes]) -> str | None:
    """Return a key that stands twice in the object `raw`, of which a decoder has kept `found` and `values`.

    A dropped pair leaves colons that are in none of the kept keys and values. Only where the count is off,
    or a colon may hide in an escape, is the object read once more, pair by pair.
    """
    keys = list(found)
    kept = len(keys) + "".join(keys).count(":") + b"".join(values).count(b":")
    if raw.count(b":") == kept and b"\\u003" not in raw:
        return None
    seen: set[str] = set()
    for key, _ in _pairs(raw):
        if key in seen:
            return key
        seen.add(key)
    return None


def _pairs(raw: bytes) -> tuple[tuple[str, Any], ...]:
    """Return the pairs of the top-level object as sent, its values for looking at only; none of an array.

    Read by the standard library, which unlike msgspec tells repeated keys, NaN and lone surrogates.
    Numbers stay texts, since long ones would raise. ValueError when `raw` is malformed.
    """
    pairs = json.loads(raw.decode(), object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=float)
    return pairs if isinstance(pairs, tuple) else ()


def _malformed(raw: bytes, error: msgspec.DecodeError) -> LuotaError:
    """Return the error for a body that msgspec refuses, with the field to blame where it can be told."""
    try:
        pairs = _pairs(raw)
    except ValueError:
        reason = str(error).removeprefix("JSON is malformed: ")
        return invalid("body", f"The body is not valid JSON: {reason}.")
    for key, value in pairs:
        try:
            json.dumps([key, value], ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            return invalid(_top(key), "The body holds half of a surrogate pair. Send valid Unicode.")
        except ValueError:
            return invalid(_top(key), "The body holds NaN or Infinity, which JSON has not. Send a text.")
    return invalid("body", "The body is not valid JSON.")


def _top(key: str) -> str:
    """Return the field name for a top-level key: `body` where it is none that a message should repeat."""
    return key if is_nameable(key) else "body"


def _top_token(token: bytes) -> str:
    try:
        return _top(json.loads(token))
    except ValueError:
        return "body"


def _kind(raw: bytes) -> str:
    """Return what well-formed JSON is, with its article. Its first character tells."""
    first = raw.lstrip()[:1]
    samples: dict[bytes, Any] = {b'"': "", b"[": [], b"{": {}, b"n": None, b"t": True, b"f": False}
    return kind_of(samples.get(first, 0))
