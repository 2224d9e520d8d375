"""The incident page and its print view: what broke, what was promised, who owns it, what to do, and who was told."""

import asyncio
import html
import json
import re

import pytest

from luota.web.dashboard.incident import contact_of
from luota.web.dashboard.times import zoned
from tests.hostile import HOSTILE
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY
from tests.web.tab import tab, too_wide

WHERE = "/w/default/incidents"
HOUR = 3_600_000
WORDS = {"promise": "Pay slips are out by nine", "owner": "Ann", "runbook": "https://wiki.example.org/pay"}


class Person:
    """Somebody who is signed in."""

    def __init__(self, client, csrf):
        self.client, self.csrf = client, csrf

    async def get(self, path):
        return await self.client.get(path)

    async def post(self, path, **fields):
        return await self.client.post(path, data={"csrf": self.csrf, **fields})


@pytest.fixture
async def sign_in():
    people = []

    async def signed_in(served, role="operator"):
        people.append(Person(*await served.sign_in(role)))
        return people[-1]

    yield signed_in
    for person in people:
        await person.client.aclose()


async def failed(served, body=None, **fields):
    """A run monitor whose first run was healthy and whose second failed; the path of its incident."""
    job = await served.monitor("run", **{"name": "Payroll", **WORDS, **fields})
    first = await job.started("pay-1", {"deploySha": "4b825dc", "host": "app1"})
    served.clock.advance(10_000)
    await job.success(first)
    served.clock.advance(HOUR)
    run = await job.started("pay-2", {"deploySha": "c0ffee1", "host": "app1", "payload": {"batch": 7}})
    served.clock.advance(90_000)
    answer = await job.fail(run, body)
    assert answer.status_code == 202, answer.text
    return job, f"{WHERE}/{(await job.shown())['incidentId']}"


def words(page):
    """The text of a page as people read it."""
    text = re.sub(r"<(script|style|title)\b.*?</\1>", "", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))


def pre(page, label):
    """The text of the block that is called `label`."""
    return html.unescape(re.search(rf'<pre [^>]*aria-label="{label}"[^>]*>(.*?)</pre>', page.text, re.S)[1])


def steps(page):
    """The lines of the timeline."""
    found = re.findall(r"<li.*?</li>", re.search(r'<ol class="timeline">(.*?)</ol>', page.text, re.S)[1], re.S)
    return [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", one))).strip() for one in found]


def state_of(served, path):
    return served.row("SELECT state FROM incidents WHERE id = ?", path.rpartition("/")[2])[0]


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


async def test_the_timeline_has_each_event_and_each_attempt_to_tell_of_it_in_order_of_time(serve, sign_in):
    served = await serve(send=True, allow=LOOPBACK)
    person = await sign_in(served)
    async with Receiver() as receiver:
        receiver.default = reply(503, body=b"busy")
        await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": receiver.url})
        _, path = await failed(served)
        async with asyncio.timeout(20):
            while not served.rows("SELECT 1 FROM attempts"):
                await asyncio.sleep(0.02)
        served.clock.advance(1000)
        assert (await person.post(f"{path}/note", text="the disk\nis small")).status_code == 303
        page = await person.get(path)
    told = steps(page)
    begins = ("Opened: failed", "Notice opened to desk: queued", "Attempt 1 to tell desk opened: failed", "Note by")
    for one, begin in zip(told, begins, strict=False):
        assert one.startswith(begin)
    assert "answer 503" in told[2]
    assert "the disk is small" in told[3]
    assert "Next attempt to tell desk in" in told[4]
    assert "desk webhook" in words(page)
    assert re.search(r"opened: failed, retrying \S+ s ago, next attempt in", words(page))


async def test_a_delivery_that_was_taken_names_the_provider_id(served, sign_in):
    person = await sign_in(served, "viewer")
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example.org/"})
    _, path = await failed(served)
    db = served.engine.writer._db
    await db.execute(
        "INSERT INTO attempts (delivery_id, number, started_at, finished_at, ok, status, error, provider_id) "
        "SELECT id, 1, queued_at, queued_at + 30, 1, 200, NULL, 'msg-77' FROM deliveries"
    )
    told = steps(await person.get(path))
    (one,) = [one for one in told if one.startswith("Attempt 1 to tell desk opened: delivered after 30 ms, answer 200")]
    assert "Provider id msg-77" in one


async def test_a_notice_is_delivered_at_the_instant_at_which_it_was_and_only_queued_before(served, sign_in):
    person = await sign_in(served)
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example.org/"})
    _, path = await failed(served)
    queued = served.row("SELECT queued_at FROM deliveries")[0]
    db = served.engine.writer._db
    for number, began, ended, ok in ((1, 5_000, 20_000, 0), (2, 50_000, 120_000, 1)):
        await db.execute(
            "INSERT INTO attempts (delivery_id, number, started_at, finished_at, ok) "
            "SELECT id, ?, ?, ?, ? FROM deliveries",
            (number, queued + began, queued + ended, ok),
        )
    await db.execute("UPDATE deliveries SET state = 'delivered', finished_at = ?", (queued + 120_000,))
    served.clock.advance(60_000)
    await person.post(f"{path}/note", text="between")
    told = steps(await person.get(path))
    begins = ("Opened", "Notice opened to desk: queued", "Attempt 1 to tell", "Note by", "Attempt 2 to tell")
    assert [one.startswith(begin) for one, begin in zip(told, begins, strict=True)] == [True] * 5
    assert "failed after 15 s 2026-04-29 02:35:11 UTC" in told[2]
    assert "delivered after 1 min 10 s 2026-04-29 02:36:51 UTC" in told[4]
    printed = (await person.get(f"{path}/print")).text
    assert re.search(r"02:34:51\.\d+Z</td><td>\s*Notice opened to desk \(webhook\): queued\s*</td>", printed)
    assert re.search(r"02:36:51\.\d+Z</td><td>\s*Attempt 2 to tell desk opened: delivered after 1 min 10 s", printed)


async def test_a_notice_that_was_cancelled_says_so_when_it_was(served, sign_in):
    person = await sign_in(served)
    made = await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example/"})
    _, path = await failed(served)
    served.clock.advance(60_000)
    await served.api("DELETE", f"/api/channels/{made['channel']['id']}")
    told = steps(await person.get(path))
    assert told[1] == "Notice opened to desk: queued 2026-04-29 02:34:51 UTC"
    assert told[2].startswith("Notice opened to desk: cancelled 2026-04-29 02:35:51 UTC")
    assert told[2].endswith("the channel was removed")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("delivered", "a digest told of it instead"),
        ("failed_terminal", "a digest was to tell of it instead: failed, terminal"),
    ],
)
async def test_a_notice_left_to_a_digest_says_what_became_of_the_digest(served, sign_in, state, said):
    person = await sign_in(served)
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example/"})
    _, path = await failed(served)
    db = served.engine.writer._db
    await db.execute(
        "INSERT INTO deliveries (id, workspace_id, channel_id, type, notice, state, queued_at) "
        "SELECT 'digest', workspace_id, channel_id, 'incident.digest', '{}', ?, queued_at FROM deliveries",
        (state,),
    )
    await db.execute(
        "UPDATE deliveries SET state = 'cancelled', next_attempt_at = NULL, told_by = 'digest' WHERE id <> 'digest'"
    )
    told = next(step for step in steps(await person.get(path)) if "cancelled" in step)
    assert told.endswith(said)
    assert re.search(rf"opened to desk: cancelled: {said}\s*</td>", (await person.get(f"{path}/print")).text)


async def test_further_misses_in_a_row_are_one_line_with_each_in_it(served, sign_in):
    person = await sign_in(served)
    job = await served.monitor()
    await job.ping()
    for hour in range(1, 6):
        served.clock.advance(HOUR + (120_000 if hour == 1 else 0))
        await served.judge()
    path = f"{WHERE}/{(await job.shown())['incidentId']}"
    page = await person.get(path)
    assert "4 further misses, 2026-04-29 03:34:11 UTC to 2026-04-29 06:34:11 UTC" in words(page)
    fold = re.search(r'<details id="further-\d+">.*?</details>', page.text, re.S)[0]
    assert fold.count("<li>") == 4
    printed = (await person.get(f"{path}/print")).text
    assert printed.count("<b>4 further misses</b>") == 1
    await person.post(f"{path}/note", text="between")
    served.clock.advance(HOUR)
    await served.judge()
    assert "1 further miss or failure: missed" in words(await person.get(path))
    await served.engine.writer._db.execute("UPDATE incidents SET evidence_count = 9")
    for ending in ("", "/print"):
        assert "And 3 further misses and failures since" in words(await person.get(path + ending))


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


async def test_to_acknowledge_takes_a_reason_and_says_beside_the_field_when_it_is_missing(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    refused = await person.post(f"{path}/acknowledge", reason=" ")
    assert refused.status_code == 400
    assert '<p class="wrong" id="e-reason">' in refused.text
    assert 'href="#f-reason"' in refused.text
    assert state_of(served, path) == "open"
    long = await person.post(f"{path}/acknowledge", reason="x" * 501)
    assert long.status_code == 400
    assert "x" * 501 in long.text
    done = await person.post(f"{path}/acknowledge", reason="Ann looks at the disk")
    assert (done.status_code, done.headers["location"]) == (303, f"{path}?done=acknowledged")
    page = await person.get(done.headers["location"])
    said = words(page)
    assert "failed, acknowledged" in said
    assert re.search(r"Acknowledged by you .{1,20}: Ann looks at the disk", said)
    assert 'id="f-reason"' not in page.text
    assert re.search(r'id="taken" role="status" tabindex="-1" data-focus>', page.text)
    assert "data-focus" not in (await person.get(path)).text
    followed = await person.client.get(f"{path}?done=acknowledged", headers={"hx-request": "true"})
    assert 'id="taken"' in followed.text
    assert "data-focus" not in followed.text  # what one does meanwhile keeps the focus
    other = await sign_in(served, "viewer")
    assert "Acknowledged by operator@example.org" in words(await other.get(path))


async def test_a_second_acknowledgement_loses_no_word_of_what_was_written(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    await person.post(f"{path}/acknowledge", reason="first")
    second = await person.post(f"{path}/acknowledge", reason="the disk is on order")
    assert second.status_code == 409
    assert ">the disk is on order</textarea>" in second.text
    assert "You have acknowledged it already" in words(second)
    assert (await person.post(f"{path}/acknowledge", reason="first")).status_code == 303  # a form that was sent twice


async def test_who_acknowledges_just_after_another_is_told_who_was_first(served, sign_in):
    ann, bob = await sign_in(served), await sign_in(served, "owner")
    _, path = await failed(served)
    answers = await asyncio.gather(
        ann.post(f"{path}/acknowledge", reason="I look"), bob.post(f"{path}/acknowledge", reason="I look")
    )
    assert sorted(one.status_code for one in answers) == [303, 409]
    (told,) = [words(one) for one in answers if one.status_code == 409]
    assert re.search(r"(operator|owner)@example\.org has acknowledged it already", told)


async def test_a_note_is_added_in_any_state_and_a_blank_one_is_refused_beside_its_field(served, sign_in):
    person = await sign_in(served)
    _, path = await failed(served)
    refused = await person.post(f"{path}/note", text=" \r\n ")
    assert refused.status_code == 400
    assert 'id="e-text"' in refused.text
    await person.post(f"{path}/resolve")
    done = await person.post(f"{path}/note", text="a\r\nb")
    assert done.headers["location"] == f"{path}?done=noted"
    assert served.row("SELECT text, actor FROM incident_events WHERE type = 'note'")[0] == "a\nb"
    assert "The note is on the timeline." in words(await person.get(f"{path}?done=noted"))


async def test_to_resolve_by_hand_asks_first_and_leaves_the_monitor_unverified(served, sign_in):
    person = await sign_in(served)
    job, path = await failed(served)
    asked = re.search(r'<details id="resolve".*?</details>', (await person.get(path)).text, re.S)[0]
    assert "the monitor is unverified until its next signal" in asked
    assert (await person.post(f"{path}/resolve", reason="y" * 501)).status_code == 400
    done = await person.post(f"{path}/resolve", reason="paid by hand")
    assert done.headers["location"] == f"{path}?done=resolved"
    assert (await job.shown())["status"] == "unverified"
    page = await person.get(done.headers["location"])
    said = words(page)
    assert "The monitor is unverified until its next signal." in said
    assert "failed, resolved" in said
    (step,) = [one for one in steps(page) if one.startswith("Resolved")]
    assert re.fullmatch(r"Resolved by hand by operator@example.org.{23}paid by hand", step)
    assert re.search(r"Resolved by hand by you .{1,20}: paid by hand", said)
    printed = words(await person.get(f"{path}/print"))
    assert ", by hand by operator@example.org: paid by hand" in printed
    assert 'id="resolve"' not in page.text
    for what in ("resolve", "acknowledge"):
        again = await person.post(f"{path}/{what}", reason="once more")
        assert again.status_code == 409
        assert "The incident is resolved already." in words(again)


async def test_a_viewer_is_offered_the_packet_and_no_change(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    text = (await person.get(path)).text
    assert f'action="{path}' not in text
    assert f'href="{path}/packet.md"' in text
    for what in ("acknowledge", "note", "resolve"):
        assert (await person.post(f"{path}/{what}", reason="x", text="x")).status_code == 403
    assert state_of(served, path) == "open"


async def test_the_packet_is_handed_out_as_the_api_has_it_to_a_viewer_too(served, sign_in):
    person = await sign_in(served, "viewer")
    _, path = await failed(served)
    incident = path.rpartition("/")[2]
    for ending, kind in (("json", "application/json"), ("md", "text/markdown; charset=utf-8")):
        answer = await person.get(f"{path}/packet.{ending}")
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"] == f'attachment; filename="incident-{incident}.{ending}"'
        wanted = await served.api(
            "GET", f"/api/incidents/{incident}/packet?format={'json' if ending == 'json' else 'markdown'}"
        )
        if ending == "json":
            assert json.loads(answer.text) == wanted["packet"]
        else:
            assert answer.text == wanted["markdown"]


async def test_the_print_view_is_whole_and_still_and_stands_on_its_own(served, sign_in):
    person = await sign_in(served)
    output = "line\n" * 6000 + "the end"
    _, path = await failed(served, {"summary": "disk full", "exitCode": 3, "output": output})
    await person.post(f"{path}/note", text="the disk is small")
    page = await person.get(f"{path}/print")
    assert output in html.unescape(page.text)
    said = words(page)
    for part in (WORDS["promise"], "disk full", "Ann", WORDS["runbook"], "the disk is small", "c0ffee1"):
        assert part in said, part
    assert served.row("SELECT run_id FROM incidents")[0] in said
    for live in ("data-live", "hx-", "<form", "data-when", "data-exact", "<nav"):
        assert live not in page.text, live


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
    assert "None: Luota was watching all the time." in words(await person.get(path))
    opened = served.row("SELECT opened_at FROM incidents")[0]
    db = served.engine.writer._db
    await db.execute(
        "INSERT INTO blind_windows (started_at, ended_at, reason) VALUES (?, ?, 'the disk was full')",
        (opened + 1000, opened + 181_000),
    )
    for ending in ("", "/print"):
        said = words(await person.get(path + ending))
        assert "3 min" in said
        assert "the disk was full" in said


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


async def test_what_is_typed_stays_while_the_page_follows_what_happens_on_a_phone(served):
    signed_in, csrf = await served.sign_in("operator")
    job, path = await failed(served, {"summary": "s" * 240, "output": "x" * 30_000}, name="n" * 100)
    async with tab(served.base, "operator@example.org", path) as page:
        await page.wait_for_selector("html[data-connected=yes]")
        assert await page.locator("#acknowledge button").bounding_box()
        await page.fill("#f-reason", "half a sen")
        await page.click("#add-note summary")
        await page.fill("#f-text", "a long no")
        await page.click("#resolve summary")
        await page.fill("#f-resolve", "perhaps")
        await signed_in.post(f"{path}/note", data={"csrf": csrf, "text": "from elsewhere"})
        await page.wait_for_selector(".timeline >> text=from elsewhere")
        given = [await page.input_value(field) for field in ("#f-reason", "#f-text", "#f-resolve")]
        assert given == ["half a sen", "a long no", "perhaps"]
        served.clock.advance(1000)
        await job.success(await job.started("pay-3"))
        await page.wait_for_selector("#verdict >> text=failed, resolved")
        assert await page.locator("#acknowledge").count() == 0
        assert await page.input_value("#f-text") == "a long no"
        for ending in ("", "/print"):
            await page.goto(served.base + path + ending)
            assert not await too_wide(page), ending
    await signed_in.aclose()


@pytest.mark.parametrize(
    ("today", "shown"),
    [
        ("2026-04-29T18:00Z", "05:34:51"),
        ("2026-06-01T18:00Z", "29 Apr, 05:34:51"),
        ("2027-01-01T18:00Z", "29 Apr 2026, 05:34:51"),
    ],
)
async def test_times_are_as_short_as_the_day_allows_and_exact_on_hover_and_on_paper(served, today, shown):
    _, path = await failed(served)
    exact = "29 Apr 2026, 05:34:51 GMT+3"
    client, _ = await served.sign_in("viewer")
    async with tab(
        served.base, "viewer@example.org", path, now=today, timezone_id="Europe/Helsinki", locale="en-GB"
    ) as page:
        time = page.locator(".timeline time").first
        await page.wait_for_selector(".timeline time[data-local]")
        assert await time.text_content() == shown
        assert await time.get_attribute("title") == f"{exact} (2026-04-29 02:34:51 UTC)"
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert await time.text_content() == exact
        assert await page.locator(".since time").text_content() == exact
        await page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert await time.text_content() == shown
        await client.aclose()
