import json
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import pairwise

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luota.core.errors import LuotaError
from luota.core.model import Mode
from luota.core.schedule import parse_schedule
from luota.web.snippets import snippets
from luota.web.snippets.times import cron, numeric, timer
from tests.markdown import ROOT, fences
from tests.wired import TOKEN_FROM_STORE, crontab_command, systemd_words

URL, ID, TOKEN = "http://watch.example.lan:8080", "45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c", "wfm1.s3cret-_x"
HOSTILE = "A \"b\" 'c' $(id) `id` %n ${{ x }} << y >> \\\n* * * * * root id </script> ä\\"


def made(mode, name="Nightly backup", schedule=None, url=URL):
    return snippets(Mode(mode), url, ID, TOKEN, name, parse_schedule(schedule))


def balanced(text: str) -> bool:
    """Whether brackets and quotes of PowerShell close in the order in which they open."""
    stack, position = [], 0
    while position < len(text):
        c = text[position]
        if c == "'" and "'" not in stack[-1:]:
            position = text.index("'", position + 1)
        elif c == "#":
            position = text.index("\n", position)
        elif c == "`":
            position += 1
        elif c == '"':
            while (position := position + 1) < len(text) and text[position] != '"':
                position += text[position] == "`"
        elif c in "([{":
            stack.append({"(": ")", "[": "]", "{": "}"}[c])
        elif c in ")]}" and (not stack or stack.pop() != c):
            return False
        position += 1
    return not stack


@pytest.mark.parametrize("mode", Mode)
def test_there_is_a_snippet_for_each_platform_with_advice(mode):
    titles = (
        "curl|crontab|systemd timer|GitHub Actions|GitLab CI|CircleCI|Vercel Cron|Render|Fly.io|Python|Node|PowerShell"
    )
    assert [snippet.title for snippet in made(mode)] == titles.split("|")
    assert all(snippet.notes and snippet.files for snippet in made(mode))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["Nightly backup", HOSTILE])
def test_the_real_values_are_in_it_and_the_token_is_in_no_file_of_a_repository(mode, name):
    for snippet in made(mode, name):
        text = "".join(text for _, text in snippet.files)
        assert URL in text
        assert ID in text
        kept = "".join(text for file, text in snippet.files if file != "terminal")
        assert (TOKEN in kept) is (snippet.key not in TOKEN_FROM_STORE), snippet.key
        assert ("LUOTA_INGEST_TOKEN" in snippet.notes) or snippet.key not in TOKEN_FROM_STORE - {"fly"}
        assert "@" not in re.sub(r"actions/checkout@|@\{|@\(|\"@\$tmp|\"\$@\"", "", text), snippet.key


@pytest.mark.parametrize("mode", Mode)
def test_the_token_is_never_an_argument_of_curl(mode):
    for snippet in made(mode):
        for _, text in snippet.files:
            assert not re.search(r"-H[^|\n]*(TOKEN|wfm1)", text)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("schedule", [None, {"cron": "*/5 1-3 * * MON"}, {"every": 300}, {"calendar": "Mon 08:00"}])
def test_a_hostile_name_changes_nothing_but_words(mode, schedule):
    for plain, hostile in zip(made(mode, "Ab", schedule), made(mode, HOSTILE, schedule), strict=True):
        assert len(plain.files) == len(hostile.files)
        for (_, text), (file, other) in zip(plain.files, hostile.files, strict=True):
            assert len(text.splitlines()) == len(other.splitlines()), file
            assert re.fullmatch(r"[\w./-]+", file)
            if file.endswith((".yml", ".yaml")):
                assert yaml.safe_load(other) is not None
            if file.endswith(".json"):
                json.loads(other)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("name", ["on", "2024", "default", "null", "ssh"])
def test_no_name_is_taken_for_something_else(mode, name):
    by_key = {snippet.key: snippet.files for snippet in made(mode, name)}
    assert yaml.safe_load(by_key["github"][0][1])["name"] == name
    assert list(yaml.safe_load(by_key["gitlab"][0][1])) == [f"{name}-job"]
    assert list(yaml.safe_load(by_key["circleci"][0][1])["jobs"]) == [f"{name}-job"]
    assert yaml.safe_load(by_key["render"][0][1])["services"][0]["name"] == name
    assert by_key["systemd"][0][0] == f"/etc/systemd/system/luota-{name}.service"


def test_gitlab_expands_nothing_in_the_values():
    (snippet,) = [s for s in made("run", url="http://h/a$b") if s.key == "gitlab"]
    (job,) = yaml.safe_load(snippet.files[0][1]).values()
    assert job["variables"]["LUOTA_API_BASE_URL"] == "http://h/a$$b"


@pytest.mark.parametrize("mode", Mode)
def test_a_crontab_is_values_and_one_short_line(mode):
    (snippet,) = [s for s in made(mode, url="https://watch.example.org/a%20path") if s.key == "crontab"]
    *values, line = snippet.files[0][1].splitlines()
    assert [value.split("=")[0] for value in values] == ["LUOTA_API_BASE_URL", "LUOTA_MONITOR_ID", "LUOTA_INGEST_TOKEN"]
    subprocess.run(["sh", "-nc", crontab_command(line)], check=True)
    assert re.fullmatch(r"/etc/cron.d/[a-z0-9-]+", snippet.files[0][0])  # cron skips a name with a dot


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="without systemd there is nothing to parse units")
@pytest.mark.parametrize(
    "schedule",
    [{"cron": "5 2 * * *", "timezone": "Europe/Helsinki"}, {"every": 90}, {"calendar": "Mon..Fri 08:00"}, None],
)
def test_systemd_takes_the_units(mode, schedule, tmp_path):
    (snippet,) = [s for s in made(mode, HOSTILE, schedule) if s.key == "systemd"]
    units = []
    for file, text in snippet.files[:2]:
        unit = tmp_path / file.rpartition("/")[2]
        unit.write_text(re.sub("/usr/local/bin/(your-job|luota-run)", "/bin/true", text))
        units.append(unit)
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if any(unit.name in line for unit in units)]
    assert not said


@pytest.mark.parametrize("mode", ["heartbeat", "freshness"])
def test_a_unit_leaves_every_variable_to_the_shell(mode):
    (snippet,) = [s for s in made(mode) if s.key == "systemd"]
    assert "$" not in snippet.files[0][1].replace("$$", "")


def test_the_harness_expands_as_systemd_does():
    line = r"""/bin/sh -c 'a $$B ${C} %% \\" \'' $C pre$C "q x" """
    words = systemd_words(line, {"C": "1 2"})
    assert words == ["/bin/sh", "-c", "a $B 1 2 % \\\" '", "1", "2", "pre$C", "q x"]


@pytest.mark.parametrize("mode", Mode)
def test_powershell_is_balanced_and_calls_the_right_routes(mode):
    (snippet,) = [s for s in made(mode, url="http://h/it's") if s.key == "powershell"]
    text = snippet.files[0][1]
    assert balanced(text)
    assert "$BaseUrl = 'http://h/it''s'" in text
    routes = (
        {"/v1/monitors/$MonitorId/ping"} if mode != "run" else {"/v1/runs/start", "/v1/runs/$($run.run.id)/$verdict"}
    )
    assert set(re.findall(r"""['"](/v1/[^'"]+)['"]""", text)) == routes
    assert text.endswith("exit $status\n")
    assert ("occurredAt" in text) is (mode == "freshness")
    assert not balanced("f(x]") and not balanced("{ '}'")


def test_the_attempt_is_part_of_the_id_of_a_ci_run():
    ids = {s.key: re.search(r'^run_id="(.*)"$', "".join(t for _, t in s.files), re.M) for s in made("run")}
    assert ids["github"][1] == "$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB-$MATRIX_INDEX"
    assert ids["gitlab"][1] == "$CI_JOB_ID"
    assert ids["circleci"][1] == "$CIRCLE_WORKFLOW_JOB_ID-$CIRCLE_NODE_INDEX"
    assert "$(date +%s)-$$" in ids["crontab"][1]


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


def test_hosting_services_get_numbers_and_vercel_one_of_the_two_fields_of_days():
    files = {one.key: one.files for one in made("run", schedule={"cron": "0 7 * * MON-FRI"})}
    assert json.loads(files["vercel"][0][1])["crons"][0]["schedule"] == "0 7 * * 1-5"
    assert yaml.safe_load(files["render"][0][1])["services"][0]["schedule"] == "0 7 * * 1-5"
    for expression, refused in (("0 7 * * MON-FRI", False), ("0 7 1 * *", False), ("0 7 1 * MON", True)):
        notes = {one.key: one.notes for one in made("run", schedule={"cron": expression})}
        assert ("Vercel refuses" in notes["vercel"]) is refused


def test_the_page_of_integrations_holds_the_snippets_that_are_made():
    shown = {}
    for fence in fences(ROOT / "docs/integrations.md"):
        if fence.label:
            shown[fence.section, fence.label] = fence.text
    runner = shown.pop(("luota-run", "run:/usr/local/bin/luota-run"))
    assert runner + "\n" == dict(made("run")[0].files)["/usr/local/bin/luota-run"]
    monitors = {"heartbeat": {"cron": "0 2 * * *"}, "run": {"cron": "0 2 * * *"}, "freshness": None}
    for mode, schedule in monitors.items():
        values = ("http://watch.example.lan:8080", "MONITOR-ID", "TOKEN", "Nightly backup")
        for snippet in snippets(Mode(mode), *values, parse_schedule(schedule)):
            for file, text in snippet.files:
                told = shown.pop((snippet.title, f"{mode}:{file}"), None)
                assert told is None or told + "\n" == text, (snippet.title, mode, file)
                assert told is not None or mode == "freshness" or "luota-run" in file, (snippet.title, mode, file)
    assert not shown, "a block of a snippet that is made no more"


def test_shell_words_of_values_survive_what_an_address_may_hold():
    odd = "http://u:p@h/a'b$c;d"
    for snippet in made("heartbeat", url=odd):
        if snippet.key in {"curl", "systemd"}:
            text = dict(snippet.files)[snippet.files[0][0] if snippet.key == "curl" else snippet.files[2][0]]
            values = [word for word in shlex.split(text, comments=True) if word.startswith("LUOTA_API_BASE_URL=")]
            assert values == [f"LUOTA_API_BASE_URL={odd}"]


@pytest.mark.parametrize("mode", Mode)
def test_advice_is_plain_text_without_the_marks_of_markdown(mode):
    assert [snippet.key for snippet in made(mode) if re.search(r"[`*<>]", snippet.notes)] == []


@pytest.mark.parametrize(
    ("schedule", "interval", "too_often"),
    [
        ({"every": "5m"}, "hourly", True),
        ({"cron": "*/30 * * * *"}, "hourly", True),
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
