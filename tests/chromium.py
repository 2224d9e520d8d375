"""One Chromium for all tests of a process that run in the session's event loop."""

import pytest_asyncio

from tests.programs import CHROMIUM, need

LAN = "luota.lan"
"""A name that leads to this machine and is, unlike localhost, no secure context over plain HTTP."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium():
    from playwright.async_api import async_playwright  # which takes time that tests without a browser need not wait

    need("chromium")
    args = ["--no-sandbox", f"--host-resolver-rules=MAP {LAN} 127.0.0.1"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        await browser.close()
