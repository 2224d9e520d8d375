"""Drills from the command line."""


def test_a_drill_is_run_and_listed_and_its_status_says_whether_it_is_proven(initialised):
    initialised.run("monitor", "create", "Invoices", "--mode", "run")
    with initialised.daemon():
        done = initialised.json("drill", "run", "invoices", "failed", "--wait", status=1)["drill"]
        assert done["state"] == "not_proven"
        shown = initialised.run("drill", "run", "invoices", "failed", "--wait", status=1).stdout
        assert "An incident opened, kind failed, at the failure" in shown
        assert "no channel hears of failed incidents" in shown
        assert initialised.run("drill", "run", "invoices", "missed", status=1).stderr.startswith(
            "error: The drill missed needs"
        )
        listed = initialised.json("drill", "list", "invoices")["drills"]
        assert len(listed) == 2
        assert done in listed
        assert "not proven" in initialised.run("drill", "list", "invoices").stdout


def test_a_drill_that_there_is_not_is_a_wrong_command_line(initialised):
    assert "': 'foo' is not one of 'missed'" in initialised.program("drill", "run", "invoices", "foo").stderr
    assert initialised.program("drill", "run", "invoices", "foo").returncode == 2


def test_a_dead_route_is_proven_and_without_wait_the_command_ends_at_once(initialised):
    initialised.run("monitor", "create", "Invoices", "--mode", "run")
    with initialised.daemon():
        assert "dead_route: proven" in initialised.run("drill", "run", "invoices", "dead_route", "--wait").stdout
        assert initialised.json("drill", "run", "invoices", "dead_route")["drill"]["state"] == "running"


def test_without_a_daemon_a_drill_is_refused_with_what_to_do(initialised):
    initialised.run("monitor", "create", "Invoices", "--mode", "run")
    refused = initialised.run("drill", "run", "invoices", "failed", status=1)
    assert refused.stderr == "error: A drill needs the running daemon. Start it: luota serve\n"
    assert initialised.run("drill", "list", "invoices").stdout.startswith("No drills yet.")
