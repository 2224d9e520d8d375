"""`luota openapi` describes every route, with what the documentation and the specs say of it."""

import base64
import json
import re

import pytest
from typer.testing import CliRunner

from luota import __version__
from luota.cli.app import app
from luota.core.errors import LuotaError
from luota.core.spec.channels import SECRET_PREFIX, WANTS_KEYS, parse_channel
from luota.core.spec.monitors import KEYS
from luota.web.api import ROUTES
from luota.web.ingest import Ingest
from luota.web.openapi import document
from tests.markdown import ROOT, fences

DOCUMENT = document(__version__)
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


def test_every_route_is_described_and_no_other():
    ingest = {("post", route.path) for route in Ingest(None, None, ()).routes()}
    operator = {(method.lower(), path) for method, path, *_ in ROUTES}
    described = {(method, path) for path, method, _ in OPERATIONS}
    assert described == ingest | operator | {("get", "/healthz")}


def test_each_operation_has_a_name_of_its_own_and_says_what_it_does():
    names = [operation["operationId"] for *_, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    for *_, operation in OPERATIONS:
        assert operation["summary"].endswith("."), operation


def test_what_a_path_names_is_a_required_parameter():
    for path, _, operation in OPERATIONS:
        named = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert named == re.findall(r"\{(\w+)\}", path)


def test_a_change_of_the_operators_api_needs_the_token_against_forgery_or_the_socket():
    for path, method, operation in OPERATIONS:
        if path.startswith("/api"):
            expected = {"session": []} if method == "get" else {"session": [], "csrfToken": []}
            assert operation["security"] == [{}, expected]


@pytest.mark.parametrize("path", [path for method, path, *_ in ROUTES if method == "PATCH"])
def test_what_an_edit_takes_is_described(path):
    assert DOCUMENT["paths"][path]["patch"]["requestBody"]


def test_a_definition_has_the_keys_that_the_spec_has():
    for path, method in (("/api/monitors", "post"), ("/api/monitors/{monitor}", "patch")):
        body = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == set(KEYS)


NEW_CHANNEL, EDITED_CHANNEL = (
    DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    for path, method in (("/api/channels", "post"), ("/api/channels/{channel}", "patch"))
)


def test_a_new_channel_takes_the_rules_that_an_edit_takes():
    assert set(EDITED_CHANNEL) == set(WANTS_KEYS) < set(NEW_CHANNEL)


def test_each_key_that_a_new_channel_takes_is_described_and_stands_on_the_page():
    with pytest.raises(LuotaError) as refusal:
        parse_channel({"type": "webhook", "nonsense": 1})
    known = set(refusal.value.message.partition("Known are ")[2].removesuffix(".").split(", "))
    assert set(NEW_CHANNEL) == known
    page = (ROOT / "docs" / "api.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith("| `POST /api/channels` |")]
    assert set(re.findall(r"`(\w+)`", row)) == known


@pytest.mark.parametrize("size", range(20, 70))
def test_the_secret_of_a_webhook_is_described_as_it_is_taken(size):
    secret = SECRET_PREFIX + base64.b64encode(bytes(range(size))).decode()
    described = re.search(NEW_CHANNEL["secret"]["pattern"], secret) is not None
    try:
        parse_channel({"type": "webhook", "name": "hook", "url": "https://example.org/", "secret": secret})
    except LuotaError:
        assert not described
    else:
        assert described


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ("ping", "/v1/monitors/{monitor_id}/ping"),
        ("start", "/v1/runs/start"),
        ("success", "/v1/runs/{run_id}/success"),
        ("fail", "/v1/runs/{run_id}/fail"),
    ],
)
def test_the_bodies_of_the_page_have_the_fields_that_are_described(label, path):
    examples = {fence.label: json.loads(fence.text) for fence in fences(ROOT / "docs" / "api.md") if fence.label}
    operation = DOCUMENT["paths"][path]["post"]
    taken = operation["requestBody"]["content"]["application/json"]["schema"]
    assert examples[f"{label}.request"].keys() <= taken["properties"].keys()
    assert set(taken.get("required", ())) <= examples[f"{label}.request"].keys()
    answered = operation["responses"]["202"]["content"]["application/json"]["schema"]
    reply = examples[f"{label}.reply"]
    assert reply.keys() == answered["properties"].keys()
    for key, value in reply.items():
        if isinstance(value, dict):
            assert value.keys() == answered["properties"][key]["properties"].keys()


def test_every_reference_leads_somewhere():
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        found = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def test_the_command_prints_it():
    assert json.loads(CliRunner().invoke(app, ["openapi"]).stdout) == DOCUMENT
    assert json.loads(CliRunner().invoke(app, ["openapi", "--json"]).stdout) == DOCUMENT
