"""The `luota` program: parse, call, print. What it does, the daemon or its app in this process does."""

import sys


def main() -> None:
    """Run the command that `sys.argv` names; exits 0, 1 when refused or failed, 2 for a usage error."""
    from luota.cli.app import app  # noqa: PLC0415 - `import luota.cli` stays cheap
    from luota.cli.command import run  # noqa: PLC0415
    from luota.cli.output import prepare_streams  # noqa: PLC0415

    prepare_streams()
    sys.exit(run(app, sys.argv[1:]))
