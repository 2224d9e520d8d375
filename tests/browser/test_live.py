"""Pages that are open follow what happens, by the keyboard and in the dark too."""

import re
import time

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONNECTED = "html[data-connected=yes]"


async def test_a_change_is_on_the_open_overview_within_two_seconds_without_a_reload(browse, luota):
    jobs = [await luota.monitor(f"Live {n}", schedule={"every": 3600}) for n in range(3)]
    page = await browse("/w/default?q=live", role="viewer")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.evaluate("window.same = true")
    took = []
    for n, job in enumerate(jobs):
        row = page.locator("[data-row]").filter(has_text=f"Live {n}")
        await expect(row.locator(".state.s-draft")).to_be_visible()
        assert (await luota.ping(job)).status_code == 202
        begin = time.monotonic()
        await expect(row.locator(".state.s-healthy")).to_be_visible()
        took.append(time.monotonic() - begin)
        if took[-1] <= 2:
            break
    assert min(took) <= 2, "a machine that is busy with other things is excused, but not each time"
    assert await page.evaluate("window.same"), "it was loaded again"


async def test_what_happens_while_a_page_is_being_loaded_is_on_it_as_well(browse, luota):
    job = await luota.monitor("In between", schedule={"every": 3600})
    page = await browse("/account", role="viewer")

    async def meanwhile(route):
        assert (await luota.ping(job)).status_code == 202
        await route.continue_()

    await page.route("**/stream?*", meanwhile)
    await page.goto("/w/default?q=between")
    await expect(page.locator("[data-row] .state.s-healthy")).to_be_visible()


async def test_the_title_and_the_mark_of_the_tab_tell_of_an_open_incident(browse, luota):
    job = await luota.monitor("Titled job", "run")
    page = await browse("/w/default/audit", role="viewer")
    before = await page.title()
    run = (await luota.run(job, "one")).json()["run"]["id"]
    await page.goto("/w/default")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "broken"})
    count = int(re.match(r"\((\d+)\)", before)[1]) + 1
    await expect(page).to_have_title(re.compile(rf"^\({count}\) "))
    assert "favicon-open" in await page.locator("link[rel=icon]").get_attribute("href")


async def test_a_lost_connection_is_shown_and_clears_when_the_daemon_is_back_with_what_has_changed(browse, luota):
    job = await luota.monitor("Lost and found", schedule={"every": 3600})
    page = await browse("/w/default?q=lost", role="viewer", quiet=False)  # the console tells of refused connections
    await expect(page.locator(CONNECTED)).to_be_attached()
    lost = page.get_by_text("The live connection is lost")
    await expect(lost).to_be_hidden()
    await page.evaluate("window.same = true")
    await luota.terminate()
    try:
        await expect(lost).to_be_visible()
    finally:
        await luota.start()
    await luota.ping(job)
    await expect(lost).to_be_hidden()
    await expect(page.locator("[data-row] .state.s-healthy")).to_be_visible()
    assert await page.evaluate("window.same"), "it was loaded again"


async def test_slash_leads_to_the_search_and_arrows_through_the_monitors(browse):
    page = await browse("/w/default?state=healthy", role="viewer")
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.press("Escape")
    links = page.locator("[data-row] .monitor-name, [data-item] a")
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(0)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(links.nth(0)).to_be_focused()
    to = await links.nth(0).get_attribute("href")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(re.escape(to) + "$"))


async def test_the_theme_that_was_chosen_stays_on_the_next_page(browse):
    page = await browse("/w/default", role="viewer", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Switch between light and dark").click()
    await expect(page.locator("html[data-theme=dark]")).to_be_attached()
    dark = await page.evaluate(ground)
    assert dark != light
    await page.goto("/w/default/incidents")
    assert await page.evaluate(ground) == dark
    await page.get_by_role("button", name="Switch between light and dark").click()
    await page.reload()
    assert await page.evaluate(ground) == light
