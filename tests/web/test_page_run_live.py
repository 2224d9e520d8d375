"""The page of a run in a browser."""

import pytest

from tests.web.reading import pre
from tests.web.tab import served, tab_of, too_wide

pytestmark = pytest.mark.asyncio(loop_scope="session")
WHERE = "/w/default/runs"


async def test_output_of_32_kib_is_whole_and_does_not_widen_a_phone(served, chromium):
    client, _ = await served.sign_in("viewer")
    job = await served.monitor("run")
    long = "x" * (32 * 1024)
    run = await job.started(
        "y" * 200, {"host": "h" * 200, "tags": {"k" * 40: "v" * 120}, "payload": {"p" * 900: long[:30_000]}}
    )
    await job.fail(run, {"summary": "s" * 240, "output": long})
    assert pre(await client.get(f"{WHERE}/{run}"), "Output of the run") == long
    async with tab_of(chromium, served.base, "viewer@example.org", f"{WHERE}/{run}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        for path in (f"{WHERE}/{run}", f"/w/default/monitors/{job.id}"):
            await page.goto(served.base + path)
            assert not await too_wide(page), path
    await client.aclose()
