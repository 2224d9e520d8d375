"""Drills from the command line."""

import time

from tests.forks import ended


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


def test_who_waits_for_a_drill_is_told_at_once_that_the_daemon_died_and_leaves_the_file_to_the_next(initialised):
    initialised.run("monitor", "create", "Quick", "--mode", "heartbeat", "--every", "1h")
    with (
        initialised.daemon() as daemon,
        ended(initialised.fork("drill", "run", "quick", "missed", "--wait")) as command,
    ):
        while not initialised.json("drill", "list", "quick")["drills"]:
            time.sleep(0.02)
        time.sleep(1)  # it waits by now
        (drill,) = initialised.json("drill", "list", "quick")["drills"]
        assert drill["state"] == "running"
        owner = (initialised.data_dir / "luota.lock").read_text()
        daemon.kill()
        assert command.wait(10) == 1
    assert (initialised.data_dir / "luota.lock").read_text() == owner
    assert initialised.said() == (
        f"error: The daemon went away in the middle of the drill {drill['id']}, which proves nothing now. "
        "Start it (luota serve), and run the drill again.\n"
    )
