import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from luota.cli.monitor_text import in_words


def heartbeat(luota, name="Nightly", *more):
    args = ("monitor", "create", name, "--mode", "heartbeat", "--every", "60", "--grace", "30", *more)
    return luota.json(*args)


def test_init_answers_the_same_again_and_while_a_daemon_runs(luota):
    first = luota.json("init")
    assert first["dataDir"] == str(luota.data_dir)
    assert set(first["workspace"]) == {"id", "name"}
    assert luota.json("init") == first
    with luota.daemon():
        assert luota.json("init") == first
    assert luota.data_dir.stat().st_mode & 0o777 == 0o700


def test_the_program_ends_a_mistake_with_one_line_and_status_1(luota):
    done = luota.program("monitor", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: No data in ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", [["monitor", "show", "nightly"], ["openapi"], ["init"]])
def test_an_output_that_takes_no_more_is_said_in_one_line_by_every_command(initialised, command, form):
    heartbeat(initialised)
    line = [sys.executable, "-m", "luota", *command, *form, "--data-dir", str(initialised.data_dir)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    said = json.loads(done.stderr)["message"] if form else done.stderr.removeprefix("error: ").removesuffix("\n")
    assert (done.returncode, said) == (1, "The output cannot be written: No space left on device.")


def test_a_closed_output_is_no_defect(initialised):
    line = [sys.executable, "-m", "luota", "init", "--data-dir", str(initialised.data_dir)]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *line], stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_name_that_the_terminal_cannot_show_is_escaped(initialised):
    heartbeat(initialised, "Päiväraportti ☃")
    shown = initialised.program("monitor", "list", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (shown.returncode, shown.stderr.count("\n")) == (0, 1), "the warning that nothing is watched"
    assert "P\\xe4iv\\xe4raportti \\u2603" in shown.stdout


def test_a_monitor_lives_from_create_to_archive(reached):
    made = heartbeat(reached, "Nightly", "--tag", "team=ops", "--promise", "Reports at 8", "--environment", "prod")
    monitor = made["monitor"]
    assert made["token"].startswith("wfm1.")
    assert (monitor["slug"], monitor["status"], monitor["graceSeconds"]) == ("nightly", "draft", 30)
    assert (monitor["tags"], monitor["promise"], monitor["environment"]) == ({"team": "ops"}, "Reports at 8", "prod")
    assert [m["id"] for m in reached.json("monitor", "list")["monitors"]] == [monitor["id"]]

    assert reached.json("ping", "nightly", "--payload", '{"rows": 3}')["ok"] is True
    by_id = reached.json("monitor", "show", monitor["id"])["monitor"]
    assert by_id == reached.json("monitor", "show", "nightly")["monitor"]
    assert by_id["status"] == "healthy"
    assert {"lastSignalAt", "nextExpectedAt", "deadlineAt"} <= set(by_id)

    edited = reached.json("monitor", "edit", "nightly", "--grace", "5m", "--owner", "Ann", "--tag", "")["monitor"]
    assert (edited["graceSeconds"], edited["owner"], edited["tags"]) == (300, "Ann", {})
    assert (edited["promise"], edited["schedule"]) == ("Reports at 8", {"every": 60})

    assert reached.json("monitor", "pause", "nightly", "--for", "2h")["monitor"]["status"] == "paused"
    assert reached.json("monitor", "resume", "nightly")["monitor"]["status"] != "paused"
    assert reached.json("monitor", "archive", "nightly", "--yes")["monitor"]["status"] == "archived"
    assert reached.json("monitor", "list")["monitors"] == []
    assert "not found" in reached.run("monitor", "show", "nightly", status=1).stderr


def test_tokens_are_shown_and_rotated(reached):
    made = heartbeat(reached)
    assert reached.json("token", "show", "nightly") == {"token": made["token"]}
    assert reached.run("token", "show", "nightly").stdout == made["token"] + "\n"
    assert reached.json("token", "rotate", "nightly")["token"] != made["token"]
    workspace = reached.json("workspace", "list")["workspaces"][0]
    token = reached.json("token", "show", "--workspace")["token"]
    assert token.startswith("wfws1.")
    assert reached.json("token", "show", "--workspace", workspace["id"])["token"] == token
    assert reached.json("token", "rotate", "--workspace")["token"] != token
    assert reached.run("token", "show", status=2).stdout == ""


def test_channels_are_added_listed_and_removed(reached):
    refused = reached.run("channel", "add", "webhook", "--name", "w", "--url", "http://127.0.0.1:1/", status=1)
    assert "allow_networks" in refused.stderr
    channel = reached.json("channel", "add", "webhook", "--name", "w", "--url", "http://192.0.2.1/x")["channel"]
    assert [c["id"] for c in reached.json("channel", "list")["channels"]] == [channel["id"]]
    assert heartbeat(reached, "a", "--channel", "w")["monitor"]["channels"] is not None
    assert reached.json("monitor", "edit", "a", "--channel", "")["monitor"]["channels"] is None
    reached.run("channel", "remove", "w")
    assert reached.json("channel", "list") == {"channels": []}


def test_the_test_of_a_channel_that_fails_exits_with_1_and_whole_json(initialised, monkeypatch):
    monkeypatch.setenv("LUOTA_ALERTS_ALLOW_NETWORKS", "127.0.0.0/8")
    initialised.run("channel", "add", "webhook", "--name", "w", "--url", "http://127.0.0.1:1/")
    result = initialised.run("channel", "test", "w", "--json", status=1)
    assert json.loads(result.stdout)["delivery"]["state"] != "delivered"
    assert "refused" in initialised.run("channel", "list").stdout


def test_users_are_created_with_a_password_from_standard_input(reached):
    args = ("user", "create", "Ann@example.org", "--role", "viewer", "--password-stdin")
    user = reached.json(*args, stdin=b"correct horse battery\n")["user"]
    assert (user["email"], user["role"]) == ("ann@example.org", "viewer")
    assert [u["id"] for u in reached.json("user", "list")["users"]] == [user["id"]]
    assert "password" in reached.run(*args, stdin=b"short", status=1).stderr


def test_without_a_terminal_a_password_is_not_asked_for(initialised):
    assert "--password-stdin" in initialised.run("user", "create", "a@b.c", status=2).stderr


def test_a_missed_signal_is_an_incident_to_list_show_acknowledge_and_resolve(initialised):
    with initialised.daemon():
        incident = initialised.missed()
        keys = "id monitorId kind state openedAt acknowledgedAt resolvedAt summary deliveries".split()
        assert set(keys) <= set(incident)
        assert incident["kind"] == "missed"
        assert "missed" in initialised.run("incident", "list").stdout
        shown = initialised.run("incident", "show", incident["id"]).stdout
        assert "opened" in shown
        assert "Nobody was told" in shown
        acknowledged = initialised.json("incident", "ack", incident["id"], "--reason", "on it")["incident"]
        assert (acknowledged["state"], acknowledged["id"]) == ("acknowledged", incident["id"])
        resolved = initialised.json("incident", "resolve", incident["id"])["incident"]
        assert resolved["state"] == "resolved"
        assert "on it" in initialised.run("incident", "show", incident["id"]).stdout


def test_a_run_monitor_takes_no_ping_and_the_refusal_says_what_it_takes(initialised):
    initialised.run("monitor", "create", "Job", "--mode", "run")
    assert "/v1/runs/start" in initialised.run("ping", "job", status=1).stderr


def test_what_the_server_refuses_of_a_ping_keeps_its_field(initialised):
    heartbeat(initialised)
    for args, field in (
        (("--occurred-at", "yesterday"), "occurredAt"),
        (("--payload", "[1]"), "payload"),
        (("--payload", b'{"a":"\xff"}'.decode(errors="surrogateescape")), "body"),
    ):
        error = json.loads(initialised.run("ping", "nightly", "--json", *args, status=1).stderr)
        assert (error["error"], error["field"]) == ("invalid", field)
    initialised.run("ping", "nightly", "--payload", "{", status=2)


def test_the_schedule_of_an_edit_keeps_what_was_not_given(initialised):
    args = ("monitor", "create", "J", "--mode", "run", "--cron", "0 2 * * *", "--timezone", "Europe/Helsinki")
    assert initialised.json(*args)["monitor"]["schedule"] == {"cron": "0 2 * * *", "timezone": "Europe/Helsinki"}
    for options, schedule in (
        (("--cron", "0 3 * * *"), {"cron": "0 3 * * *", "timezone": "Europe/Helsinki"}),
        (("--timezone", "UTC"), {"cron": "0 3 * * *", "timezone": "UTC"}),
        (("--calendar", "daily", "--timezone", "Asia/Tokyo"), {"calendar": "daily", "timezone": "Asia/Tokyo"}),
        (("--every", "5m"), {"every": 300}),
        (("--no-schedule",), None),
    ):
        assert initialised.json("monitor", "edit", "j", *options)["monitor"]["schedule"] == schedule
    assert "--cron or --calendar" in initialised.run("monitor", "edit", "j", "--timezone", "UTC", status=1).stderr


@pytest.mark.parametrize(
    "args",
    [
        ("create", "x", "--mode", "run", "--every", "1", "--cron", "* * * * *"),
        ("create", "x", "--mode", "run", "--every", "1", "--timezone", "UTC"),
        ("create", "x", "--mode", "run", "--timezone", "UTC"),
        ("create", "x", "--mode", "run", "--tag", "novalue"),
        ("create", "x", "--mode", "run", "--tag", "a=1", "--tag", "a=2"),
        ("create", "x"),
        ("edit", "x"),
        ("edit", "x", "--no-schedule", "--every", "1"),
        ("pause", "x", "--for", "1h", "--until", "2030-01-01T00:00:00Z"),
    ],
)
def test_options_that_contradict_are_a_usage_error(luota, args):
    luota.run("monitor", *args, status=2)


def test_archive_asks_on_a_terminal_and_changes_nothing_without_a_yes(initialised):
    heartbeat(initialised)
    command = [sys.executable, "-m", "luota", "monitor", "archive", "nightly", "--data-dir", initialised.data_dir]
    for answer, status, left in ((b"n\n", 1, 1), (b"y\n", 0, 0)):
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            said = b""
            while b"[y/N]" not in said:
                assert select.select([ours], [], [], 60)[0]
                said += os.read(ours, 1000)
            assert b"Nightly (nightly)" in said
            os.write(ours, answer)
            assert process.wait(60) == status
        os.close(ours)
        assert len(initialised.json("monitor", "list")["monitors"]) == left


def test_the_text_for_people_holds_what_they_need_next(initialised):
    shown = initialised.run("monitor", "create", "Job", "--mode", "run", "--cron", "0 2 * * *").stdout
    assert "cron 0 2 * * * (UTC)" in shown
    assert f"token          {initialised.json('token', 'show', 'job')['token']}\n" in shown
    assert "curl -sS -X POST http://127.0.0.1:8080/v1/runs/start" in shown
    assert "last signal    -\n" in shown
    assert "job" in initialised.run("monitor", "list").stdout
    assert in_words({"moon": "full"}) == '{"moon": "full"}'


def test_a_workspace_is_chosen_by_slug_or_id(initialised):
    heartbeat(initialised, "a", "--workspace", "default")
    workspace = initialised.json("workspace", "list")["workspaces"][0]
    assert len(initialised.json("monitor", "list", "--workspace", workspace["id"])["monitors"]) == 1
    assert "not found" in initialised.run("incident", "list", "--workspace", "other", status=1).stderr


def test_a_refused_definition_names_the_option_to_give(initialised):
    done = initialised.run("monitor", "create", "prices", "--mode", "freshness", status=1)
    assert done.stderr.startswith("error: --freshness is required")
    done = initialised.run("monitor", "create", "x", "--mode", "heartbeat", status=1)
    assert done.stderr.startswith("error: --every, --cron or --calendar is required")
    done = initialised.run("monitor", "create", "x", "--mode", "run", "--cron", "0 99 * * *", status=1)
    assert done.stderr.endswith("(option --cron)\n")
    for every in ("abc", "400d"):
        done = initialised.run("monitor", "create", "x", "--mode", "run", "--every", every, status=1)
        assert done.stderr.startswith("error: --every must be a whole number of seconds")
        assert done.stderr.endswith("from 1 s to 366 d.\n")
    initialised.run("monitor", "create", "x", "--mode", "run")
    for given, said in (
        (("--for", "x"), "--for must be a whole number of seconds, or one like"),
        (("--for", "0"), "--for must be a whole number of seconds"),
        (("--until", "x"), "--until must be an ISO 8601 time"),
        (("--until", "2026-01-01T00:00:00Z"), "The pause must end in the future. Name a later end. (option --until)"),
    ):
        error = json.loads(initialised.run("monitor", "pause", "x", *given, "--json", status=1).stderr)
        assert error["message"].startswith(said)
        assert error["field"] == given[0].strip("-")
    done = initialised.run("monitor", "create", "x", "--mode", "run", "--tag", f"a={'x' * 200}", "--json", status=1)
    error = json.loads(done.stderr)
    assert error["field"] == "tags.a"
    assert error["message"].endswith("(option --tag)")


def test_the_secret_of_a_webhook_is_shown_when_it_is_added_or_rotated_and_never_again(reached):
    url = "http://192.0.2.1/s3cret-path"
    add = ("channel", "add", "webhook", "--name", "w", "--url", url, "--header", "Authorization=Bearer t0ken")
    first = reached.json(*add)["secret"]
    assert first.startswith("whsec_")
    rotated = reached.json("channel", "rotate-secret", "w")
    assert rotated["secret"] not in ("", first)
    assert rotated["oldSecretUntil"] is not None
    shown = reached.run("channel", "list").stdout + reached.run("channel", "list", "--json").stdout
    for secret in (first, rotated["secret"], "s3cret-path", "t0ken"):
        assert secret not in shown
    refused = reached.run("channel", "add", "webhook", "--name", "x", "--url", url, "--header", "t0ken", status=1)
    assert "t0ken" not in refused.stderr


def test_a_slack_channel_is_added_and_has_no_secret_to_rotate(reached):
    added = reached.json("channel", "add", "slack", "--name", "team", "--url", "http://192.0.2.1/services/T0/B0/x")
    assert added["channel"]["type"] == "slack"
    assert "secret" not in added
    assert "not signed" in reached.run("channel", "rotate-secret", "team", status=1).stderr


def test_a_channel_is_told_what_it_wants(reached):
    reached.json("channel", "add", "slack", "--name", "team", "--url", "http://192.0.2.1/services/T0/B0/x")
    args = ("channel", "edit", "team", "--kind", "failed", "--notify", "opened", "--delay", "5m")
    edited = reached.json(*args)["channel"]
    assert (edited["kinds"], edited["notify"], edited["delaySeconds"]) == (["failed"], ["opened"], 300)
    assert "--delay must be" in reached.run("channel", "edit", "team", "--delay", "9" * 5000, status=1).stderr
    edited = reached.json("channel", "edit", "team", "--kind", "")["channel"]
    assert (len(edited["kinds"]), edited["notify"]) == (4, ["opened"])
    assert "'--kind'" in reached.run("channel", "edit", "team", "--kind", "down", status=2).stderr
    assert "unproven" in reached.run("channel", "list").stdout


def test_the_first_call_of_a_job_goes_to_where_the_daemon_listens(initialised):
    in_process = initialised.run("monitor", "create", "a", "--mode", "run", "--cron", "0 2 * * *").stdout
    assert "curl -sS -X POST http://127.0.0.1:8080/v1/runs/start" in in_process
    assert "nothing is watched until luota serve does." in in_process
    with initialised.daemon():
        made = heartbeat(initialised, "b")
        port = int(made["baseUrl"].rpartition(":")[2])
        assert port not in (0, 8080)
        said = initialised.run("monitor", "create", "c", "--mode", "run").stdout
        assert f"curl -sS -X POST http://127.0.0.1:{port}/v1/runs/start" in said
        assert "nothing is watched" not in said
        pasted = said.partition("\n\nSend its first signals")[2].partition("\n")[2]
        done = subprocess.run(["bash", "-c", pasted], check=True, capture_output=True, text=True, timeout=30)
        assert json.loads(done.stdout)["run"]["status"] == "success"
    with initialised.daemon():
        pass
    log = (initialised.data_dir.parent / "serve.log").read_text()
    assert f"data in {initialised.data_dir}" in log


def test_a_monitor_without_grace_says_so_to_people(initialised):
    def said(*args):
        return initialised.run("monitor", "create", "x", *args).stdout

    note = "grace 0: the incident opens at the very moment"
    assert note in said("--mode", "heartbeat", "--every", "60")
    assert note in said("--mode", "freshness", "--freshness", "60")
    assert note not in said("--mode", "run")
    assert note not in said("--mode", "heartbeat", "--every", "60", "--grace", "1")


def test_a_draft_shows_no_deadline_as_if_it_were_armed(initialised):
    made = heartbeat(initialised)["monitor"]
    shown = initialised.run("monitor", "show", "nightly").stdout
    assert f"no signal yet; would expect one by {made['nextExpectedAt']}" in shown
    listed = initialised.run("monitor", "list").stdout
    for text in (shown, listed):
        assert made["deadlineAt"] not in text
    initialised.run("monitor", "create", "job", "--mode", "run")
    assert "next expected  no signal yet\n" in initialised.run("monitor", "show", "job").stdout


def test_a_monitor_with_an_incident_shows_it_whatever_happened_since(initialised):
    with initialised.daemon():
        found = initialised.missed()
        initialised.run("monitor", "pause", "quick")
        shown = initialised.run("monitor", "resume", "quick") and initialised.run("monitor", "show", "quick").stdout
        assert f"missed, open since {found['openedAt']}: {found['summary']}" in shown
        resolved = initialised.run("incident", "resolve", found["id"]).stdout
        assert "unverified until its next signal or missed deadline" in resolved


def test_archived_monitors_are_listed_when_asked_for(reached):
    heartbeat(reached, "old")
    reached.run("monitor", "archive", "old", "--yes")
    heartbeat(reached, "new")
    assert [m["slug"] for m in reached.json("monitor", "list", "--archived")["monitors"]] == ["old"]
    assert "old" not in reached.run("monitor", "list").stdout
    assert "old" in reached.run("monitor", "list", "--archived").stdout


def test_the_beginning_of_an_id_names_a_monitor(reached):
    made = heartbeat(reached)["monitor"]
    assert reached.json("monitor", "show", made["id"][:8])["monitor"]["id"] == made["id"]
    assert reached.json("ping", made["id"][:13])["monitor"]["id"] == made["id"]


def test_the_first_user_owns_and_others_view_unless_a_role_is_given(reached):
    def made(email, *more):
        args = ("user", "create", email, "--password-stdin", *more)
        return reached.run(*args, stdin=b"correct horse battery").stdout

    first, second, third = made("a@example.org"), made("b@example.org"), made("c@example.org", "--role", "owner")
    assert "The role is owner" in first
    assert "The role is viewer" in second
    assert "The role is" not in third
    roles = [user["role"] for user in reached.json("user", "list")["users"]]
    assert roles == ["owner", "viewer", "owner"]


def test_what_is_too_long_or_not_text_is_refused_in_words(reached):
    args = ("--mode", "run")
    long = reached.run("monitor", "create", "x" * 100_000, *args, status=1).stderr
    assert long.startswith("error: name is too long")
    odd = reached.run("monitor", "create", b"\xff".decode(errors="surrogateescape"), *args, status=1).stderr
    assert odd == "error: name is not valid UTF-8 text. Give it in UTF-8.\n"
    assert "neither an id nor a name" in reached.run("monitor", "show", "x" * 100_000, status=1).stderr
    assert "neither an id nor a name" in reached.run("monitor", "list", "--workspace", "x" * 100_000, status=1).stderr
    payload = json.dumps({"a": "x" * 70_000})
    heartbeat(reached)
    assert "64 KiB" in reached.run("ping", "nightly", "--payload", payload, status=1).stderr


def test_a_network_that_is_refused_names_the_setting_of_the_daemon(reached):
    add = ("channel", "add", "webhook", "--name", "w", "--url", "http://127.0.0.1:1/")
    said = reached.run(*add, status=1).stderr
    assert "the daemon's setting [alerts] allow_networks (or LUOTA_ALERTS_ALLOW_NETWORKS)" in said
