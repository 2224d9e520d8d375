"""The monitor page in a browser."""

import pytest

from tests.web.monitor_page import WHERE
from tests.web.tab import served, tab_of, too_wide

INCIDENTS = "/w/default/incidents"
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


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, {"width": 390, "height": 844}])
async def test_the_reason_to_resolve_by_hand_stands_right_over_its_field(served, chromium, viewport):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")
    await job.fail(await job.started(), {"summary": "boom"})
    incident = (await job.shown())["incidentId"]
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default", viewport=viewport) as page:
        for path, opens in (
            (f"{WHERE}/{job.slug}", "details.act summary"),
            (f"{INCIDENTS}/{incident}", "#resolve summary"),
        ):
            await page.goto(served.base + path)
            await page.click(opens)
            label, field = [await page.locator(one).bounding_box() for one in ("label[for=f-resolve]", "#f-resolve")]
            assert label["x"] == field["x"], path
            assert 0 <= field["y"] - label["y"] - label["height"] < 8, path


@pytest.mark.parametrize("mode", ["heartbeat", "run", "freshness"])
@pytest.mark.parametrize("signals", [0, 1, 11])
async def test_the_main_column_of_a_young_monitor_is_as_long_as_the_one_beside_it(served, chromium, mode, signals):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor(mode)
    for number in range(signals):
        await (job.success(await job.started(f"n-{number}")) if mode == "run" else job.ping())
    desktop = {"width": 1280, "height": 900}
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}", viewport=desktop) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        main, side = [
            await page.locator(f"#live > .columns > :nth-child({n}) > :last-child").bounding_box() for n in (1, 2)
        ]
        empty = side["y"] + side["height"] - main["y"] - main["height"]
        assert empty < 150
