"""Choosing a threshold on the monitor page: the history judged anew, and durations beside their limit."""

import re

from luota.core.model import NO_WINDOWS, RunState
from luota.store.history import Lasted
from luota.web import advice
from luota.web.dashboard.charts import Column, columns
from tests.web.monitor_page import HOUR, WHERE, owner, sign_in
from tests.web.reading import words


async def test_the_history_is_judged_by_another_grace_when_one_is_tried(served, owner):
    client, _ = owner
    job = await served.monitor(graceSeconds=60)
    for _ in range(8):
        await job.ping()
        served.clock.advance(HOUR + 5 * 60_000)  # five minutes late each time
    await served.judge()
    page = await client.get(f"{WHERE}/{job.id}")
    said = words(page)
    assert page.text.count("chart-bar-over") == 7
    assert "interval + grace 1 h 1 min, 7 of 7 over it" in said
    assert re.search(r"With this schedule and grace, the last 8 h 40 min would have opened 8 incidents", said)
    said = words(await client.get(f"{WHERE}/{job.id}?grace=10m"))
    assert re.search(r"With interval 1h, grace 10m, the last 8 h 40 min would have opened 0 incidents", said)
    assert "Suggested grace" in said
    assert (await job.shown())["graceSeconds"] == 60


async def test_the_choice_of_a_threshold_is_folded_until_one_is_tried(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    for query, opened in (("", False), ("?grace=10m", True), ("?grace=soon", True)):
        (fold,) = re.findall(r'<details [^>]*id="threshold"[^>]*>', (await client.get(f"{WHERE}/{job.id}{query}")).text)
        assert fold.endswith(" open>") is opened, query


async def test_seconds_of_history_suggest_no_freshness_and_the_page_says_why(served, owner):
    client, _ = owner
    job = await served.monitor("freshness", expectedFreshnessSeconds=86_400, graceSeconds=7_200)
    for _ in range(11):
        await job.ping()
        served.clock.advance(300)
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert "No freshness is suggested: too short a history: the last 11 signals span 3 s" in said
    assert "Suggested" not in said


async def test_what_passed_while_paused_is_not_judged_when_the_history_is(served, owner):
    client, csrf = owner
    job = await served.monitor()
    await job.ping()
    await client.post(f"{WHERE}/{job.id}/pause", data={"csrf": csrf, "for": ""})
    served.clock.advance(5 * HOUR)
    await client.post(f"{WHERE}/{job.id}/resume", data={"csrf": csrf})
    await job.ping()
    assert "the last 5 h would have opened 0 incidents" in words(await client.get(f"{WHERE}/{job.id}"))


async def test_a_value_that_cannot_be_tried_is_shown_again_with_what_is_wrong(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    for field, value in (("grace", "soon"), ("interval", "0"), ("interval", "soon")):
        page = await client.get(f"{WHERE}/{job.id}?{field}={value}")
        assert page.status_code == 400
        assert f'href="#f-{field}"' in page.text
        assert re.search(rf'id="f-{field}"[^>]*value="{value}"[^>]*aria-invalid="true"', page.text)
        assert f"{field.capitalize()} must be " in words(page), "it is called what stands over the field"


async def test_a_limit_that_cannot_be_tried_is_called_what_stands_over_its_field(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=300)
    await job.success(await job.started("n-1"))
    assert words(await client.get(f"{WHERE}/{job.id}?limit=0")).count("Max runtime must be a whole number") == 2


async def test_runs_are_drawn_with_their_limit_and_lead_to_their_pages(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=300)
    ids = []
    for number in range(30):
        ids.append(await job.started(f"n-{number}"))
        served.clock.advance(120_000)
        await job.success(ids[-1], {"payload": {"n": number}})
    page = await client.get(f"{WHERE}/{job.id}")
    events = re.search(r'id="events-head".*?</section>', page.text, re.S)[0]
    assert re.findall(r"/w/default/runs/([0-9a-f-]{36})", events) == ids[:4:-1]
    chart = re.search(r'<svg class="chart".*?</svg>', page.text, re.S)[0]
    assert chart.count('class="chart-bar ') == 30
    assert "limit 5 min" in chart
    assert "2 min, success, started" in chart


async def test_a_run_that_hung_does_not_stretch_the_limit_that_is_suggested(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=660)
    for number, minutes in enumerate([10] * 6 + [18]):
        run = await job.started(f"n-{number}")
        served.clock.advance(minutes * 60_000)
        await served.judge()
        assert (await job.success(run)).status_code == 202
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert re.search(
        r"Suggested max runtime: 22 min ?, since the longest of 6 durations was 10 min; 1 that hung was left out", said
    ), said
    assert re.search(r"Runs that succeeded in time ?6(10 min){5}", said), said


async def test_all_runs_of_the_last_90_days_are_evidence_and_none_before_them(served, sign_in):
    job = await served.monitor("run", maxRuntimeSeconds=3600)

    async def runs(number, minutes):
        for one in range(number):
            run = await job.started(f"{minutes} min, {one}")
            served.clock.advance(minutes * 60_000)
            await job.success(run)

    await runs(5, 50)
    served.clock.advance(91 * 24 * HOUR)
    await runs(5, 20)
    await runs(120, 10)  # more than the chart draws
    client, _ = await sign_in(served)
    page = await client.get(f"{WHERE}/{job.id}")
    assert re.search(r"Runs that succeeded in time ?125(10 min){4}20 min", words(page))
    assert re.search(r"Suggested max runtime: 45 min ?, since the longest of 125 durations was 20 min", words(page))
    assert re.search(r'<svg class="chart".*?</svg>', page.text, re.S)[0].count('class="chart-bar ') == 100
    advice = (await served.api("GET", f"/api/monitors/{job.id}/advice"))["advice"]
    assert (advice["durations"]["count"], advice["durations"]["longestSeconds"]) == (125, 1200)


async def test_a_limit_far_above_all_durations_is_drawn_and_said_to_be_out_of_scale():
    far = columns([Column(60_000, "success", "<b>&")], 86_400_000, "limit", "how long")
    assert "limit 1 d, far above: not to scale" in far
    assert "&lt;b&gt;&amp;" in far
    near = columns([Column(60_000, "success", "x")], 90_000, "limit", "how long")
    assert "limit 1 min 30 s<" in near
    assert far.count('class="chart-limit"') == near.count('class="chart-limit"') == 1
    assert columns([], 1000, "limit", "how long") == ""


async def test_what_is_tried_is_told_with_its_unit(served, owner):
    client, _ = owner
    job = await served.monitor(graceSeconds=60)
    for _ in range(4):
        await job.ping()
        served.clock.advance(HOUR)
    assert "With interval 1h, grace 0 s, " in words(await client.get(f"{WHERE}/{job.id}?grace=0"))


def test_of_many_runs_each_five_hundred_are_judged_at_a_go():
    run = Lasted("r", 0, 1_000, 1_000, RunState.SUCCESS, 1_000, 2_000)
    pieces = advice._succeeded([run] * 1_001, NO_WINDOWS, ())
    assert sum(1 for _ in pieces) == 3
