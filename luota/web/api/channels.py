"""Channels: where notices go."""

from typing import Any

from luota.engine import channels as commands
from luota.store import incidents as incident_rows
from luota.web.api.call import Call, Routes, iso
from luota.web.channels import add_channel, prove_channel


async def channels(call: Call) -> dict[str, Any]:
    """List the channels of a workspace."""
    found = await incident_rows.channels(call.engine.reader, call.workspace.id)
    return {"channels": [incident_rows.channel_json(one) for one in found]}


async def add(call: Call) -> dict[str, Any]:
    """Add a channel, unless its address is one to which messages may not go.

    The secret that a webhook is signed with is in this reply and in no other.
    """
    channel_id, secret = await add_channel(
        call.engine, call.sender, call.policy, call.resolver, call.workspace, call.doc, call.actor
    )
    channel = await call.channel_named(channel_id)
    return {"channel": channel} if secret is None else {"channel": channel, "secret": secret}


async def edit(call: Call) -> dict[str, Any]:
    """Change which notices a channel wants."""
    channel = await call.channel()
    work = commands.edit(call.workspace.id, channel["id"], channel["name"], call.doc, call.actor)
    await call.engine.submit(work)
    return {"channel": await call.channel_named(channel["id"])}


async def rotate_secret(call: Call) -> dict[str, Any]:
    """Give a webhook a new secret, shown in this reply alone."""
    channel = await call.channel()
    work = commands.rotate_secret(call.workspace.id, channel["id"], channel["name"], call.actor)
    secret, ends = await call.engine.submit(work)
    return {"channel": channel, "secret": secret, "oldSecretUntil": iso(ends)}


async def prove(call: Call) -> dict[str, Any]:
    """Send a real test notice and wait for its outcome."""
    channel = await call.channel()
    delivery_id = await prove_channel(
        call.engine, call.sender, call.workspace, channel["id"], channel["name"], call.actor
    )
    status, answer = call.sender.proofs.answer(delivery_id)
    delivery = await incident_rows.delivery(call.engine.reader, delivery_id)
    return {"delivery": {**delivery, "status": status, "answer": answer}}


async def remove(call: Call) -> dict[str, Any]:
    """Remove a channel; what it had not sent yet is cancelled.

    `monitors` are those that named it, each with the channels that are left to it: null is every one of the workspace.
    """
    channel = await call.channel()
    work = commands.remove(call.workspace.id, channel["id"], channel["name"], call.actor)
    named = await call.engine.submit(work)
    registry = call.engine.registry
    names = {one.id: one.name for one in await incident_rows.channels(call.engine.reader, call.workspace.id)}
    monitors = [
        {
            "id": live.id,
            "slug": live.slug,
            "channels": [names[one] for one in registry.routes[live.id]] if live.id in registry.routes else None,
        }
        for live in (registry.monitors.get(id_) for id_ in named)
        if live is not None and live.drill_of is None  # a twin is seen nowhere else
    ]
    return {"channel": channel, "monitors": monitors}


ROUTES: Routes = [
    ("GET", "/api/channels", "viewer", channels),
    ("POST", "/api/channels", "operator", add),
    ("POST", "/api/channels/{channel}/test", "operator", prove),
    ("POST", "/api/channels/{channel}/rotate-secret", "operator", rotate_secret),
    ("PATCH", "/api/channels/{channel}", "operator", edit),
    ("DELETE", "/api/channels/{channel}", "operator", remove),
]
