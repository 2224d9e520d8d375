"""The channels: which can be trusted, how one is added, tried, given rules and removed, and what never is shown."""

import asyncio
import html
import re

import pytest

from luota.web.dashboard.channels import _document
from tests.hostile import HOSTILE
from tests.receiver import Receiver, reply
from tests.served import LOOPBACK, NOBODY
from tests.web.reading import words

WHERE = "/w/default/channels"
FRESH = {"kinds": ["missed", "stuck", "failed", "stale"], "notify": ["opened", "resolved"], "delaySeconds": ""}
"""Which notices are chosen in the form of a new channel, as it is opened."""
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


class Operator:
    """Somebody who may change channels, and what they do on the pages."""

    def __init__(self, served, client, csrf):
        self.served, self.client, self.csrf = served, client, csrf

    async def post(self, path="", **fields):
        rules = {} if path else FRESH
        return await self.client.post(WHERE + path, data={"csrf": self.csrf, **rules, **fields})

    async def get(self, path=""):
        return await self.client.get(WHERE + path)

    async def done(self, path="", **fields):
        """Post a form; return the page to which that leads."""
        answer = await self.post(path, **fields)
        assert answer.status_code == 303, answer.text
        return await self.client.get(answer.headers["location"])

    async def webhook(self, url, name="desk"):
        """Add a webhook by API; return its id."""
        made = await self.served.api("POST", "/api/channels", {"type": "webhook", "name": name, "url": url})
        return made["channel"]["id"]


@pytest.fixture
async def served(serve):
    return await serve(send=True, allow=LOOPBACK)


@pytest.fixture
async def operator(served):
    client, csrf = await served.sign_in("operator")
    yield Operator(served, client, csrf)
    await client.aclose()


@pytest.fixture
async def hook():
    async with Receiver() as receiver:
        yield receiver


async def test_without_channels_it_says_that_nobody_would_be_told(operator):
    assert "Nobody would be told" in words(await operator.get())


async def test_a_webhook_is_added_and_its_secret_is_shown_once(operator, hook):
    page = await operator.done(
        type="webhook", name="desk", url=hook.url, headers="X-Team: ops\nAuthorization: Bearer t0p"
    )
    (secret,) = set(SECRET.findall(page.text))
    (stored,) = operator.served.row("SELECT settings FROM channels")
    assert secret in html.unescape(page.text)
    assert secret in stored
    (channel_id,) = operator.served.row("SELECT id FROM channels")
    for path in ("", f"/{channel_id}"):
        text = (await operator.get(path)).text
        assert not SECRET.search(text)
        assert "t0p" not in text
        assert hook.url not in text
    await operator.post(f"/{channel_id}/test")
    assert hook.requests[0].headers["authorization"] == "Bearer t0p"
    assert hook.requests[0].headers["x-team"] == "ops"


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({"type": "webhook", "name": "", "url": "http://127.0.0.1/"}, "name", "Name must "),
        ({"type": "webhook", "name": "x", "url": "ftp://x"}, "url", "URL must"),
        ({"type": "webhook", "name": "x", "url": "http://169.254.169.254/"}, "url", "link-local"),
        ({"type": "webhook", "name": "x", "url": "http://127.0.0.1/", "headers": "nonsense"}, "headers", "one a line"),
        ({"type": "slack", "name": "x", "url": ""}, "url", "Incoming webhook URL must"),
        ({"type": "pigeon", "name": "x"}, "type", "Type must be one of"),
    ],
)
async def test_what_is_wrong_with_a_channel_stands_beside_its_field_and_the_rest_stays(operator, form, field, said):
    page = await operator.post(**form)
    assert page.status_code == 400
    assert said in words(page)
    if field != "type":
        assert f'id="e-{field}"' in page.text
        assert f'value="{form["name"]}"' in page.text
    assert operator.served.rows("SELECT 1 FROM channels") == []


async def test_all_that_is_wrong_with_a_channel_or_its_rules_is_said_at_once(operator, hook):
    page = await operator.post(type="webhook", name="", url="ftp://x", headers="nonsense")
    assert page.status_code == 400
    assert re.findall('href="#f-(.*?)"', page.text) == ["name", "url", "headers"]
    assert "Give the address and the headers again: they hold secrets" in page.text
    assert " novalidate>" in page.text, "a browser would say one at a time"
    page = await operator.post(type="webhook", name="x", url="ftp://x", kinds=[], notify="x", delaySeconds="soon")
    assert re.findall('href="#f-(.*?)"', page.text) == ["url", "kinds", "notify", "delaySeconds"]
    assert operator.served.rows("SELECT id FROM channels") == []
    channel_id = await operator.webhook(hook.url)
    page = await operator.post(f"/{channel_id}", kinds="x", notify="x", delaySeconds="soon")
    assert page.status_code == 400
    assert re.findall('href="#f-(.*?)"', page.text) == ["kinds", "notify", "delaySeconds"]


async def test_a_channel_begins_with_the_rules_that_its_form_chooses(operator, hook):
    fresh = (await operator.get("/new?type=webhook")).text
    assert len(re.findall(r'name="(?:kinds|notify)"[^>]* checked', fresh)) == 6
    assert '<details class="more block" id="rules">' in fresh, "nobody has to look at them"
    rules = {"kinds": ["failed"], "notify": ["resolved"], "delaySeconds": "5m"}
    refused = await operator.post(type="webhook", name="", url=hook.url, **rules)
    assert '<details class="more block" id="rules" open>' in refused.text
    assert len(re.findall(r'name="(?:kinds|notify)"[^>]* checked', refused.text)) == 2
    assert 'value="5m"' in refused.text
    await operator.done(type="webhook", name="desk", url=hook.url, **rules)
    (shown,) = (await operator.served.api("GET", "/api/channels"))["channels"]
    assert (shown["kinds"], shown["notify"], shown["delaySeconds"]) == (["failed"], ["resolved"], 300)


async def test_a_name_that_is_taken_is_refused_beside_the_name(operator, hook):
    await operator.webhook(hook.url)
    page = await operator.post(type="webhook", name="desk", url=hook.url)
    assert page.status_code == 409
    assert 'id="e-name"' in page.text


async def test_a_type_that_this_installation_cannot_send_to_says_what_is_missing(operator):
    for answer in (
        await operator.get("/new?type=email"),
        await operator.post(type="email", name="x", to="a@b.example"),
    ):
        assert "[email]" in words(answer)
    assert answer.status_code == 400


def test_recipients_of_email_are_taken_one_a_line_or_after_commas():
    form = {"type": "email", "name": "mail", "to": "ann@example.org\nbob@example.org, eve@example.org\n"}
    assert _document(form)["to"] == ["ann@example.org", "bob@example.org", "eve@example.org"]


async def test_a_test_is_sent_awaited_and_shown_with_the_providers_answer(operator, hook):
    channel = await operator.webhook(hook.url)
    hook.answers = [reply(204), reply(200, body=b"ok <b>"), reply(410, body=b"gone <b>")]
    for state, said in (
        ("proven", "took it, answer 204"),
        ("proven", "took it, answer 200 ok <b>"),
        ("failing", "did not take it: HTTP 410 from the receiver: gone <b>"),
    ):
        answer = await operator.post(f"/{channel}/test")
        assert answer.status_code == 303
        page = words(await operator.client.get(answer.headers["location"]))
        assert said in page
        assert f"Can it be trusted? {state}" in page
        assert "1 attempt" in page
    assert [request.json["type"] for request in hook.requests] == ["channel.test"] * 3
    assert "That notice was given up. Mend its destination" in page


async def test_after_a_test_that_a_busy_destination_refused_it_is_said_to_wait_and_not_to_mend(operator, hook):
    channel = await operator.webhook(hook.url)
    hook.default = reply(429, {"retry-after": "60"})
    page = words(await operator.done(f"/{channel}/test"))
    assert "did not take it: HTTP 429" in page
    for said in (page, words(await operator.get())):
        assert "That notice was given up: the destination asked to wait (429). Send a test notice again later." in said
        assert "Mend its destination" not in said


async def test_a_dead_route_stands_first_and_says_what_to_do(operator, hook):
    await operator.webhook(hook.url, "z-dead")
    hook.default = reply(410)
    job = await operator.served.monitor("run")
    await job.fail(await job.started())
    async with asyncio.timeout(20):
        while not (await operator.served.api("GET", "/api/channels"))["channels"][0]["failedAt"]:
            await asyncio.sleep(0.02)
    await operator.webhook(hook.url, "a-good")
    page = await operator.get()
    assert re.findall(r'class="monitor-name"[^>]*>([^<]+)<', page.text) == ["z-dead", "a-good"]
    said = words(page)
    assert "dead route" in said
    assert "Mend its destination" in said
    assert "unproven" in said


async def test_a_dead_route_says_what_it_was_answered_though_retention_has_taken_the_notice(operator, hook):
    channel = await operator.webhook(hook.url)
    hook.default = reply(410)
    job = await operator.served.monitor("run")
    await job.fail(await job.started())
    async with asyncio.timeout(20):
        while "dead route" not in words(await operator.get()):
            await asyncio.sleep(0.02)

    async def forget(tx):
        for table in ("attempts", "deliveries"):
            await tx.execute(f"DELETE FROM {table}")

    await operator.served.engine.submit(forget)
    for path in ("", f"/{channel}"):
        said = words(await operator.get(path))
        assert "nothing was delivered since: HTTP 410 from the receiver. Mend its destination" in said
        assert "Nothing sent yet" not in said
    assert "nothing delivered since: HTTP 410 from the receiver" in words(await operator.client.get("/w/default"))


async def test_every_attempt_of_a_delivery_is_shown_with_its_answer_and_the_next_one(operator, hook):
    channel = await operator.webhook(hook.url)
    hook.default = reply(503)
    job = await operator.served.monitor("run", name="Payroll")
    await job.fail(await job.started())
    async with asyncio.timeout(20):
        while "Luota keeps trying" not in (said := words(page := await operator.get(f"/{channel}"))):
            await asyncio.sleep(0.02)
    assert "1 attempt" in said
    assert "Payroll: failed, opened" in said
    assert re.search(r"failed, retrying · just now *, next attempt in \d+ s *: HTTP 503 from the receiver", said)
    assert re.search(r"2026-04-29 01:33:11 UTC *, \S+ m?s: HTTP 503 from the receiver, answer 503", said)
    incident = (await job.shown())["incidentId"]
    assert f'href="/w/default/incidents/{incident}"' in page.text


async def test_rules_are_changed_and_refused_beside_their_field(operator, hook):
    channel = await operator.webhook(hook.url)
    answer = await operator.post(f"/{channel}", kinds=["failed", "stuck"], notify="opened", delaySeconds="5m")
    assert answer.status_code == 303
    (shown,) = (await operator.served.api("GET", "/api/channels"))["channels"]
    assert (shown["kinds"], shown["notify"], shown["delaySeconds"]) == (["stuck", "failed"], ["opened"], 300)
    page = await operator.get(f"/{channel}")
    assert 'value="5m"' in page.text
    assert len(re.findall(r'name="kinds"[^>]* checked', page.text)) == 2
    for fields in (
        {"notify": "opened"},
        {"kinds": "failed"},
        {"kinds": "failed", "notify": "opened", "delaySeconds": "x"},
    ):
        refused = await operator.post(f"/{channel}", **fields)
        assert refused.status_code == 400
        assert 'class="wrong"' in refused.text
    assert (await operator.served.api("GET", "/api/channels"))["channels"] == [shown]


async def test_a_new_secret_is_shown_once_with_the_end_of_the_old_one(operator, hook):
    channel = await operator.webhook(hook.url)
    page = await operator.done(f"/{channel}/secret")
    (secret,) = set(SECRET.findall(page.text))
    assert "Until 2026-04-30 01:33:11 UTC every message carries a signature of the old secret too" in words(page)
    assert not SECRET.search((await operator.get(f"/{channel}")).text)
    (stored,) = operator.served.row("SELECT settings FROM channels")
    assert secret in stored, "to load the page again makes no other"


async def test_a_new_secret_is_shown_to_who_made_it_alone(operator, hook):
    channel = await operator.webhook(hook.url)
    other, _ = await operator.served.sign_in("owner")
    answer = await operator.post(f"/{channel}/secret")
    assert not SECRET.search((await other.get(answer.headers["location"])).text)
    live = {"hx-request": "true"}  # what the open page asks for by itself does not use it up
    assert not SECRET.search((await operator.client.get(answer.headers["location"], headers=live)).text)
    assert SECRET.search((await operator.client.get(answer.headers["location"])).text)
    await other.aclose()


async def test_removing_says_what_is_cancelled_and_ends_the_channel(operator, hook):
    channel = await operator.webhook(hook.url)
    hook.default = reply(503)
    await operator.served.monitor("heartbeat", channels=["desk"])
    job = await operator.served.monitor("run", name="Payroll")
    await job.fail(await job.started())
    await hook.wait(1)
    said = words(await operator.get(f"/{channel}"))
    assert "1 notice not delivered yet is cancelled." in said
    assert "1 monitor names this channel" in said
    await operator.post(f"/{channel}/remove")
    assert (await operator.get(f"/{channel}")).status_code == 404
    (state,) = operator.served.row("SELECT state FROM deliveries")
    assert state == "cancelled"


async def test_what_is_said_of_a_new_channel_holds_while_it_is_unproven_and_no_longer(operator, hook):
    page = await operator.done(type="webhook", name="desk", url=hook.url)
    assert re.search('data-while="unproven">Added. It is unproven until', page.text)
    assert 'data-state="unproven"' in page.text
    (channel_id,) = operator.served.row("SELECT id FROM channels")
    await operator.post(f"/{channel_id}/test")
    assert 'data-state="proven"' in (await operator.get(f"/{channel_id}")).text


async def test_viewers_see_channels_and_are_offered_no_change(operator, hook):
    channel = await operator.webhook(hook.url)
    client, _ = await operator.served.sign_in("viewer")
    for path in ("", f"/{channel}"):
        page = await client.get(WHERE + path)
        assert page.status_code == 200
        assert "desk" in page.text
        main = page.text.partition("<main")[2]
        assert "<form" not in main
        assert "/channels/new" not in main
    await client.aclose()


async def test_every_act_on_a_channel_that_is_not_there_is_not_found(operator):
    for path in ("", "/test", "/secret", "/remove"):
        assert (await operator.post(f"/{NOBODY}{path}")).status_code == 404, path


async def test_hostile_names_and_answers_are_text(operator, hook):
    channel = await operator.webhook(hook.url, "<img src=x onerror=alert(1)>")
    hook.answers = [reply(400, body=HOSTILE["html"].encode())]
    await operator.post(f"/{channel}/test")
    for path in ("", f"/{channel}"):
        text = (await operator.get(path)).text
        assert "<img" not in text
        assert "<script>" not in text


async def test_an_address_that_is_asked_for_again_holds_secrets_itself(operator):
    page = await operator.post("", type="slack", name="", url="https://hooks.example.org/secret")
    assert "Give the address again: it holds secrets" in page.text
