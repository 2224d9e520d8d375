"""The first run, and the ways in and out."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.browser.eyes import PHONE, new_tab
from tests.process import Daemon
from tests.seed import PASSWORD, USERS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def logged_link(luota):
    """The link, which is logged once the daemon is ready."""
    async with asyncio.timeout(20):
        while (said := re.search(r"create the first owner here, within 24 h: (\S+)", luota.log)) is None:
            await asyncio.sleep(0.02)
    return said[1]


async def test_the_link_that_serve_logs_makes_the_first_owner_once(tmp_path, chromium, axe):
    async with Daemon(tmp_path / "data") as luota:
        link = await logged_link(luota)
        context = await chromium.new_context(viewport=PHONE)
        tab = await new_tab(context, f"http://127.0.0.1:{luota.port}")
        page = tab.page
        await page.goto(link)
        assert await tab.too_wide() + await tab.aliens() + await tab.violations(axe) == []
        await page.emulate_media(color_scheme="dark")
        assert await tab.violations(axe, ("color-contrast",)) == []
        await page.get_by_label("Email").fill("ann")
        await page.get_by_label("Password").fill("short")
        await page.get_by_role("button", name="Create the owner").click()
        await expect(page.get_by_role("alert").locator("li")).to_have_count(2)
        assert ["status of 400" in one for one in tab.said] == [True], "the console of Chromium tells it"
        tab.said.clear()
        await page.get_by_label("Email").fill("ann@example.org")
        await page.get_by_label("Name").fill("Ann Example")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create the owner").click()
        await expect(page.get_by_role("heading", name="No monitors yet")).to_be_visible()
        await expect(page.get_by_role("link", name="Create the first monitor")).to_be_visible()
        assert tab.said == []
        assert (await page.goto(link)).status in (403, 404, 410)
        await context.close()


async def test_signing_in_says_what_is_wrong_leads_back_to_the_page_asked_for_and_ends_with_signing_out(browse):
    page = await browse("/w/default/audit", role=None, quiet=False)  # the console tells of the status 401
    await page.get_by_label("Email").fill(USERS["viewer"])
    await page.get_by_label("Password").fill("wrong horse battery")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("password")
    assert await page.get_by_label("Email").input_value() == USERS["viewer"]
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile("/w/default/audit$"))
    await page.get_by_text("Vic Example", exact=True).click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(re.compile("/sign-in$"))
    await page.goto("/w/default")
    await expect(page).to_have_url(re.compile("/sign-in"))


async def test_an_invited_member_chooses_a_password_by_the_link_and_is_in(browse):
    page = await browse("/w/default/members")
    await page.get_by_label("Email").fill("zoe@example.org")
    await page.get_by_role("button", name="Add the member").click()
    link = await page.locator("main [role=status] code").inner_text()
    guest = await browse(link, role=None)
    await guest.get_by_label("Password").fill(PASSWORD)
    await guest.get_by_role("button", name="Set the password").click()
    await expect(guest.locator("html[data-connected=yes]")).to_be_attached()
    await expect(guest.get_by_text("zoe", exact=True)).to_be_visible()
