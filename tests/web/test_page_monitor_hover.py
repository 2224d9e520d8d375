"""Exact times of bars and charts in a browser: on hover, by the keys, by a touch."""

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


async def test_a_bar_is_one_stop_of_the_tab_key_and_the_arrows_tell_the_times_of_its_slots(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")
    for number in range(12):
        await job.success(await job.started(f"n-{number}"))
        served.clock.advance(3_600_000)
    zone = {"timezone_id": "Asia/Kathmandu", "locale": "en-GB"}
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default", **zone) as page:
        await page.focus(".monitor-name")
        await page.keyboard.press("Tab")
        for where, drawn in (("/w/default", ".monitor-bar"), (f"{WHERE}/{job.slug}", "#durations")):
            if not page.url.endswith(where):
                await page.goto(served.base + where)
                await page.locator(drawn).focus()
            told = page.locator(f"{drawn}:focus > .tip")
            newest = await told.inner_text()
            assert "29 Apr 2026, 18:" in newest
            assert "UTC" not in newest
            await page.keyboard.press("ArrowRight")
            assert await told.inner_text() == newest, "the newest is the last"
            await page.keyboard.press("ArrowLeft")
            assert "29 Apr 2026, 17:" in await told.inner_text()
            assert await page.get_attribute(drawn, "aria-valuetext") == await told.inner_text()
            assert await page.get_attribute(drawn, "aria-valuenow") == "11"
            await page.keyboard.press("Home")
            assert "29 Apr 2026, 07:" in await told.inner_text()
            await page.keyboard.press("Shift+Tab")
            assert await page.locator(".tip").count() == 0


async def test_a_tap_on_a_slot_tells_its_times_until_one_taps_elsewhere(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")
    await job.success(await job.started())
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default", has_touch=True) as page:
        await page.tap(".monitor-bar .slot")
        assert "2026, 01:33:11" in await page.inner_text(".tip")
        await page.tap("h1")
        assert await page.locator(".tip").count() == 0


@pytest.mark.parametrize("where", ["", "monitors/"])
async def test_who_goes_along_a_bar_stays_there_when_it_is_drawn_anew(served, chromium, where):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")
    for number in range(6):
        await job.success(await job.started(f"n-{number}"))
        served.clock.advance(3_600_000)
    path = f"/w/default/{where}{job.slug if where else ''}".rstrip("/")
    bar = ".bar-big" if where else ".monitor-bar"
    async with tab_of(chromium, served.base, "owner@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.focus(bar)
        for _ in range(3):
            await page.keyboard.press("ArrowLeft")
        told = await page.inner_text(".tip")
        await job.fail(await job.started("last"), {"summary": "it broke"})
        await page.wait_for_selector(f"{bar} .slot-failed")
        await page.wait_for_selector(f"{bar}:focus")
        assert await page.inner_text(".tip") == told


@pytest.mark.parametrize("drawn", ["#bar", "#durations"])
async def test_the_slot_that_one_chose_stays_the_same_one_when_a_newer_one_slides_all_of_them(served, chromium, drawn):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")

    async def ended(number, kind):
        run = await job.started(f"n-{number}")
        await (job.success(run) if kind == "ok" else job.fail(run))
        served.clock.advance(3_600_000)

    for number in range(60 if drawn == "#bar" else 100):  # as many as are drawn at most
        await ended(number, "ok")
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.focus(drawn)
        for _ in range(3):
            await page.keyboard.press("ArrowLeft")
        told, place = await page.inner_text(".tip"), int(await page.get_attribute(drawn, "aria-valuenow"))
        await ended("new", "failed")
        await page.wait_for_selector(f"{drawn} :is(.slot-failed, .chart-bar-failed)")
        await page.wait_for_selector(f"{drawn}:focus")
        assert await page.inner_text(".tip") == told
        assert await page.get_attribute(drawn, "aria-valuenow") == str(place - 1)
