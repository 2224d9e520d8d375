"""Channels by command: adding one of Apprise, and what the list says in plain words."""

import contextlib
import http.server
import sys
import threading

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

NTFY = ("channel", "add", "apprise", "--name", "phone", "--url", "ntfy://s3cret-topic")


def lines(luota):
    return [line.split() for line in luota.run("channel", "list").stdout.splitlines()]


def test_an_apprise_channel_is_added_and_its_url_shown_by_no_command(initialised):
    shown = (
        initialised.run(*NTFY).stdout
        + initialised.run("channel", "list").stdout
        + initialised.run("channel", "list", "--json").stdout
    )
    assert "phone" in shown
    assert "s3cret" not in shown


def test_without_the_extra_it_is_told_what_to_install(initialised, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert "install luota[apprise] into " in initialised.run(*NTFY, status=1).stderr


def test_a_url_that_apprise_does_not_know_adds_no_channel(initialised):
    said = initialised.run("channel", "add", "apprise", "--name", "phone", "--url", "nope://s3cret", status=1)
    assert "Apprise does not know this URL: look its form up at https://appriseit.com" in said.stderr
    assert "s3cret" not in said.stdout + said.stderr
    assert "phone" not in initialised.run("channel", "list").stdout


def test_the_list_says_in_plain_words_whether_a_channel_works(initialised, monkeypatch):
    monkeypatch.setenv("LUOTA_ALERTS_ALLOW_NETWORKS", "127.0.0.0/8")
    initialised.run("channel", "add", "apprise", "--name", "phone", "--url", "json://127.0.0.1:9/s3cret")
    assert lines(initialised)[:2] == [
        ["NAME", "TYPE", "TO", "STATE", "WANTS", "LAST", "DELIVERY"],
        ["phone", "apprise", "-", "unproven", "everything", "none", "yet"],
    ]
    initialised.run("channel", "test", "phone", status=1)
    assert lines(initialised)[1][:7] == ["phone", "apprise", "-", "failing", "everything", "failed,", "terminal"]
    shown = initialised.run("channel", "list").stdout
    assert "JSON was not reached" in shown
    assert "Nobody knows yet" not in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize("type_", ["webhook", "slack", "apprise", "email"])
def test_a_channel_of_each_type_can_begin_with_rules(initialised, monkeypatch, type_):
    for key, value in {"HOST": "127.0.0.1", "SENDER": "luota@example.org"}.items():
        monkeypatch.setenv(f"LUOTA_EMAIL_{key}", value)
    url = ("--url", "json://192.0.2.1/" if type_ == "apprise" else "http://192.0.2.1/")
    where = ("--to", "ann@example.org") if type_ == "email" else url
    rules = ("--kind", "missed", "--kind", "stale", "--notify", "opened", "--delay", "10m")
    assert (
        "is not one of"
        in initialised.run("channel", "add", type_, "--name", "w", *where, "--kind", "x", status=2).stderr
    )
    made = initialised.json("channel", "add", type_, "--name", "w", *where, *rules)["channel"]
    assert (made["kinds"], made["notify"], made["delaySeconds"]) == (["missed", "stale"], ["opened"], 600)
    assert "only missed and stale, not when resolved, held back for 10 min" in initialised.run("channel", "list").stdout
    refused = initialised.run("channel", "add", type_, "--name", "v", *where, "--delay", "2d", status=1).stderr
    assert refused.startswith("error: --delay must be")


@pytest.mark.parametrize("kind", ["webhook", "slack", "apprise", "email"])
def test_without_a_daemon_a_test_that_this_commands_settings_refuse_leaves_the_channel_as_it_was(
    initialised, monkeypatch, kind
):
    monkeypatch.setenv("LUOTA_ALERTS_ALLOW_NETWORKS", "127.0.0.0/8")
    for key, value in {"HOST": "127.0.0.1", "SENDER": "luota@example.org"}.items():
        monkeypatch.setenv(f"LUOTA_EMAIL_{key}", value)
    url = ("--url", "json://127.0.0.1:9/" if kind == "apprise" else "http://127.0.0.1:9/")
    where = ("--to", "ann@example.org") if kind == "email" else url
    initialised.run("channel", "add", kind, "--name", "w", *where)
    for key in ("ALERTS_ALLOW_NETWORKS", "EMAIL_HOST", "EMAIL_SENDER"):
        monkeypatch.delenv(f"LUOTA_{key}")
    said = initialised.run("channel", "test", "w", status=1).stdout
    assert "Luota does not run, so this command's own settings hold" in said
    assert ("No SMTP server" if kind == "email" else "127.0.0.1 is a loopback address") in said
    (channel,) = initialised.json("channel", "list")["channels"]
    assert (channel["failing"], channel["failedAt"], channel["lastDelivery"]["attempts"]) == (False, None, 0)
    assert channel["lastDelivery"]["state"] == "cancelled"
    with initialised.daemon():
        (channel,) = initialised.json("channel", "list")["channels"]
    assert channel["lastDelivery"]["attempts"] == 0, "nor does the next start take it for one that was cut off"


def test_the_daemon_marks_a_channel_as_failing_whose_test_its_settings_refuse(initialised, monkeypatch):
    monkeypatch.setenv("LUOTA_ALERTS_ALLOW_NETWORKS", "127.0.0.0/8")
    initialised.run("channel", "add", "webhook", "--name", "w", "--url", "http://127.0.0.1:9/")
    monkeypatch.delenv("LUOTA_ALERTS_ALLOW_NETWORKS")
    with initialised.daemon():
        said = initialised.run("channel", "test", "w", status=1).stdout
        assert "127.0.0.1 is a loopback address" in said
        assert "Luota does not run" not in said
        assert initialised.json("channel", "list")["channels"][0]["failing"]


class Provider(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(404 if self.path.endswith("/gone") else 200)
        self.end_headers()
        self.wfile.write(f"taken at {self.path}\x1b[31m".encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("daemon", [False, True])
def test_a_test_shows_the_providers_answer_without_the_secrets_of_the_channel(initialised, monkeypatch, daemon):
    monkeypatch.setenv("LUOTA_ALERTS_ALLOW_NETWORKS", "127.0.0.0/8")
    with (
        http.server.HTTPServer(("127.0.0.1", 0), Provider) as provider,
        initialised.daemon() if daemon else contextlib.nullcontext(),
    ):
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        for name, path in (("good", "s3kr"), ("bad", "s3kr/gone")):
            url = f"http://127.0.0.1:{provider.server_port}/{path}"
            initialised.run("channel", "add", "webhook", "--name", name, "--url", url)
        assert "\nanswer        200 taken at …\\x1b[31m\n" in initialised.run("channel", "test", "good").stdout
        delivery = initialised.json("channel", "test", "good")["delivery"]
        assert (delivery["status"], delivery["answer"]) == (200, "taken at …\\x1b[31m")
        said = initialised.run("channel", "test", "bad", status=1).stdout
        provider.shutdown()
    assert "\nlast error    HTTP 404 from the receiver: taken at …" in said
    assert "\nanswer        404 taken at …" in said


def test_removing_a_channel_says_which_monitors_named_it_and_who_hears_of_them_now(initialised):
    for name in ("desk", "phone"):
        initialised.run("channel", "add", "webhook", "--name", name, "--url", "http://192.0.2.1/")
    for name, channels in (("alone", ["phone"]), ("both", ["desk", "phone"]), ("all", [])):
        named = [word for channel in channels for word in ("--channel", channel)]
        initialised.run("monitor", "create", name, "--mode", "run", *named)
    initialised.run("monitor", "create", "gone", "--mode", "run", "--channel", "phone")
    initialised.run("monitor", "archive", "gone")
    said = initialised.run("channel", "remove", "phone").stdout.splitlines()
    assert [line for line in said if line.startswith(("alone", "both", "all", "gone"))] == [
        "alone: every channel of the workspace",
        "both: desk",
    ]
    assert initialised.run("channel", "remove", "desk", "--json").stdout.count('"slug"') == 1


def test_removing_a_channel_that_no_monitor_names_says_no_more(initialised):
    initialised.run("channel", "add", "webhook", "--name", "desk", "--url", "http://192.0.2.1/")
    assert initialised.run("channel", "remove", "desk").stdout == "Removed desk.\n"
