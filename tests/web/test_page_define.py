"""A new monitor from a template: what the form means, what it foretells, what it refuses."""

import re
from html.parser import HTMLParser

import pytest

from luota.core.text import visible
from luota.web.dashboard.templates_of_monitors import TEMPLATES
from tests.hostile import HOSTILE
from tests.web.define_page import WHERE, owner, posted  # noqa: F401
from tests.web.reading import words
from tests.web.tab import tab, too_wide


def active(text):
    """What of a page could act."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag in ("iframe", "object", "embed", "img", "base") or (
                tag == "script" and "src" not in dict(attributes)
            ):
                found.append(tag)
            for name, value in attributes:
                if name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:"):
                    found.append(f"{tag} {name}={value}")

    Reader().feed(text)
    return found


async def defined(served, slug):
    return (await served.api("GET", f"/api/monitors/{slug}"))["monitor"]


async def test_every_template_is_offered_with_what_it_proves(owner):
    page = await owner.get(f"{WHERE}/new")
    for template in TEMPLATES.values():
        assert f'href="{WHERE}/new?template={template.key}"' in page.text
        assert template.proves in words(page)


@pytest.mark.parametrize("key", TEMPLATES)
async def test_a_name_is_all_that_a_template_needs(served, owner, key):
    form = posted((await owner.get(f"{WHERE}/new?template={key}")).text)
    answer = await owner.post(WHERE, data={**form, "name": "My job"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{WHERE}/my-job/integration")
    made = await defined(served, "my-job")
    assert (made["mode"], made["status"]) == (TEMPLATES[key].mode, "draft")
    assert served.row("SELECT target FROM audit_entries WHERE action = 'monitor.create'") == (made["id"],)


async def test_all_fields_arrive_in_the_definition(served, owner):
    for name in ("desk", "pager"):
        await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": "https://a.example.org/x"})
    form = posted((await owner.get(f"{WHERE}/new?template=run")).text)
    form |= {"name": "Job", "promise": "It is done.", "kind": "calendar", "calendar": "Mon..Fri 08:00"}
    form |= {"timezone": "Europe/Helsinki", "graceSeconds": "10m", "maxRuntimeSeconds": "2h", "owner": "Ann"}
    form |= {"runbook": "https://wiki.example.org/x", "tags": "team=ops\n\nregion = eu \n", "environment": "production"}
    form |= {"failuresBeforeIncident": "3", "reminderSeconds": "1h", "slug": "the-job", "channels": ["desk", "pager"]}
    answer = await owner.post(WHERE, data=form)
    assert answer.headers["location"] == f"{WHERE}/the-job/integration"
    made = await defined(served, "the-job")
    expected = {
        "name": "Job",
        "promise": "It is done.",
        "schedule": {"calendar": "Mon..Fri 08:00", "timezone": "Europe/Helsinki"},
        "graceSeconds": 600,
        "maxRuntimeSeconds": 7200,
        "owner": "Ann",
        "runbook": "https://wiki.example.org/x",
        "tags": {"team": "ops", "region": "eu"},
        "environment": "production",
        "failuresBeforeIncident": 3,
        "reminderSeconds": 3600,
        "channels": ["desk", "pager"],
    }
    assert {key: made[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("key", "wrong", "field", "said"),
    [
        ("heartbeat", {"name": " "}, "name", "Name must not be empty"),
        ("heartbeat", {"kind": "none"}, "kind", "Schedule is required"),
        ("heartbeat", {"kind": "every", "every": "often"}, "every", "The interval must be a whole number"),
        ("heartbeat", {"cron": "0 2 * *"}, "cron", "has 4 fields"),
        ("heartbeat", {"kind": "calendar", "calendar": "someday"}, "calendar", "is not a systemd calendar"),
        ("heartbeat", {"timezone": "Europe/Helsinky"}, "timezone", "did you mean Europe/Helsinki?"),
        ("heartbeat", {"graceSeconds": "soon"}, "graceSeconds", "Grace must be a whole number"),
        (
            "run",
            {"maxRuntimeSeconds": "0"},
            "maxRuntimeSeconds",
            "Max runtime must be a whole number of seconds, or one like 90s, 5m, 2h or 1d, from 1 s to 3650 d",
        ),
        (
            "heartbeat",
            {"kind": "every", "every": "1h", "unit": "m"},
            "every",
            "The interval must be a whole number of seconds, minutes, hours or days, from 1 s to 366 d.",
        ),
        ("freshness", {"expectedFreshnessSeconds": ""}, "expectedFreshnessSeconds", "Freshness is required"),
        ("run", {"failuresBeforeIncident": "0"}, "failuresBeforeIncident", "Tolerance must be a whole number"),
        ("run", {"reminderSeconds": "1m"}, "reminderSeconds", "from 5 min to 30 d, or 0 for none"),
        ("run", {"runbook": "wiki"}, "runbook", "must be an address"),
        ("run", {"tags": "team"}, "tags", "as key=value"),
        ("run", {"tags": "team=a\nteam=b"}, "tags", "each key once"),
        ("run", {"tags": f"team={'x' * 121}"}, "tags", "at most 120 characters"),
        ("run", {"slug": "My Job"}, "slug", "small letters"),
        ("run", {"channels": "graceSeconds"}, "channels", "There is no channel graceSeconds"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(served, owner, key, wrong, field, said):
    form = posted((await owner.get(f"{WHERE}/new?template={key}")).text)
    form |= {"name": "Job", "owner": "the owner", **wrong}
    page = await owner.post(WHERE, data=form)
    assert page.status_code == 400
    assert said in words(page)
    assert f'href="#f-{field}"' in page.text
    assert f'id="f-{field}"' in page.text
    assert words(page).count(said) >= 2, "in the summary, and beside the field"
    again = posted(page.text)
    kept = form.keys() - {"channels"} - ({"kind"} if field == "kind" else set())  # what cannot be chosen is not
    assert {name: again.get(name) for name in kept} == {name: form[name] for name in kept}
    assert served.rows("SELECT id FROM monitors") == []


SEVERAL = {"name": " ", "cron": "0 2 * *", "timezone": "Europe/Helsinky", "graceSeconds": "soon", "runbook": "wiki"}
SEVERAL |= {"tags": "team", "failuresBeforeIncident": "0", "reminderSeconds": "1m", "slug": "taken"}


@pytest.mark.parametrize("where", ["new", "edit"])
async def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_page(served, owner, where):
    await served.monitor(slug="taken")
    job = await served.monitor(slug="job", schedule={"cron": "0 3 * * *"})
    path = {"new": f"{WHERE}/new?template=heartbeat", "edit": f"{WHERE}/job/edit"}[where]
    form = {**posted((await owner.get(path)).text), **SEVERAL}
    page = await owner.post({"new": WHERE, "edit": f"{WHERE}/job/edit"}[where], data=form)
    assert page.status_code == 400
    summary = page.text[page.text.index("There is a problem") :]
    assert re.findall('href="#f-([^"]*)"', summary[: summary.index("</ul>")]) == list(SEVERAL)
    assert set(re.findall(' id="e-([^"]*)"', page.text)) == set(SEVERAL)
    assert {name: posted(page.text)[name] for name in SEVERAL} == SEVERAL
    assert served.rows("SELECT 1 FROM audit_entries WHERE action = 'monitor.edit'") == []
    assert (await job.shown())["schedule"]["cron"] == "0 3 * * *"
    assert len(served.rows("SELECT id FROM monitors")) == 2


async def test_a_slug_that_is_taken_is_said_beside_it(served, owner):
    await served.monitor(name="One", slug="one")
    form = posted((await owner.get(f"{WHERE}/new?template=heartbeat")).text)
    page = await owner.post(WHERE, data={**form, "name": "Two", "slug": "one"})
    assert page.status_code == 409
    assert "slug one is taken" in page.text.casefold()
    assert '<details class="card more" id="more" open>' in page.text


async def test_an_unknown_template_creates_nothing(served, owner):
    form = posted((await owner.get(f"{WHERE}/new?template=run")).text)
    assert (await owner.post(WHERE, data={**form, "name": "Job", "template": "x"})).status_code == 400
    assert served.rows("SELECT id FROM monitors") == []


# -- the preview -------------------------------------------------------------------------------------------


async def test_times_of_the_preview_have_seconds_where_one_of_them_needs_them(served, owner):
    fields = "mode=heartbeat&kind=cron&cron=0+2+*+*+*&timezone=UTC"
    said = words(await owner.get(f"{WHERE}/preview?{fields}&graceSeconds=90s"))
    assert "Wed 29 Apr 02:00:00" in said
    assert "02:01:30" in said
    said = words(await owner.get(f"{WHERE}/preview?{fields}&graceSeconds=5m"))
    assert "02:00 " in said
    assert "02:00:00" not in said


async def test_without_a_script_the_preview_is_a_button_that_creates_and_changes_nothing(served, owner):
    form = posted((await owner.get(f"{WHERE}/new?template=heartbeat")).text)
    page = await owner.post(WHERE, data={**form, "preview": "1", "kind": "every", "every": "5", "unit": "m"})
    assert "Every 5 minutes" in words(page)
    assert served.rows("SELECT id FROM monitors") == []
    job = await served.monitor()
    form = posted((await owner.get(f"{WHERE}/{job.id}/edit")).text)
    page = await owner.post(f"{WHERE}/{job.id}/edit", data={**form, "preview": "1", "every": "7", "unit": "m"})
    assert "Every 7 minutes" in words(page)
    assert (await job.shown())["schedule"] == {"every": 3600}


async def test_a_name_that_another_monitor_has_is_said_with_the_slug_that_the_new_one_gets(served, owner):
    await served.monitor(name="Nightly backup")
    job = await served.monitor(name="Other")
    form = posted((await owner.get(f"{WHERE}/new?template=heartbeat")).text)
    said = "Another monitor is called Nightly backup already"
    page = await owner.get(f"{WHERE}/preview?mode=heartbeat&name=nightly+Backup")
    assert said in words(page)
    assert "the slug of this one will be nightly-backup-2, for nightly-backup is taken" in words(page)
    assert "only their slugs" in words(await owner.get(f"{WHERE}/preview?name=Nightly+backup&slug=x"))
    assert said not in words(await owner.get(f"{WHERE}/preview?name=Nightly"))
    assert said in words(await owner.post(WHERE, data={**form, "name": "Nightly backup", "preview": "1"}))
    answer = await owner.post(WHERE, data={**form, "name": "Nightly backup"})
    assert answer.headers["location"] == f"{WHERE}/nightly-backup-2/integration"
    page = await owner.get(f"{WHERE}/preview?name=Other&of={job.id}")
    assert "Another monitor" not in words(page)
    assert "Another monitor" not in words(await owner.get(f"{WHERE}/other/edit"))
    assert said in words(await owner.get(f"{WHERE}/nightly-backup/edit"))


async def test_no_slug_is_called_taken_where_the_monitor_of_that_name_has_one_of_its_own(served, owner):
    await served.monitor(name="Backup", slug="nightly")
    said = words(await owner.get(f"{WHERE}/preview?mode=heartbeat&name=Backup"))
    assert "Two may be: the slug of this one will be backup." in said
    assert "is taken" not in said
    await served.monitor(name="Other", slug="backup")
    said = words(await owner.get(f"{WHERE}/preview?mode=heartbeat&name=Backup"))
    assert "the slug of this one will be backup-2, for backup is taken." in said


async def test_the_form_says_what_an_empty_grace_means(owner):
    for mode in ("heartbeat", "run", "freshness"):
        assert "0 s if it is left empty" in words(await owner.get(f"{WHERE}/new?template={mode}"))


# -- the edit ----------------------------------------------------------------------------------------------


async def test_viewers_are_refused_the_forms_and_the_changes(served):
    client, csrf = await served.sign_in("viewer")
    job = await served.monitor()
    for path in ("new", "preview", f"{job.id}/edit"):
        assert (await client.get(f"{WHERE}/{path}")).status_code == 403
    for path in (WHERE, f"{WHERE}/{job.id}/edit"):
        form = {"csrf": csrf, "template": "heartbeat", "name": "x", "kind": "every", "every": "1", "unit": "h"}
        assert (await client.post(path, data=form)).status_code == 403
    assert served.rows("SELECT name FROM monitors") == [("a heartbeat job",)]
    await client.aclose()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_nothing_that_a_person_wrote_is_active_in_the_forms(served, owner, text):
    line = visible(text)[:100]
    job = await served.monitor(name=line, promise=text[:400], owner=text[:100], tags={"k": line})
    form = posted((await owner.get(f"{WHERE}/new?template=heartbeat")).text)
    pages = [
        await owner.get(f"{WHERE}/{job.id}/edit"),
        await owner.get(f"{WHERE}/{job.id}/integration"),
        await owner.post(WHERE, data={**form, "name": line, "cron": line, "timezone": line, "tags": line}),
    ]
    for page in pages:
        assert page.status_code in (200, 400)
        assert active(page.text) == []


async def test_the_form_foretells_as_one_types_and_knows_the_viewers_timezone(served, owner):
    await served.monitor(name="Nightly backup")
    async with tab(served.base, "owner@example.org", f"{WHERE}/new", timezone_id="Europe/Helsinki") as page:
        await page.click("text=Heartbeat")
        await page.wait_for_selector("#preview:has-text('Every day at 02:00, Europe/Helsinki')")
        await page.fill("#f-cron", "*/5 * * * *")
        await page.wait_for_selector("#preview:has-text('Every 5 minutes')")
        assert await page.evaluate("document.activeElement.id") == "f-cron"
        await page.fill("#f-cron", "*/5 *")
        await page.wait_for_selector("#preview:has-text('has 2 fields')")
        await page.check("#f-kind-every")
        await page.wait_for_selector("#preview:has-text('Every hour')")
        assert not await page.is_visible("#f-cron")
        await page.fill("#f-name", "Nightly backup")
        await page.wait_for_selector("#namesake:has-text('the slug of this one will be nightly-backup-2')")
        assert await page.evaluate("document.activeElement.id") == "f-name"
        assert not await too_wide(page)
        await page.fill("#f-name", "Hourly import")
        await page.press("#f-name", "Enter")
        await page.wait_for_selector("#arrival:has-text('Waiting for the first signal')")
    assert (await defined(served, "hourly-import"))["schedule"] == {"every": 3600}
