"""A notice: all that a channel needs to tell, and the words for it.

One renderer feeds all channels: `title`, `facts` and `text` here for people, `luota.alerts.messages` for
machines. A new fact is added to `Notice` and in `facts`, and every channel tells it. What jobs and people
wrote is returned with everything active written out (`luota.core.text.visible`); escaping for HTML or for
Slack is the channel's own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from luota.core.evidence import Change, RunFacts, SignalFacts, changes
from luota.core.model import Rules
from luota.core.spec.monitors import Definition
from luota.core.spec.values import format_duration, parse_instant
from luota.core.text import head, tail, visible
from luota.store.deliveries import Evidence, Outgoing

OUTPUT_CHARACTERS = 2000
"""How much of a run's output is told, from its end."""
DIGEST_LINE = 160
DIGEST_CAUSE = 100
"""How many characters of each incident's summary a digest tells, and of its cause where both are told."""
UTC_NAME = "UTC"
LINK = "Incident page"
LINKS = (LINK, "Runbook")
"""The labels of the facts that are addresses and may be made links: one of Luota's own, one that was checked."""


class IncidentFacts(Struct, frozen=True):
    """The incident at the time of the notice; `opened_summary` is why it is open, or was.

    `first_notice` tells that the channel has not been told of it before. `url` is its page; None where Luota's own
    address is not known.
    """

    id: str
    kind: str
    state: str
    opened_at: int
    expected_at: int | None
    resolved_at: int | None
    opened_summary: str
    first_notice: bool = False
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
    def timezone(self) -> str:
        """The zone in which people read this monitor's times."""
        schedule = None if self.rules is None else self.rules.schedule
        return getattr(schedule, "timezone", UTC_NAME)


class Named(Struct, frozen=True):
    """A monitor in a list: what is said of it, and when that is decided, if it still is to be."""

    id: str
    name: str
    reason: str | None = None
    decided_at: int | None = None


class GapFacts(Struct, frozen=True):
    """A stretch in which Luota could not hear, and what that hid."""

    start: int
    end: int
    unverified: tuple[Named, ...]
    undecided: tuple[Named, ...]


class Told(Struct, frozen=True):
    """One notice in a digest, `lasted` ms after its incident opened; `opened_by` is why it did, where untold."""

    type: str
    incident_id: str
    monitor: str
    kind: str
    summary: str
    url: str | None = None
    lasted: int | None = None
    opened_by: str | None = None


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


def title(notice: Notice) -> str:
    """Return one line that tells monitor, kind and state, such as `Nightly backup: missed (open)`."""
    incident, gap = notice.incident, notice.gap
    if incident is not None and notice.monitor is not None:
        state = "open"
        if incident.lasted is not None:
            state = f"resolved after {format_duration(incident.lasted)}"
        elif notice.type == "incident.updated":
            state = "open, it became worse"
        elif notice.type == "incident.reminder":
            state = f"still open after {format_duration((notice.at - incident.opened_at) // 60_000 * 60_000)}"
        return visible(f"{'[Drill] ' if notice.drill else ''}{notice.monitor.name}: {incident.kind} ({state})")
    if gap is not None:
        count = len(gap.unverified)
        hid = f"{count} monitor{'' if count == 1 else 's'} unverified"
        return f"Luota was not watching for {format_duration(gap.end - gap.start)}: {hid}"
    if notice.dead is not None:
        return visible(f"Channel {notice.dead.name}: dead route")
    return visible(notice.summary)


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return what is known, as label and text, the most important first.

    A text of several lines is a list or a job's output, to be shown as it is; all others are one line.
    """
    found = [*_incident_facts(notice), *_gap_facts(notice), *_run_facts(notice), *_monitor_facts(notice)]
    if notice.run is not None and notice.run.output:
        found.append(("Output (end)", tail(notice.run.output.strip("\r\n"), OUTPUT_CHARACTERS)))
    shown = ((label, visible(text, lines=label in _LISTS)) for label, text in found)
    return [(label, text) for label, text in shown if text.strip()]


_LISTS = {
    "Incidents",
    "Output (end)",
    "Could not verify",
    "May still turn out so",
    "Changed since the last healthy run",
}


def text(notice: Notice) -> str:
    """Return the whole notice as plain text: the title, then the details."""
    return f"{title(notice)}\n\n{details(notice)}"


def details(notice: Notice) -> str:
    """Return the facts as plain text, a line each, lists indented under their label."""
    lines = []
    for label, said in facts(notice):
        if "\n" in said or label in _LISTS:
            lines += [f"{label}:", *("    " + line for line in said.split("\n"))]
        else:
            lines.append(f"{label}: {said}")
    return "\n".join(lines) + "\n"


def local_time(at: int, timezone: str) -> str:
    """Return an instant as people of a timezone read it: `2026-11-23 07:00:00 +02:00 (Europe/Helsinki)`."""
    moment = datetime.fromtimestamp(at // 1000, UTC).astimezone(ZoneInfo(timezone))
    return f"{moment.isoformat(' ', 'seconds')[:19]} {moment.isoformat()[-6:]} ({timezone})"


def _incident_facts(notice: Notice) -> Iterator[tuple[str, str]]:
    incident, monitor = notice.incident, notice.monitor
    if incident is None or monitor is None:
        if notice.gap is None:
            yield "Message", notice.summary
        yield "Incidents", "\n".join(_line(one) for one in notice.digest)
        if notice.dead is not None:
            yield "What to do", f"mend its destination, then prove it: luota channel test {notice.dead.name}"
            yield "Until then", "nobody hears of incidents by this channel"
        return
    if notice.drill:
        yield "Drill", "this failure was made on purpose, to prove that its notice arrives; nobody needs to act"
    yield "Promise", monitor.promise or ""
    if incident.lasted is not None:
        yield "Ended by", notice.summary
        yield "Lasted", format_duration(incident.lasted)
        yield "Was", f"{incident.kind}: {incident.opened_summary}"
        if incident.first_notice:
            yield "Note", "no earlier message about this incident was delivered here; this one tells both"
            yield "Expected", _expected(incident, monitor)
    else:
        yield "Expected", _expected(incident, monitor)
        yield "What arrived", notice.summary
    yield "Opened", local_time(incident.opened_at, monitor.timezone)
    if incident.resolved_at is not None:
        yield "Resolved", local_time(incident.resolved_at, monitor.timezone)
    yield LINK, incident.url or ""


def _expected(incident: IncidentFacts, monitor: MonitorFacts) -> str:
    what = {
        "missed": "a signal",
        "stuck": "the run to have ended",
        "failed": "a run that succeeds",
        "stale": "fresh output",
    }[incident.kind]
    if incident.expected_at is None:
        return what
    by = f"{what} by {local_time(incident.expected_at, monitor.timezone)}"
    grace = 0 if monitor.rules is None else monitor.rules.grace
    return f"{by}, grace {format_duration(grace)}" if grace and incident.kind in {"missed", "stale"} else by


def _gap_facts(notice: Notice) -> Iterator[tuple[str, str]]:
    gap = notice.gap
    if gap is None:
        return
    yield "Not watching", f"{local_time(gap.start, UTC_NAME)} to {local_time(gap.end, UTC_NAME)}"
    yield "Why", notice.summary
    yield "Could not verify", "\n".join(visible(f"{m.name}: {m.reason}") for m in gap.unverified)
    open_ = (visible(f"{m.name}: decided {local_time(m.decided_at or gap.end, UTC_NAME)}") for m in gap.undecided)
    yield "May still turn out so", "\n".join(open_)


def _run_facts(notice: Notice) -> Iterator[tuple[str, str]]:
    run, signal = notice.run, notice.signal
    zone = UTC_NAME if notice.monitor is None else notice.monitor.timezone
    if signal is not None:
        yield "Latest signal", local_time(signal.at, zone)
        yield "Host", signal.host or ""
        yield "Deploy SHA", signal.deploy_sha or ""
    if run is None:
        return
    yield "Run summary", run.summary or ""
    yield "Exit code", "" if run.exit_code is None else str(run.exit_code)
    changed = (
        visible(f"{c.label}: {'none' if c.before is None else c.before} → {'none' if c.after is None else c.after}")
        for c in notice.changes
    )
    yield "Changed since the last healthy run", "\n".join(changed)
    yield "Host", run.host or ""
    yield "Deploy SHA", run.deploy_sha or ""
    yield "Started", local_time(run.started_at, zone)
    if run.finished_at is not None and run.duration is not None:
        yield "Finished", f"{local_time(run.finished_at, zone)}, after {format_duration(run.duration)}"
    yield "Run", f"{run.external_run_id} ({run.state})"


def _monitor_facts(notice: Notice) -> Iterator[tuple[str, str]]:
    monitor = notice.monitor
    if monitor is None:
        return
    environment = None if notice.run is None else notice.run.environment
    yield "Owner", monitor.owner or ""
    yield "Runbook", monitor.runbook or ""
    yield "Schedule", monitor.schedule or ""
    yield "Environment", environment or monitor.environment or ""
    yield "Tags", ", ".join(f"{key}={value}" for key, value in monitor.tags.items())
    if notice.incident is not None:
        yield "Incident", notice.incident.id


def _line(told: Told) -> str:
    """Return what a digest says of one incident, in a line."""
    lasted = "" if told.lasted is None else f" after {format_duration(told.lasted)}"
    states = {"opened": "open", "updated": "open, it became worse", "reminder": f"still open{lasted}"}
    state = states.get(told.type.removeprefix("incident."), f"resolved{lasted}")
    said = head(told.summary, DIGEST_LINE)
    if told.opened_by:
        said = f"{head(told.opened_by, DIGEST_CAUSE)}; ended by: {head(told.summary, DIGEST_LINE - DIGEST_CAUSE)}"
    return visible(f"{told.monitor}: {told.kind} ({state}): {said}") + (f" {told.url}" if told.url else "")


def _told(said: dict[str, Any], base_url: str | None) -> Told:
    id_ = said["incident"]
    lasted = None if said.get("openedAt") is None else max(0, said["at"] - said["openedAt"])
    page = _page(base_url, id_)
    return Told(said["type"], id_, said["monitor"], said["kind"], said["reason"], page, lasted, said.get("openedBy"))


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
    hidden = tuple(Named(m["id"], m["name"], m["reason"]) for m in said["unverified"])
    open_ = (Named(m["id"], m["name"], None, parse_instant(m["decidedAt"], "decidedAt")) for m in said["undecided"])
    return GapFacts(said["from"], said["to"], hidden, tuple(open_))
