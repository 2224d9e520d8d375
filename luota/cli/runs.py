"""The commands about what a monitor received: pings, and runs."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.output import fields, table
from luota.core.spec.places import MOST_SIGNALS
from luota.core.spec.values import format_duration
from luota.core.text import visible

_ROWS = (
    ("run", "id"),
    ("external id", "externalRunId"),
    ("monitor", "monitorId"),
    ("state", "state"),
    ("started", "startedAt"),
    ("finished", "finishedAt"),
    ("limit", "limitAt"),
    ("duration", "durationSeconds"),
    ("late", "late"),
    ("clock skew", "clockSkew"),
    ("summary", "summary"),
    ("exit code", "exitCode"),
    ("host", "host"),
    ("deploy SHA", "deploySha"),
    ("environment", "environment"),
    ("tags", "tags"),
    ("incident", "incidentId"),
    ("last healthy", "lastHealthyRunId"),
)
_TEXTS = (("output", "output"), ("payload of the start", "startPayload"), ("payload of the close", "closePayload"))


_Of = Annotated[str, typer.Option("--monitor", metavar="M", help="Of this one, by id or slug.")]
_Before = Annotated[str | None, typer.Option(metavar="PLACE", help="Go on where an earlier list ended.")]
_Limit = Annotated[int, typer.Option(min=1, max=MOST_SIGNALS, help="How many to list, the newest first.")]


def list_heartbeats(
    cli: Cli, *, monitor: _Of, before: _Before = None, limit: _Limit = 50, workspace: Workspace = None
) -> None:
    """List the pings of a monitor, the newest first."""
    query = {"monitor": monitor, "before": before, "limit": str(limit), "workspace": workspace}
    reply = cli.call("GET", api("heartbeats", **query))
    rows = [
        (ping["receivedAt"], ping["occurredAt"], _marks(ping), ping["host"], ping["deploySha"], ping["payload"])
        for ping in reply["heartbeats"]
    ]
    headers = ("RECEIVED", "OCCURRED", "MARKS", "HOST", "DEPLOY SHA", "PAYLOAD")
    text = table(headers, rows, empty="No pings. What a run monitor received: luota run list.")
    cli.answer(reply, text + _more(reply))


def list_runs(
    cli: Cli, *, monitor: _Of, before: _Before = None, limit: _Limit = 50, workspace: Workspace = None
) -> None:
    """List the runs of a monitor, the latest start first."""
    query = {"monitor": monitor, "before": before, "limit": str(limit), "workspace": workspace}
    reply = cli.call("GET", api("runs", **query))
    rows = [
        (run["id"], run["externalRunId"], run["state"], run["startedAt"], _lasted(run), _marks(run), run["summary"])
        for run in reply["runs"]
    ]
    headers = ("ID", "EXTERNAL ID", "STATE", "STARTED", "DURATION", "MARKS", "SUMMARY")
    text = table(headers, rows, empty="No runs. What other monitors received: luota heartbeat list.")
    cli.answer(reply, text + _more(reply))


def _marks(signal: Mapping[str, Any]) -> list[str]:
    return [word for key, word in (("late", "late"), ("clockSkew", "clock skew")) if signal[key]]


def _lasted(run: Mapping[str, Any]) -> str | None:
    seconds = run["durationSeconds"]
    return None if seconds is None else format_duration(seconds * 1000)


def _more(reply: Mapping[str, Any]) -> str:
    return f"\nThere are more. To see them: --before {reply['next']}" if reply["next"] else ""


def show(
    cli: Cli,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, by id.")],
    workspace: Workspace = None,
) -> None:
    """Show a run: what its job said, and what changed since the last healthy run."""
    reply = cli.call("GET", api("runs", run, workspace=workspace))
    found = reply["run"]
    told = {**found, "durationSeconds": _lasted(found)}
    changes = [(f"changed: {one['label']}", f"{one['before']} → {one['after']}") for one in found["changes"]]
    parts = [fields([*((name, told[key]) for name, key in _ROWS), *changes])]
    parts += [f"{title}:\n{visible(found[key], lines=True)}" for title, key in _TEXTS if found[key]]
    cli.answer(reply, "\n\n".join(parts))
