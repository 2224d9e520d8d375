"""Editing a monitor: what is not changed stays, and nobody undoes what another has changed meanwhile."""

import asyncio
import json
import re

import pytest

from tests.served import NOW
from tests.web.define_page import WHERE, owner, posted  # noqa: F401
from tests.web.reading import words

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("heartbeat", {"schedule": {"every": 5400}, "tags": {"a=b": "c"}, "reminderSeconds": 600}),
        ("heartbeat", {"schedule": {"cron": "@daily", "timezone": "Asia/Tokyo"}, "failuresBeforeIncident": 3}),
        ("run", {"schedule": {"calendar": "Mon..Fri 08:00", "timezone": "UTC"}, "maxRuntimeSeconds": 90}),
        ("run", {"promise": "One\ntwo"}),
        ("freshness", {"expectedFreshnessSeconds": 100_000, "graceSeconds": 0, "channels": ["desk"]}),
    ],
)
async def test_saving_what_was_not_changed_changes_nothing(served, owner, mode, fields):
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://a.example.org/x"})
    job = await served.monitor(mode, **fields)
    before = await job.shown()
    form = posted((await owner.get(f"{WHERE}/{job.slug}/edit")).text)
    answer = await owner.post(f"{WHERE}/{job.slug}/edit", data=form)
    assert answer.headers["location"] == f"{WHERE}/{job.slug}"
    assert await job.shown() == before
    assert served.rows("SELECT 1 FROM audit_entries WHERE action = 'monitor.edit'") == []


async def test_the_page_to_which_an_edit_leads_says_once_that_it_is_saved_and_nothing_where_nothing_was(served, owner):
    job = await served.monitor()
    form = posted((await owner.get(f"{WHERE}/{job.slug}/edit")).text)
    for owned, said in (("Ann", 1), ("Ann", 0)):
        answer = await owner.post(f"{WHERE}/{job.slug}/edit", data={**form, "owner": owned})
        pages = [(await owner.get(answer.headers["location"])).text for _ in range(2)]
        assert [page.count("Saved.") for page in pages] == [said, 0]
        form = posted((await owner.get(f"{WHERE}/{job.slug}/edit")).text)


async def test_an_emptied_slug_and_channels_in_another_order_are_no_change(served, owner):
    for name in ("desk", "pager"):
        await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": "https://a.example.org/x"})
    job = await served.monitor(channels=["pager", "desk"])
    form = posted((await owner.get(f"{WHERE}/{job.slug}/edit")).text)
    for order in (["pager", "desk"], ["desk", "pager"]):
        answer = await owner.post(f"{WHERE}/{job.slug}/edit", data={**form, "slug": "", "channels": order})
        assert answer.headers["location"] == f"{WHERE}/{job.slug}"
    assert served.rows("SELECT 1 FROM audit_entries WHERE action = 'monitor.edit'") == []


async def test_an_edit_sets_the_deadline_anew_and_neither_opens_nor_resolves(served, owner):
    job = await served.monitor()
    await job.ping()
    served.clock.advance(2 * HOUR)
    await served.judge()
    incident = (await job.shown())["incidentId"]
    assert incident
    page = await owner.get(f"{WHERE}/{job.slug}/edit")
    assert "It neither opens nor resolves an incident" in words(page)
    form = posted(page.text) | {"every": "1", "unit": "d", "slug": "renamed"}
    answer = await owner.post(f"{WHERE}/{job.slug}/edit", data=form)
    assert answer.headers["location"] == f"{WHERE}/renamed"
    shown = await job.shown()
    assert (shown["schedule"], shown["incidentId"]) == ({"every": 86_400}, incident)
    assert served.engine.registry.monitors[job.id].state.expected_at == NOW + 24 * HOUR
    (detail,) = served.row("SELECT detail FROM audit_entries WHERE action = 'monitor.edit'")
    found = json.loads(detail)
    assert (set(found["changes"]), set(found["before"])) == ({"slug", "schedule"}, {"slug", "schedule"})


async def test_a_wrong_edit_is_said_beside_its_field_and_changes_nothing(served, owner):
    job = await served.monitor()
    form = posted((await owner.get(f"{WHERE}/{job.id}/edit")).text)
    page = await owner.post(f"{WHERE}/{job.id}/edit", data={**form, "name": "New", "graceSeconds": "soon"})
    assert page.status_code == 400
    assert 'id="e-graceSeconds"' in page.text
    assert posted(page.text)["name"] == "New"
    assert (await job.shown())["name"] == "a heartbeat job"


async def test_a_form_that_is_older_than_another_edit_is_refused_once_and_then_undoes_none_of_it(served, owner):
    job = await served.monitor()
    path = f"{WHERE}/{job.slug}/edit"
    first, second = [posted((await owner.get(path)).text) for _ in range(2)]
    assert (await owner.post(path, data={**first, "promise": "A copy exists"})).status_code == 303
    page = await owner.post(path, data={**second, "owner": "Ann", "preview": "1"})
    page = await owner.post(path, data={**posted(page.text), "graceSeconds": "30"})
    assert page.status_code == 409
    assert "Somebody has changed this monitor since this form was opened" in words(page)
    assert (await job.shown())["promise"] == "A copy exists"
    assert (await owner.post(path, data=posted(page.text))).status_code == 303
    shown = await job.shown()
    assert (shown["promise"], shown["owner"], shown["graceSeconds"]) == ("A copy exists", "Ann", 30)


async def test_what_the_other_has_changed_is_told_field_by_field_beside_what_one_has_oneself(served, owner):
    job = await served.monitor(graceSeconds=60)
    path = f"{WHERE}/{job.slug}/edit"
    form = posted((await owner.get(path)).text)
    theirs = {"graceSeconds": 300, "promise": "<i>Done</i>", "schedule": {"cron": "0 7 * * *", "timezone": "UTC"}}
    await served.api("PATCH", f"/api/monitors/{job.id}", {**theirs, "owner": "Bob"})
    page = await owner.post(path, data={**form, "graceSeconds": "90s", "owner": "Bob"})
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))
    assert page.status_code == 409
    assert "Grace 5 min 1 min 30 s stands below" in said
    assert "Promise &lt;i&gt;Done&lt;/i&gt; not touched: theirs stands below" in said
    assert "Schedule every day at 07:00, UTC not touched: theirs stands below" in said
    assert "Owner Bob" not in said, "both have changed it to the same"
    assert "<i>Done" not in page.text
    assert 'href="/w/default/audit?of=monitor"' in page.text
    both = posted(page.text)
    assert (both["graceSeconds"], both["kind"], both["cron"]) == ("90s", "cron", "0 7 * * *")


@pytest.mark.parametrize("base", ["", "[]", "{}", '{"name": "x"}', "\x00", "[" * 3000], ids=range(6))
async def test_a_form_that_does_not_tell_what_it_was_loaded_with_keeps_what_was_typed(served, owner, base):
    job = await served.monitor()
    path = f"{WHERE}/{job.slug}/edit"
    form = posted((await owner.get(path)).text)
    await served.api("PATCH", f"/api/monitors/{job.id}", {"promise": "Done"})
    page = await owner.post(path, data={**form, "loaded": base, "owner": "Ann"})
    assert page.status_code == 409
    assert "To save again puts all of it in place of theirs" in words(page)
    assert (posted(page.text)["owner"], posted(page.text)["promise"]) == ("Ann", "")


async def test_of_two_forms_saved_at_the_same_moment_one_is_refused(served, owner):
    job = await served.monitor()
    path = f"{WHERE}/{job.slug}/edit"
    form = posted((await owner.get(path)).text)
    given = ({**form, "owner": "Ann"}, {**form, "promise": "A copy exists"})
    answers = await asyncio.gather(*(owner.post(path, data=one) for one in given))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    shown = await job.shown()
    assert (shown["owner"], shown["promise"]).count(None) == 1


async def test_a_schedule_that_has_run_out_may_stay_and_no_other_such_may_come(served, owner):
    job = await served.monitor(schedule={"calendar": "2026-05-01 02:00"})
    served.clock.advance(4 * 24 * HOUR)
    form = posted((await owner.get(f"{WHERE}/{job.id}/edit")).text)
    assert (await owner.post(f"{WHERE}/{job.id}/edit", data={**form, "owner": "Ann"})).status_code == 303
    assert (await job.shown())["owner"] == "Ann"
    form = posted((await owner.get(f"{WHERE}/{job.id}/edit")).text)
    wrong = {"calendar": "2026-05-01 03:00", "graceSeconds": "soon"}
    page = await owner.post(f"{WHERE}/{job.id}/edit", data={**form, **wrong})
    assert re.findall(' id="e-([^"]*)"', page.text) == list(wrong), "both at once"
