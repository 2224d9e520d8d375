"""The bodies of the operator's API: one JSON object, decoded whole under the guards of the ingest API."""

import json
from typing import Any

import msgspec

from luota.core.errors import invalid
from luota.core.spec.ingest import decode_body
from luota.core.spec.values import is_nameable, path_of

_VALUE = msgspec.json.Decoder()


def decode_document(raw: bytes) -> dict[str, Any]:
    """Return the object in a body; one that is empty or blank is an empty object.

    INVALID for what `decode_body` refuses, for a key that stands twice at any depth, and for a number that no
    type holds; with the field to blame where it can be told, else `body`.
    """
    doc: dict[str, Any] = {}
    for key, text in decode_body(raw).items():
        field = key if is_nameable(key) else "body"
        _refuse_repeated(_pairs(bytes(text)), field)
        try:
            doc[key] = _VALUE.decode(text)
        except msgspec.ValidationError:
            raise invalid(field, f"{field} holds a number that is out of range.") from None
    return doc


def _pairs(text: bytes) -> object:
    """Return a value with objects as tuples of pairs. Numbers stay texts, since long ones would raise."""
    return json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)


def _refuse_repeated(value: object, field: str) -> None:
    if isinstance(value, list):
        for item in value:
            _refuse_repeated(item, field)
    if not isinstance(value, tuple):
        return
    seen: set[str] = set()
    for key, inner in value:
        path = path_of(field, key)
        if key in seen:
            raise invalid(path, f"{field} has the same key twice. Send each key once.")
        seen.add(key)
        _refuse_repeated(inner, path)
