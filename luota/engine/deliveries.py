"""Attempts of deliveries as commands."""

from collections import Counter

import msgspec

from luota.core.retry import AttemptResult
from luota.engine.batch import Batch
from luota.engine.work import Command, Transaction, Work
from luota.store.deliveries import UNTOLD

_ANNOUNCE_NOTHING = ("channel.test", "channel.failed")
"""A test has somebody who waits for its outcome; a dead route may not announce the next one for ever."""

_TOLD_TOGETHER = {
    "opened": "opened",
    "updated": "became worse",
    "reminder": "still open",
    "resolved": "resolved",
}
"""What a digest says of the notices that it tells, by their type."""


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
            waiting += await tx.fetch(
                f"SELECT d.id, d.type, d.notice, d.incident_id, i.monitor_name, i.opened_at, i.summary, {UNTOLD} "
                "FROM deliveries d JOIN incidents i ON i.id = d.incident_id "
                "WHERE d.id = ? AND d.attempts = 0 AND d.next_attempt_at IS NOT NULL",
                delivery_id,
            )
        if len(waiting) < 2:
            return
        said = [
            {
                "type": type_,
                "incident": incident_id,
                "monitor": name,
                "openedAt": opened_at,
                "openedBy": summary if untold and type_ == "incident.resolved" else None,
                **msgspec.json.decode(notice),
            }
            for _, type_, notice, incident_id, name, opened_at, summary, untold in waiting
        ]
        of_type = Counter(one["type"] for one in said)
        counts = [(of_type[f"incident.{type_}"], words) for type_, words in _TOLD_TOGETHER.items()]
        facts = {
            "at": tx.now,
            "reason": "Many incidents at once: " + ", ".join(f"{count} {word}" for count, word in counts if count),
            "incidents": said,
        }
        notice = msgspec.json.encode(facts).decode()
        digest_id = tx.batch.queue(workspace_id, channel_id, None, None, "incident.digest", notice)
        for delivery_id, *_ in waiting:
            await tx.execute(
                "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, told_by = ?, "
                "last_error = ? WHERE id = ?",
                tx.now,
                digest_id,
                f"the digest {digest_id} is to tell of it",
                delivery_id,
            )

    return work
