"""The command about one run."""

from typing import Annotated

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.output import fields
from luota.core.spec.values import format_duration
from luota.core.text import visible


def show(
    cli: Cli,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, by id.")],
    workspace: Workspace = None,
) -> None:
    """Show a run: what its job said, and what changed since the last healthy run."""
    reply = cli.call("GET", api("runs", run, workspace=workspace))
    found = reply["run"]
    lasted = found["durationSeconds"]
    said = fields(
        [
            ("run", found["id"]),
            ("external id", found["externalRunId"]),
            ("monitor", found["monitorId"]),
            ("state", found["state"]),
            ("started", found["startedAt"]),
            ("finished", found["finishedAt"]),
            ("limit", found["limitAt"]),
            ("duration", None if lasted is None else format_duration(lasted * 1000)),
            ("late", found["late"]),
            ("clock skew", found["clockSkew"]),
            ("summary", found["summary"]),
            ("exit code", found["exitCode"]),
            *((name, found[key]) for name, key in (("host", "host"), ("deploy SHA", "deploySha"))),
            ("environment", found["environment"]),
            ("tags", found["tags"]),
            ("incident", found["incidentId"]),
            ("last healthy", found["lastHealthyRunId"]),
            *((f"changed: {one['label']}", f"{one['before']} → {one['after']}") for one in found["changes"]),
        ]
    )
    for title, key in (
        ("output", "output"),
        ("payload of the start", "startPayload"),
        ("of the close", "closePayload"),
    ):
        if found[key]:
            said += f"\n\n{title}:\n{visible(found[key], lines=True)}"
    cli.answer(reply, said)
