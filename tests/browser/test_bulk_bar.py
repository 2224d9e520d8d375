"""The bar that acts on the monitors one has chosen: it is in view wherever one ticks, and never lies over the last."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.eyes import DESKTOP, PHONE

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHERE = "/w/default?tag=many%3Dbarred"
PLACES = """() => {
  const at = (selector) => { const { top, bottom } = document.querySelector(selector).getBoundingClientRect(); return [top, bottom]; };
  return { bar: at("[data-bulk]"), last: at("[data-row]:last-child"), foot: at(".foot"), view: innerHeight };
}"""


async def _settled(page):
    """Return where things are, once two looks agree: the browser moves what sticks only when it draws again."""
    places = None
    while places != (places := await page.evaluate(PLACES)):
        await page.wait_for_timeout(50)
    return places


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def many(luota):
    for number in range(25):
        await luota.monitor(f"Barred {number:02}", schedule={"every": 3600}, tags={"many": "barred"})


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_it_is_in_view_once_something_is_chosen_and_does_not_cover_the_last_row(browse, many, size, script):
    page = await browse(WHERE, role="operator", java_script_enabled=script)
    await page.set_viewport_size(size)
    places = await page.evaluate(PLACES)
    assert places["bar"][0] > places["view"], "it is where the list ends"
    await page.get_by_role("checkbox", name="Choose Barred 00").check()
    places = await _settled(page)
    assert 0 < places["bar"][0] < places["bar"][1] <= places["view"]
    assert places["bar"][1] - places["bar"][0] < places["view"] / 4, "it leaves the list to be seen"
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    places = await _settled(page)
    assert places["last"][1] <= places["bar"][0]
    assert places["bar"][1] <= places["foot"][0]


async def test_what_has_the_focus_is_not_below_it(browse, many):
    page = await browse(WHERE, role="operator")
    await page.set_viewport_size(PHONE)
    await page.get_by_role("checkbox", name="Choose Barred 00").check()
    for _ in range(30):
        await page.keyboard.press("Tab")
        focused = await page.evaluate("document.activeElement.getBoundingClientRect().bottom")
        if await page.evaluate("document.activeElement.closest('[data-bulk]') !== null"):
            break
        assert focused <= (await page.evaluate(PLACES))["bar"][0] + 1


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
async def test_what_was_done_is_in_view_where_one_was(browse, many, script):
    page = await browse(WHERE, role="operator", java_script_enabled=script)
    box = page.get_by_role("checkbox", name="Choose Barred 24")
    await box.scroll_into_view_if_needed()
    await box.check()
    before = await page.evaluate("scrollY")
    await page.get_by_role("button", name="Pause").click()
    said = page.get_by_text("Paused 1 monitor: Barred 24.")
    await expect(said).to_be_in_viewport()
    assert before > 300
    if script:
        assert abs(await page.evaluate("scrollY") - before) < 5
        assert page.url.endswith(WHERE)
    else:
        assert await page.evaluate("scrollY") > 100
    await page.get_by_role("checkbox", name="Choose Barred 24").check()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_text("Resumed 1 monitor: Barred 24.")).to_be_in_viewport()


async def test_all_shown_is_ticked_while_each_row_is(browse, many):
    page = await browse(WHERE, role="operator", quiet=False)  # the console tells of what is refused
    every = page.get_by_role("checkbox", name="All shown")
    await every.check()
    await page.get_by_label("Tag", exact=True).last.fill("night")
    await page.get_by_role("button", name="Tag").click()
    await expect(page.locator("#e-bulk")).to_be_visible()
    await expect(every).to_be_checked()
    await page.get_by_role("checkbox", name="Choose Barred 00").uncheck()
    await expect(every).not_to_be_checked()


async def test_rows_of_who_may_choose_none_have_no_column_for_it(browse, many):
    page = await browse(WHERE, role="viewer")
    await page.set_viewport_size(PHONE)
    left = await page.evaluate(
        "() => { const row = document.querySelector('[data-row]'); "
        "return row.querySelector('.monitor-name').getBoundingClientRect().left - row.getBoundingClientRect().left; }"
    )
    assert left <= 20
