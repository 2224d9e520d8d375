"""Signing in, sessions, links, and changes from other sites: with a real engine on a real file."""

import asyncio
import contextlib
from http.cookies import SimpleCookie
from ipaddress import ip_network
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from starlette.requests import Request

from luota.core.errors import Code, LuotaError
from luota.engine import Engine, people, sessions
from luota.engine.audit import Actor
from luota.store.reads import fetch
from luota.web.auth import PASSWORD_LINK, SETUP_LINK, Auth, hash_of
from luota.web.passwords import Passwords
from tests.clock import FakeClock

CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
ANN, PASSWORD = "ann@example.org", "correct horse battery"
HOST = Actor("operator", "unix socket")
MINUTE = 60_000


class Counting(PasswordHasher):
    """A real one that remembers what it was asked to do, and with which parameters."""

    def __init__(self):
        super().__init__(**CHEAP)
        self.done = []

    def hash(self, password, *, salt=None):
        self.done.append("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash, password):
        self.done.append(("verify", hash.split("$")[:4]))
        return super().verify(hash, password)


def no_death(name, error):
    if error is not None:
        raise error


class Rig:
    def __init__(self, engine):
        self.engine, self.clock = engine, engine.clock
        self.hasher = Counting()
        self.passwords = Passwords(self.hasher)
        self.auth = self.with_url(None)

    def with_url(self, url, trusted=()):
        return Auth(self.engine, self.passwords, public_url=url, trusted=trusted)

    @property
    def workspace(self):
        return next(iter(self.engine.registry.workspaces.values()))

    async def user(self, email=ANN, role="owner", password=PASSWORD):
        hashed = None if password is None else PasswordHasher(**CHEAP).hash(password)
        work = people.create_user(self.workspace, email, email.partition("@")[0], role, hashed, HOST)
        return await self.engine.submit(work)

    async def sign_in(self, email=ANN, password=PASSWORD, **request):
        return await self.auth.sign_in(scope(**request), email, password)

    async def refused(self, code, *given, **request):
        with pytest.raises(LuotaError) as error:
            await self.sign_in(*given, **request)
        assert error.value.code is code, error.value.message
        return error.value

    async def session(self, token, **request):
        return await self.auth.session(scope(token, **request))

    async def rows(self, sql):
        return await fetch(self.engine.reader, sql)


def scope(token=None, address="192.0.2.1", method="POST", cookie="luota", **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    if token is not None:
        sent["cookie"] = f"theme=dark; {cookie}={token}"
    return {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": (address, 1234),
    }


@contextlib.asynccontextmanager
async def rigged(path: Path, clock=None):
    engine = await Engine.open(path, clock or FakeClock(), "a test")
    await engine.watch(no_death)
    rig = Rig(engine)
    try:
        yield rig
    finally:
        rig.passwords.close()
        await engine.close()


@pytest.fixture
async def rig(tmp_path):
    async with rigged(tmp_path) as rig:
        yield rig


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
    await rig.engine.submit(people.set_password(user_id, hashed, HOST, session.token_hash))
    assert await rig.session(there) is None
    assert await rig.session(here) is not None
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


# Changes


def allowed(auth, session=None, csrf=None, **headers):
    """Tell whether a change is allowed; the words of the refusal otherwise."""
    try:
        auth.check_change(scope(**headers), session, csrf)
    except LuotaError as error:
        assert error.code is Code.FORBIDDEN
        return error.message
    return True


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"origin": "https://luota.example.org"}, True),
        ({"origin": "https://luota.example.org:443", "host": "elsewhere"}, True),
        ({"referer": "https://luota.example.org/w/default?x"}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"origin": "null"}, False),
        ({"origin": "null", "referer": "https://luota.example.org/"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://luota.example.org"}, False),
        ({"origin": "https://luota.example.org:8443"}, False),
        ({"origin": "https://luota.example.org.evil.example"}, False),
        ({"origin": "https://evil.example", "host": "evil.example"}, False),
        ({"origin": "https://evil.example", "referer": "https://luota.example.org/"}, False),
        ({"referer": "https://evil.example/?https://luota.example.org/"}, False),
        ({"origin": "https://[::1"}, False),
    ],
)
async def test_with_a_public_url_only_its_origin_may_change_anything(rig, headers, fine):
    said = allowed(rig.with_url("https://luota.example.org/sub"), **headers)
    assert (said is True) is fine
    if "origin" in headers and not fine:
        assert "https://luota.example.org only" in said
        assert "[server] public_url" in said


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"origin": "http://127.0.0.1:8080", "host": "127.0.0.1:8080"}, True),
        ({"origin": "http://nas:8080", "host": "NAS:8080", "sec_fetch_site": "same-origin"}, True),
        ({"origin": "https://luota.lan", "host": "luota.lan"}, True),
        ({"origin": "http://[::1]:8080", "host": "[::1]:8080"}, True),
        ({"referer": "http://nas:8080/w/default", "host": "nas:8080"}, True),
        ({"sec_fetch_site": "same-origin", "host": "nas:8080"}, True),
        ({"origin": "http://nas:8080", "host": "nas:8080", "sec_fetch_site": "cross-site"}, False),
        ({"origin": "http://nas:8080", "host": "nas:8080", "sec_fetch_site": "same-site"}, False),
        ({"origin": "http://nas:9090", "host": "nas:8080"}, False),
        ({"origin": "http://evil.example", "host": "nas:8080"}, False),
        ({"origin": "null", "host": "nas:8080"}, False),
        ({"origin": "file://nas:8080", "host": "nas:8080"}, False),
        ({"origin": "http://nas:8080"}, False),
        ({"host": "nas:8080"}, False),
    ],
)
async def test_without_a_public_url_the_page_must_be_of_the_host_that_is_asked(rig, headers, fine):
    said = allowed(rig.auth, **headers)
    assert (said is True) is fine
    if "origin" in headers and not fine:
        assert "[server] public_url" in said


async def test_a_change_carries_the_csrf_token_of_its_own_session(rig):
    await rig.user()
    mine, other = [await rig.session(await rig.sign_in()) for _ in range(2)]
    fine = {"origin": "http://nas", "host": "nas"}
    assert allowed(rig.auth, mine, mine.csrf, **fine) is True
    for csrf in (None, "", other.csrf, mine.csrf[:-1], "ä" * 43):
        assert "load it again" in allowed(rig.auth, mine, csrf, **fine)
    assert allowed(rig.auth, mine, mine.csrf, origin="http://evil", host="nas") is not True


# The API


async def api(rig, token, role, workspace_id, method="POST", **headers):
    sent = {"origin": "http://nas", "host": "nas", **headers}
    return await rig.auth.authorise_api(Request(scope(token, method=method, **sent)), role, workspace_id)


async def test_the_api_takes_a_session_with_the_role_and_for_changes_its_csrf_token(rig):
    await rig.user()
    await rig.user("bob@example.org", "operator")
    token = await rig.sign_in("bob@example.org")
    csrf = (await rig.session(token)).csrf
    here = rig.workspace.id
    for role in ("viewer", "operator"):
        assert await api(rig, token, role, here, x_csrf_token=csrf) == Actor("bob@example.org", "192.0.2.1")
        await api(rig, token, role, here, "GET", origin=None)
    other = await rig.engine.submit(people.create_workspace("Other", None, HOST))
    for code, given in (
        (Code.UNAUTHENTICATED, (None, "viewer", here, "GET")),
        (Code.UNAUTHENTICATED, ("other", "viewer", here, "GET")),
        (Code.FORBIDDEN, (token, "viewer", here)),
        (Code.FORBIDDEN, (token, "viewer", here, "DELETE")),
        (Code.FORBIDDEN, (token, "owner", here, "GET")),
        (Code.NOT_FOUND, (token, "viewer", other.id, "GET")),
        (Code.NOT_FOUND, (token, "viewer", "", "GET")),
    ):
        with pytest.raises(LuotaError) as refused:
            await api(rig, *given)
        assert refused.value.code is code, given
    with pytest.raises(LuotaError) as refused:
        await api(rig, token, "viewer", here, x_csrf_token=csrf, origin="http://evil")
    assert refused.value.code is Code.FORBIDDEN


# Links


def token_of(path, purpose):
    assert path.startswith(f"/{purpose}/")
    return path.removeprefix(f"/{purpose}/")


async def no_link(rig, purpose, token):
    with pytest.raises(LuotaError) as refused:
        await rig.auth.check_link(purpose, token)
    assert refused.value.code is Code.NOT_FOUND


async def test_the_set_up_link_makes_the_first_owner_once(rig):
    token = token_of(await rig.auth.setup_link(), "setup")
    assert await rig.auth.check_link("setup", token) is None
    uses = [rig.auth.use_setup_link(scope(), token, email, "Ann", PASSWORD) for email in (ANN, "eve@example.org")]
    results = await asyncio.gather(*uses, return_exceptions=True)
    assert sorted(getattr(result, "code", "made") for result in results) == [Code.CONFLICT, "made"]
    ((email,),) = await rig.rows("SELECT email FROM users")
    assert (await rig.session(await rig.sign_in(email))).roles == {rig.workspace.id: "owner"}
    await no_link(rig, "setup", token)
    assert await rig.auth.setup_link() is None


async def test_a_fresh_set_up_link_ends_the_one_before_and_holds_for_a_day(rig):
    old = token_of(await rig.auth.setup_link(), "setup")
    new = token_of(await rig.auth.setup_link(), "setup")
    rig.clock.advance(SETUP_LINK - 1)
    await rig.auth.check_link("setup", new)
    rig.clock.advance(1)
    rig.hasher.done.clear()
    for token in (old, new, "guess", "ä"):
        await no_link(rig, "setup", token)
        with pytest.raises(LuotaError):
            await rig.auth.use_setup_link(scope(), token, ANN, "Ann", PASSWORD)
    assert rig.hasher.done == []
    assert await rig.rows("SELECT * FROM users") == []


async def test_no_set_up_link_holds_once_a_user_was_made_otherwise(rig):
    token = token_of(await rig.auth.setup_link(), "setup")
    await rig.user()
    await no_link(rig, "setup", token)


async def test_an_invited_user_chooses_a_password_by_a_link_that_works_once(rig):
    user_id = await rig.user(password=None)
    path = await rig.auth.password_link(user_id, HOST, rig.workspace.id)
    token = token_of(path, "password")
    rig.clock.advance(PASSWORD_LINK - 1)
    assert await rig.auth.check_link("password", token) == ANN
    await no_link(rig, "setup", token)
    assert await rig.auth.use_password_link(scope(), token, PASSWORD) == user_id
    await rig.sign_in()
    await no_link(rig, "password", token)
    late = token_of(await rig.auth.password_link(user_id, HOST, None), "password")
    rig.clock.advance(PASSWORD_LINK)
    await no_link(rig, "password", late)
    kept = str(await rig.rows("SELECT * FROM audit_entries"))
    assert token not in kept
    assert late not in kept
