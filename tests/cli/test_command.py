import json

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from luota.cli.app import app
from luota.cli.command import api, command, group
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


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_to_another_path_is_refused(name):
    with pytest.raises(LuotaError):
        api("monitors", name)
