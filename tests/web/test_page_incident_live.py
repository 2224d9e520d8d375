"""The incident page in a browser: it follows what happens, and tells times as one reads them."""

import pytest

from tests.web.incident_page import failed
from tests.web.tab import served, tab_of, too_wide

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_typed_stays_while_the_page_follows_what_happens_on_a_phone(served, chromium):
    signed_in, csrf = await served.sign_in("operator")
    job, path = await failed(served, {"summary": "s" * 240, "output": "x" * 30_000}, name="n" * 100)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        assert await page.locator("#acknowledge button").bounding_box()
        await page.fill("#f-reason", "half a sen")
        await page.click("#add-note summary")
        await page.fill("#f-text", "a long no")
        await page.click("#resolve summary")
        await page.fill("#f-resolve", "perhaps")
        await signed_in.post(f"{path}/note", data={"csrf": csrf, "text": "from elsewhere"})
        await page.wait_for_selector(".timeline >> text=from elsewhere")
        given = [await page.input_value(field) for field in ("#f-reason", "#f-text", "#f-resolve")]
        assert given == ["half a sen", "a long no", "perhaps"]
        served.clock.advance(1000)
        await job.success(await job.started("pay-3"))
        await page.wait_for_selector("#verdict >> text=failed, resolved")
        assert await page.locator("#acknowledge").count() == 0
        assert await page.input_value("#f-text") == "a long no"
        for ending in ("", "/print"):
            await page.goto(served.base + path + ending)
            assert not await too_wide(page), ending
    await signed_in.aclose()


async def test_what_was_just_done_stays_in_its_place_while_the_page_follows_what_happens(served, chromium):
    signed_in, csrf = await served.sign_in("operator")
    _, path = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.click("#add-note summary")
        await page.fill("#f-text", "the disk")
        await page.click("#note button")
        await page.wait_for_selector("#done:focus >> text=The note is on the timeline.")
        await page.wait_for_selector("html[data-connected=yes]")
        before = await page.locator("#verdict").bounding_box()
        await signed_in.post(f"{path}/note", data={"csrf": csrf, "text": "from elsewhere"})
        await page.wait_for_selector(".timeline >> text=from elsewhere")
        assert await page.locator("#done:focus").count() == 1
        assert await page.locator("#verdict").bounding_box() == before
    await signed_in.aclose()


async def test_a_note_on_what_was_done_is_over_once_the_incident_is_in_another_state(served, chromium):
    client, csrf = await served.sign_in("operator")
    job, path = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.fill("#f-reason", "the disk")
        await page.get_by_role("button", name="Acknowledge").click()
        note = page.get_by_text("Acknowledged. It clears itself on recovery.")
        await page.wait_for_selector("html[data-connected=yes]")
        await client.post(f"{path}/note", data={"csrf": csrf, "text": "from elsewhere"})
        await page.wait_for_selector(".timeline >> text=from elsewhere")
        assert await note.is_visible()
        served.clock.advance(1000)
        await job.success(await job.started("pay-3"))
        await page.wait_for_selector("#verdict >> text=failed, resolved")
        assert not await note.is_visible()
    await client.aclose()


async def test_a_reason_that_is_being_written_is_kept_as_a_note_when_somebody_else_acknowledges_first(served, chromium):
    client, csrf = await served.sign_in("operator")
    _, path = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        assert not await page.locator("#unsent").is_visible()
        await page.fill("#f-reason", "the disk is on order")
        await client.post(f"{path}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("#unsent >> text=The incident changed while you were writing")
        assert await page.locator("#f-reason").count() == 0
        assert await page.input_value("#f-unsent") == "the disk is on order"
        await client.post(f"{path}/note", data={"csrf": csrf, "text": "from elsewhere"})
        await page.wait_for_selector(".timeline >> text=from elsewhere")
        assert await page.locator("#f-unsent:focus").input_value() == "the disk is on order"
        await page.get_by_role("button", name="Add the note").first.click()
        await page.wait_for_selector(".timeline >> text=the disk is on order")
    await client.aclose()


async def test_a_form_that_is_empty_leaves_nothing_to_send_when_it_goes(served, chromium):
    client, csrf = await served.sign_in("operator")
    _, path = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.fill("#f-reason", " ")
        await client.post(f"{path}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("#taken")
        assert not await page.locator("#unsent").is_visible()
    await client.aclose()


async def test_on_a_phone_who_was_told_stands_before_what_may_be_long(served, chromium):
    client, _ = await served.sign_in("viewer")
    await client.aclose()
    _, path = await failed(served, {"summary": "x", "output": "a line of the output\n" * 400})
    async with tab_of(chromium, served.base, "viewer@example.org", path) as page:
        changed, told, output, timeline = [
            (await page.locator(one).bounding_box())["y"]
            for one in ("#changed-head", "#told-head", ".output >> nth=0", "#timeline")
        ]
        assert changed < told < output < timeline
        assert (await page.locator(".output").first.bounding_box())["height"] < 844 / 3
        await page.set_viewport_size({"width": 1280, "height": 900})
        tops = [(await page.locator(one).bounding_box())["y"] for one in ("#expected-head", "#told-head")]
        assert tops[0] == tops[1]


@pytest.mark.parametrize(
    ("today", "shown"),
    [
        ("2026-04-29T18:00Z", "05:34:51"),
        ("2026-06-01T18:00Z", "29 Apr, 05:34:51"),
        ("2027-01-01T18:00Z", "29 Apr 2026, 05:34:51"),
    ],
)
async def test_times_are_as_short_as_the_day_allows_and_exact_on_hover_and_on_paper(served, chromium, today, shown):
    _, path = await failed(served)
    exact = "29 Apr 2026, 05:34:51 GMT+3"
    client, _ = await served.sign_in("viewer")
    async with tab_of(
        chromium, served.base, "viewer@example.org", path, now=today, timezone_id="Europe/Helsinki", locale="en-GB"
    ) as page:
        time = page.locator(".timeline time").first
        await page.wait_for_selector(".timeline time[data-local]")
        assert await time.text_content() == shown
        assert await time.get_attribute("title") == f"{exact} (2026-04-29 02:34:51 UTC)"
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert await time.text_content() == exact
        assert await page.locator(".since time").text_content() == exact
        await page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert await time.text_content() == shown
        await client.aclose()


async def test_an_instant_at_a_full_minute_is_told_with_its_seconds(served, chromium):
    served.clock.advance(8602)
    _, path = await failed(served)
    client, _ = await served.sign_in("viewer")
    await client.aclose()
    where = (chromium, served.base, "viewer@example.org", path)
    async with tab_of(*where, now="2026-04-29T18:00Z", timezone_id="UTC", locale="en-GB") as page:
        time = page.locator(".timeline time").first
        await page.wait_for_selector(".timeline time[data-local]")
        assert await time.text_content() == "02:35:00"
        assert await time.get_attribute("title") == "29 Apr 2026, 02:35:00 GMT+0 (2026-04-29 02:35:00 UTC)"
