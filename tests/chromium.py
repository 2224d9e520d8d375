"""Debian's Chromium: one for all tests of a process that run in the session's event loop, and ones of their own."""

import contextlib

import pytest_asyncio

from tests.programs import browser

LAN = "luota.lan"
"""A name that leads to this machine and is, unlike localhost, no secure context over plain HTTP."""


@contextlib.asynccontextmanager
async def launched():
    """A browser."""
    from playwright.async_api import async_playwright  # which takes time that tests without a browser need not wait

    # Nothing here has a screen: without --disable-gpu a process draws as a graphics card would.
    args = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {LAN} 127.0.0.1"]
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=browser(), args=args) as one,
    ):
        yield one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium():
    async with launched() as one:
        yield one
