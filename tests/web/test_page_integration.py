"""The integration tab: real values to copy, none of them for viewers, and the first signal as it arrives."""

import asyncio
import html
import re

import pytest

from luota.core.model import Mode
from luota.web.dashboard.integration import placeholders
from luota.web.snippets import snippets
from tests.web.reading import words

WHERE = "/w/default/monitors"


@pytest.fixture
async def owner(served):
    client, _ = await served.sign_in()
    yield client
    await client.aclose()


@pytest.mark.parametrize("mode", Mode)
async def test_each_snippet_stands_on_the_page_with_the_real_address_id_and_token(served, owner, mode):
    job = await served.monitor(mode)
    schedule = served.engine.registry.monitors[job.id].rules.schedule
    offered = snippets(mode, served.base, job.id, job.token, f"a {mode} job", schedule)
    first = await owner.get(f"{WHERE}/{job.slug}/integration")
    for one in offered:
        assert f'href="{WHERE}/{job.slug}/integration?for={one.key}#wiring"' in first.text
        page = await owner.get(f"{WHERE}/{job.slug}/integration?for={one.key}")
        shown = [html.unescape(text) for text in re.findall(r"<code>([^<]*)</code></pre>", page.text)]
        for name, text in one.files:
            assert text in shown
            assert f"<h3><code>{html.escape(name)}</code></h3>" in page.text
        assert one.notes in words(page)
        assert job.token in shown
    assert same_files(first.text, (await owner.get(f"{WHERE}/{job.slug}/integration?for=nonsense")).text)


@pytest.mark.parametrize("mode", Mode)
async def test_what_people_have_to_replace_in_a_snippet_is_named_above_it(served, owner, mode):
    job = await served.monitor(mode)
    for one in snippets(mode, served.base, job.id, job.token, "x"):
        found = placeholders(one.files)
        assert bool(found) == any("your-" in text for _, text in one.files), one.key
        page = await owner.get(f"{WHERE}/{job.slug}/integration?for={one.key}")
        assert ("Replace " in words(page)) == bool(found)
        for placeholder in found:
            assert f"<code>{html.escape(placeholder)}</code>" in page.text


def same_files(one, other):
    """Tell whether two pages show the same files."""
    return re.findall(r"<code>[^<]*</code>", one) == re.findall(r"<code>[^<]*</code>", other)


@pytest.mark.parametrize("mode", Mode)
async def test_a_viewer_reads_every_snippet_and_no_token(served, mode):
    client, _ = await served.sign_in("viewer")
    job = await served.monitor(mode)
    for one in snippets(mode, served.base, job.id, job.token, "x"):
        page = await client.get(f"{WHERE}/{job.slug}/integration?for={one.key}")
        assert page.status_code == 200
        assert "wfm1." not in page.text
        assert "Operators see it" in page.text
    await client.aclose()


async def test_it_waits_for_the_first_signal_and_then_shows_the_way_on(served, owner):
    job = await served.monitor()
    before = words(await owner.get(f"{WHERE}/{job.slug}/integration"))
    assert "Waiting for the first signal" in before
    assert "proof path" not in before
    await job.ping()
    page = await owner.get(f"{WHERE}/{job.slug}/integration")
    assert "Waiting" not in words(page)
    assert "arrival-green" in page.text
    assert "The proof path from here" in words(page)
    for step in ("Run a drill", "Add a channel", "Add the owner", "Add the runbook"):
        assert step in words(page)


@pytest.mark.parametrize(
    ("mode", "fields", "before", "after"),
    [
        ("heartbeat", {}, "once it is overdue", "a ping that stays away past its deadline opens an incident"),
        ("run", {}, "nobody is told. After", "a run that fails or hangs opens an incident"),
        (
            "run",
            {"schedule": {"every": 60}},
            "once it is overdue",
            "a run that fails, hangs or does not start by its deadline opens an incident",
        ),
        ("freshness", {}, "once it is overdue", "an output that is older than it may be opens an incident"),
    ],
)
async def test_it_says_what_happens_before_and_after_the_first_signal(served, owner, mode, fields, before, after):
    job = await served.monitor(mode, **fields)
    said = words(await owner.get(f"{WHERE}/{job.slug}/integration"))
    assert "Before that no incident opens and nobody is told" in said
    assert before in said
    assert f"After it, {after}" in said


async def test_a_run_that_has_only_started_is_not_yet_the_proof(served, owner):
    job = await served.monitor("run")
    run = await job.started()
    page = await owner.get(f"{WHERE}/{job.slug}/integration")
    assert "Waiting for the first one that ends well" in words(page)
    assert "arrival-green" not in page.text
    await job.success(run)
    assert "arrival-green" in (await owner.get(f"{WHERE}/{job.slug}/integration")).text


async def test_a_job_in_an_incident_is_not_drawn_green(served, owner):
    job = await served.monitor()
    await job.ping()
    served.clock.advance(2 * 3_600_000)
    await served.judge()
    page = await owner.get(f"{WHERE}/{job.slug}/integration")
    assert "arrival-green" not in page.text
    assert f'The monitor is <a href="{WHERE}/{job.slug}">in an incident</a> at present' in page.text


@pytest.mark.parametrize("mode", ["heartbeat", "freshness"])
async def test_the_command_to_send_one_by_hand_is_accepted(served, owner, mode):
    job = await served.monitor(mode)
    page = await owner.get(f"{WHERE}/{job.slug}/integration")
    command = html.unescape(re.search(r"<code>(curl [^<]*)</code>", page.text)[1])
    process = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=asyncio.subprocess.PIPE)
    await process.communicate()
    assert process.returncode == 0
    assert (await job.shown())["status"] == "healthy"


async def test_people_see_a_twin_with_its_monitor_alone(served, owner):
    job, twin = await served.monitor(), await served.monitor(name="twin")
    live = served.engine.registry.monitors[twin.id]
    live.drill_of = job.id
    for tab in ("integration", "edit"):
        answer = await owner.get(f"{WHERE}/{twin.id}/{tab}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{WHERE}/{job.id}/drills")


PROXIED = "Luota listens on this machine alone, so a reverse proxy here must pass on what comes to this address."


@pytest.mark.parametrize(
    ("host", "reached_at", "hint"),
    [
        ("127.0.0.1", None, "Jobs on this machine alone reach it. For others set [server] host to the address"),
        ("0.0.0.0", None, "Jobs on this machine alone reach it. For others set [server] public_url to the address"),
        ("::1", "http://192.0.2.7:8080", PROXIED),
        ("0.0.0.0", "http://192.0.2.7:8080", None),
    ],
)
async def test_an_address_that_other_machines_may_not_reach_comes_with_what_to_set(serve, host, reached_at, hint):
    served = await serve(host=host, reached_at=reached_at)
    monitor = await served.monitor()
    client, _ = await served.sign_in("operator")
    answer = await client.get(f"/w/default/monitors/{monitor.id}/integration")
    said = words(answer)
    if hint is None:
        assert "on this machine" not in said
    else:
        assert hint in said
        assert said.index(hint) < said.index("Monitor id"), "it is of the address"
    await client.aclose()
