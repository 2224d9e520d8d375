"""An open page that is cut off without a word says so where one looks, and finds back by itself."""

import asyncio
import os
import re
import signal
import time

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.eyes import PHONE, new_tab
from tests.process import NO_LIMITS, Daemon
from tests.seed import PASSWORD, USERS

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONNECTED = "html[data-connected=yes]"
WATCHED = """() => {
  const lost = document.getElementById("lost");
  window.seen = [];
  new MutationObserver(() => window.seen.push(lost.hidden)).observe(lost, { attributeFilter: ["hidden"] });
}"""
"""Notes from now on each time that the words about a lost connection come and go."""
IN_VIEW = """one => {
  const { top, bottom, left, right } = one.getBoundingClientRect();
  const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return top >= 0 && bottom <= innerHeight && one.contains(there);
}"""
CONTRAST = """one => {
  const bright = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
    .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [.2126, .7152, .0722][place], 0);
  const { color, backgroundColor } = getComputedStyle(one);
  const [light, dark] = [bright(color), bright(backgroundColor)].sort((a, b) => b - a);
  return (light + .05) / (dark + .05);
}"""
"""The contrast of an element's text (WCAG 2.2), which axe does not judge of what sticks above other things."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def halting(tmp_path_factory):
    """A daemon of its own, with more monitors than a screen has room for: others could not go on while it is stopped."""
    async with Daemon(tmp_path_factory.mktemp("cut") / "data", NO_LIMITS) as luota:
        for role in ("owner", "operator"):
            who = {"email": USERS[role], "name": f"{role} of it", "role": role, "password": PASSWORD}
            await luota.api("POST", "/api/users", who)
        luota.jobs = [await luota.monitor(f"Job {n:02}", schedule={"every": 3600}) for n in range(30)]
        yield luota


@pytest_asyncio.fixture(loop_scope="session")
async def look(chromium, halting):
    """A function that opens a page of it on a phone."""
    contexts = []
    base = f"http://127.0.0.1:{halting.port}"

    async def look(path="/w/default", role="operator", *, clock=False, alone=False):
        context = await chromium.new_context(base_url=base, viewport=PHONE)
        contexts.append(context)
        form = {"email": USERS[role], "password": PASSWORD}
        answer = await context.request.post("/sign-in", form=form, headers={"origin": base}, max_redirects=0)
        assert answer.status == 303, await answer.text()
        page = (await new_tab(context, base, alone=alone or clock)).page
        if clock:
            await page.clock.install()
        await page.goto(path)
        await expect(page.locator(CONNECTED)).to_be_attached()
        await page.evaluate(WATCHED)
        return page

    yield look
    for context in contexts:
        await context.close()


async def test_a_daemon_that_stands_still_is_shown_in_view_within_ten_seconds_and_what_it_did_since_once_it_goes_on(
    halting, look
):
    page, opened = await look(), []
    page.on("request", lambda request: opened.append(request) if "/stream" in request.url else None)
    await page.wait_for_timeout(11_000)
    assert (await page.evaluate("window.seen"), opened) == ([], []), "nothing happens, and that is well"
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    lost = page.locator("#lost")
    os.kill(halting.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        await expect(lost).to_be_visible()
        took = time.monotonic() - began
        assert await lost.evaluate(IN_VIEW)
        assert await page.evaluate("scrollY") > 1000
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await lost.evaluate(CONTRAST) >= 4.5, scheme
    finally:
        os.kill(halting.pid, signal.SIGCONT)
    assert took < 11, "ten seconds, and one for a machine that is busy"
    assert (await halting.ping(halting.jobs[0])).status_code == 202
    await expect(lost).to_be_hidden()
    await expect(page.locator("[data-row]").filter(has_text="Job 00").locator(".state.s-healthy")).to_be_visible()
    assert await page.evaluate("window.seen") == [False, True]


async def test_a_page_that_was_cut_off_for_minutes_opens_one_stream_when_the_daemon_goes_on(halting, look):
    page = await look(clock=True)
    lost = page.locator("#lost")
    os.kill(halting.pid, signal.SIGSTOP)
    try:
        await page.clock.run_for(600_000)
        await expect(lost).to_contain_text("The live connection is lost")
    finally:
        os.kill(halting.pid, signal.SIGCONT)
    await expect(lost).to_be_hidden()
    await expect(page.locator(CONNECTED)).to_be_attached()


async def test_what_is_asked_for_when_the_line_is_cut_is_asked_for_again(halting, look):
    page = await look(clock=True)
    swallowed = []

    async def swallow_one(route):
        if swallowed:
            await route.continue_()
        swallowed.append(route)

    await page.route("**/rows?*", swallow_one)
    async with page.expect_request("**/rows?*"):
        assert (await halting.ping(halting.jobs[1])).status_code == 202
    os.kill(halting.pid, signal.SIGSTOP)
    try:
        await page.clock.run_for(12_000)
        await expect(page.locator("#lost")).to_be_visible()
    finally:
        os.kill(halting.pid, signal.SIGCONT)
    await expect(page.locator("[data-row]").filter(has_text="Job 01").locator(".state.s-healthy")).to_be_visible()


LOST = {
    "refused": lambda route: route.fulfill(status=503),
    "cut": lambda route: route.abort(),
    "never answered": lambda route: None,
}


@pytest.mark.parametrize("lost", LOST.values(), ids=LOST)
async def test_what_is_refused_or_lost_while_the_stream_lives_is_told_and_asked_for_again(halting, look, lost):
    page = await look()
    await page.wait_for_timeout(2_000)  # what changed while it was loaded has been asked for
    await page.route("**/rows?*", lost, times=1)
    assert (await halting.ping(halting.jobs[3])).status_code == 202
    shown = await halting.show(halting.jobs[3])
    await expect(page.locator("#lost")).to_be_visible()
    row = page.locator("[data-row]").filter(has_text="Job 03")
    await expect(row.locator(f".monitor-facts time[datetime='{shown['lastSignalAt']}']")).to_be_visible()
    await expect(page.locator("#lost")).to_be_hidden()
    await expect(page.locator(CONNECTED)).to_be_attached()


async def test_a_laptop_that_slept_connects_anew_and_looks_at_once_without_a_word_of_loss(halting, look):
    page = await look(clock=True)
    await page.wait_for_timeout(2_000)  # what changed while it was loaded has been asked for
    async with page.expect_request("**/stream?*"), page.expect_request("**/rows?*"):
        await page.clock.fast_forward(3_600_000)
    await expect(page.locator(CONNECTED)).to_be_attached()
    await page.wait_for_timeout(1_000)
    assert await page.evaluate("window.seen") == []


async def test_a_tab_in_the_background_is_not_lost_and_comes_back_up_to_date(halting, look):
    page = await look(clock=True)
    hidden = "state => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => state }); document.dispatchEvent(new Event('visibilitychange')); }"
    await page.evaluate(hidden, True)
    assert (await halting.ping(halting.jobs[2])).status_code == 202
    for _ in range(3):
        async with page.expect_request("**/stream?*"):
            await page.clock.run_for(15_500)
        await page.wait_for_timeout(500)
    assert await page.evaluate("window.seen") == []
    async with page.expect_request("**/stream?*"):
        await page.evaluate(hidden, False)
    await expect(page.locator("[data-row]").filter(has_text="Job 02").locator(".state.s-healthy")).to_be_visible()
    assert await page.evaluate("window.seen") == []


@pytest.mark.parametrize("path", ["/w/default", "/w/default/monitors/job-05"])
async def test_an_open_page_follows_the_role_of_who_looks_at_it_within_two_seconds(halting, look, path):
    page = await look(path)
    user = next(u["id"] for u in (await halting.api("GET", "/api/users"))["users"] if u["email"] == USERS["operator"])
    controls = page.locator("main").get_by_role("button", name="Pause")
    await expect(controls.first).to_be_visible()
    for role, count in (("viewer", 0), ("operator", 1)):
        await expect(page.locator(CONNECTED)).to_be_attached()
        await halting.api("POST", f"/api/users/{user}/role", {"role": role})
        began = time.monotonic()
        await expect(controls).to_have_count(count)
        took = time.monotonic() - began
        assert took < 2, role


async def test_a_page_that_was_open_when_its_visitor_signed_in_anew_stays_and_its_forms_are_taken(halting, look):
    page = await look("/w/default/monitors/job-06")
    other = await page.context.new_page()
    await other.goto("/account")
    await other.get_by_title(USERS["operator"]).click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fw%2Fdefault%2Fmonitors%2Fjob-06$"))
    for one in (other, page):  # the second is signed in already, and its page does not know
        await one.get_by_label("Email").fill(USERS["operator"])
        await one.get_by_label("Password").fill(PASSWORD)
        await one.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile("/w/default/monitors/job-06$"))
    await expect(other).to_have_url(re.compile("/w/default$"))
    for one in (page, other):
        await expect(one.locator(CONNECTED)).to_be_attached()
    await other.goto("/w/default/monitors/job-07")
    await other.locator("main").get_by_role("button", name="Pause").click()
    await expect(other.locator(".state.s-paused").first).to_be_visible()


async def signed_out_untold(page):
    await page.route("**/stream?*", lambda route: route.abort())
    # What it asks for as it begins has come: a late answer would lead away before anything is done.
    await page.reload(wait_until="networkidle")
    await page.context.clear_cookies()


async def test_a_page_that_asks_for_a_part_after_signing_out_elsewhere_leads_to_the_sign_in_and_back(halting, look):
    page = await look("/w/default/monitors/new?template=heartbeat", alone=True)
    await signed_out_untold(page)
    await page.get_by_label("Name", exact=True).fill("Nightly")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("Email").fill(USERS["operator"])
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile(r"/w/default/monitors/new\?template=heartbeat$"))


async def test_a_form_sent_after_signing_out_elsewhere_leads_to_the_sign_in_with_why_and_back(halting, look):
    page = await look("/w/default/monitors/job-08", alone=True)
    await signed_out_untold(page)
    await page.locator("main").get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("You were signed out before this arrived: nothing was changed")).to_be_visible()
    await page.get_by_label("Email").fill(USERS["operator"])
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(re.compile("/w/default/monitors/job-08$"))
    assert (await halting.show(halting.jobs[8]))["status"] == "draft"


async def test_who_signs_out_here_is_not_led_back_by_the_stream_that_ends_with_it(halting, look):
    page = await look("/w/default/incidents")

    async def slowly(route):
        answer = await route.fetch(max_redirects=0)
        await asyncio.sleep(1.5)  # the stream has ended long before
        await route.fulfill(response=answer)

    await page.route("**/sign-out", slowly)
    await page.get_by_title(USERS["operator"]).click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.url.endswith("/sign-in")
