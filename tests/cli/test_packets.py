"""Packets from the command line: printed, or written to a file."""

import json
import stat

import pytest


@pytest.fixture
def incident(luota):
    """The id of an incident in a data directory on which no daemon runs any more."""
    luota.run("init")
    luota.run("monitor", "create", "Quick", "--mode", "heartbeat", "--every", "1")
    with luota.daemon():
        luota.run("ping", "quick")
        while not (found := luota.json("incident", "list")["incidents"]):
            pass
    return found[0]["id"]


def test_a_packet_is_printed_as_markdown_or_json(luota, incident):
    printed = luota.run("incident", "export", incident).stdout
    assert printed.startswith("# Incident: `Quick` missed (open)\n")
    assert luota.json("incident", "export", incident)["markdown"].startswith(printed.splitlines()[0])
    told = json.loads(luota.run("incident", "export", incident, "--format", "json").stdout)
    assert told["incident"]["id"] == incident
    whole = luota.json("incident", "export", incident, "--format", "json")["packet"]
    assert whole.keys() == told.keys()


def test_a_packet_is_written_to_a_file(luota, incident, tmp_path):
    path = tmp_path / "packet.json"
    assert luota.run("incident", "export", incident, "--format", "json", "--output", str(path)).stdout == (
        f"Written to {path}.\n"
    )
    assert json.loads(path.read_text())["incident"]["id"] == incident
    assert stat.S_ISREG(path.stat().st_mode)
    written = luota.json("incident", "export", incident, "--output", str(tmp_path / "packet.md"))
    assert written == {"file": str(tmp_path / "packet.md")}
    assert (tmp_path / "packet.md").read_text().startswith("# Incident: ")


def test_a_file_that_cannot_be_written_is_told(luota, incident, tmp_path):
    said = luota.run("incident", "export", incident, "--output", str(tmp_path), status=1)
    assert said.stderr.startswith(f"error: {tmp_path} cannot be written: ")
    assert luota.run("incident", "export", "nope", status=1).stderr.startswith("error: Incident nope not found.")
    assert luota.run("incident", "export", incident, "--format", "pdf", status=2).stdout == ""


def test_an_acknowledgement_says_whose_it_is_so_that_a_second_one_is_no_silent_success(luota, incident):
    first = luota.run("incident", "ack", incident, "--reason", "I look").stdout
    assert first.startswith(f"{incident} is acknowledged, by ")
    assert first.endswith(": I look\n")
    assert luota.run("incident", "ack", incident, "--reason", "me too").stdout == first
