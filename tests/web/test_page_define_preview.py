"""What the form of a monitor foretells: its schedule in words, the next times, and what silence would be."""

import pytest

from luota.web.dashboard.define import previewed
from tests.web.reading import words

WHERE = "/w/default/monitors"
MARCH = 1_774_569_600_000
"""2026-03-27T00:00Z, two days before Europe's clocks go forward."""


@pytest.fixture
async def owner(served):
    client, _ = await served.sign_in()
    yield client
    await client.aclose()


async def test_the_preview_says_the_schedule_in_words_with_its_next_times_and_deadlines(owner):
    asked = {"mode": "heartbeat", "kind": "cron", "cron": "0 7 * * 1-5", "timezone": "Europe/Helsinki"}
    page = await owner.get(f"{WHERE}/preview", params={**asked, "graceSeconds": "20m"})
    said = words(page)
    assert "Every weekday at 07:00, Europe/Helsinki" in said
    assert 'Wed 29 Apr 07:00 <span class="quiet nowrap">UTC+3</span></td><td class="num">07:20</td>' in page.text
    assert said.count("07:20") == 5
    assert "Sat 2" not in said


@pytest.mark.parametrize(
    ("cron", "noted"),
    [("30 3 * * *", "occurs at the change"), ("0 12 * * *", "clocks go forward by 1 h")],
)
def test_the_preview_marks_the_change_of_the_clock_before_the_time_that_it_moves(cron, noted):
    asked = {"kind": "cron", "cron": cron, "timezone": "Europe/Helsinki"}
    rows = previewed(asked, "heartbeat", MARCH)["rows"]
    (changed,) = [row for row in rows if row["change"]]
    assert changed["change"].startswith("Sun 29 Mar 03:00: ")
    assert noted in changed["change"]
    assert [row["offset"] for row in rows] == ["UTC+2"] * rows.index(changed) + ["UTC+3"] * (5 - rows.index(changed))


def test_a_deadline_on_another_day_and_a_time_in_another_year_say_so():
    asked = {"kind": "cron", "cron": "30 23 31 12 *", "timezone": "UTC", "graceSeconds": "1h"}
    rows = previewed(asked, "heartbeat", MARCH)["rows"]
    assert (rows[0]["local"], rows[0]["deadline"]) == ("Thu 31 Dec 23:30", "Fri 1 Jan 2027 00:30")


async def test_the_preview_of_freshness_and_of_no_schedule_say_what_counts(owner):
    fresh = await owner.get(f"{WHERE}/preview?mode=freshness&expectedFreshnessSeconds=2h&graceSeconds=1h")
    assert "Stale 3 h after the latest signal" in words(fresh)
    assert "the deadline would be Wed 29 Apr 04:33:11 (UTC)" in words(fresh)
    fresh = await owner.get(f"{fresh.url}&timezone=Europe/Helsinki")
    assert "the deadline would be Wed 29 Apr 07:33:11 (UTC+3)" in words(fresh)
    none = await owner.get(f"{WHERE}/preview?mode=run&kind=none&maxRuntimeSeconds=2h")
    assert "open for more than 2 h is stuck" in words(none)
    every = await owner.get(f"{WHERE}/preview?mode=run&kind=every&every=90&unit=m&timezone=Europe/Helsinki")
    assert "Every 90 minutes" in words(every)
    assert "Wed 29 Apr 06:03:11 UTC+3" in words(every)


async def test_the_preview_names_all_that_is_wrong_with_a_schedule(owner):
    asked = {"mode": "heartbeat", "kind": "cron", "cron": "61 2 * *", "timezone": "Mars/Base", "graceSeconds": "soon"}
    said = words(await owner.get(f"{WHERE}/preview", params=asked))
    assert "61 2 * *" in said
    assert "Mars/Base" in said
    assert "Grace must be" in said


async def test_no_line_ends_within_an_offset_or_a_duration(served, owner):
    asked = {"mode": "heartbeat", "kind": "cron", "cron": "0 7 * * *", "timezone": "America/St_Johns"}
    page = await owner.get(f"{WHERE}/preview", params={**asked, "graceSeconds": "90s"})
    assert '<span class="quiet nowrap">UTC-2:30</span>' in page.text
    assert "1\N{NO-BREAK SPACE}min\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}s later" in page.text
    job = await served.monitor(schedule={"every": 60}, graceSeconds=10)
    await job.ping()
    served.clock.advance(80_000)
    await served.judge()
    assert "grace 10\N{NO-BREAK SPACE}s" in (await owner.get("/w/default")).text


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "mode=x",
        "mode=heartbeat&kind=cron&cron=60+2+*+*+*",
        "mode=heartbeat&kind=x",
        "mode=run&kind=every&every=%00",
    ],
)
async def test_half_typed_schedules_are_answered_calmly(owner, asked):
    page = await owner.get(f"{WHERE}/preview?{asked}")
    assert page.status_code == 200
    assert "Not a schedule yet" in page.text
    assert 'class="wrong"' in page.text
