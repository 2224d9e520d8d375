"""What a drill changes: it makes a twin, reports its steps, and puts all away at its end (docs/drills.md)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from luota.core.drills import (
    DrillKind,
    DrillState,
    Listener,
    Step,
    checklist,
    failure_of,
    finish,
    refusal,
    result,
    twin_of,
)
from luota.core.errors import Code, LuotaError
from luota.core.model import Kind
from luota.core.spec.monitors import definition_json
from luota.core.wants import EVERYTHING, Wants
from luota.engine import monitors
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.registry import Live
from luota.engine.work import Transaction, Work
from luota.store.monitors import definition_of

AT_ONCE = 3
"""Drills that may run in the daemon at the same time."""


class Begun(Struct, frozen=True):
    """A drill before its first signal."""

    id: str
    monitor_id: str
    twin: Live
    kind: DrillKind
    failure: Kind
    listeners: tuple[Listener, ...]
    steps: tuple[Step, ...]


def actor_of(drill_id: str) -> Actor:
    """Return who does what a drill does."""
    return Actor("drill", f"drill {drill_id}")


def begin(monitor_id: str, kind: DrillKind, dead_route: str | None, actor: Actor) -> Work:
    """Make a twin of a monitor, with the same channels, for a drill; the result is a Begun.

    `dead_route` is the URL that the twin's only channel gets instead, for the drill of that kind. NOT_FOUND for
    an unknown monitor, INVALID (field `kind`) for a drill that does not fit it, CONFLICT while a drill of it runs
    already, or AT_ONCE others do.
    """

    async def work(tx: Transaction) -> Begun:
        live = tx.batch.live(monitor_id)
        if live is None or live.drill_of is not None:
            raise LuotaError(Code.NOT_FOUND, "Monitor not found")
        unfit = refusal(kind, live.rules)
        if unfit is not None:
            raise LuotaError(Code.INVALID, unfit, field="kind")
        await _refuse_too_many(tx, monitor_id)
        drill_id = new_id()
        failure = failure_of(kind, live.rules.mode)
        doc = twin_of(definition_json(await definition_of(tx.db, monitor_id)), failure)
        if kind is DrillKind.DEAD_ROUTE:
            doc["channels"] = None
        workspace = tx.registry.workspaces[live.workspace_id]
        made: Live = await monitors.create(workspace, doc, actor_of(drill_id))(tx)
        twin = msgspec.structs.replace(made, drill_of=monitor_id)
        tx.batch.stage(twin)
        await tx.execute("UPDATE monitors SET drill_of = ? WHERE id = ?", monitor_id, twin.id)
        if dead_route is None:
            listeners = await _listeners(tx, live)
        else:
            listeners = ()
            await _open_route(tx, drill_id, twin, dead_route)
        steps = checklist(kind, live.rules.mode, listeners)
        await tx.execute(
            "INSERT INTO drills (id, workspace_id, monitor_id, twin_id, kind, state, steps, started_at, actor) "
            "VALUES (?, ?, ?, ?, ?, 'running', ?, ?, ?)",
            drill_id,
            live.workspace_id,
            monitor_id,
            twin.id,
            kind.value,
            _encoded(steps),
            tx.now,
            actor.name,
        )
        audit(tx.batch, actor, live.workspace_id, "drill.run", monitor_id, kind=kind.value, drill=drill_id)
        return Begun(drill_id, monitor_id, twin, kind, failure, listeners, steps)

    return work


def report(drill_id: str, monitor_id: str, steps: Sequence[Step]) -> Work:
    """Record how the steps of a drill stand now."""

    async def work(tx: Transaction) -> None:
        sql = "UPDATE drills SET steps = ? WHERE id = ? RETURNING workspace_id"
        for (workspace_id,) in await tx.fetch(sql, _encoded(steps), drill_id):
            tx.batch.concern(workspace_id, drill_id, monitor_id)

    return work


def put_away(twin_id: str, drill_id: str) -> Work:
    """Archive a twin, which ends its incident if that is open still. Doing it twice changes nothing.

    In a transaction before that of `end`, so that what it tells of the end is there to be cancelled.
    """

    async def work(tx: Transaction) -> None:
        if tx.batch.live(twin_id) is not None:
            await monitors.archive(twin_id, actor_of(drill_id))(tx)

    return work


def end(drill_id: str, monitor_id: str, twin_id: str, steps: Sequence[Step], reason: str) -> Work:
    """Record the result of a drill; the result is its DrillState. What still waits is not proven, for `reason`.

    Its dead route is removed: nothing more is sent there, and what was not delivered there is cancelled.
    """

    async def work(tx: Transaction) -> DrillState:
        settled = finish(steps, reason)
        state = result(settled)
        await _close_route(tx, twin_id)
        sql = "UPDATE drills SET steps = ?, state = ?, finished_at = ? WHERE id = ? RETURNING workspace_id"
        ((workspace_id,),) = await tx.fetch(sql, _encoded(settled), state.value, tx.now, drill_id)
        detail = {"drill": drill_id, "state": state.value}
        audit(tx.batch, actor_of(drill_id), workspace_id, "drill.end", monitor_id, **detail)
        tx.batch.concern(workspace_id, drill_id)
        return state

    return work


async def _refuse_too_many(tx: Transaction, monitor_id: str) -> None:
    running = [row[0] for row in await tx.fetch("SELECT monitor_id FROM drills WHERE state = 'running'")]
    if monitor_id in running:
        raise LuotaError(Code.CONFLICT, "A drill of this monitor is running. Wait for its result.")
    if len(running) >= AT_ONCE:
        raise LuotaError(Code.CONFLICT, f"{AT_ONCE} drills are running. Wait until one of them has ended.")


async def _listeners(tx: Transaction, live: Live) -> tuple[Listener, ...]:
    """Return the channels of a monitor, which are its twin's too."""
    wants = tx.registry.workspaces[live.workspace_id].wants
    found = []
    for channel_id in tx.registry.channels_of(live):
        ((name,),) = await tx.fetch("SELECT name FROM channels WHERE id = ?", channel_id)
        found.append(Listener(channel_id, name, wants.get(channel_id, EVERYTHING)))
    return tuple(found)


async def _open_route(tx: Transaction, drill_id: str, twin: Live, url: str) -> None:
    """Give a twin one channel, of which nobody else knows: not even the other channels, when it fails.

    It hears of the opening alone, so that the end of the incident does not overtake what is to be retried.
    """
    channel_id = new_id()
    await tx.execute(
        "INSERT INTO channels (id, workspace_id, name, type, settings, rules, created_at, drill_of) "
        "VALUES (?, ?, ?, 'webhook', ?, ?, ?, ?)",
        channel_id,
        twin.workspace_id,
        f"dead route of drill {drill_id}",
        _encoded({"url": url}),
        _encoded({"notify": ["opened"]}),
        tx.now,
        twin.drill_of,
    )
    await tx.execute("INSERT INTO monitor_channels VALUES (?, ?)", twin.id, channel_id)

    def publish() -> None:
        tx.registry.routes[twin.id] = (channel_id,)
        tx.registry.dead_routes.add(channel_id)
        tx.registry.want(twin.workspace_id, channel_id, Wants(resolved=False))

    tx.batch.after.append(publish)


async def _close_route(tx: Transaction, twin_id: str) -> None:
    sql = (
        "SELECT c.id, c.workspace_id FROM channels c JOIN monitor_channels r ON r.channel_id = c.id "
        "WHERE r.monitor_id = ? AND c.drill_of IS NOT NULL"
    )
    for channel_id, workspace_id in await tx.fetch(sql, twin_id):
        await tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, last_error = "
            "'was retrying when the drill ended and its dead route was removed' || coalesce(': ' || last_error, '') "
            "WHERE channel_id = ? AND next_attempt_at IS NOT NULL",
            tx.now,
            channel_id,
        )
        await tx.execute("UPDATE channels SET removed_at = ? WHERE id = ?", tx.now, channel_id)
        await tx.execute("DELETE FROM monitor_channels WHERE channel_id = ?", channel_id)

        def publish(channel_id: str = channel_id, workspace_id: str = workspace_id) -> None:
            tx.registry.routes.pop(twin_id, None)
            tx.registry.dead_routes.discard(channel_id)
            tx.registry.want(workspace_id, channel_id, None)

        tx.batch.after.append(publish)


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
