"""The incident page: what broke, what was promised, who owns it, what to do, and who was told."""

import html
import json
import re

import pytest

from luota.core.spec.values import format_instant
from luota.web.dashboard.incident import contact_of
from luota.web.dashboard.times import zoned
from tests.hostile import HOSTILE
from tests.served import NOBODY
from tests.web.incident_page import HOUR, WHERE, WORDS, failed, sign_in, state_of
from tests.web.reading import pre, words


async def test_it_says_what_broke_what_was_promised_who_owns_it_and_what_to_do_before_all_else(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served, {"summary": "disk full", "exitCode": 3, "output": "one\ntwo\n"})
    page = await person.get(path)
    said = words(page)
    parts = (
        WORDS["promise"],
        "failed, open",
        "failed: disk full.",
        "OwnerAnn",
        "What to doOpen the runbook",
        "Acknowledge",
        "Add a note…",
        "Resolve by hand…",
        "Packet Markdown",
        "Expected and arrived",
        "Exit code3",
        "Timeline",
    )
    places = [said.index(part) for part in parts]
    assert places == sorted(places), dict(zip(parts, places, strict=True))
    assert 'href="https://wiki.example.org/pay" rel="noreferrer noopener"' in page.text
    assert pre(page, "Output of the run") == "one\ntwo\n"
    assert '"batch": 7' in pre(page, "Payload of the start")


async def test_it_says_what_changed_since_the_last_healthy_run(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    page = await person.get(path)
    table = re.search(r'<table class="changes">.*?</table>', page.text, re.S)[0]
    assert [re.sub(r"(<[^>]+>)+", "|", row) for row in re.findall(r"<tr>.*?</tr>", table, re.S)][1:] == [
        "|deploy SHA|4b825dc|c0ffee1|",
        "|duration|10 s|1 min 30 s|",
    ]


async def test_misses_and_failures_are_counted_in_all_with_the_one_that_they_stand_below(served, sign_in):
    person = await sign_in(served, "viewer")
    job, path = await failed(served)
    assert "in all" not in words(await person.get(path))
    for again in ("pay-3", "pay-4"):
        served.clock.advance(60_000)
        await job.fail(await job.started(again))
    page = await person.get(path)
    assert "Misses and failures3 in all, the last just now" in words(page)
    assert "2 further failures" in words(page), "on the timeline"
    assert "Misses and failures3" in words(await person.get(f"{path}/print"))


async def test_what_was_expected_is_told_in_the_timezone_of_the_monitor_too(served, sign_in):
    person = await sign_in(served, "viewer")
    job = await served.monitor(schedule={"cron": "0 6 * * *", "timezone": "Europe/Helsinki"}, graceSeconds=1800)
    await job.ping({"payload": {"host": "db-1", "deploySha": "abc"}})
    served.clock.advance(3 * HOUR)
    await served.judge()
    page = await person.get(f"{WHERE}/{(await job.shown())['incidentId']}")
    said = words(page)
    assert "2026-04-29 03:00:00 UTC, Wed 29 Apr 06:00 (UTC+3) in Europe/Helsinki" in said
    assert 'title="2026-04-29 06:00:00 +03:00"' in page.text
    assert "Hostdb-1" in said
    assert "Deploy SHAabc" in said
    assert '"host": "db-1"' in pre(page, "Payload of the last ping")
    assert "No promise was written down" in said
    assert "Nobody is named" in said


async def test_owner_and_runbook_stay_as_they_were_at_the_opening_and_the_present_ones_are_named(served, sign_in):
    person = await sign_in(served, "viewer")
    job, path = await failed(served)
    served.clock.advance(1000)
    await served.api("PATCH", f"/api/monitors/{job.id}", {"owner": "Bob", "runbook": "https://wiki.example.org/new"})
    said = words(await person.get(path))
    assert "OwnerAnn" in said
    assert "as it was at the opening; now Bob" in said
    assert "as it was at the opening; now https://wiki.example.org/new" in said
    assert "Edited since the incident opened" in said


async def test_people_are_named_with_the_name_that_they_chose_and_their_address(served, sign_in):
    person = await sign_in(served)
    await served.engine.writer._db.execute("UPDATE users SET name = 'Ann <b>Ex' WHERE email = 'operator@example.org'")
    job, path = await failed(served)
    await person.post(f"{path}/note", text="looking")
    await person.post(f"{path}/acknowledge", reason="mine")
    other = await sign_in(served, "viewer")
    name = "Ann <b>Ex (operator@example.org)"
    for ending in ("", "/print"):
        said = html.unescape((await other.get(path + ending)).text)
        assert f"Note</b> by {name}" in said
    assert f"Acknowledged by {name}" in words(await other.get(f"/w/default/monitors/{job.id}"))
    assert name in words(await other.get("/w/default/audit"))
    assert 'title="operator@example.org"' in (await person.get(path)).text  # the header


async def test_an_incident_of_another_workspace_is_not_found(served, sign_in):
    person = await sign_in(served)
    await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    made = await served.api("POST", "/api/monitors?workspace=other", {"name": "theirs", "mode": "run"})
    body = {"monitorId": made["monitor"]["id"], "externalRunId": "x"}
    run = (await served.post("/v1/runs/start", body, made["token"])).json()["run"]["id"]
    await served.post(f"/v1/runs/{run}/fail", {"summary": "x"}, made["token"])
    theirs = served.row("SELECT id FROM incidents")[0]
    for wanted in (theirs, NOBODY, "nothing"):
        for ending in ("", "/packet.json", "/packet.md", "/print"):
            assert (await person.get(f"{WHERE}/{wanted}{ending}")).status_code == 404
        for what in ("acknowledge", "note", "resolve"):
            assert (await person.post(f"{WHERE}/{wanted}/{what}", reason="x", text="x")).status_code == 404
    assert state_of(served, f"{WHERE}/{theirs}") == "open"


async def test_a_blind_window_that_overlaps_is_named(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    opened, since = served.row("SELECT opened_at, effective_at FROM incidents i JOIN runs r ON r.id = i.run_id")
    iso = format_instant(since)
    assert f"None on record since {iso[:10]} {iso[11:19]} UTC." in words(await person.get(path))
    assert f"None on record since {iso}." in words(await person.get(f"{path}/print"))
    db = served.engine.writer._db
    for number in range(101):
        await db.execute(
            "INSERT INTO blind_windows (started_at, ended_at, reason) VALUES (?, ?, 'the disk was full')",
            (opened + number * 200_000, opened + number * 200_000 + 180_000),
        )
    for ending in ("", "/print"):
        said = words(await person.get(path + ending))
        assert "3 min" in said
        assert said.count("the disk was full") == 100
        assert "And 1 earlier one." in said
        assert "the wait began anew at its end" in said


async def test_the_incident_of_a_twin_is_labelled_as_a_drill(served, sign_in):
    person = await sign_in(served, "viewer")
    job, path = await failed(served)
    real = await served.monitor("run", name="the real one")
    await served.engine.writer._db.execute("UPDATE monitors SET drill_of = ? WHERE id = ?", (real.id, job.id))
    page = await person.get(path)
    assert '<span class="tag">drill</span>' in page.text
    assert "it failed on purpose, on a twin of the real one. Nobody needs to act." in words(page)
    assert f'href="/w/default/monitors/{real.id}/drills"' in page.text
    assert "Nobody needs to act." in words(await person.get(f"{path}/print"))


async def test_a_drills_incident_asks_for_nothing_and_calls_the_living_monitor_by_no_state_of_the_twin(served, sign_in):
    person = await sign_in(served, "viewer")
    job, path = await failed(served, runbook="https://wiki.example.org/payroll")
    assert "Open the runbook" in words(await person.get(path))
    real = await served.monitor("run", name="the real one")
    db = served.engine.writer._db
    await db.execute("UPDATE monitors SET drill_of = ?, archived_at = 1 WHERE id = ?", (real.id, job.id))
    page = await person.get(path)
    assert "Nothing: it failed on purpose.In earnest: the runbook" in words(page)
    assert "Open the runbook" not in words(page)
    assert "a twin of the real one" in words(page)
    assert '<span class="tag">archived</span>' not in page.text


async def test_what_a_drill_calls_its_own_channel_is_short_on_the_page(served, sign_in):
    person = await sign_in(served, "viewer")
    own = f"dead route of drill {NOBODY}"
    await served.api("POST", "/api/channels", {"type": "webhook", "name": own, "url": "https://x.example.org/"})
    _, path = await failed(served)
    for ending in ("", "/print"):
        page = await person.get(path + ending)
        assert "dead route of the drill" in page.text
        assert NOBODY not in page.text


@pytest.mark.parametrize(
    ("mode", "word", "value"),
    [("run", "Max runtime", "1 d"), ("freshness", "Freshness", "1 h"), ("run", "Tolerance", "")],
)
async def test_each_setting_has_one_name_on_the_form_the_monitor_the_incident_and_the_packet(
    served, sign_in, mode, word, value
):
    person = await sign_in(served)
    job = await served.monitor(mode)
    if mode == "run":
        await job.fail(await job.started())
    else:
        await job.ping()
        served.clock.advance(2 * HOUR)
        await served.judge()
    path = f"{WHERE}/{(await job.shown())['incidentId']}"
    monitor = f"/w/default/monitors/{job.id}"
    for page in (monitor, f"{monitor}/edit", *([path] if value else []), f"{path}/print", f"{path}/packet.md"):
        text = (await person.get(page)).text
        assert word in text, page
        assert not re.search("Renewed within|Fresh for|Longest run|Failures before", text), page


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_jobs_and_people_wrote_is_inert(served, sign_in, name):
    person = await sign_in(served)
    text = HOSTILE[name]
    calm = None
    for given in ("x", text):
        body = {"summary": given[:240], "output": given[:7000], "payload": {"k": given[:3000]}}
        job = await served.monitor("run")
        answer = await job.fail(await job.started(), json.dumps(body, ensure_ascii=False).encode())
        assert answer.status_code == 202, answer.text
        incident = (await job.shown())["incidentId"]
        await person.post(f"{WHERE}/{incident}/note", text=given[:2000])
        await served.engine.writer._db.execute(
            "UPDATE incidents SET monitor_name = ?1, promise = ?1, owner = ?1, runbook = ?1 WHERE id = ?2",
            (given[:500], incident),
        )
        pages = [(await person.get(f"{WHERE}/{incident}{ending}")).text for ending in ("", "/print")]
        active = [re.findall(r"<(?:script|img|iframe|object|a|form)\b", page) for page in pages]
        calm = calm or active
        assert active == calm
        for page in pages:
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", page)
            assert not re.search(r'(?:href|src|action)="(?!/|#|\?)', page)


@pytest.mark.parametrize(
    ("owner", "leads"),
    [
        ("ann@example.org", "mailto:ann@example.org"),
        ("+358 40 123 4567", "tel:+358401234567"),
        ("Ann", None),
        ("", None),
        ("ann@example.org?bcc=eve@example.org", None),
        ("javascript:alert(1)", None),
        ("Ann <ann@example.org>", None),
    ],
)
def test_an_owner_that_is_an_address_or_a_number_can_be_tapped(owner, leads):
    assert contact_of(owner) == leads


def test_an_instant_of_a_zone_carries_its_offset():
    assert zoned(1_777_431_600_000, "Europe/Helsinki") == "2026-04-29 06:00:00 +03:00"
