"""What the monitor page says after Luota itself was away for a minute at most."""

from luota.core.model import Window
from tests.web.monitor_page import HOUR, WHERE, owner, sign_in
from tests.web.reading import words


async def test_a_deadline_that_a_short_window_moved_says_why_it_is_later_than_the_grace(served, owner):
    client, _ = owner
    job = await served.monitor(graceSeconds=10)
    await job.ping()
    served.clock.advance(HOUR + 5000)
    began = served.clock.now()
    served.clock.advance(11_000)
    await served.engine.writer.blind(Window(began, served.clock.now(), "it was down"))
    await served.judge()
    said = words(await client.get(f"{WHERE}/{job.id}"))
    assert (
        "2026-04-29 02:34:27 UTC, later than the grace of 10 s: Luota was not listening from 2026-04-29 02:33:16 UTC "
        "to 2026-04-29 02:33:27 UTC, so the job has a minute more to try again"
    ) in said
    assert "Luota itself was away once meanwhile, for a minute at most." in said
    await job.ping()
    assert "UTC, grace 10 s" in words(await client.get(f"{WHERE}/{job.id}"))


async def test_a_bar_of_one_slot_is_called_the_last_slot(served, owner):
    client, _ = owner
    job = await served.monitor()
    await job.ping()
    assert "The last slot" in words(await client.get(f"{WHERE}/{job.id}"))
    run = await served.monitor("run")
    await run.success(await run.started())
    assert "Duration of the last run" in words(await client.get(f"{WHERE}/{run.id}"))
