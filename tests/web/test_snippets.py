import ast
import json
import re
import shlex
import shutil
import subprocess

import pytest
import tree_sitter_powershell
import yaml
from tree_sitter import Language, Parser

from luota.core.model import Mode
from luota.core.schedule import parse_schedule
from luota.web.snippets import snippets
from tests.markdown import ROOT, fences
from tests.wired import TOKEN_FROM_STORE, crontab_command, systemd_words

URL, ID, TOKEN = "http://watch.example.lan:8080", "45d1e22d-8fdd-4df1-8b67-ffc2c88fc67c", "wfm1.s3cret-_x"
POWERSHELL = Parser(Language(tree_sitter_powershell.language()))
HOSTILE = "A \"b\" 'c' $(id) `id` %n ${{ x }} << y >> \\\n* * * * * root id </script> ä\\"


def made(mode, name="Nightly backup", schedule=None, url=URL):
    return snippets(Mode(mode), url, ID, TOKEN, name, parse_schedule(schedule))


def powershell(mode, **values):
    (snippet,) = [one for one in made(mode, **values) if one.key == "powershell"]
    return snippet.files[0][1]


def unsound(text: str) -> list[str]:
    """What PowerShell could not read: errors of its grammar, what it misses, quotes and brackets in bare words."""
    found, nodes = [], [POWERSHELL.parse(text.encode()).root_node]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        # The grammar takes a bare word up to the next space; PowerShell ends it at a quote or a bracket.
        bare = node.type in {"generic_token", "command_name"} and re.search(rb"""['"()\[\]{}]""", node.text)
        if node.is_error or node.is_missing or bare:
            found.append(f"line {node.start_point.row + 1}: {node.type} {node.text.decode()[:60]}")
    return found


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
def test_powershell_can_be_parsed_and_calls_the_right_routes(mode):
    text = powershell(mode, url="http://h/it's")
    assert unsound(text) == []
    assert "$BaseUrl = 'http://h/it''s'" in text
    routes = (
        {"/v1/monitors/$MonitorId/ping"} if mode != "run" else {"/v1/runs/start", "/v1/runs/$($run.run.id)/$verdict"}
    )
    assert set(re.findall(r"""['"](/v1/[^'"]+)['"]""", text)) == routes
    assert text.endswith("exit $status\n")
    assert ("occurredAt" in text) is (mode == "freshness")


@pytest.mark.parametrize("mode", Mode)
def test_powershell_that_lacks_a_bracket_or_a_quote_cannot_be_parsed(mode):
    text = powershell(mode)
    code = re.sub(r"#.*", lambda comment: "#" * len(comment[0]), text)
    code = code.replace("$($run.run.id)", "$$run.run.id$$")  # without its bracket it is text
    places = [place.start() for place in re.finditer(r"""['"()\[\]{}]""", code)]
    assert len(places) > 50
    assert [text[:place] for place in places if not unsound(text[:place] + text[place + 1 :])] == []


@pytest.mark.parametrize("mode", Mode)
def test_python_can_be_parsed_by_the_oldest_version_that_its_advice_names(mode):
    (snippet,) = [one for one in made(mode) if one.key == "python"]
    oldest = re.match(r"Python 3\.(\d+) or newer", snippet.notes)
    ast.parse(snippet.files[0][1], feature_version=(3, int(oldest[1])))


def test_the_attempt_is_part_of_the_id_of_a_ci_run():
    ids = {s.key: re.search(r'^run_id="(.*)"$', "".join(t for _, t in s.files), re.M) for s in made("run")}
    assert ids["github"][1] == "$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT-$GITHUB_JOB-$MATRIX_INDEX"
    assert ids["gitlab"][1] == "$CI_JOB_ID"
    assert ids["circleci"][1] == "$CIRCLE_WORKFLOW_JOB_ID-$CIRCLE_NODE_INDEX"
    assert "$(date +%s)-$$" in ids["crontab"][1]


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
