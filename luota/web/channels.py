"""Adding and trying channels, and who hears of what by them, as the API and the pages do it."""

import asyncio
from collections.abc import Iterable
from typing import Any

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.sender import Sender
from luota.alerts.transport import refusal_of_url
from luota.core.errors import invalid
from luota.core.model import Kind
from luota.core.spec.channels import parse_channel
from luota.core.wants import EVERYTHING, kinds_of, untold
from luota.engine import Engine
from luota.engine import channels as commands
from luota.engine.audit import Actor
from luota.engine.registry import Live, LiveWorkspace, Registry
from luota.store import incidents as incident_rows
from luota.store import monitors as monitor_rows


async def add_channel(
    engine: Engine,
    sender: Sender,
    policy: AddressPolicy,
    resolver: Resolver,
    workspace: LiveWorkspace,
    doc: dict[str, Any],
    actor: Actor,
) -> tuple[str, str | None]:
    """Add the channel that `doc` defines, unless its address is one to which messages may not go.

    Returns its id, and the secret that was made to sign a webhook with: it is to be shown once and nowhere else.
    INVALID names the key to blame, CONFLICT is for a name that is taken (docs/alerts.md).
    """
    spec = parse_channel(doc)
    missing = sender.missing(spec.type)
    if missing is not None:
        raise invalid("type", missing)
    unknown = await sender.refusal(spec.type, spec.settings)
    if unknown is not None:
        raise invalid("url", unknown)
    if "url" in spec.settings:
        refusal = await refusal_of_url(spec.settings["url"], policy, resolver)
        if refusal is not None:
            where = "the daemon's setting [alerts] allow_networks (or LUOTA_ALERTS_ALLOW_NETWORKS), read at its start"
            raise invalid("url", f"{refusal}. That is {where}." if "allow_networks" in refusal else refusal)
    secret = None
    if spec.type == "webhook" and "secrets" not in spec.settings:
        secret = commands.new_secret()
        doc = {**doc, "secret": secret}
    return await engine.submit(commands.add(workspace, doc, actor)), secret


async def prove_channel(
    engine: Engine,
    sender: Sender,
    workspace: LiveWorkspace,
    channel_id: str,
    name: str,
    actor: Actor,
    monitor: str | None = None,
) -> str:
    """Send a real test notice to a channel and wait for its first attempt; returns the delivery's id.

    The notice names `monitor`, on whose page it was asked for.
    """
    delivery_id: str = await engine.submit(commands.test(workspace.id, channel_id, name, actor, monitor))
    await sender.proofs.prove(delivery_id)
    return delivery_id


async def prove_monitor(
    engine: Engine, sender: Sender, workspace: LiveWorkspace, live: Live, actor: Actor
) -> list[str]:
    """Send a test notice to each channel that hears of a monitor, wait as for one; returns the deliveries' ids."""
    names = {one.id: one.name for one in await incident_rows.channels(engine.reader, workspace.id)}
    name = (await monitor_rows.definition_of(engine.reader, live.id)).name
    heard = engine.registry.channels_of(live)
    return await asyncio.gather(
        *(prove_channel(engine, sender, workspace, one, names.get(one, one), actor, name) for one in heard)
    )


def untold_by_monitor(registry: Registry, monitors: Iterable[Live]) -> dict[str, tuple[Kind, ...]]:
    """Return by the monitor's id of which kinds of incidents nobody hears, since no channel of it wants them.

    Worked out once for all that go the same way: an overview asks it of thousands.
    """
    known: dict[tuple[tuple[str, ...], tuple[Kind, ...]], tuple[Kind, ...]] = {}
    found = {}
    for live in monitors:
        route, kinds = registry.channels_of(live), kinds_of(live.rules)
        kinds_untold = known.get((route, kinds))
        if kinds_untold is None:
            wants = registry.workspaces[live.workspace_id].wants
            kinds_untold = known[route, kinds] = untold(kinds, (wants.get(one, EVERYTHING) for one in route))
        found[live.id] = kinds_untold
    return found
