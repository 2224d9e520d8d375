"""The integration tab in a browser."""

import pytest

from tests.web.tab import served, tab_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHERE = "/w/default/monitors"


async def test_the_page_turns_green_by_itself_when_the_first_signal_arrives(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor()
    async with tab_of(
        chromium,
        served.base,
        "owner@example.org",
        f"{WHERE}/{job.slug}/integration",
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.click("#values [data-copy]")
        await page.wait_for_selector("#values button:has-text('Copied')")
        assert await page.evaluate("navigator.clipboard.readText()") == job.token
        await job.ping()
        await page.wait_for_selector("#arrival.arrival-green")
        await page.wait_for_selector("text=The proof path from here")
