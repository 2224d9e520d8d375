"""What is shown only after something was done: looked at as all pages are."""

import pytest

from tests.browser.eyes import DESKTOP, new_tab
from tests.seed import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def an_account_that_exists(luota, page):
    await luota.api("POST", "/api/workspaces", {"name": "Elsewhere", "slug": "elsewhere"})
    known = {"email": "dora@example.org", "role": "viewer", "password": PASSWORD}
    await luota.api("POST", "/api/users?workspace=elsewhere", known)
    await page.goto("/w/default/members")
    await page.get_by_label("Email").fill("dora@example.org")
    await page.get_by_role("button", name="Add the member").click()
    return "dora@example.org has an account already"


async def a_wrong_member(luota, page):
    await page.goto("/w/default/members")
    await page.get_by_label("Email").fill("ann@example.org")
    await page.get_by_role("button", name="Add the member").click()
    return "There is a problem"


async def a_link_for_a_password(luota, page):
    await page.goto("/w/default/members")
    await page.get_by_role("button", name="Password link for Vic Example").click()
    return "chooses a password here"


async def a_wrong_password(luota, page):
    await page.context.clear_cookies()
    await page.goto("/sign-in")
    await page.get_by_label("Email").fill("ann@example.org")
    await page.get_by_label("Password").fill("wrong horse battery")
    await page.get_by_role("button", name="Sign in").click()
    return "Email or password is wrong"


async def a_test_notice(luota, page):
    await page.goto("/w/default/monitors/nightly-backup")
    await page.get_by_role("button", name="Send a test notice").click()
    return "night-shift delivered"


async def an_archived_monitor(luota, page):
    job = await luota.monitor("Put away", slug="put-away", schedule={"every": 3600})
    await luota.ping(job)
    await page.goto("/w/default/monitors/put-away")
    await page.get_by_text("Archive the monitor…").click()
    await page.get_by_role("button", name="Archive").click()
    return "its signals are refused from now on"


async def several_chosen(luota, page):
    await page.goto("/w/default")
    for box in await page.get_by_role("checkbox", name="Choose").all():
        await box.check()
    return "A tag is key=value"


async def a_wrong_tag(luota, page):
    await several_chosen(luota, page)
    await page.get_by_label("Tag", exact=True).last.fill("no tag")
    await page.get_by_role("button", name="Tag", exact=True).last.click()
    return "Write the tag as key=value"


@pytest.mark.parametrize(
    "done",
    [
        an_account_that_exists,
        a_wrong_member,
        a_link_for_a_password,
        a_wrong_password,
        a_test_notice,
        an_archived_monitor,
        several_chosen,
        a_wrong_tag,
    ],
    ids=lambda done: done.__name__,
)
async def test_axe_finds_nothing_serious_in_what_is_shown_then_and_a_phone_suffices(
    luota, chromium, signed_in, axe, done
):
    base = f"http://127.0.0.1:{luota.port}"
    context = await chromium.new_context(base_url=base, storage_state=await signed_in("owner"), viewport=DESKTOP)
    tab = await new_tab(context, base)
    shown = await done(luota, tab.page)
    await tab.page.get_by_text(shown).first.wait_for()
    assert await tab.faults(axe) == []
    await context.close()
