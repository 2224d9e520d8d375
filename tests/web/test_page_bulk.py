"""What is done to several monitors at once: what is said of it, and how all that match are chosen."""

import html
import re
from contextlib import aclosing

import pytest

from luota.core.drills import DrillKind
from luota.core.spec.values import MAX_TAGS
from luota.engine import drills
from luota.engine.audit import Actor
from luota.web.dashboard.overview import PAGE
from tests.web.reading import words

HOME = "/w/default"


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


async def test_a_tag_that_a_monitor_has_already_is_not_said_to_be_given_again(served, operator):
    ids = [(await served.monitor(name=name)).id for name in ("one", "two")]
    assert await told(operator, await act(operator, "tag", ids[:1], tag="a=b")) == "Tagged 1 monitor: one."
    assert await told(operator, await act(operator, "tag", ids[:1], tag="a=b")) == "Nothing changed: the tag was there."
    both = await told(operator, await act(operator, "tag", ids, tag="a=b"))
    assert both == "Tagged 1 monitor: two. 1 of those chosen had the tag already."


async def test_what_could_not_be_done_for_all_counts_those_alone_that_it_changed(served, operator):
    full = await served.monitor(name="full", tags={f"key {n}": "" for n in range(MAX_TAGS)})
    had, new = [await served.monitor(name=name, tags=tags) for name, tags in (("had", {"a": "b"}), ("new", {}))]
    answer = await act(operator, "tag", [full.id, had.id, new.id], tag="a=b")
    said = words(answer)
    assert "Done for 1 of 3, but not for full: " in said
    assert "1 of those chosen had the tag already." in said


async def test_the_twin_of_a_drill_cannot_be_found_among_the_chosen(served, operator):
    job = await served.monitor()
    drill = await served.engine.submit(drills.begin(job.id, DrillKind.MISSED, None, Actor("ann", "unix socket")))
    answer = await act(operator, "pause", [drill.twin.id])
    assert (answer.status_code, "1 chosen monitor cannot be found" in words(answer)) == (409, True)


async def test_where_some_are_gone_it_is_said_what_was_done_to_the_others(served, operator):
    gone, job = [await served.monitor(name=name) for name in ("gone", "job")]
    await gone.archive()
    answer = await act(operator, "pause", [gone.id, job.id], **{"for": "1h"})
    assert answer.status_code == 409
    assert "Paused 1 monitor: job. 1 chosen monitor cannot be found: archived meanwhile?" in words(answer)


def says_that_something_was_done(page):
    return re.search('class="done[ "]', page.text) is not None


async def test_no_address_makes_a_page_say_that_something_was_done(served, operator):
    job = await served.monitor()
    here = f"{HOME}/monitors/{job.slug}"
    pages = [f"{HOME}?done=pause&number=1&of={job.id}&left=2"]
    pages += [f"{here}?done={what}" for what in ("paused", "resumed", "archived", "rotated")]
    pages += [f"{HOME}/settings?done={what}" for what in ("saved", "rotated")]
    pages += [f"{HOME}/channels?done=removed", "/account?done=password"]
    for page in pages:
        assert not says_that_something_was_done(await operator.get(page)), page


async def test_what_was_done_is_said_once_and_to_who_did_it(served, operator):
    job = await served.monitor()
    other, _ = await served.sign_in("owner")
    async with aclosing(other):
        there = (await act(operator, "pause", [job.id])).headers["location"]
        assert not says_that_something_was_done(await other.get(there))
        assert says_that_something_was_done(await operator.get(there)), "the page of another has not used it up"
        assert not says_that_something_was_done(await operator.get(there)), "a reload tells nothing anew"


async def test_what_was_done_waits_for_the_page_that_is_loaded_and_not_for_one_that_follows(served, operator):
    there = f"{HOME}/monitors/{(await served.monitor()).slug}"
    await operator.post(f"{there}/pause", data={"csrf": operator.csrf})
    assert not says_that_something_was_done(await operator.get(there, headers={"hx-request": "true"}))
    assert says_that_something_was_done(await operator.get(there))


async def test_what_was_done_is_not_said_on_a_page_that_is_opened_much_later(served, operator):
    job = await served.monitor()
    there = (await act(operator, "pause", [job.id])).headers["location"]
    served.clock.advance(60_000)
    assert not says_that_something_was_done(await operator.get(there))


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


@pytest.mark.parametrize(
    ("do", "field", "value", "named"),
    [("pause", "for", "soon", "for must be"), ("tag", "tag", f"team={'x' * 121}", "120 characters")],
)
async def test_a_field_that_is_wrong_is_named_before_one_is_asked_and_all_that_match_stay_chosen(
    served, operator, do, field, value, named
):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(PAGE + 1)]
    page = await act(operator, do, [jobs[1].id], query="?q=job", matching="all", **{field: value})
    assert (page.status_code, 'id="asks"' in page.text) == (400, False)
    assert named in html.unescape(re.search(r'id="e-bulk".*?</p>', page.text)[0])
    assert re.search(rf'<(input|select)[^>]* name="{field}"[^>]* aria-invalid="true"', page.text)
    assert 'name="matching" value="all" checked' in page.text
    assert re.findall(r'id="pick-([^"]+)"[^>]* checked', page.text) == [jobs[1].id]
    assert page.text.count("data-row=") == PAGE, "they need not be drawn to stay chosen"


async def test_a_viewer_can_do_nothing_to_all_that_match(served):
    job = await served.monitor()
    client, client.csrf = await served.sign_in("viewer")
    async with aclosing(client):
        answer = await act(client, "pause", matching="all", sure="pause 1")
        assert answer.status_code == 403
        assert (await job.shown())["status"] == "draft"
