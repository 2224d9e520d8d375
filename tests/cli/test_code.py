import json
import re
import shlex

import pytest

from tests.markdown import ROOT, fences


@pytest.fixture
def luota(initialised, monkeypatch):
    monkeypatch.setenv("LUOTA_EMAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("LUOTA_EMAIL_SENDER", "luota@example.org")
    return initialised


@pytest.fixture
def written(tmp_path):
    def write(document, name="watched.json"):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write


JOB = {"name": "Nightly", "mode": "heartbeat", "schedule": {"every": "5m"}, "graceSeconds": "1m", "tags": {"a": "b"}}
DESK = {"name": "desk", "type": "webhook", "url": "http://192.0.2.1/s3cret", "kinds": ["failed"], "delaySeconds": "1m"}


def actions(reply):
    return [(change["type"], change["name"], change["action"]) for change in reply["changes"]]


def test_a_file_is_brought_about_once_and_doing_it_again_changes_nothing(luota, written):
    file = written({"monitors": [{**JOB, "channels": ["desk"]}], "channels": [DESK]})
    created = [("channel", "desk", "create"), ("monitor", "nightly", "create")]
    assert actions(luota.json("apply", file, "--dry-run")) == created
    assert luota.json("monitor", "list")["monitors"] == []
    reply = luota.json("apply", file)
    assert actions(reply) == created
    assert reply["secrets"]["desk"].startswith("whsec_")
    assert "s3cret" not in json.dumps(reply)
    shown = luota.json("monitor", "show", "nightly")["monitor"]
    assert (shown["graceSeconds"], shown["schedule"], shown["channels"]) == (60, {"every": 300}, ["desk"])
    (desk,) = luota.json("channel", "list")["channels"]
    assert (desk["kinds"], desk["delaySeconds"]) == (["failed"], 60)
    again = luota.json("apply", file)
    assert actions(again) == [("channel", "desk", "keep"), ("monitor", "nightly", "keep")]
    assert again["secrets"] == {}
    assert luota.json("monitor", "show", "nightly")["monitor"] == shown


def test_a_new_channel_is_added_with_its_rules_in_one_change(luota, written):
    luota.run("apply", written({"channels": [DESK]}))
    (entry,) = luota.json("audit", "list", "--of", "channel")["entries"]
    assert (entry["action"], entry["detail"]["kinds"], entry["detail"]["delaySeconds"]) == (
        "channel.add",
        ["failed"],
        60,
    )


def test_what_differs_is_shown_and_edited_and_the_rest_stays(luota, written):
    luota.run("apply", written({"monitors": [JOB, {**JOB, "name": "Other"}], "channels": [DESK]}))
    changed = written(
        {
            "monitors": [{**JOB, "graceSeconds": 90, "owner": "Ann"}],
            "channels": [{"name": "desk", "kinds": ["missed", "failed"]}],
        }
    )
    for more in (("--dry-run",), ()):
        reply = luota.json("apply", changed, *more)
        assert reply["dryRun"] is bool(more)
        assert reply["changes"][0]["changes"] == {"kinds": {"before": ["failed"], "after": ["missed", "failed"]}}
        assert reply["changes"][1]["changes"] == {
            "graceSeconds": {"before": 60, "after": 90},
            "owner": {"before": None, "after": "Ann"},
        }
    assert "graceSeconds" not in luota.run("apply", changed).stdout
    shown = luota.json("monitor", "show", "nightly")["monitor"]
    assert (shown["graceSeconds"], shown["owner"], shown["tags"]) == (90, "Ann", {"a": "b"})
    assert luota.json("channel", "list")["channels"][0]["delaySeconds"] == 60
    assert len(luota.json("monitor", "list")["monitors"]) == 2


def test_an_export_is_applied_to_itself_without_a_change_and_holds_no_secret(luota, written):
    luota.run("apply", written({"monitors": [JOB], "channels": [DESK]}))
    luota.run("channel", "add", "email", "--name", "night", "--to", "ann@example.org")
    text = luota.run("export").stdout
    assert "s3cret" not in text
    assert "whsec_" not in text
    assert not re.search(r"wfm1|token", text)
    assert json.loads(text) == luota.json("export")
    reply = luota.json("apply", written(text))
    assert {action for *_, action in actions(reply)} == {"keep"}
    luota.run("workspace", "create", "Other")
    refused = luota.run("apply", written(text), "--workspace", "other", status=1).stderr
    assert "channel desk is not there yet" in refused
    assert luota.json("channel", "list", "--workspace", "other") == {"channels": []}


def test_the_file_of_the_page_is_applied(luota, written):
    (fence,) = [fence for fence in fences(ROOT / "docs" / "cli.md") if fence.language == "toml"]
    reply = luota.json("apply", written(fence.text, "watched.toml"))
    assert actions(reply) == [("channel", "night-shift", "create"), ("monitor", "nightly-backup", "create")]
    again = luota.json("apply", written(fence.text, "watched.toml"))
    assert {action for *_, action in actions(again)} == {"keep"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ({"monitor": []}, "'monitor' is not known"),
        ({"monitors": {}}, "must be a list"),
        ({"monitors": [1]}, "must be a list"),
        ({"monitors": [{"mode": "run"}]}, "needs a name"),
        ({"channels": [{"name": []}]}, "needs a name"),
        ({"channels": [DESK, DESK]}, "twice"),
        ({"monitors": [JOB, JOB]}, "nightly stands twice"),
        ({"monitors": [{**JOB, "slug": ["x"]}]}, "slug"),
        ({"monitors": [JOB, {**JOB, "name": "b", "mode": "weekly"}]}, "monitor b: mode"),
        ({"monitors": [{**JOB, "graceSecond": 1}]}, "graceSeconds"),
        ({"channels": [{**DESK, "kinds": ["down"]}]}, "kinds"),
        ({"channels": [{"name": "x", "type": "slack"}]}, "give its url"),
    ],
)
def test_a_file_that_is_wrong_is_refused_whole(luota, written, document, said):
    if isinstance(document, dict):
        first = {"name": "First", "mode": "run"}
        given = document.get("monitors", [])
        document = {**document, "monitors": [first, *given] if isinstance(given, list) else given}
    assert said in luota.run("apply", written(document), status=1).stderr
    assert luota.json("export") == {"channels": [], "monitors": []}


def test_a_file_that_is_no_toml_or_not_there_is_refused(luota, written, tmp_path):
    assert "not valid TOML" in luota.run("apply", written("x", "x.toml"), status=1).stderr
    assert "not valid TOML" in luota.run("apply", written(f"x = {'9' * 5000}", "x.toml"), status=1).stderr
    assert "cannot be read" in luota.run("apply", str(tmp_path / "none"), status=1).stderr


def test_what_cannot_change_is_refused(luota, written):
    luota.run("apply", written({"monitors": [JOB], "channels": [DESK]}))
    assert "mode" in luota.run("apply", written({"monitors": [{"name": "Nightly", "mode": "run"}]}), status=1).stderr
    slack = {"channels": [{**DESK, "type": "slack"}]}
    assert "type of channel desk cannot change" in luota.run("apply", written(slack), status=1).stderr


def test_the_file_of_the_page_is_applied_after_the_commands_of_the_page(luota, written):
    (fence,) = [fence for fence in fences(ROOT / "docs" / "cli.md") if fence.language == "toml"]
    lines = "\n".join(one.text for one in fences(ROOT / "docs" / "cli.md") if one.language == "sh")
    wanted = ("luota channel add email", 'luota monitor create "Nightly')
    for line in lines.replace("\\\n", " ").splitlines():
        if line.startswith(wanted):
            luota.run(*shlex.split(line)[1:])
    reply = luota.json("apply", written(fence.text, "watched.toml"))
    assert actions(reply) == [("channel", "night-shift", "keep"), ("monitor", "nightly-backup", "edit")]
