"""What became of a notice is told alike on every page."""

import re

import pytest

from luota.core.retry import AttemptResult
from luota.engine.deliveries import RecordAttempt
from tests.web.incident_page import steps
from tests.web.reading import words

HOME = "/w/default"
HOUR = 3_600_000


async def attempted(served, *, ok=False, again=HOUR):
    """A notice of a failed run and its first attempt, which ended an hour after it was queued; its pages."""
    made = await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example/"})
    channel = made["channel"]["id"]
    job = await served.monitor("run", name="Payroll")
    await job.fail(await job.started())
    served.clock.advance(HOUR)
    now = served.clock.now()
    (delivery,) = served.row("SELECT id FROM deliveries WHERE channel_id = ?", channel)
    result = AttemptResult(ok=ok, error=None if ok else "HTTP 503")
    await served.engine.submit(RecordAttempt(delivery, channel, 1, now - 40, now, result, again and now + again))
    served.clock.advance(120_000)
    incident = (await job.shown())["incidentId"]
    places = (f"monitors/{job.slug}", "channels", f"channels/{channel}", f"incidents/{incident}")
    return [f"{HOME}/{one}" for one in places]


@pytest.mark.parametrize(
    ("outcome", "word"),
    [({}, "failed, retrying"), ({"again": None}, "failed, terminal"), ({"ok": True, "again": None}, "delivered")],
)
async def test_every_page_tells_the_state_of_a_delivery_since_its_last_attempt(served, outcome, word):
    pages = await attempted(served, **outcome)
    client, _ = await served.sign_in("viewer")
    told = {page: re.findall(rf"{word} · (\d+ \w+) ago", words(await client.get(page))) for page in pages}
    assert {page: set(found) for page, found in told.items()} == {page: {"2 min"} for page in pages}
    await client.aclose()


async def refused(served, rests_until=None):
    """The newest delivery was attempted in vain just now; it is tried again in ten minutes."""
    now = served.clock.now()
    delivery, channel = served.row("SELECT id, channel_id FROM deliveries ORDER BY seq DESC LIMIT 1")
    result = AttemptResult(ok=False, error="HTTP 429")
    record = RecordAttempt(delivery, channel, 1, now, now, result, now + HOUR // 6, rests_until=rests_until)
    await served.engine.submit(record)


async def behind_a_rest(served, job):
    other = await served.monitor("run", name="Other")
    await other.fail(await other.started())
    await refused(served, served.clock.now() + HOUR // 6)
    await job.fail(await job.started())


async def behind_an_opening(served, job):
    run = await job.started()
    served.clock.advance(61_000)
    await served.judge()
    await refused(served)
    await job.fail(run)


async def behind_a_delay(served, job):
    await served.api("PATCH", "/api/channels/desk", {"delaySeconds": 600})
    await job.fail(await job.started())


async def test_a_rest_that_is_over_is_not_told_of_what_is_still_to_be_tried_again(served):
    job = await served.monitor("run", name="Payroll")
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example/"})
    await job.fail(await job.started())
    await refused(served, served.clock.now() + HOUR // 6 + 1000)
    path = f"{HOME}/incidents/{(await job.shown())['incidentId']}"
    client, _ = await served.sign_in("viewer")
    why = "the channel rests until then"
    for advance, rests in ((0, True), (HOUR // 6 + 1000, False)):
        served.clock.advance(advance)
        pages = [(await client.get(one)).text for one in (path, f"{path}/print")]
        assert "Next attempt to tell desk" in words(await client.get(path))
        assert [why in page for page in pages] == [rests] * 2
        assert (why.capitalize() in pages[0]) is rests
    await client.aclose()


@pytest.mark.parametrize(
    ("held_up", "why"),
    [
        (behind_a_rest, "the channel rests until then"),
        (behind_an_opening, "an earlier notice goes first"),
        (behind_a_delay, "held back by the delay of the channel"),
    ],
)
async def test_what_waits_is_shown_with_its_next_attempt_and_why_until_that_has_come(served, held_up, why):
    made = await served.api("POST", "/api/channels", {"type": "webhook", "name": "desk", "url": "https://x.example/"})
    job = await served.monitor("run", name="Payroll", maxRuntimeSeconds=60)
    await held_up(served, job)
    path = f"{HOME}/incidents/{(await job.shown())['incidentId']}"
    client, _ = await served.sign_in("viewer")
    said = rf"queued · just now *, next attempt in 10 min \({why}\)"
    page = await client.get(path)
    assert re.search(said, words(page))
    assert re.search(rf"Next attempt to tell desk in 10 min .* UTC *{why.capitalize()}", steps(page)[-1])
    assert re.search(said, words(await client.get(f"{HOME}/channels/{made['channel']['id']}")))
    assert re.search(
        rf"<td>queued</td><td>[^/]*next attempt<br>[^<]*<br>{why}<", (await client.get(f"{path}/print")).text
    )
    served.clock.advance(HOUR // 6)
    for shown in (await client.get(path), await client.get(f"{path}/print")):
        assert why not in shown.text
    await client.aclose()
