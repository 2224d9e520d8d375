"""Signing in, sessions and attempts: with a real engine on a real file."""

import asyncio
from http.cookies import SimpleCookie
from ipaddress import ip_network

import pytest
from argon2 import PasswordHasher

from luota.core.errors import Code, LuotaError
from luota.engine import people, sessions
from luota.engine.audit import Actor
from luota.web.auth import hash_of
from tests.clock import FakeClock
from tests.web.rig import ANN, HOST, MINUTE, PASSWORD, rigged, scope

# Signing in


async def test_a_session_tells_who_is_signed_in_and_what_they_may(rig):
    user_id = await rig.user()
    session = await rig.session(await rig.sign_in(" Ann@Example.ORG "))
    assert (session.user_id, session.email, session.name) == (user_id, ANN, "ann")
    assert session.roles == {rig.workspace.id: "owner"}
    assert session.created_at == rig.clock.now()
    assert rig.auth.actor(session, scope(address="192.0.2.7")) == Actor(ANN, "192.0.2.7")


async def test_the_file_holds_neither_token_nor_csrf_token(rig, tmp_path):
    await rig.user()
    token = await rig.sign_in()
    session = await rig.session(token)
    await rig.engine.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert hash_of(token) in kept
    assert token.encode() not in kept
    assert session.csrf.encode() not in kept


async def test_sign_ins_survive_a_restart(tmp_path):
    clock = FakeClock()
    async with rigged(tmp_path, clock) as rig:
        await rig.user()
        token = await rig.sign_in()
        before = await rig.session(token)
    async with rigged(tmp_path, clock) as rig:
        assert await rig.session(token) == before


async def test_no_cookie_and_any_other_cookie_are_nobody(rig):
    await rig.user()
    token = await rig.sign_in()
    for other in (None, "", token[:-1], token + "x", "ä" * 500):
        assert await rig.session(other) is None
    assert await rig.auth.session(scope(token, cookie="__Host-luota")) is None


async def test_every_reason_of_a_refusal_looks_the_same_and_costs_the_same(rig):
    await rig.user()
    await rig.user("bob@example.org", "viewer", None)
    said, work, commits = [], [], []
    committed = rig.engine.writer.committed
    rig.engine.writer.committed = lambda batch: (commits.append(batch), committed(batch))
    for email, password in (
        (ANN, "wrong"),
        ("nobody@example.org", "wrong"),
        ("bob@example.org", "wrong"),
        ("no address \0 at all" * 100, "x" * 5000),
        (ANN, ""),
    ):
        rig.hasher.done.clear()
        commits.clear()
        refusal = await rig.refused(Code.UNAUTHENTICATED, email, password)
        said.append((refusal.message, refusal.field, refusal.retry_after))
        work.append((list(rig.hasher.done), len(commits)))
    assert said == [("Email or password is wrong.", None, None)] * 5
    assert work == [work[0]] * 5
    assert len(work[0][0]) == work[0][1] == 1
    assert await rig.rows("SELECT * FROM sessions") == []


async def test_a_failure_is_on_record_without_what_was_typed(rig):
    user_id = await rig.user()
    await rig.refused(Code.UNAUTHENTICATED, ANN, "hunter2-hunter2")
    await rig.refused(Code.UNAUTHENTICATED, "hunter2-hunter2", "x")
    sql = (
        "SELECT workspace_id, actor, source, target FROM audit_entries WHERE action = 'session.refused' ORDER BY rowid"
    )
    assert await rig.rows(sql) == [
        (rig.workspace.id, "somebody", "192.0.2.1", user_id),
        (None, "somebody", "192.0.2.1", "unknown"),
    ]
    assert "hunter2" not in str(await rig.rows("SELECT * FROM audit_entries"))


async def test_signing_in_makes_a_new_token_and_ends_the_session_of_the_old_cookie(rig):
    await rig.user()
    first = await rig.sign_in()
    elsewhere = await rig.sign_in()
    second = await rig.sign_in(token=first)
    assert len({first, elsewhere, second}) == 3
    assert await rig.session(first) is None
    assert (await rig.session(elsewhere)) is not None
    assert (await rig.session(second)).csrf != (await rig.session(elsewhere)).csrf


async def test_a_token_that_somebody_planted_is_never_the_session(rig):
    await rig.user()
    token = await rig.sign_in(token="planted")
    assert token != "planted"
    assert await rig.session("planted") is None


async def test_a_failed_sign_in_leaves_the_session_of_the_cookie(rig):
    await rig.user()
    token = await rig.sign_in()
    await rig.refused(Code.UNAUTHENTICATED, ANN, "wrong", token=token)
    assert await rig.session(token) is not None


async def test_an_outdated_hash_is_renewed_by_signing_in(rig):
    user_id = await rig.user()
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    await rig.engine.submit(people.set_password(user_id, old, HOST))
    await rig.sign_in()
    ((kept,),) = await rig.rows("SELECT password_hash FROM users")
    assert kept != old
    assert not rig.passwords.is_outdated(kept)
    await rig.sign_in()
    assert await rig.rows("SELECT password_hash FROM users") == [(kept,)]


async def test_sign_ins_at_once_with_the_right_password_all_succeed_while_its_hash_is_renewed(rig):
    user_id = await rig.user()
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    await rig.engine.submit(people.set_password(user_id, old, HOST))
    tokens = await asyncio.gather(*(rig.sign_in() for _ in range(5)))
    assert len({(await rig.session(token)).token_hash for token in tokens}) == 5
    assert len(await rig.rows("SELECT 1 FROM audit_entries WHERE action = 'session.refused'")) == 0


async def test_signing_out_ends_that_session_alone(rig):
    await rig.user()
    first, second = await rig.sign_in(), await rig.sign_in()
    await rig.auth.sign_out(await rig.session(first))
    assert await rig.session(first) is None
    assert await rig.session(second) is not None
    sql = "SELECT actor, source FROM audit_entries WHERE action = 'session.close'"
    assert await rig.rows(sql) == [(ANN, "192.0.2.1")]


# Its end


async def test_a_session_ends_when_it_was_not_used_for_seven_days(rig):
    await rig.user()
    token = await rig.sign_in()
    for _ in range(2):
        rig.clock.advance(sessions.IDLE - 1)
        assert await rig.session(token) is not None
    rig.clock.advance(sessions.IDLE)
    assert await rig.session(token) is None


async def test_a_session_ends_after_thirty_days_however_much_it_was_used(rig):
    await rig.user()
    token = await rig.sign_in()
    for _ in range(29):
        rig.clock.advance(24 * 60 * MINUTE)
        assert await rig.session(token) is not None
    rig.clock.advance(24 * 60 * MINUTE)
    assert await rig.session(token) is None


async def test_its_use_is_written_down_once_in_five_minutes(rig):
    await rig.user()
    token = await rig.sign_in()
    signed_in = rig.clock.now()
    commits = []
    committed = rig.engine.writer.committed
    rig.engine.writer.committed = lambda batch: (commits.append(batch), committed(batch))
    for _ in range(9):
        rig.clock.advance(MINUTE)
        await rig.session(token)
    assert len(commits) == 1
    assert await rig.rows("SELECT seen_at FROM sessions") == [(signed_in + 5 * MINUTE,)]


async def test_a_change_of_password_ends_the_other_sessions_at_once(rig):
    user_id = await rig.user()
    here, there = await rig.sign_in(), await rig.sign_in()
    session = await rig.session(here)
    hashed = await rig.auth.changed_password(scope(here), session, PASSWORD, "another password")
    await rig.engine.submit(people.set_password(user_id, hashed, HOST, (session.token_hash, hash_of("anew"))))
    assert [await rig.session(token) for token in (here, there)] == [None, None]
    assert (await rig.session("anew")).created_at == session.created_at
    await rig.refused(Code.UNAUTHENTICATED)
    await rig.sign_in(password="another password")


async def test_a_sign_in_under_way_does_not_survive_a_change_of_password(rig):
    user_id = await rig.user()
    verify = rig.passwords.verify

    async def slowly(*given):
        matched = await verify(*given)
        await rig.engine.submit(people.set_password(user_id, "another", HOST))
        return matched

    rig.passwords.verify = slowly
    await rig.refused(Code.UNAUTHENTICATED)
    assert await rig.rows("SELECT * FROM sessions") == []


async def test_a_password_is_changed_only_by_who_knows_the_present_one(rig):
    await rig.user()
    token = await rig.sign_in()
    session = await rig.session(token)
    for _ in range(10):
        with pytest.raises(LuotaError) as refused:
            await rig.auth.changed_password(scope(token), session, "wrong", "another password")
        assert (refused.value.code, refused.value.field) == (Code.UNAUTHENTICATED, "current")
    with pytest.raises(LuotaError) as refused:
        await rig.auth.changed_password(scope(token), session, PASSWORD, "another password")
    assert refused.value.code is Code.RATE_LIMITED


async def test_roles_hold_from_the_next_request_on(rig):
    await rig.user()
    bob = await rig.user("bob@example.org", "operator")
    token = await rig.sign_in("bob@example.org")
    await rig.engine.submit(people.set_role(rig.workspace.id, bob, "viewer", HOST))
    assert (await rig.session(token)).roles == {rig.workspace.id: "viewer"}
    await rig.engine.submit(people.remove_member(rig.workspace.id, bob, HOST))
    assert (await rig.session(token)).roles == {}
    await rig.engine.submit(people.delete_user(bob, HOST))
    assert await rig.session(token) is None


# Throttling


async def test_after_ten_failures_an_account_is_closed_to_that_address_alone_and_for_a_while(rig):
    await rig.user()
    for _ in range(10):
        await rig.refused(Code.UNAUTHENTICATED, ANN, "wrong")
    rig.hasher.done.clear()
    refusal = await rig.refused(Code.RATE_LIMITED)
    assert refusal.retry_after == 30
    assert rig.hasher.done == []
    await rig.sign_in(address="192.0.2.2")
    rig.clock.advance(30_000)
    await rig.sign_in()


async def test_failures_at_once_are_no_way_around(rig):
    await rig.user()
    tries = [rig.sign_in(ANN, f"wrong {number}") for number in range(30)]
    codes = [error.code for error in await asyncio.gather(*tries, return_exceptions=True)]
    assert codes.count(Code.UNAUTHENTICATED) == 10
    assert codes.count(Code.RATE_LIMITED) == 20


async def test_those_who_get_it_right_are_never_throttled(rig):
    await rig.user()
    for _ in range(70):
        await rig.sign_in()


async def test_an_address_is_closed_after_sixty_failures_whatever_the_accounts(rig):
    await rig.user()
    for number in range(60):
        await rig.refused(Code.UNAUTHENTICATED, f"user{number}@example.org", "wrong")
    assert (await rig.refused(Code.RATE_LIMITED)).retry_after == 5
    await rig.sign_in(address="192.0.2.2")


async def test_all_addresses_of_one_ipv6_network_are_one_client(rig):
    await rig.user()
    for number in range(10):
        await rig.refused(Code.UNAUTHENTICATED, ANN, "wrong", address=f"2001:db8::{number:x}")
    await rig.refused(Code.RATE_LIMITED, address="2001:db8::ffff:1")
    await rig.sign_in(address="2001:db8:0:1::1")


async def test_behind_a_trusted_proxy_the_forwarded_address_counts(rig):
    await rig.user()
    rig.auth = rig.with_url(None, (ip_network("10.0.0.1"),))
    for _ in range(10):
        await rig.refused(Code.UNAUTHENTICATED, ANN, "wrong", address="10.0.0.1", x_forwarded_for="192.0.2.66")
    await rig.refused(Code.RATE_LIMITED, address="10.0.0.1", x_forwarded_for="192.0.2.66")
    await rig.sign_in(address="10.0.0.1", x_forwarded_for="192.0.2.1")


# Cookies


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [
        (None, "luota", False),
        ("http://nas:8080", "luota", False),
        ("https://luota.example.org/sub", "__Host-luota", True),
    ],
)
async def test_the_cookie_is_as_strict_as_the_public_address_allows(rig, url, name, secure):
    auth = rig.with_url(url)
    for value, content, age in ((auth.set_cookie("abc"), "abc", "2592000"), (auth.clear_cookie(), "", "0")):
        ((found, morsel),) = SimpleCookie(value).items()
        assert (found, morsel.value, morsel["max-age"]) == (name, content, age)
        assert (morsel["path"], morsel["samesite"], morsel["domain"]) == ("/", "Lax", "")
        assert morsel["httponly"] is True
        assert bool(morsel["secure"]) is secure
