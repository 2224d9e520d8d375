"""Attempts of deliveries as commands."""

from collections import Counter
from typing import Any

import msgspec

from luota.core.retry import AttemptResult
from luota.engine.batch import Batch, new_id
from luota.engine.work import Command, Transaction, Work
from luota.store.deliveries import ALL_RECORDED, UNTOLD

_ANNOUNCE_NOTHING = ("channel.test", "channel.failed")
"""A test has somebody who waits for its outcome; a dead route may not announce the next one for ever."""

_TOLD_TOGETHER = {
    "opened": "opened",
    "updated": "became worse",
    "reminder": "still open",
    "both": "opened and resolved",
    "resolved": "resolved",
}
"""What a digest says of the notices that it tells, by their type; `both` are ends whose beginning nobody was told."""

_WAITING = (
    "SELECT d.id, d.type, d.notice, d.incident_id, i.monitor_name, i.opened_at, i.summary, "
    f"{UNTOLD} FROM deliveries d JOIN incidents i ON i.id = d.incident_id WHERE d.next_attempt_at IS NOT NULL "
)


class RecordAttempt(Command):
    """One attempt that was made: its outcome, and when the next one follows, if one does.

    Those who look on in the workspace of its channel hear of it; without one the channel is gone.
    """

    def __init__(
        self,
        delivery_id: str,
        channel_id: str,
        number: int,
        started_at: int,
        finished_at: int,
        result: AttemptResult,
        again_at: int | None,
        workspace_id: str | None = None,
    ) -> None:
        self.delivery_id = delivery_id
        self.channel_id = channel_id
        self.number = number
        self.started_at = started_at
        self.finished_at = finished_at
        self.result = result
        self.again_at = again_at
        self.workspace_id = workspace_id

    def plan(self, batch: Batch) -> None:
        """Stage the attempt, the delivery's new state, and that the channel has proven itself."""
        result = self.result
        if self.workspace_id is not None:
            batch.concern(self.workspace_id, self.delivery_id, self.channel_id)
        batch.rows.add(
            "attempts",
            (
                self.delivery_id,
                self.number,
                self.started_at,
                self.finished_at,
                +result.ok,
                result.status,
                result.error,
                result.provider_id,
            ),
        )
        failed = "failed_terminal" if self.again_at is None else "failed_retrying"
        batch.rows.add(
            "attempted",
            (
                self.delivery_id,
                "delivered" if result.ok else failed,
                self.number,
                self.again_at,
                self.finished_at if self.again_at is None else None,
                result.error,
                result.provider_id,
            ),
        )
        if result.ok:
            batch.rows.add("proven", (self.finished_at, self.channel_id))


def give_up(record: RecordAttempt, type_: str) -> Work:
    """Record the last attempt of a notice of `type_`, and tell the workspace's other channels of the dead route.

    They are told once, until something is delivered by it again.
    """

    async def work(tx: Transaction) -> None:
        record.plan(tx.batch)
        if type_ in _ANNOUNCE_NOTHING:
            return
        sql = (
            "UPDATE channels SET failed_at = ? WHERE id = ? AND failed_at IS NULL AND removed_at IS NULL "
            "RETURNING workspace_id, name, type"
        )
        for workspace_id, name, kind in await tx.fetch(sql, tx.now, record.channel_id):
            why = record.result.error or "no reason given"
            facts = {
                "at": tx.now,
                "reason": f"The channel {name} is a dead route, a notice to it was given up: {why}",
                "channel": {"id": record.channel_id, "name": name, "type": kind, "error": why},
            }
            notice = msgspec.json.encode(facts).decode()
            for channel_id in tx.registry.workspaces[workspace_id].channels:
                if channel_id != record.channel_id:
                    tx.batch.queue(workspace_id, channel_id, None, None, "channel.failed", notice)

    return work


def withdraw(record: RecordAttempt, why: str) -> Work:
    """Cancel a test that this process could not send: it says nothing of the channel."""

    async def work(tx: Transaction) -> None:
        if record.workspace_id is not None:
            tx.batch.concern(record.workspace_id, record.delivery_id, record.channel_id)
        await tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, last_error = ? "
            "WHERE id = ?",
            record.finished_at,
            why,
            record.delivery_id,
        )

    return work


def gather(workspace_id: str, channel_id: str, delivery_ids: list[str]) -> Work:
    """Let one digest tell what these deliveries would have told; each is cancelled and names the digest.

    What has been cancelled meanwhile is left out, and nothing is done for fewer than two.
    """

    async def work(tx: Transaction) -> None:
        waiting = []
        for delivery_id in delivery_ids:
            waiting += await tx.fetch(_WAITING + "AND d.id = ? AND d.attempts = 0", delivery_id)
        if len(waiting) > 1:
            digest_id = _queue_digest(tx, workspace_id, channel_id, [_said(one) for one in waiting])
            await _told_by(tx, digest_id, [one[0] for one in waiting])

    return work


def renew(digest_id: str) -> Work:
    """Put a digest that did not arrive together anew, under another id, when news of its incidents came meanwhile.

    Of an incident that ended, the new one tells both in one line. Nothing is done without such news, or after an
    attempt of which nobody knows the end (`begin`): what may have arrived is repeated as it was.
    """

    async def work(tx: Transaction) -> None:
        sql = (
            "SELECT workspace_id, channel_id, notice, attempts FROM deliveries g "
            f"WHERE id = ? AND next_attempt_at IS NOT NULL AND {ALL_RECORDED}"
        )
        for workspace_id, channel_id, notice, attempts in await tx.fetch(sql, digest_id):
            before = msgspec.json.decode(notice)
            said: list[dict[str, Any]] = []
            news: list[str] = []
            kept: list[str] = []
            for incident_id in dict.fromkeys(one["incident"] for one in before["incidents"]):
                sql = _WAITING + "AND d.incident_id = ? AND d.channel_id = ? ORDER BY d.seq"
                later = await tx.fetch(sql, incident_id, channel_id)
                if all(one[1] != "incident.resolved" for one in later):
                    said += [one for one in before["incidents"] if one["incident"] == incident_id]
                    kept.append(incident_id)
                said += [_said(one) for one in later]
                news += [one[0] for one in later]
            if not news:
                return
            tried = before.get("tried", 0) + attempts
            renewed = _queue_digest(tx, workspace_id, channel_id, said, tried)
            await _told_by(tx, renewed, news)
            for incident_id in kept:
                await _tell_again(tx, incident_id, channel_id, digest_id, renewed)
            await tx.execute(
                "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, last_error = ? "
                "WHERE id = ?",
                tx.now,
                f"there is news of its incidents; the digest {renewed} is to tell all",
                digest_id,
            )

    return work


def begin(digest_id: str) -> Work:
    """Note that a digest is about to be attempted: it may arrive, though Luota might not live to record that."""

    async def work(tx: Transaction) -> None:
        sql = "UPDATE deliveries SET notice = json_set(notice, '$.begun', attempts + 1) WHERE id = ?"
        await tx.execute(sql, digest_id)

    return work


def _said(waiting: tuple[Any, ...]) -> dict[str, Any]:
    """Return what a digest says of a row of _WAITING."""
    _, type_, notice, incident_id, name, opened_at, summary, untold = waiting
    return {
        "type": type_,
        "incident": incident_id,
        "monitor": name,
        "openedAt": opened_at,
        "openedBy": summary if untold and type_ == "incident.resolved" else None,
        **msgspec.json.decode(notice),
    }


def _queue_digest(
    tx: Transaction, workspace_id: str, channel_id: str, said: list[dict[str, Any]], tried: int = 0
) -> str:
    """Queue a digest; `tried` are the attempts of those that it replaces, after which its own pauses go on."""
    of_type = Counter("incident.both" if one["openedBy"] else one["type"] for one in said)
    counts = [(of_type[f"incident.{type_}"], words) for type_, words in _TOLD_TOGETHER.items()]
    facts = {
        "at": tx.now,
        "reason": "Many incidents at once: " + ", ".join(f"{count} {word}" for count, word in counts if count),
        "incidents": said,
        "tried": tried,
    }
    notice = msgspec.json.encode(facts).decode()
    return tx.batch.queue(workspace_id, channel_id, None, None, "incident.digest", notice)


async def _told_by(tx: Transaction, digest_id: str, delivery_ids: list[str]) -> None:
    sql = (
        "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, told_by = ?, "
        "last_error = ? WHERE id = ?"
    )
    why = f"the digest {digest_id} is to tell of it"
    await tx.execute_many(sql, [(tx.now, digest_id, why, delivery_id) for delivery_id in delivery_ids])


async def _tell_again(tx: Transaction, incident_id: str, channel_id: str, before: str, digest_id: str) -> None:
    """Let a digest tell what the one `before` it was to tell of an incident.

    In rows of its own: the attempts of the one before stay on record with the incident.
    """
    sql = "SELECT id FROM deliveries WHERE incident_id = ? AND channel_id = ? AND told_by = ? ORDER BY seq"
    for (delivery_id,) in await tx.fetch(sql, incident_id, channel_id, before):
        await tx.execute(
            "INSERT INTO deliveries (id, workspace_id, channel_id, incident_id, monitor_id, type, notice, state, "
            "queued_at, finished_at, told_by, last_error) SELECT ?, workspace_id, channel_id, incident_id, "
            "monitor_id, type, notice, 'cancelled', queued_at, ?, ?, ? FROM deliveries WHERE id = ?",
            new_id(),
            tx.now,
            digest_id,
            f"the digest {digest_id} is to tell of it",
            delivery_id,
        )
