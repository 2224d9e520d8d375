"""Every page there is, with real ids. They are enumerated from the table of routes: a new one is looked at by itself."""

import asyncio
import itertools
import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from luota.core.roles import allows
from luota.web.dashboard import PAGES
from tests.browser.eyes import DESKTOP, PHONE, new_tab
from tests.seed import drill

pytestmark = pytest.mark.asyncio(loop_scope="session")
NO_PAGES = {
    "/w/{workspace}/rows",
    "/w/{workspace}/monitors/preview",
    "/stream",
    "/w/{workspace}/incidents/{incident}/packet.json",
    "/w/{workspace}/incidents/{incident}/packet.md",
}
"""Answers to scripts, and files."""
ELSEWHERE = {"/setup/{token}"}
"""Only a fresh Luota has it: test_first_run.py."""
NEEDED = {path: needed for method, path, needed, _ in PAGES if method == "GET" and path not in NO_PAGES | ELSEWHERE}
OF_A_WORKSPACE = [path for path in NEEDED if "{workspace}" in path]
VARIANTS = {
    "/w/{workspace}": ["", "?group=team", "?q=nothing-is-called-so"],
    "/w/{workspace}/channels/new": ["", "?type=email", "?type=slack", "?type=webhook", "?type=apprise"],
    "/w/{workspace}/monitors/new": ["", "?template=heartbeat", "?template=report", "?template=freshness"],
}
MOST = {"/w/{workspace}/monitors/{monitor}": 5, "/w/{workspace}/incidents/{incident}": 3}
"""How many things of a kind are looked at, where not 2."""

CHANGES = "form[method=post], [hx-post], [hx-put], [hx-patch], [hx-delete], [formaction], [formmethod=post]"
"""What changes something, if it is used."""


async def invite(page, workspace, email):
    """Make somebody a member on the page of the members; return the token of the link for their password."""
    await page.goto(f"/w/{workspace}/members")
    await page.fill("#f-email", email)
    await page.click("text=Add the member")
    return (await page.locator("main [role=status] code").inner_text()).rpartition("/")[2]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ids(luota, visitor):
    """What each workspace holds, by the name that paths have for it."""
    await asyncio.gather(drill(luota, "nightly-backup", "missed"), drill(luota, "hostile-run", "dead_route", "hostile"))
    found = {}
    for slug, owner in (("default", "owner"), ("hostile", "eve")):

        def of(rows, order, slug=slug):
            sql = (
                f"SELECT one.id FROM {rows} JOIN workspaces w ON w.id = workspace_id WHERE w.slug = ? ORDER BY {order}"
            )
            return [row[0] for row in luota.rows(sql, slug)]

        monitors = (await luota.api("GET", f"/api/monitors?workspace={slug}"))["monitors"]
        found[slug] = {
            "workspace": [slug],
            "monitor": [one["slug"] for one in monitors],
            "incident": of("incidents one", "one.state = 'resolved', one.state, one.opened_at DESC"),
            "channel": [one["id"] for one in (await luota.api("GET", f"/api/channels?workspace={slug}"))["channels"]],
            "drill": of("drills one", "one.started_at"),
            "run": of("runs one JOIN monitors m ON m.id = monitor_id", "one.started_at DESC"),
            "token": [await invite((await visitor(owner)).page, slug, f"new@{slug}.example.org")],
        }
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visitor(chromium, luota, signed_in):
    """A function that returns the tab of who looks at all pages: `owner`, `viewer`, `eve`, or None for a stranger."""
    tabs = {}

    async def visitor(role):
        if role not in tabs:
            base = f"http://127.0.0.1:{luota.port}"
            state = None if role is None else await signed_in(role)
            tabs[role] = await new_tab(await chromium.new_context(base_url=base, storage_state=state), base)
        return tabs[role]

    yield visitor
    for tab in tabs.values():
        await tab.page.context.close()


def filled(path, known):
    """Return the addresses of a page: its path with real ids, and with what is asked for beyond."""
    named = re.findall(r"\{(\w+)\}", path)
    missing = [name for name in named if not known[name]]
    assert not missing, f"{path} cannot be looked at: tests/seed.py leaves none of {missing}"
    filled = [
        path.format(**dict(zip(named, values, strict=True)))
        for values in itertools.product(*(known[name][: MOST.get(path, 2)] for name in named))
    ]
    return [one + more for one in filled for more in VARIANTS.get(path, [""])]


async def looked_at(visitor, path, known, who, size):
    """Open each address of a page as somebody, and yield the tab once its script is at work."""
    tab = await visitor(None if NEEDED[path] == "anyone" else who)
    for address in filled(path, known):
        tab.said.clear()
        await tab.page.set_viewport_size(size)
        await tab.page.emulate_media(color_scheme="light")
        answer = await tab.page.goto(address)
        assert answer.status == 200, address
        if await tab.page.locator("main[data-stream]").count():
            await expect(tab.page.locator("html[data-connected=yes]")).to_be_attached()
        yield address, tab


@pytest.mark.parametrize("path", NEEDED)
async def test_axe_finds_nothing_serious_in_light_and_dark_a_phone_suffices_and_the_console_stays_empty(
    path, ids, visitor, axe
):
    found = []
    async for address, tab in looked_at(visitor, path, ids["default"], "owner", DESKTOP):
        found += [f"{address} light: {one}" for one in await tab.violations(axe)]
        await tab.page.emulate_media(color_scheme="dark")
        await tab.page.set_viewport_size(PHONE)
        found += [f"{address} dark: {one}" for one in await tab.violations(axe, ("color-contrast",))]
        found += [f"{address} on a phone: {one}" for one in await tab.too_wide()]
        found += [f"{address}: {one}" for one in tab.said]
    assert found == []


UNFOCUSED = """async () => {
  for (const one of document.querySelectorAll("[data-live] details")) one.open = true;
  const all = () => [...document.querySelectorAll("[data-live] :is(a[href], button, input, select, textarea, summary, [tabindex])")];
  const lost = [], seen = {};
  for (let place = 0; place < all().length; place++) {
    const one = all()[place];
    const kind = `${one.tagName}.${one.className} of ${one.parentElement.tagName}.${one.parentElement.className}`;
    if ((seen[kind] = (seen[kind] ?? 0) + 1) > 2) continue;
    one.focus();
    if (document.activeElement !== one) continue;  // what cannot have it, such as a hidden field
    const swapped = new Promise((done) => document.addEventListener("htmx:afterSettle", () => setTimeout(done), { once: true }));
    htmx.trigger(one.closest("[data-live]"), "luota:changed");
    await swapped;
    if (document.activeElement !== all()[place]) lost.push(one.outerHTML.slice(0, 200));
  }
  return lost;
}"""
"""Draws the live parts of a page anew with the focus on two things of each kind in turn; returns what has lost it."""


@pytest.mark.parametrize("path", OF_A_WORKSPACE)
async def test_whatever_has_the_focus_keeps_it_as_a_live_part_is_drawn_anew(path, ids, visitor):
    lost = []
    async for address, tab in looked_at(visitor, path, ids["default"], "owner", DESKTOP):
        lost += [f"{address}: {one}" for one in await tab.page.evaluate(UNFOCUSED)]
    assert lost == []


@pytest.mark.parametrize("path", NEEDED)
async def test_nothing_that_a_job_or_a_person_wrote_is_active(path, ids, visitor):
    found = []
    async for address, tab in looked_at(visitor, path, ids["hostile"], "eve", PHONE):
        found += [f"{address}: {one}" for one in [*await tab.aliens(), *await tab.too_wide(), *tab.said]]
        await tab.page.set_viewport_size(DESKTOP)
        found += [f"{address} on a desktop: {one}" for one in await tab.too_wide()]
    assert found == []


@pytest.mark.parametrize("path", [path for path in OF_A_WORKSPACE if allows("viewer", NEEDED[path])])
async def test_a_viewer_is_offered_no_change_and_no_token(path, ids, visitor):
    closed = [_pattern(page) for page, needed in NEEDED.items() if needed in ("operator", "owner")]
    found = []
    async for address, tab in looked_at(visitor, path, ids["default"], "viewer", DESKTOP):
        main = tab.page.locator("main")
        found += [f"{address}: {await one.evaluate('e => e.outerHTML')}" for one in await main.locator(CHANGES).all()]
        for href in await tab.page.evaluate("[...document.links].map((one) => one.pathname)"):
            if any(page.fullmatch(href) for page in closed):
                found.append(f"{address}: leads to {href}")
        assert not re.search(r"wfm1\.|wfws1\.", await tab.page.content()), address
    assert found == []


def _pattern(path):
    return re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
