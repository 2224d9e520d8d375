"""Commands for what pages show and do: the audit log, a run, a threshold, a test, wiring, members, settings."""

import json
import re

import httpx


def test_the_audit_log_is_listed_and_goes_on(reached):
    for name in ("one", "two"):
        reached.run("monitor", "create", name, "--mode", "run")
    found = reached.json("audit", "list", "--of", "monitor", "--limit", "1")
    assert [entry["name"] for entry in found["entries"]] == ["two"]
    said = reached.run("audit", "list", "--of", "monitor", "--before", found["next"]).stdout
    assert re.search(r"operator +unix socket +monitor.create +one", said)
    assert "--before" in reached.run("audit", "list", "--limit", "1").stdout
    assert "is not one of monitor, " in reached.run("audit", "list", "--of", "weather", status=2).stderr


def test_an_edit_is_told_in_the_audit_log_in_the_words_of_the_page(initialised):
    initialised.run("monitor", "create", "Job", "--mode", "run", "--max-runtime", "60", "--owner", "Ann")
    initialised.run("monitor", "edit", "job", "--max-runtime", "90", "--owner", "", "--tag", "team=ops")
    said = initialised.run("audit", "list", "--of", "monitor").stdout
    told = "max runtime: 1 min → 1 min 30 s; owner: Ann → none; tags: none → team=ops"
    assert re.search(rf"monitor.edit +Job +{told}$", said, re.M)
    assert re.search(r"monitor.create +Job +-$", said, re.M), "the name stands there once"
    (entry,) = initialised.json("audit", "list", "--limit", "1")["entries"]
    assert entry["detail"]["changes"]["maxRuntimeSeconds"] == 90


def test_a_run_is_shown_with_what_its_job_said(initialised):
    with initialised.daemon():
        made = initialised.json("monitor", "create", "Job", "--mode", "run")
        key = {"x-luota-key": made["token"]}
        socket = httpx.HTTPTransport(uds=str(initialised.data_dir / "luota.sock"))
        with httpx.Client(transport=socket, base_url="http://luota", headers=key) as job:
            start = {"monitorId": made["monitor"]["id"], "externalRunId": "n-1"}
            run = job.post("/v1/runs/start", json=start).json()["run"]["id"]
            job.post(f"/v1/runs/{run}/fail", json={"summary": "no disk", "output": "\x1b[31mfull"})
        (listed,) = initialised.json("run", "list", "--monitor", "job")["runs"]
        assert (listed["id"], listed["summary"]) == (run, "no disk")
        said = initialised.run("run", "list", "--monitor", "job").stdout
        assert re.search(rf"{run} +n-1 +failed .* no disk$", said, re.M)
        said = initialised.run("run", "show", run).stdout
        assert "no disk" in said
        assert "\\x1b[31mfull" in said, "nothing that a terminal would act upon"
        assert initialised.json("run", "show", run)["run"]["output"] == "\x1b[31mfull"
        incident = initialised.json("incident", "list")["incidents"][0]["id"]
        assert initialised.json("run", "show", run)["run"]["incidentId"] == incident
        assert "not found" in initialised.run("run", "show", made["monitor"]["id"], status=1).stderr


def test_pings_are_listed_and_the_list_goes_on(reached):
    reached.run("monitor", "create", "Job", "--mode", "heartbeat", "--every", "1h")
    assert "luota run list" in reached.run("heartbeat", "list", "--monitor", "job").stdout
    for number in (1, 2):
        reached.run("ping", "job", "--payload", f'{{"n":{number}}}')
    found = reached.json("heartbeat", "list", "--monitor", "job", "--limit", "1")
    assert [ping["payload"] for ping in found["heartbeats"]] == ['{"n":2}']
    said = reached.run("heartbeat", "list", "--monitor", "job", "--limit", "1").stdout
    assert said.endswith(f"There are more. To see them: --before {found['next']}\n")
    said = reached.run("heartbeat", "list", "--monitor", "job", "--before", found["next"]).stdout
    assert '{"n":1}' in said
    assert "--before" not in said


def test_a_monitor_is_advised_wired_and_tested(reached):
    reached.run("monitor", "create", "Job", "--mode", "heartbeat", "--every", "1h")
    assert "no history" in reached.run("monitor", "advise", "job").stdout
    reached.run("ping", "job")
    said = reached.run("monitor", "advise", "job", "--grace", "5m").stdout
    assert "With the values tried, 0 incidents would have opened since" in said
    assert "--grace must be" in reached.run("monitor", "advise", "job", "--grace", "soon", status=1).stderr
    assert re.search(r"^crontab ", reached.run("monitor", "snippet", "job").stdout, re.M)
    token = reached.run("token", "show", "job").stdout.strip()
    assert token in reached.run("monitor", "snippet", "job", "curl").stdout
    assert "kind must be one of" in reached.run("monitor", "snippet", "job", "telex", status=1).stderr
    assert "nobody would be told" in reached.run("monitor", "test", "job", status=1).stdout


def test_a_tag_is_added_and_the_others_stay(reached):
    reached.run("monitor", "create", "Job", "--mode", "run", "--tag", "host=nas", "--tag", "team=ops")
    tagged = reached.json("monitor", "tag", "job", "team=night", "site=north")["monitor"]
    assert tagged["tags"] == {"host": "nas", "team": "night", "site": "north"}
    assert "takes KEY=VALUE" in reached.program("monitor", "tag", "job", "team").stderr
    assert "1 to 40 characters" in reached.run("monitor", "tag", "job", "=x", status=1).stderr


def test_a_workspace_is_shown_and_edited(reached):
    reached.run("workspace", "create", "Night shift")
    edit = ("workspace", "edit", "night-shift", "--name", "Nights", "--retention-days", "7")
    after = reached.json(*edit)["workspace"]
    assert (after["name"], after["retentionDays"]) == ("Nights", 7)
    assert reached.json("workspace", "show", "night-shift")["workspace"] == after
    assert re.search(r"days to keep signals +7", reached.run("workspace", "show", "night-shift").stdout)
    assert reached.json("workspace", "show")["workspace"]["slug"] == "default"
    assert "Nothing to change" in reached.program("workspace", "edit").stderr


def test_a_user_gets_a_link_and_a_membership_ends(reached):
    for email in ("ann@example.org", "bob@example.org"):
        reached.run("user", "create", email, "--password-stdin", stdin=b"correct horse battery")
    assert "/password/" in reached.json("user", "link", "bob@example.org")["link"]
    reached.run("workspace", "create", "Night shift")
    there = ("--workspace", "night-shift")
    assert "as operator" in reached.run("member", "add", "bob@example.org", "--role", "operator", *there).stdout
    assert len(reached.json("user", "list", *there)["users"]) == 1
    assert reached.json("member", "remove", "bob@example.org", *there)["member"]["email"] == "bob@example.org"
    assert reached.json("user", "list", *there) == {"users": []}
    assert len(reached.json("user", "list")["users"]) == 2
    error = json.loads(reached.run("member", "remove", "ann@example.org", "--json", status=1).stderr)
    assert "last owner" in error["message"]
