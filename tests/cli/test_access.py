import json

import httpx


def created(luota, email, *more):
    args = ("user", "create", email, "--password-stdin", *more)
    return luota.json(*args, stdin=b"correct horse battery\n")["user"]


def test_a_workspace_is_created_and_has_monitors_and_users_of_its_own(reached):
    made = reached.json("workspace", "create", "Night shift")["workspace"]
    assert (made["name"], made["slug"]) == ("Night shift", "night-shift")
    assert made in reached.json("workspace", "list")["workspaces"]
    assert "already" in reached.run("workspace", "create", "Night shift", status=1).stderr
    reached.run("monitor", "create", "Job", "--mode", "run", "--workspace", "night-shift")
    assert reached.json("monitor", "list")["monitors"] == []
    assert len(reached.json("monitor", "list", "--workspace", made["id"])["monitors"]) == 1
    created(reached, "ann@example.org", "--workspace", "night-shift")
    assert reached.json("user", "list") == {"users": []}
    assert len(reached.json("user", "list", "--workspace", "night-shift")["users"]) == 1


def test_all_of_another_workspace_is_reached_by_naming_it(reached):
    reached.run("workspace", "create", "Night")
    there = ("--workspace", "night")
    reached.run("monitor", "create", "Job", "--mode", "heartbeat", "--every", "1h", *there)
    assert reached.json("monitor", "show", "job", *there)["monitor"]["status"] == "draft"
    error = reached.run("monitor", "show", "job", status=1).stderr
    assert error == (
        "error: Monitor job not found in the workspace default. See: luota monitor list. "
        "Name the workspace if it is in another.\n"
    )
    assert reached.run("token", "show", "job", status=1).stderr == error
    reached.run("monitor", "edit", "job", "--cron", "0 2 * * *", "--timezone", "Europe/Helsinki", *there)
    edited = reached.json("monitor", "edit", "job", "--cron", "0 3 * * *", *there)["monitor"]
    assert edited["schedule"] == {"cron": "0 3 * * *", "timezone": "Europe/Helsinki"}
    assert reached.json("monitor", "pause", "job", *there)["monitor"]["status"] == "paused"
    assert reached.json("monitor", "resume", "job", *there)["monitor"]["status"] == "draft"
    assert "Accepted" in reached.run("ping", "job", *there).stdout
    token = reached.run("token", "show", "job", "--in", "night").stdout
    assert reached.run("token", "rotate", "job", "--in", "night").stdout != token
    reached.run("monitor", "archive", "job", *there)
    assert reached.json("monitor", "list", *there)["monitors"] == []
    reached.run("channel", "add", "webhook", "--name", "desk", "--url", "http://192.0.2.1/", *there)
    assert reached.json("channel", "edit", "desk", "--kind", "missed", *there)["channel"]["kinds"] == ["missed"]
    assert reached.json("channel", "rotate-secret", "desk", *there)["oldSecretUntil"]
    assert "Removed desk" in reached.run("channel", "remove", "desk", *there).stdout


def test_an_incident_of_another_workspace_is_acted_upon_by_naming_it(initialised):
    initialised.run("workspace", "create", "Night")
    there = ("--workspace", "night")
    with initialised.daemon():
        made = initialised.json("monitor", "create", "Job", "--mode", "run", *there)
        socket = httpx.HTTPTransport(uds=str(initialised.data_dir / "luota.sock"))
        with httpx.Client(transport=socket, base_url="http://luota", headers={"x-luota-key": made["token"]}) as job:
            start = {"monitorId": made["monitor"]["id"], "externalRunId": "n-1"}
            run = job.post("/v1/runs/start", json=start).json()["run"]["id"]
            job.post(f"/v1/runs/{run}/fail", json={"summary": "no disk"})
        (incident,) = initialised.json("incident", "list", *there)["incidents"]
        elsewhere = initialised.run("incident", "show", incident["id"], status=1).stderr
        assert "not found in the workspace default" in elsewhere
        assert "no disk" in initialised.run("incident", "show", incident["id"], *there).stdout
        for action, state in (("ack", "acknowledged"), ("resolve", "resolved")):
            assert initialised.json("incident", action, incident["id"], *there)["incident"]["state"] == state
        assert "Noted" in initialised.run("incident", "note", incident["id"], "It was the disk.", *there).stdout


def test_a_user_is_invited_by_a_link_instead_of_a_password(reached):
    created(reached, "ann@example.org")
    invited = reached.json("user", "create", "bob@example.org", "--link", "--role", "operator")
    assert (invited["user"]["role"], "/password/" in invited["link"]) == ("operator", True)
    assert "/password/" in reached.run("user", "create", "eve@example.org", "--link").stdout
    wrong = reached.program("user", "create", "joe@example.org", "--link", "--password-stdin")
    assert (wrong.returncode, "--link" in wrong.stderr) == (2, True)


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
    assert (
        "is not one of viewer, operator, owner"
        in reached.run("user", "role", "bob@example.org", "king", status=2).stderr
    )


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
