from contextlib import aclosing

import pytest

from tests.served import serve, served  # noqa: F401
from tests.web.rig import rig  # noqa: F401


@pytest.fixture
async def viewer(served):  # noqa: F811
    """A client that is signed in as a viewer."""
    client, client.csrf = await served.sign_in("viewer")
    async with aclosing(client):
        yield client


@pytest.fixture
async def operator(served):  # noqa: F811
    """A client that is signed in as an operator, with its CSRF token as `csrf`."""
    client, client.csrf = await served.sign_in("operator")
    async with aclosing(client):
        yield client
