"""A hundred incidents at once, by the real daemon: people get few messages that name each, machines get each one."""

import asyncio
import re

from tests.e2e.told import telling
from tests.process import NO_LIMITS

MANY = 100
MOST_MESSAGES = 12


async def test_a_hundred_incidents_at_once_are_at_most_twelve_messages_to_people_and_none_is_dropped(tmp_path):
    async with telling(tmp_path / "data", NO_LIMITS) as told:
        luota = told.luota
        jobs = [await luota.monitor(f"job {number:03}", "run") for number in range(MANY)]
        runs = [(await luota.run(job, "1")).json()["run"]["id"] for job in jobs]
        fail = (luota.post(f"/v1/runs/{run}/fail", job, {"summary": "x"}) for job, run in zip(jobs, runs, strict=True))
        assert {reply.status_code for reply in await asyncio.gather(*fail)} == {202}
        left = "SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL"
        async with asyncio.timeout(120):
            while len(luota.rows("SELECT id FROM incidents")) < MANY or luota.rows(left) != [(0,)]:
                await asyncio.sleep(0.1)
        incidents = {id_ for (id_,) in luota.rows("SELECT id FROM incidents")}
        states = dict(luota.rows("SELECT state, count(*) FROM deliveries WHERE told_by IS NULL GROUP BY state"))
        untold = luota.rows(
            "SELECT count(*) FROM deliveries d WHERE told_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries g "
            "WHERE g.id = d.told_by AND g.state = 'delivered')"
        )
    assert untold == [(0,)]
    assert states.keys() == {"delivered"}
    assert {request.json["incident"]["id"] for request in told.webhook.requests} == incidents
    assert len(told.webhook.requests) == MANY
    by_channel = {
        "email": [f"{mail.message['Subject']}\n{mail.part('plain')}" for mail in told.mail.mails],
        "slack": [request.body.decode() for request in told.slack.requests],
        "apprise": [request.json["title"] + request.json["message"] for request in told.apprise.requests],
    }
    for name, messages in by_channel.items():
        said = "\n".join(messages)
        assert len(messages) <= MOST_MESSAGES, (name, len(messages))
        assert {number for number in range(MANY) if f"job {number:03}" in said} == set(range(MANY)), name
        assert set(re.findall(r"https://luota\.example\.org/incidents/([0-9a-f-]{36})", said)) == incidents, name
