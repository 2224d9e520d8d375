"""A notice: all that a channel needs to tell, put together from a delivery and its evidence.

Its words for people: `luota.alerts.words`; its form for machines: `luota.alerts.messages`. Each fact is told by both.
"""

from typing import Any

import msgspec
from msgspec import Struct

from luota.core.evidence import Change, RunFacts, SignalFacts, changes
from luota.core.model import UTC_NAME, Rules
from luota.core.spec.monitors import Definition
from luota.core.spec.values import parse_instant
from luota.store.deliveries import Evidence, Outgoing


class IncidentFacts(Struct, frozen=True):
    """The incident at the time of the notice; `opened_summary` is why it is open, or was.

    `first_notice` tells that the channel has not been told of it before. `open_again_at` is when the incident opened
    that has followed this one, None unless that one is open. `url` is its page; None where Luota's own address is not
    known.
    """

    id: str
    kind: str
    state: str
    opened_at: int
    expected_at: int | None
    resolved_at: int | None
    opened_summary: str
    first_notice: bool = False
    open_again_at: int | None = None
    url: str | None = None

    @property
    def lasted(self) -> int | None:
        """From its opening to its end, in milliseconds; None while it is open."""
        return None if self.resolved_at is None else max(0, self.resolved_at - self.opened_at)


class MonitorFacts(Struct, frozen=True):
    """A monitor. Name, promise, owner and runbook are as they were when the incident opened.

    `rules` and what else has no such copy are as they are now, None or empty for what was not given.
    """

    id: str
    name: str
    promise: str | None
    owner: str | None
    runbook: str | None
    slug: str | None = None
    environment: str | None = None
    tags: dict[str, str] = {}
    rules: Rules | None = None

    @property
    def schedule(self) -> str | None:
        """The schedule in words, or None."""
        found = None if self.rules is None else self.rules.schedule
        return None if found is None else found.describe()

    @property
    def grace(self) -> int:
        """How long a signal may be late, in milliseconds."""
        return 0 if self.rules is None else self.rules.grace

    @property
    def timezone(self) -> str:
        """The zone in which people read this monitor's times."""
        return UTC_NAME if self.rules is None else self.rules.timezone


class Named(Struct, frozen=True):
    """A monitor in a list: what is said of it, and when that is decided, if it still is to be.

    `timezone` is the zone in which people read its times.
    """

    id: str
    name: str
    reason: str | None = None
    decided_at: int | None = None
    timezone: str = UTC_NAME


class GapFacts(Struct, frozen=True):
    """A stretch in which Luota could not hear, and what that hid."""

    start: int
    end: int
    unverified: tuple[Named, ...]
    undecided: tuple[Named, ...]


class Told(Struct, frozen=True):
    """One notice in a digest, `lasted` ms after its incident opened; `opened_by` is why it did, where untold.

    `timezone` is the zone in which people read the monitor's times. `first_notice` tells that the channel had not been
    told of the incident before, `told_by` which digest had done so first, None if it was a message of its own.
    `open_again` tells of an end that another incident of the monitor was open when the digest was put together.
    """

    type: str
    incident_id: str
    monitor: str
    kind: str
    summary: str
    url: str | None = None
    lasted: int | None = None
    opened_by: str | None = None
    timezone: str = UTC_NAME
    first_notice: bool = True
    told_by: str | None = None
    open_again: bool = False


class DeadRoute(Struct, frozen=True):
    """A channel to which a notice had to be given up, and why."""

    id: str
    name: str
    type: str
    error: str


class Notice(Struct, frozen=True, kw_only=True):
    """One message to one channel. Instants are UTC milliseconds.

    `at` is the instant to which the news belongs, `summary` one line that says it. `run` is the run that
    the news is about (for a recovery the one that ended the incident), `signal` the newest ping,
    `changes` what differs in `run` from the last healthy run before it. `drill` tells that the incident was
    made on purpose (docs/drills.md). `told_by` is the digest that told the channel of the incident first, if one did.
    """

    type: str
    delivery_id: str
    channel: str
    at: int
    queued_at: int
    summary: str
    incident: IncidentFacts | None = None
    monitor: MonitorFacts | None = None
    run: RunFacts | None = None
    signal: SignalFacts | None = None
    changes: tuple[Change, ...] = ()
    gap: GapFacts | None = None
    dead: DeadRoute | None = None
    digest: tuple[Told, ...] = ()
    drill: bool = False
    told_by: str | None = None


def notice_of(
    outgoing: Outgoing, channel: str, monitor: Definition | None, evidence: Evidence, base_url: str | None = None
) -> Notice:
    """Return the notice of a delivery; `channel` is the channel's name, `monitor` the present definition.

    What happened is as it was when the notice was queued; run and definition are as they are now. Links lead
    to `base_url`, which is `config.Server.base_url`; without one there are none.
    """
    said = msgspec.json.decode(outgoing.notice)
    run, healthy = evidence.run, evidence.healthy
    return Notice(
        type=outgoing.type,
        delivery_id=outgoing.id,
        channel=channel,
        at=said["at"],
        queued_at=outgoing.queued_at,
        summary=said["reason"],
        incident=_incident(outgoing, said, base_url),
        monitor=_monitor(outgoing, monitor),
        run=run,
        signal=evidence.signal,
        changes=changes(run, healthy) if run is not None and healthy is not None else (),
        gap=_gap(said) if outgoing.type == "watch.gap" else None,
        dead=DeadRoute(**said["channel"]) if outgoing.type == "channel.failed" else None,
        digest=tuple(_told(one, base_url) for one in said.get("incidents", ())),
        drill=said.get("drill", False),
        told_by=outgoing.told_by,
    )


def _told(said: dict[str, Any], base_url: str | None) -> Told:
    return Told(
        type=said["type"],
        incident_id=said["incident"],
        monitor=said["monitor"],
        kind=said["kind"],
        summary=said["reason"],
        url=_page(base_url, said["incident"]),
        lasted=None if said.get("openedAt") is None else max(0, said["at"] - said["openedAt"]),
        opened_by=said.get("openedBy"),
        timezone=said.get("timezone", UTC_NAME),
        first_notice=said.get("firstNotice", True),
        told_by=said.get("toldBy"),
        open_again=said.get("openAgain", False),
    )


def _page(base_url: str | None, incident_id: str) -> str | None:
    return None if base_url is None else f"{base_url}/incidents/{incident_id}"


def _incident(outgoing: Outgoing, said: dict[str, Any], base_url: str | None) -> IncidentFacts | None:
    if outgoing.incident_id is None or outgoing.opened_at is None:
        return None
    resolved = said["state"] == "resolved"
    acknowledged = outgoing.acknowledged_at is not None and outgoing.acknowledged_at <= said["at"]
    return IncidentFacts(
        id=outgoing.incident_id,
        kind=said["kind"],
        state="acknowledged" if acknowledged and not resolved else said["state"],
        opened_at=outgoing.opened_at,
        expected_at=outgoing.expected_at,
        resolved_at=said["at"] if resolved else None,
        opened_summary=outgoing.incident_summary or "",
        first_notice=bool(outgoing.untold),
        open_again_at=outgoing.open_again_at if resolved else None,
        url=_page(base_url, outgoing.incident_id),
    )


def _monitor(outgoing: Outgoing, now: Definition | None) -> MonitorFacts | None:
    if outgoing.monitor_id is None:
        return None
    return MonitorFacts(
        id=outgoing.monitor_id,
        name=outgoing.monitor_name or "",
        promise=outgoing.promise,
        owner=outgoing.owner,
        runbook=outgoing.runbook,
        slug=None if now is None else now.slug,
        environment=None if now is None else now.environment or None,
        tags={} if now is None else now.tags,
        rules=None if now is None else now.rules,
    )


def _gap(said: dict[str, Any]) -> GapFacts:
    hidden, open_ = (tuple(map(_named, said[key])) for key in ("unverified", "undecided"))
    return GapFacts(said["from"], said["to"], hidden, open_)


def _named(said: dict[str, Any]) -> Named:
    at = said.get("decidedAt")
    decided_at = None if at is None else parse_instant(at, "decidedAt")
    return Named(said["id"], said["name"], said.get("reason"), decided_at, said.get("timezone", UTC_NAME))
