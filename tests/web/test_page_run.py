"""The page of a run: what it said, whole and harmless, and what was different from the last healthy one."""

import json
import re

import pytest

from tests.hostile import HOSTILE
from tests.served import NOBODY
from tests.web.reading import pre, words

WHERE = "/w/default/runs"


async def test_it_shows_all_that_start_and_close_said(served, viewer):
    job = await served.monitor("run", name="Payroll", maxRuntimeSeconds=900)
    start = {"host": "app1", "deploySha": "4f2c9e1", "environment": "production", "tags": {"region": "eu"}}
    run = await job.started("pay-7", {**start, "payload": {"batch": 1}})
    served.clock.advance(128_000)
    await job.fail(run, {"summary": "disk full", "exitCode": 3, "output": "one\ntwo\n", "payload": {"at": 2.50}})
    page = await viewer.get(f"{WHERE}/{run}")
    said = words(page)
    for part in (
        "Run pay-7",
        "failed",
        "disk full",
        "2 min 8 s of 15 min allowed",
        "Exit code3",
        "Hostapp1",
        "Deploy SHA4f2c9e1",
        "Environmentproduction",
        "region=eu",
        "2026-04-29 01:33:11 UTC",
        run,
    ):
        assert part in said, part
    assert pre(page, "Output of the run") == "one\ntwo\n"
    assert '"batch": 1' in pre(page, "Payload of the start")
    assert '"at": 2.5' in pre(page, "Payload of the close")
    incident = (await job.shown())["incidentId"]
    assert f'<a href="/w/default/incidents/{incident}">an incident</a>: failed, open' in page.text


async def test_payloads_stand_as_they_were_sent_one_key_a_line(served, viewer):
    job = await served.monitor("run")
    body = b'{"monitorId":"%s","externalRunId":"x","payload":{"price":1.10,"big":9007199254740993}}' % job.id.encode()
    answer = await served.post("/v1/runs/start", body, job.token)
    page = await viewer.get(f"{WHERE}/{answer.json()['run']['id']}")
    assert pre(page, "Payload of the start") == '{\n  "price": 1.10,\n  "big": 9007199254740993\n}'


async def test_it_says_what_changed_since_the_last_healthy_run(served, viewer):
    job = await served.monitor("run")
    first = await job.started("a", {"deploySha": "old", "host": "app1"})
    served.clock.advance(10_000)
    await job.success(first)
    assert "No run before this one has ended well." in words(await viewer.get(f"{WHERE}/{first}"))
    broken = await job.started("b", {"deploySha": "new", "host": "app1"})
    await job.fail(broken)
    last = await job.started("c", {"deploySha": "new", "host": "app1"})
    served.clock.advance(30_000)
    await job.fail(last)
    page = await viewer.get(f"{WHERE}/{last}")
    table = re.search(r'<table class="changes">.*?</table>', page.text, re.S)[0]
    assert [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>.*?</tr>", table, re.S)][1:] == [
        "||deploy SHA||old|||new|||",
        "||duration||10 s|||30 s|||",
    ]
    assert f'<a href="{WHERE}/{first}">run a</a>' in page.text


async def test_the_runs_before_and_after_are_a_step_away(served, viewer):
    job = await served.monitor("run")
    runs = []
    for number in range(3):
        runs.append(await job.started(f"n-{number}"))
        await job.success(runs[-1])
        served.clock.advance(1000)
    text = (await viewer.get(f"{WHERE}/{runs[1]}")).text
    assert re.search(rf'rel="prev" href="{WHERE}/{runs[0]}"', text)
    assert re.search(rf'rel="next" href="{WHERE}/{runs[2]}"', text)
    assert 'rel="prev"' not in (await viewer.get(f"{WHERE}/{runs[0]}")).text


async def test_a_late_start_and_a_skewed_clock_are_explained(served, viewer):
    job = await served.monitor("run", schedule={"every": 3600}, graceSeconds=60)
    await job.success(await job.started("a"))
    served.clock.advance(2 * 3_600_000)
    await served.judge()
    run = await job.started("b", {"startedAt": "2026-04-29T03:20:00Z"})
    said = words(await viewer.get(f"{WHERE}/{run}"))
    assert "late It started after expected + grace" in said
    assert "By its own clock it started 2026-04-29 03:20:00 UTC" in said
    assert "so the earlier one counts" in said


@pytest.mark.parametrize(
    ("state", "said"), [("running", "It must end in 1 h."), ("stuck", "longer than its limit of 1 h")]
)
async def test_an_open_run_says_by_when_it_must_end_or_that_it_is_stuck(served, viewer, state, said):
    job = await served.monitor("run", maxRuntimeSeconds=3600)
    run = await job.started()
    if state == "stuck":
        served.clock.advance(3_601_000)
        await served.judge()
    page = words(await viewer.get(f"{WHERE}/{run}"))
    assert state in page
    assert said in page
    assert ("It belongs to an incident: stuck" in page) == (state == "stuck")


async def test_a_further_failure_leads_to_the_incident_in_which_it_was_counted(served, viewer):
    job = await served.monitor("run")
    await job.fail(await job.started("a"))
    served.clock.advance(1000)
    second = await job.started("b")
    await job.fail(second)
    incident = (await job.shown())["incidentId"]
    assert f"/w/default/incidents/{incident}" in (await viewer.get(f"{WHERE}/{second}")).text
    served.clock.advance(1000)
    healed = await job.started("c")
    await job.success(healed)
    assert f"/w/default/incidents/{incident}" not in (await viewer.get(f"{WHERE}/{healed}")).text


async def test_a_run_of_another_workspace_is_not_found(served, viewer):
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    doc = {"name": "theirs", "mode": "run"}
    made = await served.api("POST", "/api/monitors?workspace=other", doc)
    body = {"monitorId": made["monitor"]["id"], "externalRunId": "x"}
    run = (await served.post("/v1/runs/start", body, made["token"])).json()["run"]["id"]
    for wanted in (run, NOBODY, "nothing"):
        assert (await viewer.get(f"{WHERE}/{wanted}")).status_code == 404


async def test_terminal_escapes_and_marks_of_direction_are_written_out(served, viewer):
    job = await served.monitor("run")
    run = await job.started()
    doc = {"summary": "x", "output": HOSTILE["terminal"] + HOSTILE["directions"], "payload": {"k": "\u202egnp"}}
    answer = await job.fail(run, json.dumps(doc, ensure_ascii=False).encode())
    assert answer.status_code == 202, answer.text
    page = await viewer.get(f"{WHERE}/{run}")
    output = pre(page, "Output of the run")
    assert output.startswith(r"\x1b[2J\x1b]0;owned\x07\x1b[31mred\x9b2J\x08\x7f\u202egnp.exe\u202c")
    assert r"\u202egnp" in pre(page, "Payload of the close")
    assert not set(page.text) & {"\x1b", "\x9b", "\x07", "\u202e"}
