"""The eyes with which all other pages are looked at see what is wrong."""

import pytest

from tests.browser.eyes import PHONE, new_tab

pytestmark = pytest.mark.asyncio(loop_scope="session")
BAD = """<!doctype html><html lang="en"><title>x</title><main>
<img src="/x.png"><p onclick="alert(1)">x</p><a href="javascript:x">x</a><script>console.log("said")</script>
<form action="https://evil.example/"><input></form><a href="https://evil.example/">x</a>
<p id="pale">pale</p><div id="wide">wide</div></main>"""


async def test_what_is_active_wide_pale_or_loud_is_seen(chromium, axe):
    context = await chromium.new_context(viewport=PHONE)
    tab = await new_tab(context, "http://127.0.0.1:9")

    async def bad(route):
        await route.fulfill(body=BAD, content_type="text/html")

    await tab.page.route("**/bad", bad)
    await tab.page.goto("http://127.0.0.1:9/bad")
    await tab.page.evaluate(
        "wide.style.width = '900px'; pale.style.color = '#eee'; fetch('http://127.0.0.2:9/').catch(() => {})"
    )
    await tab.page.evaluate("alert('asked')")
    aliens = " ".join(await tab.aliens())
    for what in (
        "element <img",
        "attribute onclick",
        "attribute href=javascript",
        "script <script",
        "attribute action=",
    ):
        assert what in aliens, what
    assert "link to https://evil.example/" in aliens
    assert "wider than the screen" in await tab.too_wide()
    violations = " ".join(await tab.violations(axe))
    for what in ("color-contrast", "image-alt", "label"):
        assert what in violations, what
    said = " ".join(tab.said)
    for what in ("console: said", "elsewhere: http://127.0.0.2:9/", "dialog: asked", "failed: "):
        assert what in said, what
    await context.close()
