"""The timeline of an incident: each event, each attempt to tell of it, and what became of each notice."""

import asyncio
import re

import pytest

from tests.receiver import Receiver, reply
from tests.served import LOOPBACK
from tests.web.incident_page import HOUR, WHERE, failed, sign_in, steps
from tests.web.reading import words


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
    assert re.search(r"opened: failed, retrying · \S+ s ago, next attempt in", words(page))


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
    await db.execute(
        "UPDATE deliveries SET state = 'delivered', next_attempt_at = NULL, finished_at = ?", (queued + 120_000,)
    )
    served.clock.advance(60_000)
    await person.post(f"{path}/note", text="between")
    told = steps(await person.get(path))
    begins = ("Opened", "Notice opened to desk: queued", "Attempt 1 to tell", "Note by", "Attempt 2 to tell")
    assert [one.startswith(begin) for one, begin in zip(told, begins, strict=True)] == [True] * 5
    assert "failed after 15 s 2026-04-29 02:35:11 UTC" in told[2]
    assert "delivered after 1 min 10 s 2026-04-29 02:36:51 UTC" in told[4]
    printed = (await person.get(f"{path}/print")).text
    assert re.search(r"02:34:51\.\d+Z</td><td>\s*Notice opened to desk \(webhook\): queued\s*</td>", printed)
    assert re.search(r"02:36:51\.\d+Z</td><td>\s*Attempt 2 to tell desk opened: delivered after 1\smin\s10\ss", printed)


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
    printed = (await person.get(f"{path}/print")).text
    assert re.search(rf"opened to desk: cancelled: {said}\s*</td>", printed)
    assert re.search(rf"<td>cancelled</td><td>[^<]*</td><td>{said}</td>", printed), "among the deliveries"


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
    told = words(await person.get(path))
    assert "4 further misses" in told
    assert "1 further miss2026-04-29" in told
    await served.engine.writer._db.execute("UPDATE incidents SET evidence_count = 9")
    for ending in ("", "/print"):
        assert "And 3 further misses and failures since" in words(await person.get(path + ending))
