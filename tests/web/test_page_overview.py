"""The overview: the rows that an open page asks for, and what is done to several monitors at once."""

import html
import re

import pytest

from luota.core.spec.values import MAX_TAGS
from luota.web.dashboard.needs import MOST as MOST_NEEDS
from luota.web.dashboard.overview import PAGE

HOME = "/w/default"
LIVE = {"hx-request": "true", "x-luota-live": "1"}


@pytest.fixture
async def operator(served):
    client, csrf = await served.sign_in("operator")
    client.csrf = csrf
    yield client
    await client.aclose()


def shown(text):
    """The ids of the rows, and of those that are empty."""
    rows = re.findall(r'<li [^>]*data-row="([^"]+)">(\s*</li>)?', text)
    return [id_ for id_, _ in rows], [id_ for id_, empty in rows if empty]


def have(ids, more=0):
    """What the page's script makes of the rows that it shows."""
    mixed = 0
    for id_ in ids:
        mixed ^= int(id_[:8], 16)
    return f"{len(ids)}.{mixed}.{more}"


async def asked(client, ids, present, *, more=0, query=""):
    path = f"{HOME}/rows?ids={','.join(ids)}&have={have(present, more)}{query}"
    answer = await client.get(path, headers=LIVE)
    assert answer.status_code == 200
    return answer.text


async def test_rows_that_the_page_shows_already_are_swapped_in_place_and_no_others_come(served, operator):
    first, second = [await served.monitor(name=name) for name in ("a", "b")]
    text = await asked(
        operator, [first.id, served.engine.registry.monitors[second.id].workspace_id], [first.id, second.id]
    )
    assert shown(text) == ([first.id], [])
    assert 'id="rows"' not in text
    assert re.search(rf'<li hx-swap-oob="true"[^>]* id="row-{first.id}"', text)


async def test_where_other_rows_are_to_be_shown_the_list_comes_with_those_drawn_that_were_asked_for(served, operator):
    old, new = [await served.monitor(name=name) for name in ("a", "b")]
    text = await asked(operator, [new.id], [old.id])
    assert shown(text) == ([old.id, new.id], [old.id])
    assert '<ul class="rows" id="rows" hx-swap-oob="true">' in text


async def test_a_row_that_fits_the_filter_no_more_is_gone_and_the_last_one_leaves_words(served, operator):
    job = await served.monitor()
    assert shown(await asked(operator, [job.id], [], query="&state=draft")) == ([job.id], [])
    await job.ping()
    text = await asked(operator, [job.id], [job.id], query="&state=draft")
    assert shown(text) == ([], [])
    assert "No monitor matches" in text


async def test_as_many_pieces_come_as_the_page_shows_and_the_next_one_is_offered(served, operator):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(2 * PAGE + 1)]
    ids = [job.id for job in jobs]
    present = ids[1 : 2 * PAGE + 1]
    text = await asked(operator, [ids[0]], present, more=1)
    assert shown(text) == (ids[: 2 * PAGE], ids[1 : 2 * PAGE])
    assert "page=3" in text
    assert shown(await asked(operator, [], ids[: 2 * PAGE], more=1)) == ([], [])
    assert 'id="rows"' in await asked(operator, [], ids[: 2 * PAGE], more=0), "a page that offers no more rows"
    assert shown(await asked(operator, [], ids[:PAGE], more=1)) == ([], [])


@pytest.mark.parametrize("given", ["nonsense", "-1.0.0", "99999999.1.1", "%00", "٣.0.0"])
async def test_nonsense_about_what_the_page_shows_brings_the_list(served, operator, given):
    job = await served.monitor()
    answer = await operator.get(f"{HOME}/rows?ids=&have={given}", headers=LIVE)
    assert answer.status_code == 200
    assert shown(answer.text) == ([job.id], [job.id])


async def test_a_page_whose_last_monitor_is_archived_is_loaded_again(served, operator):
    answer = await operator.get(f"{HOME}/rows?ids=&have=1.5.0", headers=LIVE)
    assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")


async def test_incidents_beyond_some_are_told_by_their_number(served, operator):
    jobs = [await served.monitor(name=f"job {n}") for n in range(MOST_NEEDS + 3)]
    for job in jobs:
        await job.ping()
    served.clock.advance(2 * 3_600_000)
    await served.judge()
    text = (await operator.get(HOME)).text
    human = text.partition('id="human"')[2].partition("</section>")[0]
    assert human.count("<li") == MOST_NEEDS + 2  # the rest in one, and that nobody would be told
    assert "3 more incidents" in human


async def act(client, do, ids, **form):
    fields = [("monitor", id_) for id_ in ids] + list({"csrf": client.csrf, "do": do, **form}.items())
    body = "&".join(f"{name}={value}" for name, value in fields)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await client.post(f"{HOME}/bulk", content=body, headers=headers)


def said(answer):
    found = re.search(r'id="e-bulk"[^>]*><span class="sr">Error: </span>(.*?)</p>', answer.text, re.S)
    return html.unescape(found[1])


async def test_chosen_monitors_are_changed_and_the_page_comes_back_as_it_was_filtered(served, operator):
    jobs = [await served.monitor(name=f"job {n}") for n in range(3)]
    back = "%2Fw%2Fdefault%3Fstate%3Ddraft"
    for do, form in (
        ("pause", {"for": "1h"}),
        ("resume", {}),
        ("pause", {"for": "healthy"}),
        ("tag", {"tag": "a%3Db%3Dc"}),
    ):
        answer = await act(operator, do, [job.id for job in jobs[:2]], back=back, **form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}?state=draft"), answer.text
    assert [(await job.shown())["status"] for job in jobs] == ["paused", "paused", "draft"]
    assert [(await job.shown())["tags"] for job in jobs] == [{"a": "b=c"}, {"a": "b=c"}, {}]


@pytest.mark.parametrize("tag", ["night", "%3Dnight", "", "a" * 41 + "%3Db"])
async def test_a_tag_that_is_none_is_refused_beside_its_field_and_what_was_chosen_stays_chosen(served, operator, tag):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(PAGE + 5)]
    answer = await act(operator, "tag", [jobs[PAGE + 1].id], tag=tag, back="%2Fw%2Fdefault%3Fq%3Djob")
    assert answer.status_code == 400
    assert ("key=value, such as team=night" if len(tag) < 41 else "40 characters") in said(answer)
    field = re.search(r'<input id="f-new-tag".*?>', answer.text)[0]
    assert 'aria-invalid="true"' in field
    assert "e-bulk" in re.search('aria-describedby="([^"]*)"', field)[1]
    ticked = re.findall(r'<input type="checkbox" id="pick-([^"]+)"[^>]* checked', answer.text)
    assert ticked == [jobs[PAGE + 1].id]
    assert 'value="job"' in answer.text  # the search


async def test_what_could_not_be_done_for_some_is_told_by_their_names(served, operator):
    full = await served.monitor(name="<b>full</b>", tags={f"key {n}": "" for n in range(MAX_TAGS)})
    job, gone = await served.monitor(name="fine"), await served.monitor(name="gone")
    await gone.archive()
    answer = await act(operator, "tag", [full.id, job.id, gone.id], tag="team%3Dnight")
    assert answer.status_code == 409
    assert "<b>full" not in answer.text
    assert said(answer).startswith("Done for 1 of 3, but not for <b>full</b>: tags may hold at most 16 tags")
    assert said(answer).endswith("1 chosen monitor cannot be found: archived meanwhile?")
    assert (await job.shown())["tags"] == {"team": "night"}


async def test_nothing_chosen_is_said(served, operator):
    await served.monitor()
    answer = await act(operator, "pause", [])
    assert (answer.status_code, said(answer)) == (400, "Tick the monitors first.")
