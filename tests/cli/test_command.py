import json

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from luota.cli.app import app
from luota.cli.command import api, command, group, run
from luota.core.errors import LuotaError, invalid


def commands(found=None, path=()):
    found = get_command(app) if found is None else found
    if not hasattr(found, "commands"):
        yield path, found
        return
    for name, inner in found.commands.items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize(("path", "found"), list(commands()), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_takes_the_common_options_and_says_what_it_does(path, found):
    options = {option for parameter in found.params for option in parameter.opts}
    assert {"--json", "--config", "--data-dir"} <= options
    assert found.help


def test_a_usage_error_exits_with_2():
    for args in (["nonsense"], ["version", "--nonsense"], ["monitor", "show"], ["serve", "--port", "x"]):
        assert CliRunner().invoke(app, args).exit_code == 2, args


def test_version_works_whatever_the_settings(monkeypatch):
    monkeypatch.setenv("LUOTA_SERVER_PORT", "x")
    result = CliRunner().invoke(app, ["version", "--json"])
    assert (result.exit_code, list(json.loads(result.stdout))) == (0, ["version"])


def test_check_config_prints_the_settings_that_hold(tmp_path, monkeypatch):
    file = tmp_path / "luota.toml"
    file.write_text('data_dir = "d"\n[limits]\nip_per_minute = 7\n')
    monkeypatch.setenv("LUOTA_SERVER_PORT", "81")
    args = ["check-config", "--config", str(file)]
    doc = json.loads(CliRunner().invoke(app, [*args, "--json"]).stdout)
    assert doc["data_dir"] == str(tmp_path / "d")
    assert (doc["server"]["port"], doc["limits"]["ip_per_minute"]) == (81, 7)
    text = CliRunner().invoke(app, args).stdout
    assert "limits.ip_per_minute" in text
    assert "http://127.0.0.1:81" in text


def test_check_config_exits_with_1_and_the_reason(tmp_path):
    file = tmp_path / "luota.toml"
    file.write_text("[server]\nprot = 1\n")
    result = CliRunner().invoke(app, ["check-config", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"error: {file}: [server] prot is not a setting. Did you mean port?\n"


def test_check_config_names_every_mistake(tmp_path, monkeypatch):
    file = tmp_path / "luota.toml"
    file.write_text("limits = 3\n[server]\nprot = 1\nport = 'x'\n")
    monkeypatch.setenv("LUOTA_SERVER_HTOST", "x")
    monkeypatch.setenv("LUOTA_EMAIL_SECURITY", "none")
    args = ["check-config", "--config", str(file), "--data-dir", ""]
    result = CliRunner().invoke(app, args)
    said = result.stderr.splitlines()
    assert (result.exit_code, len(said)) == (1, 6)
    for line, part in zip(
        said, ("limits is a section", "prot", "[server] port", "HTOST", "EMAIL_SECURITY", "--data-dir"), strict=True
    ):
        assert line.startswith("error: ")
        assert part in line
    doc = json.loads(CliRunner().invoke(app, [*args, "--json"]).stderr)
    assert [doc["field"], *(one["field"] for one in doc["also"])][-1] == "--data-dir"
    assert len(doc["also"]) == 5


def test_the_version_is_an_option_too():
    assert CliRunner().invoke(app, ["--version"]).stdout == CliRunner().invoke(app, ["version"]).stdout


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["monitor", "list", "--nonsense"], "--nonsense"),
        (["serve", "--port", "x"], "--port"),
        (["monitor", "show"], "monitor"),
        (["monitor", "create", "x", "--mode", "run", "--every", "1", "--cron", "* * * * *"], "--cron"),
        (["monitor", "create", "x", "--mode", "run", "--timezone", "UTC"], "--timezone"),
        (["monitor", "create", "x", "--mode", "run", "--tag", "a"], "--tag"),
        (["monitor", "edit", "x", "--no-schedule", "--every", "1"], "--no-schedule"),
        (["monitor", "edit", "x"], "options"),
        (["monitor", "pause", "x", "--for", "1h", "--until", "2026-11-21T00:00:00Z"], "--until"),
        (["token", "show"], "monitor"),
        (["nonsense"], None),
    ],
)
def test_a_wrong_command_line_is_json_on_stderr_with_json(args, field, capsys):
    assert run(app, [*args, "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error = json.loads(said.err)
    assert (set(error), error["error"], error["field"]) == ({"error", "message", "field"}, "usage", field)
    assert run(app, args) == 2
    assert "Usage: " in capsys.readouterr().err


def test_json_asked_for_behind_two_dashes_is_not_asked_of_luota(capsys):
    assert run(app, ["nonsense", "--", "--json"]) == 2
    assert not capsys.readouterr().err.startswith("{")


def test_what_nobody_foresaw_ends_as_one_line_and_status_1(monkeypatch, capsys):
    mine = group("For this test.")

    @command(mine, "one")
    def one(cli):
        """Fail."""
        raise ZeroDivisionError("two\nlines")

    @command(mine, "two")
    def two(cli):
        """Stand beside it, so that there are names."""

    assert run(mine, ["one"]) == 1
    expected = "luota: internal error: two lines; run with LUOTA_DEBUG=1 for the traceback"
    assert capsys.readouterr() == ("", f"{expected}\n")
    assert run(mine, ["one", "--json"]) == 1
    assert json.loads(capsys.readouterr().err) == {"error": "internal", "message": expected, "field": None}
    monkeypatch.setenv("LUOTA_DEBUG", "1")
    assert run(mine, ["one"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert said.endswith(f"{expected}\n")


def test_the_variable_for_tracebacks_is_no_unknown_setting(monkeypatch):
    monkeypatch.setenv("LUOTA_DEBUG", "1")
    assert CliRunner().invoke(app, ["check-config"]).exit_code == 0


def test_a_wrong_flag_of_serve_is_refused_by_its_name():
    result = CliRunner().invoke(app, ["serve", "--port", "70000"])
    assert result.exit_code == 1
    assert "--port must be a whole number" in result.stderr


def test_an_empty_data_directory_is_not_the_working_directory():
    result = CliRunner().invoke(app, ["init", "--data-dir", ""])
    assert (result.exit_code, result.stderr) == (1, "error: --data-dir must be the path of a directory.\n")


def test_a_refusal_is_json_on_stderr_with_json_and_a_line_without():
    mine = group("For this test.")

    @command(mine, "one")
    def one(cli):
        """Refuse."""
        raise invalid("name", "name is taken.")

    @command(mine, "two")
    def two(cli):
        """Stand beside it, so that there are names."""

    result = CliRunner().invoke(mine, ["one", "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert json.loads(result.stderr) == {"error": "invalid", "message": "name is taken.", "field": "name"}
    assert CliRunner().invoke(mine, ["one"]).stderr == "error: name is taken.\n"


def test_a_path_quotes_what_the_user_wrote():
    assert api("monitors", "a/b ä?", workspace=None) == "/api/monitors/a%2Fb%20%C3%A4%3F"
    assert api("incidents", monitor="a&b", state="open") == "/api/incidents?monitor=a%26b&state=open"
    assert api("monitors", b"\xff".decode(errors="surrogateescape")) == "/api/monitors/%FF"


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 201])
def test_a_name_that_would_lead_to_another_path_is_refused(name):
    with pytest.raises(LuotaError):
        api("monitors", name)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ("monitor show gone", "monitor"),
        ("monitor show .", "monitor"),
        (f"monitor show {'x' * 300}", "monitor"),
        ("monitor list --workspace gone", "workspace"),
        (f"monitor list --workspace {'x' * 300}", "workspace"),
        ("token show gone", "monitor"),
        ("token show gone --workspace", "workspace"),
        ("channel test gone", "channel"),
        ("channel remove gone", "channel"),
        ("incident show gone", "incident"),
        ("incident export gone", "incident"),
        ("incident list --monitor gone", "monitor"),
        ("drill list gone", "monitor"),
        ("user delete gone", "user"),
    ],
)
def test_what_is_not_found_is_named_by_its_field(initialised, command, field):
    error = json.loads(initialised.run(*command.split(), "--json", status=1).stderr)
    assert (error["error"], error["field"]) == ("not_found", field)
