"""What pages, API and command say of incidents of which nobody hears, since no channel of the monitor wants them."""

import asyncio
import html
import re

import pytest

from luota.cli.monitor_text import described
from tests.receiver import Receiver, reply
from tests.web.reading import words
from tests.web.test_page_proof import HOME, hook, needs, prove, served  # noqa: F401 (two are fixtures)


async def proven(served, hook, name="desk", **rules):
    """Add a channel with these rules, to which a test was delivered."""
    doc = {"type": "webhook", "name": name, "url": hook.url, **rules}
    id_ = (await served.api("POST", "/api/channels", doc))["channel"]["id"]
    await prove(served, id_)
    return id_


async def page(served, client, path=""):
    served.clock.advance(1_000)  # what pages share holds for a second
    return await client.get(HOME + path)


async def card(served, client, path, head):
    """The words of one card of a page."""
    text = re.search(rf'id="{head}">.*?</section>', (await page(served, client, path)).text, re.S)[0]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text.partition(">")[2])).split())


async def tried(served):
    async with asyncio.timeout(20):
        while not served.rows("SELECT 1 FROM attempts WHERE NOT ok AND finished_at IS NOT NULL"):
            await asyncio.sleep(0.02)


async def test_nothing_is_proven_of_a_monitor_of_whose_incidents_no_channel_wants_to_hear(served, operator, hook):
    desk = await proven(served, hook, kinds=["failed"])
    job = await served.monitor(name="Backup")
    await job.ping()
    for path in (f"/monitors/{job.id}", f"/monitors/{job.id}/integration"):
        said = await card(served, operator, path, "proof-head")
        assert "Nobody hears of missed: no channel of the monitor wants it." in said
        assert "Proven for" not in said
    said = await needs(served, operator)
    assert "All is proven" not in said
    assert "Nobody hears of missed Backup has no channel that wants it." in said
    await served.api("PATCH", f"/api/channels/{desk}", {"kinds": None})
    assert "Proven for 1 channel." in await card(served, operator, f"/monitors/{job.id}", "proof-head")
    assert (await needs(served, operator)).startswith("All is proven")


@pytest.mark.parametrize(
    ("mode", "fields", "kinds"),
    [
        ("heartbeat", {}, ["missed"]),
        ("run", {}, ["stuck", "failed"]),
        ("run", {"schedule": {"every": 3600}}, ["missed", "stuck", "failed"]),
        ("freshness", {}, ["stale"]),
    ],
)
async def test_of_each_mode_those_kinds_are_told_that_it_can_have_and_no_channel_wants(
    served, operator, hook, mode, fields, kinds
):
    desk = await proven(served, hook)
    job = await served.monitor(mode, **fields)
    every = ["missed", "stuck", "failed", "stale"]
    for kind in every:
        await served.api("PATCH", f"/api/channels/{desk}", {"kinds": [kind]})
        untold = [one for one in kinds if one != kind]
        shown = (await served.api("GET", f"/api/monitors/{job.id}"))["monitor"]
        assert shown["untold"] == untold
        listed = " and ".join([", ".join(untold[:-1]), untold[-1]] if len(untold) > 1 else untold)
        said = await card(served, operator, f"/monitors/{job.id}", "proof-head")
        assert (f"Nobody hears of {listed}:" in said) is bool(untold)
        assert ("Proven for 1 channel." in said) is not untold
        assert (f"Nobody hears of {listed} " in await needs(served, operator)) is bool(untold)


async def test_a_channel_that_wants_ends_alone_tells_no_incident(served, operator, hook):
    await proven(served, hook, notify=["resolved"])
    job = await served.monitor()
    await job.ping()
    assert "Nobody hears of missed" in await card(served, operator, f"/monitors/{job.id}", "proof-head")
    assert "Nobody hears of missed" in await needs(served, operator)


async def test_each_kind_may_be_heard_by_another_channel(served, operator, hook):
    for kind in ("stuck", "failed"):
        await proven(served, hook, kind, kinds=[kind])
    job = await served.monitor("run")
    await job.success(await job.started())
    assert "Proven for 2 channels." in await card(served, operator, f"/monitors/{job.id}", "proof-head")
    assert (await needs(served, operator)).startswith("All is proven")


async def test_only_the_channels_of_a_monitor_itself_tell_of_it(served, operator, hook):
    await proven(served, hook)
    await proven(served, hook, "pager", kinds=["failed"])
    own, other = [
        await served.monitor(name=name, channels=channels) for name, channels in (("own", ["pager"]), ("b", None))
    ]
    await own.ping()
    await other.ping()
    assert "Nobody hears of missed own has no channel that wants it." in await needs(served, operator)
    assert "Proven for 1 channel." in await card(served, operator, f"/monitors/{other.id}", "proof-head")
    listed = {one["name"]: one["untold"] for one in (await served.api("GET", "/api/monitors"))["monitors"]}
    assert listed == {"own": ["missed"], "b": []}


async def test_a_failing_channel_is_no_failure_of_a_monitor_of_which_it_hears_nothing(served, operator, hook):
    await proven(served, hook)
    async with Receiver() as bad:
        pager = await proven(served, bad, "pager", kinds=["failed"])
        bad.default = reply(503)
        beat, run = await served.monitor(), await served.monitor("run")
        await prove(served, pager)
        await tried(served)
        said = await card(served, operator, f"/monitors/{beat.id}", "proof-head")
        assert "Proven for 1 channel." in said
        assert "Failing now" not in said
        said = await card(served, operator, f"/monitors/{run.id}", "proof-head")
        assert "Failing now, by the last attempt: pager." in said


async def test_what_fails_and_what_nobody_hears_of_are_both_told(served, operator, hook):
    desk = await proven(served, hook, kinds=["failed"])
    job = await served.monitor("run")
    hook.default = reply(503)
    await prove(served, desk)
    said = await card(served, operator, f"/monitors/{job.id}", "proof-head")
    assert "Nobody hears of stuck: no channel of the monitor wants it. Failing now, by the last attempt: desk." in said


async def test_an_open_incident_of_which_nobody_was_told_says_so_wherever_it_stands(served, operator, hook):
    desk = await proven(served, hook, kinds=["failed"])
    job = await served.monitor(owner="Ann")
    await job.ping()
    served.clock.advance(2 * 3_600_000)
    await served.judge()
    assert "Owner: Ann · nobody was told" in await needs(served, operator)
    assert "Nobody was told: no channel was there for it, or none wanted it." in await card(
        served, operator, f"/monitors/{job.id}", "verdict"
    )
    await served.api("PATCH", f"/api/channels/{desk}", {"kinds": ["missed"]})
    assert "nobody was told" not in await needs(served, operator)
    assert "Nobody was told" not in words(await page(served, operator, f"/monitors/{job.id}"))


async def test_each_list_of_channels_says_what_one_wants_where_that_is_not_everything(served, operator, hook):
    await proven(served, hook, "all")
    await proven(served, hook, "few", kinds=["failed", "stuck"], notify=["opened"], delaySeconds=600)
    job = await served.monitor()
    few = "Only stuck and failed, not when resolved, held back for 10 min"
    text = words(await page(served, operator, "/channels"))
    assert text.count("Only ") == 1
    assert few in text
    said = await card(served, operator, f"/monitors/{job.id}", "channels-head")
    assert re.search(rf"few webhook {few}: it hears nothing of this monitor", said), said
    run = await served.monitor("run")
    said = await card(served, operator, f"/monitors/{run.id}", "channels-head")
    assert said.count(few) == 1
    assert "hears nothing" not in said


async def test_a_monitor_that_is_shown_says_of_what_nobody_hears(served, hook):
    await proven(served, hook, kinds=["missed"])
    run, beat = await served.monitor("run"), await served.monitor()
    shown = described((await served.api("GET", f"/api/monitors/{run.id}"))["monitor"])
    assert re.search(
        r"^channels +every one of the workspace\nuntold +stuck, failed: nobody hears of them$", shown, re.M
    ), shown
    assert "untold" not in described((await served.api("GET", f"/api/monitors/{beat.id}"))["monitor"])


async def test_of_many_monitors_of_which_nobody_hears_some_are_named(served, operator, hook):
    await proven(served, hook, kinds=["stale"])
    for number in range(7):
        await served.monitor(name=f"job {number}")
    await served.monitor("run", name="report")
    said = await needs(served, operator)
    assert (
        "Nobody hears of missed 7 monitors have no channel that wants it: job 0, job 1, job 2, job 3, job 4 …" in said
    )
    assert "Nobody hears of stuck and failed report has no channel that wants them." in said
