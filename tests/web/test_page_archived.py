"""The archived monitors, as the overview lists them with `state=archived`."""

import html
import re

from luota.web.dashboard.archived import PAGE
from tests.web.reading import words

HOME = "/w/default"


async def put_away(served, name, **how):
    job = await served.monitor(name=name, **how)
    await served.api("POST", f"/api/monitors/{job.id}/archive")
    served.clock.advance(1_000)
    return job


async def test_archived_monitors_are_listed_the_latest_first_and_lead_to_their_pages(served, viewer):
    kept = await served.monitor(name="kept")
    jobs = [await put_away(served, name, promise=f"{name} holds", owner="Ann") for name in ("one", "two <b>")]
    page = await viewer.get(f"{HOME}?state=archived")
    links = re.findall(r'class="monitor-name" id="[^"]*" href="([^"]*)"', page.text)
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


async def test_they_are_counted_and_searched_among_with_the_other_filters_kept(served, viewer):
    for name in ("one", "two", "three"):
        await put_away(served, name, tags={"team": "night"})
    assert "3 monitors" in words(await viewer.get(f"{HOME}?state=archived"))
    page = await viewer.get(f"{HOME}?state=archived&tag=team%3Dnight&q=tw")
    assert "1 of 3 monitors" in words(page)
    form = page.text.partition('role="search"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    assert fields == {"state": "archived", "tag": "team=night", "q": "tw"}


async def test_the_page_of_one_leads_back_to_them(served, viewer):
    job = await put_away(served, "one")
    crumbs = re.search(r'<p class="crumbs">(.*?)</p>', (await viewer.get(f"{HOME}/monitors/{job.id}")).text)[1]
    assert re.findall('href="([^"]*)"', crumbs) == [HOME, f"{HOME}?state=archived"]


async def test_of_one_that_sent_nothing_it_is_not_said_that_it_did(served, viewer):
    silent, heard = await put_away(served, "silent"), await served.monitor(name="heard")
    await heard.ping()
    await served.api("POST", f"/api/monitors/{heard.id}/archive")
    await served.engine.writer._db.execute("DELETE FROM heartbeats")
    said = [words(await viewer.get(f"{HOME}/monitors/{job.id}")) for job in (silent, heard)]
    assert "No signal ever cameThe job sent none." in said[0]
    assert "No signal is keptWhat the job sent is gone: its retention has ended." in said[1]


async def test_without_any_it_says_so(served, viewer):
    assert "No monitor is archived." in words(await viewer.get(f"{HOME}?state=archived"))


def steps(page):
    """Where the page leads on and back to."""
    found = re.findall(r'<a href="([^"]*)">The (next|previous) (\d+) monitors?<', page.text)
    return {step: (html.unescape(path), int(number)) for path, step, number in found}


async def test_many_are_listed_page_by_page_with_the_filters_kept(served, viewer):
    for number in range(PAGE + 2):
        await put_away(served, f"job {number:03}", tags={"team": "night"} if number else {})
    where = f"{HOME}?state=archived&tag=team%3Dnight"
    first = await viewer.get(where)
    second = await viewer.get(f"{where}&page=2")
    assert (steps(first), steps(second)) == ({"next": (f"{where}&page=2", 1)}, {"previous": (where, PAGE)})
    listed = [
        re.findall(r'class="monitor-name" id="[^"]*" href="[^"]*">([^<]*)', page.text) for page in (first, second)
    ]
    assert listed == [[f"job {number:03}" for number in range(PAGE + 1, 1, -1)], ["job 001"]]
    assert steps(await viewer.get(f"{where}&page=99")) == steps(second), "beyond the last page is the last page"
