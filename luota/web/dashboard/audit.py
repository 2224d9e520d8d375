"""The audit log: who changed what, when, from where."""

from typing import Any

from starlette.responses import Response

from luota.core.audit_words import details
from luota.core.spec.audit import KINDS
from luota.core.text import visible
from luota.store import audit as rows
from luota.web.dashboard.filters import no_such
from luota.web.dashboard.visit import Page, Visit

PAGE = 50
_WHERE = {"monitor": "monitors", "drill": "monitors", "token": "monitors", "incident": "incidents"}
ACTIONS = {
    "monitor.create": "created the monitor {}",
    "monitor.edit": "changed the monitor {}",
    "monitor.pause": "paused the monitor {}",
    "monitor.resume": "resumed the monitor {}",
    "monitor.archive": "archived the monitor {}",
    "token.rotate": "replaced the token of {}",
    "incident.acknowledge": "acknowledged the incident of {}",
    "incident.note": "wrote a note on the incident of {}",
    "incident.resolve": "resolved the incident of {}",
    "channel.add": "added the channel {}",
    "channel.edit": "changed the rules of the channel {}",
    "channel.test": "sent a test notice to the channel {}",
    "channel.rotate_secret": "replaced the secret of the channel {}",
    "channel.remove": "removed the channel {}",
    "drill.run": "started a drill on the monitor {}",
    "drill.end": "ended the drill on the monitor {}",
    "member.add": "added the member {}",
    "member.role": "changed the role of {}",
    "member.remove": "removed the member {}",
    "user.create": "created the user {}",
    "user.password": "set the password of {}",
    "user.link": "made a password link for {}",
    "user.password_refused": "gave a wrong present password",
    "user.delete": "deleted the user {}",
    "workspace.create": "created the workspace {}",
    "workspace.edit": "changed the settings of the workspace {}",
    "session.open": "signed in",
    "session.close": "signed out",
    "session.refused": "was refused a sign-in as {}",
}
"""What people read of each action; it ends with a `{}` where the name follows of what it was done to."""


async def audit(visit: Visit) -> Response:
    """Show the newest entries, filtered by the address; a word that filters nothing is named."""
    actor, action = visit.query("actor")[:300], visit.query("of")[:200]
    unknown = []
    if action and action not in KINDS:
        unknown.append(no_such("kind of entry", action, KINDS))
        action = ""
    if actor and not await rows.entries(visit.reader, visit.workspace.id, actor=actor, action="", before=None, most=1):
        unknown.append(f"There is no entry of {visible(actor)}, so that the list is not filtered by it.")
        actor = ""
    at, _, entry_id = visit.query("before").partition("-")
    before = (int(at), entry_id) if at.isascii() and at.isdigit() and len(at) < 18 else None
    found = await rows.entries(
        visit.reader, visit.workspace.id, actor=actor, action=action, before=before, most=PAGE + 1
    )
    shown = found[:PAGE]
    return await visit.html(
        "audit.html",
        names=await visit.names(),
        entries=[_shown(visit, entry) for entry in shown],
        actors=await rows.actors(visit.reader, visit.workspace.id),
        kinds=KINDS,
        unknown=unknown,
        actor=actor,
        of=action,
        more=f"{shown[-1].at}-{shown[-1].id}" if len(found) > PAGE else None,
    )


def _shown(visit: Visit, entry: rows.Entry) -> dict[str, Any]:
    """Return an entry as people read it: who did what to which row, with the details that this leaves open."""
    kind, detail = entry.action.partition(".")[0], dict(entry.detail)
    name = entry.name or detail.get("email") or detail.get("name")
    said = ACTIONS.get(entry.action, entry.action)
    if entry.action == "session.close" and "count" in detail:  # by another password, or the end of an account
        said = "ended the sessions of {}"
    elif entry.action == "session.close" and name not in (None, entry.actor):  # by somebody else's sign-in
        said = "signed out {}"
    words, named, _ = said.partition(" {}")
    if not named:
        name = None
    elif name is None:
        name = visit.workspace.name if kind in ("token", "workspace") else "one deleted since"
    where = _WHERE.get(kind)
    return {
        "row": entry,
        "source": visible(entry.source.removeprefix(f"{entry.actor} ")),
        "words": words,
        "name": name,
        "path": visit.path(where, entry.target) if where and entry.target and entry.name else None,
        "detail": details(detail, name),
    }


PAGES: tuple[Page, ...] = (("GET", "/w/{workspace}/audit", "viewer", audit),)
