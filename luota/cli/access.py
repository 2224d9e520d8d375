"""Commands about who may do what: users, workspaces, tokens."""

import sys
from typing import Annotated

import typer

from luota.cli.command import Cli, api
from luota.cli.output import fields, table

Target = Annotated[str | None, typer.Argument(metavar="M", help="A monitor, by id or slug.")]
OfWorkspace = Annotated[
    bool, typer.Option("--workspace", help="The token of a workspace: M names it, else the first one.")
]


def create_user(
    cli: Cli,
    *,
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    name: Annotated[str | None, typer.Option(help="What to call them; else the part before the @.")] = None,
    role: Annotated[str | None, typer.Option(metavar="owner|operator|viewer")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Create a user; the password is asked for twice."""
    body = {"email": email, "password": _password() if password_stdin else _asked_password()}
    body |= {key: value for key, value in (("name", name), ("role", role)) if value is not None}
    reply = cli.call("POST", api("users"), body)
    user = reply["user"]
    cli.answer(reply, fields((key, user.get(key)) for key in ("id", "email", "name", "role")))


def list_users(cli: Cli) -> None:
    """List the users."""
    reply = cli.call("GET", api("users"))
    rows = [(u["email"], u["name"], u["role"], u["createdAt"]) for u in reply["users"]]
    cli.answer(reply, table(("EMAIL", "NAME", "ROLE", "CREATED"), rows, empty="No users yet."))


def list_workspaces(cli: Cli) -> None:
    """List the workspaces."""
    reply = cli.call("GET", api("workspaces"))
    rows = [(w["slug"], w["name"], w["id"]) for w in reply["workspaces"]]
    cli.answer(reply, table(("SLUG", "NAME", "ID"), rows, empty="No workspaces yet."))


def show_token(cli: Cli, *, target: Target = None, workspace: OfWorkspace = False) -> None:
    """Print the token of a monitor or of a workspace."""
    reply = cli.call("GET", api(*_holder(target, workspace=workspace), "token"))
    cli.answer(reply, reply["token"])


def rotate_token(cli: Cli, *, target: Target = None, workspace: OfWorkspace = False) -> None:
    """Replace a token and print the new one. The old one is refused at once."""
    reply = cli.call("POST", api(*_holder(target, workspace=workspace), "token", "rotate"))
    cli.answer(reply, reply["token"])


def _holder(target: str | None, *, workspace: bool) -> tuple[str, str]:
    if workspace:
        return ("workspaces", "default" if target is None else target)
    if target is None:
        raise typer.BadParameter("Name a monitor, or give --workspace.")
    return ("monitors", target)


def _password() -> str:
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise typer.BadParameter("The password on standard input is not UTF-8.") from None
    return text.removesuffix("\n").removesuffix("\r")


def _asked_password() -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("There is no terminal to ask for the password: give --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
