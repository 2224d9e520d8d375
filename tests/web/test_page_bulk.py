"""What is done to several monitors at once: what is said of it, and how all that match are chosen."""

import html
import re
from contextlib import aclosing

import pytest

from luota.web.dashboard.overview import PAGE
from tests.web.reading import words

HOME = "/w/default"


@pytest.fixture
async def operator(served):
    client, client.csrf = await served.sign_in("operator")
    async with aclosing(client):
        yield client


async def act(client, do, ids=(), query="", **form):
    return await client.post(f"{HOME}{query}", data={"csrf": client.csrf, "do": do, "monitor": list(ids), **form})


async def told(client, answer):
    """What the page says to which an answer leads."""
    assert answer.status_code == 303, answer.text
    page = await client.get(answer.headers["location"])
    return html.unescape(re.search(r'<p class="done" role="status">(.*?)</p>', page.text)[1])


def asked(page):
    return html.unescape(re.search(r'id="asks"[^>]*><b>(.*?)</b>', page.text)[1])


async def test_what_was_done_is_said_by_name_where_few_were_chosen_and_by_number_else(served, operator):
    jobs = [await served.monitor(name=f"<b>job {n}</b>") for n in range(4)]
    ids = [job.id for job in jobs]
    answer = await act(operator, "pause", ids[:1])
    assert answer.headers["location"].endswith(f"#row-{ids[0]}"), "the page stays where it was without the script too"
    assert await told(operator, answer) == "Paused 1 monitor: <b>job 0</b>."
    assert "<b>job" not in (await operator.get(answer.headers["location"])).text
    assert await told(operator, await act(operator, "tag", ids, tag="a=b")) == "Tagged 4 monitors."
    resumed = await told(operator, await act(operator, "resume", ids))
    assert resumed == "Resumed 1 monitor: <b>job 0</b>. 3 of those chosen were not paused."
    assert await told(operator, await act(operator, "resume", ids)) == "None of these monitors was paused."


@pytest.mark.parametrize("query", ["?done=archive&number=1", "?done=pause&number=x", "?done=pause"])
async def test_an_address_that_tells_of_nothing_says_nothing(served, operator, query):
    await served.monitor()
    assert 'class="done"' not in (await operator.get(f"{HOME}{query}")).text


def sure(page):
    """What the form says that asks whether one is."""
    return re.search(r'name="sure" value="(.*?)"', page.text)[1]


async def test_all_that_match_are_offered_where_not_all_are_shown(served, operator):
    for n in range(PAGE):
        await served.monitor(name=f"job {n}")
    assert 'name="matching"' not in (await operator.get(f"{HOME}?q=job")).text
    await served.monitor(name="job last")
    assert f"All {PAGE + 1} that match" in words(await operator.get(f"{HOME}?q=job"))


async def test_all_that_match_are_changed_once_one_has_said_yes_to_their_number(served, operator):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(PAGE + 2)]
    other = await served.monitor(name="other")
    chosen = {"query": "?q=job", "matching": "all", "for": "8h"}
    page = await act(operator, "pause", **chosen)
    assert asked(page) == f"Pause all {PAGE + 2} monitors that match? No incident opens for any of them meanwhile."
    assert (await jobs[0].shown())["status"] == "draft", "it was only asked"
    assert 'name="for" value="8h"' in page.text
    old = sure(page)
    await served.monitor(name="job more")
    page = await act(operator, "pause", sure=old, **chosen)
    assert f"all {PAGE + 3} monitors" in asked(page), "there is one more now"
    assert f"Resume all {PAGE + 3}" in asked(await act(operator, "resume", sure=sure(page), **chosen))
    answer = await act(operator, "pause", sure=sure(page), **chosen)
    assert await told(operator, answer) == f"Paused {PAGE + 3} monitors."
    assert {(await job.shown())["status"] for job in jobs} == {"paused"}
    assert (await other.shown())["status"] == "draft"


async def test_who_has_agreed_to_a_change_of_some_monitors_has_not_agreed_to_one_of_as_many_others(served, operator):
    first, second = [await served.monitor(name=name, environment=name) for name in ("stage", "dev")]
    chosen = {"query": "?environment=stage", "matching": "all"}
    page = await act(operator, "pause", **chosen)
    for monitor, name in ((first, "dev"), (second, "stage")):
        await served.api("PATCH", f"/api/monitors/{monitor.id}", {"environment": name})
    assert "Pause all 1" in asked(await act(operator, "pause", sure=sure(page), **chosen))
    assert [(await one.shown())["status"] for one in (first, second)] == ["draft", "draft"]


async def test_a_tag_for_all_that_match_is_checked_before_it_is_asked_and_stands_in_the_question(served, operator):
    await served.monitor(name="job")
    assert (await act(operator, "tag", matching="all", tag="night")).status_code == 400
    page = await act(operator, "tag", matching="all", tag="team=<i>")
    assert asked(page).startswith("Tag all 1 monitor with team=<i>?")
    assert "<i>" not in page.text
    nothing = await act(operator, "tag", query="?q=none", matching="all", tag="a=b")
    assert (nothing.status_code, "No monitor matches any more." in nothing.text) == (400, True)


async def test_a_viewer_can_do_nothing_to_all_that_match(served):
    job = await served.monitor()
    client, client.csrf = await served.sign_in("viewer")
    async with aclosing(client):
        answer = await act(client, "pause", matching="all", sure="pause 1")
        assert answer.status_code == 403
        assert (await job.shown())["status"] == "draft"
