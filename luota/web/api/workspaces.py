"""Workspaces, their tokens and their users."""

from typing import Any

from luota.core import tokens
from luota.core.errors import Code, LuotaError
from luota.core.spec.people import parse_email, parse_invited, parse_password, parse_role
from luota.core.spec.values import format_instant
from luota.engine import people
from luota.engine.registry import LiveWorkspace
from luota.engine.retention import prune as prune_all
from luota.store import people as people_rows
from luota.store import workspaces as workspace_rows
from luota.web.api.call import Call, Routes
from luota.web.auth import PASSWORD_LINK, password_link


async def workspaces(call: Call) -> dict[str, Any]:
    """List the workspaces; to who did not come over the Unix socket, those that are theirs."""
    known = call.engine.registry.workspaces
    theirs = known.keys() if call.user_id is None else await people_rows.workspaces_of(call.engine.reader, call.user_id)
    return {"workspaces": [_shown(one) for one in known.values() if one.id in theirs]}


async def create(call: Call) -> dict[str, Any]:
    """Create a workspace, owned by whoever signed in to do so."""
    work = people.create_workspace(call.doc.get("name"), call.doc.get("slug"), call.actor, call.user_id)
    return {"workspace": _shown(await call.engine.submit(work))}


async def edit(call: Call) -> dict[str, Any]:
    """Change the name of a workspace, and for how long it keeps what."""
    await call.engine.submit(people.edit_workspace(call.workspace.id, call.doc, call.actor))
    return await show(call)


async def show(call: Call) -> dict[str, Any]:
    """Show a workspace, and for how long it keeps what."""
    kept = await workspace_rows.retention(call.engine.reader, call.workspace.id)
    workspace = call.engine.registry.workspaces[call.workspace.id]
    return {
        "workspace": {
            **_shown(workspace),
            "retentionDays": kept.days,
            "retentionCount": kept.count,
            "incidentRetentionDays": kept.incident_days,
        }
    }


async def prune(call: Call) -> dict[str, Any]:
    """Delete what has outlived retention, now instead of within the hour."""
    return {"deleted": await prune_all(call.engine)}


async def token(call: Call) -> dict[str, Any]:
    """Show the token of a workspace."""
    return _token(call, call.workspace)


async def rotate_token(call: Call) -> dict[str, Any]:
    """Replace the token of a workspace."""
    return _token(call, await call.engine.submit(people.rotate_workspace(call.workspace, call.actor)))


async def users(call: Call) -> dict[str, Any]:
    """List the members of a workspace."""
    members = await people_rows.members(call.engine.reader, call.workspace.id)
    return {"users": [_member(member) for member in members]}


async def create_user(call: Call) -> dict[str, Any]:
    """Create a user; without a `role` the first of all becomes an owner, any other a viewer.

    Without a `password` they are invited: the reply has a one-time link to choose one.
    """
    first = not await people_rows.any_user(call.engine.reader)
    usual = {"role": "owner" if first else "viewer"} if call.doc.get("role") is None else {}
    email, name, role = parse_invited({**call.doc, **usual})
    given = call.doc.get("password")
    hashed = None if given is None else await call.passwords.hash(parse_password(given))
    work = people.create_user(call.workspace, email, name, role, hashed, call.actor)
    user_id = await call.engine.submit(work)
    user = {"user": {"id": user_id, "email": email, "name": name, "role": role}}
    return user if hashed is not None else {**user, **await _link(call, user_id)}


async def set_password(call: Call) -> dict[str, Any]:
    """Give a user another password; their sessions end."""
    member = await _named(call)
    _refuse_from_afar(call)
    hashed = await call.passwords.hash(parse_password(call.doc.get("password")))
    await call.engine.submit(people.set_password(member.user_id, hashed, call.actor))
    return {"user": _member(member)}


async def set_role(call: Call) -> dict[str, Any]:
    """Give a member another role."""
    member = await _named(call)
    work = people.set_role(call.workspace.id, member.user_id, parse_role(call.doc.get("role")), call.actor)
    await call.engine.submit(work)
    return {"user": _member(await _named(call))}


async def link(call: Call) -> dict[str, Any]:
    """Give a member a fresh one-time link to choose a password; older ones hold no more.

    To a member of several workspaces only an owner of all of them gives one, and the host.
    """
    member = await _named(call)
    return {"user": _member(member), **await _link(call, member.user_id)}


async def add_member(call: Call) -> dict[str, Any]:
    """Make an existing user a member of a workspace; without a `role` a viewer."""
    wanted = call.doc.get("role")
    email, role = parse_email(call.doc.get("email")), parse_role("viewer" if wanted is None else wanted)
    user_id = await call.engine.submit(people.add_member(call.workspace.id, email, role, call.actor))
    found = await people_rows.members(call.engine.reader, call.workspace.id)
    return {"member": next(_member(one) for one in found if one.user_id == user_id)}


async def remove_member(call: Call) -> dict[str, Any]:
    """End a membership; the user remains, with all other memberships."""
    member = await _named(call)
    await call.engine.submit(people.remove_member(call.workspace.id, member.user_id, call.actor))
    return {"member": _member(member)}


async def delete_user(call: Call) -> dict[str, Any]:
    """Delete a user with all sessions and memberships."""
    member = await _named(call)
    _refuse_from_afar(call)
    await call.engine.submit(people.delete_user(member.user_id, call.actor))
    return {"user": _member(member)}


async def _named(call: Call) -> people_rows.Member:
    """Return the member of the workspace that the path names by id or email."""
    wanted = call.named("user")
    for member in await people_rows.members(call.engine.reader, call.workspace.id):
        if wanted.lower() in (member.user_id, member.email):
            return member
    raise call.missing("user", wanted)


async def _link(call: Call, user_id: str) -> dict[str, Any]:
    expires = format_instant(call.engine.clock.now() + PASSWORD_LINK)  # a moment early, at most
    path = await password_link(call.engine, user_id, call.actor, call.user_id)
    return {"link": call.base_url.rstrip("/") + path, "expiresAt": expires}


def _refuse_from_afar(call: Call) -> None:
    """Refuse the owner of one workspace what would change who can act in another one."""
    if not call.local:
        raise LuotaError(Code.FORBIDDEN, "That is done with the luota command, on the host of the daemon.")


def _shown(workspace: LiveWorkspace) -> dict[str, Any]:
    return {"id": workspace.id, "name": workspace.name, "slug": workspace.slug}


def _member(member: people_rows.Member) -> dict[str, Any]:
    return {
        "id": member.user_id,
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "createdAt": format_instant(member.created_at),
    }


def _token(call: Call, workspace: LiveWorkspace) -> dict[str, Any]:
    return {"token": tokens.workspace_token(call.engine.registry.secret, workspace.id, workspace.salt)}


ROUTES: Routes = [
    ("GET", "/api/workspaces", "viewer", workspaces),
    ("POST", "/api/workspaces", "owner", create),
    ("GET", "/api/workspaces/{workspace}", "viewer", show),
    ("PATCH", "/api/workspaces/{workspace}", "owner", edit),
    ("POST", "/api/workspaces/{workspace}/members", "owner", add_member),
    ("DELETE", "/api/workspaces/{workspace}/members/{user}", "owner", remove_member),
    ("GET", "/api/workspaces/{workspace}/token", "owner", token),
    ("POST", "/api/workspaces/{workspace}/token/rotate", "owner", rotate_token),
    ("GET", "/api/users", "viewer", users),
    ("POST", "/api/users", "owner", create_user),
    ("POST", "/api/users/{user}/password", "owner", set_password),
    ("POST", "/api/users/{user}/role", "owner", set_role),
    ("POST", "/api/users/{user}/link", "owner", link),
    ("DELETE", "/api/users/{user}", "owner", delete_user),
    ("POST", "/api/prune", "owner", prune),
]
