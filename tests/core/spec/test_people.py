"""What people are called and sign in with, and what a workspace keeps."""

import pytest

from luota.core.errors import Code, LuotaError
from luota.core.spec.people import (
    parse_email,
    parse_password,
    parse_role,
    parse_user,
    parse_workspace,
    parse_workspace_changes,
)


def refused(field, parse, *values):
    with pytest.raises(LuotaError) as error:
        parse(*values)
    assert (error.value.code, error.value.field) == (Code.INVALID, field)
    return error.value.message


def test_an_address_is_kept_in_lower_case():
    assert parse_email("Ann@Example.ORG") == "ann@example.org"


@pytest.mark.parametrize(
    "value", [None, "", "ann", "a@b@c", "a b@c", "a@b\n", "<a@b>", "a\u202e@b", 7, "x" * 251 + "@a.b"]
)
def test_what_is_no_address_is_refused(value):
    refused("email", parse_email, value)


@pytest.mark.parametrize("value", [None, "god", "Owner", ["owner"], False])
def test_what_is_no_role_is_refused(value):
    assert "viewer, operator, owner" in refused("role", parse_role, value)


def test_a_password_is_taken_as_it_is_within_its_bounds():
    assert parse_password("  pässwörd 🔑 ") == "  pässwörd 🔑 "
    assert parse_password("x" * 256) == "x" * 256


@pytest.mark.parametrize("value", [None, "secret-word", "secret-word" * 24, "secret-words\0", "secret-words\ud800", 12])
def test_a_password_out_of_bounds_is_refused_and_not_repeated(value):
    assert "secret" not in refused("password", parse_password, value)


def test_a_user_is_an_owner_named_after_the_address_unless_told_otherwise():
    doc = {"email": "Ann@example.org", "password": "correct horse battery"}
    assert parse_user(doc) == ("ann@example.org", "ann", "owner", "correct horse battery")
    assert parse_user({**doc, "name": "Ann B.", "role": "viewer"})[1:3] == ("Ann B.", "viewer")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\u2028b", "\x1b[31m", "x" * 121, 7])
def test_a_name_is_one_line_of_text(name):
    doc = {"email": "ann@example.org", "password": "correct horse battery"}
    refused("name", parse_user, {**doc, "name": name})
    refused("name", parse_workspace, name, None)
    refused("name", parse_workspace_changes, {"name": name})


def test_a_workspace_needs_no_slug_but_takes_one():
    assert parse_workspace("Ops", None) == ("Ops", None)
    assert parse_workspace("Ops", "") == ("Ops", None)
    assert parse_workspace("Ops", "ops-2") == ("Ops", "ops-2")
    refused("slug", parse_workspace, "Ops", "Ops 2")


def test_changes_of_a_workspace_come_by_column():
    doc = {"name": "Ops", "retentionDays": 1, "retentionCount": 1_000_000, "incidentRetentionDays": 36_500}
    assert parse_workspace_changes(doc) == {
        "name": "Ops",
        "retention_days": 1,
        "retention_count": 1_000_000,
        "incident_retention_days": 36_500,
    }
    assert parse_workspace_changes({}) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("retentionDays", 0),
        ("retentionDays", 3651),
        ("retentionCount", 99),
        ("retentionCount", 1_000_001),
        ("incidentRetentionDays", 0),
        ("incidentRetentionDays", 36_501),
        ("retentionDays", True),
        ("retentionDays", "90"),
        ("retentionDays", 9.5),
        ("retentionDays", None),
        ("slug", "ops"),
        ("token_salt", "x"),
    ],
)
def test_a_change_of_a_workspace_that_makes_no_sense_is_refused_with_its_key(key, value):
    refused(key, parse_workspace_changes, {key: value})
