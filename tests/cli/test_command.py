import json
import re
import shlex

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


@pytest.mark.parametrize(
    ("args", "option"),
    [
        ("monitor create x --mode none", "--mode"),
        ("incident list --state none", "--state"),
        ("audit list --of none", "--of"),
        ("user create a@example.org --role none", "--role"),
        ("user role a@example.org none", "role"),
        ("member add a@example.org --role none", "--role"),
        ("channel edit c --kind missed --kind none", "--kind"),
        ("channel edit c --notify none", "--notify"),
        ("incident export i --format none", "--format"),
        ("drill run m none", "kind"),
    ],
)
def test_a_word_that_is_none_of_those_to_choose_from_is_a_usage_error(args, option, capfd):
    assert run(app, [*args.split(), "--json"]) == 2
    refused = json.loads(capfd.readouterr().err)
    assert (refused["error"], refused["field"]) == ("usage", option)
    assert "none" in refused["message"]


def test_of_options_that_may_be_given_again_an_empty_word_stands_for_all(capfd, tmp_path):
    assert run(app, ["channel", "edit", "c", "--kind", "", "--data-dir", str(tmp_path), "--json"]) == 1
    assert json.loads(capfd.readouterr().err)["error"] != "usage"


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
        (["token", "show", "x", "--workspace", "--in", "y"], "--in"),
        (["channel", "edit", "x"], "options"),
        (["workspace", "edit"], "options"),
        (["workspace", "show", ""], "workspace"),
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
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"error: (?!Invalid value:).+\. See: luota.* --help", line)


def test_a_group_without_a_command_shows_what_there_is(capsys):
    assert run(app, ["monitor"]) == 2
    said = capsys.readouterr()
    assert "advise" in said.out + said.err


def test_what_a_command_takes_says_what_it_is():
    silent = [
        f"{' '.join(path)} {parameter.opts[0]}"
        for path, found in commands()
        for parameter in found.params
        if not (parameter.help or parameter.hidden)
    ]
    assert silent == []


def test_a_command_about_something_of_a_workspace_takes_the_workspace():
    for path, found in commands():
        named = {parameter.name for parameter in found.params if parameter.param_type_name == "argument"}
        if named & {"monitor", "channel", "incident", "run", "user"}:
            options = {option for parameter in found.params for option in parameter.opts}
            assert "--workspace" in options, path


@pytest.mark.parametrize(
    ("args", "said", "field"),
    [
        ("ping job --occurred-at yesterday", "--occurred-at must be an ISO 8601", "occurredAt"),
        ("workspace edit --retention-days 0", "--retention-days must be a whole number", "retentionDays"),
        ("workspace edit --incident-retention-days 3", "(option --incident-retention-days)", "incidentRetentionDays"),
        ("channel add email --name x --to nobody", "error: --to must be an address", "to.0"),
        ("channel edit desk --delay x", "--delay must be a whole number", "delaySeconds"),
        ("monitor advise job --max-runtime 5m", "--max-runtime decides nothing of this monitor", "limit"),
        ("monitor advise job --grace soon", "--grace must be a whole number", "grace"),
        ("monitor advise job --every 0", "--every must be a whole number", "interval"),
        ("monitor list --workspace ''", "Workspace '' not found. See: luota workspace list.", "workspace"),
        ("member add eve@example.org", "luota user create", "email"),
        ("replay /nowhere", "cannot be read", "trace"),
    ],
)
def test_a_refusal_names_the_option_and_with_json_the_field_of_the_api(initialised, args, said, field):
    initialised.run("monitor", "create", "Job", "--mode", "heartbeat", "--every", "1h")
    initialised.run("channel", "add", "webhook", "--name", "desk", "--url", "http://192.0.2.1/")
    (line,) = initialised.run(*shlex.split(args), status=1).stderr.splitlines()
    assert said in line
    assert json.loads(initialised.run(*shlex.split(args), "--json", status=1).stderr)["field"] == field


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("channel edit headers --kind missed", "Channel headers not found."),
        ("monitor edit schedule --grace 5m", "Monitor schedule not found."),
        ("monitor create x --mode run --slug tags", "slug tags is taken"),
        ("monitor edit tags --channel kinds --tag a=b", "There is no channel kinds."),
        ("monitor edit tags --channel tags", "There is no channel tags."),
        ("workspace edit retentionDays --retention-days 30", "Workspace retentionDays not found."),
    ],
)
def test_a_refusal_repeats_what_was_written_and_no_option_instead(initialised, args, said):
    initialised.run("monitor", "create", "tags", "--mode", "run")
    (line,) = initialised.run(*shlex.split(args), status=1).stderr.splitlines()
    assert line.startswith(f"error: {said}")


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


def test_a_list_of_commands_cuts_no_sentence(capsys):
    for path in ("", "monitor", "channel", "channel add", "incident", "user", "workspace"):
        assert run(app, [*path.split(), "--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")
