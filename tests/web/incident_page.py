"""What the tests of the incident page share: who looks at it, an incident, and how its parts are read."""

import html
import re

import pytest

WHERE = "/w/default/incidents"
HOUR = 3_600_000
WORDS = {"promise": "Pay slips are out by nine", "owner": "Ann", "runbook": "https://wiki.example.org/pay"}


class Person:
    """Somebody who is signed in."""

    def __init__(self, client, csrf):
        self.client, self.csrf = client, csrf

    async def get(self, path):
        return await self.client.get(path)

    async def post(self, path, **fields):
        return await self.client.post(path, data={"csrf": self.csrf, **fields})


@pytest.fixture
async def sign_in():
    people = []

    async def signed_in(served, role="operator"):
        people.append(Person(*await served.sign_in(role)))
        return people[-1]

    yield signed_in
    for person in people:
        await person.client.aclose()


async def failed(served, body=None, **fields):
    """A run monitor whose first run was healthy and whose second failed; the path of its incident."""
    job = await served.monitor("run", **{"name": "Payroll", **WORDS, **fields})
    first = await job.started("pay-1", {"deploySha": "4b825dc", "host": "app1"})
    served.clock.advance(10_000)
    await job.success(first)
    served.clock.advance(HOUR)
    run = await job.started("pay-2", {"deploySha": "c0ffee1", "host": "app1", "payload": {"batch": 7}})
    served.clock.advance(90_000)
    answer = await job.fail(run, body)
    assert answer.status_code == 202, answer.text
    return job, f"{WHERE}/{(await job.shown())['incidentId']}"


def steps(page):
    """The lines of the timeline."""
    found = re.findall(r"<li.*?</li>", re.search(r'<ol class="timeline">(.*?)</ol>', page.text, re.S)[1], re.S)
    return [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", one))).strip() for one in found]


def state_of(served, path):
    return served.row("SELECT state FROM incidents WHERE id = ?", path.rpartition("/")[2])[0]
