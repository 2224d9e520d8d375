"""Attempts of deliveries as commands."""

from collections import Counter
from typing import Any

import msgspec

from luota.core.model import UTC_NAME
from luota.core.retry import AttemptResult
from luota.engine.batch import Batch, new_id
from luota.engine.dead_routes import announce, call_off, tell_joined
from luota.engine.routes import tell_channel, tell_others
from luota.engine.work import Command, Transaction, Work
from luota.store.deliveries import ALL_RECORDED, TOLD_BY, UNTOLD, first_attempt_at

_TOLD_TOGETHER = {
    "opened": "opened",
    "updated": "became worse",
    "reminder": "still open",
    "both": "opened and resolved",
    "resolved": "resolved",
}
"""What a digest says of the notices that it tells, by their type; `both` are ends whose beginning nobody was told."""

_WAITING = (
    "SELECT d.id, d.type, d.notice, d.incident_id, i.monitor_name, i.opened_at, i.summary, i.monitor_id, "
    f"{UNTOLD}, {TOLD_BY} FROM deliveries d JOIN incidents i ON i.id = d.incident_id "
    "WHERE d.next_attempt_at IS NOT NULL "
)

_OPEN_AGAIN = (
    "SELECT i.id FROM incidents i WHERE i.id IN (SELECT value FROM json_each(?)) AND i.state = 'resolved' "
    "AND EXISTS (SELECT 1 FROM incidents n WHERE n.monitor_id = i.monitor_id AND n.state <> 'resolved')"
)
"""Of incidents, those that have ended and that another one of the same monitor has followed, which is open."""


class BeginAttempt(Command):
    """An attempt is about to be made: the notice may arrive, though Luota might not live to record that.

    From then on it is repeated as what it is, under its id. Nothing is noted of what is not due any more. What Luota
    did not live to record is put on record by `record_cut_off`, or else by this, before it is begun again.
    """

    def __init__(self, delivery_id: str) -> None:
        self.delivery_id = delivery_id

    def plan(self, batch: Batch) -> None:
        """Stage the mark, after what another one says that is still there."""
        _cut_off(batch, self.delivery_id)
        batch.rows.add("begun", (self.delivery_id, batch.now))


class LeaveAttempt(Command):
    """An attempt that was begun is not made: its notice is not due any more, or nobody could look."""

    def __init__(self, delivery_id: str) -> None:
        self.delivery_id = delivery_id

    def plan(self, batch: Batch) -> None:
        """Take the mark away."""
        batch.rows.add("unmade", (self.delivery_id,))


class RecordAttempt(Command):
    """One attempt that was made: its outcome, when the next one follows and until when its channel rests, if they do.

    Those who look on in the workspace of its channel hear of it; without one the channel is gone. Unless it was `noted`
    (`BeginAttempt`), a mark that is there is of another one and stays.
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
        rests_until: int | None = None,
        noted: bool = True,
    ) -> None:
        self.delivery_id = delivery_id
        self.channel_id = channel_id
        self.number = number
        self.started_at = started_at
        self.finished_at = finished_at
        self.result = result
        self.again_at = again_at
        self.workspace_id = workspace_id
        self.rests_until = rests_until
        self.noted = noted

    def plan(self, batch: Batch) -> None:
        """Stage the attempt, the delivery's new state, and that the channel has proven itself or is to rest."""
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
        batch.rows.add("made", (self.delivery_id, self.number, +self.noted))
        failed = "failed_terminal" if self.again_at is None else "failed_retrying"
        batch.rows.add(
            "attempted",
            (
                self.delivery_id,
                "delivered" if result.ok else failed,
                self.again_at,
                self.finished_at if self.again_at is None else None,
                result.error,
                result.provider_id,
            ),
        )
        if result.ok:
            batch.rows.add("proven", (self.finished_at, self.channel_id))
            call_off(batch, self.channel_id, self.finished_at, "delivers again")
            batch.rows.add("announced", (self.finished_at, self.delivery_id))
        if self.rests_until is not None:
            batch.rows.add("rested", (self.rests_until, self.channel_id))


class Rest(Command):
    """A channel is to rest that has the address of one whose provider got too much."""

    def __init__(self, workspace_id: str, channel_id: str, until: int) -> None:
        self.workspace_id = workspace_id
        self.channel_id = channel_id
        self.until = until

    def plan(self, batch: Batch) -> None:
        """Stage until when it rests."""
        batch.concern(self.workspace_id, self.channel_id)
        batch.rows.add("rested", (self.until, self.channel_id))


def give_up(record: RecordAttempt, type_: str) -> Work:
    """Record the last attempt of a notice of `type_`, and tell the workspace's other channels of the dead route.

    They are told once, until something is delivered by it again; anew if no announcement arrived. A test makes no dead
    route: somebody waits for its outcome. An announcement does, but is not announced itself: that could go on for ever.
    Of its incidents that nobody was told of, all others hear, unless the monitor's own channels are still to be told.
    """

    async def work(tx: Transaction) -> None:
        record.plan(tx.batch)
        if type_ == "channel.test":
            return
        # The record is written at the commit: till then the file has it that another attempt follows.
        sql = "UPDATE deliveries SET state = 'failed_terminal', next_attempt_at = NULL WHERE id = ?"
        given_up = await tx.execute(f"{sql} AND state <> 'cancelled'", record.delivery_id)
        await tell_others(tx, record.delivery_id)
        if not given_up:  # its incident ended meanwhile: the end follows on the same route, and decides about it
            return
        sql = (
            "UPDATE channels SET failed_at = coalesce(failed_at, ?), failed_error = ? WHERE id = ? "
            "AND removed_at IS NULL RETURNING workspace_id"
        )
        dead = await tx.fetch(sql, record.finished_at, record.result.error, record.channel_id)
        for (workspace_id,) in () if type_ == "channel.failed" else dead:
            await announce(tx, workspace_id, record.channel_id)

    return work


def prove(record: RecordAttempt) -> Work:
    """Record the test of a channel that was delivered; tell it of what is open and dead, of which nobody was told."""

    async def work(tx: Transaction) -> None:
        record.plan(tx.batch)
        workspace = tx.registry.workspaces.get(record.workspace_id or "")
        if workspace is not None and record.channel_id in workspace.channels:  # else it was removed meanwhile
            await tell_channel(tx, workspace.id, record.channel_id)
            await tell_joined(tx, workspace.id, record.channel_id)

    return work


async def record_cut_off(tx: Transaction) -> None:
    """Put on record, with their outcome unknown, the attempts that were under way when Luota ended.

    For use before new ones are begun: where this cannot be written, `BeginAttempt` does it. They stand at their
    beginning alone: nobody knows their end.
    """
    for (delivery_id,) in await tx.fetch("SELECT id FROM deliveries WHERE begun_at IS NOT NULL"):
        _cut_off(tx.batch, delivery_id)


def _cut_off(batch: Batch, delivery_id: str) -> None:
    batch.rows.add("cut_off_attempts", (delivery_id, batch.now))
    batch.rows.add("cut_off", (delivery_id,))


def withdraw(record: RecordAttempt, why: str) -> Work:
    """Cancel a test that this process could not send: it says nothing of the channel."""

    async def work(tx: Transaction) -> None:
        if record.workspace_id is not None:
            tx.batch.concern(record.workspace_id, record.delivery_id, record.channel_id)
        await tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, begun_at = NULL, finished_at = ?, "
            "last_error = ? WHERE id = ?",
            record.finished_at,
            why,
            record.delivery_id,
        )

    return work


def gather(workspace_id: str, channel_id: str, delivery_ids: list[str]) -> Work:
    """Let one digest tell what these deliveries would have told; each is cancelled and names the digest.

    What has been cancelled meanwhile is left out, and nothing is done for fewer than two. No attempt of them is under
    way, nor may have been cut off (`waiting_first`).
    """

    async def work(tx: Transaction) -> None:
        waiting = []
        for delivery_id in delivery_ids:
            waiting += await tx.fetch(_WAITING + "AND d.id = ?", delivery_id)
        if len(waiting) > 1:
            digest_id = await _queue_digest(tx, workspace_id, channel_id, [_said(tx, one) for one in waiting])
            await _told_by(tx, digest_id, [one[0] for one in waiting])

    return work


def renew(digest_id: str) -> Work:
    """Put a digest that did not arrive together anew, under another id, when news of its incidents came meanwhile.

    Of an incident that ended, the new one tells both in one line. Nothing is done without such news, or after an
    attempt of which nobody knows the end (`BeginAttempt`): what may have arrived is repeated as it was.
    """

    async def work(tx: Transaction) -> None:
        sql = (
            f"SELECT workspace_id, channel_id, notice, attempts, {first_attempt_at('g')} FROM deliveries g "
            f"WHERE id = ? AND next_attempt_at IS NOT NULL AND {ALL_RECORDED}"
        )
        for workspace_id, channel_id, notice, attempts, tried_since in await tx.fetch(sql, digest_id):
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
                said += [_said(tx, one) for one in later]
                news += [one[0] for one in later]
            if not news:
                return
            tried = before.get("tried", 0) + attempts
            renewed = await _queue_digest(tx, workspace_id, channel_id, said, tried, tried_since)
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


async def set_back(tx: Transaction, by: int) -> None:
    """Let nothing wait longer for the clock, which was set back `by` so many milliseconds.

    What was to come in ten seconds still comes in ten seconds: attempts, ends of rests, the end of all attempts.
    """
    await tx.execute(
        "UPDATE attempts SET started_at = started_at - ?1, finished_at = finished_at - ?1 WHERE started_at > ?2 "
        "AND delivery_id IN (SELECT id FROM deliveries WHERE next_attempt_at IS NOT NULL)",
        by,
        tx.now,
    )
    await tx.execute(
        "UPDATE deliveries SET next_attempt_at = next_attempt_at - ?1, queued_at = queued_at - ?1 * (queued_at > ?2) "
        "WHERE next_attempt_at > ?2",
        by,
        tx.now,
    )
    since = "json_extract(notice, '$.triedSince')"
    await tx.execute(
        f"UPDATE deliveries SET notice = json_set(notice, '$.triedSince', {since} - ?1) "
        f"WHERE next_attempt_at IS NOT NULL AND {since} > ?2",
        by,
        tx.now,
    )
    await tx.execute("UPDATE channels SET rests_until = rests_until - ?1 WHERE rests_until > ?2", by, tx.now)
    await tx.execute("UPDATE incidents SET reminded_at = ?1 WHERE coalesce(reminded_at, opened_at) > ?1", tx.now)


def _said(tx: Transaction, waiting: tuple[Any, ...]) -> dict[str, Any]:
    """Return what a digest says of a row of _WAITING."""
    _, type_, notice, incident_id, name, opened_at, summary, monitor_id, untold, told_by = waiting
    live = tx.registry.monitors.get(monitor_id)
    return {
        "type": type_,
        "incident": incident_id,
        "monitor": name,
        "openedAt": opened_at,
        "openedBy": summary if untold and type_ == "incident.resolved" else None,
        "timezone": UTC_NAME if live is None else live.rules.timezone,
        "firstNotice": bool(untold),
        "toldBy": told_by,
        **msgspec.json.decode(notice),
    }


async def _queue_digest(
    tx: Transaction,
    workspace_id: str,
    channel_id: str,
    said: list[dict[str, Any]],
    tried: int = 0,
    tried_since: int | None = None,
) -> str:
    """Queue a digest; `tried` are the attempts of those that it replaces, the first one made at `tried_since`.

    Its own pauses go on after them, and its attempts end when theirs would have: news alone keeps no dead route alive.
    Of an end it says whether the monitor is open again by now.
    """
    again = await tx.fetch(_OPEN_AGAIN, msgspec.json.encode([one["incident"] for one in said]).decode())
    open_again = {incident_id for (incident_id,) in again}
    of_type = Counter("incident.both" if one["openedBy"] else one["type"] for one in said)
    counts = [(of_type[f"incident.{type_}"], words) for type_, words in _TOLD_TOGETHER.items()]
    facts = {
        "at": tx.now,
        "reason": "Many incidents at once: " + ", ".join(f"{count} {word}" for count, word in counts if count),
        "incidents": [{**one, "openAgain": one["incident"] in open_again} for one in said],
        "tried": tried,
        "triedSince": tried_since,
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
