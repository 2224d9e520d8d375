"""Channels: where notices go."""

from typing import Any

from luota.engine import channels as commands
from luota.store import incidents as incident_rows
from luota.web.api.call import Call, Routes, iso
from luota.web.channels import add_channel, prove_channel


async def channels(call: Call) -> dict[str, Any]:
    """List the channels of a workspace."""
    return {"channels": await incident_rows.channels(call.engine.reader, call.workspace.id)}


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
    status, answer = call.sender.answer(delivery_id)
    delivery = await incident_rows.delivery(call.engine.reader, delivery_id)
    return {"delivery": {**delivery, "status": status, "answer": answer}}


async def remove(call: Call) -> dict[str, Any]:
    """Remove a channel; what it had not sent yet is cancelled."""
    channel = await call.channel()
    await call.engine.submit(commands.remove(call.workspace.id, channel["id"], channel["name"], call.actor))
    return {"channel": channel}


ROUTES: Routes = [
    ("GET", "/api/channels", "viewer", channels),
    ("POST", "/api/channels", "operator", add),
    ("POST", "/api/channels/{channel}/test", "operator", prove),
    ("POST", "/api/channels/{channel}/rotate-secret", "operator", rotate_secret),
    ("PATCH", "/api/channels/{channel}", "operator", edit),
    ("DELETE", "/api/channels/{channel}", "operator", remove),
]
