"""The demo (docs/demo.md)."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.command import Cli


def demo(
    cli: Cli,
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on (LUOTA_SERVER_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on (LUOTA_SERVER_PORT).")] = None,
) -> None:
    """Show a workspace of living sample workflows, until Ctrl-C; without --data-dir nothing of it is kept."""
    chosen = cli.overrides["data_dir"]  # the flag alone: a variable may well name the directory of a real instance
    cli.overrides |= {"server.host": host, "server.port": port}
    server = cli.config.server
    data_dir = None if chosen is None else cli.config.data_dir
    from luota import demo  # noqa: PLC0415 - slow to load, and needed here alone

    def say(document: Mapping[str, Any], text: str) -> None:
        cli.answer(document, text)
        sys.stdout.flush()

    raise typer.Exit(demo.serve(data_dir, server.host, server.port, say))
