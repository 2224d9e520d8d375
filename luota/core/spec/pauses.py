"""Pauses of monitors, as API and CLI receive them."""

from typing import Any

from luota.core.errors import invalid
from luota.core.model import Pause
from luota.core.spec.values import SECOND, parse_duration, parse_instant


def parse_pause(doc: dict[str, Any], now: int) -> Pause:
    """Return the pause that `doc` asks for at `now`, in the words of docs/api.md.

    Its end is `for` a duration or `until` an instant, and `untilHealthy`; with none of them it lasts. Raises
    LuotaError INVALID with the field to blame, also for an end that does not lie after `now`.
    """
    if not doc.keys() <= {"for", "until", "untilHealthy"}:  # a misspelt end would make a pause without one
        raise invalid("body", "A pause takes for, until and untilHealthy only.")
    until, healthy = None, doc.get("untilHealthy")
    if healthy is not None and not isinstance(healthy, bool):
        raise invalid("untilHealthy", "untilHealthy must be true or false.")
    if doc.get("for") is not None and doc.get("until") is not None:
        raise invalid("until", "A pause takes for or until, not both.")
    if doc.get("for") is not None:
        until = now + parse_duration(doc["for"], "for", minimum=SECOND)
    if doc.get("until") is not None:
        until = parse_instant(doc["until"], "until")
    if until is not None and until <= now:
        raise invalid("until", "The pause must end in the future. Name a later end.")
    return Pause(until, until_healthy=bool(healthy))
