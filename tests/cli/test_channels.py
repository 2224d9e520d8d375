"""Channels by command: adding one of Apprise, and what the list says in plain words."""

import sys

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

NTFY = ("channel", "add", "apprise", "--name", "phone", "--url", "ntfy://s3cret-topic")


def lines(luota):
    return [line.split() for line in luota.run("channel", "list").stdout.splitlines()]


def test_an_apprise_channel_is_added_and_its_url_shown_by_no_command(luota):
    luota.run("init")
    shown = (
        luota.run(*NTFY).stdout + luota.run("channel", "list").stdout + luota.run("channel", "list", "--json").stdout
    )
    assert "phone" in shown
    assert "s3cret" not in shown


def test_without_the_extra_it_is_told_what_to_install(luota, monkeypatch):
    luota.run("init")
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert "install luota[apprise] into " in luota.run(*NTFY, status=1).stderr


def test_a_url_that_apprise_does_not_know_adds_no_channel(luota):
    luota.run("init")
    said = luota.run("channel", "add", "apprise", "--name", "phone", "--url", "nope://s3cret", status=1)
    assert "Apprise does not know this URL: look its form up at https://appriseit.com" in said.stderr
    assert "s3cret" not in said.stdout + said.stderr
    assert "phone" not in luota.run("channel", "list").stdout


def test_the_list_says_in_plain_words_whether_a_channel_works(luota):
    luota.run("init")
    luota.run("channel", "add", "apprise", "--name", "phone", "--url", "json://127.0.0.1:9/s3cret")
    assert lines(luota)[:2] == [
        ["NAME", "TYPE", "TO", "STATE", "LAST", "DELIVERY"],
        ["phone", "apprise", "-", "unproven", "none", "yet"],
    ]
    luota.run("channel", "test", "phone", status=1)
    assert lines(luota)[1][:6] == ["phone", "apprise", "-", "failing", "given", "up"]
    shown = luota.run("channel", "list").stdout
    assert "127.0.0.1 is a loopback address" in shown
    assert "s3cret" not in shown
