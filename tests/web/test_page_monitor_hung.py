"""A run that ended well but only after its limit hung, and is nowhere on the pages drawn or told as if it had not."""

import re

import pytest

from luota.core.model import Mode, Window
from luota.core.spec.values import format_instant
from luota.web import advice
from luota.web.dashboard.charts import Column, columns
from tests.web.monitor_page import WHERE, owner, sign_in
from tests.web.reading import words

RUNS = "/w/default/runs"


@pytest.fixture
async def hung(served):
    """A monitor with a limit of 3 s and its run of 6 s, which succeeded."""
    job = await served.monitor("run", maxRuntimeSeconds=3)
    await job.success(await job.started("in time"))
    run = await job.started()
    served.clock.advance(6000)
    await served.judge()
    await job.success(run)
    return job, run


async def test_its_slot_its_event_and_its_column_say_that_it_hung(served, owner, hung):
    client, _ = owner
    job, run = hung
    page = await client.get(f"{WHERE}/{job.id}")
    bar = re.search(r'<svg class="bar".*?</svg>', page.text, re.S)[0]
    assert re.findall(r'class="slot slot-(\w+)"', bar) == ["ok", "stuck"]
    assert "run of 2026-04-29 01:33:11 UTC: hung, then succeeded, ended 2026-04-29 01:33:17 UTC" in bar
    assert re.search(rf'#m-incident"[^\n]*{run}"><?[^\n]*hung, then succeeded, ended ', page.text), "the list of slots"
    events = re.search(r'id="events-head".*?</section>', page.text, re.S)[0]
    assert re.search(rf'#m-incident".*?{run}">hung, then succeeded</a>', events)
    chart = re.search(r'<svg class="chart".*?</svg>', page.text, re.S)[0]
    assert re.findall(r'chart-bar-(\w+)"[^>]*><title>(\d s, [^:]*),', chart) == [
        ("success", "0 s, success"),
        ("over", "6 s, hung, then succeeded"),
    ]
    assert 'class="slot slot-stuck"' in (await client.get("/w/default")).text


async def test_the_verdict_of_its_page_says_by_how_much_it_overran_and_leads_to_the_incident(served, owner, hung):
    client, _ = owner
    job, run = hung
    said = words(await client.get(f"{RUNS}/{run}"))
    assert "hung, then succeeded" in said
    assert "It came to its end 3 s after its limit of 3 s." in said
    assert "It belongs to an incident: stuck, resolved" in said
    (incident,) = (await served.api("GET", "/api/incidents"))["incidents"]
    assert "hung, then succeeded" in words(await client.get(f"/w/default/incidents/{incident['id']}"))


async def test_a_run_that_hung_while_an_incident_was_open_leads_to_the_one_in_which_it_was_counted(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=3)
    await job.fail(await job.started("broken"))
    incident = (await job.shown())["incidentId"]
    run = await job.started("slow")
    served.clock.advance(6000)
    await served.judge()
    await job.success(run)
    assert f"/w/default/incidents/{incident}" in (await client.get(f"{RUNS}/{run}")).text
    bar = re.search(r'<svg class="bar".*?</svg>', (await client.get(f"{WHERE}/{job.id}")).text, re.S)[0]
    assert re.findall(r'class="slot slot-(\w+)"', bar) == ["failed", "stuck"]


async def test_a_run_whose_limit_passed_unwatched_is_not_accused_of_hanging(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=60)
    run = await job.started()
    served.clock.advance(30_000)
    began = served.clock.now()
    served.clock.advance(300_000)
    await served.engine.writer.blind(Window(began, served.clock.now(), "it was down"))
    await served.judge()
    await job.started("the next one")
    assert "Luota cannot vouch for it until a run succeeds." in words(await client.get(f"{WHERE}/{job.id}"))
    await job.success(run)
    said = words(await client.get(f"{RUNS}/{run}"))
    assert "success, unverified" in said
    assert (
        "4 min 30 s after its limit of 1 min, which passed while Luota was not watching, or while the monitor was paused: nobody knows"
        in said
    )
    assert "hung," not in words(await client.get(f"{WHERE}/{job.id}"))


async def test_a_run_whose_limit_passed_in_a_pause_is_nowhere_accused_of_hanging(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=600)
    await job.success(await job.started("first"))
    served.clock.advance(60_000)
    run = await job.started()
    served.clock.advance(300_000)
    await served.api("POST", f"/api/monitors/{job.id}/pause", {"untilHealthy": True})
    served.clock.advance(2_100_000)
    await served.judge()
    await job.success(run)
    await job.fail(await job.started("broken"))
    await job.fail(await job.started("again"))
    page = await client.get(f"{WHERE}/{job.id}")
    bar = re.search(r'<svg class="bar".*?</svg>', page.text, re.S)[0]
    assert re.findall(r'class="slot slot-(\w+)"', bar) == ["ok", "unverified", "failed", "failed"]
    assert re.search(rf'#m-unverified".*?{run}">success, unverified</a>', page.text)
    said = words(await client.get(f"{RUNS}/{run}"))
    assert "success, unverified" in said
    assert "30 min after its limit of 10 min, which passed while" in said
    for shown in (page, await client.get("/w/default")):
        assert "hung" not in shown.text


async def test_a_start_that_is_dated_back_over_a_window_reads_alike_on_the_pages_of_run_and_incident(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=3600, schedule={"every": 7200})
    served.clock.advance(60_000)
    began = served.clock.now()
    served.clock.advance(600_000)
    await served.engine.writer.blind(Window(began, served.clock.now(), "it was down"))
    run = await job.started("dated back", {"startedAt": format_instant(began - 1000)})
    served.clock.advance(3_600_000)
    await served.judge()
    await job.success(run)
    served.clock.advance(7_200_000)
    await served.judge()
    incident = (await job.shown())["incidentId"]
    for path in (f"{RUNS}/{run}", f"/w/default/incidents/{incident}", f"/w/default/incidents/{incident}/print"):
        said = words(await client.get(path))
        assert "success, unverified" in said, path
        assert "hung, then" not in said, path


async def test_what_marks_a_column_of_the_durations_is_named_below_them(served, owner, hung):
    client, _ = owner
    job, _ = hung
    await job.fail(await job.started("broken"))
    below = re.search(r'id="chart-head".*?</section>', (await client.get(f"{WHERE}/{job.id}")).text, re.S)[0]
    assert re.findall("</svg>([a-z ]+)</li>", below) == ["failed", "over the limit"]
    assert below.count('class="chart-cross"') == below.count('class="chart-cap"') == 2, "in the chart and below it"


async def test_an_open_run_that_hung_by_its_own_limit_is_over_it_though_the_present_one_is_longer(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=60)
    await job.started()
    served.clock.advance(120_000)
    await served.judge()
    await served.api("PATCH", f"/api/monitors/{job.id}", {"maxRuntimeSeconds": 3600})
    chart = re.search(r'id="durations".*?</div>', (await client.get(f"{WHERE}/{job.id}")).text, re.S)[0]
    assert re.findall(r'chart-bar-(\w+)"[^>]*><title>([a-z]+), ([a-z]+)', chart) == [("over", "open", "stuck")]


async def test_what_is_over_the_limit_is_red_with_a_cap_and_counted_beside_the_limit():
    chart = columns([Column(1000, "success", "short"), Column(6000, "success", "long", over=True)], 3000, "limit", "x")
    assert re.findall(r'class="chart-bar chart-bar-(\w+)"[^>]*><title>(\w+)', chart) == [
        ("success", "short"),
        ("over", "long"),
    ]
    assert re.findall(r'class="chart-cap"[^>]*><title>(\w+)', chart) == ["long"]
    assert "limit 3 s, 1 of 2 over it<" in chart


async def test_a_run_whose_limit_a_blind_window_hid_is_evidence_for_the_limit_and_one_that_hung_is_none(served, hung):
    job, run = hung

    async def found():
        return await advice.evidence(served.engine, job.id, Mode.RUN, served.clock.now())

    assert ((await found()).durations, (await found()).hung) == ([0], 1)
    now = served.clock.now()
    served.engine.registry.windows = served.engine.registry.windows.add(Window(now - 90_000, now - 1000, "down"))
    assert (sorted((await found()).durations), (await found()).hung) == ([0, 6000], 0)
