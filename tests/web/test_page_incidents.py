"""The list of incidents."""

from contextlib import aclosing

import pytest

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
        assert "Nightly backup: failed" in said
        assert "<b>," not in page.text
        assert "There is no state" not in words(await client.get("/w/default/incidents?state=resolved"))
