"""Schedules in words: what is said is what occurs."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luota.core.errors import LuotaError
from luota.core.model import Mode, Rules
from luota.core.schedule import Every, parse_schedule
from luota.core.words import describe, promised
from tests.core.history import DAY, HOUR, MINUTE, SECOND, at, calendar, cron, heartbeat

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 7 * * 1-5", "every weekday at 07:00"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("5 * * * *", "at minute 5 of every hour"),
        ("5,20,35 * * * *", "at minutes 5, 20 and 35 of every hour"),
        ("0 7,19 * * *", "every day at 07:00 and 19:00"),
        ("0,30 7,19 * * *", "every day at 07:00, 07:30, 19:00 and 19:30"),
        ("0 8-17 * * *", "every hour from 08:00 to 17:00"),
        ("15 3-23/4 * * *", "every 4 hours from 03:15"),
        ("*/15 8-17 * * MON-FRI", "every weekday, every 15 minutes from 08:00 to 17:45"),
        ("0 0 * * 0,6", "every Saturday and Sunday at 00:00"),
        ("0 0 * * 7", "every Sunday at 00:00"),
        ("30 4 1 * *", "on day 1 of every month at 04:30"),
        ("30 4 31 * *", "on day 31 of every month that has one at 04:30"),
        ("0 9 24 dec *", "every 24 December at 09:00"),
        ("@daily", "every day at 00:00"),
        ("@yearly", "every 1 January at 00:00"),
        # no plain names
        ("*/7 * * * *", "by cron */7 * * * *"),
        ("0 0 1 * 1", "by cron 0 0 1 * 1"),
        ("0 9 1-7 * *", "by cron 0 9 1-7 * *"),
        ("0 9 * 6 *", "by cron 0 9 * 6 *"),
        ("0 9 */2 * 1", "by cron 0 9 */2 * 1"),
    ],
)
def test_cron_in_words(expression, words):
    assert describe(cron(expression, "Europe/Helsinki")) == f"{words}, Europe/Helsinki"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("daily", "every day at 00:00"),
        ("weekly", "every Monday at 00:00"),
        ("Mon..Fri 08:00", "every weekday at 08:00"),
        ("Monday 8:00", "every Monday at 08:00"),
        ("*:0/15", "every 15 minutes"),
        ("*-*-* *:10/20", "at minutes 10, 30 and 50 of every hour"),
        ("*-*-01 02:30", "on day 1 of every month at 02:30"),
        ("*-02-03 04:05:00", "every 3 February at 04:05"),
        # no plain names
        ("*-*~01 02:00", "by calendar *-*~01 02:00"),
        ("2027-03-28 02:00", "by calendar 2027-03-28 02:00"),
        ("*:*:0/10", "by calendar *:*:0/10"),
        ("Sat *-*-1..7 18:00", "by calendar Sat *-*-1..7 18:00"),
        ("quarterly", "by calendar quarterly"),
    ],
)
def test_calendars_in_words(expression, words):
    assert describe(calendar(expression)) == f"{words}, UTC"


def test_intervals_in_words():
    said = {1: "every second", 90: "every 90 seconds", 60: "every minute", 900: "every 15 minutes"}
    said |= {3600: "every hour", 86400: "every day", 172800: "every 2 days"}
    assert {seconds: describe(Every(seconds * SECOND)) for seconds in said} == said


def test_the_promise_is_words_around_instants():
    expected, deadline = at("07:00"), at("07:10")
    assert promised(heartbeat(Every(HOUR), grace=10 * MINUTE), expected, deadline) == (
        "expected ",
        expected,
        ", grace 10 min, deadline ",
        deadline,
    )
    fresh = Rules(mode=Mode.FRESHNESS, freshness=DAY, grace=HOUR)
    assert promised(fresh, expected, deadline)[0] == "to be renewed by "
    assert promised(fresh, None, None) == ("nothing is expected",)
    assert promised(Rules(mode=Mode.RUN, max_runtime=HOUR), None, None) == ("no schedule; a run is stuck after 1 h",)


# What is said is what occurs


def occurs(words, moment):
    """Tell whether, by the words alone, a schedule occurs at a minute; reads no expression."""
    days, time = split(words)
    return on_day(days, moment) and at_time(time, moment.hour * 60 + moment.minute)


NAMES = f"(?:{'|'.join(DAYS)})"
ON_DAYS = "|".join(
    [
        "every day",
        "every weekday",
        r"on day \d+ of every month(?: that has one)?",
        rf"every \d+ (?:{'|'.join(MONTHS)})",
        f"every {NAMES}(?:(?:, | and ){NAMES})*",
    ]
)


def split(words):
    found = re.fullmatch(f"({ON_DAYS})(?: at |, )(.*)", words)
    return found.groups() if found else ("every day", words)


def on_day(days, moment):
    if days == "every day":
        return True
    if days == "every weekday":
        return moment.weekday() < 5
    if found := re.fullmatch(r"on day (\d+) of every month( that has one)?", days):
        return moment.day == int(found[1])
    if found := re.fullmatch(r"every (\d+) (\w+)", days):
        return (moment.day, MONTHS[moment.month - 1]) == (int(found[1]), found[2])
    assert set(re.findall(r"\w+day", days)) <= set(DAYS)
    return DAYS[moment.weekday()] in days


def minutes_of(text):
    return int(text[:2]) * 60 + int(text[3:5])


def at_time(time, minute):
    if found := re.fullmatch(r"at minutes? (.*) of every hour", time):
        return str(minute % 60) in re.findall(r"\d+", found[1])
    if re.fullmatch(r"(\d\d:\d\d(, | and )?)+", time):
        return minute in [minutes_of(one) for one in re.findall(r"\d\d:\d\d", time)]
    found = re.fullmatch(r"every (?:(\d+) )?(minute|hour)s?(?: from (\d\d:\d\d)(?: to (\d\d:\d\d))?)?", time)
    assert found, time
    step = int(found[1] or 1) * (60 if found[2] == "hour" else 1)
    begin = minutes_of(found[3]) if found[3] else 0
    end = minutes_of(found[4]) if found[4] else 24 * 60
    return begin <= minute <= end and (minute - begin) % step == 0


def field(least, most):
    number = st.integers(least, most)
    pair = st.tuples(number, number).map(sorted)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, most).map("*/{}".format),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, st.integers(1, 9)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
        st.lists(number, min_size=2, max_size=4).map(lambda n: ",".join(map(str, n))),
    )


def translated(text):
    """Return a cron field in the language of calendars."""
    return text.replace("-", "..")


def check(schedule):
    words, _, zone = describe(schedule).rpartition(", ")
    assert zone == "UTC"
    if words.startswith("by "):
        return
    begin = at("18 00:00")
    for start, length in ((begin, 8 * 24 * 60), (begin + 300 * DAY, 24 * 60), (begin + 703 * DAY, 24 * 60)):
        occurrence = schedule.after(start - 1)
        for minute in range(length):
            t = start + minute * MINUTE
            said = occurs(words, datetime.fromtimestamp(t // 1000, UTC))
            assert said == (occurrence == t), (words, t)
            if occurrence == t:
                occurrence = schedule.after(t)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(
        field(0, 59),
        field(0, 23),
        st.one_of(st.just("*"), field(1, 31)),
        st.just("*"),
        st.one_of(st.just("*"), field(0, 7)),
    )
)
def test_what_is_said_of_cron_is_what_occurs(fields):
    try:
        schedule = parse_schedule({"cron": " ".join(fields)})
    except LuotaError:
        return
    check(schedule)


@settings(max_examples=150, deadline=None)
@given(
    field(0, 59),
    field(0, 23),
    st.one_of(st.just("*"), st.integers(1, 28).map(str)),
    st.sampled_from(["", "Mon..Fri ", "Sat,Sun ", "Tue ", "Monday..Wednesday "]),
)
def test_what_is_said_of_a_calendar_is_what_occurs(minute, hour, day, weekday):
    try:
        schedule = parse_schedule({"calendar": f"{weekday}*-*-{day} {translated(hour)}:{translated(minute)}"})
    except LuotaError:
        return
    check(schedule)
