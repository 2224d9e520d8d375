"""A tab of a real browser, on the page of a test's own Luota."""

import contextlib

from playwright.async_api import async_playwright

from tests.programs import CHROMIUM, need

PHONE = {"width": 390, "height": 844}


@contextlib.asynccontextmanager
async def tab(base, email, path, *, password="correct horse battery", now=None, timeout_ms=30_000, **options):
    """Sign in by the form and open `path`; the console must stay empty. `now` fixes the clock of the page.

    `options` are those of the browser's context: a phone unless they say otherwise.
    """
    need("chromium")
    said = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(**{"viewport": PHONE, **options})
        page = await context.new_page()
        page.set_default_timeout(timeout_ms)
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
        await browser.close()
    assert said == []


async def too_wide(page):
    """Return by how many pixels the page is wider than its screen."""
    return max(0, await page.evaluate("document.documentElement.scrollWidth - innerWidth"))
