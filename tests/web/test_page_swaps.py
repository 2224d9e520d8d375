"""Live pages in a browser: what one looks at stays where it is while parts are drawn anew around it."""

import pytest

from tests.web.incident_page import failed
from tests.web.monitor_page import WHERE
from tests.web.tab import served, tab_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
TOP = "one => one.getBoundingClientRect().top"


async def look_at(page, what, top=60):
    """Scroll so that an element, on which nothing is focused, stands `top` pixels below the edge of the screen."""
    await page.wait_for_selector("html[data-connected=yes]")
    await page.evaluate(
        "([what, top]) => scrollBy(0, document.querySelector(what).getBoundingClientRect().top - top)", [what, top]
    )
    assert await page.evaluate("scrollY") > 0
    # Else the browser's own anchoring, which not all have, hides what ours does not do.
    await page.evaluate("document.documentElement.style.overflowAnchor = 'none'")
    return await page.locator(what).evaluate(TOP)


async def test_what_one_reads_on_the_page_of_a_monitor_stays_as_a_run_starts_and_an_incident_opens(served, chromium):
    client, csrf = await served.sign_in("operator")
    job = await served.monitor("run", schedule={"every": 3600})
    await job.success(await job.started())
    async with tab_of(chromium, served.base, "operator@example.org", f"{WHERE}/{job.slug}") as page:
        before = await look_at(page, "#proof-head")
        served.clock.advance(1000)
        run = await job.started("second")
        await page.wait_for_selector("text=must end")
        assert abs(await page.locator("#proof-head").evaluate(TOP) - before) < 1
        await job.fail(run, {"summary": "it broke " * 20})
        await page.wait_for_selector("#verdict .s-incident")
        assert abs(await page.locator("#proof-head").evaluate(TOP) - before) < 1
        assert await page.evaluate("document.activeElement === document.body")
    await client.aclose()


async def test_an_event_that_one_reads_stays_as_a_newer_one_comes_before_it(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    job = await served.monitor()
    for _ in range(6):
        await job.ping()
    async with tab_of(chromium, served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        row = await page.locator(".events tbody tr").nth(2).get_attribute("id")
        before = await look_at(page, f'[id="{row}"]', 5)
        await job.ping()
        await page.wait_for_selector(f'tr:nth-child(4)[id="{row}"]')
        assert abs(await page.locator(f'[id="{row}"]').evaluate(TOP) - before) < 1


async def test_the_timeline_stays_where_it_is_as_somebody_acknowledges(served, chromium):
    client, csrf = await served.sign_in("operator")
    _, path = await failed(served, {"summary": "boom", "output": "a line\n" * 30})
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        before = await look_at(page, "#timeline")
        await client.post(f"{path}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("#taken", state="attached")
        assert abs(await page.locator("#timeline").evaluate(TOP) - before) < 1
    await client.aclose()


async def test_what_is_being_written_stays_under_the_hands_as_it_becomes_a_note(served, chromium):
    client, csrf = await served.sign_in("operator")
    _, path = await failed(served, {"summary": "boom", "output": "a line\n" * 30})
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await look_at(page, "#f-reason", 100)
        await page.focus("#f-reason")
        await page.keyboard.type("the disk is on or")
        before = await page.locator("#f-reason").evaluate(TOP)
        await client.post(f"{path}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("#taken", state="attached")
        await page.keyboard.type("der")
        assert await page.locator("#f-unsent:focus").input_value() == "the disk is on order"
        assert abs(await page.locator("#f-unsent").evaluate(TOP) - before) < 1
    await client.aclose()


async def test_a_link_that_has_the_focus_keeps_it_as_what_was_typed_elsewhere_becomes_a_note(served, chromium):
    client, csrf = await served.sign_in("operator")
    _, path = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.fill("#f-reason", "the disk is on order")
        for _ in range(4):  # past its button, "Add a note…" and "Resolve by hand…"
            await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Markdown"
        await page.evaluate("document.activeElement.dataset.old = 1")
        await client.post(f"{path}/acknowledge", data={"csrf": csrf, "reason": "mine"})
        await page.wait_for_selector("#taken", state="attached")
        assert await page.input_value("#f-unsent") == "the disk is on order"
        assert await page.evaluate("document.activeElement.textContent") == "Markdown"
        assert not await page.evaluate("document.activeElement.dataset.old"), "it was drawn anew"
    await client.aclose()


async def test_what_is_being_written_goes_on_as_a_note_where_another_incident_has_a_field_alike(served, chromium):
    client, _ = await served.sign_in("operator")
    await client.aclose()
    job, _ = await failed(served)
    async with tab_of(chromium, served.base, "operator@example.org", f"/w/default/monitors/{job.slug}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.focus("#f-reason")
        await page.keyboard.type("the disk is on or")
        old = await page.get_attribute("form:has(#f-reason)", "action")
        await page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        served.clock.advance(1000)
        await job.success(await job.started("well"))
        served.clock.advance(1000)
        await job.fail(await job.started("again"), {"summary": "once more"})
        await page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        await page.wait_for_selector(f'form:has(#f-reason):not([action="{old}"])')
        await page.keyboard.type("der")
        assert await page.locator("#f-unsent:focus").input_value() == "the disk is on order"
        assert await page.input_value("#f-reason") == ""


async def test_keys_go_from_incident_to_incident_and_on_to_the_monitors_past_what_else_is_linked(served, chromium):
    client, _ = await served.sign_in()
    await client.aclose()
    jobs = [await served.monitor("run", name=f"job {n}", runbook="https://wiki.example.org/x") for n in range(2)]
    for job in jobs:
        await job.fail(await job.started(), {"summary": "it broke"})
        served.clock.advance(1000)
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        reached = []
        for _ in range(5):
            await page.keyboard.press("j")
            reached.append(await page.evaluate("document.activeElement.textContent"))
        assert reached == ["job 1 failed", "job 0 failed", "Nobody would be told", "job 0", "job 1"]
        await page.keyboard.press("k")
        assert await page.evaluate("document.activeElement.textContent") == "job 0"


@pytest.mark.parametrize("inside", ["input", ".tag", ".monitor-bar"])
@pytest.mark.parametrize(("keys", "reached"), [(("j", "ArrowDown"), "job 2"), (("k", "ArrowUp"), "job 0")])
async def test_keys_go_on_from_the_row_in_which_the_focus_is(served, chromium, inside, keys, reached):
    client, _ = await served.sign_in()
    await client.aclose()
    for n in range(3):
        await (await served.monitor(name=f"job {n}", tags={"team": "data"})).ping()
    async with tab_of(chromium, served.base, "owner@example.org", "/w/default") as page:
        for key in keys:
            await page.locator("[data-row]", has_text="job 1").locator(inside).focus()
            await page.keyboard.press(key)
            assert await page.evaluate("document.activeElement.textContent") == reached, key


async def test_keys_go_from_archived_monitor_to_archived_monitor(served, chromium):
    client, _ = await served.sign_in("viewer")
    await client.aclose()
    for n in range(2):
        job = await served.monitor(name=f"job {n}")
        await served.api("POST", f"/api/monitors/{job.id}/archive", {})
        served.clock.advance(1000)
    async with tab_of(chromium, served.base, "viewer@example.org", "/w/default?state=archived") as page:
        for key, reached in (("j", "job 1"), ("j", "job 0"), ("k", "job 1")):
            await page.keyboard.press(key)
            assert await page.evaluate("document.activeElement.textContent") == reached
