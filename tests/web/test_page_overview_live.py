"""The overview in a browser: a row that changes shows it, and looks no calmer for it."""

import pytest

from tests.web.tab import served, tab_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEGUN = """row => {
  const begun = row.getAnimations();
  for (const one of begun) { one.pause(); one.currentTime = 0; }
  const { backgroundColor, boxShadow } = getComputedStyle(row);
  for (const one of begun) one.finish();
  return [begun.length, backgroundColor === getComputedStyle(row).backgroundColor, boxShadow !== "none"];
}"""


async def test_the_flash_of_a_row_that_became_an_incident_leaves_it_its_red_ground(served, chromium):
    client, _ = await served.sign_in("viewer")
    await client.aclose()
    job = await served.monitor("run")
    await job.success(await job.started())
    async with tab_of(chromium, served.base, "viewer@example.org", "/w/default") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await job.fail(await job.started("again"), {"summary": "it broke"})
        row = await page.wait_for_selector(".monitor-open.changed")
        assert await row.evaluate(BEGUN) == [1, True, True]
        red = await row.evaluate("row => getComputedStyle(row).backgroundColor")
        await page.focus(".monitor-name")
        assert await row.evaluate("row => getComputedStyle(row).backgroundColor") == red, "nor does the focus take it"
