"""The overview in a browser: what is broken is what one sees and reaches first, and a row that changes shows it."""

import asyncio

import pytest
from playwright.async_api import expect

from luota.web.dashboard.needs import WHOLE
from tests.web.tab import served, tab_of, too_wide

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNCUT = """one => {
  const { left, right, bottom } = one.getBoundingClientRect(), card = one.closest("li").getBoundingClientRect();
  return one.closest(".cut") === null && right - left > 20 && left > card.left && right < card.right && bottom < card.bottom;
}"""
"""Whether all of an element is seen within its card."""
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
    moving = {"reduced_motion": "no-preference"}
    async with tab_of(chromium, served.base, "viewer@example.org", "/w/default", **moving) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await job.fail(await job.started("again"), {"summary": "it broke"})
        row = await page.wait_for_selector(".monitor-open.changed")
        assert await row.evaluate(BEGUN) == [1, True, True]
        red = await row.evaluate("row => getComputedStyle(row).backgroundColor")
        await page.focus(".monitor-name")
        assert await row.evaluate("row => getComputedStyle(row).backgroundColor") == red, "nor does the focus take it"


async def test_what_needs_a_human_leads_to_its_incident_by_its_whole_ground_but_to_its_runbook_by_its_link(
    served, chromium
):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run", runbook="https://wiki.example.org/payroll")
    await job.fail(await job.started(), {"summary": "it broke"})
    under = "one => document.elementFromPoint(one.x + one.width / 2, one.y + one.height / 2).closest('a')?.pathname"
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        assert "/incidents/" in await page.evaluate(
            under, await page.locator(".human li:not(.calm-item)").bounding_box()
        )
        link = page.get_by_role("link", name="Open the runbook")
        assert await page.evaluate(under, await link.bounding_box()) == "/payroll"


async def test_on_a_phone_an_incident_of_many_words_leaves_room_for_the_next_and_says_all_where_it_leads(
    served, chromium
):
    client, _ = await served.sign_in()
    await client.aclose()
    words = {"name": "a long name " * 9, "promise": "It is done by 07:00, " * 9, "owner": "Ann"}
    for n in range(2):
        job = await served.monitor("run", **{**words, "name": f"{n} {words['name']}"})
        await job.fail(await job.started(), {"summary": "it broke, " * 20 + "at the end"})
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        first, second = [await page.locator(".human li").nth(n).bounding_box() for n in range(2)]
        assert first["height"] < 844 / 3
        assert second["y"] + second["height"] < 844
        await page.locator(".human h2 a").first.click()
        assert "at the end" in await page.locator(".why").inner_text()


async def test_on_a_phone_a_long_name_cuts_off_neither_the_kind_nor_its_own_end_in_a_whole_or_a_brief_one(
    served, chromium
):
    client, _ = await served.sign_in()
    await client.aclose()
    for n in range(WHOLE + 1):
        job = await served.monitor("run", name=f"{n} nightly backup of the customer database in eu-west-1")
        await job.fail(await job.started(), {"summary": "it broke"})
    job = await served.monitor("run", name="a long name " * 9)
    await job.fail(await job.started(), {"summary": "it broke"})
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        cut = await page.locator(".human h2 .cut").evaluate_all(
            "all => all.map((one) => one.scrollHeight > one.clientHeight + 1)"
        )
        assert sorted(cut) == [False] * (WHOLE + 2) + [True]  # and that nobody would be told
        assert await page.locator(".human-brief").count() == 2
        for kind in await page.locator(".human .kind").all():
            assert await kind.evaluate(UNCUT), "the kind"
        assert not await too_wide(page)


async def test_while_something_is_broken_no_button_is_louder(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor("run")
    run = await job.started()
    ground = "getComputedStyle(document.querySelector('.head > .button')).backgroundColor"
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        calm = await page.evaluate(ground)
        await job.fail(run, {"summary": "it broke"})
        await page.wait_for_selector(".human li:not(.calm-item)")
        assert await page.evaluate(ground) != calm


MOVED = """() => {
  window.moved = 0;
  const rows = (one) => one.matches?.("[data-row]") ? 1 : one.id === "rows" ? one.children.length : 0;
  new MutationObserver((all) => { for (const { addedNodes } of all) for (const one of addedNodes) moved += rows(one); })
    .observe(document.querySelector("[data-rows]"), { childList: true, subtree: true });
}"""


async def test_of_many_rows_those_alone_are_moved_that_come_to_stand_elsewhere(served, chromium):
    client, csrf = await served.sign_in("operator")
    jobs = [await served.monitor(name=f"job {n:02}") for n in range(20)]
    for job in jobs:
        await job.ping()
    async with tab_of(chromium, served.base, "operator@example.org", "/w/default") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        names = page.locator("[data-row] .monitor-name")
        await page.locator("[data-row] input").nth(15).check()
        await page.evaluate(MOVED)
        for act, place in (("pause", 0), ("resume", 15)):
            served.clock.advance(1_000)
            await client.post(f"/w/default/monitors/{jobs[15].slug}/{act}", data={"csrf": csrf})
            await expect(names.nth(place)).to_have_text("job 15")
            assert await page.locator("[data-row] input").nth(place).is_checked()
        assert await names.all_inner_texts() == [f"job {n:02}" for n in range(20)]
        assert 2 <= await page.evaluate("moved") <= 4
    await client.aclose()


async def test_a_time_that_counts_makes_the_browser_style_no_slot_of_a_bar_anew(served, chromium):
    client, _ = await served.sign_in("viewer")
    await client.aclose()
    for n in range(20):
        await (await served.monitor(name=f"job {n:02}")).ping()
    async with tab_of(chromium, served.base, "viewer@example.org", "/w/default") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        cdp = await chromium.new_browser_cdp_session()
        events, ended = [], asyncio.Event()
        cdp.on("Tracing.dataCollected", lambda piece: events.extend(piece["value"]))
        cdp.on("Tracing.tracingComplete", lambda _: ended.set())
        await cdp.send("Tracing.start", {"categories": "devtools.timeline", "transferMode": "ReportEvents"})
        await page.evaluate("for (const one of document.querySelectorAll('[data-row] time')) one.textContent = 'x'")
        await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await cdp.send("Tracing.end")
        await asyncio.wait_for(ended.wait(), 20)
        await cdp.detach()
        styled = [one["args"].get("elementCount", 0) for one in events if one["name"] == "UpdateLayoutTree"]
        assert styled
        assert max(styled) < 10
