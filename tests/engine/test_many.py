"""What is done to several monitors at once is one transaction, with an entry in the audit log for each of them."""

import json

import pytest

from luota.core.drills import DrillKind
from luota.core.errors import Code, LuotaError
from luota.core.spec.values import MAX_TAGS
from luota.engine import drills, monitors
from luota.engine.audit import Actor
from luota.engine.many import Many, pause_all, resume_all, tag_all
from tests.served import NOBODY

ANN = Actor("ann@example.org", "192.0.2.1")


@pytest.fixture
async def jobs(served):
    return [await served.monitor(name=f"job {n}", tags={"n": str(n)}) for n in range(60)]


def audited(served, action):
    rows = served.rows("SELECT target, detail FROM audit_entries WHERE action = ? AND actor = ?", action, ANN.name)
    return {target: json.loads(detail) for target, detail in rows}


def commits(served, monkeypatch):
    """A list that grows with each transaction."""
    seen = []
    before = served.engine.writer.committed
    monkeypatch.setattr(served.engine.writer, "committed", lambda batch: (seen.append(batch), before(batch)))
    return seen


async def test_many_are_paused_tagged_and_resumed_each_in_one_commit_and_each_with_its_entry(served, jobs, monkeypatch):
    ids = [job.id for job in jobs]
    seen = commits(served, monkeypatch)
    for work in (pause_all([*ids, ids[0]], {"for": "1h"}, ANN), tag_all(ids, {"n": "x", "team": "night"}, ANN)):
        assert await served.engine.submit(work) == Many(frozenset(ids))
    assert len(seen) == 2
    shown = await jobs[41].shown()
    assert (shown["status"], shown["tags"]) == ("paused", {"n": "x", "team": "night"})
    assert audited(served, "monitor.pause").keys() == set(ids)
    assert audited(served, "monitor.edit")[ids[41]] == {
        "changes": {"tags": {"n": "x", "team": "night"}},
        "before": {"tags": {"n": "41"}},
    }
    assert audited(served, "monitor.edit").keys() == set(ids)
    await served.api("POST", f"/api/monitors/{ids[0]}/resume")
    del seen[:]
    assert await served.engine.submit(resume_all(ids, ANN)) == Many(frozenset(ids[1:]), left=1), "one was not paused"
    assert len(seen) == 1
    assert audited(served, "monitor.resume").keys() == set(ids[1:])
    assert {(await job.shown())["status"] for job in jobs} == {"draft"}


async def test_a_pause_takes_the_place_of_the_one_before(served, jobs):
    await served.engine.submit(pause_all([jobs[0].id], {"for": "1h"}, ANN))
    until = served.engine.registry.monitors[jobs[0].id].state.pause.until
    await served.engine.submit(pause_all([jobs[0].id], {"for": "8h"}, ANN))
    assert served.engine.registry.monitors[jobs[0].id].state.pause.until == until + 7 * 3_600_000


async def test_a_monitor_that_cannot_have_one_more_tag_is_told_and_the_others_have_it(served, jobs):
    full = await served.monitor(name="full", tags={f"key {n}": "" for n in range(MAX_TAGS)})
    done = await served.engine.submit(tag_all([jobs[0].id, full.id, jobs[1].id], {"team": "night"}, ANN))
    refused = done.refused
    assert (done.changed, done.left) == ({jobs[0].id, jobs[1].id}, 0)
    assert refused.keys() == {full.id}
    assert f"at most {MAX_TAGS}" in refused[full.id]
    assert len((await full.shown())["tags"]) == MAX_TAGS
    assert (await jobs[1].shown())["tags"]["team"] == "night"
    assert full.id not in audited(served, "monitor.edit")


async def test_a_monitor_that_has_the_tags_already_is_not_changed(served, jobs):
    first, second = jobs[0].id, jobs[1].id
    await served.engine.submit(tag_all([first], {"team": "night"}, ANN))
    assert await served.engine.submit(tag_all([first, second], {"team": "night"}, ANN)) == Many(
        frozenset([second]), left=1
    )
    assert served.row("SELECT count(*) FROM audit_entries WHERE action = 'monitor.edit'") == (2,)


async def test_what_makes_no_sense_is_refused_for_all_and_those_who_are_gone_are_left_out(served, jobs):
    ids = [job.id for job in jobs[:2]]
    for work in (pause_all(ids, {"for": "soon"}, ANN), tag_all(ids, {"": "night"}, ANN)):
        with pytest.raises(LuotaError) as refused:
            await served.engine.submit(work)
        assert refused.value.code is Code.INVALID
    assert (audited(served, "monitor.pause"), audited(served, "monitor.edit")) == ({}, {})
    await jobs[0].archive()
    for work in (pause_all([*ids, NOBODY], {}, ANN), tag_all([*ids, NOBODY], {"a": "b"}, ANN)):
        assert await served.engine.submit(work) == Many(frozenset(ids[1:]))
    assert audited(served, "monitor.pause").keys() == audited(served, "monitor.edit").keys() == {ids[1]}


async def test_the_twin_of_a_drill_is_left_out(served, jobs):
    drill = await served.engine.submit(drills.begin(jobs[0].id, DrillKind.MISSED, None, ANN))
    twin, before = drill.twin.id, served.row("SELECT tags FROM monitors WHERE id = ?", drill.twin.id)
    for work in (pause_all([twin], {}, ANN), tag_all([twin], {"a": "b"}, ANN)):
        assert await served.engine.submit(work) == Many()
    assert served.engine.registry.monitors[twin].state.pause is None
    assert served.row("SELECT tags FROM monitors WHERE id = ?", twin) == before
    await served.engine.submit(monitors.pause(twin, {}, ANN))
    assert await served.engine.submit(resume_all([twin], ANN)) == Many()
    assert served.engine.registry.monitors[twin].state.pause is not None
    assert audited(served, "monitor.edit") == audited(served, "monitor.resume") == {}
