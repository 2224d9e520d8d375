"""Pictures of every page, in both themes and two sizes, of a workspace with a past.

python -m tests.shots [--out screenshots] [PART-OF-A-PATH …]

The pages are those of the table of routes, as in tests/browser/test_pages.py, each with one real id; with them the first run of
a fresh Luota, and a page that is not there.
"""

import argparse
import asyncio
import re
import tempfile
from pathlib import Path

from tests.browser.eyes import DESKTOP, PHONE
from tests.browser.test_first_run import logged_link
from tests.browser.test_pages import NEEDED, VARIANTS, invite
from tests.chromium import launched
from tests.process import NO_LIMITS, Daemon
from tests.receiver import Receiver
from tests.seed import PASSWORD, USERS, drill, seed

MORE = {"/w/{workspace}/monitors/new": ["?template=run", "?template=entitlement", "?template=output"]}
"""Variants that differ by little but their words, which no test looks at."""


async def shoot(out, parts):
    """Take the pictures of the pages whose path has one of `parts` in it; of all, without any."""
    with tempfile.TemporaryDirectory() as place:
        data_dir = Path(place) / "data"
        async with Receiver() as hook:
            await seed(data_dir, hook.url, hostile=False)
            fresh = Daemon(Path(place) / "fresh", NO_LIMITS)
            async with Daemon(data_dir, NO_LIMITS) as luota, fresh, launched() as browser:
                known = await _known(luota)
                first_run = await logged_link(fresh)
                for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
                    for theme in ("light", "dark"):
                        how = {
                            "viewport": viewport,
                            "color_scheme": theme,
                            "base_url": f"http://127.0.0.1:{luota.port}",
                        }
                        await _theme(browser, how, out, f"{size}.{theme}", known, parts, first_run)


async def _known(luota):
    await drill(luota, "nightly-backup", "missed")
    incidents = (await luota.api("GET", "/api/incidents"))["incidents"]
    ((run,),) = luota.rows(
        "SELECT id FROM runs WHERE external_run_id LIKE 'payroll-%' ORDER BY started_at DESC LIMIT 1"
    )
    return {
        "workspace": "default",
        "monitor": "payroll-export",
        "incident": next(one["id"] for one in incidents if one["kind"] == "failed" and one["state"] == "open"),
        "channel": (await luota.api("GET", "/api/channels"))["channels"][0]["id"],
        "drill": luota.rows("SELECT id FROM drills")[0][0],
        "run": run,
    }


async def _theme(browser, how, out, ending, known, parts, first_run):
    stranger, owner = await browser.new_context(**how), await browser.new_context(**how)
    form, origin = {"email": USERS["owner"], "password": PASSWORD}, {"origin": how["base_url"]}
    await owner.request.post("/sign-in", form=form, headers=origin)
    pages = {True: await stranger.new_page(), False: await owner.new_page()}
    token = await invite(pages[False], "default", f"{ending.replace('.', '-')}@example.org")
    paths = {**NEEDED, "/setup/{token}": "anyone", "/w/{workspace}/nothing-is-here": "viewer"}
    for path, needed in paths.items():
        if parts and not any(part in path for part in parts):
            continue
        page = pages[needed == "anyone"]
        for more in VARIANTS.get(path, [""]) + MORE.get(path, []):
            address = first_run if path == "/setup/{token}" else path.format(**known, token=token) + more
            await page.goto(address)
            if await page.locator("main[data-stream]").count():
                await page.locator("html[data-connected=yes]").wait_for(state="attached")
            name = (
                re.sub(r"\W+", "-", path.replace("{workspace}", "").replace("/w/", "") + more).strip("-") or "overview"
            )
            await page.screenshot(path=out / f"{name}.{ending}.png", full_page=True)
    await stranger.close()
    await owner.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("parts", nargs="*", metavar="PART-OF-A-PATH")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(shoot(given.out, given.parts))
    print(f"{len(list(given.out.glob('*.png')))} pictures in {given.out}")


if __name__ == "__main__":
    main()
