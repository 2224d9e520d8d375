"""Members, passwords, links and workspaces: what is refused, what ends with what, and what is on record."""

import asyncio
import hashlib

import pytest

from luota.core.errors import Code, LuotaError
from luota.engine import Engine, people, sessions
from luota.engine.audit import Actor
from luota.store import people as rows
from luota.store.reads import fetch
from tests.clock import FakeClock
from tests.engines import no_death, workspace_of

BOSS = Actor("boss@example.org", "192.0.2.1")
HOUR = 3_600_000


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def first(engine):
    return workspace_of(engine)


async def user(engine, name, role="owner", hashed="hash", workspace=None):
    email = f"{name}@example.org"
    return await engine.submit(people.create_user(workspace or first(engine), email, name, role, hashed, BOSS))


async def session_of(engine, user_id, name, hashed="hash"):
    await engine.submit(sessions.open_session(user_id, hashed, digest(name), BOSS))


async def refused(engine, code, work):
    with pytest.raises(LuotaError) as error:
        await engine.submit(work)
    assert error.value.code is code, error.value.message
    return error.value


async def members(engine, workspace=None):
    found = await rows.members(engine.reader, (workspace or first(engine)).id)
    return {member.name: member.role for member in found}


async def entries(engine, action):
    sql = "SELECT workspace_id, actor, source, target, detail FROM audit_entries WHERE action = ? ORDER BY rowid"
    return await fetch(engine.reader, sql, (action,))


# Members


async def test_a_user_without_a_password_is_shown_as_invited(engine):
    await user(engine, "ann")
    await user(engine, "bob", "viewer", None)
    found = await rows.members(engine.reader, first(engine).id)
    assert [(member.name, member.role, member.invited) for member in found] == [
        ("ann", "owner", False),
        ("bob", "viewer", True),
    ]


async def test_an_existing_user_is_added_to_another_workspace_once(engine):
    ann = await user(engine, "ann")
    other = await engine.submit(people.create_workspace("Other", None, BOSS))
    work = people.add_member(other.id, "ann@example.org", "viewer", BOSS)
    assert await engine.submit(work) == ann
    assert await members(engine, other) == {"ann": "viewer"}
    assert (await refused(engine, Code.CONFLICT, work)).field == "email"
    stranger = people.add_member(other.id, "eve@example.org", "viewer", BOSS)
    assert (await refused(engine, Code.NOT_FOUND, stranger)).field == "email"
    detail = '{"email":"ann@example.org","role":"viewer"}'
    assert await entries(engine, "member.add") == [(other.id, BOSS.name, BOSS.source, ann, detail)]


async def test_a_role_is_changed_and_a_member_removed_each_on_record(engine):
    await user(engine, "ann")
    bob = await user(engine, "bob", "viewer")
    workspace = first(engine)
    await engine.submit(people.set_role(workspace.id, bob, "operator", BOSS))
    await engine.submit(people.set_role(workspace.id, bob, "operator", BOSS))
    assert await members(engine) == {"ann": "owner", "bob": "operator"}
    (entry,) = await entries(engine, "member.role")
    assert entry[4] == '{"email":"bob@example.org","before":"viewer","role":"operator"}'
    await engine.submit(people.remove_member(workspace.id, bob, BOSS))
    assert await members(engine) == {"ann": "owner"}
    assert len(await entries(engine, "member.remove")) == 1
    for work in (people.remove_member(workspace.id, bob, BOSS), people.set_role(workspace.id, bob, "owner", BOSS)):
        await refused(engine, Code.NOT_FOUND, work)


async def test_the_last_owner_can_neither_be_demoted_nor_removed_nor_deleted(engine):
    ann = await user(engine, "ann")
    await user(engine, "bob", "operator")
    workspace = first(engine)
    attempts = (
        people.set_role(workspace.id, ann, "operator", BOSS),
        people.remove_member(workspace.id, ann, BOSS),
        people.delete_user(ann, BOSS),
    )
    for work in attempts:
        assert "last owner of Default" in (await refused(engine, Code.CONFLICT, work)).message
    assert await members(engine) == {"ann": "owner", "bob": "operator"}
    await engine.submit(people.set_role(workspace.id, ann, "owner", BOSS))


async def test_of_two_owners_who_remove_each_other_at_once_one_remains(engine):
    ann, bob = await user(engine, "ann"), await user(engine, "bob")
    work = [people.remove_member(first(engine).id, one, BOSS) for one in (ann, bob)]
    results = await asyncio.gather(*(engine.submit(one) for one in work), return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == [None, Code.CONFLICT]
    assert len(await members(engine)) == 1


async def test_a_deleted_user_leaves_nothing_but_the_record(engine):
    await user(engine, "ann")
    bob = await user(engine, "bob")
    await session_of(engine, bob, "tab")
    await engine.submit(
        people.make_link("password", bob, digest("link"), engine.clock.now() + HOUR, BOSS, maker_id=None)
    )
    await engine.submit(people.delete_user(bob, BOSS))
    for table in ("sessions", "one_time_links"):
        assert await fetch(engine.reader, f"SELECT * FROM {table}") == []
    assert await members(engine) == {"ann": "owner"}
    assert (await entries(engine, "user.delete"))[0][0] == first(engine).id
    await refused(engine, Code.NOT_FOUND, people.delete_user(bob, BOSS))


# Passwords


async def test_another_password_ends_all_sessions_but_the_one_that_goes_on_under_a_new_token_and_all_links(engine):
    ann, bob = await user(engine, "ann"), await user(engine, "bob")
    for name in ("here", "there"):
        await session_of(engine, ann, name)
    await session_of(engine, bob, "bob's")
    expires_at = engine.clock.now() + HOUR
    await engine.submit(people.make_link("password", ann, digest("link"), expires_at, BOSS, maker_id=None))
    await engine.submit(people.set_password(ann, "new", BOSS, (digest("here"), digest("anew"))))
    left = await fetch(engine.reader, "SELECT token_hash FROM sessions")
    assert {token_hash for (token_hash,) in left} == {digest("anew"), digest("bob's")}
    assert await rows.password_link_user(engine.reader, digest("link"), engine.clock.now()) is None
    await engine.submit(people.set_password(ann, "newer", BOSS))
    assert await rows.session(engine.reader, digest("anew")) is None
    assert len(await entries(engine, "user.password")) == 2
    await refused(engine, Code.NOT_FOUND, people.set_password("nobody", "new", BOSS))


async def test_a_session_that_has_ended_by_then_changes_no_password(engine):
    ann, bob = await user(engine, "ann"), await user(engine, "bob")
    await session_of(engine, bob, "bob's")
    for ended in ("here", "bob's"):
        await refused(engine, Code.CONFLICT, people.set_password(ann, "new", BOSS, (digest(ended), digest("anew"))))
    assert await entries(engine, "user.password") == []
    assert await fetch(engine.reader, "SELECT token_hash FROM sessions") == [(digest("bob's"),)]


async def test_of_two_changes_of_password_at_once_the_second_says_that_it_changed_nothing(engine):
    ann = await user(engine, "ann")
    await session_of(engine, ann, "here")
    works = [people.set_password(ann, new, BOSS, (digest("here"), digest(new))) for new in ("first", "second")]
    done, refusal = await asyncio.gather(*map(engine.submit, works), return_exceptions=True)
    assert (done, refusal.code) == (None, Code.CONFLICT)
    said = "This changed nothing: your session ended, or the password was changed, meanwhile."
    assert refusal.message == f"{said} Sign in, and repeat if need be."
    assert await fetch(engine.reader, "SELECT password_hash FROM users WHERE id = ?", (ann,)) == [("first",)]


async def test_what_concerns_a_person_is_on_record_in_each_of_their_workspaces(engine):
    ann = await user(engine, "ann")
    other = await engine.submit(people.create_workspace("Other", None, BOSS, ann))
    await engine.submit(people.set_password(ann, "new", BOSS))
    assert {entry[0] for entry in await entries(engine, "user.password")} == {first(engine).id, other.id}


# Links


async def setup_link(engine, name="setup"):
    work = people.make_link("setup", None, digest(name), engine.clock.now() + HOUR, BOSS, maker_id=None)
    return await engine.submit(work)


def set_up(name, link="setup"):
    return people.use_setup_link(digest(link), f"{name}@example.org", name, "hash", "192.0.2.9")


async def test_of_two_who_use_the_set_up_link_at_once_one_becomes_the_owner(engine):
    assert await setup_link(engine)
    results = await asyncio.gather(*(engine.submit(set_up(name)) for name in "ab"), return_exceptions=True)
    assert [getattr(result, "code", None) for result in results] == [None, Code.CONFLICT]
    assert await members(engine) == {"a": "owner"}
    assert (await entries(engine, "user.create"))[0][1:3] == ("a@example.org", "192.0.2.9")
    assert await fetch(engine.reader, "SELECT * FROM one_time_links") == []


async def test_a_set_up_link_does_not_hold_once_there_is_a_user_nor_is_one_made(engine):
    await setup_link(engine)
    await user(engine, "ann")
    await refused(engine, Code.CONFLICT, set_up("eve"))
    assert not await setup_link(engine, "another")
    assert await fetch(engine.reader, "SELECT * FROM one_time_links") == []


async def test_a_newer_set_up_link_replaces_the_older_and_each_has_its_end(engine):
    await setup_link(engine, "old")
    await setup_link(engine, "new")
    await refused(engine, Code.NOT_FOUND, set_up("eve", "old"))
    assert await rows.setup_link_holds(engine.reader, digest("new"), engine.clock.now())
    engine.clock.advance(HOUR)
    assert not await rows.setup_link_holds(engine.reader, digest("new"), engine.clock.now())
    await refused(engine, Code.NOT_FOUND, set_up("eve", "new"))
    assert await members(engine) == {}


async def test_a_password_link_is_no_set_up_link_and_works_once(engine):
    ann = await user(engine, "ann", hashed=None)
    await engine.submit(
        people.make_link("password", ann, digest("link"), engine.clock.now() + HOUR, BOSS, maker_id=None)
    )
    assert not await rows.setup_link_holds(engine.reader, digest("link"), engine.clock.now())
    assert (await rows.password_link_user(engine.reader, digest("link"), engine.clock.now())).id == ann
    works = [people.use_password_link(digest("link"), hashed, "192.0.2.9") for hashed in ("one", "two")]
    results = await asyncio.gather(*(engine.submit(work) for work in works), return_exceptions=True)
    assert [getattr(result, "code", result) for result in results] == [ann, Code.NOT_FOUND]
    assert (await rows.user_by_id(engine.reader, ann)).password_hash == "one"
    assert (await entries(engine, "user.password"))[0][1:3] == ("ann@example.org", "192.0.2.9")


async def test_a_password_link_has_its_end_and_gives_way_to_a_newer_one(engine):
    ann = await user(engine, "ann", hashed=None)
    for name in ("old", "new"):
        await engine.submit(
            people.make_link("password", ann, digest(name), engine.clock.now() + HOUR, BOSS, maker_id=None)
        )
    await refused(engine, Code.NOT_FOUND, people.use_password_link(digest("old"), "hash", "x"))
    engine.clock.advance(HOUR)
    assert await rows.password_link_user(engine.reader, digest("new"), engine.clock.now()) is None
    await refused(engine, Code.NOT_FOUND, people.use_password_link(digest("new"), "hash", "x"))


async def test_an_owner_cannot_take_over_a_member_of_other_workspaces_by_a_link(engine):
    ann = await user(engine, "ann")
    other = await engine.submit(people.create_workspace("Other", None, BOSS, ann))
    eve, boss = await user(engine, "eve", workspace=other), await user(engine, "boss")

    def link(user_id, maker_id):
        return people.make_link("password", user_id, digest(user_id), 1 << 50, BOSS, maker_id=maker_id)

    await refused(engine, Code.CONFLICT, link(ann, eve))
    await refused(engine, Code.NOT_FOUND, link(eve, boss))
    assert await engine.submit(link(eve, eve))
    assert await engine.submit(link(ann, None))
    await refused(engine, Code.NOT_FOUND, link("nobody", None))


async def test_an_owner_of_all_their_workspaces_gives_a_member_of_several_a_link(engine):
    ann, bob = await user(engine, "ann"), await user(engine, "bob", "viewer")
    other = await engine.submit(people.create_workspace("Other", None, BOSS))
    for email, role in (("ann@example.org", "operator"), ("bob@example.org", "viewer")):
        await engine.submit(people.add_member(other.id, email, role, BOSS))
    link = people.make_link("password", bob, digest("link"), 1 << 50, BOSS, maker_id=ann)
    error = await refused(engine, Code.CONFLICT, link)
    assert "luota user link bob@example.org --workspace default" in error.message
    await engine.submit(people.set_role(other.id, ann, "owner", BOSS))
    assert await engine.submit(link)


async def test_a_name_in_the_audit_log_makes_nobody_an_owner_by_whom_a_link_is_made(engine):
    await user(engine, "ann")
    eve, bob = await user(engine, "eve", "operator"), await user(engine, "bob", "viewer")
    called_ann = Actor("ann@example.org", "192.0.2.1")
    link = people.make_link("password", bob, digest("link"), 1 << 50, called_ann, maker_id=eve)
    await refused(engine, Code.NOT_FOUND, link)


@pytest.mark.parametrize("change", ["removed", "demoted", "deleted", "owner elsewhere", "left"])
async def test_a_link_holds_only_while_its_maker_owns_all_workspaces_of_whom_it_is_for(engine, change):
    ann, eve = await user(engine, "ann"), await user(engine, "eve")
    here, now = first(engine).id, engine.clock.now()
    await engine.submit(people.make_link("password", ann, digest("link"), now + HOUR, BOSS, maker_id=eve))
    assert (await rows.password_link_user(engine.reader, digest("link"), now)).id == ann
    await engine.submit(
        {
            "removed": people.remove_member(here, eve, BOSS),
            "demoted": people.set_role(here, eve, "operator", BOSS),
            "deleted": people.delete_user(eve, BOSS),
            "owner elsewhere": people.create_workspace("Other", None, BOSS, ann),
            "left": people.remove_member(here, ann, BOSS),
        }[change]
    )
    assert await rows.password_link_user(engine.reader, digest("link"), now) is None
    await refused(engine, Code.NOT_FOUND, people.use_password_link(digest("link"), "hash", "x"))


async def test_a_link_made_on_the_host_holds_for_whom_nobody_owns_too(engine):
    ann, _ = await user(engine, "ann"), await user(engine, "eve")
    await engine.submit(people.make_link("password", ann, digest("link"), 1 << 50, BOSS, maker_id=None))
    await engine.submit(people.remove_member(first(engine).id, ann, BOSS))
    assert await engine.submit(people.use_password_link(digest("link"), "hash", "x")) == ann


async def test_a_link_made_by_another_workspaces_owner_ends_when_its_user_is_added(engine):
    await user(engine, "ann")
    hostile = await engine.submit(people.create_workspace("Hostile", None, BOSS))
    new = await user(engine, "new", "viewer", None, hostile)
    ends = engine.clock.now() + HOUR
    eve = await user(engine, "eve", workspace=hostile)
    await engine.submit(people.make_link("password", new, digest("eve's"), ends, BOSS, maker_id=eve))
    await engine.submit(people.add_member(first(engine).id, "new@example.org", "owner", BOSS))
    await refused(engine, Code.NOT_FOUND, people.use_password_link(digest("eve's"), "hash", "x"))
    again = people.make_link("password", new, digest("another"), ends, BOSS, maker_id=eve)
    await refused(engine, Code.CONFLICT, again)


# Workspaces


async def test_a_new_workspace_is_live_at_once_and_after_a_restart(tmp_path):
    engine = await Engine.open(tmp_path, FakeClock(), "a test")
    engine.work(no_death)
    ann = await user(engine, "ann")
    made = await engine.submit(people.create_workspace("Räksy & Co", None, BOSS, ann))
    assert (made.name, made.slug) == ("Räksy & Co", "raksy-co")
    assert engine.registry.workspaces[made.id] is made
    assert await members(engine, made) == {"ann": "owner"}
    taken = await refused(engine, Code.CONFLICT, people.create_workspace("Other", "raksy-co", BOSS))
    assert taken.field == "slug"
    await engine.close()
    again = await Engine.open(tmp_path, FakeClock(), "a test")
    try:
        assert again.registry.workspaces[made.id] == made
    finally:
        await again.close()


async def test_an_edit_of_a_workspace_is_live_and_on_record(engine):
    workspace = first(engine)
    doc = {"name": "Ops", "retentionDays": 30}
    await engine.submit(people.edit_workspace(workspace.id, doc, BOSS))
    assert first(engine).name == "Ops"
    assert first(engine).salt == workspace.salt
    sql = "SELECT name, retention_days, retention_count, incident_retention_days FROM workspaces"
    assert await fetch(engine.reader, sql) == [("Ops", 30, 10_000, 730)]
    (entry,) = await entries(engine, "workspace.edit")
    assert entry[4] == '{"changes":{"name":"Ops","retentionDays":30},"before":{"name":"Default","retentionDays":90}}'
    for same in ({}, doc):
        await engine.submit(people.edit_workspace(workspace.id, same, BOSS))
    assert len(await entries(engine, "workspace.edit")) == 1


async def test_of_a_whole_form_of_a_workspace_only_what_was_changed_is_on_record(engine):
    form = {"name": "Default", "retentionDays": 90, "retentionCount": 500, "incidentRetentionDays": 730}
    await engine.submit(people.edit_workspace(first(engine).id, form, BOSS))
    (entry,) = await entries(engine, "workspace.edit")
    assert entry[4] == '{"changes":{"retentionCount":500},"before":{"retentionCount":10000}}'


async def test_incidents_are_never_kept_shorter_than_signals(engine):
    workspace = first(engine)
    for doc in ({"retentionDays": 731}, {"incidentRetentionDays": 89}):
        refusal = await refused(engine, Code.INVALID, people.edit_workspace(workspace.id, doc, BOSS))
        assert refusal.field == next(iter(doc))
    # A form gives both, where one was changed: that one is to blame.
    for doc, blamed in (((731, 730), "retentionDays"), ((90, 89), "incidentRetentionDays")):
        given = {"retentionDays": doc[0], "incidentRetentionDays": doc[1]}
        refusal = await refused(engine, Code.INVALID, people.edit_workspace(workspace.id, given, BOSS))
        assert refusal.field == blamed
    sql = "SELECT retention_days, incident_retention_days FROM workspaces"
    assert await fetch(engine.reader, sql) == [(90, 730)]
    both = {"retentionDays": 731, "incidentRetentionDays": 731}
    await engine.submit(people.edit_workspace(workspace.id, both, BOSS))
