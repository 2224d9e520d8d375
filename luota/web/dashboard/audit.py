"""The audit log: who changed what, when, from where."""

from typing import Any

from starlette.responses import Response

from luota.store import audit as rows
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
KINDS = ("monitor", "incident", "channel", "drill", "member", "user", "workspace", "token", "session")
_WHERE = {"monitor": "monitors", "incident": "incidents"}


async def audit(visit: Visit) -> Response:
    """Show the newest entries, filtered by the address."""
    actor, action = visit.query("actor"), visit.query("of")
    at, _, entry_id = visit.query("before").partition("-")
    before = (int(at), entry_id) if at.isascii() and at.isdigit() and len(at) < 18 else None
    found = await rows.entries(
        visit.reader, visit.workspace.id, actor=actor, action=action, before=before, most=PAGE + 1
    )
    shown = found[:PAGE]
    return await visit.html(
        "audit.html",
        names=await visit.names(),
        entries=[{"row": entry, "path": _path(visit, entry), "detail": _told(entry.detail)} for entry in shown],
        actors=await rows.actors(visit.reader, visit.workspace.id),
        kinds=KINDS,
        actor=actor,
        of=action,
        more=f"{shown[-1].at}-{shown[-1].id}" if len(found) > PAGE else None,
    )


def _path(visit: Visit, entry: rows.Entry) -> str | None:
    """Return where the row that was changed has a page, if it has one."""
    where = _WHERE.get(entry.action.partition(".")[0])
    return visit.path(where, entry.target) if where and entry.target and entry.name else None


def _told(detail: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the details of a change as pairs of texts."""
    return [(key, value if isinstance(value, str) else _text(value)) for key, value in detail.items()]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/audit", "viewer", audit),)
