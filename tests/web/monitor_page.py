"""What the tests of the monitor page share: where it is, and who looks at it."""

import pytest

HOUR = 3_600_000
WHERE = "/w/default/monitors"


@pytest.fixture
async def sign_in():
    """A function that signs somebody in; returns the client, which is closed at the end, and its CSRF token."""
    clients = []

    async def signed_in(served, role="owner"):
        client, csrf = await served.sign_in(role)
        clients.append(client)
        return client, csrf

    yield signed_in
    for client in clients:
        await client.aclose()


@pytest.fixture
async def owner(served, sign_in):
    return await sign_in(served)
