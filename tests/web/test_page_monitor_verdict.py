"""The present fact on the monitor page: the verdict, why it holds, its incident, what comes next."""

import html
import re

from luota.engine.retention import prune
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


def why_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.search(r'<p class="why">.*?</p>', page.text, re.S)[0]))


async def test_green_is_proven_by_the_newest_signal_and_not_by_the_one_that_it_began_with(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR)
    await job.ping()
    page = await client.get(f"{WHERE}/{job.id}")
    assert why_of(page) == "Why: The last signal came 2026-04-29 02:33:11 UTC, in time."
    assert "healthy since 2026-04-29 01:33:11 UTC" in words(page), "since when it is so stays"


async def test_a_signal_that_came_late_is_never_called_in_time(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR + 61_000)
    await served.judge()
    await job.ping()
    assert why_of(await client.get(f"{WHERE}/{job.id}")) == "Why: The last signal came 2026-04-29 02:34:12 UTC, late."


async def test_a_signal_in_time_after_missed_occurrences_does_not_hide_them(served, owner):
    client, _ = owner
    job = await served.monitor(schedule={"cron": "0 * * * *"}, graceSeconds=7200)
    await job.ping()
    served.clock.advance(5 * HOUR)
    await served.judge()
    for missed, until_next in ((True, 60_000), (False, HOUR), (False, 0)):  # the second one shares the first one's slot
        await job.ping()
        said = why_of(await client.get(f"{WHERE}/{job.id}"))
        assert said.endswith(f", in time{'; what was expected before it was missed' if missed else ''}."), said
        served.clock.advance(until_next)


async def test_a_green_run_monitor_names_its_newest_success_and_its_newest_start(served, owner):
    client, _ = owner
    job = await served.monitor("run", schedule={"every": 3600}, graceSeconds=60)
    await job.success(await job.started("first"))
    served.clock.advance(HOUR)
    run = await job.started("second")
    page = await client.get(f"{WHERE}/{job.id}")
    assert "The last run started 2026-04-29 02:33:11 UTC, in time." in why_of(page)
    served.clock.advance(1000)
    await job.success(run)
    page = await client.get(f"{WHERE}/{job.id}")
    assert f'<a href="/w/default/runs/{run}">Run {run[:8]}…</a> succeeded' in page.text
    assert f"Run {run[:8]}… succeeded 2026-04-29 02:33:12 UTC. The last run" in why_of(page)


async def test_no_reason_leads_to_a_run_whose_retention_has_ended(served, owner):
    well, ill = await served.monitor("run"), await served.monitor("run", name="ill")
    gone = await well.started()
    await well.success(gone)
    await ill.fail(await ill.started())
    served.clock.advance(91 * 24 * HOUR)
    await prune(served.engine)
    assert served.rows("SELECT id FROM runs") == []
    client, _ = await served.sign_in(email="later@example.org")
    for job, said in ((well, "The last run started 2026-04-29 01:33:11 UTC."), (ill, "failed: it broke.")):
        page = await client.get(f"{WHERE}/{job.id}")
        assert said in why_of(page)
        assert "/runs/" not in re.search(r'<p class="why">.*?</p>', page.text, re.S)[0]
    await client.aclose()


async def test_after_a_pause_it_is_not_said_that_anything_came(served, owner):
    client, csrf = owner
    job = await served.monitor()
    await job.ping()
    for step in ("pause", "resume"):
        served.clock.advance(60_000)
        await client.post(f"{WHERE}/{job.id}/{step}", data={"csrf": csrf})
    said = why_of(await client.get(f"{WHERE}/{job.id}"))
    assert said == "Why: Resumed. The last signal came 2026-04-29 01:33:11 UTC, in time."


async def test_fresh_output_is_proven_by_its_last_change(served, owner):
    client, _ = owner
    job = await served.monitor("freshness")
    await job.ping()
    said = why_of(await client.get(f"{WHERE}/{job.id}"))
    assert said == "Why: The output last changed 2026-04-29 01:33:11 UTC, in time."
