"""Users and workspaces: who may see and change what, and the workspace's own token."""

import re
import secrets
from typing import Any

import msgspec

from luota.core.errors import Code, LuotaError, invalid
from luota.core.spec.values import parse_text
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.registry import LiveWorkspace
from luota.engine.work import Transaction, Work

ROLES = ("owner", "operator", "viewer")
LEAST_PASSWORD = 12

_EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")


def parse_user(doc: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return email (in lower case), name, role and password of a new user; INVALID names what is wrong."""
    email = parse_text(doc.get("email"), "email", minimum=3, maximum=254).lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise invalid("email", "email must be an address such as ann@example.org.")
    name, role = doc.get("name"), doc.get("role")
    name = email.partition("@")[0][:120] if name is None else parse_text(name, "name", minimum=1, maximum=120)
    role = "owner" if role is None else role
    if role not in ROLES:
        raise invalid("role", f"role must be one of {', '.join(ROLES)}.")
    password = parse_text(doc.get("password"), "password", maximum=256)
    if len(password) < LEAST_PASSWORD:
        raise invalid("password", f"password must have at least {LEAST_PASSWORD} characters.")
    return email, name, role, password


def create_user(workspace: LiveWorkspace, email: str, name: str, role: str, password_hash: str, actor: Actor) -> Work:
    """Create a user who is a member of one workspace; the result is the user's id."""

    async def work(tx: Transaction) -> str:
        if await tx.fetch("SELECT 1 FROM users WHERE email = ?", email):
            raise LuotaError(Code.CONFLICT, f"There is a user {email} already.", field="email")
        user_id = new_id()
        sql = "INSERT INTO users (id, email, name, password_hash, created_at) VALUES (?, ?, ?, ?, ?)"
        await tx.execute(sql, user_id, email, name, password_hash, tx.now)
        await tx.execute("INSERT INTO members VALUES (?, ?, ?)", workspace.id, user_id, role)
        audit(tx.batch, actor, workspace.id, "user.create", user_id, email=email, role=role)
        return user_id

    return work


def rotate_workspace(workspace: LiveWorkspace, actor: Actor) -> Work:
    """Replace the salt of the workspace's token; the old token is refused from the next request on."""

    async def work(tx: Transaction) -> LiveWorkspace:
        salt = secrets.token_hex(16)
        await tx.execute("UPDATE workspaces SET token_salt = ? WHERE id = ?", salt, workspace.id)
        audit(tx.batch, actor, workspace.id, "token.rotate", workspace.id)
        renewed = msgspec.structs.replace(tx.registry.workspaces[workspace.id], salt=salt)

        def publish() -> None:
            tx.registry.workspaces[workspace.id] = renewed

        tx.batch.after.append(publish)
        return renewed

    return work
