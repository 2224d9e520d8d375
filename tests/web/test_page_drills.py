"""The drills: what is proven of each monitor, and what each drill did; tests/browser/test_journeys.py runs them."""

import html
import json
import re

import pytest

from luota.core.drills import PROOF_LASTS
from tests.hostile import HOSTILE
from tests.served import NOBODY, NOW
from tests.web.reading import words

WHERE = "/w/default/drills"
DAY = 86_400_000


async def ended(served, job, kind, state, at, steps=()):
    """Put a drill that has ended at an instant on record; returns its id."""
    drill_id = f"{len(served.rows('SELECT 1 FROM drills')):08x}{NOBODY[8:]}"

    async def work(tx):
        await tx.execute(
            "INSERT INTO drills (id, workspace_id, monitor_id, twin_id, kind, state, steps, started_at, finished_at, "
            "actor) VALUES (?, (SELECT id FROM workspaces), ?, ?, ?, ?, ?, ?, ?, 'ann')",
            drill_id,
            job.id,
            job.id,
            kind,
            state,
            json.dumps(list(steps)),
            at - 5000,
            at,
        )

    await served.engine.submit(work)
    return drill_id


async def heard(served, **rules):
    """Add a channel."""
    doc = {"type": "webhook", "name": "desk", "url": "http://192.0.2.1/", **rules}
    return (await served.api("POST", "/api/channels", doc))["channel"]["id"]


async def test_every_monitor_stands_there_with_its_latest_result_and_what_to_prove_next(served, viewer, operator):
    await heard(served)
    job = await served.monitor(name="Backup")
    await served.monitor("freshness", name="Report")
    await ended(served, job, "missed", "not_proven", NOW - 20 * DAY)
    await ended(served, job, "missed", "proven", NOW - 12 * DAY)
    assert "next:" not in words(await viewer.get(WHERE)), "who may run none is not sent to it"
    said = words(await operator.get(WHERE))
    assert "0 of 2 monitors proven by every drill that fits" in said
    assert re.search(r"Backup ?Missed heartbeat ?proven ?12 d ago ?Dead route ?never ?Prove next: dead route", said)
    assert re.search(r"Report ?Stale output ?never ?Dead route ?never ?Prove next: stale output", said)


@pytest.mark.parametrize(("past", "word"), [(0, "proven"), (1, "stale")], ids=["just", "just not"])
async def test_a_proof_counts_for_90_days_and_is_stale_afterwards(served, viewer, past, word):
    await heard(served)
    job = await served.monitor()
    for kind in ("missed", "dead_route"):
        await ended(served, job, kind, "proven", NOW - PROOF_LASTS - past)
    said = words(await viewer.get(WHERE))
    assert f"Missed heartbeat {word} 90 d ago" in re.sub(" +", " ", said)
    assert ("All 1 monitor is proven" in said) == (word == "proven")


async def test_what_was_proven_is_not_called_so_of_a_monitor_of_which_nobody_would_hear_by_now(served, viewer):
    channel = await heard(served)
    job = await served.monitor()
    for kind in ("missed", "dead_route"):
        await ended(served, job, kind, "proven", NOW)
    assert "All 1 monitor is proven" in words(await viewer.get(WHERE))
    await served.api("PATCH", f"/api/channels/{channel}", {"kinds": ["failed"]})
    said = words(await viewer.get(WHERE))
    assert "0 of 1 monitor proven" in said
    assert "Nobody hears of missed" in said


async def test_the_drill_of_a_run_that_does_not_start_is_called_so_wherever_it_stands(served, viewer):
    job = await served.monitor("run", schedule={"every": 3600})
    steps = [{"key": "signal", "text": "A start was accepted", "state": "proven", "at": NOW, "detail": ""}]
    ids = [await ended(served, job, "missed", "proven", NOW - age * DAY, steps) for age in (2, 1)]
    tab = f"/w/default/monitors/{job.slug}/drills"
    for path, times in ((WHERE, 1), (tab, 3), *((f"{WHERE}/{one}", 1) for one in ids)):
        said = words(await viewer.get(path))
        assert said.count("Missed run start") == times, path
        assert "Missed heartbeat" not in said, path


async def test_what_was_not_proven_comes_first_then_what_never_was_tried_then_what_is_stale(served, viewer):
    ages = {"A fresh": ("proven", 1), "B stale": ("proven", 91), "C never": None, "D lost": ("not_proven", 1)}
    for name, found in ages.items():
        job = await served.monitor("heartbeat", name=name)
        for kind in ("missed", "dead_route") if found else ():
            await ended(served, job, kind, found[0], NOW - found[1] * DAY)
    page = await viewer.get(WHERE)
    listed = re.findall(r'class="monitor-name"[^>]*>([^<]+)<', page.text)
    assert listed == ["D lost", "C never", "B stale", "A fresh"]


@pytest.mark.parametrize(
    ("mode", "fields", "kinds"),
    [
        ("heartbeat", {}, ["missed", "dead_route"]),
        ("run", {}, ["failed", "dead_route"]),
        ("run", {"schedule": {"every": 3600}}, ["failed", "missed", "dead_route"]),
        ("freshness", {}, ["stale", "dead_route"]),
    ],
    ids=["heartbeat", "run", "scheduled run", "freshness"],
)
async def test_the_drills_that_fit_a_monitor_are_offered_to_operators_and_to_nobody_else(served, mode, fields, kinds):
    job = await served.monitor(mode, **fields)
    path = f"/w/default/monitors/{job.slug}/drills"
    for role, offered in (("viewer", []), ("operator", kinds)):
        client, csrf = await served.sign_in(role)
        page = await client.get(path)
        assert re.findall(r'name="kind" value="(\w+)"', page.text) == offered, role
        answer = await client.post(path, data={"csrf": csrf, "kind": kinds[0]})
        assert answer.status_code == (403 if role == "viewer" else 409), role
        await client.aclose()
    assert "A drill needs the running daemon" in answer.text


async def test_a_drill_that_there_is_not_is_refused_on_the_page(served):
    job = await served.monitor()
    client, csrf = await served.sign_in("operator")
    answer = await client.post(f"/w/default/monitors/{job.slug}/drills", data={"csrf": csrf, "kind": "nothing"})
    assert answer.status_code == 400
    assert "Choose one of the drills." in words(answer)
    await client.aclose()


async def test_a_drill_shows_its_steps_with_their_evidence_and_nothing_in_them_is_active(served, viewer):
    job = await served.monitor(name=HOSTILE["html"][:200] if len(HOSTILE["html"]) > 200 else HOSTILE["html"])
    steps = [
        {"key": "signal", "text": "A ping was accepted", "state": "proven", "at": NOW, "detail": "<b>bold</b>"},
        {"key": "told.x", "text": "<script>x</script> was told", "state": "not_proven", "detail": "HTTP 503"},
    ]
    drill = await ended(served, job, "missed", "not_proven", NOW, steps)
    for path in (f"{WHERE}/{drill}", f"/w/default/monitors/{job.slug}/drills", WHERE):
        page = await viewer.get(path)
        assert page.status_code == 200, path
        assert "<b>bold" not in page.text
        assert "<script>x" not in page.text
    said = words(await viewer.get(f"{WHERE}/{drill}"))
    assert "1 of 2 steps proven" in said
    assert re.search("<script>x</script> was told ?not proven ?HTTP 503", said)


async def test_a_drill_of_another_workspace_is_not_found(served):
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    job = await served.monitor()
    drill = await ended(served, job, "missed", "proven", NOW)
    await served.engine.submit(_move(drill))
    client, _ = await served.sign_in("owner")
    assert (await client.get(f"{WHERE}/{drill}")).status_code == 404
    await client.aclose()


def _move(drill):
    async def work(tx):
        await tx.execute(
            "UPDATE drills SET workspace_id = (SELECT id FROM workspaces WHERE slug = 'other') WHERE id = ?", drill
        )

    return work
