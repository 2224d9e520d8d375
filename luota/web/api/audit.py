"""The audit log: who changed what, when, from where."""

from typing import Any

from luota.core.spec.audit import parse_audit_filter
from luota.core.spec.places import place
from luota.core.spec.values import format_instant
from luota.store import audit as rows
from luota.web.api.call import Call, Routes


async def entries(call: Call) -> dict[str, Any]:
    """List who changed what, the newest first: by one actor and of one kind where asked.

    `next` is what `before` takes to go on with older entries, null at the end.
    """
    actor, kind, before, most = parse_audit_filter(call.request.query_params)
    found = await rows.entries(
        call.engine.reader, call.workspace.id, actor=actor, action=kind, before=before, most=most + 1
    )
    shown = found[:most]
    return {
        "entries": [_shown(entry) for entry in shown],
        "next": place(shown[-1].at, shown[-1].id) if len(found) > most else None,
    }


def _shown(entry: rows.Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": format_instant(entry.at),
        "actor": entry.actor,
        "source": entry.source,
        "action": entry.action,
        "target": entry.target,
        "name": entry.name,
        "detail": entry.detail,
    }


ROUTES: Routes = [("GET", "/api/audit", "viewer", entries)]
