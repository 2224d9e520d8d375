"""Commands about drills."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.monitors import Monitor
from luota.cli.output import table
from luota.core.drills import DrillKind

Kind = Annotated[DrillKind, typer.Argument(metavar="missed|failed|stale|dead_route", help="What shall fail.")]

_LOOK_EVERY_S = 0.5


def run(
    cli: Cli,
    *,
    monitor: Monitor,
    kind: Kind,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has a result; exits 1 unless it is proven.")] = False,
    workspace: Workspace = None,
) -> None:
    """Fail on purpose, on a twin of a monitor, and see who is told."""
    reply = cli.call("POST", api("monitors", monitor, "drills", workspace=workspace), {"kind": kind.value})
    while wait and reply["drill"]["state"] == "running":
        time.sleep(_LOOK_EVERY_S)
        reply = cli.call("GET", api("drills", reply["drill"]["id"], workspace=workspace))
    cli.answer(reply, _described(reply["drill"]))
    if wait and reply["drill"]["state"] != "proven":
        raise typer.Exit(1)


def list_all(cli: Cli, *, monitor: Monitor, workspace: Workspace = None) -> None:
    """List the drills of a monitor, the newest first, with what was not proven."""
    reply = cli.call("GET", api("monitors", monitor, "drills", workspace=workspace))
    rows = [
        (
            drill["id"],
            drill["kind"],
            _state(drill),
            drill["startedAt"],
            drill["actor"],
            "; ".join(f"{step['text']}: {step['detail']}" for step in drill["steps"] if step["state"] == "not_proven"),
        )
        for drill in reply["drills"]
    ]
    headers = ("ID", "KIND", "STATE", "STARTED", "BY", "NOT PROVEN")
    empty = "No drills yet. Nobody has proven that a failure of this monitor is told."
    cli.answer(reply, table(headers, rows, empty=empty))


def _described(drill: Mapping[str, Any]) -> str:
    steps = [(step["state"], step["text"], step["detail"]) for step in drill["steps"]]
    head = f"Drill {drill['id']}, {drill['kind']}: {_state(drill)}"
    return f"{head}\n\n{table(('STEP', 'WHAT', 'EVIDENCE'), steps, empty='')}"


def _state(drill: Mapping[str, Any]) -> str:
    stale = drill["state"] == "proven" and not drill["fresh"]
    return f"{drill['state'].replace('_', ' ')}{', too long ago' if stale else ''}"
