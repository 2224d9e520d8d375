import random
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from luota.core.occurrences import every_day, occurrences
from luota.core.schedule import Calendar, Cron, parse_schedule
from tests.core.times import DAY, HOUR, MINUTE, SECOND, at, calendar, cron, following, utc


# Changes of the clock (the walk over all zones: test_schedule_differential.py)


def test_a_fixed_cron_time_that_is_skipped_occurs_at_the_jump() -> None:
    half_past_three = cron("30 3 * * *", "Europe/Helsinki")
    assert following(half_past_three, "2026-03-28 00:00", 3) == [
        "2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"
    ]  # fmt: skip


def test_several_fixed_cron_times_that_are_skipped_are_one_occurrence() -> None:
    assert following(cron("10,40 3,4 * * *", "Europe/Helsinki"), "2026-03-29 00:00", 3) == [
        "2026-03-29 01:00", "2026-03-29 01:10", "2026-03-29 01:40"
    ]  # fmt: skip


def test_a_fixed_cron_time_that_is_doubled_occurs_the_first_time() -> None:
    half_past_three = cron("30 3 * * *", "Europe/Helsinki")
    assert following(half_past_three, "2026-10-25 00:00", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]
    assert following(half_past_three, "2026-10-25 01:10", 1) == ["2026-10-26 01:30"]  # within the second pass


def test_wildcard_cron_runs_in_both_passes_of_a_doubled_hour_and_not_in_a_skipped_one() -> None:
    assert following(cron("*/30 3 * * *", "Europe/Helsinki"), "2026-10-25 00:00", 4) == [
        "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30", "2026-10-26 01:00"
    ]  # fmt: skip
    assert following(cron("*/30 3 * * *", "Europe/Helsinki"), "2026-03-28 02:00", 1) == ["2026-03-30 00:00"]


def test_cron_times_in_a_day_that_a_zone_skipped_do_not_occur() -> None:
    # Samoa, 2011-12-30: a jump of three hours or more corrects the clock, says crontab(5).
    assert following(cron("0 12 * * *", "Pacific/Apia"), "2011-12-29 00:00", 2) == [
        "2011-12-29 22:00", "2011-12-30 22:00"
    ]  # fmt: skip
    assert following(cron("0 12 30 12 *", "Pacific/Apia"), "2011-01-01 00:00", 1) == ["2012-12-29 22:00"]


def test_wildcards_confined_to_doubled_hours_occur_in_both_passes_every_year() -> None:
    # No other occurrence lies between the doubled hours of two years.
    assert following(cron("*/40 3 25-31 10 */7", "Europe/Helsinki"), "2026-01-01 00:00", 6) == [
        "2026-10-25 00:00", "2026-10-25 00:40", "2026-10-25 01:00", "2026-10-25 01:40",
        "2027-10-31 00:00", "2027-10-31 00:40",
    ]  # fmt: skip


def test_the_second_pass_is_walked_even_when_nothing_follows_it() -> None:
    times = [datetime(2026, 10, 25, 3, 0), datetime(2026, 10, 25, 3, 30)]
    walk = occurrences(lambda _: iter(times), "Europe/Helsinki", at_jump=False, both_passes=True)
    assert [utc(o) for o in walk(at("2026-10-25 00:00"))] == [
        "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30"
    ]  # fmt: skip


CALENDAR_DST = {
    # What systemd 252 prints: a skipped time does not elapse, a doubled one elapses the first time.
    ("*:00,30", "Europe/Helsinki", "2026-03-29 00:00"): [
        "2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"
    ],
    ("03:30", "Europe/Helsinki", "2026-03-28 00:30"): ["2026-03-28 01:30", "2026-03-30 00:30"],
    ("*:00,30", "Europe/Helsinki", "2026-10-24 23:30"): [
        "2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 02:00", "2026-10-25 02:30"
    ],
    ("03:30", "Europe/Helsinki", "2026-10-24 23:30"): ["2026-10-25 00:30", "2026-10-26 01:30"],
    ("*-10-25 03:30", "Europe/Helsinki", "2026-01-01 00:00"): ["2026-10-25 00:30", "2027-10-25 00:30"],
    ("*:00,30", "Europe/Dublin", "2026-10-25 00:00"): ["2026-10-25 00:30", "2026-10-25 02:00"],
    ("*:00,30", "Europe/Dublin", "2026-03-29 00:00"): ["2026-03-29 00:30", "2026-03-29 01:00"],
    ("*:00/15", "Australia/Lord_Howe", "2026-04-04 14:15"): [
        "2026-04-04 14:30", "2026-04-04 14:45", "2026-04-04 15:30"
    ],
    ("*:00,30", "Antarctica/Troll", "2026-10-25 00:00"): ["2026-10-25 00:30", "2026-10-25 03:00"],
    ("*:00,30", "America/Havana", "2026-11-01 04:00"): ["2026-11-01 04:30", "2026-11-01 06:00"],
    ("00:00", "America/Havana", "2026-03-07 03:00"): ["2026-03-07 05:00", "2026-03-09 04:00"],
    ("*:00,30", "Africa/Casablanca", "2026-02-15 01:00"): ["2026-02-15 01:30", "2026-02-15 03:00"],
    ("12:00", "Pacific/Apia", "2011-12-29 00:00"): ["2011-12-29 22:00", "2011-12-30 22:00"],
}  # fmt: skip


@pytest.mark.parametrize("case", CALENDAR_DST, ids=" ".join)
def test_calendars_skip_and_double_as_systemd_does(case: tuple[str, str, str]) -> None:
    expression, timezone, start = case
    want = CALENDAR_DST[case]
    assert following(calendar(expression, timezone), start, len(want)) == want


SYSTEMD_CASES = [
    *[(f"{e} {z}", start, 7) for (e, z, start) in CALENDAR_DST],
    ("*:00/20 America/Santiago", "2026-04-05 01:00", 9),
    ("*:00/20 Asia/Beirut", "2026-03-28 20:00", 9),
    ("00:30 Asia/Beirut", "2026-03-27 00:00", 3),
    ("0/2:10 Pacific/Chatham", "2026-04-04 06:00", 9),
    ("Sun *-*~07/1 01:30 Europe/London", "2025-01-01 00:00", 12),
    ("Mon..Fri 08:00", "2026-05-01 00:00", 6),
    ("Sat,Thu,Mon..Wed 1:00", "2026-05-01 00:00", 6),
    ("*-*~1 02:00", "2026-01-01 00:00", 4),
    ("*-1/3-1 1:00", "2026-01-01 12:00", 4),
    ("2026..2028-1-1", "2026-01-01 12:00", 3),
    ("*:*:0/10", "2026-01-01 00:00", 8),
    ("8,12..14:15 utc", "2026-01-01 00:00", 6),
    ("quarterly", "2026-01-01 00:00", 4),
    ("weekly Asia/Tokyo", "2026-01-01 00:00", 3),
    ("*-02-29 12:00", "2026-01-01 00:00", 3),
    ("*:0..0/1", "2026-01-01 00:00", 4),
    ("*:5,10..10/15,20..45/15", "2026-01-01 00:00", 8),
    ("*-*~3..3/1 00:00..0/2", "2026-01-01 00:00", 4),
    ("27..2027/1-1..1/2-1..1/9", "2026-01-01 00:00", 1),
]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize(("expression", "start", "count"), SYSTEMD_CASES)
def test_calendars_elapse_when_systemd_says(expression: str, start: str, count: int) -> None:
    command = ["systemd-analyze", "calendar", f"--iterations={count}", f"--base-time={start} UTC", expression]
    ran = subprocess.run(command, capture_output=True, text=True, env={"TZ": "UTC"}, check=False)
    if ran.returncode:
        pytest.skip(ran.stderr.strip())
    printed = re.findall(r"(?:Next elapse|Iter\. ?#\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", ran.stdout)
    schedule = parse_schedule({"calendar": expression})
    assert isinstance(schedule, Calendar)
    assert following(schedule, start, count) == [t.removesuffix(":00") for t in printed]


# The same times of every day in UTC, which need no walk of cronsim

EVERY_DAY = (
    "* * * * *|*/15 * * * *|7 * * * *|0,59 0,23 * * *|5-55/10 8-17 * * *|30 2 * * *|*/7 */5 * * *|@hourly|@daily"
)


@pytest.mark.parametrize("expression", EVERY_DAY.split("|"))
def test_what_occurs_every_day_alike_in_utc_occurs_when_the_walk_of_cronsim_says(expression: str) -> None:
    quick, walked = cron(expression, "UTC"), Cron(expression, "Etc/UTC")  # the same clock; only the first is quick
    chance = random.Random(expression)
    ends = [-2 * DAY, -1, 0, 1, at("2199-12-31 23:59"), at("2200-01-01 00:00"), at("2200-01-01 00:00") + DAY]
    for t in [*ends, *(chance.randrange(at("2199-01-01 00:00")) for _ in range(100))]:
        for _ in range(4):
            assert (quick.at_or_before(t), quick.after(t)) == (walked.at_or_before(t), walked.after(t)), t
            t = walked.after(t) or t


def test_the_quick_way_is_taken_in_utc_and_only_where_every_day_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []
    monkeypatch.setattr("luota.core.schedule.every_day", lambda times: taken.append(times) or every_day(times))
    for expression, timezone in (("5 * * * *", "Europe/Helsinki"), ("5 * * * MON", "UTC"), ("5 * 1 * *", "UTC")):
        Cron(expression, timezone)
    assert taken == []
    Cron("5 1,2 * * *", "UTC")
    assert taken == [[3_900, 7_500]]


# The memo

MEMO_CASES = [
    ("cron", "* * * * *", "UTC"),
    ("cron", "*/7 1,2 * * *", "Australia/Lord_Howe"),
    ("cron", "30 2 * * *", "Europe/Berlin"),
    ("cron", "0 0 29 2 *", "America/Havana"),
    ("cron", "0 0 29 2 MON#5", "UTC"),
    ("cron", "* * * 1 *", "Asia/Tokyo"),
    ("cron", "*/20 0 * 10 SUN", "Europe/Lisbon"),
    ("calendar", "*:*:0/7", "Europe/London"),
    ("calendar", "2026-03-29 *:00,30", "Europe/Helsinki"),
    ("calendar", "Mon..Fri 08:00", "America/New_York"),
]


@pytest.mark.parametrize(("kind", "expression", "timezone"), MEMO_CASES)
def test_what_was_asked_before_changes_no_answer(kind: str, expression: str, timezone: str) -> None:
    choice = random.Random(expression)
    make = Cron if kind == "cron" else Calendar
    warm, t = make(expression, timezone), at("2026-03-28 20:00")
    for _ in range(150):
        step = choice.choice((1, SECOND, MINUTE, HOUR, DAY, 400 * DAY))
        if choice.random() < 0.15:
            t = at("2026-03-29 00:00") if choice.random() < 0.5 else at("2026-10-25 00:00")
        elif choice.random() < 0.3:
            t = warm.after(t) or t
        t += choice.randrange(-step, 2 * step)
        fresh = make(expression, timezone)
        ask = choice.choice((Cron.after, Cron.at_or_before, Cron.slack, Cron.first_unmet, Cron.met_by))
        assert ask(warm, t) == ask(fresh, t), (ask.__name__, t)


@pytest.mark.parametrize(("kind", "expression", "timezone"), MEMO_CASES)
def test_what_a_signal_meets_follows_from_the_occurrences_around_it_and_their_slack(
    kind: str, expression: str, timezone: str
) -> None:
    choice = random.Random(expression)
    schedule, t = (Cron if kind == "cron" else Calendar)(expression, timezone), at("2026-03-28 20:00")
    for _ in range(300):
        following = schedule.after(t)
        early = 0 if following is None else schedule.slack(following)
        near = choice.choice((0, 1, early - 1, early, early + 1, MINUTE, MINUTE + 1))
        t = t + choice.randrange(DAY) if following is None or choice.random() < 0.2 else following - near
        met, unmet = schedule.at_or_before(t), schedule.after(t)
        if unmet is not None and t >= unmet - schedule.slack(unmet):
            met, unmet = unmet, schedule.after(unmet)
        assert (schedule.met_by(t), schedule.first_unmet(t)) == (met, unmet), t
        assert met is None or schedule.meets(t, met)
        assert unmet is None or not schedule.meets(t, unmet)


@pytest.mark.parametrize(("kind", "expression", "timezone"), MEMO_CASES)
def test_walking_back_meets_the_same_occurrences_as_walking_on(kind: str, expression: str, timezone: str) -> None:
    schedule = (Cron if kind == "cron" else Calendar)(expression, timezone)
    there, o = [], schedule.after(at("2026-03-28 22:00"))
    while o is not None and len(there) < 300:
        there.append(o)
        o = schedule.after(o)
    back, o = [], there[-1]
    while o is not None and o >= there[0]:
        back.append(o)
        o = schedule.at_or_before(o - 1)
    assert back[::-1] == there
    assert len(set(there)) == len(there)


def test_the_memo_stays_small_over_a_long_walk() -> None:
    schedule = Cron("* * * * *", "UTC")
    t = at("2026-01-01 00:00")
    for _ in range(2_000):
        t = schedule.after(t) or t
    assert utc(t) == "2026-01-02 09:20"
    assert len(schedule._memo._known) <= 129
