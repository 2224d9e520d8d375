"""Users, and the workspace's own token: what is refused, what is stored, what is on record."""

import json

import pytest
from argon2 import PasswordHasher

from tests.served import NOW

ANN = {"email": "ann@example.org", "password": "correct horse battery"}


async def create(served, status=200, **changes):
    return await served.api("POST", "/api/users", {**ANN, **changes}, status)


async def test_a_new_user_is_an_owner_named_after_the_address_unless_told_otherwise(served):
    made = (await create(served))["user"]
    assert {key: made[key] for key in ("email", "name", "role")} == {
        **{"email": "ann@example.org", "name": "ann", "role": "owner"},
    }
    other = (await create(served, email="Bob@Example.ORG", name="Bob B.", role="viewer"))["user"]
    assert (other["email"], other["name"], other["role"]) == ("bob@example.org", "Bob B.", "viewer")
    assert served.rows("SELECT u.email, m.role FROM users u JOIN members m ON m.user_id = u.id ORDER BY 1") == [
        ("ann@example.org", "owner"),
        ("bob@example.org", "viewer"),
    ]


async def test_a_long_address_needs_no_name_of_its_own(served):
    made = (await create(served, email="x" * 250 + "@a.b"))["user"]
    assert made["name"] == "x" * 120


async def test_a_password_is_kept_as_an_argon2_hash_only(served):
    await create(served)
    (kept,) = served.row("SELECT password_hash FROM users")
    assert kept.startswith("$argon2id$")
    assert PasswordHasher().verify(kept, ANN["password"])
    assert ANN["password"] not in json.dumps(await served.api("GET", "/api/users"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": None}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "ann@"}, "email"),
        ({"email": "a b@example.org"}, "email"),
        ({"email": "Ann <ann@example.org>"}, "email"),
        ({"email": "ann@example.org\nBcc: x@example.org"}, "email"),
        ({"email": "x" * 251 + "@a.b"}, "email"),
        ({"email": 7}, "email"),
        ({"name": 0}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"role": "god"}, "role"),
        ({"role": ["owner"]}, "role"),
        ({"role": False}, "role"),
        ({"password": "x" * 11}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"password": 123456789012}, "password"),
    ],
)
async def test_a_user_that_makes_no_sense_is_refused_with_its_field_and_without_the_password(served, changes, field):
    refused = await create(served, 400, **changes)
    assert refused["field"] == field
    assert "x" * 11 not in refused["message"] or field == "email"
    assert served.row("SELECT count(*) FROM users") == (0,)


async def test_an_address_that_is_taken_conflicts_in_any_case(served):
    await create(served)
    refused = await create(served, 409, email="ANN@example.org", role="viewer")
    assert refused["field"] == "email"
    assert served.row("SELECT count(*) FROM members") == (1,)


async def test_each_change_is_one_entry_that_holds_no_secret(served):
    user = (await create(served))["user"]
    (workspace,) = (await served.api("GET", "/api/workspaces"))["workspaces"]
    token = (await served.api("POST", "/api/workspaces/default/token/rotate"))["token"]
    await create(served, 409)
    entries = served.rows("SELECT action, target, detail, actor, source, at FROM audit_entries ORDER BY rowid")
    by = ("operator", "unix socket", NOW)
    assert entries == [
        ("user.create", user["id"], '{"email":"ann@example.org","role":"owner"}', *by),
        ("token.rotate", workspace["id"], "{}", *by),
    ]
    (salt,) = served.row("SELECT token_salt FROM workspaces")
    kept = json.dumps(served.rows("SELECT * FROM audit_entries"))
    assert not [secret for secret in (token, salt, ANN["password"]) if secret in kept]
