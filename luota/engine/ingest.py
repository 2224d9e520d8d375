"""The signals of jobs as commands: a ping, a run start, a run success, a run failure."""

import msgspec
from msgspec import Struct

from luota.core.errors import Code, LuotaError
from luota.core.events import Fail, Ping, Start, Success
from luota.core.model import Mark, RunState, Status
from luota.core.spec import ingest as spec
from luota.engine.batch import Batch, new_id
from luota.engine.registry import Live
from luota.engine.work import Command
from luota.store.reads import RunRow

_WORD = {RunState.SUCCESS: ("successful", "failed"), RunState.FAILED: ("failed", "successful")}


class PingResult(Struct, frozen=True):
    """What was recorded, and the verdict after it."""

    monitor_id: str
    status: Status
    heartbeat_id: str
    occurred_at: int


class RunResult(Struct, frozen=True):
    """A run as it stands after a start or a close, and the monitor's verdict."""

    monitor_id: str
    status: Status
    run: RunRow


def _live(batch: Batch, monitor_id: str) -> Live:
    live = batch.live(monitor_id)
    if live is None:
        raise LuotaError(Code.NOT_FOUND, "Monitor not found")
    return live


class RecordPing(Command):
    """A heartbeat, or word of fresh output, received at `received_at`."""

    def __init__(self, monitor_id: str, ping: spec.Ping, received_at: int) -> None:
        self.monitor_id = monitor_id
        self.ping = ping
        self.at = received_at

    def plan(self, batch: Batch) -> PingResult:
        """Stage the heartbeat and what it does to the monitor."""
        ping, received_at = self.ping, self.at
        live = _live(batch, self.monitor_id)
        registry, previous, number = batch.registry, live.last_heartbeat, live.heartbeats + 1
        registry.last_heartbeat = seq = registry.last_heartbeat + 1
        live = msgspec.structs.replace(live, last_heartbeat=seq, heartbeats=number)
        batch.stage(live)
        outcome = batch.apply(live, Ping(ping.occurred_at), received_at)
        mark = outcome.mark or Mark(received_at)
        heartbeat_id = new_id()
        occurred_at = received_at if ping.occurred_at is None else ping.occurred_at
        batch.rows.add(
            "heartbeats",
            (
                seq,
                live.id,
                previous,
                number,
                received_at,
                heartbeat_id,
                occurred_at,
                mark.effective_at,
                +mark.late,
                +mark.skewed,
                ping.host,
                ping.deploy_sha,
                ping.payload,
            ),
        )
        return PingResult(live.id, outcome.state.status, heartbeat_id, occurred_at)


class StartRun(Command):
    """A run start. Re-sending it returns the run that exists, with its first values, and is no signal."""

    def __init__(self, monitor_id: str, start: spec.Start, received_at: int) -> None:
        self.monitor_id = monitor_id
        self.start = start
        self.at = received_at
        self.external = (monitor_id, start.external_run_id)

    def plan(self, batch: Batch) -> RunResult:
        """Stage the run and what its start does to the monitor."""
        start, received_at = self.start, self.at
        live = _live(batch, self.monitor_id)
        existing = batch.external.get((self.monitor_id, start.external_run_id))
        if existing is not None:
            return RunResult(live.id, live.state.status, existing)
        run_id = new_id()
        started_at = received_at if start.started_at is None else start.started_at
        outcome = batch.apply(live, Start(run_id, start.started_at), received_at)
        run, mark = outcome.run, outcome.mark
        assert run is not None
        assert mark is not None
        row = RunRow(
            run_id,
            live.id,
            start.external_run_id,
            RunState.RUNNING.value,
            started_at,
            run.started_at,
            run.limit_at,
            run.occurrence,
            +run.counted,
            None,
        )
        batch.runs[run_id] = row
        batch.external[live.id, start.external_run_id] = row
        batch.rows.add(
            "runs",
            (
                run_id,
                live.id,
                start.external_run_id,
                row.state,
                started_at,
                received_at,
                run.started_at,
                run.limit_at,
                run.occurrence,
                +run.counted,
                +mark.late,
                +mark.skewed,
                start.payload,
                start.deploy_sha,
                start.host,
                start.environment,
                _tags(start.tags),
            ),
        )
        return RunResult(live.id, outcome.state.status, row)


class CloseRun(Command):
    """A run's end. Re-sending it in the same sense returns the closed run; the opposite sense conflicts."""

    def __init__(self, run_id: str, state: RunState, close: spec.Close, received_at: int) -> None:
        self.run_id: str = run_id
        self.state = state
        self.close = close
        self.at = received_at

    def plan(self, batch: Batch) -> RunResult:
        """Stage the close and what it does to the monitor."""
        close, received_at, run_id = self.close, self.at, self.run_id
        row = batch.runs.get(run_id)
        live = None if row is None else batch.live(row.monitor_id)
        if row is None or live is None:
            raise LuotaError(Code.UNAUTHENTICATED, "Invalid ingest key or run not found")
        if row.state == self.state.value:
            return RunResult(live.id, live.state.status, row)
        if row.state in (RunState.SUCCESS, RunState.FAILED):
            is_, cannot = _WORD[RunState(row.state)]
            said = f"Run is already {is_} and cannot be marked {cannot}."
            raise LuotaError(Code.CONFLICT, said)
        # While its limit is armed, the machine knows the run better than its row.
        run = next((r for r in live.state.runs if r.id == run_id), None) or row.open_run()
        if self.state is RunState.SUCCESS:
            outcome = batch.apply(live, Success(run, close.finished_at), received_at)
        else:
            outcome = batch.apply(live, Fail(run, close.finished_at, close.summary or ""), received_at)
        mark = outcome.mark or Mark(received_at)
        finished_at = received_at if close.finished_at is None else close.finished_at
        closed = RunRow(
            row.id,
            row.monitor_id,
            row.external_run_id,
            self.state.value,
            row.started_at,
            row.effective_at,
            row.limit_at,
            row.occurrence,
            row.counted,
            finished_at,
        )
        batch.runs[run_id] = closed
        batch.external[row.monitor_id, row.external_run_id] = closed
        batch.rows.add(
            "run_closed",
            (
                self.state.value,
                finished_at,
                received_at,
                close.summary,
                close.exit_code,
                close.output,
                close.payload,
                close.deploy_sha,
                close.host,
                close.environment,
                _tags(close.tags),
                +mark.skewed,
                +(self.state is RunState.FAILED),
                run_id,
            ),
        )
        return RunResult(live.id, outcome.state.status, closed)


def _tags(tags: dict[str, str] | None) -> str | None:
    return None if tags is None else msgspec.json.encode(tags).decode()
