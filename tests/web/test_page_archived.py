"""The archived monitors, as the overview lists them with `state=archived`."""

import re

import pytest

from tests.web.reading import words

HOME = "/w/default"


@pytest.fixture
async def viewer(served):
    client, _ = await served.sign_in("viewer")
    yield client
    await client.aclose()


async def put_away(served, name, **how):
    job = await served.monitor(name=name, **how)
    await served.api("POST", f"/api/monitors/{job.id}/archive")
    served.clock.advance(1_000)
    return job


async def test_archived_monitors_are_listed_the_latest_first_and_lead_to_their_pages(served, viewer):
    kept = await served.monitor(name="kept")
    jobs = [await put_away(served, name, promise=f"{name} holds", owner="Ann") for name in ("one", "two <b>")]
    page = await viewer.get(f"{HOME}?state=archived")
    links = re.findall(r'class="monitor-name" href="([^"]*)"', page.text)
    assert links == [f"{HOME}/monitors/{job.id}" for job in reversed(jobs)]
    assert "two &lt;b&gt;" in page.text
    assert "one holds" in words(page)
    assert kept.id not in page.text
    assert 'name="monitor"' not in page.text
    for link in links:
        assert (await viewer.get(link)).status_code == 200


async def test_the_overview_has_a_link_to_them_also_when_no_monitor_is_left(served, viewer):
    for _ in range(2):
        (link,) = re.findall(r'<a href="([^"]*)">Archived monitors', (await viewer.get(HOME)).text)
        assert link == f"{HOME}?state=archived"
        await served.monitor()
    await put_away(served, "one")
    assert "one" in words(await viewer.get(link))


async def test_other_filters_hold_for_them_too(served, viewer):
    await put_away(served, "one", tags={"team": "night"})
    await put_away(served, "two", mode="run")
    assert "one" in words(await viewer.get(f"{HOME}?state=archived&tag=team%3Dnight"))
    assert re.search(r"No archived monitor matches. ?Show all 2", words(await viewer.get(f"{HOME}?state=archived&q=x")))
    found = (await viewer.get(f"{HOME}?state=archived&mode=run")).text
    assert len(re.findall('class="monitor-name"', found)) == 1


async def test_without_any_it_says_so(served, viewer):
    assert "No monitor is archived." in words(await viewer.get(f"{HOME}?state=archived"))
