"""Notices for tests of channels."""

from luota.alerts.notice import IncidentFacts, MonitorFacts, Notice
from luota.core.evidence import Change, RunFacts

INCIDENT = "2e4ee7a6-efc7-41bb-893a-57fab210176b"
AT = 1_777_426_391_398


def notice(type_: str = "incident.opened", text: str | None = None, **more) -> Notice:
    """A notice about a failed run; `text` stands wherever other people's text can."""
    resolved = type_ == "incident.resolved"
    said = {
        "type": type_,
        "delivery_id": "82f06f15-b4c4-462c-b264-3896ebc19a3a",
        "channel": text or "desk",
        "at": AT,
        "queued_at": AT + 1,
        "summary": text or "run 1 failed: 3 of 14 failed",
        "incident": IncidentFacts(
            id=INCIDENT,
            kind="failed",
            state="resolved" if resolved else "open",
            opened_at=AT,
            expected_at=None,
            resolved_at=AT + 90_000 if resolved else None,
            opened_summary=text or "run 1 failed",
        ),
        "monitor": MonitorFacts(
            id="45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c",
            name=text or "Invoices",
            promise=text or "Sent by 07:00",
            owner=text or "Ann",
            runbook="https://wiki.example.org/invoices?a=1&b=2",
            environment=text,
            tags={text or "team": text or "ops"},
        ),
        "run": RunFacts(
            id="74a92e79-c459-42ea-81e1-b13faaf59f7e",
            external_run_id=text or "job-1",
            state="failed",
            started_at=AT - 60_000,
            finished_at=AT,
            summary=text or "3 of 14 failed",
            exit_code=3,
            output=text or "line 1\nline 2\n",
            host=text or "db1",
            deploy_sha=text,
        ),
        "changes": (Change("host", text or "db0", text or "db1"),),
    }
    return Notice(**said | more)
