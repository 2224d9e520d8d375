"""The words of a notice for people: one renderer feeds all channels that people read.

A new fact is added to `luota.alerts.notice.Notice`, to `facts` here and to `luota.alerts.messages`, and every channel
tells it. What jobs and people wrote is returned with everything active written out (`luota.core.text.visible`);
escaping for HTML or for Slack is the channel's own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from luota.alerts.notice import GapFacts, IncidentFacts, MonitorFacts, Named, Notice, Told
from luota.core import reasons
from luota.core.model import UTC_NAME
from luota.core.packet import EXPECTED
from luota.core.spec.values import format_duration
from luota.core.text import head, tail, visible

OUTPUT_CHARACTERS = 2000
"""How much of a run's output is told, from its end."""
DIGEST_LINE = 160
DIGEST_CAUSE = 100
"""How many characters of each incident's summary a digest tells, and of its cause where both are told."""
LINK = "Incident page"
LINKS = (LINK, "Runbook")
"""The labels of the facts that are addresses and may be made links: one of Luota's own, one that was checked."""

_LISTS = {
    "Incidents",
    "Output (end)",
    "Could not verify",
    "May still turn out so",
    "Changed since the last healthy run",
}


def title(notice: Notice) -> str:
    """Return one line that tells monitor, kind and state, such as `Nightly backup: missed (open)`."""
    incident, gap = notice.incident, notice.gap
    if incident is not None and notice.monitor is not None:
        state = "open"
        if incident.lasted is not None:
            state = f"resolved after {format_duration(incident.lasted)}"
            if incident.open_again_at is not None:
                state += ", open again"
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
    return f"{_local(at, timezone)} ({timezone})"


def _local(at: int, timezone: str) -> str:
    moment = datetime.fromtimestamp(at // 1000, UTC).astimezone(ZoneInfo(timezone))
    return f"{moment.isoformat(' ', 'seconds')[:19]} {moment.isoformat()[-6:]}"


def _reason(reason: str, timezone: str) -> str:
    return reasons.with_times(reason, lambda at: _local(at, timezone))


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
        yield "Ended by", _reason(notice.summary, monitor.timezone)
        yield "Lasted", format_duration(incident.lasted)
        yield "Was", f"{incident.kind}: {_reason(incident.opened_summary, monitor.timezone)}"
        if incident.first_notice:
            yield "Note", "no earlier message about this incident was delivered here; this one tells both"
            yield "Expected", _expected(incident, monitor)
    else:
        yield "Expected", _expected(incident, monitor)
        yield "What arrived", _reason(notice.summary, monitor.timezone)
    yield "Opened", local_time(incident.opened_at, monitor.timezone)
    if incident.resolved_at is not None:
        yield "Resolved", local_time(incident.resolved_at, monitor.timezone)
    if incident.open_again_at is not None:
        yield "Open again", f"since {local_time(incident.open_again_at, monitor.timezone)}, another incident"
    yield LINK, incident.url or ""


def _expected(incident: IncidentFacts, monitor: MonitorFacts) -> str:
    what = EXPECTED[incident.kind]
    if incident.expected_at is None:
        return what
    by = f"{what} by {local_time(incident.expected_at, monitor.timezone)}"
    told = monitor.grace and incident.kind in {"missed", "stale"}
    return f"{by}, grace {format_duration(monitor.grace)}" if told else by


def _gap_facts(notice: Notice) -> Iterator[tuple[str, str]]:
    gap = notice.gap
    if gap is None:
        return
    # UTC says nothing of where people are: it is what a schedule without a zone has, such as `every`.
    zones = {monitor.timezone for monitor in (*gap.unverified, *gap.undecided)} - {UTC_NAME}
    zone = zones.pop() if len(zones) == 1 else UTC_NAME
    yield "Not watching", f"{local_time(gap.start, zone)} to {local_time(gap.end, zone)}"
    yield "Why", notice.summary
    yield "Could not verify", "\n".join(_unverified(monitor, gap) for monitor in gap.unverified)
    open_ = (visible(f"{m.name}: decided {local_time(m.decided_at or gap.end, m.timezone)}") for m in gap.undecided)
    yield "May still turn out so", "\n".join(open_)


def _unverified(monitor: Named, gap: GapFacts) -> str:
    """Return what a gap notice says of one monitor, in a line; the window stands above."""
    said = (monitor.reason or "").removesuffix(reasons.not_watching(gap.start, gap.end))
    return visible(f"{monitor.name}: {_reason(said, monitor.timezone)}")


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
    ended = f"resolved{lasted}{', open again' if told.open_again else ''}"
    state = states.get(told.type.removeprefix("incident."), ended)
    news = _reason(told.summary, told.timezone)
    said = head(news, DIGEST_LINE)
    if told.opened_by:
        cause = head(_reason(told.opened_by, told.timezone), DIGEST_CAUSE)
        said = f"{cause}; ended by: {head(news, DIGEST_LINE - DIGEST_CAUSE)}"
    return visible(f"{told.monitor}: {told.kind} ({state}): {said}") + (f" {told.url}" if told.url else "")
