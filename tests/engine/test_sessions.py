"""Sessions: opened for the password that was verified, closed, and gone when they have ended."""

import asyncio
import hashlib

import pytest

from luota.core.errors import Code, LuotaError
from luota.engine import people, retention, sessions
from luota.engine.audit import Actor
from luota.engine.sessions import IDLE, KEPT_ENTRIES, LONGEST
from luota.store import people as rows
from luota.store.reads import fetch
from tests.engines import workspace_of

ANN = Actor("ann@example.org", "192.0.2.1")


def digest(text):
    return hashlib.sha256(text.encode()).digest()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0)


@pytest.fixture
async def ann(engine):
    workspace = workspace_of(engine)
    return await engine.submit(people.create_user(workspace, ANN.name, "Ann", "owner", "hash", ANN))


async def opened(engine, user_id, name, hashed="hash", **more):
    await engine.submit(sessions.open_session(user_id, hashed, digest(name), ANN, **more))


async def open_ones(engine):
    found = await fetch(engine.reader, "SELECT token_hash FROM sessions")
    return {token_hash for (token_hash,) in found}


async def actions(engine):
    sql = "SELECT action, actor, source FROM audit_entries WHERE action LIKE 'session.%' ORDER BY rowid"
    return await fetch(engine.reader, sql)


async def test_a_session_is_kept_by_its_hash_and_shows_who_it_is(engine, ann):
    await opened(engine, ann, "tab")
    row = await rows.session(engine.reader, digest("tab"))
    now = engine.clock.now()
    assert (row.user_id, row.email, row.name) == (ann, "ann@example.org", "Ann")
    assert (row.created_at, row.seen_at, row.expires_at) == (now, now, now + LONGEST)
    assert list(row.roles.values()) == ["owner"]
    assert await actions(engine) == [("session.open", "ann@example.org", "192.0.2.1")]
    assert await rows.session(engine.reader, digest("other")) is None


async def test_a_session_of_one_who_is_a_member_of_nothing_has_no_roles(engine, ann):
    workspace = workspace_of(engine)
    await engine.submit(people.create_user(workspace, "bob@example.org", "Bob", "owner", "hash", ANN))
    await opened(engine, ann, "tab")
    await engine.submit(people.remove_member(workspace.id, ann, ANN))
    assert (await rows.session(engine.reader, digest("tab"))).roles == {}


async def test_a_new_session_ends_the_one_that_it_replaces_and_no_other(engine, ann):
    await opened(engine, ann, "elsewhere")
    await opened(engine, ann, "old")
    await opened(engine, ann, "new", replaces=digest("old"))
    assert await open_ones(engine) == {digest("elsewhere"), digest("new")}


async def test_a_sign_in_that_a_change_of_password_overtakes_opens_no_session(engine, ann):
    change = engine.submit(people.set_password(ann, "new hash", ANN))
    late = engine.submit(sessions.open_session(ann, "hash", digest("late"), ANN))
    assert (await asyncio.gather(change, late))[1] is False
    assert await open_ones(engine) == set()
    assert await actions(engine) == []


async def test_a_sign_in_brings_the_hash_up_to_date(engine, ann):
    await opened(engine, ann, "tab", rehashed="stronger")
    assert (await rows.user_by_id(engine.reader, ann)).password_hash == "stronger"
    await opened(engine, ann, "tab 2", "stronger")


async def test_a_session_is_closed_once(engine, ann):
    await opened(engine, ann, "tab")
    for _ in range(2):
        await engine.submit(sessions.close_session(digest("tab"), ANN))
    assert await open_ones(engine) == set()
    assert [action for action, *_ in await actions(engine)] == ["session.open", "session.close"]


async def test_a_touch_tells_when_a_session_was_used_and_opens_none(engine, ann):
    await opened(engine, ann, "tab")
    engine.clock.advance(1000)
    await engine.submit(sessions.touch(digest("tab")))
    await engine.submit(sessions.touch(digest("closed")))
    assert (await rows.session(engine.reader, digest("tab"))).seen_at == engine.clock.now()
    assert await open_ones(engine) == {digest("tab")}


async def test_a_failed_sign_in_is_on_record_where_the_account_belongs(engine, ann):
    stranger = Actor("somebody", "192.0.2.66")
    await engine.submit(sessions.refused(ann, stranger))
    await engine.submit(sessions.refused(None, stranger))
    workspace = next(iter(engine.registry.workspaces))
    sql = "SELECT workspace_id, target, source FROM audit_entries WHERE action = 'session.refused' ORDER BY rowid"
    assert await fetch(engine.reader, sql) == [(workspace, ann, "192.0.2.66"), (None, "unknown", "192.0.2.66")]


async def test_retention_takes_what_has_ended_and_nothing_else(engine, ann):
    await opened(engine, ann, "unused")
    expires_at = engine.clock.now() + IDLE
    await engine.submit(people.make_link("password", ann, digest("link"), expires_at, ANN, maker_id=None))
    await engine.submit(sessions.refused(None, ANN))
    engine.clock.advance(IDLE - 1)
    await opened(engine, ann, "used")
    assert await retention.prune(engine) == 0
    engine.clock.advance(1)
    assert await retention.prune(engine) == 2
    assert await open_ones(engine) == {digest("used")}
    engine.clock.advance(KEPT_ENTRIES - IDLE)
    await retention.prune(engine)
    assert await fetch(engine.reader, "SELECT * FROM audit_entries WHERE workspace_id IS NULL") == []
    assert len(await actions(engine)) == 2


async def test_a_session_that_is_used_all_the_time_ends_all_the_same(engine, ann):
    await opened(engine, ann, "tab")
    for _ in range(LONGEST // IDLE + 1):
        engine.clock.advance(IDLE - 1)
        await engine.submit(sessions.touch(digest("tab")))
    await retention.prune(engine)
    assert await open_ones(engine) == set()


async def test_every_session_that_something_else_than_time_ends_is_on_record_as_closed(engine, ann):
    sql = "SELECT detail FROM audit_entries WHERE action = 'session.close' AND target = ? ORDER BY rowid"

    async def closed():
        return [detail for (detail,) in await fetch(engine.reader, sql, (ann,))]

    await opened(engine, ann, "old")
    await opened(engine, ann, "new", replaces=digest("old"))
    await opened(engine, ann, "third", replaces=digest("no such"))
    assert await closed() == ["{}"]
    await engine.submit(people.set_password(ann, "other hash", ANN, (digest("new"), digest("newer"))))
    await engine.submit(people.set_password(ann, "hash", ANN, (digest("newer"), digest("newest"))))
    assert await closed() == ["{}", '{"count":1}']
    workspace = workspace_of(engine)
    await engine.submit(people.create_user(workspace, "bob@example.org", "Bob", "owner", "hash", ANN))
    await engine.submit(people.delete_user(ann, ANN))
    assert await closed() == ["{}", '{"count":1}', '{"count":1}']
