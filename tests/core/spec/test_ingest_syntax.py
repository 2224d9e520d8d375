"""The syntax step of ingest bodies: what is JSON that can be kept exactly, judged as the standard library does."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from luota.core.errors import Code, LuotaError
from luota.core.spec.ingest import (
    Close,
    Ping,
    decode_body,
    monitor_id,
    parse_fail,
    parse_ping,
    parse_start,
    parse_success,
)

PARSERS = (monitor_id, parse_ping, parse_start, parse_success, parse_fail)


def nested(levels):
    """Return JSON text of objects and arrays, `levels` deep in all."""
    return '{"a":[' * (levels // 2) + "{}" * (levels % 2) + "]}" * (levels // 2)


def refused(function, *args):
    """Return the field of a call that must be refused."""
    with pytest.raises(LuotaError) as caught:
        function(*args)
    assert caught.value.code is Code.INVALID
    assert caught.value.message.endswith(".")
    json.dumps([caught.value.message, caught.value.field], ensure_ascii=False).encode()
    return caught.value.field


@pytest.mark.parametrize("raw", [b"", b" ", b"\r\n\t ", b"{}", b" {} \n"])
def test_an_empty_body_is_an_empty_object(raw):
    assert decode_body(raw) == {}
    assert parse_ping(decode_body(raw)) == Ping()
    assert parse_success(decode_body(raw)) == Close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        b'{"payload":{"a":"\xff"}}',
        b'{"a":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1,}',
        b'{"a":01}',
        b'{"a":"\t"}',
        b'{"a":"\\x"}',
        b"{'a':1}",
        b"a=1",
        b"\x00",
        b"[]",
        b"[NaN]",
        b'["\\ud800"]',
        b'"text"',
        b"null",
        b"5",
        b'{"\\ud800":1}',
        b'{"a\\u0000":1,"a\\u0000":2}',
        b"[" * 60_000,
        b'{"' + b'\\"' * 30_000,
        b'{"' + b'\\"' * 30_000 + b"\\",
    ],
)
def test_what_is_no_json_object_names_the_body(raw):
    assert refused(decode_body, raw) == "body"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"payload":{},"payload":{"a":1}}', "payload"),
        (b'{"pay\\u006coad":{},"payload":{}}', "payload"),
        (b'{"\\u003a":1,"a":1,"a":2}', "a"),
        (b'{"a:":1,"a:":2}', "a:"),
        (b'{"x":1,"x":1}', "x"),
        (b'{"payload":{"a":NaN}}', "payload"),
        (b'{"exitCode":-Infinity}', "exitCode"),
        (b'{"payload":{"a":"\\ud800"}}', "payload"),
        (b'{"payload":{"a":"\\ude00\\ud83d"}}', "payload"),
        (b'{"payload":{"\\udfff":1}}', "payload"),
        (b'{"host":"\\uD800\\u0041"}', "host"),
        (b'{"a":"]]}","payload":%s}' % nested(65).encode(), "payload"),
        (b'{"other":%s}' % nested(65).encode(), "other"),
        (b'{"payload":' + b'{"a":' * 10_000, "payload"),
    ],
)
def test_a_fault_that_belongs_to_one_field_names_it(raw, field):
    assert refused(decode_body, raw) == field


def test_nesting_is_accepted_to_64_levels_whatever_the_number_of_brackets():
    text = nested(64)
    assert parse_ping(decode_body(b'{"payload":%s}' % text.encode())).payload == text
    wide = "{" + ",".join(f'"{n}":[[],{{}}]' for n in range(1000)) + "}"
    assert parse_ping(decode_body(b'{"payload":%s}' % wide.encode())).payload == wide
    brackets = json.dumps({"a": '[{"\\' * 200})
    assert parse_ping(decode_body(b'{"payload":%s}' % brackets.encode())).payload == brackets


class _Object(tuple):
    """The pairs of a JSON object, for the oracle."""


def _depth(value):
    if isinstance(value, _Object):
        return 1 + max((_depth(v) for _, v in value), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(v) for v in value), default=0)
    return 0


def _no_constant(name):
    raise ValueError(name)


def acceptable(raw):
    """Tell by the standard library, without regard to speed, whether `decode_body` must accept."""
    if not raw.strip():
        return True
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_Object,
            parse_int=str,
            parse_float=str,
            parse_constant=_no_constant,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    if not isinstance(value, _Object):
        return False
    keys = [key for key, _ in value]
    return len(set(keys)) == len(keys) and _depth(value) <= 65


pieces = st.sampled_from(
    [
        *b'{ } [ ] , : " \\ a 1 \n - e .'.split(b" "),
        *(b'"a"', b'"b":', b'"a":', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\\uDc00"', b'"\\u003a"', b'"\\\\"'),
        *(b"NaN", b"-Infinity", b"1e999", b"01", b"-0", b"9" * 40, b"true", b"null", b"\xc3\xa9", b"\xff"),
        *(b"\x00", b"\\u0000", b'"\\"', b"[" * 70, b"]" * 70, b'{"a":{}', b'"payload":', b'{"host":"h"}'),
    ]
)
scraps = st.one_of(
    st.binary(max_size=40),
    st.lists(pieces, max_size=12).map(b"".join),
    st.lists(pieces, max_size=12).map(lambda p: b'{"a":' + b"".join(p) + b"}"),
    st.lists(st.tuples(st.sampled_from([b'"a"', b'"b"', b'"\\u0061"', b'":"']), pieces), max_size=5).map(
        lambda pairs: b"{" + b",".join(k + b":" + v for k, v in pairs) + b"}"
    ),
)


@settings(max_examples=600)
@given(scraps)
@example(b'{"a":' + b"[" * 64 + b"]" * 64 + b"}")
@example(b'{"a":' + b"[" * 65 + b"]" * 65 + b"}")
def test_any_bytes_give_a_body_or_a_refusal_as_the_standard_library_judges(raw):
    try:
        found = decode_body(raw)
    except LuotaError as error:
        assert error.code is Code.INVALID and error.field and not acceptable(raw)
        json.dumps([error.message, error.field], ensure_ascii=False).encode()
        return
    assert acceptable(raw)
    for parse in PARSERS:
        try:
            parse(found)
        except LuotaError as error:
            assert error.code is Code.INVALID and error.field
