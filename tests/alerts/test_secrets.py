"""A secret in every place of a channel that can hold one, through all that Luota does and shows."""

import asyncio
import base64
import html
import io
import json
import logging
import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from ipaddress import ip_network
from urllib.parse import quote, unquote

import pytest

from luota.alerts.apprise import Services
from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.smtp import Relay
from luota.clock import SystemClock
from luota.config import Email
from luota.engine import channels
from luota.web.api import ROUTES
from tests.mailserver import MailServer
from tests.markdown import ROOT
from tests.receiver import Receiver, reply, reset
from tests.served import LOOPBACK, serve  # noqa: F401 (serve is a fixture)

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # by Apprise itself
    pytest.mark.timeout(120),
]

MARK = "s3+kr"
"""With a character that most who repeat it write in another way."""
PASSWORD = f"{MARK}smtp"
GIVEN = channels.new_secret()
MADE = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


def webhook(port, name="hook", **more):
    url = f"http://{MARK}user:{MARK}pass@127.0.0.1:{port}/{MARK}/{MARK}path?key={MARK}query"
    headers = {"Authorization": f"Bearer {MARK}bearer", "X-Request-Id": f"{MARK}id"}
    return {"type": "webhook", "name": name, "url": url, "headers": headers, **more}


def documents(port):
    """One channel of each type, with a secret in each place."""
    return [
        webhook(port),
        webhook(port, "given", secret=GIVEN),
        {"type": "slack", "name": "team", "url": f"http://127.0.0.1:{port}/services/{MARK}/{MARK}B/{MARK}X"},
        {"type": "email", "name": "desk", "to": ["ann@example.org"]},
        {
            "type": "apprise",
            "name": "phone",
            "url": f"json://{MARK}user:{MARK}pass@127.0.0.1:{port}/{MARK}path"
            f"?+X-Key={quote(MARK)}header&:k={quote(MARK)}field",
        },
    ]


def refused(port):
    """What is refused, each for another reason and with secrets beside it."""
    hook = webhook(port, "refused")
    return [
        webhook(port),  # the name is taken
        {**hook, "url": f"http://{MARK}:{MARK}@169.254.169.254/{MARK}"},
        {**hook, "url": f"http://{MARK}:{MARK}@127.0.0.1:99999/{MARK}"},
        {**hook, "url": f"ftp://{MARK}:{MARK}@127.0.0.1/{MARK}"},
        {**hook, "url": f"http://127.0.0.1/{MARK} {MARK}"},
        {**hook, "headers": {"Authorization": f"{MARK}\n"}},
        {**hook, "headers": {f"{MARK} {MARK}": "x"}},
        {**hook, "headers": {"Host": MARK}},
        {**hook, "secret": f"whsec_{MARK}"},
        {"type": "slack", "name": "refused", "url": f"http://[{MARK}/{MARK}"},
        {"type": "apprise", "name": "refused", "url": f"nope://{MARK}"},
        {"type": "apprise", "name": "refused", "url": f"json://{MARK}:{MARK}@/{MARK}"},
        {"type": "apprise", "name": "refused", "url": f"{MARK} {MARK}"},
    ]


class Heard:
    """All that was shown: answers, logs, output of commands, and what is kept beside the settings of channels."""

    def __init__(self):
        self.log = io.StringIO()
        self.said = {}
        self.secrets = [MARK, GIVEN, GIVEN.removeprefix("whsec_")]

    async def listen(self, answer):
        await answer.aread()
        self.said.setdefault(f"{answer.request.method} {answer.request.url}", "")
        self.said[f"{answer.request.method} {answer.request.url}"] += f"{answer.headers}\n{answer.text}"

    def made(self, text, *, shown_by):
        """Note the secret that was just made and shown, which is right there and wrong anywhere else."""
        (secret,) = set(MADE.findall(html.unescape(text)))
        self.secrets += [secret, secret.removeprefix("whsec_")]
        assert self.said.pop(shown_by).count(secret) <= 2, "shown once, and once more to be copied"

    def check(self):
        self.said["log"] = self.log.getvalue()
        assert "delivery" in self.said["log"]
        found = [
            f"{where}: …{text[max(0, at.start() - 60) : at.end() + 20]}"
            for where, said in self.said.items()
            for text in {said, plain(said)}
            for secret in self.secrets
            for form in forms(secret)
            for at in re.finditer(re.escape(form), text)
        ]
        assert not found


def forms(secret):
    return {secret, base64.b64encode(secret.encode()).decode().rstrip("="), html.escape(secret)}


def plain(text):
    """Undo what escapes of JSON, HTML and URLs there are."""
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return unquote(html.unescape(html.unescape(text)))


def echo(receiver, status, plus):
    """Answer with what was asked, as servers do with an id of the request; each `+` of the text in its own way."""

    async def answer(reader, writer):
        asked = receiver.requests[-1]
        id_ = asked.headers.get("x-request-id") or f"of {asked.path.rpartition('?')[0].split('/')[-2:]}"
        await reply(status, {"x-request-id": id_}, f"{asked.path} {asked.headers}".replace("+", plus).encode())(
            reader, writer
        )

    return answer


async def crawl(client):
    """Follow every link within the pages."""
    known, todo = set(), ["/"]
    while todo:
        path = todo.pop().partition("#")[0]
        if path in known or "/stream" in path or re.search(r"[?&](since|until)=", path):
            continue
        known.add(path)
        answer = await client.get(path, follow_redirects=True)
        assert answer.status_code == 200, path
        if "html" in answer.headers["content-type"]:
            todo += [html.unescape(one) for one in re.findall(r'href="(/(?:w/|account)[^"]*)"', answer.text)]
        assert len(known) < 400
    return known


async def attempted(served, type_, least):
    sql = "SELECT count(*) FROM deliveries WHERE type = ? AND attempts >= ?"
    async with asyncio.timeout(40):
        while served.row(sql, type_, least) != (5,):
            await asyncio.sleep(0.05)


async def program(served, heard, *args, status=0):
    command = [sys.executable, "-m", "luota", *args, "--data-dir", str(served.data_dir)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    heard.said[f"luota {' '.join(args[:3])}"] = done.stdout + done.stderr
    return done.stdout


async def test_no_secret_of_a_channel_is_shown_logged_or_kept_elsewhere(serve, tmp_path):  # noqa: F811
    heard = Heard()
    handler, root = logging.StreamHandler(heard.log), logging.getLogger()
    handler.addFilter(lambda record: record.name != "mail.log")  # of the server in this test
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    policy = AddressPolicy((ip_network("127.0.0.0/8"),))
    async with Receiver() as receiver, MailServer(accounts={"luota": PASSWORD}) as server:
        settings = dict(host="127.0.0.1", port=server.port, security="plain", sender="luota@example.org")
        wrong = Relay(Email(**settings, username="luota", password=f"{PASSWORD}wrong"), Resolver())
        right = Relay(Email(**settings, username="luota", password=PASSWORD), Resolver())
        at_first = Switch(wrong)
        served = await serve(send=True, allow=LOOPBACK, clock=SystemClock(), relay=at_first, services=Services(policy))
        for client in (served.local, served.tcp):
            client.event_hooks["response"].append(heard.listen)
        client, csrf = await served.sign_in("owner")
        client.event_hooks["response"].append(heard.listen)

        # Add and refuse, by API and by page.
        ids = {}
        for doc in documents(receiver.port):
            made = await served.api("POST", "/api/channels", doc)
            ids[doc["name"]] = made["channel"]["id"]
            if doc["name"] == "hook":
                heard.made(json.dumps(made), shown_by="POST http://luota/api/channels")
        for doc in refused(receiver.port):
            answer = await served.call("POST", "/api/channels", content=json.dumps(doc), local=True)
            assert answer.status_code in (400, 409), answer.text
            fields = {key: value for key, value in doc.items() if key not in ("headers", "secret")}
            fields |= {"kinds": "failed", "notify": "opened"}
            fields["headers"] = "\n".join(f"{key}: {value}" for key, value in doc.get("headers", {}).items())
            if "secret" not in doc and not fields["headers"].endswith("\n"):  # what a form cannot send
                answer = await client.post("/w/default/channels", data={"csrf": csrf, **fields})
                assert answer.status_code in (400, 409), answer.text

        # Deliver in vain in each way, then with success.
        for script in (
            echo(receiver, 500, "&#43;"),
            reply(302, {"location": f"http://127.0.0.1/{MARK}"}),
            reset,
        ):
            receiver.default = script
            for channel_id in ids.values():
                await served.api("POST", f"/api/channels/{channel_id}/test", {})
        receiver.default = echo(receiver, 410, r"\u002B")
        job = await served.monitor("run", name="broken")
        await job.fail(await job.started("1"))
        await attempted(served, "incident.opened", 1)
        receiver.default = echo(receiver, 200, "%252B")
        at_first.relay = right
        for channel_id in ids.values():
            shown = await served.api("POST", f"/api/channels/{channel_id}/test", {})
            assert shown["delivery"]["state"] == "delivered", shown

        # Change: rules, secrets, and as code.
        await served.api("PATCH", f"/api/channels/{ids['team']}", {"delaySeconds": 60})
        made = await served.api("POST", f"/api/channels/{ids['hook']}/rotate-secret", {})
        heard.made(json.dumps(made), shown_by=f"POST http://luota/api/channels/{ids['hook']}/rotate-secret")
        page = f"/w/default/channels/{ids['given']}"
        answer = await client.post(f"{page}/secret", data={"csrf": csrf}, follow_redirects=True)
        heard.made(answer.text, shown_by=f"GET {served.base}{page}")
        file = tmp_path / "luota.json"
        file.write_text(await program(served, heard, "export"))
        assert {one["name"] for one in json.loads(file.read_text())["channels"]} == set(ids)
        await program(served, heard, "apply", str(file))
        document = json.loads(file.read_text())
        document["channels"] = [*documents(receiver.port), refused(receiver.port)[1]]
        file.write_text(json.dumps(document))
        await program(served, heard, "apply", str(file), "--dry-run")
        await program(served, heard, "apply", str(file), status=1)

        # Read it all: every page that links lead to, every list of the API, the commands.
        known = await crawl(client)
        assert {f"/w/default/channels/{one}" for one in ids.values()} <= known
        assert [one for one in known if one.endswith("packet.md")]
        (incident,) = served.row("SELECT id FROM incidents")
        for method, path, _, _ in ROUTES:
            if method == "GET":
                path = path.format(monitor=job.id, incident=incident, workspace="default", drill="none", run="none")  # noqa: PLW2901
                await served.call("GET", path, local=True)
        for args in (("channel", "list"), ("incident", "show", incident), ("incident", "export", incident)):
            await program(served, heard, *args)
            await program(served, heard, *args, "--json")
        await client.aclose()
    root.removeHandler(handler)
    root.setLevel(level)
    with closing(sqlite3.connect(served.data_dir / "luota.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"channels", "audit_entries", "attempts"} <= set(tables)
        for table in tables:
            if table != "channels":
                heard.said[table] = str(db.execute(f"SELECT * FROM {table}").fetchall())
    heard.check()


class Switch:
    """The relay of the moment: its settings cannot be changed while Luota runs."""

    def __init__(self, relay):
        self.relay = relay

    async def send(self, *args, **how):
        return await self.relay.send(*args, **how)


def test_a_service_whose_certificate_is_not_to_be_verified_is_not_named_on_the_daemons_standard_error(tmp_path):
    program = f"""
        import asyncio
        from pathlib import Path
        from luota.alerts.apprise import Services
        from tests.alerts.notices import notice
        from tests.alerts.rig import LOOPBACK
        from tests.receiver import Receiver, self_signed

        async def main():
            context, _ = self_signed(Path({str(tmp_path)!r}), "localhost")
            async with Receiver(tls=context) as receiver:
                target = f"jsons://localhost:{{receiver.port}}/?verify=no"
                print((await Services(LOOPBACK).send(notice(), {{"target": target}})).ok)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("True\n", "")
