import json

import pytest

from luota.core.errors import LuotaError
from luota.core.spec import trace
from luota.core.spec.monitors import parse_rules

AT = "2026-03-02T00:00:00Z"


def refused(raw):
    with pytest.raises(LuotaError) as caught:
        trace.parse_line(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    return caught.value


def test_a_line_is_read_whatever_the_order_of_its_keys():
    raw = b'{"monitor":"a","occurredAt":null,"event":"ping","at":"2026-03-02T00:00:00Z"}'
    assert trace.parse_line(raw) == trace.Ping(at=AT, monitor="a")


@pytest.mark.parametrize(
    ("event", "key", "hint"),
    [
        ("ping", "ocurredAt", "Did you mean occurredAt?"),
        ("ping", "note", "It has at, event, monitor, occurredAt."),
        ("end", "monitor", "It has at, event."),
    ],
)
def test_a_key_that_an_event_does_not_have_is_refused_by_name(event, key, hint):
    doc = {"at": "2026-03-02T00:00:00Z", "event": event, key: "x"} | ({} if event == "end" else {"monitor": "a"})
    with pytest.raises(LuotaError) as refused:
        trace.parse_line(json.dumps(doc).encode())
    assert refused.value.field == key
    assert refused.value.message == f"{key} is not a key of {event}. {hint}"


def test_a_definition_is_what_rules_are_parsed_from():
    doc = {
        "mode": "run",
        "schedule": {"every": 60},
        "graceSeconds": 5,
        "maxRuntimeSeconds": 7,
        "expectedFreshnessSeconds": None,
        "failuresBeforeIncident": 3,
    }
    line = trace.parse_line(json.dumps({"at": AT, "event": "monitor", "monitor": "a", **doc}).encode())
    assert isinstance(line, trace.Monitor)
    assert trace.definition_of(line) == doc
    assert parse_rules(trace.definition_of(line)) == parse_rules(doc)


@pytest.mark.parametrize(
    ("doc", "field", "words"),
    [
        ({"at": AT}, "event", "must be one of monitor, ping"),
        ({"at": AT, "event": 3}, "event", "must be one of"),
        ({"at": AT, "event": "Ping"}, "event", "Did you mean ping?"),
        ({"event": "end"}, "at", "required for end"),
        ({"at": 1772409600000, "event": "end"}, "at", "a text, not a number"),
        ({"at": AT, "event": "ping"}, "monitor", "required for ping"),
        ({"at": AT, "event": "ping", "monitor": ["a"]}, "monitor", "not an array"),
        ({"at": AT, "event": "ping", "monitor": "a", "occurredAt": 5}, "occurredAt", "not a number"),
        ({"at": AT, "event": "fail", "monitor": "a", "run": None}, "run", "required for fail"),
        ({"at": AT, "event": "fail", "monitor": "a", "run": "1", "summary": {}}, "summary", "not an object"),
        ({"at": AT, "event": "pause", "monitor": "a", "untilHealthy": "yes"}, "untilHealthy", "true or false"),
        ([], None, "not an array"),
        (b"", None, "not valid JSON"),
        (b'{"at":', None, "not valid JSON"),
        (b'{"at":"\xff"}', None, "not valid JSON"),
        (b'{"at":"\\ud800","event":"end"}', None, "not valid JSON"),
        (b'{"at":NaN,"event":"end"}', None, "not valid JSON"),
        (b"[" * 100_000, None, "not valid JSON"),
    ],
)
def test_a_wrong_line_is_refused_with_the_field_to_blame(doc, field, words):
    error = refused(doc)
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f'{{"at":"{AT}","event":"ping","monitor":"a","monitor":"a"}}', "monitor"),
        (f'{{"at":"{AT}","event":"ping","monitor":"a","\\u006donitor" : "b"}}', "monitor"),
        (f'{{"event":"end","at":"{AT}","event":"end"}}', "event"),
        (f'{{"at":7,"event":"end","at":"{AT}"}}', "at"),
        (f'{{"at":"{AT}","event":"fail","monitor":"a","run":"1","summary":null,"summary":null}}', "summary"),
        (f'{{"at":"{AT}","event":"monitor","monitor":"a","schedule":{{"every":60,"every":5}}}}', "every"),
    ],
)
def test_a_key_that_stands_twice_is_refused_by_name(line, key):
    error = refused(line.encode())
    assert (error.field, error.message) == (key, f"{key} stands twice on the line. Give each key once.")


def test_a_value_that_is_named_as_a_key_is_no_key():
    raw = f'{{"at":"{AT}","event":"start","monitor":"monitor","run":"run"}}'
    assert trace.parse_line(raw.encode()) == trace.Start(at=AT, monitor="monitor", run="run")
