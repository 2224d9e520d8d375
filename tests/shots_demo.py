"""The pictures of docs/images: pages of the demo after some minutes, in a browser of 1280 by 1000.

python -m tests.shots_demo [--out docs/images] [--seconds 200]
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.chromium import launched

SIZE = {"width": 1280, "height": 1000}
THEMES = {"overview": ("light", "dark")}
"""In which themes a page is shown, where not in light alone."""
SOON_MS = 90_000
"""Within that, what recovers in the demo has failed again."""


async def shoot(out, seconds):
    """Run a demo for so many seconds, then take the pictures."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "luota", "demo", "--json", "--data-dir", f"{place}/data", "--port", "0"]
        demo = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=2**20
        )
        try:
            known = json.loads(await demo.stdout.readline())
            said = asyncio.create_task(_read(demo.stdout))
            await asyncio.sleep(seconds)
            await _pictures(out, known)
            said.cancel()
        finally:
            demo.terminate()
            await demo.wait()


async def _read(stream):
    while await stream.readline():
        pass


async def _pictures(out, known):
    async with launched() as browser:
        context = await browser.new_context(base_url=known["url"], viewport=SIZE, reduced_motion="reduce")
        form = {"email": known["email"], "password": known["password"]}
        await context.request.post("/sign-in", form=form, headers={"origin": known["url"]})
        page = await context.new_page()
        await page.goto("/")
        home = page.url
        for name, path, link in (
            ("overview", "", None),
            ("monitor", "/monitors/crm-sync", None),
            ("incident", "/incidents?state=open", "Invoices failed"),
            ("drill", "/drills", "proven"),
        ):
            await page.goto(home + path)
            if link:
                await page.get_by_role("link", name=link, exact=True).first.click(timeout=SOON_MS)
            await page.locator("html[data-connected=yes]").wait_for(state="attached")
            for theme in THEMES.get(name, ("light",)):
                await page.emulate_media(color_scheme=theme)
                ending = f"-{theme}" if name in THEMES else ""
                await page.screenshot(path=out / f"{name}{ending}.png")
            await page.emulate_media(color_scheme="light")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--seconds", type=float, default=200, help="how long the demo runs first")
    given = parser.parse_args()
    asyncio.run(shoot(given.out, given.seconds))


if __name__ == "__main__":
    main()
