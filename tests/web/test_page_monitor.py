"""The monitor page: what it shows of the job, its signals, its schedule and its proof, and that nothing in it acts."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from luota.core.text import visible
from tests.clock import FakeClock
from tests.hostile import HOSTILE
from tests.web.monitor_page import HOUR, WHERE, owner, sign_in
from tests.web.reading import words


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


def latest_signal(page):
    return words(SimpleNamespace(text=re.search(r'id="latest-head".*?</section>', page.text, re.S)[0]))


async def test_of_a_run_the_latest_signal_the_events_and_the_proof_tell_when_it_ended(served, owner):
    client, _ = owner
    job = await served.monitor("run")
    run = await job.started("nightly")
    page = await client.get(f"{WHERE}/{job.id}")
    assert "Endednot heard of yet" in latest_signal(page)
    served.clock.advance(4 * HOUR)
    assert (await job.success(run, {"payload": {"rows": 5}})).status_code == 202
    served.clock.advance(2_000)
    page = await client.get(f"{WHERE}/{job.id}")
    said = latest_signal(page)
    assert "Run success" in said
    assert "Started4 h ago 2026-04-29 01:33:11 UTC" in said
    assert "Ended2 s ago 2026-04-29 05:33:11 UTC" in said
    assert "Payload keysrows" in said
    assert "2 s agostarted 4 h ago" in words(page), "the list of events"
    assert "Healthy signal 2 s ago" in words(page)


async def test_the_run_that_ended_last_is_the_latest_signal_though_many_more_started_after_it(served, owner):
    client, _ = owner
    job = await served.monitor("run")
    long = await job.started("long", {"host": "slow1"})
    for number in range(26):  # more than the list of events holds
        served.clock.advance(60_000)
        short = await job.started(f"short-{number}", {"host": "fast1"})
        assert (await job.success(short)).status_code == 202
    served.clock.advance(60_000)
    assert (await job.fail(long)).status_code == 202
    said = latest_signal(await client.get(f"{WHERE}/{job.id}"))
    assert "Run failed" in said
    assert "Hostslow1" in said


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
    assert "slot" not in words(page), "a bar of nothing"
    served.clock.advance(2 * HOUR)
    await served.judge()
    assert "should have come by 2026-04-29 02:34:11 UTC" in words(await client.get(f"{WHERE}/{job.id}"))


async def test_occurrences_at_full_minutes_have_their_seconds_where_their_neighbours_do(served, owner):
    client, _ = owner
    for calendar, following in (("*:*:00,30", ("01:33:30", "01:34:00")), ("*:00/5:00", ("01:35", "01:40"))):
        job = await served.monitor(schedule={"calendar": calendar, "timezone": "UTC"})
        said = words(await client.get(f"{WHERE}/{job.slug}"))
        for one in following:
            assert f"Wed 29 Apr {one} (UTC)" in said


@pytest.mark.parametrize(
    ("mode", "fields", "expected", "first", "then"),
    [
        (
            "heartbeat",
            {},
            "a signal every hour",
            "due in 1 h, 2026-04-29 02:33:11 UTC; the overview asks for it from 2026-04-29 02:34:11 UTC on",
            "due in 1 h, 2026-04-29 02:33:11 UTC; an incident opens at 2026-04-29 02:34:11 UTC",
        ),
        (
            "freshness",
            {},
            "an output that is renewed within 1 h",
            "",
            "due in 1 h, 2026-04-29 02:33:11 UTC; an incident opens at 2026-04-29 02:34:11 UTC",
        ),
        (
            "run",
            {"maxRuntimeSeconds": 60},
            "runs whenever they start, each ended within 1 min",
            "whenever a run starts: nothing is due before",
            "whenever a run starts: nothing is due before",
        ),
    ],
)
async def test_a_young_monitor_says_what_is_expected_when_and_what_to_do_next(
    served, owner, sign_in, mode, fields, expected, first, then
):
    viewer, _ = await sign_in(served, "viewer")
    job = await served.monitor(mode, **fields)
    for client in (owner[0], viewer):
        page = await client.get(f"{WHERE}/{job.slug}")
        assert f"Expected{expected} " in words(page)
        assert first in words(page)
        assert page.text.count(f'href="{WHERE}/{job.slug}/integration"') >= 2, "the tab, and the next step"
    await (job.success(await job.started()) if mode == "run" else job.ping())
    page = await owner[0].get(f"{WHERE}/{job.slug}")
    assert re.search(rf"What comes next Expected{expected} Next signal{then}", words(page))
    assert "Deliberate failure is still to be proven." in words(page)
    assert page.text.count(f'href="{WHERE}/{job.slug}/integration"') == 2


async def test_before_the_first_signal_it_has_what_the_job_needs_and_the_token_for_operators_alone(
    served, owner, sign_in
):
    viewer, _ = await sign_in(served, "viewer")
    job = await served.monitor(schedule={"cron": "0 7 * * *", "timezone": "Europe/Helsinki"})
    for client, may in ((owner[0], True), (viewer, False)):
        page = await client.get(f"{WHERE}/{job.slug}")
        needs = re.search(r'id="values-head".*?</section>', page.text, re.S)[0]
        assert served.base in needs
        assert job.id in needs
        assert (job.token in needs, job.token in page.text) == (may, may)
        assert "every day at 07:00, Europe/Helsinki" in words(page)
    await job.ping()
    assert 'id="values-head"' not in (await owner[0].get(f"{WHERE}/{job.slug}")).text


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


async def test_a_monitor_of_another_workspace_is_not_found(served, owner):
    client, _ = owner
    made = await served.api("POST", "/api/workspaces", {"name": "Other", "slug": "other"})
    doc = {"name": "theirs", "mode": "heartbeat", "schedule": {"every": 60}, "graceSeconds": 1}
    theirs = await served.api("POST", f"/api/monitors?workspace={made['workspace']['slug']}", doc)
    assert (await client.get(f"{WHERE}/{theirs['monitor']['id']}")).status_code == 404
    assert (await client.get(f"{WHERE}/theirs")).status_code == 404
    assert (await client.get(f"{WHERE}/nothing")).status_code == 404
