"""The documentation run against the code: settings, commands, bodies, links."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer.main

from luota.cli.app import app
from luota.config import SETTINGS, describe, load, variable
from luota.core.errors import Code, LuotaError
from luota.web.http import STATUS, error_body
from tests.markdown import ROOT, fences
from tests.process import Daemon
from tests.receiver import Receiver, reply
from tests.wired import systemd_words

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
FREE_FORM = {"payload", "tags", "schedule"}
SHORT_OF = {  # the short names in links, as every Markdown renderer makes them of headings
    "drop": re.compile(r"[^\w\- ]"),
    "heading": re.compile(r"^#+ (.+)$", re.MULTILINE),
    "link": re.compile(r"\]\(([^)\s]+)\)"),
}


def _rows(page: Path) -> list[list[str]]:
    """The rows of all tables of a page."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in page.read_text().splitlines()
        if line[:1] == "|"
    ]


def _code(cell: str) -> str:
    return cell.strip("`") if cell.startswith("`") and cell.endswith("`") else ""


# -- settings ------------------------------------------------------------------------------------------


def test_the_page_of_settings_has_each_with_its_variable_and_default_and_no_other():
    documented = {
        _code(row[0]): (_code(row[1]), _code(row[2])) for row in _rows(DOCS / "configuration.md") if _code(row[0])
    }
    assert documented.keys() == SETTINGS.keys()
    defaults = describe(load(None, {}, {}))
    for name, (variable_, default) in documented.items():
        section, _, key = name.rpartition(".")
        value = defaults[section][key] if section else Path(defaults[key]).name
        unset = value is None or (name, value) == ("email.password", "not set")
        assert (variable_, json.loads(default)) == (variable(name), "" if unset else value), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_settings_file_in_a_page_is_accepted(page, tmp_path):
    for number, fence in enumerate(f for f in fences(page) if f.language == "toml" and not f.label):
        path = tmp_path / f"{number}.toml"
        path.write_text(fence.text)
        load(path, {}, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_a_page_names_exists(page):
    for_jobs = {"LUOTA_API_BASE_URL", "LUOTA_INGEST_TOKEN", "LUOTA_MONITOR_ID", "LUOTA_CONFIG", "LUOTA_DEBUG"}
    known = {variable(name) for name in SETTINGS} | for_jobs
    assert set(re.findall(r"LUOTA_[A-Z_]*[A-Z]", page.read_text())) <= known


# -- commands ------------------------------------------------------------------------------------------


def _commands(group, path=()) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, command in group.commands.items():
        inner = (*path, name)
        found |= _commands(command, inner) if hasattr(command, "commands") else {" ".join(inner): command}
    return found


COMMANDS = _commands(typer.main.get_command(app))


def test_the_page_of_commands_has_every_command_and_no_other():
    documented = [
        _code(row[0]).removeprefix("luota ") for row in _rows(DOCS / "cli.md") if _code(row[0]).startswith("luota ")
    ]
    assert sorted(documented) == sorted(COMMANDS)


def _command_lines(text: str) -> list[list[str]]:
    """The calls of luota in a block of shell, as the shell would split them."""
    found = [call for inner in re.findall(r"\$\((luota [^()]*)\)", text) for call in _command_lines(inner)]
    text = re.sub(r"(?<=\s)2>", ">", text.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    simple: list[str] = []  # the words of one simple command
    for word in [*lexer, "\n"]:
        if word and set(word) <= set(";&|()<>\n"):
            while simple and (simple[0] in {"sudo", "until", "if", "then"} or "=" in simple[0]):
                del simple[0]
            if simple and Path(simple[0]).name == "luota":
                found.append(simple[1:])
            simple = []
        else:
            simple.append(word)
    return found


def _parse(words: list[str]) -> None:
    """Parse a command line, without running it."""
    for length in (1, 2, 3):
        name = " ".join(words[:length])
        if name in COMMANDS:
            COMMANDS[name].make_context(name, words[length:])
            return
    raise AssertionError(f"luota {shlex.join(words)}: there is no such command")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_a_page_is_one_that_the_program_takes(page):
    for fence in fences(page):
        if fence.language in {"sh", "console"}:
            for words in _command_lines(fence.text):
                _parse(words)


def test_command_lines_are_found_in_shell_blocks():
    block = (
        'sudo luota monitor list --data-dir /d | grep x\nA="$(luota token show m)"\nsystemctl status luota\n'
        'x && .venv/bin/luota ping a \\\n  --payload \'{"a": "b; c"}\' 2> log &'
    )
    assert _command_lines(block) == [
        ["token", "show", "m"],
        ["monitor", "list", "--data-dir", "/d"],
        ["ping", "a", "--payload", '{"a": "b; c"}'],
    ]


# -- bodies --------------------------------------------------------------------------------------------


def _examples(page: str) -> dict[str, object]:
    found = {fence.label: json.loads(fence.text) for fence in fences(DOCS / page) if fence.language == "json"}
    assert "" not in found, "a JSON block needs a label that tells the test what it is"
    return found


def _shape(value: object) -> object:
    """The keys of a document at every level, with what kind of value each has."""
    if isinstance(value, dict):
        return {key: "…" if key in FREE_FORM else _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """What a real daemon answered and told while all that the pages have examples of happened to it."""
    return asyncio.run(_live(tmp_path_factory.mktemp("docs") / "data", _examples("api.md")))


async def _live(data_dir: Path, asked: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    replies: dict[str, object] = {}

    def keep(label: str, response, status: int):
        assert response.status_code == status, f"{label}: {response.text}"
        assert response.headers["x-request-id"].startswith("req_")
        replies[label] = response.json()
        return response

    async with Receiver() as receiver, Daemon(data_dir, {"limits.monitor_per_minute": "12"}) as luota:
        await luota.webhook("desk", receiver.url)
        await luota.api("POST", "/api/channels/desk/test", {})
        definition = {
            "owner": "Ann",
            "promise": "It is done.",
            "runbook": "https://example.org/",
            "environment": "production",
        }
        runs = await luota.monitor("Weekly report", "run", maxRuntimeSeconds=1, **definition)
        other = await luota.monitor("Another", "run")
        beat = await luota.monitor("Nightly backup", schedule={"every": "1h"})
        slow = await luota.monitor("Price list", schedule={"every": "1h"}, graceSeconds=86_400)

        patient = await luota.monitor("With a time of its own", schedule={"every": "366d"})
        keep("ping.reply", await luota.ping(patient, asked["ping.request"]), 202)
        await luota.ping(beat)
        run = (await luota.run(runs, "healthy", deploySha="4b825dc")).json()["run"]["id"]
        await luota.post(f"/v1/runs/{run}/success", runs, asked["success.request"])
        start = asked["start.request"] | {"monitorId": runs.id}
        run = keep("start.reply", await luota.post("/v1/runs/start", runs, start), 202).json()["run"]["id"]
        await receiver.wait(2)  # it is stuck
        keep("400", await luota.post(f"/v1/runs/{run}/fail", runs), 400)
        keep("fail.reply", await luota.post(f"/v1/runs/{run}/fail", runs, asked["fail.request"]), 202)
        run = (await luota.run(runs, "again", deploySha="c0ffee1", host="db-1")).json()["run"]["id"]
        keep("success.reply", await luota.post(f"/v1/runs/{run}/success", runs, asked["success.request"]), 202)
        keep("409", await luota.post(f"/v1/runs/{run}/fail", runs, asked["fail.request"]), 409)
        keep("401", await luota.post(f"/v1/monitors/{beat.id}/ping", other), 401)
        keep("401.run", await luota.post(f"/v1/runs/{run}/fail", other), 401)
        keep("404", await luota.post("/v1/monitors/unknown/ping", other), 404)
        keep("413", await luota.ping(beat, {"x": "y" * 70_000}), 413)
        keep("healthz.reply", await luota.health(), 200)
        while (limited := await luota.ping(slow)).status_code == 202:
            pass
        keep("429", limited, 429)
        await receiver.wait(4)

        # An hour and a half ago they signalled, ten minutes later Luota went blind.
        await luota.kill()
        columns = ("since", "basis_at", "set_at", "signal_at", "expected_at", "deadline_at")
        moved = ", ".join(f"{column} = {column} - 90 * 60000" for column in columns)
        luota.change(f"UPDATE monitor_states SET {moved} WHERE monitor_id IN (?, ?)", beat.id, slow.id)
        luota.change("UPDATE instance SET alive_at = alive_at - 80 * 60000")
        await luota.start()
        await receiver.wait(5)

        async with Receiver() as gone:
            gone.default = reply(410)
            await luota.webhook("old desk", gone.url)
            run = (await luota.run(other, "broken")).json()["run"]["id"]
            await luota.post(f"/v1/runs/{run}/fail", other, asked["fail.request"])
            await receiver.wait(7)  # that it opened, and that the old desk is a dead route
        # The first of each type: the later ones are about monitors with less to tell.
        return replies, {request.json["type"]: request.json for request in reversed(receiver.requests)}


def test_every_reply_in_the_page_of_the_api_is_what_the_daemon_answers(lived):
    documented = {label: body for label, body in _examples("api.md").items() if not label.endswith(".request")}
    unavailable = LuotaError(Code.UNAVAILABLE, "", retry_after=5)
    assert STATUS[Code.UNAVAILABLE] == 503
    answered = lived[0] | {"503": error_body(unavailable), "healthz.sick": {"ok": False, "error": ""}}
    assert {label: _shape(body) for label, body in documented.items()} == {
        label: _shape(body) for label, body in answered.items()
    }
    for label in ("400", "401", "401.run", "404", "409", "413"):
        assert documented[label] == answered[label]


def test_every_body_in_the_page_of_webhooks_is_what_a_receiver_gets(lived):
    documented = {label: body for label, body in _examples("webhook.md").items() if label != "schema"}
    assert {label: body["type"] for label, body in documented.items()} == {label: label for label in documented}
    told = {type_: _shape(body) for type_, body in lived[1].items()}
    # The first reminder comes after five minutes. Real ones fit the schema in tests/alerts/test_docs.py.
    told["incident.reminder"] = told["incident.updated"]
    assert {label: _shape(body) for label, body in documented.items()} == told


# -- the rest ------------------------------------------------------------------------------------------


def _short(heading: str) -> str:
    return SHORT_OF["drop"].sub("", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in SHORT_OF["link"].findall(page.read_text()):
        parts = urlsplit(target)
        if parts.scheme:
            continue
        path = page.parent / parts.path if parts.path else page
        assert path.is_file(), target
        if parts.fragment:
            headings = SHORT_OF["heading"].findall(path.read_text())
            assert parts.fragment in map(_short, headings), target


def test_the_page_of_architecture_names_every_module_in_its_room_and_no_other():
    page, package = (DOCS / "architecture.md").read_text(), ROOT / "luota"
    rooms = dict(re.findall(r"^\| `([\w/]+/)` \| (.*) \|$", page, re.M))
    rooms["core/"] = page.partition("In `core/`,")[2].partition("SQL stands")[0]
    named = {room: set(re.findall(r"`([a-z_]+)`", text)) for room, text in rooms.items()}
    named[""] = {name for row in re.findall(r"^\| (`.*?) \|", page, re.M) for name in re.findall(r"`(\w+)\.py`", row)}
    modules: dict[str, set[str]] = {}
    for file in package.rglob("*.py"):
        room = f"{file.parent.relative_to(package)}/".removeprefix("./")
        if not file.stem.startswith("__"):
            modules.setdefault(room, set()).add(file.stem)
    assert named == modules


def test_the_pages_say_what_the_unit_file_says():
    readme, unit = (ROOT / "README.md").read_text(), (ROOT / "luota.service").read_text()
    for line in (
        "python3 -m venv /opt/luota",
        "/opt/luota/bin/pip install .",
        "ln -s /opt/luota/bin/luota /usr/local/bin/luota",
    ):
        assert line in readme
        assert line in unit


async def test_the_backup_of_the_operations_page_is_whole_while_the_daemon_runs(tmp_path):
    blocks = {fence.label: fence.text for fence in fences(DOCS / "operations.md")}
    away, back = blocks["backup"], _command_lines(blocks["restore"])
    async with Daemon(tmp_path / "data") as luota:
        job = await luota.monitor("backup", schedule={"every": 60})
        assert (await luota.ping(job)).status_code == 202
        copy = tmp_path / "copy.db"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environ = os.environ | {"DATA": str(luota.data_dir), "COPY": str(copy), "PATH": path}
        await asyncio.to_thread(subprocess.run, ["bash", "-euc", away], env=environ, check=True, timeout=60)
        assert (await luota.ping(job)).status_code == 202
    assert copy.stat().st_mode & 0o777 == 0o600
    restored = tmp_path / "restored"
    ((command, _, *options),) = back
    assert (command, options) == ("restore", ["--data-dir", "/var/lib/luota"])
    words = [sys.executable, "-m", "luota", command, str(copy), "--data-dir", str(restored)]
    await asyncio.to_thread(subprocess.run, words, check=True, timeout=60)
    db = sqlite3.connect(restored / "luota.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    async with Daemon(restored) as luota:
        assert (await luota.ping(job)).status_code == 202
        assert luota.rows("SELECT count(*) FROM heartbeats") == [(2,)]


async def test_the_units_of_the_operations_page_back_up_and_keep_a_month(tmp_path):
    blocks = {fence.label: fence.text for fence in fences(DOCS / "operations.md")}
    service, timer = blocks["luota-backup.service"], blocks["luota-backup.timer"]
    assert _unit_faults(tmp_path, service, timer) == []
    kept = tmp_path / "backups"
    kept.mkdir()
    for name, days in (("luota-2000-01-01.db", 32), ("luota-2000-01-02.db", 29), ("other.db", 32)):
        (kept / name).touch()
        then = time.time() - days * 86_400
        os.utime(kept / name, (then, then))
    async with Daemon(tmp_path / "data") as luota:
        places = {"/usr/local/bin/luota": f"{sys.executable} -m luota", "/var/backups": str(kept)}
        places["/var/lib/luota"] = str(luota.data_dir)
        for key in ("ExecStart", "ExecStartPost"):
            (line,) = re.findall(rf"^{key}=(.*)$", service, re.M)
            for here, there in places.items():
                line = line.replace(here, there)
            await asyncio.to_thread(subprocess.run, systemd_words(line, {}), check=True, timeout=60)
    copied = f"luota-{time.strftime('%Y-%m-%d')}.db"
    assert sorted(file.name for file in kept.iterdir()) == sorted(["luota-2000-01-02.db", "other.db", copied])


def _unit_faults(directory: Path, service: str, timer: str) -> list[str]:
    """Return what systemd-analyze finds; nothing where it cannot look."""
    if shutil.which("systemd-analyze") is None:
        return []
    there = service.replace("/usr/local/bin/luota", "/usr/bin/true")  # the program need not be installed here
    for name, text in (("luota-backup.service", there), ("luota-backup.timer", timer)):
        (directory / name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(directory / "luota-backup.timer")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return [line for line in done.stderr.splitlines() if "luota-backup" in line]
