"""What became of a notice is told alike on every page."""

import re

import pytest

from luota.core.retry import AttemptResult
from luota.engine.deliveries import RecordAttempt
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
