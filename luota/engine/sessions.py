"""Sessions: who is signed in. Only the hash of a session's token is kept, so that the file signs nobody in."""

from luota.core.spec.values import DAY, MINUTE
from luota.engine.audit import Actor, audit
from luota.engine.people import audit_person
from luota.engine.work import Transaction, Work

IDLE = 7 * DAY
"""A session that was not used for so long has ended."""
LONGEST = 30 * DAY
"""A session has ended after so long, however much it was used."""
TOUCH_EVERY = 5 * MINUTE
"""How often its use is written down."""
KEPT_ENTRIES = 90 * DAY
"""How long audit entries are kept that belong to no workspace, such as sign-ins to no account."""


def open_session(
    user_id: str,
    password_hash: str,
    token_hash: bytes,
    actor: Actor,
    *,
    replaces: bytes | None = None,
    rehashed: str | None = None,
) -> Work:
    """Sign a user in, whose password matched `password_hash`, and close the session that the new one replaces.

    The result tells whether it was opened: it is not where the user has another hash by now. `rehashed` is the same
    password's hash with the parameters of today.
    """

    async def work(tx: Transaction) -> bool:
        sql = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?"
        if not await tx.execute(sql, rehashed or password_hash, user_id, password_hash):
            return False
        if replaces is not None:
            await _close(tx, replaces, actor)
        sql = "INSERT INTO sessions (token_hash, user_id, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?)"
        await tx.execute(sql, token_hash, user_id, tx.now, tx.now, tx.now + LONGEST)
        await audit_person(tx, actor, "session.open", user_id)
        return True

    return work


def touch(token_hash: bytes) -> Work:
    """Write down that a session is in use, if it still is open."""

    async def work(tx: Transaction) -> None:
        await tx.execute("UPDATE sessions SET seen_at = ? WHERE token_hash = ?", tx.now, token_hash)

    return work


def close_session(token_hash: bytes, actor: Actor) -> Work:
    """Sign out; a session that is closed already stays so."""

    async def work(tx: Transaction) -> None:
        await _close(tx, token_hash, actor)

    return work


def refused(user_id: str | None, actor: Actor) -> Work:
    """Record a sign-in that failed: in the workspaces of the user, or in none if there is no such user."""

    async def work(tx: Transaction) -> None:
        if user_id is None:
            audit(tx.batch, actor, None, "session.refused", "unknown")
        else:
            await audit_person(tx, actor, "session.refused", user_id)

    return work


def mistyped(user_id: str, actor: Actor) -> Work:
    """Record that somebody who is signed in gave a wrong present password."""

    async def work(tx: Transaction) -> None:
        await audit_person(tx, actor, "user.password_refused", user_id)

    return work


async def _close(tx: Transaction, token_hash: bytes, actor: Actor) -> None:
    for (user_id,) in await tx.fetch("DELETE FROM sessions WHERE token_hash = ? RETURNING user_id", token_hash):
        await audit_person(tx, actor, "session.close", user_id)


async def prune(tx: Transaction) -> int:
    """Delete the sessions and links that have ended, and old entries of no workspace; return how many rows."""
    count = await tx.execute("DELETE FROM sessions WHERE expires_at <= ? OR seen_at <= ?", tx.now, tx.now - IDLE)
    count += await tx.execute("DELETE FROM one_time_links WHERE expires_at <= ?", tx.now)
    sql = "DELETE FROM audit_entries WHERE workspace_id IS NULL AND at <= ?"
    return count + await tx.execute(sql, tx.now - KEPT_ENTRIES)
