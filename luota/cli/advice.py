"""Commands that help to set a monitor up: its threshold, the wiring of its job, who is told."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, api
from luota.cli.monitors import Monitor
from luota.cli.output import table
from luota.core.spec.monitors import WORDS
from luota.core.spec.values import format_measured
from luota.core.text import visible

_OPTIONS = {"interval": "--every", "grace": "--grace", "freshness": "--freshness", "limit": "--max-runtime"}
"""The options by the names of the API."""
_Tried = typer.Option(metavar="DUR", help="Try this value on the history.")


def advise(
    cli: Cli,
    *,
    monitor: Monitor,
    every: Annotated[str | None, _Tried] = None,
    grace: Annotated[str | None, _Tried] = None,
    freshness: Annotated[str | None, _Tried] = None,
    max_runtime: Annotated[str | None, _Tried] = None,
    workspace: Workspace = None,
) -> None:
    """Say which threshold the last 90 days suggest, and how many incidents others would have opened."""
    query = {"interval": every, "grace": grace, "freshness": freshness, "limit": max_runtime, "workspace": workspace}
    reply = cli.call("GET", api("monitors", monitor, "advice", **query), options=_OPTIONS)
    found = reply["advice"]
    spreads = (("between signals", found["intervals"]), ("runs that succeeded in time", found["durations"]))
    keys = ("shortestSeconds", "medianSeconds", "p90Seconds", "p95Seconds", "longestSeconds")
    rows = [(word, one["count"], *(_lasting(one[key]) for key in keys)) for word, one in spreads if one]
    headers = ("ON RECORD OF THE LAST 90 DAYS", "COUNT", "SHORTEST", "MEDIAN", "90 %", "95 %", "LONGEST")
    said = [table(headers, rows, empty="There is no history to judge by yet."), ""]
    for one in found["suggestions"]:
        word, value = WORDS[one["key"]], one["seconds"]
        if value is None:
            said.append(f"No {word} is suggested: {one['evidence']}.")
        else:
            said.append(f"Suggested {word}: {_lasting(value)}, since {one['evidence']}.")
    for word, judged in (("With the present values", found["present"]), ("With the values tried", found["tried"])):
        if judged:
            said.append(f"{word}, {_rehearsed(judged)}")
    cli.answer(reply, "\n".join(said).rstrip())


def _rehearsed(judged: Mapping[str, Any]) -> str:
    opened = judged["opened"]
    text = f"{len(opened)} incident{'' if len(opened) == 1 else 's'} would have opened since {judged['since']}"
    if opened:
        text += f" (the newest: {opened[-1]['kind']}, {opened[-1]['at']})"
    return text + (f". Only what was before {judged['until']} is judged." if judged["capped"] else ".")


def _lasting(seconds: float) -> str:
    return format_measured(round(seconds * 1000))


def prove(cli: Cli, *, monitor: Monitor, workspace: Workspace = None) -> None:
    """Send a test notice to each channel of a monitor. Exits 1 unless there is one and each got it."""
    reply = cli.call("POST", api("monitors", monitor, "test", workspace=workspace))
    sent = reply["deliveries"]
    rows = [(one["channel"], one["state"], one.get("nextAttemptAt"), one.get("lastError")) for one in sent]
    empty = "No channel hears of this monitor: nobody would be told. See: luota channel add --help"
    cli.answer(reply, table(("CHANNEL", "STATE", "NEXT ATTEMPT", "LAST ERROR"), rows, empty=empty))
    if not sent or any(one["state"] != "delivered" for one in sent):
        raise typer.Exit(1)


def snippet(
    cli: Cli,
    *,
    monitor: Monitor,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Which one; without it they are listed.")] = None,
    workspace: Workspace = None,
) -> None:
    """Print how to wire the job of a monitor, with its address, id and token in it."""
    reply = cli.call("GET", api("monitors", monitor, "snippets", kind=kind, workspace=workspace))
    found = reply["snippets"]
    if kind is None:
        rows = [(one["kind"], one["title"], ", ".join(file["name"] for file in one["files"])) for one in found]
        cli.answer(reply, table(("KIND", "FOR", "FILES"), rows, empty="There are none."))
        return
    (one,) = found
    files = [f"{visible(file['name'])}:\n\n{visible(file['text'], lines=True)}" for file in one["files"]]
    cli.answer(reply, "\n\n".join([*files, visible(one["notes"], lines=True)]))
