"""The table of commands."""

from typing import Annotated

import typer

from luota import __version__
from luota.cli import (
    access,
    advice,
    audit,
    channels,
    code,
    demo,
    drills,
    incidents,
    monitors,
    process,
    replay,
    runs,
    upkeep,
)
from luota.cli.command import command, group
from luota.cli.exec import exec_

app = group("Luota watches scheduled work and never lies by silence.")


@app.callback(invoke_without_command=True)
def _about(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version of this program.")] = False
) -> None:
    if version:
        print(f"luota {__version__}")
        raise typer.Exit


command(app, "init")(process.init)
command(app, "serve")(process.serve)
command(app, "demo")(demo.demo)
command(app, "check-config")(process.check_config)
command(app, "doctor")(upkeep.doctor)
command(app, "backup")(upkeep.backup)
command(app, "restore")(upkeep.restore)
command(app, "export")(code.export)
command(app, "apply")(code.apply)
command(app, "prune")(upkeep.prune)
command(app, "openapi")(process.openapi)
command(app, "version")(process.version)
command(app, "ping")(monitors.ping)
command(app, "exec")(exec_)
command(app, "replay")(replay.replay)


def _add(name: str, about: str, parent: typer.Typer = app) -> typer.Typer:
    made = group(about)
    parent.add_typer(made, name=name)
    return made


user = _add("user", "People who may sign in.")
command(user, "create")(access.create_user)
command(user, "password")(access.set_password)
command(user, "role")(access.set_role)
command(user, "delete")(access.delete_user)
command(user, "list")(access.list_users)
command(user, "link")(access.link_user)

member = _add("member", "Who belongs to a workspace.")
command(member, "add")(access.add_member)
command(member, "remove")(access.remove_member)

workspace = _add("workspace", "Owners of monitors, channels and members.")
command(workspace, "create")(access.create_workspace)
command(workspace, "list")(access.list_workspaces)
command(workspace, "show")(access.show_workspace)
command(workspace, "edit")(access.edit_workspace)

audit_log = _add("audit", "Who changed what.")
command(audit_log, "list")(audit.list_all)

token = _add("token", "The keys that jobs send.")
command(token, "show")(access.show_token)
command(token, "rotate")(access.rotate_token)

monitor = _add("monitor", "What is watched.")
command(monitor, "create")(monitors.create)
command(monitor, "list")(monitors.list_all)
command(monitor, "show")(monitors.show)
command(monitor, "edit")(monitors.edit)
command(monitor, "tag")(monitors.tag)
command(monitor, "pause")(monitors.pause)
command(monitor, "resume")(monitors.resume)
command(monitor, "archive")(monitors.archive)
command(monitor, "advise")(advice.advise)
command(monitor, "test")(advice.prove)
command(monitor, "snippet")(advice.snippet)

heartbeat = _add("heartbeat", "Accepted pings.")
command(heartbeat, "list")(runs.list_heartbeats)

run = _add("run", "One execution of a job.")
command(run, "list")(runs.list_runs)
command(run, "show")(runs.show)

channel = _add("channel", "Where notices go.")
add_channel = _add("add", "Add a channel.", channel)
command(add_channel, "email")(channels.add_email)
command(add_channel, "webhook")(channels.add_webhook)
command(add_channel, "slack")(channels.add_slack)
command(add_channel, "apprise")(channels.add_apprise)
command(channel, "list")(channels.list_all)
command(channel, "test")(channels.test)
command(channel, "edit")(channels.edit)
command(channel, "rotate-secret")(channels.rotate_secret)
command(channel, "remove")(channels.remove)

drill = _add("drill", "Deliberate failures that prove the path to people.")
command(drill, "run")(drills.run)
command(drill, "list")(drills.list_all)

incident = _add("incident", "What went wrong.")
command(incident, "list")(incidents.list_all)
command(incident, "show")(incidents.show)
command(incident, "ack")(incidents.acknowledge)
command(incident, "resolve")(incidents.resolve)
command(incident, "note")(incidents.note)
command(incident, "export")(incidents.export)
