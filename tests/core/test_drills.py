"""The four drills: which fit, what their steps are, and which facts prove them."""

import pytest
from msgspec.structs import replace

from luota.core.drills import (
    DrillKind,
    DrillState,
    Facts,
    Listener,
    Opened,
    StepState,
    Telling,
    advance,
    checklist,
    failure_of,
    finish,
    fitting,
    refusal,
    result,
    twin_of,
    waiting,
)
from luota.core.model import Kind, Mode, Rules
from luota.core.schedule import Every
from luota.core.spec.monitors import MAX_NAME, definition_json, parse_definition
from luota.core.wants import EVERYTHING, Wants

T = 1_800_000_000_000
HEARTBEAT = Rules(mode=Mode.HEARTBEAT, schedule=Every(2_000), grace=1_000)
RUN = Rules(mode=Mode.RUN, max_runtime=60_000)
DESK = Listener("c1", "desk", EVERYTHING)
ENDS = {"told": T + 75_000, "recovery": T + 120_000}
OPENED = Opened("i", "missed", T + 3_000, None, None)
SIGNALLED = {"signal_at": T, "deadline_at": T + 3_000}


def telling(state="delivered", type_="incident.opened", **more):
    said = {
        "attempts": 1,
        "next_attempt_at": None if state in {"delivered", "failed_terminal", "cancelled"} else T + 10_000,
        "finished_at": T + 4_000,
        "error": None if state == "delivered" else "HTTP 503 from the receiver",
        "status": 200 if state == "delivered" else 503,
        "provider_id": None,
    }
    return Telling("c1", type_, state, **(said | more))


def steps(facts, kind=DrillKind.MISSED, rules=HEARTBEAT, listeners=(DESK,)):
    """The steps of a drill after one look at `facts`, by the first word of their key."""
    failure = failure_of(kind, rules.mode)
    found = advance(checklist(kind, rules.mode, listeners), facts, rules, failure, ENDS)
    return {step.key.partition(".")[0]: step for step in found}


def test_before_the_first_signal_all_steps_wait():
    assert {step.state for step in steps(Facts()).values()} == {StepState.WAITING}


def test_the_signal_proves_the_deadline_only_when_it_lies_a_full_interval_and_the_grace_after_it():
    right = steps(Facts(**SIGNALLED))
    assert (right["signal"].state, right["signal"].at) == (StepState.PROVEN, T)
    assert (right["deadline"].state, right["deadline"].detail) == (StepState.PROVEN, "2027-01-15T08:00:03.000Z")
    wrong = steps(Facts(signal_at=T, deadline_at=T + 3_001))["deadline"]
    assert wrong.state is StepState.NOT_PROVEN
    assert wrong.detail == "it is 2027-01-15T08:00:03.001Z and not 2027-01-15T08:00:03.000Z"


def test_a_run_proves_its_limit():
    found = steps(Facts(signal_at=T, deadline_at=T + 60_000), DrillKind.FAILED, RUN)
    assert found["deadline"].state is StepState.PROVEN


def test_the_incident_must_be_of_the_kind_and_open_at_the_deadline_itself():
    assert steps(Facts(**SIGNALLED, opened=OPENED))["incident"].state is StepState.PROVEN
    late = Opened("i", "missed", T + 3_001, None, None)
    assert steps(Facts(**SIGNALLED, opened=late))["incident"].state is StepState.NOT_PROVEN
    other = Opened("i", "stuck", T + 3_000, None, None)
    assert steps(Facts(**SIGNALLED, opened=other))["incident"].detail == "the incident is of kind stuck"


def test_a_failed_run_opens_its_incident_at_the_failure():
    opened = Opened("i", "failed", T + 500, None, None)
    facts = Facts(signal_at=T, deadline_at=T + 60_000, failed_at=T + 500, opened=opened)
    assert steps(facts, DrillKind.FAILED, RUN)["incident"].state is StepState.PROVEN


@pytest.mark.parametrize(
    ("state", "more", "expected", "detail"),
    [
        ("delivered", {"provider_id": "abc"}, StepState.PROVEN, "delivered: answer 200, abc"),
        ("delivered", {"status": None}, StepState.PROVEN, "delivered: accepted"),
        ("failed_terminal", {}, StepState.NOT_PROVEN, "failed, terminal: HTTP 503 from the receiver"),
        ("cancelled", {"error": "told elsewhere"}, StepState.NOT_PROVEN, "cancelled: told elsewhere"),
        (
            "cancelled",
            {"error": "gone", "under_way": True},
            StepState.WAITING,
            "cancelled: gone; an attempt is under way",
        ),
        (
            "failed_retrying",
            {},
            StepState.WAITING,
            "failed, retrying; last error: HTTP 503 from the receiver; next attempt 2027-01-15T08:00:10.000Z",
        ),
        (
            "failed_retrying",
            {"next_attempt_at": T + 76_000},
            StepState.NOT_PROVEN,
            "failed, retrying; last error: HTTP 503 from the receiver; next attempt 2027-01-15T08:01:16.000Z, "
            "later than this drill waits",
        ),
        (
            "queued",
            {"attempts": 0, "next_attempt_at": T + 600_000},
            StepState.NOT_PROVEN,
            "queued; next attempt 2027-01-15T08:10:00.000Z, later than this drill waits",
        ),
    ],
)
def test_a_channel_is_told_when_its_provider_took_the_message(state, more, expected, detail):
    step = steps(Facts(**SIGNALLED, opened=OPENED, tellings=(telling(state, **more),)))["told"]
    assert (step.state, step.detail) == (expected, detail)


def test_the_message_of_another_type_or_channel_proves_nothing():
    other = Telling("c2", "incident.opened", "delivered", 1, None, T, None, 200, None)
    found = steps(Facts(**SIGNALLED, opened=OPENED, tellings=(other, telling(type_="incident.resolved"))))
    assert found["told"].state is StepState.NOT_PROVEN
    assert found["recovery"].state is StepState.PROVEN


def test_a_channel_to_which_no_notice_was_queued_with_the_news_is_waited_for_no_longer():
    why = "no notice went to this channel: it was removed, or does not want such notices any more"
    found = steps(Facts(**SIGNALLED))
    assert found["told"].state is StepState.WAITING
    found = steps(Facts(**SIGNALLED, opened=OPENED))
    assert (found["told"].state, found["told"].detail) == (StepState.NOT_PROVEN, why)
    assert found["recovery"].state is StepState.WAITING
    ended = replace(OPENED, resolved_at=T + 9_000)
    found = steps(Facts(**SIGNALLED, opened=ended, tellings=(telling(),)))
    assert found["told"].state is StepState.PROVEN
    assert (found["recovery"].state, found["recovery"].detail) == (StepState.NOT_PROVEN, why)


def test_a_recovery_waits_for_no_second_attempt_to_a_channel_that_was_not_told_either():
    found = checklist(DrillKind.MISSED, Mode.HEARTBEAT, (DESK,))
    facts = Facts(**SIGNALLED, opened=OPENED, tellings=(telling("failed_terminal"),))
    found = advance(found, facts, HEARTBEAT, Kind.MISSED, ENDS)
    waits = telling("queued", "incident.resolved", attempts=0)
    facts = Facts(**SIGNALLED, opened=OPENED, tellings=(waits,))
    found = advance(found, facts, HEARTBEAT, Kind.MISSED, ENDS)
    assert waiting(found, "recovery")
    facts = Facts(**SIGNALLED, opened=OPENED, tellings=(telling("failed_retrying", "incident.resolved"),))
    found = advance(found, facts, HEARTBEAT, Kind.MISSED, ENDS)
    assert not waiting(found, "recovery")
    assert found[-1].detail.endswith("not waited for: it was not told of the incident either")


def test_a_settled_step_stays_as_it_is():
    found = advance(
        checklist(DrillKind.MISSED, Mode.HEARTBEAT, (DESK,)), Facts(**SIGNALLED), HEARTBEAT, Kind.MISSED, ENDS
    )
    assert advance(found, Facts(), HEARTBEAT, Kind.MISSED, ENDS) == found


def test_a_dead_route_is_proven_by_the_503_on_record_and_the_next_attempt():
    def look(**more):
        facts = Facts(**SIGNALLED, opened=OPENED, tellings=(telling("failed_retrying", **more),))
        return steps(facts, DrillKind.DEAD_ROUTE, listeners=())["dead_route"]

    assert look().state is StepState.PROVEN
    assert look().detail == "retrying: HTTP 503 from the receiver; next attempt 2027-01-15T08:00:10.000Z"
    assert look(attempts=0).state is StepState.WAITING
    refused = look(status=None, error="connection refused")
    assert (refused.state, refused.detail) == (StepState.NOT_PROVEN, "failed, retrying: connection refused")


def test_a_channel_has_steps_for_the_notices_that_it_wants():
    kinds = Listener("c1", "desk", Wants(kinds=(Kind.FAILED,)))
    ends = Listener("c2", "log", Wants(opened=False))
    found = checklist(DrillKind.MISSED, Mode.HEARTBEAT, (kinds, ends))
    assert [step.key for step in found] == ["signal", "deadline", "incident", "told", "recovered", "recovery.c2"]
    assert found[3].state is StepState.NOT_PROVEN
    assert "no channel hears of missed incidents" in found[3].detail


def test_what_still_waits_at_the_end_is_not_proven_for_the_reason_and_what_is_known():
    found = advance(
        checklist(DrillKind.MISSED, Mode.HEARTBEAT, (DESK,)),
        Facts(**SIGNALLED, opened=OPENED, tellings=(telling("failed_retrying"),)),
        HEARTBEAT,
        Kind.MISSED,
        ENDS,
    )
    told = next(step for step in finish(found, "time is up") if step.key == "told.c1")
    assert told.state is StepState.NOT_PROVEN
    assert told.detail.startswith("failed, retrying; last error: HTTP 503")
    assert told.detail.endswith("; time is up")
    assert result(finish(found, "time is up")) is DrillState.NOT_PROVEN
    proven = [step for step in found if step.state is StepState.PROVEN]
    assert result(proven) is DrillState.PROVEN


@pytest.mark.parametrize(
    ("rules", "kinds"),
    [
        (HEARTBEAT, "missed dead_route"),
        (RUN, "failed dead_route"),
        (Rules(mode=Mode.RUN, schedule=Every(60_000)), "failed missed dead_route"),
        (Rules(mode=Mode.FRESHNESS, freshness=60_000), "stale dead_route"),
    ],
)
def test_each_mode_has_its_drills(rules, kinds):
    assert " ".join(fitting(rules)) == kinds
    for kind in DrillKind:
        said = refusal(kind, rules)
        assert (said is None) == (kind in kinds.split())
        assert said is None or said.endswith(f"Drills that fit it: {', '.join(kinds.split())}.")


@pytest.mark.parametrize(
    ("doc", "failure", "rules"),
    [
        ({"mode": "heartbeat", "schedule": {"cron": "0 2 * * *"}, "failuresBeforeIncident": 9}, "missed", HEARTBEAT),
        (
            {"mode": "run", "schedule": {"every": 60}, "maxRuntimeSeconds": 60},
            "failed",
            Rules(mode=Mode.RUN, grace=1_000, max_runtime=600_000),
        ),
        (
            {"mode": "freshness", "expectedFreshnessSeconds": 3600, "graceSeconds": 900},
            "stale",
            Rules(mode=Mode.FRESHNESS, grace=1_000, freshness=2_000),
        ),
    ],
)
def test_a_twin_is_its_monitor_with_a_rhythm_of_seconds(doc, failure, rules):
    of = {"name": "x" * MAX_NAME, "slug": "x", "owner": "Ann", "tags": {"a": "b"}, "reminderSeconds": 3600}
    definition = parse_definition({**of, **doc})
    twin = parse_definition(twin_of(definition_json(definition), Kind(failure)))
    assert twin.rules == rules
    assert twin.name.endswith("x (drill)")
    assert (twin.slug, twin.owner, twin.tags, twin.reminder) == (None, "Ann", {"a": "b"}, 0)
