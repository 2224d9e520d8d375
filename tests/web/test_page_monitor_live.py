"""The monitor page in a browser."""

import pytest

from tests.web.monitor_page import WHERE
from tests.web.tab import served, tab_of, too_wide

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_follows_live_while_what_is_typed_and_open_stays(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run", promise="It is done.")
    run = await job.started()
    await job.fail(run, {"summary": "boom"})
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.click("#slots summary")
        await page.fill("#f-reason", "I am looking")
        again = await job.started("job-43", {"payload": {"long": "x" * 30_000}})
        await page.wait_for_selector(f'#events-head ~ table a[href$="{again}"]')
        assert await page.input_value("#f-reason") == "I am looking"
        assert await page.evaluate("document.activeElement.id") == "f-reason"
        assert await page.evaluate("document.getElementById('slots').open")
        assert not await too_wide(page)
        served.clock.advance(60_000)
        await job.success(again)
        await page.wait_for_selector("#verdict .s-healthy")
        assert await page.query_selector("#f-reason") is None
