"""What is done on the monitor page: pausing, a test notice, the token, archiving; and who may."""

import html
import re

import pytest

from luota.core.spec.incidents import MAX_REASON
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK
from tests.web.monitor_page import HOUR, WHERE, owner, sign_in
from tests.web.reading import words


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
    form |= {"kinds": "failed", "notify": "opened"}
    pages = [
        await client.get(tested.headers["location"]),
        await client.post("/w/default/channels", data=form),
        await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf}, follow_redirects=True),
    ]
    for page in pages:
        shown = re.sub(r"<details.*?</details>", "", page.text, flags=re.S)
        assert shown.count("127.0.0.1 is a loopback address") == (2 if "There is a problem" in shown else 1)
        assert "to allow it, set" not in shown
        assert html.unescape(re.findall(r"<code>(.*?)</code>", shown, re.S)[0]).splitlines() == [
            "[alerts]",
            'allow_networks = ["127.0.0.0/8"]',
        ]


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
    assert answer.headers["location"] == f"{WHERE}/{job.slug}"
    pause = served.engine.registry.monitors[job.id].state.pause
    assert (pause.until, pause.until_healthy) == (None if lasts is None else served.clock.now() + lasts, until_healthy)
    page = await client.get(f"{WHERE}/{job.slug}")
    assert f'action="{WHERE}/{job.slug}/resume"' in page.text
    assert '<p class="done block" role="status" data-while="paused">Paused.</p>' in page.text
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


async def test_a_test_alert_goes_to_every_channel_and_leads_to_what_became_of_each(serve, sign_in):
    served = await serve(allow=LOOPBACK)
    client, csrf = await sign_in(served)
    job = await served.monitor(name="nightly-backup")
    none = await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf}, follow_redirects=True)
    assert "nobody would be told" in words(none)
    async with Receiver() as good, Receiver() as bad:
        bad.default = reply(503, body=b"<b>busy</b>")
        for name, receiver in (("desk", good), ("pager", bad)):
            await served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": receiver.url})
        sent = await client.post(f"{WHERE}/{job.id}/test", data={"csrf": csrf})
        assert (sent.status_code, sent.headers["location"]) == (303, f"{WHERE}/{job.slug}")
        follows = await client.get(sent.headers["location"], headers={"hx-request": "true"})
        assert 'id="tested"' not in follows.text
        page = await client.get(sent.headers["location"])
        again = await client.get(sent.headers["location"])
        assert 'id="tested"' not in again.text, "it is told once"
        told = [request.json for request in (*good.requests, *bad.requests)]
    assert [(one["type"], one["summary"]) for one in told] == [
        ("channel.test", f"A test of the channel {name}, asked for on the page of the monitor {job.slug}.")
        for name in ("desk", "pager")
    ]
    outcome = re.search(r'id="tested".*?</section>', page.text, re.S)[0]
    assert re.search(r"<b>desk</b> delivered", outcome)
    assert re.search(r"<b>pager</b> failed, terminal: .*503", outcome)
    assert "<b>busy" not in page.text
