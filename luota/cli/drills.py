"""Commands about drills."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli import client
from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.monitors import Monitor
from luota.cli.output import table
from luota.core.drills import DrillKind
from luota.core.errors import Code, LuotaError

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
        reply = _looked_at(cli, reply["drill"]["id"], workspace)
    cli.answer(reply, _described(reply["drill"]))
    if wait and reply["drill"]["state"] != "proven":
        raise typer.Exit(1)


def _looked_at(cli: Cli, drill_id: str, workspace: str | None) -> dict[str, Any]:
    """Return a drill as it stands; UNAVAILABLE once the daemon on which it runs is gone.

    Without a daemon nothing goes on, and the file is left to the next one, which would not start beside this command.
    """
    try:
        return cli.call("GET", api("drills", drill_id, workspace=workspace), only_running=True)
    except LuotaError as error:
        if error.code is not Code.UNAVAILABLE or client.listens(cli.config.data_dir):
            raise
    said = f"The daemon went away in the middle of the drill {drill_id}, which proves nothing now."
    raise LuotaError(Code.UNAVAILABLE, f"{said} Start it (luota serve), and run the drill again.")


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
