"""The monitor page: the promise, the present fact and why, what can be done about it, and what others may not do."""

import html
import re
from html.parser import HTMLParser

import pytest

from luota.core.spec.incidents import MAX_REASON
from luota.core.text import visible
from luota.web.dashboard.charts import Column, columns
from tests.clock import FakeClock
from tests.hostile import HOSTILE
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOW
from tests.web.tab import tab, too_wide

HOUR = 3_600_000
WHERE = "/w/default/monitors"


class Found(HTMLParser):
    """What of a page could act."""

    def __init__(self, text):
        super().__init__()
        self.active, self.ids, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("iframe", "object", "embed", "img", "base") or (tag == "script" and "src" not in given):
            self.active.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:"):
                self.active.append(f"{tag} {name}={value}")
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given)


def words(page):
    """The text of a page as people read it."""
    text = re.sub(r"<(script|style|title)\b.*?</\1>", "", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text)))


@pytest.fixture
async def sign_in():
    """A function that signs somebody in; returns the client, which is closed at the end, and its CSRF token."""
    clients = []

    async def signed_in(served, role="owner"):
        client, csrf = await served.sign_in(role)
        clients.append(client)
        return client, csrf

    yield signed_in
    for client in clients:
        await client.aclose()


@pytest.fixture
async def owner(served, sign_in):
    return await sign_in(served)


async def test_it_says_the_promise_first_then_the_present_verdict_and_why_it_holds(served, owner):
    client, _ = owner
    job = await served.monitor(promise="A restorable backup exists every hour.", owner="Ann")
    await job.ping()
    served.clock.advance(HOUR + 30_000)
    await served.judge()
    said = words(await client.get(f"{WHERE}/{job.slug}"))
    assert "No ping since 2026-04-29 01:33:11 UTC, expected 2026-04-29 02:33:11 UTC, grace 1 min." in said
    assert "nobody is told before the deadline" in said
    assert "in 30 s" in said
    assert said.index("A restorable backup") < said.index("late since") < said.index("No ping since")


async def test_an_incident_is_named_with_its_run_its_owner_and_a_form_to_acknowledge_it(served, owner):
    client, _ = owner
    job = await served.monitor("run", owner="HR")
    run = await job.started()
    await job.fail(run, {"summary": "disk full", "exitCode": 3})
    page = await client.get(f"{WHERE}/{job.id}")
    incident = (await job.shown())["incidentId"]
    assert f'<a href="/w/default/runs/{run}">Run {run[:8]}…</a> failed: disk full.' in page.text
    assert "Owner: HR" in words(page)
    assert "The newest one was real." in words(page)
    action = f"/w/default/incidents/{incident}/acknowledge"
    assert f'action="{action}"' in page.text
    await served.api("POST", f"/api/incidents/{incident}/acknowledge", {"reason": "on it"})
    page = await client.get(f"{WHERE}/{job.id}")
    assert re.search("Acknowledged by operator .{1,20}: on it", words(page))
    assert f'action="{action}"' not in page.text


async def test_in_an_incident_it_says_once_what_was_expected_and_what_comes_next(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR + 120_000)
    await served.judge()
    page = await client.get(f"{WHERE}/{job.id}")
    facts = re.search(r'<dl class="facts next">.*?</dl>', page.text, re.S)[0]
    rows = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", facts, re.S)
    told = [(name, html.unescape(re.sub(r"<[^>]+>", " ", text)).split()) for name, text in rows]
    assert [(name, f"{text[-3]} {text[-2]}") for name, text in told[:2]] == [
        ("Was expected", "2026-04-29 02:33:11"),
        ("Next expected", "2026-04-29 03:33:11"),
    ]
    assert told[2][0] == "Next deadline"
    assert "2026-04-29 03:34:11 UTC, grace 1 min" in " ".join(told[2][1]).replace(" ,", ",")
    assert "expected 2026-04-29 02:33:11 UTC" in words(page)
    assert len(rows) == 3


async def test_an_open_incident_keeps_its_reason_and_its_age_after_a_resume_and_a_further_miss(served, owner):
    client, csrf = owner
    job = await served.monitor()
    await job.ping()
    served.clock.advance(HOUR + 60_000)
    await served.judge()
    for step in ("pause", "resume", "miss"):
        served.clock.advance(2 * HOUR)
        await (served.judge() if step == "miss" else client.post(f"{WHERE}/{job.id}/{step}", data={"csrf": csrf}))
        page = await client.get(f"{WHERE}/{job.id}")
        said = words(page)
        assert "No ping since 2026-04-29 01:33:11 UTC, expected 2026-04-29 02:33:11 UTC, grace 1 min." in said
        if step == "pause":
            assert "The incident stays open; nobody is reminded." in said
            assert "missed, open, opened 2 h ago: No ping" in said
        else:
            assert (
                'incident</span></span> <span class="since">since <time datetime="2026-04-29T02:34:11.398Z"'
                in page.text
            )
            assert "resumed" not in re.search(r'<p class="why">.*?</p>', page.text, re.S)[0]
    assert re.search("[23] misses and failures so far", said)


async def test_a_reason_may_be_as_long_as_it_is_taken(served, owner):
    client, csrf = owner
    job = await served.monitor("run")
    await job.fail(await job.started())
    text = (await client.get(f"{WHERE}/{job.id}")).text
    assert re.findall(r'name="reason"[^>]* maxlength="(\d+)"', text) == [str(MAX_REASON)] * 2
    incident = f"/w/default/incidents/{(await job.shown())['incidentId']}"
    for length, status in ((MAX_REASON + 1, 400), (MAX_REASON, 303)):
        answer = await client.post(f"{incident}/acknowledge", data={"csrf": csrf, "reason": "x" * length})
        assert answer.status_code == status


async def test_a_refused_address_is_told_once_with_the_lines_that_allow_it(serve, sign_in):
    served = await serve(send=True)
    client, csrf = await sign_in(served)
    made = await served.api(
        "POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example.org"}
    )
    db = served.engine.writer._db
    await db.execute("UPDATE channels SET settings = json_set(settings, '$.url', 'http://127.0.0.1:9/')")
    job = await served.monitor()
    tested = await client.post(f"/w/default/channels/{made['channel']['id']}/test", data={"csrf": csrf})
    form = {"csrf": csrf, "type": "webhook", "name": "near", "url": "http://127.0.0.1:9/"}
    pages = [
        await client.get(tested.headers["location"]),
        await client.post("/w/default/channels", data=form),
        await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf}),
    ]
    for page in pages:
        shown = re.sub(r"<details.*?</details>", "", page.text, flags=re.S)
        assert shown.count("127.0.0.1 is a loopback address") == (2 if "There is a problem" in shown else 1)
        assert "to allow it, set" not in shown
        assert html.unescape(re.findall(r"<code>(.*?)</code>", shown, re.S)[0]).splitlines() == [
            "[alerts]",
            'allow_networks = ["127.0.0.0/8"]',
        ]


async def test_what_the_latest_signal_did_not_send_has_no_row(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    facts = re.search(r'id="latest-head".*?</dl>', (await client.get(f"{WHERE}/{job.id}")).text, re.S)[0]
    assert re.findall(r"<dt>(.*?)</dt>", facts) == ["Received", "Payload"]
    assert "none sent" in facts
    run = await served.monitor("run")
    page = await client.get(f"/w/default/runs/{await run.started()}")
    assert "not given" not in page.text
    assert "<dt>Host</dt>" not in page.text


async def test_a_viewer_is_offered_no_change_and_never_sees_the_token(served, sign_in):
    client, csrf = await sign_in(served, "viewer")
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "ops", "url": "https://hooks.example.org/x"})
    job = await served.monitor()
    await job.ping()
    page = await client.get(f"{WHERE}/{job.id}")
    assert page.status_code == 200
    assert job.token not in page.text
    assert set(re.findall(r'<form method="post" action="([^"]+)"', page.text)) == {"/sign-out"}
    for what in ("pause", "resume", "archive", "token", "test"):
        answer = await client.post(f"{WHERE}/{job.id}/{what}", data={"csrf": csrf})
        assert answer.status_code == 403, what
    assert (await job.shown())["status"] == "healthy"


@pytest.mark.parametrize(
    ("choice", "lasts", "until_healthy"),
    [
        ("1h", HOUR, False),
        ("8h", 8 * HOUR, False),
        ("1d", 24 * HOUR, False),
        ("healthy", None, True),
        ("", None, False),
    ],
)
async def test_a_pause_lasts_as_long_as_chosen_and_a_resume_ends_it(served, owner, choice, lasts, until_healthy):
    client, csrf = owner
    job = await served.monitor()
    answer = await client.post(f"{WHERE}/{job.id}/pause", data={"csrf": csrf, "for": choice})
    assert answer.headers["location"] == f"{WHERE}/{job.slug}?done=paused"
    pause = served.engine.registry.monitors[job.id].state.pause
    assert (pause.until, pause.until_healthy) == (None if lasts is None else served.clock.now() + lasts, until_healthy)
    assert f'action="{WHERE}/{job.slug}/resume"' in (await client.get(f"{WHERE}/{job.slug}")).text
    await client.post(f"{WHERE}/{job.id}/resume", data={"csrf": csrf})
    assert served.engine.registry.monitors[job.id].state.pause is None


async def test_the_old_token_is_refused_from_the_moment_at_which_it_is_rotated(served, owner):
    client, csrf = owner
    job = await served.monitor()
    assert job.token in (await client.get(f"{WHERE}/{job.id}")).text
    answer = await client.post(f"{WHERE}/{job.id}/token", data={"csrf": csrf})
    assert answer.status_code == 303
    assert (await job.ping()).status_code == 401
    page = await client.get(answer.headers["location"])
    job.token = re.search(r"wfm1\.[\w-]+", page.text)[0]
    assert (await job.ping()).status_code == 202


async def test_an_archived_monitor_stays_readable_as_history_and_nothing_can_be_done_to_it(served, owner):
    client, csrf = owner
    job = await served.monitor(promise="Kept promise")
    await job.ping({"payload": {"rows": 7}})
    page = await client.get(f"{WHERE}/{job.slug}")
    assert "signals are refused" in words(page)  # what will be lost is named before
    answer = await client.post(f"{WHERE}/{job.slug}/archive", data={"csrf": csrf})
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    said = words(page)
    assert "archived" in said
    assert "Kept promise" in said
    assert '{"rows": 7}' in said
    assert set(re.findall(r'<form method="post" action="([^"]+)"', page.text)) == {"/sign-out"}
    assert job.token not in page.text
    assert (await client.post(f"{WHERE}/{job.id}/pause", data={"csrf": csrf})).status_code == 404


async def test_a_test_alert_goes_to_every_channel_and_shows_what_became_of_each(serve, sign_in):
    served = await serve(allow=LOOPBACK)
    client, csrf = await sign_in(served)
    job = await served.monitor()
    none = await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf})
    assert "nobody would be told" in words(none)
    async with Receiver() as good, Receiver() as bad:
        bad.default = reply(503, body=b"<b>busy</b>")
        for name, receiver in (("desk", good), ("pager", bad)):
            await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": receiver.url})
        page = await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf})
        assert page.status_code == 200
        assert [request.json["type"] for request in (*good.requests, *bad.requests)] == ["channel.test"] * 2
    outcome = re.search(r'id="tested".*?</section>', page.text, re.S)[0]
    assert re.search(r"<b>desk</b> delivered", outcome)
    assert re.search(r"<b>pager</b> failed, terminal: .*503", outcome)
    assert "<b>busy" not in page.text


async def test_only_the_channels_that_hear_of_the_monitor_are_listed(served, owner):
    client, _ = owner
    for name in ("desk", "pager"):
        doc = {"type": "webhook", "name": name, "url": f"https://{name}.example.org/x"}
        await served.api("POST", "/api/channels", doc)
    own, all_ = await served.monitor(name="one", channels=["desk"]), await served.monitor(name="two")

    async def listed(job):
        text = (await client.get(f"{WHERE}/{job.id}")).text
        return re.findall(r">(desk|pager)</a>", re.search(r'id="channels-head".*?</section>', text, re.S)[0])

    assert await listed(own) == ["desk"]
    assert await listed(all_) == ["desk", "pager"]


async def test_the_history_is_judged_by_another_grace_when_one_is_tried(served, owner):
    client, _ = owner
    job = await served.monitor(graceSeconds=60)
    for _ in range(8):
        await job.ping()
        served.clock.advance(HOUR + 5 * 60_000)  # five minutes late each time
    await served.judge()
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert re.search(r"With this schedule and grace, the last 8 h 40 min would have opened 8 incidents", said)
    said = words(await client.get(f"{WHERE}/{job.id}?grace=10m"))
    assert re.search(r"With interval 1h, grace 10m, the last 8 h 40 min would have opened 0 incidents", said)
    assert "Suggested grace" in said
    assert (await job.shown())["graceSeconds"] == 60


async def test_what_passed_while_paused_is_not_judged_when_the_history_is(served, owner):
    client, csrf = owner
    job = await served.monitor()
    await job.ping()
    await client.post(f"{WHERE}/{job.id}/pause", data={"csrf": csrf, "for": ""})
    served.clock.advance(5 * HOUR)
    await client.post(f"{WHERE}/{job.id}/resume", data={"csrf": csrf})
    await job.ping()
    assert "the last 5 h would have opened 0 incidents" in words(await client.get(f"{WHERE}/{job.id}"))


async def test_a_value_that_cannot_be_tried_is_shown_again_with_what_is_wrong(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    for field, value in (("grace", "soon"), ("interval", "0"), ("interval", "soon")):
        page = await client.get(f"{WHERE}/{job.id}?{field}={value}")
        assert page.status_code == 400
        assert f'href="#f-{field}"' in page.text
        assert re.search(rf'id="f-{field}"[^>]*value="{value}"[^>]*aria-invalid="true"', page.text)
        assert f"{field.capitalize()} must be " in words(page), "it is called what stands over the field"


async def test_the_proof_path_names_the_next_step_of_what_is_not_proven(served, owner):
    client, _ = owner
    bare = await served.monitor(name="bare")
    text = (await client.get(f"{WHERE}/{bare.id}")).text
    for step in ("/integration", "/drills", "/edit"):
        assert f'href="{WHERE}/{bare.slug}{step}"' in text
    assert "There is no channel: nobody would be told." in text
    job = await served.monitor(name="full", owner="Ann", runbook="https://wiki.example.org/x")
    await job.ping()
    text = re.search(r'id="proof-head".*?</section>', (await client.get(f"{WHERE}/{job.id}")).text, re.S)[0]
    assert text.count('href="#m-healthy"') == 3  # signal, owner, runbook


async def test_the_schedule_is_in_words_with_its_next_occurrences_and_the_change_of_the_clock(serve, sign_in):
    served = await serve(clock=FakeClock(1_774_602_000_000))  # 2026-03-27T09:00Z, two days before summer time
    client, _ = await sign_in(served)
    job = await served.monitor(schedule={"cron": "0 7 * * *", "timezone": "Europe/Helsinki"}, graceSeconds=60)
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert "every day at 07:00, Europe/Helsinki" in said
    assert "Sat 28 Mar 07:00 (UTC+2)" in said
    assert "Sun 29 Mar 07:00 (UTC+3) clock change" in said
    assert "clocks go forward by 1 h" in said


async def test_a_blind_window_is_named_beside_the_bar(serve, sign_in):
    clock = FakeClock(NOW)
    first = await serve("one", clock=clock)
    job = await first.monitor(schedule={"every": 600}, graceSeconds=60)
    await job.ping()
    clock.step(2 * HOUR)
    await first.engine.stamp()
    await first.judge()
    client, _ = await sign_in(first)
    said = words(await client.get(f"{WHERE}/{job.id}"))
    windows = first.engine.registry.windows.all
    assert windows
    assert "Luota was not watching from 2026-04-29 01:33" in said
    assert "for 2 h" in said
    assert "unverified" in said


async def test_the_latest_signal_shows_its_keys_origin_and_both_clocks(served, owner):
    client, _ = owner
    job = await served.monitor()
    sent = {"payload": {"host": "db1", "deploySha": "4f2c9e1", "rows": 12.50}, "occurredAt": "2026-04-29T01:20:00Z"}
    assert (await job.ping(sent)).status_code == 202
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert "Payload keyshost, deploySha, rows" in said
    assert "Hostdb1" in said
    assert "Deploy SHA4f2c9e1" in said
    assert "2026-04-29 01:20:00 UTC, 13 min before it was received clock skew" in said


async def test_runs_are_drawn_with_their_limit_and_lead_to_their_pages(served, owner):
    client, _ = owner
    job = await served.monitor("run", maxRuntimeSeconds=300)
    ids = []
    for number in range(30):
        ids.append(await job.started(f"n-{number}"))
        served.clock.advance(120_000)
        await job.success(ids[-1], {"payload": {"n": number}})
    page = await client.get(f"{WHERE}/{job.id}")
    events = re.search(r'id="events-head".*?</section>', page.text, re.S)[0]
    assert re.findall(r"/w/default/runs/([0-9a-f-]{36})", events) == ids[:4:-1]
    chart = re.search(r'<svg class="chart".*?</svg>', page.text, re.S)[0]
    assert chart.count('class="chart-bar ') == 30
    assert "limit 5 min" in chart
    assert "2 min, success, started" in chart


async def test_a_runbook_is_a_link_only_where_it_is_an_address_of_the_web(served, owner):
    client, _ = owner
    for runbook, leads in (
        ("https://wiki.example.org/x", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https:", False),
        ("ask Ann", False),
    ):
        job = await served.monitor(name=runbook)
        db = served.engine.writer._db  # as a file of an older version, or a looser rule, could have it
        await db.execute("UPDATE monitors SET runbook = ? WHERE id = ?", (runbook, job.id))
        page = await client.get(f"{WHERE}/{job.id}")
        links = [link for link in Found(page.text).links if link.get("href") == runbook]
        assert bool(links) == leads
        assert all(link["rel"] == "noreferrer noopener" for link in links)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_nothing_that_a_job_or_a_person_wrote_is_active(served, owner, text):
    client, _ = owner
    line = visible(text)[:100]
    job = await served.monitor("run", name=line, promise=text[:400], owner=text[:100], tags={"k": visible(text)[:100]})
    first = await job.started(text[:150], {"host": text[:150], "payload": {text[:200]: text[:4000]}})
    await job.fail(first, {"summary": text[:200], "output": text[:9000], "payload": {"x": text[:4000]}})
    for path in (f"{WHERE}/{job.id}", f"/w/default/runs/{first}"):
        page = await client.get(path)
        assert page.status_code == 200
        found = Found(page.text)
        assert found.active == []
        assert len(found.ids) == len(set(found.ids))


async def test_a_monitor_that_never_signalled_says_by_when_it_should_have_and_leads_to_the_set_up(served, owner):
    client, _ = owner
    job = await served.monitor()
    page = await client.get(f"{WHERE}/{job.id}")
    assert "Waiting for the first signal" in words(page)
    assert re.search(rf'class="button" href="{WHERE}/{job.slug}/integration"', page.text)
    served.clock.advance(2 * HOUR)
    await served.judge()
    assert "should have come by 2026-04-29 02:34:11 UTC" in words(await client.get(f"{WHERE}/{job.id}"))


async def test_failures_below_the_tolerance_are_counted_in_words(served, owner):
    client, _ = owner
    job = await served.monitor("run", failuresBeforeIncident=3)
    await job.fail(await job.started())
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert "failing since" in said
    assert "That is 1 of 3: an incident opens at 3." in said


async def test_a_drill_proves_a_deliberate_failure_until_it_is_too_old(served, sign_in):
    client, _ = await sign_in(served)
    job, twin = await served.monitor(), await served.monitor(name="twin")
    db = served.engine.writer._db
    await db.execute("UPDATE monitors SET drill_of = ? WHERE id = ?", (job.id, twin.id))
    at = served.clock.now()
    await db.execute(
        "INSERT INTO drills SELECT 'd', workspace_id, ?, id, 'missed', 'proven', '[]', ?, ?, 'ann' FROM monitors WHERE id = ?",
        (job.id, at, at, twin.id),
    )
    assert "A drill proved the path." in words(await client.get(f"{WHERE}/{job.id}"))
    served.clock.advance(91 * 24 * HOUR)
    client, _ = await sign_in(served, "viewer")
    assert "The last proof is too old." in words(await client.get(f"{WHERE}/{job.id}"))
    answer = await client.get(f"{WHERE}/{twin.id}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{WHERE}/{job.id}/drills")


async def test_a_limit_far_above_all_durations_is_drawn_and_said_to_be_out_of_scale():
    far = columns([Column(60_000, "success", "<b>&")], 86_400_000, "limit", "how long")
    assert "limit 1 d, far above: not to scale" in far
    assert "&lt;b&gt;&amp;" in far
    near = columns([Column(60_000, "success", "x")], 90_000, "limit", "how long")
    assert "limit 1 min 30 s<" in near
    assert far.count('class="chart-limit"') == near.count('class="chart-limit"') == 1
    assert columns([], 1000, "limit", "how long") == ""


async def test_a_monitor_of_another_workspace_is_not_found(served, owner):
    client, _ = owner
    made = await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    doc = {"name": "theirs", "mode": "heartbeat", "schedule": {"every": 60}, "graceSeconds": 1}
    theirs = await served.api("POST", f"/api/monitors?workspace={made['workspace']['slug']}", doc)
    assert (await client.get(f"{WHERE}/{theirs['monitor']['id']}")).status_code == 404
    assert (await client.get(f"{WHERE}/theirs")).status_code == 404
    assert (await client.get(f"{WHERE}/nothing")).status_code == 404


async def test_it_follows_live_while_what_is_typed_and_open_stays(serve, sign_in):
    served = await serve()
    await sign_in(served)
    job = await served.monitor("run", promise="It is done.")
    run = await job.started()
    await job.fail(run, {"summary": "boom"})
    async with tab(served.base, "owner@example.org", f"{WHERE}/{job.slug}") as page:
        await page.wait_for_selector("html[data-connected=yes]")
        await page.click("#slots summary")
        await page.fill("#f-reason", "I am looking")
        again = await job.started("job-43", {"payload": {"long": "x" * 30_000}})
        await page.wait_for_selector(f'#events-head ~ table a[href$="{again}"]')
        assert await page.input_value("#f-reason") == "I am looking"
        assert await page.evaluate("document.activeElement.id") == "f-reason"
        assert await page.evaluate("document.getElementById('slots').open")
        assert not await too_wide(page)
        served.clock.advance(60_000)
        await job.success(again)
        await page.wait_for_selector("#verdict .s-healthy")
        assert await page.query_selector("#f-reason") is None
