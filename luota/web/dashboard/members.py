"""The members of a workspace: who may see, act and decide."""

from collections.abc import Mapping

from starlette.responses import Response

from luota.core.errors import Code, LuotaError
from luota.core.roles import ROLES
from luota.core.spec.people import parse_email, parse_person_name, parse_role
from luota.core.text import visible
from luota.engine import people
from luota.store import people as rows
from luota.web.dashboard.refusals import messages, refusals, status
from luota.web.dashboard.visit import Page, Visit
from luota.web.http import STATUS

_FINE = {"email": "ann@example.org", "name": "", "role": "viewer"}
"""For each field of the form for a new member something that no rule refuses."""
MEANING = {
    "viewer": "sees everything but tokens",
    "operator": "also creates and changes monitors and channels, acknowledges, drills",
    "owner": "also decides about members, settings and workspace tokens",
}


async def members(visit: Visit) -> Response:
    """Show who is a member, and to owners how to change that."""
    return await _page(visit, done=visit.told(), **visit.once())


async def add(visit: Visit) -> Response:
    """Make somebody a member: an existing user, or a new one who gets a link to choose a password.

    Of an existing one it is asked first: whoever made the account may have used its link themselves.
    """
    form = visit.form
    wrong = refusals(_parse, form, _FINE)
    if wrong:
        return await _page(visit, status(wrong), values=form, errors=messages(wrong))
    email, name, role = _parse(form)
    try:
        user = await rows.user_by_email(visit.reader, email)
        if user is not None:
            present = await rows.members(visit.reader, visit.workspace.id)
            if form.get("known") != "yes" and all(member.user_id != user.id for member in present):
                return await _page(visit, values=form, known=user, role=role)
            await visit.engine.submit(people.add_member(visit.workspace.id, email, role, visit.actor))
            return visit.redirect(visit.path("members"), said=f"{email} is a member now, as {role}.")
        user_id = await visit.engine.submit(people.create_user(visit.workspace, email, name, role, None, visit.actor))
    except LuotaError as error:
        if error.code not in (Code.INVALID, Code.CONFLICT):
            raise
        return await _page(visit, STATUS[error.code], values=form, errors={error.field or "": error.message})
    return await _with_link(visit, user_id)


def _parse(form: Mapping[str, str]) -> tuple[str, str, str]:
    """Return email, name and role in a form."""
    email = parse_email(form.get("email", "").strip())
    return email, parse_person_name(form.get("name") or None, email), parse_role(form.get("role"))


async def link(visit: Visit) -> Response:
    """Give a member a fresh link to choose a password; older ones hold no more."""
    user_id = visit.request.path_params["user"]
    try:
        return await _with_link(visit, user_id)
    except LuotaError as error:
        return await _refused(visit, user_id, error)


async def role(visit: Visit) -> Response:
    """Give a member another role."""
    user_id = visit.request.path_params["user"]
    try:
        chosen = parse_role(visit.form.get("role"))
        await visit.engine.submit(people.set_role(visit.workspace.id, user_id, chosen, visit.actor))
    except LuotaError as error:
        return await _refused(visit, user_id, error)
    found = await rows.user_by_id(visit.reader, user_id)
    said = f"The role of {visible(found.name)} is {chosen} now." if found else None
    return visit.redirect(visit.path("members"), said=said)


async def remove(visit: Visit) -> Response:
    """End a membership."""
    user_id = visit.request.path_params["user"]
    try:
        await visit.engine.submit(people.remove_member(visit.workspace.id, user_id, visit.actor))
    except LuotaError as error:
        return await _refused(visit, user_id, error)
    if user_id == visit.session.user_id:
        return visit.redirect("/")
    found = await rows.user_by_id(visit.reader, user_id)
    said = f"{visible(found.name)} is no member any more." if found else None
    return visit.redirect(visit.path("members"), said=said)


async def _refused(visit: Visit, user_id: str, error: LuotaError) -> Response:
    """Return the page with what was refused beside the member; what concerns none of them goes on to whoever called."""
    if error.code not in (Code.INVALID, Code.CONFLICT, Code.NOT_FOUND):
        raise error
    return await _page(visit, STATUS[error.code], errors={user_id: error.message})


async def _with_link(visit: Visit, user_id: str) -> Response:
    """Make a member's link, and lead to the page that shows it once: a reload of that makes no other."""
    path = await visit.site.auth.password_link(user_id, visit.actor, visit.session.user_id)
    found = await rows.user_by_id(visit.reader, user_id)
    once = {"link": visit.site.base_url() + path, "of": None if found is None else found.email}
    return visit.redirect(visit.path("members"), once=once)


async def _page(
    visit: Visit,
    status: int = 200,
    *,
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    link: str | None = None,
    of: str | None = None,
    known: rows.User | None = None,
    role: str | None = None,
    done: str | None = None,
) -> Response:
    present = await rows.members(visit.reader, visit.workspace.id)
    fields = {*_FINE, *(member.user_id for member in present)}
    return await visit.html(
        "members.html",
        status,
        members=present,
        roles=list(reversed(ROLES)),
        meaning=MEANING,
        values=values or {},
        errors={field if field in fields else "": message for field, message in (errors or {}).items()},
        link=link,
        of=of,
        known=known,
        role=role,
        done=done,
    )


PAGES: tuple[Page, ...] = (
    ("GET", "/w/{workspace}/members", "viewer", members),
    ("POST", "/w/{workspace}/members", "owner", add),
    ("POST", "/w/{workspace}/members/{user}/link", "owner", link),
    ("POST", "/w/{workspace}/members/{user}/role", "owner", role),
    ("POST", "/w/{workspace}/members/{user}/remove", "owner", remove),
)
