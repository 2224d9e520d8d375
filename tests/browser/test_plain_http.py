"""Luota in a network of one's own, over plain HTTP by a name: unlike localhost, that is no secure context."""

import socket

import pytest
from playwright.async_api import expect

from tests.browser.eyes import DESKTOP, new_tab
from tests.chromium import LAN
from tests.process import NO_LIMITS, Daemon
from tests.seed import PASSWORD

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_signing_in_live_changes_and_copying_work_by_a_name_and_the_console_stays_empty(tmp_path, chromium):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base = f"http://{LAN}:{port}"
    settings = NO_LIMITS | {"server.public_url": base}
    async with Daemon(tmp_path / "data", settings, args=["--port", str(port)]) as luota:
        await luota.api(
            "POST",
            "/api/users",
            {"email": "ann@example.org", "name": "Ann Example", "role": "owner", "password": PASSWORD},
        )
        job = await luota.monitor("Nightly backup", slug="nightly-backup", schedule={"every": 3600})
        context = await chromium.new_context(base_url=base, viewport=DESKTOP)
        tab = await new_tab(context, base)
        page = tab.page
        await page.goto("/w/default/monitors/nightly-backup")
        await page.get_by_label("Email").fill("ann@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Waiting for the first signal")).to_be_visible()
        assert not await page.evaluate("isSecureContext")
        await expect(page.get_by_text(base, exact=True)).to_be_visible()
        await (
            page.locator("section", has=page.get_by_role("heading", name="What the job needs"))
            .get_by_role("button", name="Copy")
            .click()
        )
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        await expect(page.locator("html[data-connected=yes]")).to_be_attached()
        assert (await luota.ping(job)).status_code == 202
        await expect(page.locator("#verdict .state.s-healthy")).to_be_visible()
        await page.get_by_role("button", name="Send a test notice").click()
        await expect(page.get_by_text("so nobody would be told")).to_be_visible()
        await page.get_by_text("Ann Example", exact=True).click()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert tab.said == []
        await context.close()
