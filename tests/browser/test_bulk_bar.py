"""The bar that acts on the monitors one has chosen: it is in view wherever one ticks, and never lies over the last."""

import pytest
import pytest_asyncio

from tests.browser.eyes import DESKTOP, PHONE

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHERE = "/w/default?tag=many%3Dbarred"
PLACES = """() => {
  const at = (selector) => { const { top, bottom } = document.querySelector(selector).getBoundingClientRect(); return [top, bottom]; };
  return { bar: at("[data-bulk]"), last: at("[data-row]:last-child"), foot: at(".foot"), view: innerHeight };
}"""


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
    places = await page.evaluate(PLACES)
    assert 0 < places["bar"][0] < places["bar"][1] <= places["view"]
    assert places["bar"][1] - places["bar"][0] < places["view"] / 4, "it leaves the list to be seen"
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    places = await page.evaluate(PLACES)
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
