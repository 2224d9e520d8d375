"""Reading people: who may sign in, whose a session is, who is a member of what, where a link leads."""

import aiosqlite
from msgspec import Struct

from luota.store.reads import fetch


class User(Struct, frozen=True):
    """A person. `password_hash` is None for one who was invited and has not chosen a password yet."""

    id: str
    email: str
    name: str
    password_hash: str | None


class SessionRow(Struct, frozen=True):
    """A session of a person, with the person's role in each workspace by its id. Instants are UTC milliseconds."""

    user_id: str
    email: str
    name: str
    created_at: int
    seen_at: int
    expires_at: int
    roles: dict[str, str]


class Member(Struct, frozen=True):
    """A person as a member of one workspace. `invited` says that no password has been chosen yet."""

    user_id: str
    email: str
    name: str
    role: str
    created_at: int
    invited: bool


_USER = "SELECT id, email, name, password_hash FROM users"
_OWNED = (
    "EXISTS (SELECT 1 FROM members o WHERE o.workspace_id = m.workspace_id AND o.user_id = {by} AND o.role = 'owner')"
)
MEMBERSHIPS = f"SELECT workspace_id, {_OWNED.format(by='?')} FROM members m WHERE user_id = ?"
"""The workspaces of a user, the second parameter, each with whether the first one is an owner of it."""
PASSWORD_LINK = (
    f"{_USER} WHERE id = (SELECT user_id FROM one_time_links l "
    "WHERE token_hash = ? AND purpose = 'password' AND expires_at > ? AND (maker_id IS NULL OR "
    f"(SELECT min({_OWNED.format(by='l.maker_id')}) FROM members m WHERE m.user_id = l.user_id)))"
)
"""Whose password the link with a token's hash lets choose at an instant: its maker owns all their workspaces."""


async def workspaces_of(db: aiosqlite.Connection, user_id: str) -> set[str]:
    """Return the ids of the workspaces that a person is a member of."""
    return {found for (found,) in await fetch(db, "SELECT workspace_id FROM members WHERE user_id = ?", (user_id,))}


async def user_by_email(db: aiosqlite.Connection, email: str) -> User | None:
    """Return the person who signs in with an address, given in lower case."""
    rows = await fetch(db, f"{_USER} WHERE email = ?", (email,))
    return User(*rows[0]) if rows else None


async def user_by_id(db: aiosqlite.Connection, user_id: str) -> User | None:
    """Return a person."""
    rows = await fetch(db, f"{_USER} WHERE id = ?", (user_id,))
    return User(*rows[0]) if rows else None


async def names(db: aiosqlite.Connection) -> dict[str, str]:
    """Return the names that people chose, by their address; nobody is in it whose name is but the address's begin."""
    found = await fetch(db, "SELECT email, name FROM users")
    return {email: name for email, name in found if name not in (email, email.partition("@")[0])}


async def any_user(db: aiosqlite.Connection) -> bool:
    """Tell whether there is any person yet."""
    return bool(await fetch(db, "SELECT 1 FROM users LIMIT 1"))


async def session(db: aiosqlite.Connection, token_hash: bytes) -> SessionRow | None:
    """Return a session that was opened and not closed, in one query; whether it has ended is the caller's to judge."""
    sql = (
        "SELECT s.user_id, u.email, u.name, s.created_at, s.seen_at, s.expires_at, m.workspace_id, m.role "
        "FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN members m ON m.user_id = u.id "
        "WHERE s.token_hash = ?"
    )
    rows = await fetch(db, sql, (token_hash,))
    if not rows:
        return None
    user_id, email, name, created_at, seen_at, expires_at = rows[0][:6]
    roles = {workspace_id: role for *_, workspace_id, role in rows if workspace_id is not None}
    return SessionRow(user_id, email, name, created_at, seen_at, expires_at, roles)


async def members(db: aiosqlite.Connection, workspace_id: str) -> list[Member]:
    """Return the members of a workspace in the order of their addresses."""
    sql = (
        "SELECT u.id, u.email, u.name, m.role, u.created_at, u.password_hash IS NULL FROM users u JOIN members m "
        "ON m.user_id = u.id WHERE m.workspace_id = ? ORDER BY u.email"
    )
    found = await fetch(db, sql, (workspace_id,))
    return [
        Member(user_id, email, name, role, created_at, bool(invited))
        for user_id, email, name, role, created_at, invited in found
    ]


async def setup_link_holds(db: aiosqlite.Connection, token_hash: bytes, now: int) -> bool:
    """Tell whether a link of the first set-up holds at `now`."""
    sql = "SELECT 1 FROM one_time_links WHERE token_hash = ? AND purpose = 'setup' AND expires_at > ?"
    return bool(await fetch(db, sql, (token_hash, now)))


async def password_link_user(db: aiosqlite.Connection, token_hash: bytes, now: int) -> User | None:
    """Return whose password a link lets choose, None when it does not hold at `now`."""
    rows = await fetch(db, PASSWORD_LINK, (token_hash, now))
    return User(*rows[0]) if rows else None
