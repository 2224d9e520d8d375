"""What a new monitor can start from: a template says what it proves, and fills in the form, so a name suffices."""

from msgspec import Struct

from luota.core.model import Mode


class Template(Struct, frozen=True):
    """One template. `proves` is one line for choosing; `wiring` says when the job calls; `values` fill in the form."""

    key: str
    title: str
    mode: Mode
    proves: str
    wiring: str
    name: str
    values: dict[str, str]


TEMPLATES: dict[str, Template] = {
    template.key: template
    for template in (
        Template(
            "heartbeat",
            "Heartbeat",
            Mode.HEARTBEAT,
            "Proves that the job came to its end, each time it was due.",
            "The job sends one ping when it has ended well.",
            "Nightly backup",
            {"kind": "cron", "cron": "0 2 * * *", "graceSeconds": "30m"},
        ),
        Template(
            "run",
            "Run",
            Mode.RUN,
            "Proves that the job started in time, ended well, and did not hang.",
            "The job tells when it starts and how it ended: success, or failed with a summary.",
            "Invoice sync",
            {"kind": "cron", "cron": "0 2 * * *", "graceSeconds": "15m", "maxRuntimeSeconds": "2h"},
        ),
        Template(
            "freshness",
            "Freshness",
            Mode.FRESHNESS,
            "Proves that an output is new enough, whatever renews it.",
            "Something sends a ping with the time at which the output last changed.",
            "Price list export",
            {"expectedFreshnessSeconds": "1d", "graceSeconds": "2h"},
        ),
        Template(
            "entitlement",
            "Entitlement proof",
            Mode.RUN,
            "Proves that who paid has access: subscription, entitlement and notification agree.",
            "Start a run for each billing event. Call success only once subscription, entitlement and notification "
            "have been read back and agree; else fail with what does not.",
            "Entitlement sync",
            {
                "kind": "none",
                "maxRuntimeSeconds": "15m",
                "promise": "Whoever pays has what they paid for within 15 minutes, and is told so.",
            },
        ),
        Template(
            "report",
            "Report delivery proof",
            Mode.RUN,
            "Proves that the report reached its readers, and not only that it was made.",
            "Start a run when the report is due. Call success only once the mail provider or the storage has accepted "
            "every copy; else fail with its answer as payload.",
            "Weekday report",
            {
                "kind": "cron",
                "cron": "0 7 * * MON-FRI",
                "graceSeconds": "15m",
                "maxRuntimeSeconds": "1h",
                "promise": "The report is in every reader's inbox by 08:00 each weekday.",
            },
        ),
        Template(
            "output",
            "Generated output proof",
            Mode.RUN,
            "Proves that what was generated is valid, saved, and visible to the customer.",
            "Start a run for each batch. Call success only once the output has been validated, saved and fetched as "
            "the customer would; else fail with the step that did not hold.",
            "Nightly generation",
            {
                "kind": "cron",
                "cron": "0 3 * * *",
                "graceSeconds": "30m",
                "maxRuntimeSeconds": "4h",
                "promise": "Every customer finds last night's output, complete and valid, in the morning.",
            },
        ),
    )
}
"""All templates by key, in the order in which they are offered: the modes, then the outcomes."""
OUTCOMES = ("entitlement", "report", "output")
