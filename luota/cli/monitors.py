"""Commands about monitors."""

import json
import sys
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.client import listens
from luota.cli.command import Cli, WrongOptionError, among, api
from luota.cli.monitor_text import described, in_words, no_grace
from luota.cli.output import table
from luota.core.errors import invalid
from luota.core.model import Mode

Monitor = Annotated[
    str, typer.Argument(metavar="M", help="A monitor, by id, slug or the first 8 or more characters of its id.")
]

Every = Annotated[
    str | None, typer.Option("--every", metavar="DUR", help="A signal in each such interval: 60, 5m, 1d.")
]
Cron = Annotated[str | None, typer.Option("--cron", metavar="EXPR", help="Five fields, such as '0 2 * * *'.")]
Calendar = Annotated[
    str | None, typer.Option("--calendar", metavar="EXPR", help="As systemd's OnCalendar: 'Mon..Fri 08:00'.")
]
Timezone = Annotated[str | None, typer.Option("--timezone", metavar="TZ", help="Of --cron or --calendar; else UTC.")]
Grace = Annotated[
    str | None,
    typer.Option("--grace", metavar="DUR", help="How long silence is only late, before an incident opens; else 0 s."),
]
MaxRuntime = Annotated[
    str | None,
    typer.Option("--max-runtime", metavar="DUR", help="After which an open run is stuck; else 24 h."),
]
Freshness = Annotated[str | None, typer.Option("--freshness", metavar="DUR", help="How old the output may become.")]
Promise = Annotated[
    str | None,
    typer.Option("--promise", metavar="TEXT", help="The outcome customers count on, in a sentence."),
]
Owner = Annotated[str | None, typer.Option("--owner", metavar="TEXT", help="Who answers for it.")]
Runbook = Annotated[str | None, typer.Option("--runbook", metavar="URL", help="What to do when it fails.")]
Tolerance = Annotated[
    int | None,
    typer.Option("--tolerance", metavar="N", help="Failures in a row that make an incident; else 1."),
]
Remind = Annotated[
    str | None,
    typer.Option("--remind", metavar="DUR", help="Remind so often of an open incident; 0 for never, as else."),
]
Slug = Annotated[str | None, typer.Option("--slug", metavar="S", help="Its short name; else made of the name.")]
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME", help="Who is told, again for more; '' for every channel."),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="K=V", help="Again for more; '' for none.")]
Environment = Annotated[str | None, typer.Option("--environment", metavar="TEXT", help="Such as production.")]


def create(
    cli: Cli,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    mode: Annotated[
        str,
        typer.Option("--mode", metavar="heartbeat|run|freshness", callback=among(Mode), help="What its job tells."),
    ],
    every: Every = None,
    cron: Cron = None,
    calendar: Calendar = None,
    timezone: Timezone = None,
    grace: Grace = None,
    max_runtime: MaxRuntime = None,
    freshness: Freshness = None,
    promise: Promise = None,
    owner: Owner = None,
    runbook: Runbook = None,
    tolerance: Tolerance = None,
    remind: Remind = None,
    slug: Slug = None,
    channel: Channels = None,
    tag: Tags = None,
    environment: Environment = None,
    workspace: Workspace = None,
) -> None:
    """Create a monitor and print its token."""
    schedule = _schedule(every, cron, calendar, timezone)
    if timezone is not None and (schedule is None or every is not None):
        raise WrongOptionError("--timezone", "--timezone goes with --cron or --calendar.")
    body = _given(
        name=name,
        mode=mode,
        schedule=schedule,
        graceSeconds=grace,
        maxRuntimeSeconds=max_runtime,
        expectedFreshnessSeconds=freshness,
        promise=promise,
        owner=owner,
        runbook=runbook,
        failuresBeforeIncident=tolerance,
        reminderSeconds=remind,
        slug=slug,
        environment=environment,
    )
    reply = cli.call("POST", api("monitors", workspace=workspace), {**body, **_lists(channel, tag)}, options=_OPTIONS)
    monitor, token = reply["monitor"], reply["token"]
    url = f"{reply['baseUrl']}/v1/"
    if mode == "run":
        data = json.dumps({"monitorId": monitor["id"], "externalRunId": "run-1"})
        read = r"""sed 's/.*"run":{"id":"\([^"]*\).*/\1/'"""
        first = (
            "Send its first signals, a start and the success of that run; one that nobody closes is stuck in the end:\n"
            f"RUN=$(curl -sS -X POST {url}runs/start -H 'x-luota-key: {token}' -d '{data}' | {read})\n"
            f"curl -X POST {url}runs/$RUN/success -H 'x-luota-key: {token}'"
        )
    else:
        first = f"Send its first signal:\ncurl -X POST {url}monitors/{monitor['id']}/ping -H 'x-luota-key: {token}'"
    said = f"{described(monitor, token=token)}{no_grace(monitor)}\n\n{first}"
    if not listens(cli.config.data_dir):
        said += f"\n\nNo daemon runs on {cli.config.data_dir.absolute()}: nothing is watched until luota serve does."
    cli.answer(reply, said)


def list_all(
    cli: Cli,
    *,
    archived: Annotated[bool, typer.Option("--archived", help="Those that were put away.")] = False,
    workspace: Workspace = None,
) -> None:
    """List the monitors."""
    if archived:
        _list_archived(cli, workspace)
        return
    reply = cli.call("GET", api("monitors", workspace=workspace))
    rows = [
        (
            m["slug"],
            m["status"],
            m["mode"],
            in_words(m.get("schedule")),
            m["lastSignalAt"],
            None if m["status"] == "draft" else m["deadlineAt"],
            m["name"],
        )
        for m in reply["monitors"]
    ]
    headers = ("SLUG", "STATUS", "MODE", "SCHEDULE", "LAST SIGNAL", "DEADLINE", "NAME")
    cli.answer(reply, table(headers, rows, empty="No monitors yet. See: luota monitor create --help"))


def _list_archived(cli: Cli, workspace: str | None) -> None:
    reply = cli.call("GET", api("monitors", workspace=workspace, archived="true"))
    rows = [(m["slug"], m["mode"], m["archivedAt"], m["name"], m["id"]) for m in reply["monitors"]]
    cli.answer(reply, table(("SLUG", "MODE", "ARCHIVED", "NAME", "ID"), rows, empty="No archived monitors."))


def show(cli: Cli, *, monitor: Monitor, workspace: Workspace = None) -> None:
    """Show a monitor, its present verdict and why it holds."""
    reply = cli.call("GET", api("monitors", monitor, workspace=workspace))
    shown = reply["monitor"]
    more = {}
    if shown["incidentId"] is not None and not cli.as_json:
        found = cli.call("GET", api("incidents", shown["incidentId"], workspace=shown["workspaceId"]))["incident"]
        more["incident"] = f"{found['kind']}, {found['state']} since {found['openedAt']}: {found['summary']}"
    cli.answer(reply, described(shown, **more))


def edit(
    cli: Cli,
    *,
    monitor: Monitor,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What to call it.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", hidden=True)] = None,
    every: Every = None,
    cron: Cron = None,
    calendar: Calendar = None,
    timezone: Timezone = None,
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Only failed and stuck runs count.")] = False,
    grace: Grace = None,
    max_runtime: MaxRuntime = None,
    freshness: Freshness = None,
    promise: Promise = None,
    owner: Owner = None,
    runbook: Runbook = None,
    tolerance: Tolerance = None,
    remind: Remind = None,
    slug: Slug = None,
    channel: Channels = None,
    tag: Tags = None,
    environment: Environment = None,
    workspace: Workspace = None,
) -> None:
    """Change what is given and nothing else; '' empties a text."""
    schedule = _schedule(every, cron, calendar, timezone)
    if no_schedule and (schedule is not None or timezone is not None):
        raise WrongOptionError("--no-schedule", "--no-schedule does not go with another schedule.")
    if timezone is not None and every is not None:
        raise WrongOptionError("--timezone", "--timezone goes with --cron or --calendar.")
    body = _given(
        name=name,
        mode=mode,
        graceSeconds=grace,
        maxRuntimeSeconds=max_runtime,
        expectedFreshnessSeconds=freshness,
        promise=promise,
        owner=owner,
        runbook=runbook,
        failuresBeforeIncident=tolerance,
        reminderSeconds=remind,
        slug=slug,
        environment=environment,
    )
    body |= _lists(channel, tag)
    if no_schedule:
        body["schedule"] = None
    elif schedule is not None or timezone is not None:
        body["schedule"] = _moved(cli, api("monitors", monitor, workspace=workspace), schedule, timezone)
    if not body:
        raise WrongOptionError("options", "Nothing to change: give an option, such as --grace 10m.")
    reply = cli.call("PATCH", api("monitors", monitor, workspace=workspace), body, options=_OPTIONS)
    cli.answer(reply, described(reply["monitor"]))


def tag(
    cli: Cli,
    *,
    monitor: Monitor,
    tags: Annotated[list[str], typer.Argument(metavar="K=V...", help="The tags.")],
    workspace: Workspace = None,
) -> None:
    """Add tags, in place of those with the same keys; the others stay."""
    path = api("monitors", monitor, "tags", workspace=workspace)
    reply = cli.call("POST", path, {"tags": _tags(tags, "tags")})
    cli.answer(reply, described(reply["monitor"]))


def pause(
    cli: Cli,
    *,
    monitor: Monitor,
    duration: Annotated[str | None, typer.Option("--for", metavar="DUR", help="How long.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="ISO", help="Until when.")] = None,
    until_healthy: Annotated[bool, typer.Option("--until-healthy", help="Until the next healthy signal.")] = False,
    workspace: Workspace = None,
) -> None:
    """Pause a monitor: its signals are kept, no incident opens."""
    if duration is not None and until is not None:
        raise WrongOptionError("--until", "Give --for or --until, not both.")
    body = _given(until=until, untilHealthy=until_healthy or None)
    if duration is not None:
        body["for"] = duration
    reply = cli.call("POST", api("monitors", monitor, "pause", workspace=workspace), body, options=_OPTIONS)
    cli.answer(reply, described(reply["monitor"]))


def resume(cli: Cli, *, monitor: Monitor, workspace: Workspace = None) -> None:
    """End a pause."""
    reply = cli.call("POST", api("monitors", monitor, "resume", workspace=workspace))
    cli.answer(reply, described(reply["monitor"]))


def archive(
    cli: Cli,
    *,
    monitor: Monitor,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Workspace = None,
) -> None:
    """Put a monitor away for good. Its history stays until retention ends it."""
    if not yes and not cli.as_json and sys.stdin.isatty():
        found = cli.call("GET", api("monitors", monitor, workspace=workspace))["monitor"]
        print(described(found))
        print("\nFrom now on and for good nobody watches it and its signals are refused.")
        if not typer.confirm(f"Archive {found['slug']}?"):
            print("Nothing was changed.")
            raise typer.Exit(1)
    reply = cli.call("POST", api("monitors", monitor, "archive", workspace=workspace))
    cli.answer(reply, f"Archived {reply['monitor']['slug']}.")


def ping(
    cli: Cli,
    *,
    monitor: Monitor,
    occurred_at: Annotated[
        str | None, typer.Option("--occurred-at", metavar="ISO", help="When it happened; else now.")
    ] = None,
    payload: Annotated[str | None, typer.Option("--payload", metavar="JSON", help="An object to keep with it.")] = None,
    workspace: Workspace = None,
) -> None:
    """Send a signal to a heartbeat or freshness monitor."""
    found = cli.call("GET", api("monitors", monitor, workspace=workspace))["monitor"]
    if found["mode"] == "run":
        message = (
            f"{found['slug']} watches runs: send POST /v1/runs/start, then /v1/runs/RUN/success or "
            "/v1/runs/RUN/fail. A ping is for heartbeat and freshness monitors."
        )
        raise invalid("monitorId", message)
    token = cli.call("GET", api("monitors", found["id"], "token", workspace=workspace))["token"]
    parts = [] if occurred_at is None else [f'"occurredAt":{json.dumps(occurred_at)}']
    if payload is not None:
        parts.append(f'"payload":{_checked_json(payload)}')
    body = f"{{{','.join(parts)}}}".encode(errors="surrogateescape")  # not UTF-8: for the server to refuse
    key = {"x-luota-key": token}
    reply = cli.call("POST", f"/v1/monitors/{found['id']}/ping", body, headers=key, options=_OPTIONS)
    cli.answer(reply, f"Accepted a signal for {found['slug']}.")


_OPTIONS = {
    "schedule": "--every, --cron or --calendar",
    "schedule.every": "--every",
    "schedule.cron": "--cron",
    "schedule.calendar": "--calendar",
    "schedule.timezone": "--timezone",
    "graceSeconds": "--grace",
    "maxRuntimeSeconds": "--max-runtime",
    "expectedFreshnessSeconds": "--freshness",
    "failuresBeforeIncident": "--tolerance",
    "reminderSeconds": "--remind",
    "channels": "--channel",
    "tags": "--tag",
    "untilHealthy": "--until-healthy",
    "until": "--until",
    "for": "--for",
    "occurredAt": "--occurred-at",
}
"""The options whose names are not the API's, by the API's."""


def _given(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}


def _lists(channels: list[str] | None, tags: list[str] | None) -> dict[str, Any]:
    """Return the keys `channels` and `tags` where they were given; one empty text takes them back."""
    body: dict[str, Any] = {}
    if channels:
        body["channels"] = None if channels == [""] else channels
    if tags:
        body["tags"] = _tags(tags if tags != [""] else [], "--tag")
    return body


def _tags(given: list[str], option: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise WrongOptionError(option, f"{option} takes KEY=VALUE, not {text!r}.")
        if key in tags:
            raise WrongOptionError(option, f"{option} {key} is given twice.")
        tags[key] = value
    return tags


def _schedule(every: str | None, cron: str | None, calendar: str | None, timezone: str | None) -> dict[str, str] | None:
    given = _given(every=every, cron=cron, calendar=calendar)
    if len(given) > 1:
        raise WrongOptionError(f"--{list(given)[1]}", "Give one of --every, --cron and --calendar.")
    if not given:
        return None
    return given if timezone is None else {**given, "timezone": timezone}


def _moved(cli: Cli, path: str, schedule: dict[str, str] | None, timezone: str | None) -> dict[str, Any]:
    """Return the schedule that an edit gives the monitor at `path`: an expression or timezone not given stays."""
    if schedule is not None and ("every" in schedule or timezone is not None):
        return schedule
    current = cli.call("GET", path)["monitor"]["schedule"] or {}
    if schedule is not None:
        return {**schedule, **_given(timezone=current.get("timezone"))}
    if "timezone" not in current:
        raise invalid("timezone", "The monitor has no schedule with a timezone. Give --cron or --calendar too.")
    return {**current, "timezone": timezone}


def _checked_json(text: str) -> str:
    """Return the text itself if it is JSON: decoded and written again, a number might have changed."""
    try:
        json.loads(text)
    except RecursionError:
        pass  # deep, which is for the server to refuse
    except ValueError as error:
        raise WrongOptionError("--payload", f"--payload is not JSON: {error}.") from None
    return text
