"""Schedules in words: what is said is what occurs."""

import re
from calendar import monthrange
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import assume, given, settings
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
        ("0 7 * * mon-fri/2", "every Monday, Wednesday and Friday at 07:00"),
        ("5-5/15 7 * * *", "every day at 07:05"),
        ("30 4 1 * *", "on day 1 of every month at 04:30"),
        ("30 4 31 * *", "on day 31 of every month that has one at 04:30"),
        ("0 9 24 dec *", "every 24 December at 09:00"),
        ("0 9 * 6 *", "every day in June at 09:00"),
        ("0 9 * 6-8 1,3", "every Monday and Wednesday in June to August at 09:00"),
        ("0 9 1 */2 *", "on day 1 of January, March, May, July, September and November at 09:00"),
        ("0 9 1-7 * *", "on days 1 to 7 of every month at 09:00"),
        ("0 9 15,30 * *", "on days 15 and 30 of every month (where they exist) at 09:00"),
        ("0 9 31 1,6 *", "on day 31 of January and June (where it exists) at 09:00"),
        ("0 9 29 2 *", "every 29 February at 09:00"),
        # a day of the month or of the week, but for one of them that begins with a star
        ("0 0 1,15 * 1", "on days 1 and 15 of every month and every Monday at 00:00"),
        ("*/15 8-17 1 * 1-5", "on day 1 of every month and every weekday, every 15 minutes from 08:00 to 17:45"),
        ("0 0 24 12 1", "every 24 December and every Monday in December at 00:00"),
        ("0 0 1-31 * 1", "every day at 00:00"),
        ("0 9 */10 * 1", "every Monday that falls on days 1, 11, 21 and 31 of every month (where they exist) at 09:00"),
        ("@daily", "every day at 00:00"),
        ("@yearly", "every 1 January at 00:00"),
        ("0 0 1,* * 1", "every day at 00:00"),
        ("0 0 30 2 1", "every Monday in February at 00:00"),  # which has no such day
        ("0 0 1-29 2 *", "every day in February at 00:00"),
        ("0 0 1-29 2,3 *", "on days 1 to 29 of February and March (where they exist) at 00:00"),
        # ranges and steps that come to no round number
        ("*/7 * * * *", "at minutes 0, 7, 14 … 56 of every hour"),
        ("2-59/5 * * * *", "at minutes 2, 7, 12 … 57 of every hour"),
        ("0 9 */2 * 1", "every Monday that falls on days 1, 3, 5 … 31 of every month (where they exist) at 09:00"),
        (
            "*/7 3-5 1,15 * MON",
            "on days 1 and 15 of every month and every Monday, at minutes 0, 7, 14 … 56 of hours 3 to 5",
        ),
        ("*/7 3 * * *", "every 7 minutes from 03:00 to 03:56"),
        ("10-20 3 * * *", "every minute from 03:10 to 03:20"),
        ("5-59/15 8-9 * * *", "every 15 minutes from 08:05 to 09:50"),
        ("1,2,5-9 * * * *", "at minutes 1, 2 and 5 to 9 of every hour"),
        ("0,2,4,7,9 * * * *", "at minutes 0, 2, 4, 7 and 9 of every hour"),
        ("1,2,5,7,9 3 * * *", "at minutes 1, 2, 5, 7 and 9 of hour 3"),
        ("* */2 * * *", "every minute of hours 0, 2, 4 … 22"),
        ("*/15 0,9 * * *", "at minutes 0, 15, 30 and 45 of hours 0 and 9"),
        ("5 1-3,7,9 * * *", "at minute 5 of hours 1 to 3, 7 and 9"),
        ("0 8-18/2 * * *", "every 2 hours from 08:00 to 18:00"),
        ("0 */5 * * *", "every 5 hours from 00:00 to 20:00"),
        (
            "0 7 * 1-3,5,7,9-11 SUN-THU",
            "every Monday to Thursday and Sunday in January to March, May, July and September to November at 07:00",
        ),
    ],
)
def test_cron_in_words(expression, words):
    assert describe(cron(expression, "Europe/Helsinki")) == f"{words}, Europe/Helsinki"
    check(cron(expression))


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
        ("*-*~01 03:00", "on the last day of every month at 03:00"),
        ("*-02~01", "on the last day of February at 00:00"),
        ("*-*~07 02:00", "on day 7 from the end of every month at 02:00"),
        ("*-*~1..3 02:00", "on the last 3 days of every month at 02:00"),
        ("Sat *-*-1..7 18:00", "every Saturday that falls on days 1 to 7 of every month at 18:00"),
        ("Mon..Fri *-*~1 18:00", "every weekday that falls on the last day of every month at 18:00"),
        ("Mon *-12-24 08:00", "every Monday that falls on 24 December at 08:00"),
        ("quarterly", "on day 1 of January, April, July and October at 00:00"),
        ("semiannually", "on day 1 of January and July at 00:00"),
        ("*-*~07/1 02:00", "on the last 7 days of every month at 02:00"),
        ("*-*~10/3 02:00", "on days 1, 4, 7 and 10 from the end of every month at 02:00"),
        ("*-*~9..9/3 02:00", "on day 9 from the end of every month at 02:00"),
        ("Mon *-05~07/1", "every Monday that falls on the last 7 days of May at 00:00"),
        ("Sat-Sun *:0/7", "every Saturday and Sunday, at minutes 0, 7, 14 … 56 of every hour"),
        # of certain years or seconds: as they were written
        ("2027-03~01 02:00", "by calendar 2027-03~01 02:00"),
        ("2027-03-28 02:00", "by calendar 2027-03-28 02:00"),
        ("*:*:0/10", "by calendar *:*:0/10"),
    ],
)
def test_calendars_in_words(expression, words):
    assert describe(calendar(expression)) == f"{words}, UTC"
    check(calendar(expression))


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


def listed(name):
    row = f"{name}(?: to {name})?"
    return f"{row}(?:, {row})*(?: and {row})?"


NAMES, MONTH = f"(?:{'|'.join(DAYS)})", f"(?:{'|'.join(MONTHS)})"
OF_MONTHS = f"(?:every month|{listed(MONTH)})"
NUMBERS = rf"(?:\d+, \d+, \d+ … \d+|{listed('[0-9]+')})"
DATES = (
    rf"(?:on )?(?P<dates>the last (?:day|\d+ days)|days? {NUMBERS}(?: from the end)?) of (?P<of>{OF_MONTHS})"
    r"(?: that has one| \(where (?:it exists|they exist)\))?"
)
DATE = rf"(?:every )?(?P<day>\d+) (?P<month>{MONTH})"
WEEKLY = f"every (?P<weekly>day|weekday|{listed(NAMES)})(?: in (?P<within>{OF_MONTHS}))?"
ON_DAYS = f"(?:{DATES}|{DATE}|{WEEKLY})"
PLAIN = re.sub(r"\?P<\w+>", "?:", ON_DAYS)


def split(words):
    found = re.fullmatch(f"({PLAIN}(?: that falls on {PLAIN}| and {PLAIN})?)(?: at |, )(.*)", words)
    return found.groups() if found else ("every day", words)


def on_day(days, moment):
    for between, of_both in ((" that falls on ", all), (" and ", any)):
        pair = re.fullmatch(f"({PLAIN}){between}({PLAIN})", days)
        if pair and not re.fullmatch(ON_DAYS, days):
            return of_both([on_day(one, moment) for one in pair.groups()])
    found = re.fullmatch(ON_DAYS, days)
    assert found, days
    if found["day"]:
        return (moment.day, MONTHS[moment.month - 1]) == (int(found["day"]), found["month"])
    if found["weekly"]:
        named = {"day": "Monday to Sunday", "weekday": "Monday to Friday"}.get(found["weekly"], found["weekly"])
        return moment.weekday() in spanned(named, NAMES, DAYS.index) and in_months(found["within"], moment)
    back = monthrange(moment.year, moment.month)[1] - moment.day + 1
    last = re.fullmatch(r"the last(?: (\d+))? days?", found["dates"])
    if last:
        return back <= int(last[1] or 1) and in_months(found["of"], moment)
    day = back if found["dates"].endswith(" from the end") else moment.day
    return day in spanned(found["dates"], r"\d+", int) and in_months(found["of"], moment)


def in_months(text, moment):
    return text in (None, "every month") or moment.month - 1 in spanned(text, MONTH, MONTHS.index)


def spanned(text, name, value):
    """Return the values of names in a text, such as `1, 2 and 5 to 9` or `0, 7, 14 … 56`."""
    if "…" in text:
        first, second, third, last = map(value, re.findall(name, text))
        assert second - first == third - second > 1
        assert (last - third) % (third - second) == 0 < last - third
        return set(range(first, last + 1, second - first))
    found = set()
    for row in re.split(", | and ", text):
        ends = [value(one) for one in re.findall(name, row)]
        found.update(range(ends[0], ends[-1] + 1))
    return found


def minutes_of(text):
    return int(text[:2]) * 60 + int(text[3:5])


def minutes_at(time):
    """Return all minutes of a day of which words speak, in order."""
    if found := re.fullmatch(rf"(?:every minute|at minutes? ({NUMBERS})) of (?:every hour|hours? ({NUMBERS}))", time):
        minutes, hours = (spanned(text or "0 to 59", "[0-9]+", int) for text in found.groups())
        return [minute for minute in range(24 * 60) if minute % 60 in minutes and minute // 60 in hours]
    if re.fullmatch(r"(\d\d:\d\d(, | and )?)+", time):
        return sorted({minutes_of(one) for one in re.findall(r"\d\d:\d\d", time)})
    found = re.fullmatch(r"every (?:(\d+) )?(minute|hour)s?(?: from (\d\d:\d\d)(?: to (\d\d:\d\d))?)?", time)
    assert found, time
    step = int(found[1] or 1) * (60 if found[2] == "hour" else 1)
    begin = minutes_of(found[3]) if found[3] else 0
    end = minutes_of(found[4]) if found[4] else 24 * 60 - 1
    return list(range(begin, end + 1, step))


def field(least, most):
    number = st.integers(least, most)
    pair = st.tuples(number, number).map(sorted)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, most).map("*/{}".format),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.tuples(pair, st.integers(1, 9)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
        st.lists(number, min_size=2, max_size=7).map(lambda n: ",".join(map(str, n))),
    )


def translated(text):
    """Return a cron field in the language of calendars."""
    return (text[:1] + text[1:].replace("-", "..")).replace("*/", "1/")


STRETCHES = [((2026, 12, 22), 16), ((2027, 2, 24), 9), ((2028, 2, 27), 5), ((2026, 4, 29), 3), ((2026, 6, 29), 9)]
WHOLE_DAYS = [
    int(datetime(*first, tzinfo=UTC).timestamp()) * 1000 + day * DAY
    for first, count in STRETCHES
    for day in range(count)
]


def check(schedule):
    words, _, zone = describe(schedule).rpartition(", ")
    assert zone == "UTC"
    if words == f"by calendar {schedule.expression}":
        return
    days, time = split(words)
    minutes, walked = minutes_at(time), False
    for start in WHOLE_DAYS:
        occurrence, end = schedule.after(start - 1), start + DAY
        occurs = []
        # The first time of each day tells on which days it occurs; all times of one day are those of any.
        while occurrence is not None and occurrence < end and not (occurs and walked):
            occurs.append((occurrence - start) // MINUTE)
            occurrence = schedule.after(occurrence)
        today = on_day(days, datetime.fromtimestamp(start // 1000, UTC))
        assert occurs == (minutes[: 1 if walked else None] if today else []), (words, start)
        walked = walked or today


CRONS = st.tuples(
    field(0, 59),
    field(0, 23),
    st.one_of(st.just("*"), field(1, 31)),
    st.one_of(st.just("*"), field(1, 12)),
    st.one_of(st.just("*"), field(0, 7)),
)


def parsed(schedule):
    try:
        return parse_schedule(schedule)
    except LuotaError:  # such as a day that its months do not have
        assume(False)


@settings(max_examples=100, deadline=None)
@given(CRONS)
def test_what_is_said_of_cron_is_what_occurs_and_never_the_expression(fields):
    check(parsed({"cron": " ".join(fields)}))


def meant(schedule):
    """When a cron occurs: the minutes, the hours, and the days of a leap year that begins on each weekday."""
    at = schedule.named
    days = frozenset(
        (month, day, weekday)
        for month, day, weekday in product(at.months, range(1, 32), range(7))
        if day <= monthrange(2028, month)[1] and (any if at.either else all)((day in at.days, weekday in at.weekdays))
    )
    return at.minutes, at.hours, days


@settings(max_examples=300, deadline=None)
@given(CRONS, st.data())
def test_two_crons_of_other_minutes_hours_or_days_are_never_said_alike(fields, data):
    one = parsed({"cron": " ".join(fields)})
    place = data.draw(st.integers(0, 4))
    at, (least, most) = one.named, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)][place]
    changed = (at.minutes, at.hours, at.days, at.months, at.weekdays)[place]
    changed ^= data.draw(st.sets(st.integers(least, most), min_size=1, max_size=2))
    assume(changed)
    text = ",".join(str(value) for value in sorted(changed))
    other = parsed({"cron": " ".join([*fields[:place], text, *fields[place + 1 :]])})
    assert describe(one) != describe(other) or meant(one) == meant(other)


@settings(max_examples=100, deadline=None)
@given(
    field(0, 59),
    field(0, 23),
    st.one_of(st.just("-*"), st.tuples(st.sampled_from("-~"), field(1, 31)).map("".join)),
    st.one_of(st.just("*"), field(1, 12)),
    st.sampled_from(["", "Mon..Fri ", "Sat,Sun ", "Tue ", "Monday..Wednesday "]),
)
def test_what_is_said_of_a_calendar_is_what_occurs(minute, hour, day, month, weekday):
    time = f"{translated(hour)}:{translated(minute)}"
    check(parsed({"calendar": f"{weekday}*-{translated(month)}{translated(day)} {time}"}))
