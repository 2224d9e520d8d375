"""The list of incidents."""

from contextlib import aclosing

import pytest

from tests.served import NOBODY
from tests.web.incident_page import failed
from tests.web.reading import words


@pytest.mark.parametrize("state", ["Open", "<b>"])
async def test_a_state_that_there_is_not_is_named_and_filters_nothing(served, state):
    await failed(served, name="Nightly backup")
    client, _ = await served.sign_in("viewer")
    async with aclosing(client):
        page = await client.get("/w/default/incidents", params={"state": state})
        said = words(page)
        assert f"There is no state {state}, so that the list is not filtered by it. It can be open, " in said
        assert "Nightly backup failed" in said
        assert "<b>," not in page.text
        assert "There is no state" not in words(await client.get("/w/default/incidents?state=resolved"))


async def test_a_monitor_that_there_is_not_is_named_and_filters_nothing(served):
    await failed(served, name="Nightly backup")
    client, _ = await served.sign_in("viewer")
    async with aclosing(client):
        for unknown in (NOBODY, "<b>"):
            page = await client.get("/w/default/incidents", params={"monitor": unknown, "state": "closed"})
            said = words(page)
            assert f"There is no monitor {unknown}, so that the list is not filtered by it." in said
            assert "There is no state closed" in said
            assert "Nightly backup failed" in said
            assert "<b>," not in page.text
            assert f'value="{unknown}"' not in page.text, "the next filter does not carry it on"


async def test_the_incidents_of_one_monitor_are_listed_by_its_id_and_by_its_slug_also_once_it_is_archived(served):
    await failed(served, name="Nightly backup")
    job, *_ = await failed(served, name="Payroll")
    client, _ = await served.sign_in("viewer")
    async with aclosing(client):
        for archived in (False, True):
            if archived:
                await job.archive()
            for known in (job.id, job.id.upper(), "payroll"):
                said = words(await client.get(f"/w/default/incidents?monitor={known}"))
                assert ("Payroll failed" in said, "Nightly backup" in said) == (True, False), (archived, known)
