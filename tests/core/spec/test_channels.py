import pytest

from luota.alerts.types import routes
from luota.core.errors import Code, LuotaError
from luota.core.spec.channels import SETTINGS, parse_channel, parse_headers, parse_wants, secret_key, wants_json
from tests.clock import FakeClock

HOOK = {"type": "webhook", "name": "hook", "url": "https://hooks.example.org/s3cret"}
SECRET = "whsec_" + "A" * 32


def refused(doc):
    with pytest.raises(LuotaError) as error:
        parse_channel(doc)
    assert error.value.code is Code.INVALID
    assert "s3cret" not in error.value.message
    return error.value.field


def test_a_webhook_has_an_address_and_may_have_headers_and_a_secret():
    spec = parse_channel({**HOOK, "headers": {"Authorization": "Bearer s3cret"}, "secret": SECRET})
    assert (spec.name, spec.type) == ("hook", "webhook")
    assert spec.settings == {
        "url": HOOK["url"],
        "headers": {"Authorization": "Bearer s3cret"},
        "secrets": [{"secret": SECRET, "until": None}],
    }
    assert parse_channel(HOOK).settings == {"url": HOOK["url"]}


@pytest.mark.parametrize(
    ("doc", "field"),
    [
        ({**HOOK, "type": "pigeon"}, "type"),
        ({**HOOK, "type": ["webhook"]}, "type"),
        ({**HOOK, "type": None}, "type"),
        ({**HOOK, "name": ""}, "name"),
        ({**HOOK, "name": "a\x1bb"}, "name"),
        ({**HOOK, "url": "ftp://s3cret@x/"}, "url"),
        ({"type": "slack", "name": "s"}, "url"),
        ({**HOOK, "headers": ["s3cret"]}, "headers"),
        ({**HOOK, "secret": "whsec_s3cret"}, "secret"),
        ({**HOOK, "secret": "A" * 32}, "secret"),
        ({**HOOK, "secret": "whsec_" + "A" * 28}, "secret"),
        ({**HOOK, "secret": 5}, "secret"),
        ({**HOOK, "kinds": ["down"]}, "kinds"),
        ({**HOOK, "notify": []}, "notify"),
        ({**HOOK, "delaySeconds": "2d"}, "delaySeconds"),
        ({**HOOK, "kind": ["failed"]}, "kind"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_repeated(doc, field):
    assert refused(doc) == field


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "s3cret"},
        {"Content-Length": "5"},
        {"webhook-id": "s3cret"},
        {"Webhook-Signature": "s3cret"},
        {"x": "s3cret\r\nBcc: y"},
        {"x": ""},
        {"x": " s3cret"},
        {"x": "s3cret\u00e4"},
        {"x": "a" * 1001},
        {"x": 5},
        {"x y": "s3cret"},
        {"": "s3cret"},
        {f"x{n}": "s3cret" for n in range(21)},
    ],
)
def test_headers_that_http_or_luota_reserve_or_that_would_break_a_request_are_refused(headers):
    assert refused({**HOOK, "headers": headers}) == "headers"


def test_a_channel_begins_with_the_rules_that_it_is_given_or_with_none():
    rules = {"kinds": ["missed"], "notify": ["resolved"], "delaySeconds": "10m"}
    assert parse_channel({**HOOK, **rules}).wants == parse_wants(rules)
    assert parse_channel(HOOK).wants == parse_wants({})


def test_headers_are_kept_as_given():
    assert parse_headers({"X-Team": "ops, eu"}) == {"X-Team": "ops, eu"}


def test_a_secret_gives_its_key():
    assert secret_key(SECRET) == bytes(24)


def test_each_type_that_can_be_added_can_be_sent_to():
    assert set(routes(None, FakeClock())) == set(SETTINGS)


def test_what_a_channel_wants_is_written_as_it_is_read():
    assert wants_json(parse_wants({})) == {
        "kinds": ["missed", "stuck", "failed", "stale"],
        "notify": ["opened", "resolved"],
        "delaySeconds": 0,
    }
    doc = {"kinds": ["stuck", "failed"], "notify": ["opened"], "delaySeconds": 300}
    assert wants_json(parse_wants(doc)) == doc


@pytest.mark.parametrize(
    ("doc", "field"),
    [
        ({"kinds": []}, "kinds"),
        ({"kinds": ["down"]}, "kinds"),
        ({"kinds": "failed"}, "kinds"),
        ({"kinds": [5]}, "kinds"),
        ({"notify": []}, "notify"),
        ({"notify": ["closed"]}, "notify"),
        ({"delaySeconds": -1}, "delaySeconds"),
        ({"delaySeconds": "2d"}, "delaySeconds"),
        ({"url": "s3cret"}, "url"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(doc, field):
    with pytest.raises(LuotaError) as error:
        parse_wants(doc)
    assert (error.value.code, error.value.field) == (Code.INVALID, field)
