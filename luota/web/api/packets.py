"""The evidence packet of an incident, to be taken along."""

from typing import Any

from luota import __version__
from luota.core.errors import Code, LuotaError, invalid
from luota.core.packet import Packet, to_json
from luota.core.packet_markdown import to_markdown
from luota.core.spec.values import parse_uuid
from luota.store import packet as packet_rows
from luota.web.api.call import Call, Routes


async def packet(call: Call) -> dict[str, Any]:
    """Export an incident: as `packet`, an object, or with `format=markdown` as `markdown`, a text."""
    wanted = call.request.query_params.get("format", "json")
    if wanted not in {"json", "markdown"}:
        raise invalid("format", "format must be json or markdown.")
    found = await _found(call)
    return {"packet": to_json(found)} if wanted == "json" else {"markdown": to_markdown(found)}


async def _found(call: Call) -> Packet:
    named = call.named("incident")
    now = call.engine.clock.now()
    found = await packet_rows.packet(
        call.engine.reader, call.workspace.id, parse_uuid(named) or named, now, __version__
    )
    if found is None:
        raise LuotaError(Code.NOT_FOUND, f"Incident {named} not found. See: luota incident list.", field="incident")
    return found


ROUTES: Routes = [("GET", "/api/incidents/{incident}/packet", "viewer", packet)]
