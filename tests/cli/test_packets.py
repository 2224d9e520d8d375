"""Packets from the command line: printed, or written to a file."""

import json
import shutil
import stat

import pytest


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the data directory with the incident is kept, to be copied."""
    return tmp_path_factory.mktemp("missed") / "data"


@pytest.fixture
def incident(initialised, kept):
    """The id of an incident in a data directory on which no daemon runs any more."""
    if not kept.exists():
        with initialised.daemon():
            initialised.missed()
        shutil.copytree(initialised.data_dir, kept)
    shutil.rmtree(initialised.data_dir)
    shutil.copytree(kept, initialised.data_dir)
    return initialised.json("incident", "list")["incidents"][0]["id"]


def test_a_packet_is_printed_as_markdown_or_json(initialised, incident):
    printed = initialised.run("incident", "export", incident).stdout
    assert printed.startswith("# Incident: `Quick` missed (open)\n")
    assert initialised.json("incident", "export", incident)["markdown"].startswith(printed.splitlines()[0])
    told = json.loads(initialised.run("incident", "export", incident, "--format", "json").stdout)
    assert told["incident"]["id"] == incident
    whole = initialised.json("incident", "export", incident, "--format", "json")["packet"]
    assert whole.keys() == told.keys()


def test_a_packet_is_written_to_a_file(initialised, incident, tmp_path):
    path = tmp_path / "packet.json"
    assert initialised.run("incident", "export", incident, "--format", "json", "--output", str(path)).stdout == (
        f"Written to {path}.\n"
    )
    assert json.loads(path.read_text())["incident"]["id"] == incident
    assert stat.S_ISREG(path.stat().st_mode)
    written = initialised.json("incident", "export", incident, "--output", str(tmp_path / "packet.md"))
    assert written == {"file": str(tmp_path / "packet.md")}
    assert (tmp_path / "packet.md").read_text().startswith("# Incident: ")


def test_no_file_is_overwritten_by_a_packet(initialised, incident, tmp_path):
    path = tmp_path / "packet.md"
    path.write_text("mine")
    said = initialised.run("incident", "export", incident, "--output", str(path), status=1)
    assert said.stderr == f"error: {path} exists already: name a file that is not there yet.\n"
    assert path.read_text() == "mine"


def test_a_file_that_cannot_be_written_is_told(initialised, incident, tmp_path):
    nowhere = tmp_path / "nowhere" / "packet.md"
    said = initialised.run("incident", "export", incident, "--output", str(nowhere), status=1)
    assert said.stderr.startswith(f"error: {nowhere} cannot be written: ")
    assert initialised.run("incident", "export", "nope", status=1).stderr.startswith("error: Incident nope not found.")
    assert initialised.run("incident", "export", incident, "--format", "pdf", status=2).stdout == ""


def test_an_acknowledgement_says_whose_it_is_so_that_a_second_one_is_no_silent_success(initialised, incident):
    first = initialised.run("incident", "ack", incident, "--reason", "I look").stdout
    assert first.startswith(f"{incident} is acknowledged, by ")
    assert first.endswith(": I look\n")
    assert initialised.run("incident", "ack", incident, "--reason", "me too").stdout == first
