"""The command about the audit log."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, among, api
from luota.cli.output import table
from luota.core.audit_words import details
from luota.core.spec.audit import KINDS, MOST_LISTED


def list_all(
    cli: Cli,
    *,
    actor: Annotated[str | None, typer.Option(metavar="WHO", help="Only what this one did, by email.")] = None,
    of: Annotated[
        str | None, typer.Option(metavar="|".join(KINDS), callback=among(KINDS), help="Only changes of this kind.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="PLACE", help="Go on where an earlier list ended.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST_LISTED, help="How many to list, the newest first.")] = 50,
    workspace: Workspace = None,
) -> None:
    """List who changed what, when and from where, the newest first."""
    query = {"actor": actor, "of": of, "before": before, "limit": str(limit), "workspace": workspace}
    reply = cli.call("GET", api("audit", **query))
    rows = [
        (one["at"], one["actor"], one["source"], one["action"], one["name"] or one["target"], _details(one))
        for one in reply["entries"]
    ]
    text = table(("AT", "WHO", "FROM", "ACTION", "OF", "DETAIL"), rows, empty="No entries.")
    if reply["next"]:
        text += f"\nThere are more. To see them: --before {reply['next']}"
    cli.answer(reply, text)


def _details(entry: Mapping[str, Any]) -> str:
    return "; ".join(f"{key}: {text}" for key, text in details(entry["detail"], entry["name"]))
