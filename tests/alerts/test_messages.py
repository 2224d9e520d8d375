"""What machines get: texts exactly as they were written, and where to find the incident."""

import json

import pytest
from msgspec import structs

from luota.alerts.messages import encode
from luota.alerts.words import OUTPUT_CHARACTERS
from tests.alerts.notices import INCIDENT, notice
from tests.hostile import HOSTILE, cut_inside


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_hostile_corpus_arrives_exactly_and_only_the_output_is_shortened(text):
    body = json.loads(encode(notice(text=text)).decode())
    assert body["summary"] == body["incident"]["openedSummary"] == body["delivery"]["channel"] == text
    assert {body["monitor"][key] for key in ("name", "promise", "owner", "environment")} == {text}
    assert body["monitor"]["tags"][text] == text
    assert {body["run"][key] for key in ("summary", "host", "deploySha", "externalRunId")} == {text}
    said = body["run"]["outputTail"]
    assert len(said) <= OUTPUT_CHARACTERS
    assert said == text or (said.startswith("…") and text.endswith(said[1:]) and not cut_inside(said))


@pytest.mark.parametrize("url", [f"https://luota.example.org/incidents/{INCIDENT}", None])
def test_the_page_of_the_incident_is_named(url):
    told = notice(incident=structs.replace(notice().incident, url=url))
    assert json.loads(encode(told))["incident"]["url"] == url
