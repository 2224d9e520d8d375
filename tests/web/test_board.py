"""What open overviews share is never older than what is committed."""

import asyncio
import re

import pytest

from luota.engine.registry import Live
from luota.web.dashboard.board import Board

HOME = "/w/default"
NEEDED = 'Backup</span> <span class="kind s-incident">failed<'


@pytest.fixture
async def sign_in(served):
    """Returns clients that are signed in."""
    clients = []

    async def signed_in(role="viewer", email=None):
        client, _ = await served.sign_in(role, email)
        clients.append(client)
        return client

    yield signed_in
    for client in clients:
        await client.aclose()


async def shown(client, path=HOME):
    answer = await client.get(path)
    assert answer.status_code == 200
    return answer.text


def row_of(text, monitor):
    (row,) = re.findall(rf'<li [^>]*id="row-{monitor.id}".*?</li>', text, re.DOTALL)
    return row


async def test_a_signal_shows_within_the_second_in_which_the_row_was_drawn(served, sign_in):
    client = await sign_in()
    monitor = await served.monitor()
    assert "draft" in row_of(await shown(client), monitor)
    await monitor.ping()
    assert "healthy" in row_of(await shown(client), monitor)


async def test_an_edit_shows_at_once(served, sign_in):
    client = await sign_in()
    monitor = await served.monitor(name="before")
    assert "before" in row_of(await shown(client), monitor)
    await served.api("PATCH", f"/api/monitors/{monitor.id}", {"owner": "Ann", "tags": {"team": "night"}})
    text = await shown(client)
    assert "Ann" in row_of(text, monitor)
    assert "team=night" in row_of(text, monitor)
    assert '<option value="team">By team</option>' in text


async def test_a_row_that_was_drawn_between_an_edit_and_its_reading_is_drawn_again(served, sign_in):
    client = await sign_in()
    monitor, other = await served.monitor(name="before"), await served.monitor(name="other")
    assert "before" in row_of(await shown(client), monitor)
    # The page above saw what is live after the edit, and what the file had before it.
    await served.engine.writer._db.execute("UPDATE monitors SET name = 'after' WHERE id = ?", (monitor.id,))
    await served.api("PATCH", f"/api/monitors/{other.id}", {"owner": "Ann"})
    assert "after" in row_of(await shown(client), monitor)


async def test_a_row_is_drawn_again_when_its_second_is_over(served, sign_in):
    client = await sign_in()
    monitor = await served.monitor(schedule={"every": "2d"})
    await monitor.ping()
    served.clock.advance(8_000 - served.clock.now() % 4_000)  # nothing is forgotten for its age in between
    before = re.search(r"(\d+) s ago", row_of(await shown(client), monitor))
    served.clock.advance(1_000)
    assert f"{int(before[1]) + 1} s ago" in row_of(await shown(client), monitor)


async def test_a_row_is_for_those_alone_who_may_see_it_so(served, sign_in):
    operator = await sign_in("operator")
    viewer = await sign_in()
    monitor = await served.monitor(tags={"team": "night"})
    assert 'type="checkbox"' in row_of(await shown(operator), monitor)
    assert 'type="checkbox"' not in row_of(await shown(viewer), monitor)
    filtered = row_of(await shown(viewer, f"{HOME}?state=draft"), monitor)
    assert "state=draft&amp;tag=team%3Dnight" in filtered


async def test_pages_that_show_the_same_within_a_second_share_one_drawing(served, sign_in):
    first = await sign_in("viewer", "one@example.org")
    second = await sign_in("viewer", "two@example.org")
    monitor = await served.monitor(schedule={"every": "2d"})
    await monitor.ping()
    path = f"{HOME}/rows?ids={monitor.id}"
    assert "1 in time" in await shown(first, path)
    await served.engine.writer._db.execute("UPDATE heartbeats SET late = 1")  # nobody was told of it
    assert "1 in time" in await shown(second, path)
    served.clock.advance(1_000)
    assert "1 late" in await shown(second, path)


async def test_open_pages_that_hear_of_the_same_commit_are_answered_one_at_a_time(served, sign_in):
    client = await sign_in()
    monitor = await served.monitor()
    async with served.board.refreshing:
        asked = asyncio.create_task(shown(client, f"{HOME}/rows?ids={monitor.id}"))
        assert monitor.id in row_of(await shown(client), monitor)  # a page that is opened does not wait
        assert not (await asyncio.wait([asked], timeout=0.3))[0]
    assert monitor.id in row_of(await asked, monitor)


async def test_order_counters_and_what_needs_a_human_follow_a_change_within_the_second(served, sign_in):
    client = await sign_in()
    first, other = await served.monitor(name="Accounts"), await served.monitor(name="Backup", mode="run")
    await first.ping()
    run = await other.started()
    text = await shown(client)
    assert text.index(f"row-{first.id}") < text.index(f"row-{other.id}")
    assert NEEDED not in text
    await other.fail(run)
    text = await shown(client)
    assert text.index(f"row-{first.id}") > text.index(f"row-{other.id}")
    assert NEEDED in text
    (counter,) = re.findall(r'<a [^>]*state=incident".*?</a>', text, re.DOTALL)
    assert ">1<" in counter


async def test_what_open_pages_swap_in_place_follows_a_change_within_the_second(served, sign_in):
    client = await sign_in()
    monitor = await served.monitor(name="Backup", mode="run")
    run = await monitor.started()
    path = f"{HOME}/rows?ids={monitor.id}"
    assert NEEDED not in await shown(client, path)
    await monitor.fail(run)
    text = await shown(client, path)
    assert NEEDED in text
    (counter,) = re.findall(r'<a [^>]*state=incident".*?</a>', text, re.DOTALL)
    assert ">1<" in counter


def test_open_incidents_are_counted_for_each_workspace_alone_and_none_of_a_drill():
    def live(workspace_id, incident_id, drill_of=None):
        return Live("id", workspace_id, "slug", "salt", None, None, incident_id, drill_of)

    board = Board()
    lives = [
        live("a", "i"),
        live("a", "j"),
        live("a", None),
        live("a", "k", "twin of"),
        live("b", "l"),
        live("b", None),
    ]
    assert [board.open_count(here, 0, lives) for here in ("a", "b", "c")] == [2, 1, 0]
    assert board.open_count("a", 1, lives[1:]) == 1
