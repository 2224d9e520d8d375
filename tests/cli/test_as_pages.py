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
    assert "of must be one of" in reached.run("audit", "list", "--of", "weather", status=1).stderr


def test_a_run_is_shown_with_what_its_job_said(initialised):
    with initialised.daemon():
        made = initialised.json("monitor", "create", "Job", "--mode", "run")
        key = {"x-luota-key": made["token"]}
        socket = httpx.HTTPTransport(uds=str(initialised.data_dir / "luota.sock"))
        with httpx.Client(transport=socket, base_url="http://luota", headers=key) as job:
            start = {"monitorId": made["monitor"]["id"], "externalRunId": "n-1"}
            run = job.post("/v1/runs/start", json=start).json()["run"]["id"]
            job.post(f"/v1/runs/{run}/fail", json={"summary": "no disk", "output": "\x1b[31mfull"})
        said = initialised.run("run", "show", run).stdout
        assert "no disk" in said
        assert "\\x1b[31mfull" in said, "nothing that a terminal would act upon"
        assert initialised.json("run", "show", run)["run"]["output"] == "\x1b[31mfull"
        incident = initialised.json("incident", "list")["incidents"][0]["id"]
        assert initialised.json("run", "show", run)["run"]["incidentId"] == incident
        assert "not found" in initialised.run("run", "show", made["monitor"]["id"], status=1).stderr


def test_a_monitor_is_advised_wired_and_tested(reached):
    reached.run("monitor", "create", "Job", "--mode", "heartbeat", "--every", "1h")
    assert "no history" in reached.run("monitor", "advise", "job").stdout
    reached.run("ping", "job")
    said = reached.run("monitor", "advise", "job", "--grace", "5m").stdout
    assert "With the values tried, 0 incidents would have opened since" in said
    assert "Grace must be" in reached.run("monitor", "advise", "job", "--grace", "soon", status=1).stderr
    assert re.search(r"^crontab ", reached.run("monitor", "snippet", "job").stdout, re.M)
    token = reached.run("token", "show", "job").stdout.strip()
    assert token in reached.run("monitor", "snippet", "job", "curl").stdout
    assert "kind must be one of" in reached.run("monitor", "snippet", "job", "telex", status=1).stderr
    assert "nobody would be told" in reached.run("monitor", "test", "job", status=1).stdout


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
