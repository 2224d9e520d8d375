"""Attempts of deliveries as commands."""

from luota.core.retry import AttemptResult
from luota.engine.batch import Batch
from luota.engine.writer import Command


class RecordAttempt(Command):
    """One attempt that was made: its outcome, and when the next one follows, if one does."""

    def __init__(
        self,
        delivery_id: str,
        number: int,
        started_at: int,
        finished_at: int,
        result: AttemptResult,
        again_at: int | None,
    ) -> None:
        self.delivery_id = delivery_id
        self.number = number
        self.started_at = started_at
        self.finished_at = finished_at
        self.result = result
        self.again_at = again_at

    def plan(self, batch: Batch) -> None:
        """Stage the attempt and the delivery's new state."""
        result = self.result
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
        state = "delivered" if result.ok else failed
        finished_at = self.finished_at if self.again_at is None else None
        batch.rows.add(
            "attempted",
            (
                state,
                self.number,
                self.again_at,
                finished_at,
                result.error,
                result.provider_id,
                self.delivery_id,
            ),
        )
