"""A tab of a real browser, on the page of a test's own Luota."""

import contextlib

import pytest_asyncio

from tests.chromium import launched
from tests.served import serving

PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def served(tmp_path):
    """A Luota in the event loop of the session, in which the shared `chromium` is."""
    async with serving(tmp_path / "data") as served:
        yield served


@contextlib.asynccontextmanager
async def tab_of(browser, base, email, path, *, password="correct horse battery", now=None, **options):
    """Sign in by the form and open `path`; the console must stay empty. `now` fixes the clock of the page.

    `options` are those of the browser's context: a phone unless they say otherwise.
    """
    said = []
    context = await browser.new_context(**{"viewport": PHONE, "reduced_motion": "reduce", **options})
    page = await context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    if now is not None:
        await page.clock.set_fixed_time(now)
    await page.goto(f"{base}/sign-in?next={path}")
    await page.fill("#f-email", email)
    await page.fill("#f-password", password)
    await page.click("main button")
    await page.wait_for_url(f"**{path}*")
    yield page
    await context.close()
    assert said == []


@contextlib.asynccontextmanager
async def tab(base, *where, **options):
    """The same in a browser of its own, for a test in an event loop of its own."""
    async with launched() as browser, tab_of(browser, base, *where, **options) as page:
        yield page


async def too_wide(page):
    """Return by how many pixels the page is wider than its screen."""
    return max(0, await page.evaluate("document.documentElement.scrollWidth - innerWidth"))
