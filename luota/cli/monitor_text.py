"""How monitors are told to people."""

import json
from collections.abc import Mapping
from typing import Any

from luota.cli.output import fields
from luota.core.errors import LuotaError
from luota.core.schedule import parse_schedule
from luota.core.spec.values import format_duration


def described(monitor: Mapping[str, Any], **more: str) -> str:
    """Return a monitor as the API shows it, a line for each thing to know, and `more` lines at the end."""
    limits = (
        ("grace", "graceSeconds"),
        ("max runtime", "maxRuntimeSeconds"),
        ("freshness", "expectedFreshnessSeconds"),
        ("reminders every", "reminderSeconds"),
    )
    draft = monitor["status"] == "draft"
    return fields(
        [
            ("monitor", f"{monitor['name']} ({monitor['slug']})"),
            ("id", monitor["id"]),
            ("status", f"{monitor['status']} since {monitor['since']}"),
            ("why", monitor.get("reason")),
            ("last signal", monitor["lastSignalAt"]),
            ("next expected", _first_expected(monitor) if draft else monitor["nextExpectedAt"]),
            ("deadline", None if draft else monitor["deadlineAt"]),
            ("mode", monitor["mode"]),
            ("schedule", in_words(monitor.get("schedule"))),
            *((name, format_duration(monitor[key] * 1000)) for name, key in limits if monitor.get(key) is not None),
            ("tolerance", monitor.get("failuresBeforeIncident")),
            *((key, monitor.get(key)) for key in ("promise", "owner", "runbook", "environment", "tags")),
            (
                "channels",
                "every one of the workspace" if monitor.get("channels") is None else monitor["channels"],
            ),
            *(
                (("untold", f"{', '.join(untold)}: nobody hears of {'it' if len(untold) == 1 else 'them'}"),)
                if (untold := monitor.get("untold"))
                else ()
            ),
            *more.items(),
        ]
    )


def _first_expected(monitor: Mapping[str, Any]) -> str:
    """Return what is expected of a monitor that never signalled: nothing is armed yet."""
    by = monitor["nextExpectedAt"]
    return "no signal yet" if by is None else f"no signal yet; would expect one by {by}"


def in_words(schedule: object) -> str | None:
    """Return what a schedule says, None for none."""
    try:
        parsed = parse_schedule(schedule)
    except LuotaError:  # a newer daemon's
        return json.dumps(schedule)
    return None if parsed is None else parsed.describe()


def no_grace(monitor: Mapping[str, Any]) -> str:
    """Return a note where silence is an incident at once, which few want of a job that takes its time."""
    if monitor["graceSeconds"] or not (monitor.get("schedule") or monitor.get("expectedFreshnessSeconds")):
        return ""
    return "\n\ngrace 0: the incident opens at the very moment. To allow for delays: --grace 5m"
