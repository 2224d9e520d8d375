"""Commands about Luota itself."""

import json
import os
from typing import Annotated

import typer

from luota import __version__
from luota.cli.command import Cli, api, refuse
from luota.cli.output import fields
from luota.config import check, describe


def init(cli: Cli) -> None:
    """Create the data directory. One that is there already is only shown."""
    workspace = cli.call("GET", api("workspaces"), create=True)["workspaces"][0]
    data_dir = str(cli.config.data_dir.absolute())
    reply = {"dataDir": data_dir, "workspace": {"id": workspace["id"], "name": workspace["name"]}}
    cli.answer(reply, fields([("data", data_dir), ("workspace", f"{workspace['name']} ({workspace['id']})")]))


def serve(
    cli: Cli,
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on (LUOTA_SERVER_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on (LUOTA_SERVER_PORT).")] = None,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    cli.overrides |= {"server.host": host, "server.port": port}
    config = cli.config
    from luota import daemon  # noqa: PLC0415 - slow to load, and needed here alone

    raise typer.Exit(daemon.serve(config))


def check_config(cli: Cli) -> None:
    """Print the settings that hold, or all that is wrong with them."""
    config, mistakes = check(cli.config_file, os.environ, cli.overrides)
    if config is None:
        refuse(mistakes, as_json=cli.as_json)
        raise typer.Exit(1)
    doc = describe(config)
    pairs: list[tuple[str, object]] = []
    for name, value in doc.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        pairs.extend((f"{name}.{key}" if key else name, setting) for key, setting in inner)
    cli.answer(doc, fields(pairs))


def openapi(cli: Cli) -> None:
    """Print the OpenAPI 3.1 description of both APIs, as JSON."""
    from luota.web.openapi import document  # noqa: PLC0415 - slow to load, and needed here alone

    described = document(__version__)
    cli.answer(described, json.dumps(described, indent=2))


def version(cli: Cli) -> None:
    """Print the version of this program."""
    cli.answer({"version": __version__}, f"luota {__version__}")
