"""Commands about channels."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import typer

from luota.cli.command import Cli, WrongOptionError, among, api
from luota.cli.output import fields, shown, table
from luota.core.errors import invalid
from luota.core.model import Kind
from luota.core.spec.channels import WANTS_KEYS, parse_wants

Channel = Annotated[str, typer.Argument(metavar="NAME", help="A channel, by name or id.")]
Workspace = Annotated[
    str | None, typer.Option("--workspace", metavar="W", help="A workspace, by id or slug; else the first one.")
]
_Kinds = Annotated[
    list[str] | None,
    typer.Option(metavar="missed|failed|stuck|stale", callback=among(Kind), help="Of these alone; '' for all."),
]
_Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="opened|resolved", callback=among(("opened", "resolved")), help="Of these alone; '' for both."
    ),
]
_Delay = Annotated[
    str | None, typer.Option(metavar="DURATION", help="Hold the opening back; silent when it ends within.")
]

_OPTIONS = {"delaySeconds": "--delay", "headers": "--header", "to": "--to"}
"""The options whose names are not the API's, by the API's."""


def add_email(
    cli: Cli,
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    to: Annotated[list[str], typer.Option(metavar="ADDRESS", help="Who gets the notices; repeatable.")],
    kind: _Kinds = None,
    notify: _Notify = None,
    delay: _Delay = None,
    workspace: Workspace = None,
) -> None:
    """Add an email channel; it hears of every monitor that names no channels of its own."""
    _add(cli, workspace, {"type": "email", "name": name, "to": to, **_rules(kind, notify, delay)})


def add_webhook(
    cli: Cli,
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    url: Annotated[str, typer.Option(help="Where to POST the notices.")],
    header: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Send this header along; repeatable.")
    ] = None,
    kind: _Kinds = None,
    notify: _Notify = None,
    delay: _Delay = None,
    workspace: Workspace = None,
) -> None:
    """Add a webhook; it hears of every monitor that names no channels of its own. Prints its secret once."""
    body: dict[str, Any] = {"type": "webhook", "name": name, "url": url, **_rules(kind, notify, delay)}
    if header:
        body["headers"] = dict(_pair(one) for one in header)
    _add(cli, workspace, body)


def add_slack(
    cli: Cli,
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    url: Annotated[str, typer.Option(help="The incoming webhook that Slack made.")],
    kind: _Kinds = None,
    notify: _Notify = None,
    delay: _Delay = None,
    workspace: Workspace = None,
) -> None:
    """Add a Slack channel; it hears of every monitor that names no channels of its own."""
    _add(cli, workspace, {"type": "slack", "name": name, "url": url, **_rules(kind, notify, delay)})


def add_apprise(
    cli: Cli,
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    url: Annotated[str, typer.Option(help="One URL as https://appriseit.com has it, such as ntfy://topic.")],
    kind: _Kinds = None,
    notify: _Notify = None,
    delay: _Delay = None,
    workspace: Workspace = None,
) -> None:
    """Add any service that Apprise knows: ntfy, Telegram, Discord, Matrix … Needs the extra luota[apprise]."""
    _add(cli, workspace, {"type": "apprise", "name": name, "url": url, **_rules(kind, notify, delay)})


def edit(
    cli: Cli,
    *,
    channel: Channel,
    kind: _Kinds = None,
    notify: _Notify = None,
    delay: _Delay = None,
    workspace: Workspace = None,
) -> None:
    """Change which notices of incidents a channel wants; what is not given stays."""
    body = _rules(kind, notify, delay)
    if not body:
        raise WrongOptionError("options", "Nothing to change: give an option, such as --kind missed.")
    reply = cli.call("PATCH", api("channels", channel, workspace=workspace), body, options=_OPTIONS)
    names = (("name", "name"), ("kinds", "kinds"), ("notify", "notify"), ("delay, s", "delaySeconds"))
    cli.answer(reply, fields((name, reply["channel"].get(key)) for name, key in names))


def rotate_secret(cli: Cli, *, channel: Channel, workspace: Workspace = None) -> None:
    """Give a webhook a new secret; the old one stays valid for a day."""
    reply = cli.call("POST", api("channels", channel, "rotate-secret", workspace=workspace))
    cli.answer(reply, _secret(reply))


def list_all(cli: Cli, *, workspace: Workspace = None) -> None:
    """List the channels: whether each can be trusted, what it wants, and what became of its last delivery."""
    reply = cli.call("GET", api("channels", workspace=workspace))
    rows = [
        (
            channel["name"],
            channel["type"],
            ", ".join(channel.get("to", ())),
            _state(channel),
            parse_wants({key: channel.get(key) for key in WANTS_KEYS}).in_words() or "everything",
            _last(channel),
        )
        for channel in reply["channels"]
    ]
    head = ("NAME", "TYPE", "TO", "STATE", "WANTS", "LAST DELIVERY")
    text = table(head, rows, empty="No channels yet. Nobody is told of incidents.")
    cli.answer(reply, "\n".join([text, *_warnings(reply["channels"])]))


def _state(channel: Mapping[str, Any]) -> str:
    if channel.get("failedAt") or channel.get("failing"):
        return "failing"
    return "proven" if channel.get("provenAt") else "unproven"


def _last(channel: Mapping[str, Any]) -> str:
    """Say in words what became of the last delivery of a channel."""
    last = channel.get("lastDelivery")
    if channel.get("failedError") and not (last and last["attempts"]):  # it is not on record any more
        return f"failed, terminal since {channel['failedAt']}: {channel['failedError']}"
    if last is None:
        return "none yet"
    match last["state"]:
        case "delivered":
            return f"delivered {last['finishedAt']}"
        case "queued":
            return "queued"
        case "failed_retrying":
            return f"failed, retrying at {last['nextAttemptAt']}: {last['lastError']}"
        case "failed_terminal":
            return f"failed, terminal {last['finishedAt']}: {last['lastError']}"
    return f"cancelled: {last['lastError']}"


def _warnings(channels: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Say of each channel that cannot be trusted what to do."""
    for channel in channels:
        prove = f"luota channel test {shlex.quote(shown(channel['name']))}"
        if channel.get("failedAt"):
            yield f"\n{shown(channel['name'])} is a dead route since {channel['failedAt']}: mend it, then run {prove}"
        elif channel.get("failing"):
            yield f"\n{shown(channel['name'])} fails: mend it, then run {prove}"
        elif not channel.get("provenAt"):
            yield f"\nNobody knows yet whether {shown(channel['name'])} works. Run {prove}"


def test(cli: Cli, *, channel: Channel, workspace: Workspace = None) -> None:  # noqa: PT028 - no test of pytest's
    """Send a test notice and wait for its outcome. Exits 1 unless it was delivered."""
    reply = cli.call("POST", api("channels", channel, "test", workspace=workspace))
    delivery = reply["delivery"]
    keys = ("channel", "state", "attempts", "nextAttemptAt", "lastError")
    names = ("channel", "state", "attempts", "next attempt", "last error")
    pairs = [(name, delivery.get(key)) for name, key in zip(names, keys, strict=True)]
    pairs.append(("answer", " ".join(str(one) for one in map(delivery.get, ("status", "answer")) if one) or None))
    if delivery.get("providerId"):
        pairs.append(("provider's id", delivery["providerId"]))
    cli.answer(reply, fields(pairs))
    if delivery["state"] != "delivered":
        raise typer.Exit(1)


def _add(cli: Cli, workspace: str | None, body: Mapping[str, Any]) -> None:
    reply = cli.call("POST", api("channels", workspace=workspace), body, options=_OPTIONS)
    channel = reply["channel"]
    text = fields((key, channel.get(key)) for key in ("id", "name", "type"))
    if "secret" in reply:
        text += "\n\n" + _secret(reply)
    text += f"\n\nNobody knows yet that it works. Prove it: luota channel test {shlex.quote(shown(channel['name']))}"
    cli.answer(reply, text)


def _rules(kind: list[str] | None, notify: list[str] | None, delay: str | None) -> dict[str, Any]:
    """Return which notices a channel shall want, as the API takes it; what is not given is not in it."""
    rules: dict[str, Any] = {}
    if kind is not None:
        rules["kinds"] = [one for one in kind if one] or None
    if notify is not None:
        rules["notify"] = [one for one in notify if one] or None
    if delay is not None:
        rules["delaySeconds"] = int(delay) if delay.isascii() and delay.isdigit() and len(delay) < 12 else delay
    return rules


def _secret(reply: Mapping[str, Any]) -> str:
    lines = [f"secret  {reply['secret']}", "It is shown this once. The receiver verifies signatures with it."]
    if reply.get("oldSecretUntil"):
        lines.append(f"The old one is signed with as well until {reply['oldSecretUntil']}.")
    return "\n".join(lines)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise invalid("headers", "A header is written KEY=VALUE.")
    return name, value


def remove(cli: Cli, *, channel: Channel, workspace: Workspace = None) -> None:
    """Remove a channel; what it had not sent yet is cancelled."""
    reply = cli.call("DELETE", api("channels", channel, workspace=workspace))
    lines = [f"Removed {shown(reply['channel']['name'])}."]
    if reply["monitors"]:
        lines += ["", "These monitors named it. Who hears of them now:"]
        for one in reply["monitors"]:
            left = one["channels"]
            heard = "every channel of the workspace" if left is None else ", ".join(map(shown, left))
            lines.append(f"{shown(one['slug'])}: {heard}")
        lines.append("To change that: luota monitor edit M --channel NAME")
    cli.answer(reply, "\n".join(lines))
