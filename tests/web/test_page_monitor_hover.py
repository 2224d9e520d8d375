"""Exact times on hover over bars and charts, in a browser."""

import pytest

from tests.web.monitor_page import WHERE
from tests.web.tab import served, tab_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_one_points_at_in_a_bar_or_a_chart_tells_its_times_in_the_zone_of_the_viewer(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run", maxRuntimeSeconds=60)
    run = await job.started()
    served.clock.advance(40_000)
    await job.success(run)
    where, zone = f"{WHERE}/{job.slug}", {"timezone_id": "Asia/Kathmandu", "locale": "en-GB"}
    async with tab_of(chromium, served.base, "owner@example.org", where, **zone) as page:
        for drawn in (".bar-big .slot", ".chart-bar"):
            title = f"{drawn} title"
            assert "2026-04-29 01:33:11 UTC" in await page.text_content(title)
            await page.hover(drawn)
            assert "29 Apr 2026, 07:18:11 GMT+5:45" in await page.text_content(title)
            assert "UTC" not in await page.text_content(title)


async def test_no_sentence_ends_in_two_stops_where_a_time_ends_in_one(served, chromium):
    client, _ = await served.sign_in(email="stops@example.org")
    await client.aclose()
    job = await served.monitor("run")
    await job.success(await job.started())
    where = f"{WHERE}/{job.slug}"
    for locale, said in (("en-CA", "01:33:11 am."), ("es-CO", "01:33:11 am."), ("en-GB", "01:33:11.")):
        at = {"timezone_id": "UTC", "locale": locale}
        async with tab_of(chromium, served.base, "stops@example.org", where, **at) as page:
            text = (await page.inner_text(".why")).replace("\u202f", " ").replace("\u00a0", " ")
            assert text.endswith(said), text
