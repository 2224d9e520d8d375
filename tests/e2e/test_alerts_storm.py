"""A hundred incidents at once, by the real daemon: people get few messages that name each, machines get each one."""

import asyncio
import re

from tests.e2e.told import telling
from tests.process import NO_LIMITS
from tests.receiver import Receiver, reply

MANY = 100
MOST_MESSAGES = 12


async def fail_at_once(luota, names, *, first=0):
    """Let a job of each name fail, the `first` of them one after another, and return once all is told."""
    jobs = [await luota.monitor(name, "run") for name in names]
    runs = [(await luota.run(job, "1")).json()["run"]["id"] for job in jobs]

    async def fail(job, run):
        reply = await luota.post(
            f"/v1/runs/{run}/fail", job, {"summary": "pg_dump: error: no route to <db-1> & more " * 3}
        )
        assert reply.status_code == 202

    both = [*zip(jobs, runs, strict=True)]
    for job, run in both[:first]:
        await fail(job, run)
        await asyncio.sleep(0.08)
    await asyncio.gather(*(fail(job, run) for job, run in both[first:]))
    left = "SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL"
    async with asyncio.timeout(120):
        while len(luota.rows("SELECT id FROM incidents")) < len(names) or luota.rows(left) != [(0,)]:
            await asyncio.sleep(0.1)


async def test_two_hundred_of_the_worst_names_at_once_are_each_named_to_people(tmp_path):
    names = [f"{'&' * 116} {number:03}" for number in range(200)]
    async with telling(tmp_path / "data", NO_LIMITS) as told:
        await told.luota.api("DELETE", "/api/channels/webhook")
        await told.luota.api("DELETE", "/api/channels/apprise")
        await fail_at_once(told.luota, names)
        states = told.luota.rows("SELECT DISTINCT state FROM deliveries WHERE told_by IS NULL")
    assert states == [("delivered",)]
    blocks = "\n".join(block["text"]["text"] for one in told.slack.requests for block in one.json["blocks"])
    plain = "\n".join(one.json["text"] for one in told.slack.requests)
    mails = "\n".join(f"{mail.message['Subject']}\n{mail.part('plain')}" for mail in told.mail.mails)
    assert [name for name in names if name not in mails] == []
    for said in (blocks, plain):
        assert [name for name in names if name.replace("&", "&amp;") not in said] == []


async def test_a_hundred_one_after_another_are_at_most_twelve_messages_by_services_of_short_ones(tmp_path):
    names = [f"Backup of the orders database {number:03}" for number in range(MANY)]
    async with Receiver() as ntfy, Receiver() as rocket, telling(tmp_path / "data", NO_LIMITS) as told:
        ntfy.default = reply(200, {"content-type": "application/json"}, b'{"id":"x"}')
        for name, url in (
            ("ntfy", f"ntfy://127.0.0.1:{ntfy.port}/topic"),
            ("rocket", f"rocket://hookone/hooktwo@127.0.0.1:{rocket.port}/#ops"),
        ):
            await told.luota.api("POST", "/api/channels", {"type": "apprise", "name": name, "url": url})
        await fail_at_once(told.luota, names, first=12)
        states = told.luota.rows("SELECT DISTINCT state FROM deliveries WHERE told_by IS NULL")
    assert states == [("delivered",)]
    by_channel = {
        "ntfy": [request.body.decode() for request in ntfy.requests],
        "rocket": [request.body.decode() for request in rocket.requests],
        "apprise": [request.body.decode() for request in told.apprise.requests],
        "slack": [request.body.decode() for request in told.slack.requests],
        "email": [f"{mail.message['Subject']}\n{mail.part('plain')}" for mail in told.mail.mails],
    }
    assert {name: len(said) for name, said in by_channel.items() if len(said) > MOST_MESSAGES} == {}
    for name, said in by_channel.items():
        assert [one for one in names if one not in "\n".join(said)] == [], name


async def test_a_hundred_incidents_at_once_are_at_most_twelve_messages_to_people_and_none_is_dropped(tmp_path):
    async with telling(tmp_path / "data", NO_LIMITS) as told:
        luota = told.luota
        await fail_at_once(luota, [f"job {number:03}" for number in range(MANY)])
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
