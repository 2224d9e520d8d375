"""What people change about channels, and the notices that belong to no incident."""

import base64
import secrets
from typing import Any

import msgspec

from luota.core.errors import Code, LuotaError
from luota.core.model import Window
from luota.core.spec.channels import SECRET_PREFIX, parse_channel, parse_wants, wants_json
from luota.core.spec.values import format_instant
from luota.core.verdicts import undecided
from luota.core.wants import EVERYTHING, Wants
from luota.engine.audit import Actor, audit
from luota.engine.batch import new_id
from luota.engine.dead_routes import call_off, tell_joined
from luota.engine.registry import LiveWorkspace, without
from luota.engine.routes import tell_channel, tell_without
from luota.engine.work import Transaction, Work
from luota.store.deliveries import HELD, UNTRIED, WITH_CHANNEL

SECRET_OVERLAP = 86_400_000
"""How long the old secret of a webhook is still signed with after a rotation."""

_HOLD_ANEW = (
    # What is due by now is due now, not then: a storm is told from when its notices fall due.
    "UPDATE deliveries AS d SET next_attempt_at = max(queued_at + ?1, ?2) WHERE channel_id = ?3 "
    f"AND next_attempt_at IS NOT NULL AND {UNTRIED} AND incident_id IS NOT NULL AND {HELD}"
)


def new_secret() -> str:
    """Return a fresh secret to sign with, as Standard Webhooks 1.0 writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def add(workspace: LiveWorkspace, doc: dict[str, Any], actor: Actor) -> Work:
    """Add the channel that `doc` defines; the result is its id. CONFLICT when the name is taken.

    It is told of what is open, of which nobody was told yet, as far as it wants to hear of it, and so of blind
    windows and dead routes.
    """

    async def work(tx: Transaction) -> str:
        spec = parse_channel(doc)
        name, rules = spec.name, {} if spec.wants == EVERYTHING else wants_json(spec.wants)
        sql = "SELECT 1 FROM channels WHERE workspace_id = ? AND name = ? AND removed_at IS NULL"
        if await tx.fetch(sql, workspace.id, name):
            raise LuotaError(Code.CONFLICT, f"There is a channel {name} already.", field="name")
        channel_id = new_id()
        await tx.execute(
            "INSERT INTO channels (id, workspace_id, name, type, settings, rules, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            channel_id,
            workspace.id,
            name,
            spec.type,
            msgspec.json.encode(spec.settings).decode(),
            msgspec.json.encode(rules).decode(),
            tx.now,
        )
        audit(tx.batch, actor, workspace.id, "channel.add", channel_id, name=name, type=spec.type, **rules)
        _set_wants(tx, workspace.id, channel_id, spec.wants)
        await tell_channel(tx, workspace.id, channel_id)
        await tell_joined(tx, workspace.id, channel_id)
        tx.batch.after.append(lambda: _set_channels(tx, workspace.id, add=channel_id))
        return channel_id

    return work


def edit(workspace_id: str, channel_id: str, name: str, changes: dict[str, Any], actor: Actor) -> Work:
    """Change which notices a channel wants by the keys of `changes`.

    What is queued already is sent all the same; another delay holds for what waits, too. If it wants more, it is told
    of what is open, of which nobody was told yet, as a new one is.
    """

    async def work(tx: Transaction) -> None:
        ((encoded,),) = await tx.fetch("SELECT rules FROM channels WHERE id = ?", channel_id)
        rules_before = msgspec.json.decode(encoded)
        before, wants = parse_wants(rules_before), parse_wants({**rules_before, **changes})
        rules = wants_json(wants)
        sql = "UPDATE channels SET rules = ? WHERE id = ?"
        await tx.execute(sql, msgspec.json.encode(rules).decode(), channel_id)
        audit(tx.batch, actor, workspace_id, "channel.edit", channel_id, name=name, changes=rules)
        if wants.delay != before.delay:
            await tx.execute(_HOLD_ANEW, wants.delay, tx.now, channel_id)
            tx.batch.queued_notice = True  # its lane may have to send earlier than it thought
        _set_wants(tx, workspace_id, channel_id, wants)
        if wants.wider_than(before):
            await tell_channel(tx, workspace_id, channel_id)

    return work


def rotate_secret(workspace_id: str, channel_id: str, name: str, actor: Actor) -> Work:
    """Give a webhook a new secret; the result is the secret and when the old one ends, None if there was none.

    Both are signed with until then. A rotation in between ends the older of the two at once. CONFLICT for a
    type that signs nothing.
    """

    async def work(tx: Transaction) -> tuple[str, int | None]:
        ((type_, encoded),) = await tx.fetch("SELECT type, settings FROM channels WHERE id = ?", channel_id)
        if type_ != "webhook":
            raise LuotaError(Code.CONFLICT, f"Messages to a channel of type {type_} are not signed.")
        settings = msgspec.json.decode(encoded)
        secret, ends = new_secret(), tx.now + SECRET_OVERLAP
        old = settings.get("secrets", [])[:1]
        settings["secrets"] = [{"secret": secret, "until": None}, *({**one, "until": ends} for one in old)]
        sql = "UPDATE channels SET settings = ? WHERE id = ?"
        await tx.execute(sql, msgspec.json.encode(settings).decode(), channel_id)
        audit(tx.batch, actor, workspace_id, "channel.rotate_secret", channel_id, name=name)
        return secret, ends if old else None

    return work


def remove(workspace_id: str, channel_id: str, name: str, actor: Actor) -> Work:
    """Remove a channel; what it had not sent yet is cancelled, with the reason, and told to others if to nobody yet.

    The result are the ids of the monitors that named it, archived ones too: one that named no other goes to every
    channel of its workspace from now on.
    """

    async def work(tx: Transaction) -> list[str]:
        await tx.execute("UPDATE channels SET removed_at = ? WHERE id = ?", tx.now, channel_id)
        sql = (
            "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, finished_at = ?, last_error = ? "
            "WHERE channel_id = ? AND next_attempt_at IS NOT NULL RETURNING id"
        )
        lost = [delivery_id for (delivery_id,) in await tx.fetch(sql, tx.now, WITH_CHANNEL, channel_id)]
        sql = (
            "SELECT m.id FROM monitors m JOIN monitor_channels r ON r.monitor_id = m.id "
            "WHERE r.channel_id = ? ORDER BY m.slug"
        )
        named = [monitor_id for (monitor_id,) in await tx.fetch(sql, channel_id)]
        await tx.execute("DELETE FROM monitor_channels WHERE channel_id = ?", channel_id)
        audit(tx.batch, actor, workspace_id, "channel.remove", channel_id, name=name)
        call_off(tx.batch, channel_id, tx.now, "was removed")
        await tell_without(tx, workspace_id, channel_id, lost)

        def publish() -> None:
            _set_channels(tx, workspace_id, drop=channel_id)
            for monitor_id, routes in list(tx.registry.routes.items()):
                left = without((channel_id,), routes)
                if left:
                    tx.registry.routes[monitor_id] = left
                else:
                    del tx.registry.routes[monitor_id]

        tx.batch.after.append(publish)
        return named

    return work


def test(workspace_id: str, channel_id: str, name: str, actor: Actor, monitor: str | None = None) -> Work:  # noqa: PT028 - no test of pytest's
    """Queue a test notice to one channel; the result is the delivery's id.

    `monitor` is the name of the monitor on whose page it was asked for, if it was; the notice says so.
    """

    async def work(tx: Transaction) -> str:
        asked = "" if monitor is None else f", asked for on the page of the monitor {monitor}"
        facts = {"at": tx.now, "reason": f"A test of the channel {name}{asked}."}
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
        if live.workspace_id != workspace.id or live.id in told or live.drill_of is not None:
            continue
        if live.state.unverified and live.state.unverified_by == window.start:
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

    def named(monitor_id: str) -> dict[str, Any]:
        timezone = tx.registry.monitors[monitor_id].rules.timezone
        return {"id": monitor_id, "name": names[monitor_id], "timezone": timezone}

    return {
        "at": tx.now,
        "from": window.start,
        "to": window.end,
        "reason": window.reason,
        "unverified": [{**named(one), "reason": why} for one, why in unverified],
        "undecided": [
            {**named(one), "decidedAt": format_instant(at)}
            for one, at in sorted(undecided_at.items(), key=lambda one: names[one[0]])
        ],
    }


def _set_wants(tx: Transaction, workspace_id: str, channel_id: str, wants: Wants) -> None:
    """Let a channel want these notices: for the rest of the transaction, and from COMMIT on for all."""
    tx.batch.wants[channel_id] = wants
    tx.batch.after.append(lambda: tx.registry.want(workspace_id, channel_id, wants))


def _set_channels(tx: Transaction, workspace_id: str, add: str | None = None, drop: str | None = None) -> None:
    workspace = tx.registry.workspaces[workspace_id]
    channels = without((drop or "",), workspace.channels) + ((add,) if add else ())
    tx.registry.workspaces[workspace_id] = msgspec.structs.replace(workspace, channels=channels)
    if drop:
        tx.registry.want(workspace_id, drop, None)
