"""What a phone shows of an incident, at a glance: what is broken, what was promised, whose it is, since when."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.eyes import PHONE
from tests.process import Job
from tests.seed import USERS

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = "A name which says so much about the job that no phone has room for it, and a list of many has even less of that"
LINES = "one => Math.round(one.clientHeight / parseFloat(getComputedStyle(one).lineHeight))"
TOP = "one => Math.round(one.getBoundingClientRect().top)"
WHOLE = "one => one.scrollWidth <= one.clientWidth + 1 && one.getBoundingClientRect().right <= innerWidth"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def storm(luota):
    """A workspace where seven runs failed, which is one more than are told whole."""
    await luota.api("POST", "/api/workspaces", {"name": "Storm", "slug": "storm"})
    await luota.api("POST", "/api/workspaces/storm/members", {"email": USERS["viewer"], "role": "viewer"})
    for n in range(7):
        doc = {"name": f"{LONG} {n}", "mode": "run", "promise": LONG, "owner": "Ann", "runbook": "https://wiki.example"}
        made = await luota.api("POST", "/api/monitors?workspace=storm", doc)
        job = Job(made["monitor"]["id"], made["token"])
        run = (await luota.run(job, "one")).json()["run"]["id"]
        assert (await luota.post(f"/v1/runs/{run}/fail", job, {"summary": LONG})).status_code == 202


async def test_on_a_phone_in_a_storm_two_lines_tell_what_was_promised_two_what_is_broken_and_one_whose_since_when(
    browse, storm
):
    page = await browse("/w/storm", role="viewer")
    await page.set_viewport_size(PHONE)
    await expect(page.get_by_role("heading", name="7 incidents")).to_be_visible()
    card = page.locator("#human li").first
    assert [await one.evaluate(LINES) for one in await card.locator("p.cut").all()] == [2, 2]
    owner, since = card.get_by_text("Owner: Ann"), card.locator("h2 + .quiet")
    assert await owner.evaluate(TOP) == await since.evaluate(TOP)
    assert await card.get_by_role("link", name="Open the runbook").evaluate(TOP) > await owner.evaluate(TOP)


@pytest.mark.parametrize("path", ["/w/storm", "/w/storm/incidents"])
async def test_a_long_name_is_cut_on_a_phone_and_the_kind_beside_it_never_is(browse, storm, path):
    page = await browse(path, role="viewer")
    await page.set_viewport_size(PHONE)
    link = page.get_by_role("link", name=f"{LONG} 0 failed")
    assert await link.locator(".cut").evaluate("one => one.scrollHeight > one.clientHeight + 1")
    assert await link.locator(".kind").evaluate(WHOLE)
