"""What needs a human, as the overview tells it first; and what keeps an incident from reaching one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from luota.core.model import Kind, Status
from luota.core.text import visible
from luota.core.wants import named
from luota.engine.registry import Live
from luota.store import incidents as incident_rows
from luota.store import overview as rows
from luota.web.channels import untold_by_monitor
from luota.web.dashboard.html import allowing, count
from luota.web.dashboard.monitor import link_of
from luota.web.dashboard.visit import Visit

Entry = tuple[Live, rows.Card]
"""A monitor as it is, and what people gave it to be known by."""
_CALM_WORDS = {Status.INCIDENT: "in an incident", Status.DRAFT: "without a signal yet"}
WHOLE = 6
"""Incidents of which all is told; of further ones what is broken and since when: one sees that at a glance."""
MOST = 20
"""Incidents that are told one by one: more are a storm, and the list of monitors has them."""


async def needs_of(
    visit: Visit, entries: Sequence[Entry], by_status: Mapping[Status, Sequence[Entry]]
) -> dict[str, Any]:
    """Return what needs a human as `needs`, the most urgent first, and what is said where nothing does as `calm`.

    Where there are more incidents than can be told whole, `storm` says how many.

    `entries` are the monitors of the workspace, `by_status` are the same.
    """
    by_id = {entry[0].id: entry for entry in entries if entry[0].incident_id is not None}
    needs: list[dict[str, Any]] = []
    if sick := visit.site.sickness():
        needs.append(_need("unverified", "Luota cannot vouch for anything at present", sick[:1].upper() + sick[1:]))
    incidents = [one for one in await rows.open_incidents(visit.reader, visit.workspace.id) if one.monitor_id in by_id]
    incidents.sort(key=lambda one: one.state == "acknowledged")
    for number, incident in enumerate(incidents[:MOST]):
        card = by_id[incident.monitor_id][1]
        taken = incident.state == "acknowledged"
        aside = [f"Owner: {card.owner}" if card.owner else "Nobody is named as its owner"]
        aside += ["acknowledged"] if taken else []
        aside += ["nobody was told"] if incident.untold else []
        needs.append(
            _need(
                "incident",
                card.name,
                incident.summary[:1].upper() + incident.summary[1:],
                kind=incident.kind,
                promise=card.promise,
                path=visit.path("incidents", incident.id),
                since=incident.opened_at,
                aside=" · ".join(aside),
                runbook=link_of(card.runbook),
                urgent=not taken,
                whole=number < WHOLE,
            )
        )
    if len(incidents) > MOST:
        path = visit.path() + "?state=incident"
        more = count(len(incidents) - MOST, "more incident")
        needs.append(_need("incident", more, "Below, among the monitors.", path=path, urgent=False))
    needs += _quiet_drafts(visit, by_status[Status.DRAFT])
    unverified = [card for _, card in by_status[Status.UNVERIFIED]]
    if unverified:
        path = visit.path() + "?state=unverified"
        them = "it until it proves" if len(unverified) == 1 else "them until they prove"
        text = f"Luota cannot vouch for {them} to work: {_some(unverified)}"
        needs.append(
            _need("unverified", count(len(unverified), "monitor") + " unverified", text, path=path, urgent=False)
        )
    return {
        "needs": [*needs, *await _deaf_channels(visit, entries)],
        "storm": _storm(incidents) if len(incidents) > WHOLE else None,
        "calm": _calm(by_status),
    }


def _storm(incidents: Sequence[rows.OpenIncident]) -> str:
    taken = sum(one.state == "acknowledged" for one in incidents)
    return f"{count(len(incidents), 'incident')}{f', {taken:,} acknowledged' if taken else ''}"


def _quiet_drafts(visit: Visit, drafts: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the monitors that should have had their first signal by now."""
    quiet = [
        _need(
            "draft",
            card.name,
            "Its first signal should have come by now. Is the job set up?",
            kind="no signal yet",
            path=visit.path("monitors", live.slug) + "/integration",
            since=live.state.deadline_at,
            urgent=False,
        )
        for live, card in drafts
        if live.state.deadline_at is not None and live.state.deadline_at < visit.now
    ]
    if len(quiet) > MOST:
        more = count(len(quiet) - MOST, "more monitor") + " without a signal yet"
        quiet[MOST:] = [_need("draft", more, "See below.", path=visit.path() + "?state=draft", urgent=False)]
    return quiet


def _some(cards: Sequence[rows.Card]) -> str:
    return ", ".join(card.name for card in cards[:5]) + (" …" if len(cards) > 5 else "")


async def _deaf_channels(visit: Visit, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return what keeps an incident from reaching a human: of each channel the one thing that says most.

    And of which monitors nobody would hear, since none of their channels wants to.
    """
    channels = await incident_rows.channels(visit.reader, visit.workspace.id)
    if not channels:
        text = "There is no channel: an incident would stand on this page alone. Add email, Slack or a webhook."
        return [_need("failing", "Nobody would be told", text, path=visit.path("channels"), urgent=False)]
    retried = await incident_rows.retrying(visit.reader, visit.workspace.id, visit.now)
    dead, failing, unproven = [], [], []
    for channel in channels:
        name, last, failed = channel.name, channel.last, _failed(channel, long=channel.name in retried)
        if failed is None:
            unproven += [name] if channel.proven_at is None else []
            continue
        answer = allowing(visible((last and last.last_error) or channel.failed_error or ""))[0]
        text, path = f"{failed}: {answer}" if answer else failed, visit.path("channels", channel.id)
        if channel.failed_at is not None:
            dead.append(_need("incident", name, text, kind="is a dead route", path=path))
        else:
            failing.append(_need("failing", name, text, kind="cannot be reached", path=path))
    needs = [*dead, *failing, *_untold(visit, entries)]
    if unproven:
        text = "Nothing has been delivered yet: send a test notice to " + ", ".join(unproven)
        title = count(len(unproven), "channel") + " unproven"
        needs.append(_need("unverified", title, text, path=visit.path("channels"), urgent=False))
    return needs


def _untold(visit: Visit, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return of which kinds of incidents nobody hears, and of which monitors."""
    untold = untold_by_monitor(visit.engine.registry, (live for live, _ in entries))
    found: dict[tuple[Kind, ...], list[Entry]] = {}
    for entry in entries:
        if kinds := untold[entry[0].id]:
            found.setdefault(kinds, []).append(entry)
    needs = []
    for kinds, deaf in found.items():
        them, cards = "it" if len(kinds) == 1 else "them", [card for _, card in deaf]
        text, path = f"{cards[0].name} has no channel that wants {them}.", visit.path("monitors", deaf[0][0].slug)
        if len(deaf) > 1:
            text, path = (
                f"{len(deaf):,} monitors have no channel that wants {them}: {_some(cards)}",
                visit.path("channels"),
            )
        needs.append(_need("failing", f"Nobody hears of {named(kinds)}", text, path=path, urgent=False))
    return needs


def _failed(channel: incident_rows.Channel, *, long: bool) -> str | None:
    """Say how a channel fails, None where it does not, or where a proven one may still do so for a while.

    `long` tells that a notice has been tried again for longer than that.
    """
    if channel.failed_at is not None:
        return "A notice was given up, and nothing delivered since"
    if long:
        return "Notices are tried again, for over 5 minutes by now"
    if channel.last is None or not channel.failing:
        return None
    if channel.last.next_attempt_at is None:
        return "The last attempt failed, and none follows; mend it or wait, then send a test notice"
    return "Nothing has been delivered yet, and a notice is tried again" if channel.proven_at is None else None


def _calm(by_status: Mapping[Status, Sequence[Entry]]) -> dict[str, Any]:
    """Return whether all is proven, what is not healthy in words, and when anything has changed last.

    `mark` is of the worst monitor: the green one says that all is proven.
    """
    told = [(status, len(found)) for status, found in by_status.items() if found and status is not Status.HEALTHY]
    return {
        "mark": told[0][0].value if told else Status.HEALTHY.value,
        "proven": not told,
        "text": ", ".join(f"{number:,} {_CALM_WORDS.get(status, status.value)}" for status, number in told),
        "since": max((live.state.since for found in by_status.values() for live, _ in found), default=None),
    }


def _need(mark: str, title: str, text: str, **more: Any) -> dict[str, Any]:
    """Return one thing that needs a human. With a `kind`, the title is the name of what it is the kind of."""
    return {
        "mark": mark,
        "title": title,
        "text": text,
        "kind": None,
        "path": None,
        "since": None,
        "promise": None,
        "aside": None,
        "runbook": None,
        "urgent": True,
        "whole": True,
        **more,
    }
