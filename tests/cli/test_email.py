"""Email channels by command."""

import json

ADD = ("channel", "add", "email", "--name", "night", "--to", "ann@example.org", "--to", "bob@example.org")


def relay(monkeypatch, port="9"):
    settings = {"HOST": "127.0.0.1", "PORT": port, "SECURITY": "plain", "SENDER": "luota@example.org"}
    for key, value in settings.items():
        monkeypatch.setenv(f"LUOTA_EMAIL_{key}", value)


def test_without_an_smtp_server_the_lines_to_add_are_named(initialised):
    refused = initialised.run(*ADD, status=1)
    assert 'add host = "…" and sender = "…" below [email]' in refused.stderr
    assert initialised.json("channel", "list") == {"channels": []}


def test_a_channel_is_added_with_its_addresses_which_the_list_shows(initialised, monkeypatch):
    relay(monkeypatch)
    assert initialised.json(*ADD)["channel"]["to"] == ["ann@example.org", "bob@example.org"]
    assert initialised.json("channel", "list")["channels"][0]["to"] == ["ann@example.org", "bob@example.org"]
    assert "email  ann@example.org, bob@example.org" in initialised.run("channel", "list").stdout


def test_an_address_that_is_none_is_refused_by_its_place(initialised, monkeypatch):
    relay(monkeypatch)
    refused = initialised.run(*ADD[:-1], "Bob <bob@example.org>", "--json", status=1)
    assert json.loads(refused.stderr)["field"] == "to.1"


def test_a_test_shows_what_the_server_said(initialised, monkeypatch):
    relay(monkeypatch)
    initialised.run(*ADD)
    result = initialised.run("channel", "test", "night", status=1)
    assert "connection: connection refused" in result.stdout


def test_a_channel_whose_server_is_no_longer_set_says_so(initialised, monkeypatch):
    relay(monkeypatch)
    initialised.run(*ADD)
    for key in ("HOST", "PORT", "SECURITY", "SENDER"):
        monkeypatch.delenv(f"LUOTA_EMAIL_{key}")
    assert "No SMTP server" in initialised.run("channel", "test", "night", status=1).stdout


def test_the_password_is_shown_by_no_command(luota, monkeypatch):
    relay(monkeypatch)
    monkeypatch.setenv("LUOTA_EMAIL_USERNAME", "luota")
    monkeypatch.setenv("LUOTA_EMAIL_PASSWORD", "sEcReT")
    shown = luota.run("check-config").stdout + luota.run("check-config", "--json").stdout
    assert "sEcReT" not in shown
    assert ["email.password", "set"] in [line.split() for line in shown.splitlines()]
