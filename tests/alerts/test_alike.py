"""People and machines are told the same: what changes the words of a notice changes its JSON, and the other way round."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, structs

from luota.alerts.messages import body_of
from luota.alerts.notice import DeadRoute, GapFacts, Named
from luota.alerts.words import text
from luota.core.evidence import SignalFacts
from luota.core.model import Mode, Rules
from luota.core.schedule import parse_schedule
from tests.alerts.notices import AT, notice

MINUTE = 60_000
RULES = Rules(mode=Mode.HEARTBEAT, schedule=parse_schedule({"every": 600}), grace=MINUTE)
OTHER = {
    "type": "incident.updated",
    "kind": "failed",
    "mode": Mode.RUN,
    "timezone": "Europe/Helsinki",
    "schedule": parse_schedule({"cron": "0 2 * * *", "timezone": "Europe/Helsinki"}),
}
FOR_MACHINES = {
    # Ids, what is the delivery's own, and what else people are spared or told by the summary.
    *("delivery_id", "channel", "queued_at", "incident.state", "monitor.id", "monitor.slug", "monitor.rules.mode"),
    *("run.id", "run.tags", "gap.unverified.0.id", "gap.undecided.0.id", "dead.id", "dead.type", "dead.error"),
}
FOR_PEOPLE = {"digest", "told_by"}
"""Fields that only channels of people have: machines get each notice, and no thread."""


def about_an_incident(type_, kind="missed", environment="here"):
    """A notice in which each field has something."""
    facts = notice(type_, text="x")
    incident = {"kind": kind, "expected_at": AT, "url": "https://luota.example.org/incidents/1", "first_notice": True}
    if type_ == "incident.resolved":
        incident["open_again_at"] = AT
    return structs.replace(
        facts,
        incident=structs.replace(facts.incident, **incident),
        monitor=structs.replace(facts.monitor, slug="x", rules=RULES),
        run=structs.replace(facts.run, environment=environment, tags={"x": "y"}),
        signal=SignalFacts(AT, "x", "y"),
    )


def about_none(type_, **more):
    return notice(type_, incident=None, monitor=None, run=None, changes=(), **more)


GAP = GapFacts(AT, AT + MINUTE, (Named("1", "a", "x", AT),), (Named("2", "b", "y", AT),))
NOTICES = (
    *(about_an_incident(f"incident.{type_}") for type_ in ("opened", "updated", "reminder", "resolved")),
    about_an_incident("incident.opened", environment=None),  # the monitor's is told in its place
    about_none("watch.gap", gap=GAP),
    about_none("channel.failed", dead=DeadRoute("1", "team", "slack", "x")),
)


def fields(value: Any, *way: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the way to each field of a notice, and what it has."""
    if isinstance(value, tuple) and value:
        for number, one in enumerate(value):
            yield from fields(one, *way, number)
    elif isinstance(value, Struct) and way[-1:] != ("schedule",):
        for name in value.__struct_fields__:
            yield from fields(getattr(value, name), *way, name)
    else:
        yield way, value


def changed(value: Any, way: tuple[str | int, ...]) -> Any:
    """Return a notice with something else in one field."""
    first, *rest = way
    if isinstance(first, int):
        return (*value[:first], changed(value[first], rest), *value[first + 1 :])
    before = getattr(value, first)
    return structs.replace(value, **{first: changed(before, rest) if rest else other(first, before)})


def other(name: str, value: Any) -> Any:
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 60 * MINUTE
    return {"other": "z"} if isinstance(value, dict) else "other"


def name_of(way):
    return ".".join(map(str, way))


def told(form):
    """Return the fields on which it depends what `form` makes of the notices."""
    return {
        name_of(way)
        for one in NOTICES
        for way, value in fields(one)
        if value not in (None, ()) and form(changed(one, way)) != form(one)
    }


def test_no_fact_is_told_to_people_or_to_machines_alone_but_those_named_here():
    assert told(text) - told(body_of) == set()
    assert told(body_of) - told(text) == FOR_MACHINES


def test_each_field_of_a_notice_is_compared():
    had, empty = set(), set()
    for one in NOTICES:
        for way, value in fields(one):
            (empty if value in (None, ()) else had).add(name_of(way))
    assert {name for name in empty if not any(f"{one}.".startswith(f"{name}.") for one in had)} == FOR_PEOPLE
