"""Hostile texts of a job, from the ingest API through every channel and the commands, by the real program."""

import asyncio
import re

from luota.core.text import visible
from tests.e2e.told import telling
from tests.forks import Fork
from tests.hostile import HOSTILE, cut_inside

NAMES = ("html", "header break", "terminal", "directions", "emoji, 32 KiB", "slack", "controls", "encoded word")


def _command(luota, *words):
    said = luota.data_dir.parent / "said.txt"
    said.unlink(missing_ok=True)
    Fork([*words, "--data-dir", str(luota.data_dir)], said).wait(60)
    return said.read_text()


async def test_nothing_that_a_job_writes_is_active_in_any_channel_or_command(tmp_path):
    async with telling(tmp_path / "data") as told:
        luota = told.luota
        for name in NAMES:
            text = HOSTILE[name]
            job = await luota.monitor(f"job {name}", "run", promise=text[:200].replace("\r", "").replace("\n", " "))
            run = (await luota.run(job, "1", host=text[:50])).json()["run"]["id"]
            reply = await luota.post(f"/v1/runs/{run}/fail", job, {"summary": text[:240], "output": text[:8000]})
            assert reply.status_code == 202, reply.text
        left = "SELECT count(*) FROM deliveries WHERE state != 'delivered'"
        async with asyncio.timeout(60):
            while luota.rows(left) != [(0,)]:
                await asyncio.sleep(0.05)
        listed = await asyncio.to_thread(_command, luota, "incident", "list")
        shown = [
            await asyncio.to_thread(_command, luota, "incident", "show", i)
            for (i,) in luota.rows("SELECT id FROM incidents")
        ]
        refused = [await asyncio.to_thread(_command, luota, "channel", "test", HOSTILE[n][:150]) for n in NAMES]

    assert all((listed, *shown, *refused)), "a command said nothing"
    outputs = {run.json["run"]["outputTail"] for run in told.webhook.requests}
    assert HOSTILE["header break"] in outputs
    assert HOSTILE["terminal"] in outputs
    assert len(told.mail.mails) == len(told.slack.requests) == len(told.apprise.requests) == len(NAMES)
    for mail in told.mail.mails:
        assert mail.recipients == ("ann@example.org",)
        assert not {"Bcc", "Cc"} & set(mail.message.keys())
        assert mail.message["Subject"].startswith("job ")
        assert not re.search(r"<(script|img|b>)", mail.part("html"))
        (link,) = re.findall(r"<a [^>]*>", mail.part("html"))
        assert link.startswith('<a href="https://luota.example.org/incidents/')
    people = [mail.part("plain") for mail in told.mail.mails]
    people += [request.json["text"] for request in told.slack.requests]
    people += [request.json["message"] for request in told.apprise.requests]
    for said in (*people, listed, *shown, *refused):
        said = said.replace("\r\n", "\n")
        assert said == visible(said, lines=True)
        assert not cut_inside(said)
    for request in told.slack.requests:
        assert not re.search(r"<[!@#]", request.body.decode())
