"""The times of snippets: a schedule in other schedulers' words, and the advice where these cannot say it."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luota.core.errors import LuotaError
from luota.core.schedule import parse_schedule
from luota.web.snippets.times import DAY, HOUR, MINUTE, cron, gap, numeric, timer
from tests.web.test_snippets import made


@pytest.mark.parametrize(
    ("schedule", "fields", "lines"),
    [
        (
            {"cron": "5 2 * * *", "timezone": "Europe/Helsinki"},
            "5 2 * * *",
            "OnCalendar=*-*-* 02:05:00 Europe/Helsinki",
        ),
        ({"cron": "*/10 * * * *"}, "*/10 * * * *", "OnCalendar=*-*-* *:00/10:00 UTC"),
        ({"cron": "@hourly"}, "0 * * * *", "OnCalendar=*-*-* *:00:00 UTC"),
        ({"cron": "0 7 * * MON-FRI"}, "0 7 * * MON-FRI", "OnCalendar=Mon..Fri *-*-* 07:00:00 UTC"),
        ({"cron": "0 2 * * 0,sat"}, "0 2 * * 0,sat", "OnCalendar=Sat,Sun *-*-* 02:00:00 UTC"),
        ({"cron": "1,2 0-4 1 */3 *"}, "1,2 0-4 1 */3 *", "OnCalendar=*-01/3-01 00..04:01,02:00 UTC"),
        (
            {"cron": "0 0 13 * FRI"},
            "0 0 13 * FRI",
            "OnCalendar=Fri *-*-* 00:00:00 UTC\nOnCalendar=*-*-13 00:00:00 UTC",
        ),
        ({"calendar": "Mon 06:00", "timezone": "UTC"}, "0 2 * * *", "OnCalendar=Mon 06:00 UTC"),
        ({"every": 300}, "*/5 * * * *", "OnActiveSec=1s\nOnUnitActiveSec=300s"),
        ({"every": 7200}, "0 */2 * * *", "OnActiveSec=1s\nOnUnitActiveSec=7200s"),
        ({"every": 420}, "*/6 * * * *", "OnActiveSec=1s\nOnUnitActiveSec=420s"),
        ({"every": "90m"}, "0 * * * *", "OnActiveSec=1s\nOnUnitActiveSec=5400s"),
        ({"every": "7d"}, "0 2 * * 1", "OnActiveSec=1s\nOnUnitActiveSec=604800s"),
        (None, "0 2 * * *", "OnCalendar=*-*-* 02:00:00"),
    ],
)
def test_a_schedule_is_said_in_other_schedulers_words(schedule, fields, lines):
    parsed = parse_schedule(schedule)
    assert (cron(parsed), timer(parsed)) == (fields, lines)


def first_of(schedules, number=40):
    """The first occurrences of several timetables together."""
    found, t = [], parse_schedule({"cron": "0 0 1 1 *"}).after(1_700_000_000_000)
    while len(found) < number:
        t = min((o for o in (one.after(t) for one in schedules) if o is not None), default=None)
        if t is None:
            break
        found.append(t)
    return found


def written(low, high, names=()):
    """Fields of cron in all the forms that Debian's knows."""
    value = st.integers(low, high).flatmap(
        lambda n: st.sampled_from(
            [str(n), names[n - low].lower(), names[n - low]] if n - low < len(names) else [str(n)]
        )
    )
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda two: "{}-{}".format(*sorted(two)))
    step = st.integers(1, high).map(lambda n: f"/{n}")
    term = value | pair | st.builds(str.__add__, pair, step)
    return (
        st.just("*") | st.builds(str.__add__, st.just("*"), step) | st.lists(term, min_size=1, max_size=3).map(",".join)
    )


CRONS = st.builds(
    lambda *fields: " ".join(fields),
    written(0, 59),
    written(0, 23),
    written(1, 31),
    written(1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()),
    written(0, 7, "SUN MON TUE WED THU FRI SAT".split()),
)


def valid(expression):
    try:
        return parse_schedule({"cron": expression})
    except LuotaError:
        assume(False)


def calendars(lines):
    """The timetables of a timer; one that never occurs, such as on a 31st of February, is none."""
    for line in lines.splitlines():
        try:
            yield parse_schedule({"calendar": line.removeprefix("OnCalendar=")})
        except LuotaError as error:
            assert "never occurs" in str(error)


@given(CRONS)
@settings(max_examples=300, deadline=None)
def test_a_timer_occurs_when_the_expression_of_cron_does(expression):
    schedule = valid(expression)
    assert first_of(list(calendars(timer(schedule)))) == first_of([schedule])


@given(CRONS)
@settings(max_examples=300, deadline=None)
def test_an_expression_in_numbers_occurs_when_the_one_with_names_does(expression):
    schedule = valid(expression)
    fields = numeric(cron(schedule))
    assert re.fullmatch(r"[0-9*,/ -]+", fields)
    weekday = fields.split()[4]
    assert "7" not in re.sub("/[0-9]+", "", weekday)
    assert first_of([parse_schedule({"cron": fields})]) == first_of([schedule])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="without systemd there is nothing that knows timers")
@pytest.mark.parametrize(
    "expression", ["0 7 * * MON-FRI", "5,35 */6 1-7,15 */2 *", "0 0 13 * FRI", "7-59/13 3 * 2 0-4"]
)
def test_systemd_reads_a_timer_as_cron_reads_the_expression(expression):
    schedule = parse_schedule({"cron": expression})
    begin = 1_700_000_000
    found = set()
    for line in timer(schedule).splitlines():
        command = ["systemd-analyze", "calendar", "--iterations=30", f"--base-time=@{begin}"]
        done = subprocess.run(
            [*command, line.removeprefix("OnCalendar=")], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
        )
        found |= set(re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", done.stdout))
    expected, t = [], begin * 1000
    for _ in range(20):
        t = schedule.after(t)
        expected.append(datetime.fromtimestamp(t / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    assert sorted(found)[:20] == expected


BY_CRON = {"crontab": 60, "github": 300, "gitlab": 600, "circleci": 60, "vercel": 60, "render": 60}


@given(st.integers(1, 60 * 24 * 40).map(lambda minutes: 60 * minutes) | st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_an_interval_that_cron_cannot_say_becomes_a_shorter_one_and_the_advice_says_so(seconds):
    schedule = parse_schedule({"every": seconds})
    notes = {one.key: one.notes for one in made("run", schedule={"every": seconds})}
    for key, least in BY_CRON.items():
        times = first_of([parse_schedule({"cron": cron(schedule, least * 1000)})], 70)
        longest = max(b - a for a, b in pairwise(times)) / 1000
        assert longest <= max(seconds, least), key
        assert ("would be in incident" in notes[key]) is (seconds < least), key
        warned = "Cron cannot say every" in notes[key]
        assert warned is (seconds >= least and longest != seconds) or 28 * 86400 < longest <= seconds, key


@pytest.mark.parametrize("every", ["90m", "30s"])
def test_the_snippets_of_all_that_go_by_cron_hold_the_expression_that_is_warned_of(every):
    for one in made("heartbeat", schedule={"every": every}):
        if one.key in BY_CRON:
            expression = cron(parse_schedule({"every": every}), BY_CRON[one.key] * 1000)
            assert any(expression in text for _, text in one.files), one.key
            assert "systemd timer" in one.notes
        assert "0 2 * * *" not in "".join(text for _, text in one.files)


def test_an_expression_that_github_and_gitlab_start_too_seldom_for_is_warned_of():
    notes = {one.key: one.notes for one in made("heartbeat", schedule={"cron": "*/2 * * * *"})}
    assert "every 5 min at most" in notes["github"]
    assert "every 10 min at most" in notes["gitlab"]
    assert all("at most" not in notes[key] for key in ("crontab", "render", "vercel"))


@pytest.mark.parametrize("key", BY_CRON)
@pytest.mark.parametrize("schedule", [{"calendar": "hourly"}, None])
def test_an_example_in_place_of_the_times_is_called_one(key, schedule):
    (one,) = [one for one in made("run", schedule=schedule) if one.key == key]
    assert "an example" in one.notes or "Put your own time in" in one.notes


@pytest.mark.parametrize(("zone", "warned"), [("Europe/Berlin", True), ("UTC", False)])
def test_a_timer_is_warned_of_where_it_treats_a_change_of_the_clock_otherwise_than_the_monitor(zone, warned):
    schedule = {"cron": "0 2 * * *", "timezone": zone}
    (one,) = [one for one in made("run", schedule=schedule) if one.key == "systemd"]
    assert ("When the clocks change" in one.notes) is warned
    monitored = first_of([parse_schedule(schedule)], 400)
    assert (first_of(list(calendars(timer(parse_schedule(schedule)))), 400) != monitored) is warned


@pytest.mark.parametrize(
    ("schedule", "closest"),
    [
        ({"cron": "0,3 0 * * *"}, 3 * MINUTE),
        ({"cron": "0 0,1 * * *"}, HOUR),
        ({"cron": "0,30,58 0-20/2,23 * * *"}, 2 * MINUTE),
        ({"cron": "0 2 * * *", "timezone": "America/New_York"}, DAY),
        ({"cron": "0 7 * * MON,FRI"}, 3 * DAY),
        ({"cron": "0 2 1 * *"}, 28 * DAY),
        ({"cron": "0 0 29 2 *"}, 1461 * DAY),
        ({"calendar": "*-01-01 00:00,01"}, MINUTE),
        ({"calendar": "2027-01-01"}, DAY),
        ({"every": 90}, 90_000),
        (None, DAY),
    ],
)
def test_the_gap_of_a_schedule_lies_between_its_two_closest_times(schedule, closest):
    assert gap(parse_schedule(schedule)) == closest


def test_signals_that_come_close_together_once_a_day_are_warned_of_as_well():
    notes = {one.key: one.notes for one in made("heartbeat", schedule={"cron": "0,3 0 * * *"})}
    assert "closer together" in notes["github"]
    assert "closer together" in notes["gitlab"]
    assert "closer together" not in notes["render"]


def test_a_calendar_that_is_too_frequent_is_told_of_that_and_that_the_time_is_an_example():
    notes = {one.key: one.notes for one in made("heartbeat", schedule={"calendar": "*:0/2"})}
    assert all("The time here is an example" in notes[key] for key in BY_CRON)
    assert {key for key in BY_CRON if "closer together" in notes[key]} == {"github", "gitlab"}


@pytest.mark.parametrize(
    ("schedule", "interval", "too_often"),
    [
        ({"every": "5m"}, "hourly", True),
        ({"cron": "*/30 * * * *"}, "hourly", True),
        ({"cron": "0,30 0 * * *"}, "hourly", True),
        ({"cron": "0 0,1 1 * *"}, "hourly", False),
        ({"calendar": "*-*-* *:00/15"}, "hourly", True),
        ({"every": "1h"}, "hourly", False),
        ({"cron": "0 2 * * *"}, "daily", False),
        ({"calendar": "Mon 08:00"}, "weekly", False),
        (None, "daily", False),
    ],
)
def test_fly_io_is_advised_against_where_its_shortest_interval_is_longer_than_the_monitors(
    schedule, interval, too_often
):
    fly = next(one for one in made("run", schedule=schedule) if one.key == "fly")
    assert f"--schedule {interval} " in fly.files[0][1]
    assert ("once an hour at most" in fly.notes) is too_often
