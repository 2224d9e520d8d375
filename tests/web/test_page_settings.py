"""The page of the settings: what an owner may change, and what is said of what is wrong."""

import re
from contextlib import aclosing

import pytest

from tests.web.reading import words

PATH = "/w/default/settings"
KEPT = {"name": "Default", "retentionDays": "90", "retentionCount": "10000", "incidentRetentionDays": "730"}


async def saved(client, csrf, **changed):
    return await client.post(PATH, data={"csrf": csrf, **KEPT, **changed})


async def test_settings_are_saved_and_shown(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        answer = await saved(client, csrf, name="Night", retentionDays="30")
        assert (answer.status_code, answer.headers["location"]) == (303, PATH)
        page = await client.get(answer.headers["location"])
        assert "Settings of Night Saved." in words(page)
        assert served.row("SELECT retention_days FROM workspaces") == (30,)


async def test_all_that_is_wrong_is_said_at_once_and_what_was_typed_stays(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        page = await saved(client, csrf, name=" ", retentionDays="0", incidentRetentionDays="long")
        assert page.status_code == 400
        assert re.findall('href="#f-(.*?)"', page.text) == ["name", "retentionDays", "incidentRetentionDays"]
        assert 'value="long"' in page.text
        assert " novalidate>" in page.text, "a browser would say one at a time"
        assert served.row("SELECT retention_days FROM workspaces") == (90,)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"retentionDays": "731"}, "retentionDays"), ({"incidentRetentionDays": "89"}, "incidentRetentionDays")],
)
async def test_what_was_changed_is_to_blame_for_incidents_that_would_be_kept_shorter(served, changed, field):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        page = await saved(client, csrf, **changed)
        assert re.findall(' id="e-(.*?)"', page.text) == [field]


async def test_a_number_that_is_none_is_not_called_a_text(served):
    client, csrf = await served.sign_in()
    async with aclosing(client):
        said = words(await saved(client, csrf, retentionDays="long"))
        assert "Days to keep signals must be a whole number from 1 to 3,650." in said
