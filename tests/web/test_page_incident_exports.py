"""An incident to take along: its packet as JSON and Markdown, and its print view."""

import asyncio
import html
import json
import re

from tests.receiver import Receiver, reply
from tests.served import LOOPBACK
from tests.web.incident_page import WORDS, failed, sign_in
from tests.web.reading import words


async def test_the_packet_is_handed_out_as_the_api_has_it_to_a_viewer_too(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    incident = path.rpartition("/")[2]
    for ending, kind in (("json", "application/json"), ("md", "text/markdown; charset=utf-8")):
        answer = await person.get(f"{path}/packet.{ending}")
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"] == f'attachment; filename="incident-{incident}.{ending}"'
        wanted = await served.api(
            "GET", f"/api/incidents/{incident}/packet?format={'json' if ending == 'json' else 'markdown'}"
        )
        if ending == "json":
            assert json.loads(answer.text) == wanted["packet"]
        else:
            assert answer.text == wanted["markdown"]


async def test_the_print_view_is_whole_and_still_and_stands_on_its_own(served, sign_in):
    person = await sign_in(served)
    output = "line\n" * 6000 + "the end"
    _, path = await failed(served, {"summary": "disk full", "exitCode": 3, "output": output})
    await person.post(f"{path}/note", text="the disk is small")
    page = await person.get(f"{path}/print")
    assert output in html.unescape(page.text)
    said = words(page)
    for part in (WORDS["promise"], "disk full", "Ann", WORDS["runbook"], "the disk is small", "c0ffee1"):
        assert part in said, part
    assert served.row("SELECT run_id FROM incidents")[0] in said
    for live in ("data-live", "hx-", "<form", "data-when", "data-exact", "<nav"):
        assert live not in page.text, live


async def test_the_print_view_says_that_nobody_was_told(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    said = words(await person.get(f"{path}/print"))
    assert "Deliveries Nobody was told: no channel was to hear of this." in said


async def test_the_print_view_says_of_each_notice_to_whom_when_and_what_was_answered(serve, sign_in):
    served = await serve(send=True, allow=LOOPBACK)
    person = await sign_in(served)
    async with Receiver() as good, Receiver() as bad:
        bad.default = reply(503)
        for name, hook in (("desk", good), ("pager", bad)):
            await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": hook.url})
        _, path = await failed(served)
        async with asyncio.timeout(20):
            while len(served.rows("SELECT 1 FROM attempts WHERE finished_at IS NOT NULL")) < 2:
                await asyncio.sleep(0.02)
    page = await person.get(f"{path}/print")
    table = re.search(r'<table class="paper-deliveries">.*?</table>', page.text, re.S)[0]
    (desk,) = re.findall("<tr><td>desk.*?</tr>", table)
    (pager,) = re.findall("<tr><td>pager.*?</tr>", table)
    at = r"<td>2026-04-29T\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.search(rf"<td>desk \(webhook\)</td><td>opened</td><td>delivered</td>{at}</td><td>200<", desk), desk
    waits = rf"<td>failed, retrying</td>{at}<br>next attempt<br>2026.*?</td><td>HTTP 503 from the receiver"
    assert re.search(waits, pager), pager
    assert "Nobody was told" not in page.text
