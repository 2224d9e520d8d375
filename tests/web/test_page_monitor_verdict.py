"""The present fact on the monitor page: the verdict, why it holds, its incident, what comes next."""

import html
import re

from tests.clock import FakeClock
from tests.served import NOW
from tests.web.monitor_page import HOUR, WHERE, owner, sign_in
from tests.web.reading import words


async def test_it_says_the_promise_first_then_the_present_verdict_and_why_it_holds(served, owner):
    client, _ = owner
    job = await served.monitor(promise="A restorable backup exists every hour.", owner="Ann")
    await job.ping()
    served.clock.advance(HOUR + 30_000)
    await served.judge()
    said = words(await client.get(f"{WHERE}/{job.slug}"))
    assert "No ping since 2026-04-29 01:33:11 UTC, expected 2026-04-29 02:33:11 UTC, grace 1 min." in said
    assert "nobody is told before the deadline" in said
    assert "in 30 s" in said
    assert said.index("A restorable backup") < said.index("late since") < said.index("No ping since")


async def test_an_incident_is_named_with_its_run_its_owner_and_a_form_to_acknowledge_it(served, owner):
    client, _ = owner
    job = await served.monitor("run", owner="HR")
    run = await job.started()
    await job.fail(run, {"summary": "disk full", "exitCode": 3})
    page = await client.get(f"{WHERE}/{job.id}")
    incident = (await job.shown())["incidentId"]
    assert f'<a href="/w/default/runs/{run}">Run {run[:8]}…</a> failed: disk full.' in page.text
    assert "Owner: HR" in words(page)
    assert "The newest one was real." in words(page)
    action = f"/w/default/incidents/{incident}/acknowledge"
    assert f'action="{action}"' in page.text
    await served.api("POST", f"/api/incidents/{incident}/acknowledge", {"reason": "on it"})
    page = await client.get(f"{WHERE}/{job.id}")
    assert re.search("Acknowledged by operator .{1,20}: on it", words(page))
    assert f'action="{action}"' not in page.text


async def test_in_an_incident_it_says_once_what_was_expected_and_what_comes_next(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR + 120_000)
    await served.judge()
    page = await client.get(f"{WHERE}/{job.id}")
    facts = re.search(r'<dl class="facts next">.*?</dl>', page.text, re.S)[0]
    rows = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", facts, re.S)
    told = [(name, html.unescape(re.sub(r"<[^>]+>", " ", text)).split()) for name, text in rows]
    assert [(name, f"{text[-3]} {text[-2]}") for name, text in told[:2]] == [
        ("Was expected", "2026-04-29 02:33:11"),
        ("Next expected", "2026-04-29 03:33:11"),
    ]
    assert told[2][0] == "Next deadline"
    assert "2026-04-29 03:34:11 UTC, grace 1 min" in " ".join(told[2][1]).replace(" ,", ",")
    assert "expected 2026-04-29 02:33:11 UTC" in words(page)
    assert len(rows) == 3


async def test_an_open_incident_keeps_its_reason_and_its_age_after_a_resume_and_a_further_miss(served, owner):
    client, csrf = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR + 60_000)
    await served.judge()
    for step in ("pause", "resume", "miss"):
        served.clock.advance(2 * HOUR)
        await (served.judge() if step == "miss" else client.post(f"{WHERE}/{job.id}/{step}", data={"csrf": csrf}))
        page = await client.get(f"{WHERE}/{job.id}")
        said = words(page)
        assert "No ping since 2026-04-29 01:33:11 UTC, expected 2026-04-29 02:33:11 UTC, grace 1 min." in said
        if step == "pause":
            assert "The incident stays open; nobody is reminded." in said
            assert "missed, open, opened 2 h ago: No ping" in said
        else:
            assert (
                'incident</span></span> <span class="since">since <time datetime="2026-04-29T02:34:11.398Z"'
                in page.text
            )
            assert "resumed" not in re.search(r'<p class="why">.*?</p>', page.text, re.S)[0]
    assert re.search("[23] misses and failures so far", said)


async def test_failures_below_the_tolerance_are_counted_in_words(served, owner):
    client, _ = owner
    job = await served.monitor("run", failuresBeforeIncident=3)
    await job.fail(await job.started())
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert "failing since" in said
    assert "That is 1 of 3: an incident opens at 3." in said


async def test_a_blind_window_is_named_beside_the_bar(serve, sign_in):
    clock = FakeClock(NOW)
    first = await serve("one", clock=clock)
    job = await first.monitor(schedule={"every": 600}, graceSeconds=60)
    await job.ping()
    clock.step(2 * HOUR)
    await first.engine.stamp()
    await first.judge()
    client, _ = await sign_in(first)
    said = words(await client.get(f"{WHERE}/{job.id}"))
    windows = first.engine.registry.windows.all
    assert windows
    assert "Luota was not watching from 2026-04-29 01:33" in said
    assert "for 2 h" in said
    assert "unverified" in said
