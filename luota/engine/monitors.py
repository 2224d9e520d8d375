"""What people change about monitors: create, edit, pause, resume, archive, a new token."""

import secrets
from hashlib import sha256
from typing import Any

import msgspec

from luota.core.errors import Code, LuotaError, invalid
from luota.core.events import Archive, Edit, Event, PauseBegins, Resume
from luota.core.machine import draft
from luota.core.spec.monitors import RESERVED_SLUGS, Definition, definition_json, parse_definition, parse_edit
from luota.core.spec.pauses import parse_pause
from luota.core.spec.values import MAX_SLUG, format_instant, slug_of
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.registry import Live, LiveWorkspace
from luota.engine.routes import tell_where_routed
from luota.engine.work import Transaction, Work
from luota.store.monitors import definition_of

_COLUMNS = (
    "slug",
    "name",
    "mode",
    "schedule",
    "grace_ms",
    "max_runtime_ms",
    "freshness_ms",
    "tolerance",
    "promise",
    "owner",
    "runbook",
    "environment",
    "tags",
    "reminder_ms",
)


def create(workspace: LiveWorkspace, doc: dict[str, Any], actor: Actor) -> Work:
    """Create the monitor that `doc` defines; the result is its Live."""

    async def work(tx: Transaction) -> Live:
        definition = parse_definition(doc, now=tx.now)
        taken = tx.registry.workspaces[workspace.id].slugs
        refuse_taken_slug(taken, definition.slug)
        slug = definition.slug or free_slug(slug_of(definition.name), taken)
        channels = await _channel_ids(tx, workspace.id, definition.channels)
        monitor_id, salt = new_id(), secrets.token_hex(16)
        columns = ("id", "workspace_id", *_COLUMNS, "token_salt", "created_at")
        values = (monitor_id, workspace.id, *_values(definition, slug), salt, tx.now)
        places = ", ".join("?" * len(columns))
        await tx.execute(f"INSERT INTO monitors ({', '.join(columns)}) VALUES ({places})", *values)
        await _route(tx, monitor_id, channels)
        state = draft(definition.rules, tx.now)
        live = Live(monitor_id, workspace.id, slug, salt, definition.rules, state)
        tx.batch.stage(live)
        audit(tx.batch, actor, workspace.id, "monitor.create", monitor_id, name=definition.name)
        return live

    return work


def version(definition: dict[str, Any]) -> str:
    """Return what tells this definition, as `definition_json` writes it, from another one."""
    return sha256(msgspec.json.encode(definition)).hexdigest()[:16]


def edit(monitor_id: str, changes: dict[str, Any], actor: Actor, expected: str | None = None) -> Work:
    """Change the definition of a monitor by the keys of `changes`; the result is its Live.

    The audit entry has what became another, and what it was, as `definition_json` writes it: however it was given. What
    is as asked already is neither changed nor recorded. With `expected`, CONFLICT and no field if its `version` is
    another one by now.
    """

    async def work(tx: Transaction) -> Live:
        live = _live(tx, monitor_id)
        before = definition_json(await definition_of(tx.db, monitor_id))
        if expected not in (None, version(before)):
            raise LuotaError(Code.CONFLICT, "Somebody has changed the monitor meanwhile: look at it and edit it again.")
        after = parse_edit(before, changes, now=tx.now)
        slug = after.slug or live.slug
        refuse_taken_slug(tx.registry.workspaces[live.workspace_id].slugs, slug, monitor_id)
        sets = ", ".join(f"{column} = ?" for column in _COLUMNS)
        await tx.execute(f"UPDATE monitors SET {sets} WHERE id = ?", *_values(after, slug), monitor_id)
        if "channels" in changes:
            own = await _channel_ids(tx, live.workspace_id, after.channels)
            await _route(tx, monitor_id, own)
        kept = definition_json(await definition_of(tx.db, monitor_id))
        changed = {key: value for key, value in kept.items() if value != before[key]}
        if not changed:
            return live
        tx.batch.apply(live, Edit(after.rules), tx.now)
        moved = msgspec.structs.replace(tx.batch.live(monitor_id) or live, rules=after.rules, slug=slug)
        tx.batch.stage(moved)
        if "channels" in changed:
            await tell_where_routed(tx, moved, own)
        if slug != live.slug:
            tx.batch.after.append(lambda: tx.registry.remove(live))
        replaced = {key: before[key] for key in changed}
        audit(tx.batch, actor, live.workspace_id, "monitor.edit", monitor_id, changes=changed, before=replaced)
        return moved

    return work


def pause(monitor_id: str, doc: dict[str, Any], actor: Actor) -> Work:
    """Pause a monitor: for good, `for` a duration, `until` an instant, or `untilHealthy`."""

    async def work(tx: Transaction) -> Live:
        event, detail = asked_pause(doc, tx.now)
        return _applied(tx, monitor_id, event, actor, "monitor.pause", detail)

    return work


def asked_pause(doc: dict[str, Any], now: int) -> tuple[PauseBegins, dict[str, Any]]:
    """Return the pause that `doc` asks for at `now` (`core.spec.pauses`), and what the audit log says of it."""
    asked = parse_pause(doc, now)
    ends = None if asked.until is None else format_instant(asked.until)
    return PauseBegins(asked), {"until": ends, "untilHealthy": asked.until_healthy}


def resume(monitor_id: str, actor: Actor) -> Work:
    """End the pause of a monitor; CONFLICT when it is not paused."""

    async def work(tx: Transaction) -> Live:
        if _live(tx, monitor_id).state.pause is None:
            raise LuotaError(Code.CONFLICT, "The monitor is not paused.")
        return _applied(tx, monitor_id, Resume(), actor, "monitor.resume", {})

    return work


def archive(monitor_id: str, actor: Actor) -> Work:
    """Put a monitor away: its signals are refused from now on, its history stays until retention."""

    async def work(tx: Transaction) -> Live:
        live = _applied(tx, monitor_id, Archive(), actor, "monitor.archive", {})
        await tx.execute("UPDATE monitors SET archived_at = ? WHERE id = ?", tx.now, monitor_id)
        # Its open runs have nobody left to judge them.
        await tx.execute("UPDATE runs SET state = 'unknown' WHERE monitor_id = ? AND state = 'running'", monitor_id)
        return live

    return work


def rotate(monitor_id: str, actor: Actor) -> Work:
    """Replace the salt of a monitor's token; the old token is refused from the next request on."""

    async def work(tx: Transaction) -> Live:
        live = msgspec.structs.replace(_live(tx, monitor_id), salt=secrets.token_hex(16))
        await tx.execute("UPDATE monitors SET token_salt = ? WHERE id = ?", live.salt, monitor_id)
        tx.batch.stage(live)
        audit(tx.batch, actor, live.workspace_id, "token.rotate", monitor_id)
        return live

    return work


def _live(tx: Transaction, monitor_id: str) -> Live:
    live = tx.batch.live(monitor_id)
    if live is None:
        raise LuotaError(Code.NOT_FOUND, "Monitor not found")
    return live


def _applied(tx: Transaction, monitor_id: str, event: Event, actor: Actor, action: str, detail: dict[str, Any]) -> Live:
    live = _live(tx, monitor_id)
    state = tx.batch.apply(live, event, tx.now).state
    audit(tx.batch, actor, live.workspace_id, action, monitor_id, **detail)
    return tx.batch.live(monitor_id) or msgspec.structs.replace(live, state=state, incident_id=None)


def _values(definition: Definition, slug: str) -> tuple[Any, ...]:
    rules = definition.rules
    schedule = None if rules.schedule is None else msgspec.json.encode(rules.schedule.json()).decode()
    return (
        slug,
        definition.name,
        rules.mode.value,
        schedule,
        rules.grace,
        rules.max_runtime,
        rules.freshness,
        rules.tolerance,
        definition.promise or None,
        definition.owner or None,
        definition.runbook or None,
        definition.environment or None,
        msgspec.json.encode(definition.tags).decode(),
        definition.reminder,
    )


def refuse_taken_slug(taken: dict[str, str], slug: str | None, own: str | None = None) -> None:
    """Raise CONFLICT if `slug` is among those `taken` in a workspace, by another than the monitor `own`."""
    if slug is not None and taken.get(slug, own) != own:
        said = f"slug {slug} is taken by another monitor of this workspace. Choose another."
        raise LuotaError(Code.CONFLICT, said, field="slug")


def free_slug(wanted: str, taken: dict[str, str]) -> str:
    """Return the slug that a monitor gets whose name suggests `wanted`: with a number where that is `taken`."""
    slug, number = wanted, 2
    while slug in taken or slug in RESERVED_SLUGS:
        end = f"-{number}"
        slug = wanted[: MAX_SLUG - len(end)].rstrip("-") + end
        number += 1
    return slug


async def _channel_ids(tx: Transaction, workspace_id: str, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the ids of channels given by name or id; none named means that all are told."""
    ids: list[str] = []
    for name in names or ():
        rows = await tx.fetch(
            "SELECT id FROM channels WHERE workspace_id = ? AND (name = ? OR id = ?) AND removed_at IS NULL "
            "AND drill_of IS NULL",
            workspace_id,
            name,
            name,
        )
        if not rows:
            raise invalid("channels", f"There is no channel {name}. Add it first: luota channel add.")
        ids.append(rows[0][0])
    return tuple(dict.fromkeys(ids))


async def _route(tx: Transaction, monitor_id: str, channels: tuple[str, ...]) -> None:
    await tx.execute("DELETE FROM monitor_channels WHERE monitor_id = ?", monitor_id)
    for channel_id in channels:
        await tx.execute("INSERT INTO monitor_channels VALUES (?, ?)", monitor_id, channel_id)

    def publish() -> None:
        if channels:
            tx.registry.routes[monitor_id] = channels
        else:
            tx.registry.routes.pop(monitor_id, None)

    tx.batch.after.append(publish)
