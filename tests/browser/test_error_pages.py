"""The pages of refusals are looked at as all others are."""

import pytest
import pytest_asyncio

from tests.browser.eyes import DESKTOP, new_tab
from tests.process import NO_LIMITS, Daemon
from tests.seed import PASSWORD, USERS

pytestmark = pytest.mark.asyncio(loop_scope="session")
TRIES = 30
"""More wrong passwords than anybody may try."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fresh(tmp_path_factory):
    """A daemon of its own: what is tried here, other tests could not go on after."""
    async with Daemon(tmp_path_factory.mktemp("errors") / "data", NO_LIMITS) as luota:
        for role in ("owner", "viewer"):
            who = {"email": USERS[role], "name": f"{role} of it", "role": role, "password": PASSWORD}
            await luota.api("POST", "/api/users", who)
        await luota.terminate()
        luota.change("UPDATE audit_entries SET detail = 'no JSON'")  # which nothing of Luota's writes
        await luota.start()
        yield luota


async def not_found(luota, page):
    return await page.goto("/w/default/nothing-is-here")


async def of_no_workspace(luota, page):
    return await page.goto("/w/nothing-is-here")


async def not_allowed(luota, page):
    return await page.goto("/w/default/monitors/new")


async def too_many_tries(luota, page):
    await page.goto("/account")
    form = {"csrf": await page.locator("form[action='/account'] [name=csrf]").input_value(), "password": PASSWORD}
    headers = {"origin": f"http://127.0.0.1:{luota.port}"}
    for _ in range(TRIES):
        tried = await page.context.request.post("/account", form=form | {"current": "wrong horse"}, headers=headers)
        if tried.status == 429:
            break
    await page.get_by_label("Present password").fill("wrong horse battery")
    await page.get_by_label("New password").fill(PASSWORD)
    async with page.expect_navigation() as going:
        await page.get_by_role("button", name="Change the password").click()
    return await going.value


async def a_defect(luota, page):
    return await page.goto("/w/default/audit")


@pytest.mark.parametrize(
    ("role", "refused", "status", "heading"),
    [
        ("owner", not_found, 404, "Not found"),
        ("owner", of_no_workspace, 404, "Not found"),
        (None, not_found, 404, "Not found"),
        ("viewer", not_allowed, 403, "Not allowed"),
        ("owner", a_defect, 500, "Luota failed here"),
        ("viewer", too_many_tries, 429, "Too many tries"),
    ],
)
async def test_a_refusal_has_a_page_that_axe_finds_nothing_serious_on_and_a_phone_suffices_for(
    fresh, chromium, axe, role, refused, status, heading
):
    base = f"http://127.0.0.1:{fresh.port}"
    context = await chromium.new_context(base_url=base, viewport=DESKTOP)
    if role:
        form = {"email": USERS[role], "password": PASSWORD}
        await context.request.post("/sign-in", form=form, headers={"origin": base})
    tab = await new_tab(context, base)
    answer = await refused(fresh, tab.page)
    assert answer.status == status
    assert await tab.page.get_by_role("heading", level=1).inner_text() == heading
    assert await tab.faults(axe) == []
    await context.close()
