"""An upgrade lays new files under the running daemon: until it is restarted its pages are those of its own version."""

import hashlib
import re
import shutil
from pathlib import Path

import httpx

import luota
from tests.process import Daemon

OWNER = {"email": "ann@example.org", "name": "Ann", "role": "owner", "password": "correct horse battery"}
PAGES = ("", "/incidents", "/channels", "/drills", "/audit", "/members", "/settings", "/monitors/new")


async def test_the_pages_stay_whole_when_their_files_change_under_the_running_daemon(tmp_path):
    installed = shutil.copytree(Path(luota.__file__).parent, tmp_path / "lib" / "luota")
    web = installed / "web"
    hashes = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in (web / "static").iterdir()}
    wrap = ["env", f"PYTHONPATH={installed.parent}", "PYTHONSAFEPATH=1"]
    async with Daemon(tmp_path / "data", wrap=wrap) as daemon:
        await daemon.api("POST", "/api/users", OWNER)
        job = await daemon.monitor("backup", schedule={"every": 60}, graceSeconds=30)
        for template in (web / "templates").iterdir():
            template.write_text("{{ what_only_newer_code_gives }}")
        for static in (web / "static").iterdir():
            static.write_text("newer")
        base = f"http://127.0.0.1:{daemon.port}"
        async with httpx.AsyncClient(base_url=base, headers={"origin": base}, trust_env=False) as client:
            form = {name: OWNER[name] for name in ("email", "password")}
            assert (await client.post("/sign-in", data=form)).status_code == 303
            loaded = set()
            for path in (
                *PAGES,
                f"/monitors/{job.id}",
                f"/monitors/{job.id}/integration",
                f"/monitors/{job.id}/drills",
            ):
                page = await client.get(f"/w/default{path}")
                assert (page.status_code, "</html>" in page.text) == (200, True), path
                loaded |= set(re.findall(r'"(/static/[^"]+)"', page.text))
            contents = {path.rpartition("/")[2]: (await client.get(path)).content for path in loaded}
    assert contents.keys() == {*hashes, "htmx.js"}
    for name, known in hashes.items():
        assert hashlib.sha256(contents[name]).hexdigest() == known, name
