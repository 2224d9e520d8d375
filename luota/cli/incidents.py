"""Commands about incidents."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, among, api
from luota.cli.output import fields, shown, table
from luota.core.errors import Code, LuotaError
from luota.core.spec.incidents import STATES

Incident = Annotated[str, typer.Argument(metavar="I", help="An incident, by id.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Kept on its timeline.")]


def list_all(
    cli: Cli,
    *,
    monitor: Annotated[str | None, typer.Option(metavar="M", help="Only of this monitor.")] = None,
    state: Annotated[
        str | None, typer.Option(metavar="|".join(STATES), callback=among(STATES), help="Only in this one.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list, the newest first.")] = 1000,
    workspace: Workspace = None,
) -> None:
    """List incidents, the newest first."""
    query = {"monitor": monitor, "state": state, "limit": str(limit), "workspace": workspace}
    reply = cli.call("GET", api("incidents", **query))
    rows = []
    for incident in reply["incidents"]:
        states = Counter(delivery["state"] for delivery in _messages(incident["deliveries"]))
        told = ", ".join(f"{count} {name}" for name, count in sorted(states.items()))
        name = incident.get("monitorName") or incident["monitorId"]
        when = (incident["openedAt"], incident["resolvedAt"])
        rows.append((incident["id"], name, incident["kind"], incident["state"], *when, told, incident["summary"]))
    headers = ("ID", "MONITOR", "KIND", "STATE", "OPENED", "RESOLVED", "NOTICES", "SUMMARY")
    text = table(headers, rows, empty="No incidents.")
    if reply["more"]:
        text += f"\nThere are more. To see them: --limit {limit * 10}"
    cli.answer(reply, text)


def _messages(deliveries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leave out what a digest was to tell, for the digest stands among them and says what became of it."""
    ids = {delivery["id"] for delivery in deliveries}
    return [delivery for delivery in deliveries if delivery["toldBy"] not in ids]


def show(cli: Cli, *, incident: Incident, workspace: Workspace = None) -> None:
    """Show an incident: its timeline, and every attempt to tell somebody."""
    reply = cli.call("GET", api("incidents", incident, workspace=workspace))
    cli.answer(reply, _described(reply["incident"]))


def acknowledge(cli: Cli, *, incident: Incident, reason: Reason = None, workspace: Workspace = None) -> None:
    """Say that somebody works on it."""
    _act(cli, incident, "acknowledge", reason, workspace)


def resolve(cli: Cli, *, incident: Incident, reason: Reason = None, workspace: Workspace = None) -> None:
    """End it by hand; the monitor is unverified until its next signal or missed deadline."""
    _act(cli, incident, "resolve", reason, workspace)


def note(
    cli: Cli,
    *,
    incident: Incident,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to write.")],
    workspace: Workspace = None,
) -> None:
    """Write a note on its timeline."""
    reply = cli.call("POST", api("incidents", incident, "note", workspace=workspace), {"text": text})
    cli.answer(reply, f"Noted on {reply['incident']['id']}.")


class PacketFormat(StrEnum):
    """What a packet can be written as."""

    JSON = "json"
    MARKDOWN = "markdown"


def export(
    cli: Cli,
    *,
    incident: Incident,
    format: Annotated[PacketFormat, typer.Option("--format", help="What to write.")] = PacketFormat.MARKDOWN,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Instead of printing it.")] = None,
    workspace: Workspace = None,
) -> None:
    """Write its evidence packet, to be taken along."""
    reply = cli.call("GET", api("incidents", incident, "packet", format=format.value, workspace=workspace))
    if format is PacketFormat.MARKDOWN:
        text = str(reply["markdown"]).removesuffix("\n")
    else:
        text = json.dumps(reply["packet"], indent=2)
    if output is None:
        cli.answer(reply, text)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        said = f"{output} exists already: name a file that is not there yet."
        raise LuotaError(Code.CONFLICT, said, field="output") from None
    except OSError as error:
        said = f"{output} cannot be written: {error.strerror}."
        raise LuotaError(Code.INVALID, said, field="output") from None
    cli.answer({"file": str(output)}, f"Written to {shown(output)}.")


def _act(cli: Cli, incident: str, action: str, reason: str | None, workspace: str | None) -> None:
    body = {} if reason is None else {"reason": reason}
    reply = cli.call("POST", api("incidents", incident, action, workspace=workspace), body)
    found = reply["incident"]
    text = f"{found['id']} is {found['state']}."
    taken = next((event for event in found["events"] if event["type"] == "acknowledged"), None)
    if action == "acknowledge" and taken is not None:  # perhaps by another, who was first
        why = f": {shown(taken['text'])}" if taken["text"] else "."
        text = f"{found['id']} is acknowledged, by {shown(taken['actor'])} at {taken['at']}{why}"
    if action == "resolve":
        text += " Its monitor is unverified until its next signal or missed deadline."
    cli.answer(reply, text)


def _described(incident: Mapping[str, Any]) -> str:
    rows = (
        ("incident", "id"),
        ("monitor", "monitorName"),
        ("kind", "kind"),
        ("state", "state"),
        ("summary", "summary"),
        ("opened", "openedAt"),
        ("expected", "expectedAt"),
        ("acknowledged", "acknowledgedAt"),
        ("resolved", "resolvedAt"),
        ("resolution", "resolution"),
        ("promise", "promise"),
        ("owner", "owner"),
        ("runbook", "runbook"),
    )
    parts = [fields((name, incident.get(key)) for name, key in rows)]
    events = [(e["at"], e["type"], e.get("kind"), e.get("actor"), e["text"]) for e in incident["events"]]
    parts.append(table(("AT", "EVENT", "KIND", "BY", "WHAT"), events, empty="No events."))
    states = {d["id"]: d["state"] for d in incident["deliveries"]}
    notices = [
        (d["channel"], d.get("notice"), d["state"], d["attempts"], d["nextAttemptAt"], _reason(d, states))
        for d in incident["deliveries"]
    ]
    headers = ("CHANNEL", "NOTICE", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "REASON")
    parts.append(table(headers, notices, empty="Nobody was told: no channel was there for it, or none wanted it."))
    attempts = [
        f"{a['startedAt']}  {shown(d['channel'])}, attempt {a['number']}: "
        f"{'delivered' if a['ok'] else shown(a.get('error') or a.get('status'))}"
        for d in incident["deliveries"]
        for a in d.get("attemptLog", ())
    ]
    return "\n\n".join(part for part in (*parts, "\n".join(attempts)) if part)


def _reason(delivery: Mapping[str, Any], states: Mapping[str, str]) -> str | None:
    """Say why a delivery is in its state; `states` are those of all deliveries, by id."""
    if delivery["toldBy"] is None:
        error: str | None = delivery["lastError"]
        return error
    state = states.get(delivery["toldBy"])
    if state == "delivered":
        return "a digest told of it"
    return "a digest was to tell of it" + (f": {state}" if state else "")
