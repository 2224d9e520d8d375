"""Commands about who may do what: users, workspaces, tokens."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from luota.cli.channels import Workspace
from luota.cli.command import Cli, WrongOptionError, among, api
from luota.cli.output import fields, table
from luota.core.roles import ROLES
from luota.core.spec.people import RETENTION_WORDS

User = Annotated[str, typer.Argument(metavar="EMAIL", help="A user, by email or id.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Target = Annotated[str | None, typer.Argument(metavar="M", help="A monitor, by id or slug.")]
OneWorkspace = Annotated[
    str | None, typer.Argument(metavar="W", help="A workspace, by id or slug; else the first one.")
]
OfWorkspace = Annotated[
    bool, typer.Option("--workspace", help="The token of a workspace: M names it, else the first one.")
]
Where = Annotated[str | None, typer.Option("--in", metavar="W", help="The workspace of monitor M; else the first one.")]

_RETENTION = {
    "retentionDays": "--retention-days",
    "retentionCount": "--retention-count",
    "incidentRetentionDays": "--incident-retention-days",
}
"""The options of what a workspace keeps, by the names of the API."""


def create_user(
    cli: Cli,
    *,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="By which they sign in.")],
    name: Annotated[str | None, typer.Option(help="What to call them; else the part before the @.")] = None,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="owner|operator|viewer",
            callback=among(ROLES),
            help="Else owner for the very first user, viewer for others.",
        ),
    ] = None,
    password_stdin: PasswordStdin = False,
    link: Annotated[bool, typer.Option("--link", help="Print a link by which they choose the password.")] = False,
    workspace: Workspace = None,
) -> None:
    """Create a user; the password is asked for twice."""
    if link and password_stdin:
        raise WrongOptionError("--link", "Give --link or --password-stdin, not both.")
    body = {"email": email}
    if not link:
        body["password"] = _password() if password_stdin else _asked_password()
    body |= {key: value for key, value in (("name", name), ("role", role)) if value is not None}
    reply = cli.call("POST", api("users", workspace=workspace), body)
    user = reply["user"]
    text = fields((key, user.get(key)) for key in ("id", "email", "name", "role"))
    if link:
        text += f"\nlink   {reply['link']}\nuntil  {reply['expiresAt']}"
    if role is None:
        text += f"\n\nThe role is {user['role']}, since --role was not given: the first user owns, all others view."
    cli.answer(reply, text)


def list_users(cli: Cli, *, workspace: Workspace = None) -> None:
    """List the users of a workspace."""
    reply = cli.call("GET", api("users", workspace=workspace))
    rows = [(u["email"], u["name"], u["role"], u["createdAt"]) for u in reply["users"]]
    cli.answer(reply, table(("EMAIL", "NAME", "ROLE", "CREATED"), rows, empty="No users yet."))


def set_password(
    cli: Cli,
    *,
    user: User,
    password_stdin: PasswordStdin = False,
    workspace: Workspace = None,
) -> None:
    """Give a user another password; it is asked for twice. All their sessions end."""
    body = {"password": _password() if password_stdin else _asked_password()}
    reply = cli.call("POST", api("users", user, "password", workspace=workspace), body)
    cli.answer(reply, f"{reply['user']['email']} has a new password, and is signed out everywhere.")


def set_role(
    cli: Cli,
    *,
    user: User,
    role: Annotated[
        str, typer.Argument(metavar="owner|operator|viewer", callback=among(ROLES), help="What they may do there.")
    ],
    workspace: Workspace = None,
) -> None:
    """Give a user another role."""
    reply = cli.call("POST", api("users", user, "role", workspace=workspace), {"role": role})
    cli.answer(reply, f"{reply['user']['email']} is {reply['user']['role']} now.")


def delete_user(
    cli: Cli,
    *,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    workspace: Workspace = None,
) -> None:
    """Delete a user with all sessions, in every workspace. What they did stays in the audit log."""
    if not yes and not cli.as_json and sys.stdin.isatty() and not typer.confirm(f"Delete {user}?"):
        print("Nothing was changed.")
        raise typer.Exit(1)
    reply = cli.call("DELETE", api("users", user, workspace=workspace))
    cli.answer(reply, f"Deleted {reply['user']['email']}.")


def link_user(cli: Cli, *, user: User, workspace: Workspace = None) -> None:
    """Print a one-time link by which a user chooses a password. It holds for 72 hours; older ones hold no more."""
    reply = cli.call("POST", api("users", user, "link", workspace=workspace))
    cli.answer(
        reply, fields([("user", reply["user"]["email"]), ("link", reply["link"]), ("until", reply["expiresAt"])])
    )


def add_member(
    cli: Cli,
    *,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="A user of this Luota.")],
    role: Annotated[
        str | None, typer.Option(metavar="owner|operator|viewer", callback=among(ROLES), help="Else viewer.")
    ] = None,
    workspace: Workspace = None,
) -> None:
    """Make an existing user a member of a workspace."""
    body = {"email": email, **({} if role is None else {"role": role})}
    reply = cli.call("POST", api("workspaces", _workspace(cli, workspace), "members"), body)
    cli.answer(reply, f"{reply['member']['email']} is a member now, as {reply['member']['role']}.")


def remove_member(cli: Cli, *, user: User, workspace: Workspace = None) -> None:
    """End a membership in one workspace; the user stays, with all others. `user delete` deletes them."""
    reply = cli.call("DELETE", api("workspaces", _workspace(cli, workspace), "members", user))
    cli.answer(reply, f"{reply['member']['email']} is no member of the workspace any more.")


def show_workspace(cli: Cli, *, workspace: OneWorkspace = None) -> None:
    """Show a workspace, and for how long it keeps what."""
    reply = cli.call("GET", api("workspaces", _workspace(cli, workspace)))
    cli.answer(reply, _described(reply["workspace"]))


def edit_workspace(
    cli: Cli,
    *,
    workspace: OneWorkspace = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What to call it.")] = None,
    retention_days: Annotated[int | None, typer.Option(metavar="N", help="Days to keep signals.")] = None,
    retention_count: Annotated[int | None, typer.Option(metavar="N", help="Signals to keep of each monitor.")] = None,
    incident_retention_days: Annotated[int | None, typer.Option(metavar="N", help="Days to keep incidents.")] = None,
) -> None:
    """Change the name of a workspace, and for how long it keeps what; nothing but what is given."""
    given = {
        "name": name,
        "retentionDays": retention_days,
        "retentionCount": retention_count,
        "incidentRetentionDays": incident_retention_days,
    }
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise WrongOptionError("options", "Nothing to change: give an option, such as --retention-days 30.")
    reply = cli.call("PATCH", api("workspaces", _workspace(cli, workspace)), body, options=_RETENTION)
    cli.answer(reply, _described(reply["workspace"]))


def _workspace(cli: Cli, wanted: str | None) -> str:
    """Return how to name a workspace in a path: as it was named, else the first one."""
    if wanted is None:
        return str(cli.call("GET", api("workspaces"))["workspaces"][0]["id"])
    if not wanted:  # such as of a variable that is not set
        raise WrongOptionError("workspace", "The workspace has no name: give its id or slug.")
    return wanted


def _described(workspace: Mapping[str, Any]) -> str:
    return fields((RETENTION_WORDS.get(key, key), value) for key, value in workspace.items())


def create_workspace(
    cli: Cli,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    slug: Annotated[str | None, typer.Option(metavar="S", help="Its short name; else made of the name.")] = None,
) -> None:
    """Create a workspace."""
    body = {key: value for key, value in (("name", name), ("slug", slug)) if value is not None}
    reply = cli.call("POST", api("workspaces"), body)
    cli.answer(reply, fields((key, reply["workspace"][key]) for key in ("id", "name", "slug")))


def list_workspaces(cli: Cli) -> None:
    """List the workspaces."""
    reply = cli.call("GET", api("workspaces"))
    rows = [(w["slug"], w["name"], w["id"]) for w in reply["workspaces"]]
    cli.answer(reply, table(("SLUG", "NAME", "ID"), rows, empty="No workspaces yet."))


def show_token(cli: Cli, *, target: Target = None, workspace: OfWorkspace = False, where: Where = None) -> None:
    """Print the token of a monitor or of a workspace."""
    reply = cli.call("GET", api(*_holder(target, where, workspace=workspace), "token", workspace=where))
    cli.answer(reply, reply["token"])


def rotate_token(cli: Cli, *, target: Target = None, workspace: OfWorkspace = False, where: Where = None) -> None:
    """Replace a token and print the new one. The old one is refused at once."""
    reply = cli.call("POST", api(*_holder(target, where, workspace=workspace), "token", "rotate", workspace=where))
    cli.answer(reply, reply["token"])


def _holder(target: str | None, where: str | None, *, workspace: bool) -> tuple[str, str]:
    if workspace and where is not None:
        raise WrongOptionError("--in", "--in goes with a monitor. Name the workspace itself: --workspace W.")
    if workspace:
        return ("workspaces", "default" if target is None else target)
    if target is None:
        raise WrongOptionError("monitor", "Name a monitor, or give --workspace.")
    return ("monitors", target)


def _password() -> str:
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise WrongOptionError("--password-stdin", "The password on standard input is not UTF-8.") from None
    return text.removesuffix("\n").removesuffix("\r")


def _asked_password() -> str:
    if not sys.stdin.isatty():
        said = "There is no terminal to ask for the password: give --password-stdin."
        raise WrongOptionError("--password-stdin", said)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
