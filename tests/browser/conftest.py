"""One daemon with a seeded past, one Chromium, and pages in it that must stay quiet.

Every test here runs in one event loop, so that all of them share the two.
"""

import contextlib
import os
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.eyes import DESKTOP, SLOW_MS, new_tab
from tests.process import NO_LIMITS, Daemon
from tests.programs import need
from tests.receiver import Receiver
from tests.seed import EVE, PASSWORD, USERS, seed

AXE = "4.14.1"
"""The version of axe-core: another one finds other things, so that it changes on purpose only."""
expect.set_options(timeout=SLOW_MS)


@pytest.fixture(scope="session")
def axe(request) -> str:
    """The source of axe-core, fetched once into pytest's cache."""
    kept = Path(request.config.cache.mkdir("axe-core")) / f"axe-{AXE}.min.js"
    if not kept.exists():
        need("npm")
        with tempfile.TemporaryDirectory(dir=kept.parent) as place:
            command = ["npm", "pack", f"axe-core@{AXE}", "--silent"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, f"npm could not fetch axe-core: {done.stderr}"
            (packed,) = Path(place).glob("*.tgz")
            with tarfile.open(packed) as members:
                source = members.extractfile("package/axe.min.js").read()
            whole = Path(place) / kept.name
            whole.write_bytes(source)
            os.replace(whole, kept)
    return kept.read_text()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hook():
    """Where the notices of the seeded workspaces go."""
    async with Receiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def luota(tmp_path_factory, hook):
    """The daemon; its port stays the same when it is started again."""
    data_dir = tmp_path_factory.mktemp("browser") / "data"
    await seed(data_dir, hook.url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with Daemon(data_dir, NO_LIMITS, args=["--port", str(port)]) as daemon:
        yield daemon


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def signed_in(chromium, luota):
    """A function: the cookies of who is signed in as `owner`, `operator`, `viewer`, or `eve`."""
    known = {}

    async def cookies(role):
        if role not in known:
            base = f"http://127.0.0.1:{luota.port}"
            context = await chromium.new_context(base_url=base)
            form = {"email": {**USERS, "eve": EVE}[role], "password": PASSWORD}
            answer = await context.request.post("/sign-in", form=form, headers={"origin": base}, max_redirects=0)
            assert answer.status == 303, await answer.text()
            known[role] = await context.storage_state()
            await context.close()
        return known[role]

    return cookies


@pytest_asyncio.fixture(loop_scope="session")
async def browse(chromium, luota, signed_in):
    """A function that opens a path as somebody. What it opens must be quiet to the end, unless `quiet` is False.

    `alone` is as in a browser whose tabs cannot share a stream.
    """
    async with contextlib.AsyncExitStack() as opened:
        quiet_ones = []

        async def browse(path, role="owner", *, quiet=True, base=None, alone=False, **options):
            base = base or f"http://127.0.0.1:{luota.port}"
            state = None if role is None else await signed_in(role)
            context = await chromium.new_context(base_url=base, storage_state=state, viewport=DESKTOP, **options)
            opened.push_async_callback(context.close)
            tab = await new_tab(context, base, alone=alone)
            await tab.page.goto(path)
            if quiet:
                quiet_ones.append(tab)
            return tab.page

        yield browse
        assert [line for tab in quiet_ones for line in tab.said] == []
