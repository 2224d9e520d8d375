"""The overview: the rows that an open page asks for, and what is done to several monitors at once."""

import asyncio
import html
import re
from ipaddress import ip_network
from zlib import crc32

import pytest

from luota.core.spec.values import MAX_TAGS, format_instant
from luota.web.dashboard.html import exact
from luota.web.dashboard.needs import MOST as MOST_NEEDS
from luota.web.dashboard.needs import WHOLE
from luota.web.dashboard.overview import PAGE
from tests.receiver import Receiver, reply
from tests.web.reading import words

HOME = "/w/default"
LIVE = {"hx-request": "true", "x-luota-live": "1"}


def shown(text):
    """The ids of the rows, and of those that are empty."""
    rows = re.findall(r'<li [^>]*data-row="([^"]+)">(\s*</li>)?', text)
    return [id_ for id_, _ in rows], [id_ for id_, empty in rows if empty]


def have(ids, more=0):
    """What the page's script makes of the rows that it shows; the head of a group is given as its number."""
    mixed = 0
    for one in ids:
        mixed = (mixed * 31 + (one if isinstance(one, int) else int(one[:8], 16))) % 2**32
    ids = [one for one in ids if isinstance(one, str)]
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


@pytest.mark.parametrize(("every", "since"), [(3600, "2 h ago"), (86_400, "2 d ago")])
async def test_a_row_tells_below_its_bar_and_in_the_bars_name_since_when_that_is_and_not_how_long_the_last_slot_may_be(
    served, operator, every, since
):
    begun = served.clock.now()
    job = await served.monitor(schedule={"every": every})
    assert "bar-span" not in await asked(operator, [job.id], [job.id]), "a draft has nothing to cover"
    for wait in (every, every, 0):
        await job.ping()
        served.clock.advance(wait * 1000)
    row = await asked(operator, [job.id], [job.id])
    assert f'aria-label="The last 3 slots, since {exact(begun)}: 3 in time"' in row
    assert re.search(
        rf'<span class="bar-span"><time datetime="{format_instant(begun)}"[^>]*>{since}</time> to now<', row
    )


async def test_the_last_signal_of_a_run_monitor_is_its_newest_start_or_close_on_its_row_and_integration_page(
    served, operator
):
    monitor = await served.monitor("run")
    run = await monitor.started()
    served.clock.advance(30 * 60_000)
    await monitor.success(run)
    served.clock.advance(5 * 60_000)
    ago = '<time datetime="2026-04-29T02:03:11.398Z"[^>]*>5 min ago</time>'
    assert re.search(f"<span>Signal {ago}", await asked(operator, [monitor.id], [monitor.id]))
    page = await operator.get(f"{HOME}/monitors/{monitor.slug}/integration")
    assert re.search(f"The last signal came {ago}", page.text)


async def test_a_row_tells_a_signal_that_came_since_the_counters_of_the_page_were_worked_out(served, operator):
    job = await served.monitor()
    await job.ping()
    assert 'datetime="2026-04-29T01:33:11.398Z"' in await asked(operator, [job.id], [job.id])
    served.clock.advance(300)
    await job.ping()
    assert '<span>Signal <time datetime="2026-04-29T01:33:11.698Z"' in await asked(operator, [job.id], [job.id])


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


@pytest.mark.parametrize(("name", "value"), [("state", "bogus"), ("mode", "<b>")])
async def test_a_filter_of_an_unknown_word_is_said_to_be_unknown_and_filters_nothing(served, operator, name, value):
    job = await served.monitor()
    query = f"{name}={value}&q=job"
    page = await operator.get(f"{HOME}?{query}")
    assert f"There is no {name} {value}, so that the list is not filtered by it. It can be " in words(page)
    assert f'id="row-{job.id}"' in page.text
    assert f"{name}={value}" not in page.text.partition("<main")[2], "no address on the page carries it on"
    assert shown(await asked(operator, [job.id], [], query=f"&{query}")) == ([job.id], [])
    assert "is not filtered by it" not in words(await operator.get(f"{HOME}?q=job&state=draft&mode=heartbeat"))


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


async def test_of_many_incidents_it_says_how_many_and_of_the_first_alone_all_that_is_known(served, operator):
    promise = {"promise": "It is done."}
    jobs = [await served.monitor("run", name=f"job {n}", **promise) for n in range(WHOLE + 2)]
    for job in jobs[:WHOLE]:
        await job.fail(await job.started(), {"summary": "it broke"})
    told = (await human(served, operator))[0]
    assert (told.count("It is done."), f"{WHOLE} incidents" in told) == (WHOLE, False)
    for job in jobs[WHOLE:]:
        await job.fail(await job.started(), {"summary": "it broke"})
    await served.api("POST", f"/api/incidents/{(await jobs[0].shown())['incidentId']}/acknowledge", {"reason": "mine"})
    told = (await human(served, operator))[0]
    assert told.startswith(f"{WHOLE + 2} incidents, 1 acknowledged job")
    assert told.count("It is done.") == WHOLE
    assert all(f"job {n} failed" in told for n in range(WHOLE + 2))


async def test_an_incident_leads_to_the_runbook_of_its_monitor_and_only_over_http(served, operator):
    book = "https://wiki.example.org/backup?a=1&b=2"
    jobs = [await served.monitor(name=f"job {n}", runbook=book) for n in range(2)]
    unsafe = "UPDATE monitors SET runbook = 'javascript:alert(1)' WHERE id = ?"
    await served.engine.writer._db.execute(unsafe, (jobs[1].id,))
    for job in (*jobs, await served.monitor(name="job without")):
        await job.ping()
    served.clock.advance(2 * 3_600_000)
    await served.judge()
    text = (await operator.get(HOME)).text
    human = text.partition('id="human"')[2].partition("</section>")[0]
    assert re.findall(r'<a href="([^"]*)" rel="noreferrer noopener">Open the runbook<', human) == [html.escape(book)]
    assert "javascript:" not in text


async def proven_channel(served, url="https://192.0.2.1/"):
    """Add a channel that counts as proven."""
    await served.api("POST", "/api/channels", {"type": "webhook", "name": "pager", "url": url})
    await served.engine.writer._db.execute("UPDATE channels SET proven_at = 1")


async def human(served, client):
    """What needs a human, in words and as HTML."""
    served.clock.advance(1_000)  # what pages share holds for a second
    text = (await client.get(HOME)).text.partition('id="human"')[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", "", text.partition(">")[2]).split()), text


async def test_all_is_proven_is_said_only_while_every_monitor_is_healthy(served, operator):
    await proven_channel(served)
    job, late = await served.monitor(), await served.monitor(graceSeconds=6 * 3600)
    run = await served.monitor("run", failuresBeforeIncident=3)
    said, text = await human(served, operator)
    assert said == "Nothing needs a human. 3 without a signal yet. The last change was 1 s ago."
    assert "#m-healthy" not in text
    await late.ping()
    await run.success(await run.started())
    served.clock.advance(3_000)
    await job.ping()
    said, text = await human(served, operator)
    assert said == "All is proven, and has been for 1 s."
    assert "#m-healthy" in text
    for minutes in range(0, 75, 25):  # the first job is kept healthy, one is late by its interval
        served.clock.advance(25 * 60_000)
        await job.ping()
    await served.judge()
    await run.fail(await run.started("second"))
    served.clock.advance(4_000)
    said, text = await human(served, operator)
    assert said == "Nothing needs a human. 1 failing, 1 late. The last change was 5 s ago."
    assert "#m-healthy" not in text
    await served.api("POST", f"/api/monitors/{job.id}/pause", {})
    said, text = await human(served, operator)
    assert said == "Nothing needs a human. 1 failing, 1 late, 1 paused. The last change was 1 s ago."
    assert "#m-healthy" not in text


async def test_without_a_script_every_monitor_can_be_reached_from_page_to_page(served, operator):
    jobs = [await served.monitor(name=f"job {n:03}", tags={"team": "ops"}) for n in range(2 * PAGE + 1)]
    ids, path, seen = [job.id for job in jobs], f"{HOME}?group=team", []
    while path:
        text = (await operator.get(path)).text
        assert text.count("<h2>team: ops</h2>") == 1
        seen.append(shown(text)[0])
        path = html.unescape(found[1]) if (found := re.search(r'<a href="([^"]*)">The next', text)) else None
    assert seen == [ids[:PAGE], ids[PAGE : 2 * PAGE], ids[2 * PAGE :]]
    back = html.unescape(re.search(r'<a href="([^"]*)">The previous 50 monitors', text)[1])
    text = (await operator.get(back)).text
    assert shown(text)[0] == ids[PAGE : 2 * PAGE]
    assert f'<a href="{HOME}?group=team">The previous' in text.replace("&amp;", "&")
    assert shown((await operator.get(f"{HOME}?page=99")).text)[0] == ids[2 * PAGE :], "there is no such page"
    rows = html.unescape(re.search(r'data-rows="[^"]*\?([^"]*)"', text)[1])
    assert "page=2" in rows
    live = await asked(operator, [ids[0]], ids[PAGE : 2 * PAGE], more=1, query="&page=2")
    assert shown(live) == ([], []), "an open second page stays what it is"


async def test_the_list_comes_anew_when_a_row_changes_its_place_or_its_group(served, operator):
    first, second = [await served.monitor(name=name, tags={"team": "ops"}) for name in ("a", "b")]
    ops, web = crc32(b"ops"), crc32(b"web")
    assert "data-head=" not in await asked(operator, [], [ops, first.id, second.id], query="&group=team")
    await first.ping()  # a healthy one stands below
    assert shown(await asked(operator, [first.id], [second.id, first.id])) == ([first.id], [])
    text = await asked(operator, [first.id], [first.id, second.id])
    assert shown(text) == ([second.id, first.id], [second.id])
    assert shown(await asked(operator, [first.id], [ops, second.id, first.id], query="&group=team")) == ([first.id], [])
    await served.api("PATCH", f"/api/monitors/{first.id}", {"tags": {"team": "web"}})
    text = await asked(operator, [first.id], [ops, second.id, first.id], query="&group=team")
    assert shown(text) == ([second.id, first.id], [second.id])
    assert re.findall(r'data-head="(\d+)"><h2>team: (\w+)', text) == [(str(ops), "ops"), (str(web), "web")]


async def test_a_channel_whose_notices_are_tried_again_for_minutes_needs_a_human(serve):
    served = await serve(allow=(ip_network("127.0.0.0/8"),), send=True)
    client, _ = await served.sign_in("operator")
    async with Receiver() as hook:
        hook.default = reply(503)
        await proven_channel(served, hook.url)
        job = await served.monitor("run")
        await job.fail(await job.started())
        while not served.rows("SELECT 1 FROM attempts WHERE finished_at IS NOT NULL"):
            await asyncio.sleep(0.01)
        assert "cannot be reached" not in (await human(served, client))[0]
        served.clock.advance(301_000)
        said, text = await human(served, client)
    assert "pager cannot be reached Notices are tried again, for over 5 minutes by now: HTTP 503" in said
    assert re.search(
        rf'href="{HOME}/channels/[0-9a-f-]+"><span class="cut">pager</span> <span [^>]*>cannot be reached</span>', text
    )
    await client.aclose()


async def act(client, do, ids, query="", **form):
    fields = [("monitor", id_) for id_ in ids] + list({"csrf": client.csrf, "do": do, **form}.items())
    body = "&".join(f"{name}={value}" for name, value in fields)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await client.post(f"{HOME}{query}", content=body, headers=headers)


def said(answer):
    found = re.search(r'id="e-bulk"[^>]*><span class="sr">Error: </span>(.*?)</p>', answer.text, re.S)
    return html.unescape(found[1])


async def test_chosen_monitors_are_changed_and_the_page_comes_back_as_it_was_filtered(served, operator):
    jobs = [await served.monitor(name=f"job {n}") for n in range(3)]
    for do, form in (
        ("pause", {"for": "1h"}),
        ("resume", {}),
        ("pause", {"for": "healthy"}),
        ("tag", {"tag": "a%3Db%3Dc"}),
    ):
        answer = await act(operator, do, [job.id for job in jobs[:2]], "?state=draft", **form)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"{HOME}?state=draft#row-")
    assert [(await job.shown())["status"] for job in jobs] == ["paused", "paused", "draft"]
    assert [(await job.shown())["tags"] for job in jobs] == [{"a": "b=c"}, {"a": "b=c"}, {}]


@pytest.mark.parametrize("tag", ["night", "%3Dnight", "", "a" * 41 + "%3Db"])
async def test_a_tag_that_is_none_is_refused_beside_its_field_and_what_was_chosen_stays_chosen(served, operator, tag):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(PAGE + 5)]
    answer = await act(operator, "tag", [jobs[PAGE + 1].id], "?q=job", tag=tag)
    assert answer.status_code == 400
    assert ("key=value, such as team=night" if len(tag) < 41 else "40 characters") in said(answer)
    field = re.search(r'<input id="f-new-tag".*?>', answer.text)[0]
    assert 'aria-invalid="true"' in field
    assert "e-bulk" in re.search('aria-describedby="([^"]*)"', field)[1]
    ticked = re.findall(r'<input type="checkbox" id="pick-([^"]+)"[^>]* checked', answer.text)
    assert ticked == [jobs[PAGE + 1].id]
    assert 'value="job"' in answer.text  # the search
    assert '<form method="post" action="/w/default?q=job">' in answer.text  # and repeated, it is still there


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


async def test_what_was_refused_is_shown_at_the_address_of_the_page_it_was_asked_on(served, operator):
    jobs = [await served.monitor(name=f"job {n:03}") for n in range(PAGE + 1)]
    answer = await act(operator, "tag", [jobs[PAGE].id], "?q=job&page=2", tag="night")
    assert (answer.status_code, shown(answer.text)[0]) == (400, [jobs[PAGE].id])
    assert '<form method="post" action="/w/default?q=job&amp;page=2">' in answer.text
    answer = await act(operator, "tag", [jobs[PAGE].id], "?q=job&page=2", tag="a%3Db")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{HOME}?q=job&page=2#row-")


async def test_what_enter_presses_in_the_form_of_the_rows_is_no_pause(served, operator):
    await served.monitor()
    form = (await operator.get(HOME)).text.partition('<form method="post" action="/w/default"')[2]
    assert 'name="do" value="tag"' in re.search(r"<button[^>]*>", form)[0]


async def test_nothing_chosen_is_said(served, operator):
    await served.monitor()
    answer = await act(operator, "pause", [])
    assert (answer.status_code, said(answer)) == (400, "Tick the monitors first.")


async def test_a_page_says_when_nothing_is_judged(serve):
    served = await serve(alarm=True)
    await (await served.monitor()).ping()
    client, _ = await served.sign_in("viewer")
    assert "cannot vouch" not in (await client.get(HOME)).text
    served.alarm.ticked_at -= 91_000
    said = "Luota cannot vouch for anything at present: the alarm does not tick."
    text = (await client.get(HOME)).text
    assert said in text
    assert "All is proven" not in text
    await client.aclose()


@pytest.mark.parametrize(
    ("count", "said"), [(1, "it until it proves to work: "), (2, "them until they prove to work: ")]
)
async def test_one_unverified_monitor_is_no_plural(served, operator, count, said):
    for number in range(count):
        job = await served.monitor("run", name=f"job {number}")
        await job.fail(await job.started())
        await served.api("POST", f"/api/incidents/{(await job.shown())['incidentId']}/resolve", {})
    assert f"Luota cannot vouch for {said}" in words(await operator.get(HOME))
