"""Commands about channels."""

from typing import Annotated

import typer

from luota.cli.command import Cli, api
from luota.cli.output import fields, table

Channel = Annotated[str, typer.Argument(metavar="NAME", help="A channel, by name or id.")]
Workspace = Annotated[str | None, typer.Option("--workspace", metavar="W", help="A workspace, by id or slug.")]


def add_webhook(
    cli: Cli,
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    url: Annotated[str, typer.Option(help="Where to POST the notices.")],
    workspace: Workspace = None,
) -> None:
    """Add a webhook. It hears of every monitor that names no channels of its own."""
    body = {"type": "webhook", "name": name, "url": url}
    reply = cli.call("POST", api("channels", workspace=workspace), body)
    channel = reply["channel"]
    cli.answer(reply, fields((key, channel.get(key)) for key in ("id", "name", "type")))


def list_all(cli: Cli, *, workspace: Workspace = None) -> None:
    """List the channels with what became of their last notice."""
    reply = cli.call("GET", api("channels", workspace=workspace))
    rows = []
    for channel in reply["channels"]:
        last = channel.get("lastDelivery") or {}
        rows.append((channel["name"], channel["type"], last.get("state"), last.get("lastError"), channel["id"]))
    headers = ("NAME", "TYPE", "LAST NOTICE", "LAST ERROR", "ID")
    cli.answer(reply, table(headers, rows, empty="No channels yet. Nobody is told of incidents."))


def test(cli: Cli, *, channel: Channel) -> None:
    """Send a test notice and wait for its outcome. Exits 1 unless it was delivered."""
    reply = cli.call("POST", api("channels", channel, "test"))
    delivery = reply["delivery"]
    keys = ("channel", "state", "attempts", "nextAttemptAt", "lastError")
    names = ("channel", "state", "attempts", "next attempt", "last error")
    cli.answer(reply, fields((name, delivery.get(key)) for name, key in zip(names, keys, strict=True)))
    if delivery["state"] != "delivered":
        raise typer.Exit(1)


def remove(cli: Cli, *, channel: Channel) -> None:
    """Remove a channel; what it had not sent yet is cancelled."""
    reply = cli.call("DELETE", api("channels", channel))
    cli.answer(reply, f"Removed {reply['channel']['name']}.")
