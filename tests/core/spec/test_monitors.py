"""Definitions of monitors: what each mode needs, takes and refuses, and that they survive the way there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luota.core.errors import Code, LuotaError
from luota.core.model import Mode, Rules
from luota.core.schedule import Calendar, Cron, Every
from luota.core.spec.monitors import (
    KEYS,
    Definition,
    definition_json,
    parse_definition,
    parse_edit,
    parse_rules,
)

HEARTBEAT = {"name": "Backup", "mode": "heartbeat", "schedule": {"every": 3600}}
RUN = {"name": "Report", "mode": "run"}
FRESHNESS = {"name": "Cache", "mode": "freshness", "expectedFreshnessSeconds": 3600}
FULL = {
    "name": "Nightly backup",
    "slug": "nightly",
    "mode": "run",
    "schedule": {"cron": "0 2 * * *", "timezone": "Europe/Helsinki"},
    "graceSeconds": 300,
    "maxRuntimeSeconds": 900,
    "failuresBeforeIncident": 3,
    "reminderSeconds": 14_400,
    "promise": "Last night's data can be restored",
    "owner": "ops",
    "runbook": "https://wiki.example/backup",
    "tags": {"region": "eu"},
    "environment": "production",
    "channels": ["ops-hook"],
}


def refused(function, *args, **kwargs):
    """Return the error of a call that must be refused."""
    with pytest.raises(LuotaError) as caught:
        function(*args, **kwargs)
    assert caught.value.code is Code.INVALID
    json.dumps([caught.value.message, caught.value.field], ensure_ascii=False).encode()
    return caught.value


def test_the_shortest_definitions_get_the_defaults():
    assert parse_definition(HEARTBEAT) == Definition(
        name="Backup", rules=Rules(mode=Mode.HEARTBEAT, schedule=Every(3_600_000))
    )
    run = parse_definition(RUN).rules
    assert run == Rules(mode=Mode.RUN, schedule=None, grace=0, max_runtime=86_400_000, tolerance=1)
    assert parse_definition(FRESHNESS).rules == Rules(mode=Mode.FRESHNESS, freshness=3_600_000)


def test_a_full_definition_is_taken_over_whole():
    found = parse_definition(FULL)
    assert found.rules == Rules(
        mode=Mode.RUN,
        schedule=found.rules.schedule,
        grace=300_000,
        max_runtime=900_000,
        freshness=0,
        tolerance=3,
    )
    assert isinstance(found.rules.schedule, Cron)
    assert (found.slug, found.owner, found.environment) == ("nightly", "ops", "production")
    assert (found.tags, found.channels) == ({"region": "eu"}, ("ops-hook",))
    assert definition_json(found) == FULL


def test_durations_take_units_and_calendars_their_timezone():
    rules = parse_rules(
        {
            "mode": "run",
            "schedule": {"calendar": "Mon..Fri 08:00"},
            "graceSeconds": "5m",
            "maxRuntimeSeconds": "2h",
        }
    )
    assert (rules.grace, rules.max_runtime) == (300_000, 7_200_000)
    assert isinstance(rules.schedule, Calendar)


@pytest.mark.parametrize(
    ("base", "changes", "field"),
    [
        (HEARTBEAT, {"name": None}, "name"),
        (HEARTBEAT, {"name": ""}, "name"),
        (HEARTBEAT, {"name": "  "}, "name"),
        (HEARTBEAT, {"name": "a\nBcc: b"}, "name"),
        (HEARTBEAT, {"name": "a" * 121}, "name"),
        (HEARTBEAT, {"name": 5}, "name"),
        (HEARTBEAT, {"slug": "No Slug"}, "slug"),
        (HEARTBEAT, {"mode": None}, "mode"),
        (HEARTBEAT, {"mode": "ping"}, "mode"),
        (HEARTBEAT, {"mode": ["run"]}, "mode"),
        (HEARTBEAT, {"schedule": None}, "schedule"),
        (HEARTBEAT, {"schedule": "hourly"}, "schedule"),
        (HEARTBEAT, {"schedule": {}}, "schedule"),
        (HEARTBEAT, {"graceSeconds": -1}, "graceSeconds"),
        (HEARTBEAT, {"graceSeconds": "366d"}, "graceSeconds"),
        (HEARTBEAT, {"graceSeconds": 1.5}, "graceSeconds"),
        (HEARTBEAT, {"maxRuntimeSeconds": 60}, "maxRuntimeSeconds"),
        (HEARTBEAT, {"expectedFreshnessSeconds": 60}, "expectedFreshnessSeconds"),
        (HEARTBEAT, {"failuresBeforeIncident": 0}, "failuresBeforeIncident"),
        (HEARTBEAT, {"failuresBeforeIncident": 101}, "failuresBeforeIncident"),
        (HEARTBEAT, {"failuresBeforeIncident": True}, "failuresBeforeIncident"),
        (HEARTBEAT, {"failuresBeforeIncident": "3"}, "failuresBeforeIncident"),
        (HEARTBEAT, {"promise": "a" * 501}, "promise"),
        (HEARTBEAT, {"owner": "a" * 201}, "owner"),
        (HEARTBEAT, {"owner": []}, "owner"),
        (HEARTBEAT, {"runbook": "wiki"}, "runbook"),
        (HEARTBEAT, {"runbook": []}, "runbook"),
        (HEARTBEAT, {"runbook": {}}, "runbook"),
        (HEARTBEAT, {"tags": {"region": 5}}, "tags.region"),
        (HEARTBEAT, {"environment": "a\0"}, "environment"),
        (HEARTBEAT, {"channels": "ops"}, "channels"),
        (HEARTBEAT, {"channels": [""]}, "channels"),
        (HEARTBEAT, {"channels": ["a", "a"]}, "channels"),
        (HEARTBEAT, {"channels": [[]]}, "channels"),
        (HEARTBEAT, {"channels": [str(n) for n in range(21)]}, "channels"),
        (RUN, {"maxRuntimeSeconds": 0}, "maxRuntimeSeconds"),
        (RUN, {"maxRuntimeSeconds": "long"}, "maxRuntimeSeconds"),
        (RUN, {"expectedFreshnessSeconds": 60}, "expectedFreshnessSeconds"),
        (FRESHNESS, {"expectedFreshnessSeconds": None}, "expectedFreshnessSeconds"),
        (FRESHNESS, {"expectedFreshnessSeconds": 0}, "expectedFreshnessSeconds"),
        (FRESHNESS, {"schedule": {"every": 60}}, "schedule"),
        (FRESHNESS, {"failuresBeforeIncident": 2}, "failuresBeforeIncident"),
        (FRESHNESS, {"maxRuntimeSeconds": 60}, "maxRuntimeSeconds"),
    ],
)
def test_a_bad_value_is_refused_with_its_key(base, changes, field):
    assert refused(parse_definition, {**base, **changes}).field == field


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("hartbeat", "mode must be one of heartbeat, run, freshness, not hartbeat. Did you mean heartbeat?"),
        ("Runs", "mode must be one of heartbeat, run, freshness, not Runs. Did you mean run?"),
        ("zzz", "mode must be one of heartbeat, run, freshness, not zzz."),
        ("\x1b[2J", "mode must be one of heartbeat, run, freshness, not this text."),
        (7, "mode must be one of heartbeat, run, freshness, not a number."),
        ("", "mode is required and must be one of heartbeat, run, freshness."),
    ],
)
def test_another_mode_is_refused_with_those_that_there_are_and_the_nearest(mode, said):
    assert refused(parse_definition, {**HEARTBEAT, "mode": mode}).message == said


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("grace", "graceSeconds"),
        ("grace_seconds", "graceSeconds"),
        ("maxRuntime", "maxRuntimeSeconds"),
        ("channel", "channels"),
        ("tag", "tags"),
        ("zzz", "Known keys are name"),
    ],
)
def test_an_unknown_key_is_refused_naming_the_nearest(key, near):
    error = refused(parse_definition, {**HEARTBEAT, key: 1})
    assert error.field == key
    assert near in error.message


@pytest.mark.parametrize("key", ["", "\ud800", "a\0", "a" * 5000, 7])
def test_an_unknown_key_that_is_unfit_to_repeat_is_not(key):
    assert refused(parse_definition, {**HEARTBEAT, key: 1}).field == "body"


def test_rules_of_a_recorded_history_ignore_what_the_mode_has_no_use_for():
    doc = {
        "at": "2026-04-29T01:33:11Z",
        "event": "monitor",
        "monitor": "m",
        "mode": "heartbeat",
        "schedule": {"every": 60},
        "maxRuntimeSeconds": 0,
        "expectedFreshnessSeconds": None,
        "failuresBeforeIncident": 2,
    }
    assert parse_rules(doc) == Rules(mode=Mode.HEARTBEAT, schedule=Every(60_000), tolerance=2)


def test_a_schedule_that_has_run_out_is_refused_at_creation_but_survives_another_edit():
    once = {**RUN, "schedule": {"calendar": "2020-01-01 00:00"}}
    now = 1_777_426_391_398
    assert refused(parse_definition, once, now=now).field.startswith("schedule")
    current = definition_json(parse_definition(once))
    assert parse_edit(current, {"owner": "ops"}, now=now).owner == "ops"
    assert refused(parse_edit, current, {"schedule": once["schedule"]}, now=now).field.startswith("schedule")


def test_an_edit_changes_the_given_keys_only():
    current = definition_json(parse_definition(FULL))
    edited = parse_edit(current, {"graceSeconds": "10m", "schedule": None, "runbook": None, "channels": []})
    expected = {**FULL, "graceSeconds": 600, "schedule": None, "runbook": None, "channels": None}
    assert definition_json(edited) == expected
    assert current == FULL


def test_an_edit_cannot_change_the_mode():
    current = definition_json(parse_definition(RUN))
    error = refused(parse_edit, current, {"mode": "freshness", "expectedFreshnessSeconds": 60})
    assert error.field == "mode"
    assert "new monitor" in error.message
    assert parse_edit(current, {"mode": "run"}) == parse_definition(RUN)
    assert parse_edit(current, {"mode": None}) == parse_definition(RUN)
    assert refused(parse_edit, current, {"mode": "nonsense"}).field == "mode"


def test_an_edit_with_an_unknown_key_is_refused():
    assert refused(parse_edit, definition_json(parse_definition(RUN)), {"names": "x"}).field == "names"


clean = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=100)
shared = {
    "name": clean.filter(str.strip),
    "graceSeconds": st.integers(0, 365 * 86_400),
    "promise": clean,
    "owner": clean,
    "runbook": st.sampled_from([None, "https://wiki.example/a"]),
    "tags": st.dictionaries(clean.map(lambda t: t[:40]).filter(bool), clean, max_size=16),
    "environment": clean,
    "channels": st.none() | st.lists(clean.filter(bool), min_size=1, max_size=20, unique=True),
}
schedules = st.sampled_from(
    [{"every": 60}, {"cron": "0 2 * * *", "timezone": "Europe/Helsinki"}, {"calendar": "Mon..Fri 08:00"}]
)
documents = st.one_of(
    st.fixed_dictionaries(
        {
            **shared,
            "mode": st.just("heartbeat"),
            "schedule": schedules,
            "failuresBeforeIncident": st.integers(1, 100),
        }
    ),
    st.fixed_dictionaries(
        {
            **shared,
            "mode": st.just("run"),
            "schedule": st.none() | schedules,
            "maxRuntimeSeconds": st.integers(1, 10**8),
        }
    ),
    st.fixed_dictionaries({**shared, "mode": st.just("freshness"), "expectedFreshnessSeconds": st.integers(1, 10**8)}),
)


@given(documents)
def test_a_definition_survives_the_way_to_json_and_back(document):
    definition = parse_definition(document)
    found = definition_json(definition)
    assert parse_definition(json.loads(json.dumps(found))) == definition
    assert parse_edit(found, {}) == definition
    assert set(found) <= set(KEYS)
    for key, value in document.items():
        if key != "schedule":
            assert found[key] == (value if value != "" else None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from([HEARTBEAT, RUN, FRESHNESS, {}]),
    st.dictionaries(st.sampled_from(KEYS) | st.text(), values, max_size=4),
)
def test_any_object_is_a_definition_or_refused_and_nothing_else(base, changes):
    for attempt in (
        lambda: parse_definition({**base, **changes}),
        lambda: parse_rules({**base, **changes}),
        lambda: parse_edit(FULL, changes),
    ):
        try:
            attempt()
        except LuotaError as error:
            assert error.code is Code.INVALID and error.field
            json.dumps([error.field], ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [1, 299, "4m", "31d", -1, 300.5, "often"])
def test_reminders_that_would_be_noise_or_never_come_are_refused(value):
    assert refused(parse_definition, {**FULL, "reminderSeconds": value}).field == "reminderSeconds"


def test_no_reminders_are_the_default():
    assert parse_definition({**FULL, "reminderSeconds": 0}).reminder == 0
    assert definition_json(parse_definition({**FULL, "reminderSeconds": None}))["reminderSeconds"] is None
