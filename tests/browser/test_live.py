"""Pages that are open follow what happens, by the keyboard and in the dark too."""

import json
import re
import time

import pytest
from playwright.async_api import expect

from tests.browser.eyes import TOO_WIDE
from tests.seed import USERS

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONNECTED = "html[data-connected=yes]"


async def test_a_change_is_on_the_open_overview_within_two_seconds_without_a_reload(browse, luota):
    jobs = [await luota.monitor(f"Live {n}", schedule={"every": 3600}) for n in range(3)]
    page = await browse("/w/default?q=live", role="viewer")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.evaluate("window.same = true")
    took = []
    for n, job in enumerate(jobs):
        row = page.locator("[data-row]").filter(has_text=f"Live {n}")
        await expect(row.locator(".state.s-draft")).to_be_visible()
        assert (await luota.ping(job)).status_code == 202
        begin = time.monotonic()
        await expect(row.locator(".state.s-healthy")).to_be_visible()
        took.append(time.monotonic() - begin)
        if took[-1] <= 2:
            break
    assert min(took) <= 2, "a machine that is busy with other things is excused, but not each time"
    assert await page.evaluate("window.same"), "it was loaded again"


async def test_what_happens_while_a_page_is_being_loaded_is_on_it_as_well(browse, luota):
    job = await luota.monitor("In between", schedule={"every": 3600})
    page = await browse("/account", role="viewer", alone=True)

    async def meanwhile(route):
        assert (await luota.ping(job)).status_code == 202
        await route.continue_()

    await page.route("**/stream?*", meanwhile)
    await page.goto("/w/default?q=between")
    await expect(page.locator("[data-row] .state.s-healthy")).to_be_visible()


async def test_the_title_and_the_mark_of_the_tab_tell_of_an_open_incident(browse, luota):
    job = await luota.monitor("Titled job", "run")
    page = await browse("/w/default/audit", role="viewer")
    before = await page.title()
    run = (await luota.run(job, "one")).json()["run"]["id"]
    await page.goto("/w/default")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "broken"})
    count = int(re.match(r"\((\d+)\)", before)[1]) + 1
    await expect(page).to_have_title(re.compile(rf"^\({count}\) "))
    assert "favicon-open" in await page.locator("link[rel=icon]").get_attribute("href")


async def test_a_lost_connection_is_shown_and_clears_when_the_daemon_is_back_with_what_has_changed(browse, luota):
    job = await luota.monitor("Lost and found", schedule={"every": 3600})
    page = await browse("/w/default?q=lost", role="viewer", quiet=False)  # the console tells of refused connections
    await expect(page.locator(CONNECTED)).to_be_attached()
    lost = page.get_by_text("The live connection is lost")
    await expect(lost).to_be_hidden()
    await page.evaluate("window.same = true")
    await luota.terminate()
    try:
        await expect(lost).to_be_visible()
    finally:
        await luota.start()
    await luota.ping(job)
    await expect(lost).to_be_hidden()
    await expect(page.locator("[data-row] .state.s-healthy")).to_be_visible()
    assert await page.evaluate("window.same"), "it was loaded again"


async def test_slash_leads_to_the_search_and_arrows_through_the_monitors(browse):
    page = await browse("/w/default?state=healthy", role="viewer")
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.press("Escape")
    links = page.locator("[data-row] .monitor-name, [data-item] h2 a")
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(0)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(links.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(links.nth(0)).to_be_focused()
    to = await links.nth(0).get_attribute("href")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(re.escape(to) + "$"))


async def test_the_theme_that_was_chosen_stays_on_the_next_page(browse):
    page = await browse("/w/default", role="viewer", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Switch between light and dark").click()
    await expect(page.locator("html[data-theme=dark]")).to_be_attached()
    dark = await page.evaluate(ground)
    assert dark != light
    await page.goto("/w/default/incidents")
    assert await page.evaluate(ground) == dark
    await page.get_by_role("button", name="Switch between light and dark").click()
    await page.reload()
    assert await page.evaluate(ground) == light


async def _broken(luota, job, number):
    """Fail a run, so that an incident opens."""
    run = (await luota.run(job, f"run {number}")).json()["run"]["id"]
    assert (await luota.post(f"/v1/runs/{run}/fail", job, {"summary": "broken"})).status_code == 202


async def _mended(luota, job, number):
    run = (await luota.run(job, f"run {number}")).json()["run"]["id"]
    assert (await luota.post(f"/v1/runs/{run}/success", job)).status_code == 202


async def test_a_row_appears_and_leaves_within_two_seconds_as_it_begins_and_ends_to_fit_the_filter(browse, luota):
    job = await luota.monitor("Comes and goes", "run")
    page = await browse("/w/default?state=incident", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    row = page.locator("[data-row]").filter(has_text="Comes and goes")
    other = page.locator("[data-row]").first
    name = await other.locator(".monitor-name").inner_text()
    await other.get_by_role("checkbox").check()
    await other.locator(".monitor-name").focus()
    await expect(row).to_have_count(0)
    await page.evaluate("window.same = true")
    took = []
    for n in range(3):
        for change, count in ((_broken, 1), (_mended, 0)):
            await change(luota, job, f"{n} {count}")
            begin = time.monotonic()
            await expect(row).to_have_count(count)
            took.append(time.monotonic() - begin)
        if max(took[-2:]) <= 2:
            break
    assert max(took[-2:]) <= 2, f"a machine that is busy with other things is excused, but not each time: {took}"
    assert await page.evaluate("window.same"), "it was loaded again"
    kept = page.locator("[data-row]").filter(has_text=name).first
    await expect(kept.get_by_role("checkbox")).to_be_checked()
    await expect(kept.locator(".monitor-name")).to_be_focused()


async def test_a_row_takes_its_new_place_and_group_by_itself_and_nothing_else_moves(browse, luota):
    jobs = [await luota.monitor(f"Moving {n:02}", "run", tags={"crew": "one"}, owner="Ann") for n in range(30)]
    page = await browse("/w/default?q=moving&group=crew", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.evaluate("window.same = true")
    names = page.locator("[data-row] .monitor-name")
    looked_at = page.locator("[data-row]").filter(has_text="Moving 15")
    await looked_at.get_by_role("checkbox").check()
    await page.evaluate("document.activeElement.blur()")
    await looked_at.evaluate("one => one.scrollIntoView({block: 'center'})")
    place = "one => one.getBoundingClientRect().top"
    before = await looked_at.evaluate(place)
    # What stands first of all that is in view is the one that goes.
    first = await page.evaluate(
        "[...document.querySelectorAll('[data-row]')].findIndex((one) => one.getBoundingClientRect().top >= 0)"
    )
    assert first > 0
    await _broken(luota, jobs[first], "one")
    await expect(names.first).to_have_text(f"Moving {first:02}")
    await expect(names.nth(1)).to_have_text("Moving 00")
    await page.wait_for_timeout(300)
    assert abs(await looked_at.evaluate(place) - before) < 2, "it jumped"
    await luota.api("PATCH", f"/api/monitors/{jobs[3].id}", {"tags": {"crew": "zwei"}})
    await expect(page.locator("li.group").nth(1)).to_have_text("crew: zwei")
    await expect(page.locator("li.group + [data-row]").nth(1)).to_contain_text("Moving 03")
    await expect(looked_at.get_by_role("checkbox")).to_be_checked()
    assert await page.locator("[data-row]:empty").count() == 0
    assert await page.evaluate("window.same"), "it was loaded again"
    # And what is shown is what the server would show: it does not come anew for ever.
    fetched = []
    page.on("response", lambda answer: fetched.append(answer))
    await _mended(luota, jobs[5], "two")
    await expect(page.locator("[data-row]").filter(has_text="Moving 05").locator(".state.s-healthy")).to_have_count(1)
    await luota.api("PATCH", f"/api/monitors/{jobs[7].id}", {"owner": "Bob"})
    await expect(page.locator("[data-row]").filter(has_text="Moving 07")).to_contain_text("Bob")
    assert 'id="rows"' not in await fetched[-1].text()


async def test_the_box_that_ticks_all_that_is_shown_is_there_with_the_script_alone(browse):
    for script in (True, False):
        page = await browse("/w/default", role="operator", quiet=False, java_script_enabled=script)
        await expect(page.get_by_text("All shown")).to_be_visible(visible=script)


@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
async def test_enter_in_the_form_of_the_rows_pauses_nothing_and_in_the_field_of_the_tag_it_tags(browse, luota, script):
    job = await luota.monitor(f"Entered {script}", schedule={"every": 3600})
    page = await browse(f"/w/default?q=entered+{script}", role="operator", quiet=False, java_script_enabled=script)
    box = page.get_by_role("checkbox", name=f"Choose Entered {script}")
    await box.check()
    await box.press("Enter")
    if not script:
        await expect(page.get_by_text("Write the tag as key=value")).to_be_visible()
    await expect(box).to_be_checked()
    assert (await luota.show(job))["status"] == "draft"
    await page.locator("#f-new-tag").fill("shift=night")
    await page.locator("#f-new-tag").press("Enter")
    await expect(page.locator("[data-row] .tag")).to_have_text("shift=night")
    shown = await luota.show(job)
    assert (shown["status"], shown["tags"]) == ("draft", {"shift": "night"})
    assert re.search(rf"/w/default\?q=entered\+{script}(&|#|$)", page.url)


async def test_on_the_narrowest_screen_long_names_and_tags_do_not_widen_the_page(browse, luota):
    page = await browse("/account", role="eve")
    await page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/w/hostile?group=team", "/w/hostile/members"):
        await page.goto(path)
        assert await page.evaluate(TOO_WIDE) == [], path


async def test_the_last_row_that_leaves_makes_room_for_words_and_the_first_that_comes_for_itself(browse, luota):
    job = await luota.monitor("Lonely job", schedule={"every": 3600})
    page = await browse("/w/default?q=lonely&state=healthy", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    none = page.get_by_text("No monitor matches")
    await expect(none).to_be_visible()
    pause = page.get_by_role("button", name="Pause")
    await expect(pause).to_be_hidden()
    assert (await luota.ping(job)).status_code == 202
    await expect(page.locator("[data-row]")).to_have_count(1)
    await expect(none).to_have_count(0)
    await expect(pause).to_be_visible()
    await luota.api("POST", f"/api/monitors/{job.id}/pause", {})
    await expect(page.locator("[data-row]")).to_have_count(0)
    await expect(none).to_be_visible()


async def test_rows_beyond_the_first_piece_are_live_and_nothing_jumps(browse, luota):
    jobs = [
        await luota.monitor(f"Many {n:03}", schedule={"every": 3600}, tags={"many": "yes"}, promise="a line of it")
        for n in range(130)
    ]
    page = await browse("/w/default?tag=many%3Dyes", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    rows = page.locator("[data-row]")
    for count in (100, 130):
        await page.locator("[data-more]").scroll_into_view_if_needed()
        await expect(rows).to_have_count(count)
    one = rows.filter(has_text="Many 100")
    await one.scroll_into_view_if_needed()
    await one.get_by_role("checkbox").check()
    await one.locator(".monitor-name").focus()
    await page.wait_for_timeout(300)
    place = "document.activeElement.getBoundingClientRect().top"
    before = await page.evaluate(place)
    assert (await luota.ping(jobs[100])).status_code == 202
    await expect(one.locator(".state.s-healthy")).to_be_visible()
    await expect(one.get_by_role("checkbox")).to_be_checked()
    await expect(one.locator(".monitor-name")).to_be_focused()
    # One leaves and one comes, far above what is looked at.
    await luota.api("POST", f"/api/monitors/{jobs[3].id}/archive", {})
    await luota.monitor("Many 000 and a half", schedule={"every": 3600}, tags={"many": "yes"}, promise="a line of it")
    await luota.monitor("Many 000 and more", schedule={"every": 3600}, tags={"many": "yes"}, promise="a line of it")
    await expect(rows.filter(has_text="Many 003")).to_have_count(0)
    await expect(rows.filter(has_text="Many 000 and a half")).to_have_count(1)
    await expect(rows.filter(has_text="Many 000 and more")).to_have_count(1)
    await expect(rows).to_have_count(131)
    assert await page.locator("[data-row]:empty").count() == 0
    await expect(one.get_by_role("checkbox")).to_be_checked()
    await expect(one.locator(".monitor-name")).to_be_focused()
    assert abs(await page.evaluate(place) - before) < 2, "it jumped"


async def test_a_page_without_a_stream_says_so_and_looks_by_itself(browse, luota):
    job = await luota.monitor("One too many", schedule={"every": 3600})
    first = await browse("/w/default?q=too+many", role="viewer")
    await expect(first.locator(CONNECTED)).to_be_attached()
    page = await browse("/account", role="viewer", alone=True)
    why = "You have 20 live connections already: this page looks for changes twice a minute."
    told = f"event: full\ndata: {json.dumps({'why': why})}\n\n"

    async def full(route):
        await route.fulfill(content_type="text/event-stream", body=told)

    await page.clock.install()
    await page.route("**/stream?*", full)
    await page.goto("/w/default?q=too+many")
    await expect(page.get_by_text("looks for changes twice a minute")).to_be_visible()
    await luota.ping(job)
    await page.clock.run_for(31_000)
    await expect(page.locator("[data-row] .state.s-healthy")).to_be_visible()
    await page.unroute("**/stream?*")
    await page.clock.run_for(31_000)
    await expect(page.locator(CONNECTED)).to_be_attached()
    await expect(page.get_by_text("looks for changes twice a minute")).to_be_hidden()


@pytest.mark.parametrize("path", ["/w/default?q=by+itself", "/w/default/incidents"])
async def test_what_an_open_page_asks_for_by_itself_is_marked_as_such(browse, luota, path):
    job = await luota.monitor("By itself", "run")
    page = await browse(path, role="viewer")
    await expect(page.locator(CONNECTED)).to_be_attached()
    async with page.expect_request(lambda request: "hx-request" in request.headers) as asked:
        await _broken(luota, job, path)
    assert (await (await asked.value).all_headers())["x-luota-live"] == "1"


async def test_the_list_of_incidents_keeps_the_focus_as_it_grows_and_asks_for_nothing_when_a_job_is_well(browse, luota):
    first, second = await luota.monitor("First to break", "run"), await luota.monitor("Second to break", "run")
    well = await luota.monitor("Well all the time", schedule={"every": 3600})
    await _broken(luota, first, 0)
    page = await browse("/w/default/incidents", role="viewer")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.wait_for_timeout(1500)  # what changed while it was loaded has been asked for
    asked = []
    page.on("request", lambda request: asked.append(request) if "hx-request" in request.headers else None)
    link = page.get_by_role("link", name="First to break failed")
    await link.focus()
    assert (await luota.ping(well)).status_code == 202
    await page.wait_for_timeout(2500)
    assert asked == []
    await _broken(luota, second, 0)
    await expect(page.get_by_role("link", name="Second to break failed")).to_be_visible()
    await expect(link).to_be_focused()


FRAMES = """() => {
  window.unprepared = []; window.frames = 0;
  const look = () => {
    frames++;
    for (const one of document.querySelectorAll("#live [data-copy][hidden], #live time[data-exact]:not([data-local])"))
      unprepared.push(one.outerHTML);
    requestAnimationFrame(look);
  };
  look();
}"""


async def test_no_frame_shows_a_part_that_came_live_before_its_times_and_buttons_are_prepared(browse, luota):
    await luota.monitor("Framed", schedule={"every": 3600})
    page = await browse(f"/w/default/monitors/framed/integration", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.evaluate(FRAMES)
    await page.evaluate("document.querySelector('#live').dataset.old = 'yes'")
    await page.evaluate("htmx.trigger('#live', 'luota:changed')")
    await expect(page.locator("#live[data-old]")).to_have_count(0)
    await expect(page.locator("#live [data-copy]")).to_be_visible()
    await page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")
    assert await page.evaluate("frames") > 3
    assert await page.evaluate("unprepared") == []


async def test_the_page_of_the_channels_offers_another_one_above_them_as_soon_as_there_is_one(browse, luota):
    await luota.api("POST", "/api/workspaces", {"name": "No channels", "slug": "no-channels"})
    who = {"email": USERS["operator"], "role": "operator"}
    await luota.api("POST", "/api/workspaces/no-channels/members", who)
    page = await browse("/w/no-channels/channels", role="operator")
    await expect(page.locator(CONNECTED)).to_be_attached()
    offers = page.get_by_role("link", name="Add a channel")
    await expect(page.locator("#live").get_by_role("link", name="Add a channel")).to_be_visible()
    hook = {"type": "webhook", "name": "first", "url": "https://127.0.0.1:9/hook"}
    made = (await luota.api("POST", "/api/channels?workspace=no-channels", hook))["channel"]["id"]
    await expect(page.get_by_role("link", name="first")).to_be_visible()
    await expect(page.locator(".head").get_by_role("link", name="Add a channel")).to_be_visible()
    await expect(offers).to_have_count(1)
    await luota.api("DELETE", f"/api/channels/{made}?workspace=no-channels")
    await expect(page.locator("#live").get_by_role("link", name="Add a channel")).to_be_visible()
    await expect(offers).to_have_count(1)


async def test_open_lists_of_channels_drills_and_archived_monitors_show_what_is_new(browse, luota):
    old = await luota.monitor("0 newly archived", schedule={"every": 3600})
    pages = {}
    for path in ("channels", "drills", "?state=archived"):
        pages[path] = await browse(f"/w/default/{path}".replace("/?", "?"), role="viewer")
        await expect(pages[path].locator(CONNECTED)).to_be_attached()
        await pages[path].evaluate("window.same = true")
    hook = {"type": "webhook", "name": "newly-added", "url": "https://127.0.0.1:9/hook"}
    made = (await luota.api("POST", "/api/channels", hook))["channel"]["id"]
    await luota.monitor("0 newly made", schedule={"every": 3600})
    await luota.api("POST", f"/api/monitors/{old.id}/archive", {})
    await expect(pages["channels"].get_by_role("link", name="newly-added")).to_be_visible()
    await expect(pages["drills"].get_by_role("link", name="0 newly made")).to_be_visible()
    await expect(pages["drills"].get_by_role("link", name="0 newly archived")).to_have_count(0)
    await expect(pages["?state=archived"].get_by_role("link", name="0 newly archived")).to_be_visible()
    await luota.api("DELETE", f"/api/channels/{made}")
    await expect(pages["channels"].get_by_role("link", name="newly-added")).to_have_count(0)
    for path, page in pages.items():
        assert await page.evaluate("window.same"), path
