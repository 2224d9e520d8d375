"""What became of a notice, as every page shows it."""

import re
from collections.abc import Iterable
from typing import Any

from luota.core.packet import DELIVERY_WORDS, Delivery
from luota.core.retry import TOO_MANY_REQUESTS
from luota.core.text import visible
from luota.store import deliveries as rows
from luota.store.incidents import Channel
from luota.web.dashboard.visit import Visit

_MARKS = {
    "delivered": "healthy",
    "queued": "draft",
    "failed_retrying": "failing",
    "failed_terminal": "incident",
    "cancelled": "paused",
}
_WAITS = {
    "rest": "the channel rests until then",
    "order": "an earlier notice goes first",
    "delay": "held back by the delay of the channel",
}
"""Why nothing is tried before the next attempt, by what it waits for."""
_DEAD_ROUTE = re.compile(r"dead route of drill [0-9a-f-]{36}", re.ASCII)
"""What a drill calls its own channel: in an incident there is but one drill, and a phone has no room for its id."""


def delivery_shown(delivery: Delivery, now: int) -> dict[str, Any]:
    """Return what has become of a notice, `at` since when, and what it still `waits` for."""
    waits = delivery.waits_for if (delivery.next_attempt_at or 0) > now else None
    return {
        "channel": _DEAD_ROUTE.sub("dead route of the drill", visible(delivery.channel)),
        "type": delivery.channel_type,
        "notice": delivery.notice.removeprefix("incident."),
        "word": DELIVERY_WORDS[delivery.state],
        "mark": _MARKS[delivery.state],
        "at": delivery.since,
        "next_at": delivery.next_attempt_at,
        "waits": _WAITS.get(waits or ""),
        "busy": bool(delivery.attempts) and delivery.attempts[-1].status == TOO_MANY_REQUESTS,
        "error": visible(delivery.last_error or ""),
        "provider_id": visible(delivery.provider_id or ""),
    }


async def last_shown(visit: Visit, channels: Iterable[Channel]) -> dict[str, dict[str, Any]]:
    """Return what has become of the last delivery of each of these channels that has one, by the channel's id."""
    last = {one.id: one.last.id for one in channels if one.last is not None}
    found = await rows.deliveries(visit.reader, last.values())
    return {channel: delivery_shown(found[id_], visit.now) for channel, id_ in last.items() if id_ in found}
