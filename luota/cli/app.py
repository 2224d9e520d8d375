"""The table of commands."""

import typer

from luota.cli import access, channels, incidents, monitors, process, replay
from luota.cli.command import command, group

app = group("Luota watches scheduled work and never lies by silence.")

command(app, "init")(process.init)
command(app, "serve")(process.serve)
command(app, "check-config")(process.check_config)
command(app, "version")(process.version)
command(app, "ping")(monitors.ping)
command(app, "replay")(replay.replay)


def _add(name: str, about: str, parent: typer.Typer = app) -> typer.Typer:
    made = group(about)
    parent.add_typer(made, name=name)
    return made


user = _add("user", "People who may sign in.")
command(user, "create")(access.create_user)
command(user, "list")(access.list_users)

workspace = _add("workspace", "Owners of monitors, channels and members.")
command(workspace, "list")(access.list_workspaces)

token = _add("token", "The keys that jobs send.")
command(token, "show")(access.show_token)
command(token, "rotate")(access.rotate_token)

monitor = _add("monitor", "What is watched.")
command(monitor, "create")(monitors.create)
command(monitor, "list")(monitors.list_all)
command(monitor, "show")(monitors.show)
command(monitor, "edit")(monitors.edit)
command(monitor, "pause")(monitors.pause)
command(monitor, "resume")(monitors.resume)
command(monitor, "archive")(monitors.archive)

channel = _add("channel", "Where notices go.")
add_channel = _add("add", "Add a channel.", channel)
command(add_channel, "email")(channels.add_email)
command(add_channel, "webhook")(channels.add_webhook)
command(add_channel, "slack")(channels.add_slack)
command(channel, "list")(channels.list_all)
command(channel, "test")(channels.test)
command(channel, "edit")(channels.edit)
command(channel, "rotate-secret")(channels.rotate_secret)
command(channel, "remove")(channels.remove)

incident = _add("incident", "What went wrong.")
command(incident, "list")(incidents.list_all)
command(incident, "show")(incidents.show)
command(incident, "ack")(incidents.acknowledge)
command(incident, "resolve")(incidents.resolve)
