"""The timeline of an incident: what happened, what people said, and what was told, each at its own instant."""

from collections import Counter
from collections.abc import Collection
from itertools import groupby
from typing import Any

from markupsafe import Markup

from luota.core import reasons
from luota.core.packet import DELIVERY_WORDS, Delivery, Event, Packet
from luota.core.text import visible
from luota.web.dashboard.deliveries import delivery_shown
from luota.web.dashboard.html import count
from luota.web.dashboard.visit import Visit
from luota.web.dashboard.why import runs_named, sentence

_TITLES = {
    "opened": "Opened",
    "updated": "Became worse",
    "counted": "Further miss or failure",
    "acknowledged": "Acknowledged",
    "note": "Note",
    "resolved": "Resolved",
}
_PEOPLE = frozenset({"acknowledged", "note"})
"""Events whose text a person wrote."""
_FURTHER = {
    frozenset({"missed"}): ("further miss", "further misses"),
    frozenset({"failed"}): ("further failure", "further failures"),
    frozenset({"stuck"}): ("further stuck run", "further stuck runs"),
}


async def timeline(visit: Visit, packet: Packet) -> list[dict[str, Any]]:
    """Return every event, notice and attempt, and the attempts to come, in order of time.

    An event stands where Luota noticed it, so that no notice seems to come before its cause; an attempt where it
    ended, for only then was anybody told. Further misses and failures in a row are one item, with each in it.
    """
    there = await runs_named(visit, *(event.text for event in packet.events))
    found = [(event.recorded_at, _event(visit, event, there)) for event in packet.events]
    states = {delivery.id: delivery.state for delivery in packet.deliveries}
    for delivery in packet.deliveries:
        found += _told(visit, delivery, states)
    found.sort(key=lambda pair: pair[0])
    return _folded([item for _, item in found])


def uncounted(packet: Packet) -> int:
    """Return how many further misses and failures the timeline has not kept."""
    known = sum(event.type in ("opened", "updated", "counted") for event in packet.events)
    return max(0, packet.incident.evidence_count - known)


def deliveries(packet: Packet) -> list[dict[str, Any]]:
    """Return what has become of every notice, in the order of queueing, with the last `answer` of its provider."""
    states = {delivery.id: delivery.state for delivery in packet.deliveries}
    return [{**delivery_shown(one, packet.exported_at), "answer": _answer(one, states)} for one in packet.deliveries]


def _answer(delivery: Delivery, states: dict[str, str]) -> str:
    if delivery.told_by is not None:
        return _digest(states.get(delivery.told_by))
    last = delivery.attempts[-1] if delivery.attempts else None
    said = [visible(delivery.last_error or "")]
    if last is not None and last.ok and last.status is not None:
        said.append(str(last.status))
    if delivery.provider_id:
        said.append(f"id {visible(delivery.provider_id)}")
    return "; ".join(filter(None, said)) or ("none" if last else "no attempt yet")


def _told(visit: Visit, delivery: Delivery, states: dict[str, str]) -> list[tuple[int, dict[str, Any]]]:
    """Return the life of a notice: queued, each attempt, cancelled where it was, the next attempt.

    `states` are those of all deliveries of the incident, by id: a digest that was to tell it is one of them.
    """
    shown = delivery_shown(delivery, visit.now)
    found = [(delivery.queued_at, {"type": "notice", "at": delivery.queued_at, "delivery": shown})]
    for attempt in delivery.attempts:
        last = attempt is delivery.attempts[-1] and delivery.state == "failed_terminal"
        one = {"type": "attempt", "at": attempt.finished_at, "delivery": shown, "attempt": attempt}
        one |= {"mark": "healthy" if attempt.ok else "incident" if last else "failing", "terminal": last}
        found.append((attempt.finished_at, {**one, "error": visible(attempt.error or "")}))
    if delivery.state == "cancelled":
        at = delivery.finished_at or delivery.queued_at
        why = shown["error"] if delivery.told_by is None else _digest(states.get(delivery.told_by))
        found.append((at, {"type": "cancelled", "at": at, "delivery": shown, "why": why}))
    following = delivery.next_attempt_at
    if following is not None and (delivery.attempts or following > visit.now):
        found.append((max(following, visit.now), {"type": "next", "at": following, "delivery": shown}))
    return found


def _digest(state: str | None) -> str:
    """Say whether a digest told of a notice, by the digest's state; None where it is not on record any more."""
    if state == "delivered":
        return "a digest told of it instead"
    return "a digest was to tell of it instead" + (f": {DELIVERY_WORDS[state]}" if state else "")


def _event(visit: Visit, event: Event, there: Collection[str]) -> dict[str, Any]:
    said, person = event.text, event.type in _PEOPLE
    title = _TITLES[event.type]
    if event.type == "resolved" and event.actor is not None:
        said, person, title = reasons.reason_of(event.actor, said), True, "Resolved by hand"
    text: str | Markup = visible(said, lines=True) if person else sentence(visit, said, there)
    return {
        "type": event.type,
        "at": event.at,
        "recorded_at": event.recorded_at if event.recorded_at - event.at >= 1000 else None,
        "title": title,
        "kind": event.kind if event.type in ("opened", "updated", "counted") else None,
        "actor": event.actor,
        "text": text,
        "plain": visible(said, lines=True),
    }


def _folded(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for counted, row in groupby(items, lambda item: item["type"] == "counted"):
        each = list(row)
        if not counted:
            found += each
            continue
        kinds = frozenset(Counter(one["kind"] for one in each))
        words = _FURTHER.get(kinds, ("further miss or failure", "further misses and failures"))
        title = count(len(each), *words)
        if len(each) == 1:
            found.append({**each[0], "title": title, "kind": None})
            continue
        found.append({"type": "folded", "at": each[0]["at"], "until": each[-1]["at"], "title": title, "each": each})
    return found
