import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from luota.core.errors import Code, LuotaError
from luota.core.schedule import Calendar, Cron, Every, Schedule, parse_schedule
from tests.core.times import HOUR, MINUTE, SECOND, at, calendar, cron, following, utc


def refusal(value: object, **more: int) -> LuotaError:
    with pytest.raises(LuotaError) as raised:
        parse_schedule(value, **more)
    assert raised.value.code is Code.INVALID
    assert raised.value.message.endswith((".", "?"))
    return raised.value


# Asking


def test_the_next_occurrence_lies_strictly_after_the_instant_asked_about() -> None:
    two = cron("0 2 * * *")
    assert utc(two.after(at("2026-01-01 01:59:59.999"))) == "2026-01-01 02:00"
    assert utc(two.after(at("2026-01-01 02:00"))) == "2026-01-02 02:00"
    assert utc(two.after(at("2026-01-01 02:00:00.001"))) == "2026-01-02 02:00"


def test_the_last_occurrence_may_be_the_instant_asked_about() -> None:
    two = cron("0 2 * * *")
    assert utc(two.at_or_before(at("2026-01-01 02:00"))) == "2026-01-01 02:00"
    assert utc(two.at_or_before(at("2026-01-01 01:59:59.999"))) == "2025-12-31 02:00"


def test_a_timezone_moves_the_occurrences() -> None:
    assert following(cron("0 2 * * *", "Europe/Helsinki"), "2026-01-01 00:00", 1) == ["2026-01-02 00:00"]
    assert following(calendar("02:00", "Asia/Kathmandu"), "2026-01-01 00:00", 1) == ["2026-01-01 20:15"]


def test_an_exhausted_calendar_has_no_next_and_keeps_its_last() -> None:
    once = calendar("2026-05-01 12:00")
    assert utc(once.after(at("2026-05-01 11:00"))) == "2026-05-01 12:00"
    assert once.after(at("2026-05-01 12:00")) is None
    assert once.first_unmet(at("2026-05-01 12:00")) is None
    assert utc(once.at_or_before(at("2090-01-01 00:00"))) == "2026-05-01 12:00"
    assert once.at_or_before(at("2026-05-01 11:59")) is None
    assert once.met_by(at("2026-05-01 11:58")) is None
    assert utc(once.met_by(at("2026-05-01 13:00"))) == "2026-05-01 12:00"


def test_instants_beyond_what_a_calendar_year_can_express_have_an_answer() -> None:
    hourly = cron("0 * * * *", "America/New_York")
    for t in (-(10**18), -1, 0):
        assert hourly.after(t) == (0 if t < 0 else HOUR)
        assert hourly.at_or_before(t) == (None if t < 0 else 0)
    for t in (at("2200-01-01 00:00"), 10**15, 10**20):
        assert hourly.after(t) is None
        assert utc(hourly.at_or_before(t)) == "2199-12-31 23:00"


def test_calendars_may_count_in_seconds() -> None:
    assert following(calendar("*:*:0/20"), "2026-01-01 00:00:39", 3) == [
        "2026-01-01 00:00:40", "2026-01-01 00:01", "2026-01-01 00:01:20"
    ]  # fmt: skip


# Early slack


def test_slack_is_a_tenth_of_the_gap_before_and_a_minute_at_most() -> None:
    assert cron("* * * * *").slack(at("2026-01-01 00:07")) == 6 * SECOND
    assert cron("*/5 * * * *").slack(at("2026-01-01 00:05")) == 30 * SECOND
    assert cron("0 * * * *").slack(at("2026-01-01 05:00")) == MINUTE
    uneven = cron("0,4 * * * *")
    assert uneven.slack(at("2026-01-01 01:04")) == 24 * SECOND
    assert uneven.slack(at("2026-01-01 02:00")) == MINUTE


def test_slack_of_the_first_occurrence_ever_is_a_minute() -> None:
    once = calendar("2026-05-01 12:00")
    assert once.slack(at("2026-05-01 12:00")) == MINUTE
    assert utc(once.met_by(at("2026-05-01 11:59"))) == "2026-05-01 12:00"


def test_a_signal_just_ahead_of_an_occurrence_meets_it() -> None:
    nightly = cron("0 2 * * *")
    for t, met, unmet in (
        ("2026-01-05 01:58:59.999", "2026-01-04 02:00", "2026-01-05 02:00"),
        ("2026-01-05 01:59:00.000", "2026-01-05 02:00", "2026-01-06 02:00"),
        ("2026-01-05 02:00:00.000", "2026-01-05 02:00", "2026-01-06 02:00"),
        ("2026-01-05 02:00:00.001", "2026-01-05 02:00", "2026-01-06 02:00"),
        ("2026-01-05 12:00:00.000", "2026-01-05 02:00", "2026-01-06 02:00"),
    ):
        assert utc(nightly.met_by(at(t))) == met, t
        assert utc(nightly.first_unmet(at(t))) == unmet, t


# Writing and reading


def test_equal_schedules_are_one_object_and_hash_alike() -> None:
    one, other = cron(" 0  2 * * * ", "Europe/Helsinki"), cron("0 2 * * *", "Europe/Helsinki")
    assert one is other
    assert calendar("daily") is calendar("daily")
    assert Cron("0 2 * * *", "Europe/Helsinki") == one
    assert hash(Cron("0 2 * * *", "Europe/Helsinki")) == hash(one)
    assert cron("0 2 * * *", "UTC") != one
    assert parse_schedule({"every": 60}) == Every(MINUTE)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"every": 1}, "every 1 s"),
        ({"every": 90}, "every 90 s"),
        ({"every": "5m"}, "every 5 min"),
        ({"every": "2h"}, "every 2 h"),
        ({"every": 86_400}, "every 1 d"),
        ({"every": 366 * 86_400}, "every 366 d"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Helsinki"}, "cron 0 2 * * * (Europe/Helsinki)"),
        ({"cron": "\t0 2  * * mon-fri "}, "cron 0 2 * * mon-fri (UTC)"),
        ({"cron": "@Daily"}, "cron @daily (UTC)"),
        ({"cron": "0 12 28 JUL *", "timezone": None}, "cron 0 12 28 JUL * (UTC)"),
        ({"calendar": "Mon *-*-* 02:00"}, "calendar Mon *-*-* 02:00 (UTC)"),
        ({"calendar": "daily", "timezone": "Asia/Tokyo"}, "calendar daily (Asia/Tokyo)"),
        ({"calendar": "Mon..Fri 08:00 Europe/Helsinki"}, "calendar Mon..Fri 08:00 (Europe/Helsinki)"),
        ({"calendar": "08:00 utc", "timezone": "UTC"}, "calendar 08:00 (UTC)"),
    ],
)
def test_a_schedule_says_itself_and_survives_json(value: object, words: str) -> None:
    schedule: Schedule | None = parse_schedule(value)
    assert schedule is not None
    assert schedule.describe() == words
    assert parse_schedule(json.loads(json.dumps(schedule.json()))) == schedule


def test_null_is_no_schedule() -> None:
    assert parse_schedule(None) is None


def test_macros_occur_as_their_five_fields() -> None:
    for macro, fields in (
        ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"),
    ):  # fmt: skip
        assert following(cron(macro), "2026-03-03 03:03", 3) == following(cron(fields), "2026-03-03 03:03", 3)


def test_a_step_over_a_range_of_one_value_goes_nowhere() -> None:
    for stepped, plain in (
        ("5-5/15 * * * *", "5 * * * *"),
        ("05-5/15,7-9/2 0-0/4 * * *", "5,7,9 0 * * *"),
        ("0 0 1-1/10 JAN-1/2 *", "0 0 1 1 *"),
        ("0 0 * * mon-MON/2,7-7/3", "0 0 * * 1,7"),
    ):
        assert following(cron(stepped), "2026-03-03 03:03", 9) == following(cron(plain), "2026-03-03 03:03", 9)
    for refused in ("5-5/0 * * * *", "5-2005/15 * * * *", "70-70/2 * * * *", "0 0 * JAN-MON/2 *", "5-5/15/2 * * * *"):
        assert refusal({"cron": refused}).field == "schedule.cron"


def test_day_and_weekday_are_joined_as_in_debians_cron() -> None:
    assert following(cron("0 0 13 * FRI"), "2026-02-01 00:00", 3) == [
        "2026-02-06 00:00", "2026-02-13 00:00", "2026-02-20 00:00"
    ]  # fmt: skip
    assert following(cron("0 0 */12 * FRI"), "2026-01-01 00:00", 2) == [
        "2026-02-13 00:00",
        "2026-03-13 00:00",
    ]


@pytest.mark.parametrize(
    ("value", "field", "says"),
    [
        (5, "schedule", '{"every": 300}'),
        ("0 2 * * *", "schedule", '{"cron": "0 2 * * *"'),
        ([], "schedule", "null"),
        ({}, "schedule", "exactly one"),
        ({"every": 5, "cron": "0 2 * * *"}, "schedule", "exactly one"),
        ({"every": 5, "timezone": "UTC"}, "schedule", "'timezone'"),
        ({"cron": "0 2 * * *", "tz": "UTC"}, "schedule", "'tz'"),
        ({"every": 0}, "schedule.every", "from 1 s to 366 d"),
        ({"every": 366 * 86_400 + 1}, "schedule.every", "from 1 s to 366 d"),
        ({"every": True}, "schedule.every", ""),
        ({"every": 1.5}, "schedule.every", ""),
        ({"every": "soon"}, "schedule.every", "from 1 s to 366 d"),
        ({"cron": 5}, "schedule.cron", '"0 2 * * *"'),
        ({"cron": " "}, "schedule.cron", '"0 2 * * *"'),
        ({"cron": "*" * 501}, "schedule.cron", "500"),
        ({"cron": "0 2 * *"}, "schedule.cron", "4 fields"),
        ({"cron": "0 0 2 * * *"}, "schedule.cron", "calendar"),
        ({"cron": "99 2 * * *"}, "schedule.cron", "the minute field of '99 2 * * *' takes 0 to 59"),
        ({"cron": "0 4,24 31 2 *"}, "schedule.cron", "wrong is '24'"),
        ({"cron": "0 2 0 * *"}, "schedule.cron", "the day-of-month field of '0 2 0 * *' takes 1 to 31"),
        ({"cron": "0 2 * 13 *"}, "schedule.cron", "takes 1 to 12 or JAN to DEC"),
        ({"cron": "0 2 * * FUN"}, "schedule.cron", "the day-of-week field of '0 2 * * FUN' takes 0 to 7"),
        ({"cron": "0 2,, * * *"}, "schedule.cron", "wrong is '', ''"),
        ({"cron": "5/15 * * * *"}, "schedule.cron", "5-59/15"),
        ({"cron": "0 0 30 2 *"}, "schedule.cron", "'0 0 30 2 *' never occurs: month 2 has no day 30"),
        ({"cron": "0 0 */20 * 1L"}, "schedule.cron", "Debian"),
        ({"cron": "0 12 L * *"}, "schedule.cron", "Debian"),
        ({"cron": "0 12 1,lw * *"}, "schedule.cron", "Debian"),
        ({"cron": "0 12 15W * *"}, "schedule.cron", "Debian"),
        ({"cron": "0 12 * * FRIL"}, "schedule.cron", "Debian"),
        ({"cron": "0 12 * * MON#2"}, "schedule.cron", "no L, W and #"),
        ({"cron": "@reboot"}, "schedule.cron", "@hourly"),
        ({"cron": "0 2 * * *", "timezone": "Europe/Helsingfors"}, "schedule.timezone", "Europe/Helsinki"),
        ({"cron": "0 2 * * *", "timezone": "europe/helsinki"}, "schedule.timezone", "Europe/Helsinki?"),
        ({"cron": "0 2 * * *", "timezone": "Helsinki"}, "schedule.timezone", "Europe/Helsinki?"),
        ({"cron": "0 2 * * *", "timezone": "../etc/passwd"}, "schedule.timezone", "not a known timezone"),
        ({"cron": "0 2 * * *", "timezone": "right/UTC"}, "schedule.timezone", "not a known timezone"),
        ({"cron": "0 2 * * *", "timezone": 2}, "schedule.timezone", "Europe/Helsinki"),
        ({"calendar": "sometimes"}, "schedule.calendar", "Mon..Fri 08:00"),
        ({"calendar": "*-02-30"}, "schedule.calendar", "never occurs"),
        ({"calendar": "Mon..Mon/2 08:00"}, "schedule.calendar", "Mon..Fri 08:00"),
        ({"calendar": "*:5..2005/2"}, "schedule.calendar", "Mon..Fri 08:00"),
        ({"calendar": "08:00\n09:00"}, "schedule.calendar", "one expression"),
        ({"calendar": "08:00 Europe/Helsinky"}, "schedule.calendar", "Europe/Helsinki?"),
        ({"calendar": "08:00 Asia/Tokyo", "timezone": "UTC"}, "schedule.timezone", "contradicts"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_what_is_right(value: object, field: str, says: str) -> None:
    error = refusal(value)
    assert error.field == field
    assert says in error.message


@pytest.mark.parametrize("refused", ["0 2 * * 7#2", "0 2 L * *", "*/10 * * * * *"])
def test_where_a_calendar_can_say_what_cron_cannot_the_refusal_names_expressions_as_one_types_them(
    refused: str,
) -> None:
    told = re.findall(r'"(.+?)"', refusal({"cron": refused}).message)
    assert told
    for expression in told:
        assert parse_schedule({"calendar": expression}) == calendar(expression)


def test_the_field_is_named_from_where_the_schedule_stands() -> None:
    with pytest.raises(LuotaError) as raised:
        parse_schedule({"cron": "x"}, "monitors.0.schedule")
    assert raised.value.field == "monitors.0.schedule.cron"


def test_a_schedule_that_lies_in_the_past_is_refused_when_the_present_is_known() -> None:
    past = {"calendar": "2026-05-01 12:00"}
    assert parse_schedule(past, now=at("2026-05-01 11:59")) == parse_schedule(past)
    assert "never occurs again" in refusal(past, now=at("2026-05-01 12:00")).message


def test_every_zone_of_the_database_can_be_scheduled_in() -> None:
    for name in ("Etc/GMT+12", "Pacific/Kiritimati", "America/Argentina/Ushuaia", "Asia/Kathmandu", "UTC"):
        noon = cron("0 12 * * *", name).after(at("2026-01-01 00:00"))
        assert noon is not None
        local = datetime.fromtimestamp(noon / 1000, ZoneInfo(name))
        assert (local.hour, local.minute) == (12, 0)
        assert timedelta(0) < local - datetime.fromisoformat("2026-01-01T00:00+00:00") <= timedelta(days=1)
