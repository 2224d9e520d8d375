"""What people change about channels, and the notices that belong to no incident."""

from typing import Any

import msgspec

from luota.core.errors import Code, LuotaError, invalid
from luota.core.model import Window
from luota.core.spec.values import format_instant, parse_http_url, parse_text
from luota.core.verdicts import undecided
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.registry import LiveWorkspace
from luota.engine.writer import Transaction, Work


def parse_channel(doc: dict[str, Any]) -> tuple[str, str]:
    """Return the name and the address of a new webhook channel; INVALID names what is wrong."""
    if doc.get("type") != "webhook":
        raise invalid("type", "type must be webhook.")
    name = parse_text(doc.get("name"), "name", minimum=1, maximum=80)
    if not name.strip() or not name.isprintable():
        raise invalid("name", "name must be printable text.")
    return name, parse_http_url(doc.get("url"), "url")


def add(workspace: LiveWorkspace, doc: dict[str, Any], actor: Actor) -> Work:
    """Add the channel that `doc` defines; the result is its id. CONFLICT when the name is taken."""

    async def work(tx: Transaction) -> str:
        name, url = parse_channel(doc)
        sql = "SELECT 1 FROM channels WHERE workspace_id = ? AND name = ? AND removed_at IS NULL"
        if await tx.fetch(sql, workspace.id, name):
            raise LuotaError(Code.CONFLICT, f"There is a channel {name} already.", field="name")
        channel_id = new_id()
        await tx.execute(
            "INSERT INTO channels (id, workspace_id, name, type, settings, created_at) "
            "VALUES (?, ?, ?, 'webhook', ?, ?)",
            channel_id,
            workspace.id,
            name,
            msgspec.json.encode({"url": url}).decode(),
            tx.now,
        )
        audit(tx.batch, actor, workspace.id, "channel.add", channel_id, name=name, type="webhook")
        tx.batch.after.append(lambda: _set_channels(tx, workspace.id, add=channel_id))
        return channel_id

    return work


def remove(workspace_id: str, channel_id: str, name: str, actor: Actor) -> Work:
    """Remove a channel; what it had not sent yet is cancelled, with the reason."""

    async def work(tx: Transaction) -> None:
        await tx.execute("UPDATE channels SET removed_at = ? WHERE id = ?", tx.now, channel_id)
        await tx.execute(
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, "
            "last_error = 'the channel was removed' WHERE channel_id = ? AND next_attempt_at IS NOT NULL",
            tx.now,
            channel_id,
        )
        await tx.execute("DELETE FROM monitor_channels WHERE channel_id = ?", channel_id)
        audit(tx.batch, actor, workspace_id, "channel.remove", channel_id, name=name)

        def publish() -> None:
            _set_channels(tx, workspace_id, drop=channel_id)
            for monitor_id, routes in list(tx.registry.routes.items()):
                left = tuple(route for route in routes if route != channel_id)
                if left:
                    tx.registry.routes[monitor_id] = left
                else:
                    del tx.registry.routes[monitor_id]

        tx.batch.after.append(publish)

    return work


def test(workspace_id: str, channel_id: str, name: str, actor: Actor) -> Work:
    """Queue a test notice to one channel; the result is the delivery's id."""

    async def work(tx: Transaction) -> str:
        facts = {"at": tx.now, "reason": f"A test of the channel {name}."}
        notice = msgspec.json.encode(facts).decode()
        audit(tx.batch, actor, workspace_id, "channel.test", channel_id, name=name)
        return tx.batch.queue(workspace_id, channel_id, None, None, "channel.test", notice)

    return work


async def tell_gaps(tx: Transaction) -> None:
    """Queue one notice per channel for each blind window that made monitors unverified whom none has named.

    One digest for all of them (docs/verdicts.md, "Blind windows"). What the window may turn out to have
    hidden, since it falls due later, is named in it too, so that nobody hears of the same window twice.
    """
    sql = (
        "SELECT w.started_at, w.ended_at, w.reason, w.told FROM blind_windows w WHERE EXISTS "
        "(SELECT 1 FROM monitor_states s WHERE s.unverified_by = w.started_at "
        "AND s.monitor_id NOT IN (SELECT value FROM json_each(w.told)))"
    )
    for start, end, reason, known in await tx.fetch(sql):
        told = set(msgspec.json.decode(known))
        window = Window(start, end, reason)
        for workspace in tx.registry.workspaces.values():
            facts = await _gap(tx, workspace, window, told)
            if not facts["unverified"]:
                continue
            told.update(one["id"] for one in (*facts["unverified"], *facts["undecided"]))
            notice = msgspec.json.encode(facts).decode()
            for channel_id in workspace.channels:
                tx.batch.queue(workspace.id, channel_id, None, None, "watch.gap", notice)
        encoded = msgspec.json.encode(sorted(told)).decode()
        await tx.execute("UPDATE blind_windows SET told = ? WHERE started_at = ?", encoded, start)


async def _gap(tx: Transaction, workspace: LiveWorkspace, window: Window, told: set[str]) -> dict[str, Any]:
    """Return what a gap notice says to one workspace, without those who were `told` of already."""
    unverified, undecided_at = [], {}
    for live in tx.registry.monitors.values():
        if live.workspace_id != workspace.id or live.id in told:
            continue
        if live.state.unverified_by == window.start:
            unverified.append((live.id, live.state.reason))
        elif (at := undecided(live.rules, live.state, window)) is not None and at > tx.now:
            undecided_at[live.id] = at
    names: dict[str, str] = {}
    wanted = [*(monitor_id for monitor_id, _ in unverified), *undecided_at]
    for start in range(0, len(wanted), 500):
        chunk = wanted[start : start + 500]
        sql = f"SELECT id, name FROM monitors WHERE id IN ({', '.join('?' * len(chunk))})"
        names.update(await tx.fetch(sql, *chunk))
    unverified.sort(key=lambda one: names[one[0]])
    return {
        "at": tx.now,
        "from": window.start,
        "to": window.end,
        "reason": window.reason,
        "unverified": [{"id": one, "name": names[one], "reason": why} for one, why in unverified],
        "undecided": [
            {"id": one, "name": names[one], "decidedAt": format_instant(at)}
            for one, at in sorted(undecided_at.items(), key=lambda one: names[one[0]])
        ],
    }


def _set_channels(tx: Transaction, workspace_id: str, add: str | None = None, drop: str | None = None) -> None:
    workspace = tx.registry.workspaces[workspace_id]
    channels = tuple(c for c in workspace.channels if c != drop) + ((add,) if add else ())
    tx.registry.workspaces[workspace_id] = msgspec.structs.replace(workspace, channels=channels)
