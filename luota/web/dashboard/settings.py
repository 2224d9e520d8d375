"""The settings of a workspace: its name, how long what is kept, its token."""

from typing import Any

from starlette.responses import Response

from luota.core import tokens
from luota.core.errors import Code, LuotaError
from luota.core.spec.people import parse_workspace_changes
from luota.engine import people
from luota.store import workspaces as rows
from luota.web.dashboard.refusals import messages, refusals
from luota.web.dashboard.visit import Page, Visit

_NUMBERS = ("retentionDays", "retentionCount", "incidentRetentionDays")


async def settings(visit: Visit) -> Response:
    """Show the settings; to owners the form and the token too."""
    return await _page(visit)


async def save(visit: Visit) -> Response:
    """Change name and retention."""
    form = visit.form
    doc: dict[str, Any] = {"name": form.get("name", "")}
    doc |= {key: _number(form.get(key, "")) for key in _NUMBERS}
    wrong = refusals(parse_workspace_changes, doc, await _present(visit))
    if not wrong:
        try:
            await visit.engine.submit(people.edit_workspace(visit.workspace.id, doc, visit.actor))
        except LuotaError as error:
            if error.code is not Code.INVALID:
                raise
            wrong = {error.field or "": error}
    if wrong:
        return await _page(visit, 400, values=form, errors=messages(wrong))
    return visit.redirect(visit.path("settings"), said="Saved.")


async def rotate(visit: Visit) -> Response:
    """Replace the workspace's token."""
    await visit.engine.submit(people.rotate_workspace(visit.workspace, visit.actor))
    said = "The token is replaced: the old one is refused from now on."
    return visit.redirect(visit.path("settings") + "#token", said=said)


def _number(text: str) -> int | str:
    """Return the number that a field holds; for anything else the empty text, which the rules refuse."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else ""


async def _present(visit: Visit) -> dict[str, str | int]:
    """Return the settings as they are, in the order of the form."""
    kept = await rows.retention(visit.reader, visit.workspace.id)
    return {
        "name": visit.workspace.name,
        "retentionDays": kept.days,
        "retentionCount": kept.count,
        "incidentRetentionDays": kept.incident_days,
    }


async def _page(
    visit: Visit, status: int = 200, *, values: dict[str, str] | None = None, errors: dict[str, str] | None = None
) -> Response:
    workspace = visit.workspace
    secret = visit.engine.registry.secret
    shown = tokens.workspace_token(secret, workspace.id, workspace.salt) if visit.may("owner") else None
    return await visit.html(
        "settings.html",
        status,
        values=values or await _present(visit),
        errors=errors or {},
        token=shown,
        base_url=visit.site.base_url(),
        done=visit.told(),
    )


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/settings", "viewer", settings),
    ("POST", "/w/{workspace}/settings", "owner", save),
    ("POST", "/w/{workspace}/settings/token", "owner", rotate),
)
