"""What an operator does with Luota, as they do it."""

import asyncio
import json
import re

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.eyes import PHONE, SLOW_MS, TOO_WIDE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_monitor_is_made_from_a_template_and_its_page_turns_green_when_the_job_calls(browse):
    page = await browse("/w/default", role="operator")
    await page.get_by_role("link", name="New monitor").click()
    await page.get_by_role("link", name=re.compile("^Heartbeat")).click()
    await page.get_by_label("Name").fill("Fresh backup")
    await page.get_by_role("textbox", name="Promise").fill("A copy of the shop exists each morning.")
    await expect(page.locator("#preview")).to_contain_text("02:00")
    await page.get_by_role("button", name="Create monitor").click()
    arrival = page.locator("#arrival")
    await expect(arrival).to_contain_text("Waiting for the first signal")
    await expect(page.locator("html[data-connected=yes]")).to_be_attached()
    await page.evaluate("window.same = true")
    command = await arrival.locator("code").inner_text()
    job = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=-1, stderr=-1)
    said, error = await asyncio.wait_for(job.communicate(), 30)
    assert job.returncode == 0, error
    assert b'"heartbeat"' in said
    await expect(arrival).to_contain_text("Signals arrive")
    await expect(arrival).to_have_class(re.compile("arrival-green"))
    await expect(page.get_by_role("heading", name="The proof path")).to_be_visible()
    assert await page.evaluate("window.same"), "it was loaded again"


async def test_a_form_that_is_wrong_comes_back_with_what_was_typed_and_says_why(browse):
    page = await browse("/w/default/monitors/new?template=heartbeat", role="operator", quiet=False)  # a status of 400
    await page.get_by_label("Name").fill("Wrong schedule")
    await page.get_by_role("textbox", name="Cron").fill("61 2 * * *")
    await page.get_by_role("button", name="Create monitor").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    assert await page.get_by_role("textbox", name="Cron").input_value() == "61 2 * * *"
    assert await page.get_by_role("textbox", name="Cron").get_attribute("aria-invalid") == "true"
    assert await page.get_by_label("Name").input_value() == "Wrong schedule"


async def test_each_drill_is_started_by_its_button_and_ticks_to_its_end_without_a_reload(browse, luota, hook):
    definitions = {
        "missed": ("heartbeat", {"schedule": {"every": 3600}}),
        "failed": ("run", {}),
        "stale": ("freshness", {"expectedFreshnessSeconds": 3600}),
        "dead_route": ("heartbeat", {"schedule": {"every": 3600}}),
    }

    async def run(kind, mode, definition):
        """Start a drill by its button, as it ticks on a phone, and return the name of its monitor."""
        name = f"Drilled {kind}"
        await luota.monitor(name, mode, slug=f"drilled-{kind}".replace("_", "-"), promise="It works.", **definition)
        page = await browse(f"/w/default/monitors/drilled-{kind.replace('_', '-')}/drills", role="operator")
        async with page.expect_navigation():
            await page.locator(f"form:has(input[value={kind}]) button").click()
        await page.set_viewport_size(PHONE)
        await page.evaluate("window.same = true")
        ended = page.locator("section[aria-labelledby=last-head]")
        await expect(ended.get_by_role("heading")).to_contain_text(": proven", timeout=3 * SLOW_MS)
        steps = await ended.get_by_role("listitem").all_inner_texts()
        assert len(steps) == (5 if kind == "dead_route" else 6), steps
        assert all("proven" in step and "not proven" not in step for step in steps), steps
        assert await page.evaluate("window.same"), "it was loaded again"
        assert await page.evaluate(TOO_WIDE) == []
        await page.get_by_role("link", name="its incident").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("drill")
        return name

    kinds = list(definitions)
    names = []
    for two in (kinds[:2], kinds[2:]):  # not more at once than Luota allows
        names += await asyncio.gather(*(run(kind, *definitions[kind]) for kind in two))
    told = [request.json for request in hook.requests]
    for name in names:
        of_it = [notice for notice in told if name in json.dumps(notice)]
        assert len(of_it) == (0 if name == "Drilled dead_route" else 2), name
        assert all("(drill)" in json.dumps(notice) for notice in of_it), name


async def failing(luota, name):
    """A run monitor with an open incident; returns its slug, the job, and the incident's id."""
    slug = name.lower().replace(" ", "-")
    job = await luota.monitor(name, "run", slug=slug, promise="It works.", owner="Ann")
    run = (await luota.run(job, "first")).json()["run"]["id"]
    body = {"summary": "exit status 3", "exitCode": 3, "output": "the disk is full"}
    assert (await luota.post(f"/v1/runs/{run}/fail", job, body)).status_code == 202
    return slug, job, (await luota.incidents(job))[0]["id"]


async def test_an_incident_is_acknowledged_with_a_reason_and_clears_itself_on_recovery(browse, luota):
    _, job, incident = await failing(luota, "Acknowledged job")
    page = await browse(f"/w/default/incidents/{incident}", role="operator")
    await page.get_by_label("Acknowledge").fill("Bob frees the disk")
    await page.get_by_role("button", name="Acknowledge").click()
    verdict = page.get_by_role("heading", name="failed, acknowledged")
    await expect(verdict).to_be_visible()
    await expect(page.locator("#taken")).to_contain_text("Acknowledged by you")
    await expect(page.locator("#done")).to_be_focused()
    await expect(page.locator(".verdict")).to_contain_text("Bob frees the disk")
    await expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    await expect(page.locator("html[data-connected=yes]")).to_be_attached()
    run = (await luota.run(job, "second")).json()["run"]["id"]
    assert (await luota.post(f"/v1/runs/{run}/success", job)).status_code == 202
    await expect(page.get_by_role("heading", name="failed, resolved")).to_be_visible()


async def test_the_packet_of_an_incident_is_taken_along_as_json_and_as_markdown(browse, luota):
    _, _, incident = await failing(luota, "Exported job")
    page = await browse(f"/w/default/incidents/{incident}", role="viewer")
    taken = {}
    for word, ending in (("JSON", "json"), ("Markdown", "md")):
        async with page.expect_download() as download:
            await page.get_by_role("link", name=word).click()
        file = await download.value
        assert file.suggested_filename == f"incident-{incident}.{ending}"
        taken[ending] = (await file.path()).read_text()
    assert json.loads(taken["json"])["incident"]["id"] == incident
    assert taken["md"].startswith("# ")
    for text in taken.values():
        assert "the disk is full" in text
    await page.get_by_role("link", name="Print view").click()
    await expect(page.get_by_text("the disk is full")).to_be_visible()


async def test_a_rotated_token_is_refused_at_once_and_the_new_one_works(browse, luota):
    job = await luota.monitor("Rotated job", slug="rotated-job", schedule={"every": 3600})
    page = await browse("/w/default/monitors/rotated-job", role="operator")
    await page.get_by_text("Rotate the token…").click()
    await page.get_by_role("button", name="Rotate the token").click()
    await expect(page.get_by_text("The token is replaced: the old one is refused from now on.")).to_be_visible()
    old = await luota.ping(job)
    assert (old.status_code, old.json()) == (401, {"error": "Invalid ingest key"})
    shown = page.locator("#token")
    if not await shown.locator("code").is_visible():
        await shown.get_by_text("Show the token").click()
    token = await shown.locator("code").inner_text()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{luota.port}", trust_env=False) as client:
        new = await client.post(f"/v1/monitors/{job.id}/ping", headers={"x-luota-key": token})
    assert new.status_code == 202


async def test_several_monitors_are_paused_at_once_and_no_other(browse, luota):
    jobs = [await luota.monitor(f"Bulk {n}", schedule={"every": 3600}, tags={"batch": "bulk"}) for n in range(3)]
    page = await browse("/w/default?tag=batch%3Dbulk", role="operator")
    for name in ("Bulk 0", "Bulk 2"):
        await page.get_by_role("checkbox", name=f"Choose {name}").check()
    await page.get_by_label("Pause for").select_option("until resumed")
    await page.get_by_role("button", name="Pause").click()
    rows = page.locator("[data-row]")
    await expect(rows.filter(has_text="paused")).to_have_count(2)
    assert page.url.endswith("tag=batch%3Dbulk")
    assert [(await luota.show(job))["status"] for job in jobs] == ["paused", "draft", "paused"]


async def test_filters_live_in_the_address_and_searching_keeps_them(browse):
    page = await browse("/w/default?state=incident&mode=run", role="viewer")
    rows = page.locator("[data-row]")
    await expect(rows.filter(has_text="Payroll export")).to_have_count(1)
    await expect(rows.filter(has_text="Nightly backup")).to_have_count(0)
    await expect(page.get_by_role("navigation", name="Filter by state").locator("[aria-current]")).to_contain_text(
        "incident"
    )
    await page.get_by_role("searchbox", name="Search").fill("training")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"\?(?=.*state=incident)(?=.*mode=run)(?=.*q=training)"))
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Model training")
    await page.get_by_role("link", name="Clear").click()
    await expect(page).to_have_url(re.compile("/w/default$"))
    await expect(rows.filter(has_text="Nightly backup")).to_have_count(1)
