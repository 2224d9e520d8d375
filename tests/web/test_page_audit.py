"""The page of the audit log: who changed what, in words that people read."""

import re
from contextlib import aclosing
from pathlib import Path

import pytest

from luota import engine
from luota.engine.audit import Actor, audit
from luota.engine.many import tag_all
from luota.web.dashboard.audit import ACTIONS
from tests.served import NOBODY
from tests.web.reading import words

PATH = "/w/default/audit"


async def test_an_entry_says_in_words_what_was_done_to_what(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        job = await served.monitor(name="Nightly backup")
        await served.api(
            "PATCH",
            f"/api/monitors/{job.id}",
            {"graceSeconds": 5400, "reminderSeconds": "90m", "owner": None, "promise": "Done."},
        )
        await served.api("POST", f"/api/monitors/{job.id}/pause", {"until": "2026-04-29T12:00:00Z"})
        await client.post("/w/default/settings/token", data={"csrf": csrf})
        page = await client.get(PATH)
        said = words(page)
        assert "created the monitor Nightly backup" in said
        assert "changed the monitor Nightly backup" in said
        assert "grace: 1 min → 1 h 30 min" in said
        assert "reminder: none → 1 h 30 min" in said
        assert "promise: none → Done." in said
        assert "owner:" not in said, "what stays as it was is no change"
        assert "paused the monitor Nightly backup" in said
        assert "until: 2026-04-29 12:00:00 UTC" in said
        assert "until healthy" not in said
        assert "replaced the token of Default" in said
        assert "signed in" in said
        assert "created the user owner@example.org role: owner" in said
        assert "monitor.create" not in said
        assert f'<a href="/w/default/monitors/{job.id}">Nightly backup</a>' in page.text


async def test_of_changed_settings_it_is_said_what_they_were(served):
    client, csrf = await served.sign_in()
    form = {"name": "Default", "retentionDays": "30", "retentionCount": "10000", "incidentRetentionDays": "730"}
    async with aclosing(client):
        await client.post("/w/default/settings", data={"csrf": csrf, **form})
        said = words(await client.get(PATH))
    assert "changed the settings of the workspace Default days to keep signals: 90 → 30" in said
    assert "days to keep incidents" not in said


async def test_whose_sessions_ended_is_said_and_what_is_gone_keeps_the_name_that_its_entry_has(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        gone, _ = await served.sign_in("viewer")
        await gone.aclose()
        (user_id,) = served.row("SELECT id FROM users WHERE email = 'viewer@example.org'")
        await served.api("POST", f"/api/users/{user_id}/password", {"password": "another good password"})
        await client.post(f"/w/default/members/{user_id}/role", data={"csrf": csrf, "role": "operator"})
        assert "ended the sessions of viewer@example.org count: 1" in words(await client.get(PATH))
        await served.api("DELETE", "/api/users/viewer@example.org")
        other, theirs = await served.sign_in("operator")
        await other.post("/sign-out", data={"csrf": theirs})
        await other.aclose()
        said = words(await client.get(PATH))
        assert "signed out" in said
        assert "ended the sessions of one deleted since" in said
        assert "set the password of one deleted since" in said
        assert "changed the role of viewer@example.org before: viewer" in said
        assert "deleted the user viewer@example.org" in said


async def test_of_what_has_no_name_any_more_each_entry_says_so_by_its_own_words(served):
    client, _ = await served.sign_in()
    workspace = next(iter(served.engine.registry.workspaces))
    naming = {action: said for action, said in ACTIONS.items() if "{}" in said}

    async def work(tx):
        for action in naming:
            audit(tx.batch, Actor("ann", "unix socket"), workspace, action, NOBODY)

    await served.engine.submit(work)
    async with aclosing(client):
        shown = words(await client.get(PATH))
    for action, said in naming.items():
        gone = "Default" if action.startswith(("token.", "workspace.")) else "one deleted since"
        assert said.format(gone) in shown


async def test_whom_the_sign_in_of_another_signed_out_is_named(served):
    client, _ = await served.sign_in("owner")
    _, theirs = await served.sign_in("viewer")
    viewer = served.row("SELECT id FROM users WHERE email = 'viewer@example.org'")[0]
    workspace = next(iter(served.engine.registry.workspaces))

    async def work(tx):
        audit(tx.batch, Actor("owner@example.org", "192.0.2.1"), workspace, "session.close", viewer)

    await served.engine.submit(work)
    async with aclosing(client):
        assert "signed out viewer@example.org" in words(await client.get(PATH))


async def test_an_entry_from_before_old_values_were_kept_tells_the_new_ones_alone(served):
    client, _ = await served.sign_in()
    job = await served.monitor()
    workspace = next(iter(served.engine.registry.workspaces))

    async def work(tx):
        audit(tx.batch, Actor("ann", "unix socket"), workspace, "monitor.edit", job.id, changes={"graceSeconds": 45})

    await served.engine.submit(work)
    async with aclosing(client):
        assert "changed the monitor a heartbeat job grace: 45 s" in words(await client.get(PATH))


async def test_tags_kinds_and_drills_are_written_as_the_other_pages_write_them(served):
    client, _ = await served.sign_in()
    job = await served.monitor(tags={"host": "nas"})
    workspace = next(iter(served.engine.registry.workspaces))
    await served.api("PATCH", f"/api/monitors/{job.id}", {"tags": {"host": "nas", "team": "ops"}})

    async def work(tx):
        audit(tx.batch, Actor("drill", f"drill {job.id}"), workspace, "drill.end", job.id, kind="dead_route")

    await served.engine.submit(work)
    async with aclosing(client):
        said = words(await client.get(PATH))
    assert "tags: host=nas → host=nas, team=ops" in said
    assert f"drill {job.id[:8]}… ended the drill on the monitor a heartbeat job kind: dead route" in said
    assert "drill drill" not in said


async def test_tags_that_are_given_to_many_at_once_are_recorded_with_those_they_had(served):
    client, _ = await served.sign_in()
    job = await served.monitor(tags={"host": "nas"})
    await served.engine.submit(tag_all([job.id], {"host": "pi"}, Actor("ann", "unix socket")))
    async with aclosing(client):
        assert "tags: host=nas → host=pi" in words(await client.get(PATH))


async def test_a_refused_sign_in_is_somebodys_and_a_mistyped_present_password_is_the_persons_own(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        await client.post("/sign-in", data={"email": "owner@example.org", "password": "wrong"})
        form = {"csrf": csrf, "current": "wrong horse battery", "password": "another good password"}
        assert (await client.post("/account", data=form)).status_code == 401
        said = words(await client.get(PATH))
    assert "somebody 127.0.0.1 was refused a sign-in as owner@example.org" in said
    assert "owner@example.org 127.0.0.1 gave a wrong present password" in said
    assert said.count("was refused") == 1


def test_the_name_stands_at_the_end_of_the_words():
    assert {said.partition(" {}")[2] for said in ACTIONS.values()} == {""}


def test_every_action_that_is_written_has_words():
    written = set()
    for file in Path(engine.__file__).parent.glob("*.py"):
        written |= set(re.findall(r'(?:audit|audit_person|_applied)\([^"]*"([a-z]+\.[a-z_]+)"', file.read_text()))
    assert len(written) > 20
    assert written - {"setup.link"} == ACTIONS.keys(), "that one is of no workspace"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("of=zzz", "There is no kind of entry zzz, so that the list is not filtered by it. It can be monitor, "),
        ("actor=zzz", "There is no entry of zzz, so that the list is not filtered by it."),
    ],
)
async def test_a_filter_that_there_is_not_is_named_and_filters_nothing(served, asked, told):
    client, _ = await served.sign_in()
    await served.monitor(name="Nightly backup")
    async with aclosing(client):
        said = words(await client.get(f"{PATH}?{asked}"))
        assert told in said
        assert "created the monitor Nightly backup" in said
        said = words(await client.get(f"{PATH}?of=session&actor=owner@example.org"))
        assert "so that the list" not in said
        assert "created the monitor" not in said
