"""Signing in and out, the first owner, one's own password."""

import secrets
from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from luota.core.errors import Code, LuotaError
from luota.core.spec.people import parse_password, parse_user
from luota.engine import people
from luota.store import incidents as incident_rows
from luota.web.auth import hash_of
from luota.web.dashboard.refusals import messages, refusals, status
from luota.web.dashboard.visit import Page, Visit, same_site_path

_FINE = {"email": "a@example.org", "name": "x", "password": "never the one of anybody"}
"""For each field of a person something that no rule refuses."""


async def front(visit: Visit) -> Response:
    """Lead to the visitor's first workspace."""
    for workspace in visit.engine.registry.workspaces.values():
        if workspace.id in visit.session.roles:
            return visit.redirect(f"/w/{workspace.slug}")
    return await visit.html("nowhere.html")


async def incident(visit: Visit) -> Response:
    """Lead from the link in a notice to the incident's page."""
    wanted = visit.request.path_params["incident"]
    for workspace in visit.engine.registry.workspaces.values():
        found = workspace.id in visit.session.roles
        if found and await incident_rows.incident(visit.reader, workspace.id, wanted) is not None:
            return visit.redirect(f"/w/{workspace.slug}/incidents/{wanted}")
    raise LuotaError(Code.NOT_FOUND, "There is no such incident, or you are not a member of its workspace.")


async def sign_in_form(visit: Visit) -> Response:
    """Ask for email and password; say so where a form came too late, since it is `undone`.

    An open page that ended comes here: who is signed in goes on to it, or is shown which workspaces are theirs.
    """
    where = same_site_path(visit.query("next") or "/")
    if visit.signed_in:
        return visit.redirect(where) if visit.admitted(where) else await visit.html("nowhere.html")
    return await visit.html("sign-in.html", next=where, email="", error=None, undone=visit.query("undone"))


async def sign_in(visit: Visit) -> Response:
    """Open a session in the place of the one that there is, and go where the visitor was going."""
    form = visit.form
    where, email = same_site_path(form.get("next") or "/"), form.get("email", "")
    try:
        token = await visit.site.auth.sign_in(visit.request.scope, email, form.get("password", ""))
    except LuotaError as error:
        if error.code not in (Code.UNAUTHENTICATED, Code.RATE_LIMITED):
            raise
        status = 401 if error.code is Code.UNAUTHENTICATED else 429
        said = {"error": error.message, "undone": ""}
        page = await visit.html("sign-in.html", status, next=where, email=email[:254], **said)
        if error.retry_after is not None:
            page.headers["retry-after"] = str(error.retry_after)
        return page
    return _signed_in(visit, token, where)


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await visit.site.auth.sign_out(visit.session)
    page = RedirectResponse("/sign-in", status_code=303)
    page.headers["set-cookie"] = visit.site.auth.clear_cookie()
    if visit.site.auth.secure:  # over plain HTTP browsers ignore it, with an error in the console
        page.headers["clear-site-data"] = '"cache", "storage"'
    return page


async def set_up_form(visit: Visit) -> Response:
    """Ask for the first owner, where the one-time link is good."""
    await visit.site.auth.check_link("setup", visit.request.path_params["token"])
    return await visit.html("set-up.html", values={}, errors={})


async def set_up(visit: Visit) -> Response:
    """Make the first owner, and sign them in."""
    auth, form = visit.site.auth, visit.form
    token = visit.request.path_params["token"]
    wrong = refusals(lambda given: parse_user(_given(given)), form, _FINE)
    if wrong:
        return await visit.html("set-up.html", status(wrong), values=form, errors=messages(wrong))
    email, name, _, password = parse_user(_given(form))
    await auth.use_setup_link(visit.request.scope, token, email, name, password)
    return _signed_in(visit, await auth.sign_in(visit.request.scope, email, password), "/")


async def password_form(visit: Visit) -> Response:
    """Ask an invited member for a password, where the one-time link is good."""
    email = await visit.site.auth.check_link("password", visit.request.path_params["token"])
    return await visit.html("password.html", email=email, errors={})


async def password(visit: Visit) -> Response:
    """Set the password that a one-time link is for, and sign the member in."""
    auth, form = visit.site.auth, visit.form
    token = visit.request.path_params["token"]
    email = await auth.check_link("password", token)
    wrong = refusals(_password, form, _FINE)
    if wrong:
        return await visit.html("password.html", status(wrong), email=email, errors=messages(wrong))
    chosen = _password(form)
    await auth.use_password_link(visit.request.scope, token, chosen)
    return _signed_in(visit, await auth.sign_in(visit.request.scope, str(email), chosen), "/")


async def account(visit: Visit) -> Response:
    """Show one's own account."""
    return await visit.html("account.html", errors={}, done=visit.told())


async def change_password(visit: Visit) -> Response:
    """Change one's own password: every other session of the user ends, and this one goes on under a new token."""
    auth, form = visit.site.auth, visit.form
    wrong = refusals(_password, form, _FINE)
    chosen = _password({**form, **{field: _FINE[field] for field in wrong}})
    try:
        hashed = await auth.changed_password(visit.request.scope, visit.session, form.get("current", ""), chosen)
    except LuotaError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise
        wrong = {"current": error, **wrong}
    if wrong:
        return await visit.html("account.html", status(wrong), errors=messages(wrong), done="")
    token = secrets.token_urlsafe(32)
    rotated = visit.session.token_hash, hash_of(token)
    await visit.engine.submit(people.set_password(visit.session.user_id, hashed, visit.actor, rotated))
    said = "The password is changed. Every other session of yours has ended."
    return _signed_in(visit, token, "/account", said)


def _given(form: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key in _FINE if (value := form.get(key, ""))}


def _password(form: Mapping[str, str]) -> str:
    """Return the password that a form chooses."""
    return parse_password(form.get("password"))


def _signed_in(visit: Visit, token: str, where: str, said: str | None = None) -> Response:
    """Go on to `where` in the session of `token`; `said` is told there."""
    page = visit.redirect(where, said=said, session=hash_of(token))
    page.headers["set-cookie"] = visit.site.auth.set_cookie(token)
    return page


PAGES: tuple[Page, ...] = (
    ("GET", "/", "user", front),
    ("GET", "/incidents/{incident}", "user", incident),
    ("GET", "/sign-in", "anyone", sign_in_form),
    ("POST", "/sign-in", "anyone", sign_in),
    ("POST", "/sign-out", "user", sign_out),
    ("GET", "/setup/{token}", "anyone", set_up_form),
    ("POST", "/setup/{token}", "anyone", set_up),
    ("GET", "/password/{token}", "anyone", password_form),
    ("POST", "/password/{token}", "anyone", password),
    ("GET", "/account", "user", account),
    ("POST", "/account", "user", change_password),
)
