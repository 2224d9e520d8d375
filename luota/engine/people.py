"""Users and workspaces: who may see and change what, and the workspace's own token."""

import secrets
import shlex
from typing import Any

import msgspec

from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.people import RETENTION, parse_workspace, parse_workspace_changes
from luota.core.spec.values import slug_of
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.registry import LiveWorkspace
from luota.engine.work import Transaction, Work
from luota.store.people import MEMBERSHIPS, PASSWORD_LINK

# -- people ----------------------------------------------------------------------------------------


def create_user(
    workspace: LiveWorkspace, email: str, name: str, role: str, password_hash: str | None, actor: Actor
) -> Work:
    """Create a user who is a member of one workspace; the result is the user's id.

    Without a password hash the user is invited: a password link lets them choose one. CONFLICT when the
    address is taken.
    """

    async def work(tx: Transaction) -> str:
        user_id = await _insert_user(tx, email, name, password_hash)
        await tx.execute("INSERT INTO members VALUES (?, ?, ?)", workspace.id, user_id, role)
        audit(tx.batch, actor, workspace.id, "user.create", user_id, email=email, role=role)
        return user_id

    return work


def set_password(user_id: str, password_hash: str, actor: Actor, rotate: tuple[bytes, bytes] | None = None) -> Work:
    """Give a user another password; all their sessions end, and password links.

    The session with the first token hash of `rotate` goes on under the second one: whoever has its token holds nothing
    any more. CONFLICT when it has ended by now or another change was first, NOT_FOUND when there is no such user.
    """

    async def work(tx: Transaction) -> None:
        kept = None
        if rotate is not None:
            old, kept = rotate
            sql = "UPDATE sessions SET token_hash = ? WHERE token_hash = ? AND user_id = ?"
            if not await tx.execute(sql, kept, old, user_id):
                said = "This changed nothing: your session ended, or the password was changed, meanwhile."
                raise LuotaError(Code.CONFLICT, f"{said} Sign in, and repeat if need be.")
        if not await tx.execute("UPDATE users SET password_hash = ? WHERE id = ?", password_hash, user_id):
            raise _no_user()
        await tx.execute("DELETE FROM one_time_links WHERE user_id = ?", user_id)
        await audit_person(tx, actor, "user.password", user_id)
        await _sign_out(tx, user_id, actor, kept)

    return work


def delete_user(user_id: str, actor: Actor) -> Work:
    """Delete a user with all sessions, memberships and links.

    NOT_FOUND when there is no such user, CONFLICT for the last owner of a workspace.
    """

    async def work(tx: Transaction) -> None:
        found = await tx.fetch("SELECT email FROM users WHERE id = ?", user_id)
        if not found:
            raise _no_user()
        for (workspace_id,) in await tx.fetch("SELECT workspace_id FROM members WHERE user_id = ?", user_id):
            await _refuse_last_owner(tx, workspace_id, user_id)
        await audit_person(tx, actor, "user.delete", user_id, email=found[0][0])
        await _sign_out(tx, user_id, actor)
        await tx.execute("DELETE FROM members WHERE user_id = ?", user_id)
        await tx.execute("DELETE FROM users WHERE id = ?", user_id)

    return work


async def audit_person(tx: Transaction, actor: Actor, action: str, user_id: str, **detail: Any) -> None:
    """Record what concerns a person and no single workspace: an entry in each that they are a member of."""
    found = await tx.fetch("SELECT workspace_id FROM members WHERE user_id = ?", user_id)
    for (workspace_id,) in found or [(None,)]:
        audit(tx.batch, actor, workspace_id, action, user_id, **detail)


async def _sign_out(tx: Transaction, user_id: str, actor: Actor, keep: bytes | None = None) -> None:
    """Sign a user out everywhere but in the session with the token hash `keep`."""
    closed = await tx.execute("DELETE FROM sessions WHERE user_id = ? AND token_hash IS NOT ?", user_id, keep)
    if closed:
        await audit_person(tx, actor, "session.close", user_id, count=closed)


# -- members ---------------------------------------------------------------------------------------


def add_member(workspace_id: str, email: str, role: str, actor: Actor) -> Work:
    """Make an existing user a member; the result is the user's id. NOT_FOUND, CONFLICT when a member already.

    Links by which their password can be chosen hold no more: an owner of another workspace may have one.
    """

    async def work(tx: Transaction) -> str:
        found = await tx.fetch("SELECT id FROM users WHERE email = ?", email)
        if not found:
            said = f"There is no user {email}. Create them: luota user create."
            raise LuotaError(Code.NOT_FOUND, said, field="email")
        user_id: str = found[0][0]
        sql = "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        if not await tx.execute(sql, workspace_id, user_id, role):
            raise LuotaError(Code.CONFLICT, f"{email} is a member already.", field="email")
        # `make_link` would refuse it to who is no owner here; one made before would sign its maker in here.
        await tx.execute("DELETE FROM one_time_links WHERE user_id = ?", user_id)
        audit(tx.batch, actor, workspace_id, "member.add", user_id, email=email, role=role)
        return user_id

    return work


def set_role(workspace_id: str, user_id: str, role: str, actor: Actor) -> Work:
    """Give a member another role, from the next request on. NOT_FOUND; CONFLICT for the last owner."""

    async def work(tx: Transaction) -> None:
        email, before = await _member(tx, workspace_id, user_id)
        if role == before:
            return
        await _refuse_last_owner(tx, workspace_id, user_id)
        sql = "UPDATE members SET role = ? WHERE workspace_id = ? AND user_id = ?"
        await tx.execute(sql, role, workspace_id, user_id)
        audit(tx.batch, actor, workspace_id, "member.role", user_id, email=email, before=before, role=role)

    return work


def remove_member(workspace_id: str, user_id: str, actor: Actor) -> Work:
    """End a membership, from the next request on; the user remains. NOT_FOUND; CONFLICT for the last owner."""

    async def work(tx: Transaction) -> None:
        email, role = await _member(tx, workspace_id, user_id)
        await _refuse_last_owner(tx, workspace_id, user_id)
        await tx.execute("DELETE FROM members WHERE workspace_id = ? AND user_id = ?", workspace_id, user_id)
        audit(tx.batch, actor, workspace_id, "member.remove", user_id, email=email, role=role)

    return work


# -- one-time links --------------------------------------------------------------------------------


def make_link(
    purpose: str,
    user_id: str | None,
    token_hash: bytes,
    expires_at: int,
    actor: Actor,
    *,
    maker_id: str | None,
) -> Work:
    """Make the link of `purpose` ("setup" or "password"), of which only the hash of its token is kept.

    It takes the place of the user's others. The result tells whether it was made: one of the set-up is
    only while there are no users. `maker_id` is the user who makes it, None for the host, which may make any: NOT_FOUND
    for one who is no member of a workspace that the maker owns; CONFLICT for a member of one that the maker does not
    own, since by the link one can sign in there too; and the link holds only for as long as neither is so.
    """

    async def work(tx: Transaction) -> bool:
        if purpose == "setup":
            await tx.execute("DELETE FROM one_time_links WHERE purpose = 'setup'")
            if await tx.fetch("SELECT 1 FROM users LIMIT 1"):
                return False
            audit(tx.batch, actor, None, "setup.link", "instance")
        else:
            assert user_id is not None
            found = await tx.fetch("SELECT email FROM users WHERE id = ?", user_id)
            if not found:
                raise _no_user()
            if maker_id is not None:
                await _refuse_foreign(tx, user_id, found[0][0], maker_id)
            await tx.execute("DELETE FROM one_time_links WHERE user_id = ?", user_id)
            await audit_person(tx, actor, "user.link", user_id)
        sql = "INSERT INTO one_time_links VALUES (?, ?, ?, ?, ?, ?)"
        await tx.execute(sql, token_hash, purpose, user_id, tx.now, expires_at, maker_id)
        return True

    return work


async def _refuse_foreign(tx: Transaction, user_id: str, email: str, maker_id: str) -> None:
    """Raise for a user who is a member of workspaces that the maker of a link does not own, or of none that they do."""
    found = await tx.fetch(MEMBERSHIPS, maker_id, user_id)
    owned = [workspace_id for workspace_id, own in found if own]
    if not owned:
        raise LuotaError(Code.NOT_FOUND, "There is no such member in a workspace of yours.")
    if len(owned) < len(found):
        said = "This is a member of a workspace that is not yours, which the link would open too."
        run = f"luota user link {shlex.quote(email)} --workspace {tx.registry.workspaces[owned[0]].slug}"
        raise LuotaError(Code.CONFLICT, f"{said} On the host of Luota, run: {run}")


def use_setup_link(token_hash: bytes, email: str, name: str, password_hash: str, source: str) -> Work:
    """Create the first owner of the first workspace; the result is the user's id.

    The link is used up in the same transaction. CONFLICT when there is a user already, NOT_FOUND for a
    link that does not hold. `source` is from where, for the audit log.
    """

    async def work(tx: Transaction) -> str:
        if await tx.fetch("SELECT 1 FROM users LIMIT 1"):
            raise LuotaError(Code.CONFLICT, "This Luota is set up already: sign in.")
        sql = "DELETE FROM one_time_links WHERE token_hash = ? AND purpose = 'setup' AND expires_at > ?"
        if not await tx.execute(sql, token_hash, tx.now):
            raise LuotaError(Code.NOT_FOUND, "This set-up link does not hold any more: restart Luota for a new one.")
        user_id = await _insert_user(tx, email, name, password_hash)
        ((workspace_id,),) = await tx.fetch("SELECT id FROM workspaces ORDER BY created_at, rowid LIMIT 1")
        await tx.execute("INSERT INTO members VALUES (?, ?, 'owner')", workspace_id, user_id)
        audit(tx.batch, Actor(email, source), workspace_id, "user.create", user_id, email=email, role="owner")
        return user_id

    return work


def use_password_link(token_hash: bytes, password_hash: str, source: str) -> Work:
    """Set the password of the link's user, whose sessions end; the result is the user's id.

    The link is used up in the same transaction. NOT_FOUND for one that does not hold.
    """

    async def work(tx: Transaction) -> str:
        found = await tx.fetch(PASSWORD_LINK, token_hash, tx.now)
        if not found:
            raise LuotaError(Code.NOT_FOUND, "This link does not hold any more: ask an owner for a new one.")
        user_id: str = found[0][0]
        await set_password(user_id, password_hash, Actor(found[0][1], source))(tx)
        return user_id

    return work


# -- workspaces ------------------------------------------------------------------------------------


def create_workspace(name: object, slug: object, actor: Actor, owner_id: str | None = None) -> Work:
    """Create a workspace, owned by a user if one is named; the result is the workspace.

    Without a slug the name suggests one. CONFLICT when the slug is taken, INVALID for what makes no sense.
    """

    async def work(tx: Transaction) -> LiveWorkspace:
        called, chosen = parse_workspace(name, slug)
        made = LiveWorkspace(new_id(), called, chosen or slug_of(called), secrets.token_hex(16))
        if await tx.fetch("SELECT 1 FROM workspaces WHERE slug = ?", made.slug):
            raise LuotaError(Code.CONFLICT, f"There is a workspace {made.slug} already: choose a slug.", field="slug")
        sql = "INSERT INTO workspaces (id, name, slug, token_salt, created_at) VALUES (?, ?, ?, ?, ?)"
        await tx.execute(sql, made.id, made.name, made.slug, made.salt, tx.now)
        if owner_id is not None:
            await tx.execute("INSERT INTO members VALUES (?, ?, 'owner')", made.id, owner_id)
        audit(tx.batch, actor, made.id, "workspace.create", made.id, name=made.name, slug=made.slug)
        _publish(tx, made)
        return made

    return work


def edit_workspace(workspace_id: str, doc: dict[str, Any], actor: Actor) -> Work:
    """Change a workspace's name and retention by the keys of `doc` (`core.spec.people`); the result is the workspace.

    The audit entry has what became another, and what it was. INVALID, also for incidents that would be kept shorter
    than signals.
    """

    async def work(tx: Transaction) -> LiveWorkspace:
        given = parse_workspace_changes(doc)
        workspace = tx.registry.workspaces[workspace_id]
        columns = {"name": "name"} | {key: column for key, (column, _, _) in RETENTION.items()}
        sql = f"SELECT {', '.join(columns.values())} FROM workspaces WHERE id = ?"
        (row,) = await tx.fetch(sql, workspace_id)
        present = dict(zip(columns, row, strict=True))
        # A form gives all of them, where one was changed.
        changes = {
            key: given[column] for key, column in columns.items() if given.get(column, present[key]) != present[key]
        }
        if not changes:
            return workspace
        after = present | changes
        days, incident_days = after["retentionDays"], after["incidentRetentionDays"]
        if incident_days < days:
            field = "incidentRetentionDays" if "incidentRetentionDays" in changes else "retentionDays"
            said = f"Incidents would be kept for {incident_days} days and signals for {days}: keep incidents as long."
            raise invalid(field, said)
        sets = ", ".join(f"{columns[key]} = ?" for key in changes)
        await tx.execute(f"UPDATE workspaces SET {sets} WHERE id = ?", *changes.values(), workspace_id)
        before = {key: present[key] for key in changes}
        audit(tx.batch, actor, workspace_id, "workspace.edit", workspace_id, changes=changes, before=before)
        renewed = msgspec.structs.replace(workspace, name=after["name"])
        _publish(tx, renewed)
        return renewed

    return work


def rotate_workspace(workspace: LiveWorkspace, actor: Actor) -> Work:
    """Replace the salt of the workspace's token; the old token is refused from the next request on."""

    async def work(tx: Transaction) -> LiveWorkspace:
        salt = secrets.token_hex(16)
        await tx.execute("UPDATE workspaces SET token_salt = ? WHERE id = ?", salt, workspace.id)
        audit(tx.batch, actor, workspace.id, "token.rotate", workspace.id)
        renewed = msgspec.structs.replace(tx.registry.workspaces[workspace.id], salt=salt)
        _publish(tx, renewed)
        return renewed

    return work


def _publish(tx: Transaction, workspace: LiveWorkspace) -> None:
    def publish() -> None:
        tx.registry.workspaces[workspace.id] = workspace

    tx.batch.after.append(publish)


async def _insert_user(tx: Transaction, email: str, name: str, password_hash: str | None) -> str:
    if await tx.fetch("SELECT 1 FROM users WHERE email = ?", email):
        raise LuotaError(Code.CONFLICT, f"There is a user {email} already.", field="email")
    user_id = new_id()
    sql = "INSERT INTO users (id, email, name, password_hash, created_at) VALUES (?, ?, ?, ?, ?)"
    await tx.execute(sql, user_id, email, name, password_hash, tx.now)
    return user_id


async def _member(tx: Transaction, workspace_id: str, user_id: str) -> tuple[str, str]:
    """Return a member's address and role."""
    sql = "SELECT u.email, m.role FROM members m JOIN users u ON u.id = m.user_id WHERE workspace_id = ? AND id = ?"
    found = await tx.fetch(sql, workspace_id, user_id)
    if not found:
        raise LuotaError(Code.NOT_FOUND, "There is no such member in this workspace.")
    email, role = found[0]
    return email, role


async def _refuse_last_owner(tx: Transaction, workspace_id: str, user_id: str) -> None:
    """Raise CONFLICT if the workspace has no owner but this one."""
    sql = "SELECT user_id FROM members WHERE workspace_id = ? AND role = 'owner'"
    if await tx.fetch(sql, workspace_id) == [(user_id,)]:
        name = tx.registry.workspaces[workspace_id].name
        said = f"This is the last owner of {name}, which nobody could manage then: make somebody else an owner first."
        raise LuotaError(Code.CONFLICT, said)


def _no_user() -> LuotaError:
    return LuotaError(Code.NOT_FOUND, "There is no such user. See: luota user list.")
