"""Bodies of the ingest API: accepted ones come back exactly, all others are refused with a field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.errors import Code, LuotaError
from luota.core.spec import ingest
from luota.core.spec.ingest import (
    Close,
    Ping,
    Start,
    decode_body,
    monitor_id,
    parse_fail,
    parse_ping,
    parse_start,
    parse_success,
)

MONITOR = "22222222-2222-4222-8222-222222222222"
SAMPLE = 1_777_426_391_398  # 2026-04-29T01:33:11.398Z
ORIGIN = ("deploySha", "host", "environment", "tags")
PARSERS = (monitor_id, parse_ping, parse_start, parse_success, parse_fail)


def body(**fields):
    """Return the decoded body that has these fields."""
    return decode_body(json.dumps(fields).encode())


def refused(function, *args):
    """Return the field of a call that must be refused."""
    with pytest.raises(LuotaError) as caught:
        function(*args)
    assert caught.value.code is Code.INVALID
    assert caught.value.message.endswith(".")
    json.dumps([caught.value.message, caught.value.field], ensure_ascii=False).encode()
    return caught.value.field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    [
        *("occurredAt", "startedAt", "finishedAt", "payload", "host", "deploySha", "environment", "summary"),
        *("output", "exitCode", "tags", "externalRunId", "monitorId"),
    ]
)


@given(st.dictionaries(field_names | st.text(), json_values, max_size=8), st.booleans())
def test_any_object_is_parsed_or_refused_and_nothing_else(document, ascii_only):
    raw = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        found = decode_body(raw)
    except LuotaError as error:
        assert error.field
        return
    for parse in PARSERS:
        try:
            parse(found)
        except LuotaError as error:
            assert error.code is Code.INVALID and error.field


# --- what is accepted comes back exactly -------------------------------------------------------------------

clean = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
exact_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
payload_texts = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), exact_values, max_size=5),
    st.booleans(),
    st.sampled_from([None, 2]),
)
tag_sets = st.dictionaries(clean.map(lambda t: t[:40]).filter(bool), clean.map(lambda t: t[:120]), max_size=16)


@given(
    st.fixed_dictionaries(
        {"summary": clean.filter(bool)},
        optional={
            "output": clean,
            "exitCode": st.integers(-(2**63), 2**63 - 1),
            "deploySha": clean,
            "host": clean,
            "environment": clean,
            "tags": tag_sets,
        },
    ),
    payload_texts,
    st.booleans(),
)
def test_every_accepted_value_of_a_close_is_exactly_the_one_sent(fields, payload, ascii_only):
    text = json.dumps(fields, ensure_ascii=ascii_only)
    raw = text[:-1] + ', "payload" : ' + payload + ' , "unknown": [1]}'
    close = parse_fail(decode_body(raw.encode()))
    assert close == Close(
        summary=fields["summary"],
        output=fields.get("output"),
        exit_code=fields.get("exitCode"),
        payload=payload,
        deploy_sha=fields.get("deploySha"),
        host=fields.get("host"),
        environment=fields.get("environment"),
        tags=fields.get("tags"),
    )


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        '{ "a" :\n1 }',
        '{"n":' + "9" * 400 + "}",
        '{"f":1e999,"g":-0.0,"h":1.10}',
        '{"a":1,"a":2}',
        '{"a":"\\u0000"}',
        '{"a":"\\ud83d\\ude00","b":"\\u00e9","c":"\\/"}',
    ],
)
def test_a_payload_is_kept_character_for_character(payload):
    assert parse_ping(decode_body(b'{"payload": %s }' % payload.encode())).payload == payload


def test_the_bodies_of_the_reference_are_parsed():
    raw = b'{"occurredAt":"2026-04-29T01:33:11.398Z","payload":{"source":"cron","deploySha":"abc123"}}'
    ping = parse_ping(decode_body(raw))
    assert ping == Ping(SAMPLE, '{"source":"cron","deploySha":"abc123"}', None, "abc123")
    start = body(
        monitorId=MONITOR.upper(),
        externalRunId="job-42",
        startedAt="2026-04-29T04:33:11,398+0300",
        deploySha="abc",
        host="ci",
        environment="production",
        tags={"region": "eu"},
    )
    assert monitor_id(start) == MONITOR
    assert parse_start(start) == Start("job-42", SAMPLE, None, "abc", "ci", "production", {"region": "eu"})
    assert parse_success(body(summary="done", exitCode=0)) == Close(summary="done")
    assert parse_fail(body(summary="died", exitCode=137, finishedAt="2026-04-29T01:33:11.398Z")) == Close(
        SAMPLE, "died", None, 137
    )


# --- one field after the other -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 5, "", "job", MONITOR[:-1], [MONITOR]])
def test_a_start_needs_the_uuid_of_a_monitor(value):
    assert refused(monitor_id, body(monitorId=value)) == "monitorId"
    assert refused(monitor_id, body()) == "monitorId"


@pytest.mark.parametrize("value", [None, "", 5, "a" * 201, "a\0", ["a"]])
def test_a_start_needs_an_external_run_id(value):
    assert refused(parse_start, body(externalRunId=value)) == "externalRunId"
    assert refused(parse_start, body()) == "externalRunId"


@pytest.mark.parametrize("value", [None, "", 5, "a" * 241, "a\0", {"a": "b"}])
def test_a_failure_needs_a_summary(value):
    assert refused(parse_fail, body(summary=value)) == "summary"
    assert refused(parse_fail, body()) == "summary"


def test_a_success_may_leave_its_summary_out_or_empty():
    assert parse_success(body()).summary is None
    for value in ("", "a" * 240):
        assert parse_success(body(summary=value)).summary == value
    assert refused(parse_success, body(summary="a" * 241)) == "summary"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("finishedAt", "2026-04-29T01:33:11"),
        ("finishedAt", 5),
        ("output", 5),
        ("output", "a\0"),
        ("output", "a" * 32_769),
        ("output", "é" * 16_385),
        ("exitCode", "1"),
        ("exitCode", True),
        ("exitCode", 1.0),
        ("exitCode", 2**63),
        ("exitCode", -(2**63) - 1),
        ("exitCode", 10**400),
        ("deploySha", 5),
        ("deploySha", "a" * 201),
        ("host", ["a"]),
        ("host", "a\0b"),
        ("environment", {}),
        ("environment", "a" * 201),
        ("payload", None),
        ("payload", "{}"),
        ("payload", [{}]),
        ("payload", 5),
        ("payload", True),
        ("payload", {"a": "x" * 32_762}),
        ("tags", []),
        ("tags", {str(n): "" for n in range(17)}),
        ("tags", {"": "a"}),
    ],
)
def test_a_known_field_with_a_bad_value_is_named(field, value):
    assert refused(parse_fail, body(**{"summary": "s", field: value})) == field


def test_a_number_that_no_type_holds_is_refused_with_its_field():
    assert refused(parse_fail, decode_body(b'{"summary":"s","exitCode":1e999}')) == "exitCode"
    assert refused(parse_fail, decode_body(b'{"summary":"s","exitCode":%s}' % (b"9" * 5000))) == "exitCode"
    assert refused(parse_fail, decode_body(b'{"summary":"s","tags":{"a":1e999}}')) == "tags"


def test_a_bad_tag_is_named_by_path():
    assert refused(parse_start, body(externalRunId="x", tags={"region": 5})) == "tags.region"
    assert refused(parse_start, body(externalRunId="x", tags={"region": "a" * 121})) == "tags.region"


@pytest.mark.parametrize("tags", ['{"a":"1","a":"2"}', '{"a":"1","\\u0061":"1"}', '{"\\u003a":"","a":"","a":""}'])
def test_a_tag_that_stands_twice_is_refused(tags):
    raw = b'{"externalRunId":"x","tags":%s}' % tags.encode()
    assert refused(parse_start, decode_body(raw)) == "tags.a"


def test_colons_in_keys_and_values_are_no_repeated_keys():
    tags = {"a:b": "::", "c": ":", ":": ""}
    assert parse_start(body(externalRunId=":", tags=tags)).tags == tags


@pytest.mark.parametrize(
    ("parse", "fields"),
    [
        (parse_ping, ("occurredAt", "payload")),
        (parse_start, ("externalRunId", "startedAt", "payload", *ORIGIN)),
        (parse_success, ("finishedAt", "summary", "output", "payload", *ORIGIN)),
        (parse_fail, ("finishedAt", "summary", "output", "exitCode", "payload", *ORIGIN)),
    ],
)
def test_null_is_refused_in_every_field_with_its_name(parse, fields):
    required = {parse_start: {"externalRunId": "x"}, parse_fail: {"summary": "s"}}.get(parse, {})
    for field in fields:
        assert refused(parse, body(**{**required, field: None})) == field


def test_unknown_fields_are_ignored_whatever_they_hold():
    raw = b'{"mood":{"a":[1e999,%s]},"":null,"extra":"\\u0000"}' % (b"9" * 500)
    assert parse_ping(decode_body(raw)) == Ping()


def test_output_up_to_32_kib_is_kept():
    output = "é" * 16_384
    assert parse_success(body(output=output)).output == output


@pytest.mark.parametrize(
    ("inside", "fits"),
    [
        ('"' + "x" * 32_760 + '"', True),  # 32,768 bytes with {"a":…}
        ('"' + "x" * 32_761 + '"', False),
        ('"' + "\\u00e9" * 10_000 + '"', True),  # 60,008 bytes as sent, 20,008 as compact UTF-8
        ('"' + "\\u0001" * 5_460 + '"', True),
        ('"' + "\\u0001" * 5_461 + '"', False),  # these stay escapes
        ("[" + "1,   \n" * 9_000 + "1]", True),  # spaces do not count
        ("[" + '"  ",' * 8_000 + "1]", False),  # but those of a text do
    ],
)
def test_a_payload_is_measured_as_compact_json(inside, fits):
    raw = b'{"payload":{ "a":%s}}' % inside.encode()
    if fits:
        assert len(parse_ping(decode_body(raw)).payload) > 20_000
    else:
        assert refused(parse_ping, decode_body(raw)) == "payload"


@given(payload_texts)
def test_the_compact_size_is_that_of_a_compact_dump(payload):
    value = json.loads(payload)
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert ingest._compact_size(payload.encode()) == len(compact.encode())


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("web-1", "web-1"),
        ("", ""),
        ("a" * 200, "a" * 200),
        ("a" * 201, None),
        ("a\0", None),
        (5, None),
        (None, None),
    ],
)
def test_a_ping_takes_host_and_deploy_sha_from_its_payload_where_they_are_texts(value, found):
    ping = parse_ping(body(payload={"host": value, "deploySha": value, "other": {"host": "no"}}))
    assert (ping.host, ping.deploy_sha) == (found, found)
    assert parse_ping(decode_body(b'{"payload":{"host":1e999,"deploySha":"abc"}}')).deploy_sha == "abc"
    assert parse_ping(body(host="h", deploySha="d")) == Ping()
