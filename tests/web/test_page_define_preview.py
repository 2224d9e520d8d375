"""What the form of a monitor foretells: its schedule in words, the next times, and what silence would be."""

import pytest

from luota.web.dashboard.define import previewed
from tests.web.reading import words

WHERE = "/w/default/monitors"
MARCH = 1_774_569_600_000
"""2026-03-27T00:00Z, two days before Europe's clocks go forward."""
DAY = 86_400_000
OCTOBER = 1_824_854_400_000
"""2027-10-30T00:00Z, a day before they go back."""


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


@pytest.mark.parametrize(
    ("cron", "now", "at", "deadline"),
    [
        ("*/20 3 31 10 *", OCTOBER, ("Sun 31 Oct 03:40", "UTC+3"), ("03:10", "UTC+2")),
        ("30 3 31 10 *", OCTOBER, ("Sun 31 Oct 03:30", "UTC+3"), ("03:00", "UTC+2")),
        ("*/30 2-4 28 3 *", OCTOBER - 217 * DAY, ("Sun 28 Mar 02:30", "UTC+2"), ("04:00", "UTC+3")),
        ("0 5 31 10 *", OCTOBER, ("Sun 31 Oct 05:00", "UTC+2"), ("05:30", "")),
    ],
)
def test_a_deadline_beyond_the_change_of_the_clock_stands_by_the_clock_that_holds_then(cron, now, at, deadline):
    asked = {"kind": "cron", "cron": cron, "timezone": "Europe/Helsinki", "graceSeconds": "30m"}
    rows = previewed(asked, "heartbeat", now)["rows"]
    assert [(one["deadline"], one["deadline_offset"]) for one in rows if (one["local"], one["offset"]) == at] == [
        deadline
    ]


def test_a_deadline_of_a_zone_that_has_no_city_stands_by_the_clock_of_that_zone():
    asked = {"kind": "cron", "cron": "30 2 31 10 *", "timezone": "CET", "graceSeconds": "45m"}
    row = previewed(asked, "heartbeat", OCTOBER)["rows"][0]
    assert (row["local"], row["offset"]) == ("Sun 31 Oct 02:30", "UTC+2")
    assert (row["deadline"], row["deadline_offset"]) == ("02:15", "UTC+1")


async def test_the_offset_of_a_deadline_is_named_where_it_is_another(served):
    served.clock.advance(OCTOBER - served.clock.now())
    client, _ = await served.sign_in()
    asked = {"mode": "heartbeat", "kind": "cron", "cron": "30 3,5 31 10 *", "timezone": "Europe/Helsinki"}
    page = await client.get(f"{WHERE}/preview", params={**asked, "graceSeconds": "30m"})
    assert '<td class="num">03:00 <span class="quiet nowrap">UTC+2</span></td>' in page.text
    assert '<td class="num">06:00</td>' in page.text
    await client.aclose()


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


async def test_the_change_of_the_clock_is_told_alike_while_one_types_and_on_the_page_of_the_monitor(served):
    served.clock.advance(OCTOBER - served.clock.now())
    client, _ = await served.sign_in()
    job = await served.monitor(schedule={"cron": "30 3 * * *", "timezone": "Europe/Helsinki"})
    asked = {"mode": "heartbeat", "kind": "cron", "cron": "30 3 * * *", "timezone": "Europe/Helsinki"}
    for path in (f"{WHERE}/preview", f"{WHERE}/{job.id}"):
        assert "Sun 31 Oct 04:00: clocks go back by 1 h; 03:30, which" in words(await client.get(path, params=asked)), (
            path
        )
    await client.aclose()
