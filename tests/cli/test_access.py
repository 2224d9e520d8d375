import json

import pytest


def created(luota, email, *more):
    args = ("user", "create", email, "--password-stdin", *more)
    return luota.json(*args, stdin=b"correct horse battery\n")["user"]


def test_a_workspace_is_created_and_has_monitors_and_users_of_its_own(reached):
    made = reached.json("workspace", "create", "Night shift")["workspace"]
    assert (made["name"], made["slug"]) == ("Night shift", "night-shift")
    assert made in reached.json("workspace", "list")["workspaces"]
    assert "already" in reached.run("workspace", "create", "Night shift", status=1).stderr
    reached.run("monitor", "create", "Job", "--mode", "run", "--workspace", "night-shift")
    assert reached.json("monitor", "list") == {"monitors": []}
    assert len(reached.json("monitor", "list", "--workspace", made["id"])["monitors"]) == 1
    created(reached, "ann@example.org", "--workspace", "night-shift")
    assert reached.json("user", "list") == {"users": []}
    assert len(reached.json("user", "list", "--workspace", "night-shift")["users"]) == 1


def test_a_user_gets_another_role_and_password_and_is_deleted(reached):
    ann, bob = created(reached, "ann@example.org"), created(reached, "bob@example.org")
    assert (ann["role"], bob["role"]) == ("owner", "viewer")
    assert reached.json("user", "role", "Bob@example.org", "operator")["user"]["role"] == "operator"
    assert "is owner now" in reached.run("user", "role", bob["id"], "owner").stdout
    args = ("user", "password", "bob@example.org", "--password-stdin")
    assert reached.json(*args, stdin=b"another long password")["user"]["id"] == bob["id"]
    assert "at least 12" in reached.run(*args, stdin=b"short", status=1).stderr
    assert reached.json("user", "delete", "ann@example.org")["user"]["id"] == ann["id"]
    assert [user["email"] for user in reached.json("user", "list")["users"]] == ["bob@example.org"]
    assert "last owner" in reached.run("user", "delete", "bob@example.org", "--yes", status=1).stderr
    assert "not found" in reached.run("user", "role", "ann@example.org", "viewer", status=1).stderr
    assert "role must be one of" in reached.run("user", "role", "bob@example.org", "king", status=1).stderr


def test_a_note_stands_on_the_timeline_of_an_incident(initialised):
    with initialised.daemon():
        missed = initialised.missed()["id"]
        events = initialised.json("incident", "note", missed, "db-1 is slow\ntoday")["incident"]["events"]
        assert [(e["type"], e["text"], e["actor"]) for e in events][1:] == [("note", "db-1 is slow\ntoday", "operator")]
        assert "blank" in initialised.run("incident", "note", missed, "  ", status=1).stderr
        error = json.loads(initialised.run("incident", "note", missed, "x" * 2001, "--json", status=1).stderr)
        assert error["field"] == "text"


def test_prune_tells_how_much_it_deleted(reached):
    assert reached.json("prune") == {"deleted": 0}
    assert reached.run("prune").stdout == "Deleted 0 rows.\n"
