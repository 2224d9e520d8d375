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


async def test_of_many_events_a_phone_shows_the_newest_until_all_are_asked_for(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor()
    for _ in range(12):
        await job.ping()
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        shown, all_of_them = page.locator(".events tbody tr:visible"), page.locator("#all-events summary")
        assert await shown.count() == 8
        await all_of_them.click()
        assert await shown.count() == 12
        await all_of_them.click()
        await page.set_viewport_size({"width": 1280, "height": 900})
        assert await shown.count() == 12
        assert not await all_of_them.is_visible()


async def test_a_note_on_what_was_done_is_over_once_somebody_else_has_undone_it_and_nothing_jumps(served, chromium):
    client, csrf = await served.sign_in()
    job = await served.monitor()
    await job.ping()
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.get_by_role("button", name="Pause").click()
        note = page.get_by_text("Paused.", exact=True)
        await page.wait_for_selector("html[data-connected=yes]")
        before = await page.locator("#verdict").bounding_box()
        await job.ping()  # what changes no state leaves it
        await page.wait_for_selector(".events tbody tr:nth-child(2)")
        assert await note.is_visible()
        await client.post(f"{WHERE}/{job.slug}/resume", data={"csrf": csrf})
        await page.wait_for_selector("#verdict .s-healthy")
        assert not await note.is_visible()
        assert (await page.locator("#verdict").bounding_box())["y"] == before["y"]
    await client.aclose()


async def test_a_reload_after_a_test_notice_sends_no_other(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    made = {"type": "webhook", "name": "desk", "url": "https://desk.example.org"}
    await served.api("POST", "/api/channels", made)
    job = await served.monitor()
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.get_by_role("button", name="Send a test notice").click()
        await page.wait_for_selector("#tested")
        sent = served.rows("SELECT id FROM deliveries")
        assert len(sent) == 1
        await page.reload()
        await page.wait_for_selector("#verdict")
        assert served.rows("SELECT id FROM deliveries") == sent


async def test_what_was_being_written_stays_when_somebody_else_acts_on_the_incident_first(served, chromium):
    client, csrf = await served.sign_in()
    job = await served.monitor("run")
    await job.fail(await job.started(), {"summary": "boom"})
    incident = (await job.shown())["incidentId"]
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.click("details.act summary")
        await page.fill("#f-resolve", "it was a dr")
        await page.fill("#f-reason", "the disk is on or")
        await client.post(f"{INCIDENTS}/{incident}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("text=Acknowledged by")
        assert await page.input_value("#f-resolve") == "it was a dr"
        assert await page.locator("details.act[open]").count() == 1
        assert await page.input_value("#f-unsent") == "the disk is on or"
        assert await page.locator("#f-unsent:focus").count() == 1
        assert await page.get_attribute("#unsent", "action") == f"{INCIDENTS}/{incident}/note"
        assert not await too_wide(page)
        await page.keyboard.type("der")
        served.clock.advance(1000)
        await job.success(await job.started("job-43"))
        await page.wait_for_selector("#verdict .s-healthy")
        assert await page.input_value("#f-unsent") == "the disk is on order\nit was a dr"
        await page.get_by_role("button", name="Add the note").click()
        await page.wait_for_selector("#done >> text=The note is on the timeline.")
        kept = served.row("SELECT text FROM incident_events WHERE type = 'note'")[0]
        assert kept == "the disk is on order\nit was a dr"
    await client.aclose()
