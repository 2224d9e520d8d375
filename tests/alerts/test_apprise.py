"""Apprise against real receivers: what arrives, what an outcome leads to, and where it may not go."""

import asyncio
import contextlib
import io
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec import structs

from luota.alerts import apprise
from luota.alerts.apprise import Services, inert, missing, parts
from luota.alerts.guard import AddressPolicy
from luota.alerts.types import routes
from luota.core.errors import LuotaError
from luota.core.evidence import Change
from luota.core.retry import AttemptResult
from luota.core.spec.channels import parse_channel
from luota.core.text import visible
from tests.alerts.notices import notice
from tests.clock import FakeClock
from tests.hostile import HOSTILE, cut_inside
from tests.markdown import ROOT
from tests.alerts.rig import LOOPBACK
from tests.receiver import Receiver, drip_body, drip_head, garbage, half_close, hang, reply, reset

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # by Apprise itself

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SECOND_ONLY = AddressPolicy((ip_network("127.0.0.2/32"),))
SAY_MISSING = "from luota.alerts.apprise import missing; print(missing())"


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """What is loaded at the first use takes longer than some deadlines here."""
    apprise._service("json://127.0.0.1/")


def to(receiver, rest="", scheme="json"):
    return {"target": f"{scheme}://127.0.0.1:{receiver.port}/{rest}"}


async def test_a_notice_arrives_with_title_and_facts():
    async with Receiver() as receiver:
        assert await Services(LOOPBACK).send(notice(), to(receiver)) == AttemptResult(ok=True)
        (request,) = receiver.requests
    assert request.json["title"] == "Invoices: failed (open)"
    assert "Promise: Sent by 07:00\n" in request.json["message"]
    assert "Output (end):\n    line 1\n    line 2" in request.json["message"]
    assert "Invoices: failed (open)" not in request.json["message"]


@pytest.mark.parametrize(
    ("type_", "said"),
    [("opened", "failure"), ("updated", "warning"), ("reminder", "warning"), ("resolved", "success")],
)
async def test_how_grave_it_is_is_told_to_the_service(type_, said):
    async with Receiver() as receiver:
        assert (await Services(LOOPBACK).send(notice(f"incident.{type_}"), to(receiver))).ok
        assert receiver.requests[0].json["type"] == said


@pytest.mark.parametrize(
    ("answer", "terminal", "status", "error"),
    [
        (reply(500), False, 500, "JSON refused it: HTTP 500"),
        (reply(404), False, 404, "JSON refused it: HTTP 404"),
        (reply(410), True, 410, "JSON refused it: HTTP 410"),
        (reply(429, {"retry-after": "60"}), False, 429, "JSON refused it: HTTP 429"),
        (reset, False, None, "JSON was not reached, or refused it"),
        (half_close, False, None, "JSON was not reached, or refused it"),
        (garbage, False, None, "JSON was not reached, or refused it"),
        (hang, False, None, "no answer within 1 s"),
        (drip_head, False, None, "no answer within 1 s"),
        (drip_body, False, None, "no answer within 1 s"),
    ],
)
async def test_an_outcome_leads_to_its_result_within_the_deadline(answer, terminal, status, error):
    async with Receiver() as receiver:
        receiver.default = answer
        result = await Services(LOOPBACK, deadline=1.0).send(notice(), to(receiver))
    assert result == AttemptResult(ok=False, terminal=terminal, status=status, error=error)


async def test_a_redirect_is_not_followed_even_when_the_url_asks_for_it():
    async with Receiver() as other, Receiver() as receiver:
        receiver.default = reply(307, {"location": other.url})
        for rest in ("", "?redirect=yes"):
            result = await Services(LOOPBACK).send(notice(), to(receiver, rest))
            assert (result.ok, result.status) == (False, 307)
        assert other.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_what_is_denied_gets_no_connection_however_it_is_written(host):
    async with Receiver(host="0.0.0.0") as receiver:
        result = await Services(AddressPolicy()).send(notice(), {"target": f"json://{host}:{receiver.port}/"})
        assert receiver.connections == 0
    assert not result.ok
    if host in ("127.0.0.1", "localhost"):
        assert "is a loopback address; to allow it" in result.error


async def test_a_name_that_rebinds_between_lookup_and_dialling_is_judged_at_the_dialling(monkeypatch):
    # As hostile as a resolver can be: another address at each question. Only the lookup is ours here.
    answers = iter([["127.0.0.2"], ["127.0.0.1"]] * 50)
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        return real(next(answers)[0] if host == "hook.test" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with Receiver() as denied, Receiver(host="127.0.0.2", port=denied.port) as allowed:
        services = Services(SECOND_ONLY)
        results = [await services.send(notice(), {"target": f"json://hook.test:{denied.port}/"}) for _ in range(6)]
        assert denied.connections == 0
        assert allowed.connections == sum(result.ok for result in results) == 3
    assert all("127.0.0.1 is a loopback address" in result.error for result in results if not result.ok)


async def test_the_judgement_concerns_the_attempts_of_apprise_alone():
    async with Receiver() as receiver:
        await Services(AddressPolicy()).send(notice(), to(receiver))
        await asyncio.to_thread(lambda: socket.create_connection(("127.0.0.1", receiver.port), 5).close())
        async with asyncio.timeout(5):
            while not receiver.connections:
                await asyncio.sleep(0.01)


async def test_a_deadline_ends_the_threads_so_that_the_next_attempt_finds_one():
    async with Receiver() as receiver:
        receiver.default = drip_head
        services = Services(LOOPBACK, threads=2, deadline=0.3)
        for _ in range(6):
            assert (await services.send(notice(), to(receiver))).error == "no answer within 0.3 s"
        receiver.default = reply(200)
        assert (await services.send(notice(), to(receiver))).ok


async def test_a_service_that_hangs_leaves_threads_to_the_others():
    async with Receiver() as dead, Receiver() as alive:
        dead.default = hang
        services = Services(LOOPBACK, threads=4, deadline=8.0)
        hanging = [asyncio.ensure_future(services.send(notice(), to(dead))) for _ in range(8)]
        await dead.wait(2)
        assert (await services.send(notice(), to(alive))).ok
        assert len(dead.requests) == 2
        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_names_that_are_never_resolved_hold_up_no_other_channel_however_many_they_are(monkeypatch):
    # A lookup that hangs cannot be had on demand. Only the lookup is ours here.
    real, end = socket.getaddrinfo, threading.Event()

    def lookup(host, *args, **kwargs):
        if str(host).endswith(".hang.test"):
            end.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with Receiver() as alive:
        services = Services(LOOPBACK, threads=4, deadline=0.5)
        dead = [{"target": f"json://name{number}.hang.test/"} for number in range(3)]
        first = asyncio.ensure_future(services.send(notice(), dead[0]))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert (await services.send(notice(), to(alive))).ok
        assert time.monotonic() - began < 1, "beside one that hangs"
        results = await asyncio.gather(*(services.send(notice(), one) for one in (*dead, *dead[1:])), first)
        assert {result.error for result in results} == {"no answer within 0.5 s"}
        began = time.monotonic()
        assert (await services.send(notice(), to(alive))).ok
        assert time.monotonic() - began < 1, "when all threads hang"
        end.set()


@pytest.mark.parametrize("url", ["nope://s3cret", "json://", "json://a,json://s3cret"])
async def test_a_url_that_apprise_does_not_know_ends_the_delivery(url):
    refusal = await Services(LOOPBACK).refusal({"target": url})
    assert refusal == "Apprise does not know this URL: look its form up at https://appriseit.com."
    result = await Services(LOOPBACK).send(notice(), {"target": url})
    assert result.terminal
    assert "Apprise does not know this URL" in result.error


async def test_a_url_whose_reading_hangs_is_refused_within_the_deadline_and_holds_up_no_message(monkeypatch):
    # What each service does with its URL is foreign code. Only that it never comes to an end is ours here.
    end, real, before = threading.Event(), apprise._service, threading.active_count()

    def read(url):
        return end.wait(60) if "hangs" in url else real(url)

    monkeypatch.setattr(apprise, "_service", read)
    services = Services(LOOPBACK, deadline=0.5)
    told = await asyncio.gather(*(services.refusal({"target": "json://hangs/"}) for _ in range(4)))
    assert told == ["Apprise did not read this URL within 0.5 s: try again."] * 4
    assert threading.active_count() <= before + 2
    async with Receiver() as alive:
        assert (await services.send(notice(), to(alive))).ok
    end.set()


async def test_each_url_of_the_docs_is_one_that_apprise_knows():
    rows = re.findall(r"^\| [A-Z]?[a-z]+ \|.*\|$", (ROOT / "docs/alerts.md").read_text().split("## Apprise")[1], re.M)
    urls = [url for row in rows for url in re.findall(r"`([a-z]+://[^`]+)`", row)]
    assert len(urls) == 7
    assert [await Services(LOOPBACK).refusal({"target": url}) for url in urls] == [None] * 7


async def test_nothing_of_the_url_gets_into_errors_or_logs():
    said = io.StringIO()
    handler, root = logging.StreamHandler(said), logging.getLogger()
    level = root.level
    root.addHandler(handler)  # as the daemon does; the capture of the test runner listens to all loggers there are
    root.setLevel(logging.DEBUG)
    async with Receiver() as receiver:
        for answer in (reply(500, body=b"s3cret"), reset, reply(302, {"location": "http://s3cret/"})):
            receiver.default = answer
            target = f"json://user:s3cret@127.0.0.1:{receiver.port}/s3cret?+X-Key=s3cret"
            assert "s3cret" not in (await Services(LOOPBACK).send(notice(), {"target": target})).error
    root.removeHandler(handler)
    root.setLevel(level)
    assert "s3cret" not in said.getvalue()


def test_mentions_and_tags_of_other_people_are_broken():
    assert inert("<!channel> @everyone a < b <b>") == "<\u200b!channel> @\u200beveryone a < b <\u200bb>"


async def test_without_the_extra_it_is_said_what_to_install_and_where(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    said = routes(None, FakeClock(), None, Services(LOOPBACK))["apprise"].missing
    assert said == missing()
    assert f"install luota[apprise] into {sys.prefix}" in said
    assert said.endswith("and restart Luota.")


def bare_environment(path):
    """Make an environment with what Luota needs and no pip; returns its interpreter."""
    subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", path])
    (own,) = path.glob("lib/*/site-packages")
    for package in Path(pytest.__file__).parents[1].iterdir():
        if package.name != "pip":
            (own / package.name).symlink_to(package)
    return path / "bin/python"


@pytest.mark.parametrize("pip", [True, False], ids=["with pip", "without"])
def test_a_pip_is_named_where_the_environment_has_one_and_by_the_interpreter_of_it(tmp_path, pip):
    python = bare_environment(tmp_path / "an env")
    if pip:
        next(tmp_path.glob("an env/lib/*/site-packages")).joinpath("pip.py").touch()
    said = subprocess.check_output([python, "-c", SAY_MISSING], text=True, cwd=ROOT).strip()
    do = f"install luota[apprise] into {tmp_path}/an env"
    do += f" ('{python}' -m pip install 'luota[apprise]')" if pip else ""
    assert said == f"The package apprise is not installed: {do}, and restart Luota."


def test_an_interpreter_that_does_not_know_its_own_path_names_no_command(tmp_path):
    program = f"import sys; sys.executable = ''; {SAY_MISSING}"
    said = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT)
    assert "luota[apprise] into" in said
    assert "-m pip" not in said


def test_proxies_of_the_environment_are_ignored():
    program = """
        import asyncio, sys
        from ipaddress import ip_network
        from luota.alerts.apprise import Services
        from luota.alerts.guard import AddressPolicy
        from tests.alerts.notices import notice
        from tests.receiver import Receiver

        async def main():
            async with Receiver() as receiver:
                services = Services(AddressPolicy((ip_network("127.0.0.0/8"),)))
                print(await services.send(notice(), {"target": f"json://127.0.0.1:{receiver.port}/"}))
                print(len(receiver.requests))

        asyncio.run(main())
    """
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, **dict.fromkeys(names, address)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert done.stdout.splitlines() == [str(AttemptResult(ok=True)), "1"], done.stderr


@pytest.mark.parametrize("url", ["", "ntfy", "http://s3cret/", "ntfy://a b", "ntfy://a\nb", "ntfy://ä", None, 5])
def test_a_url_that_cannot_be_one_is_refused_without_being_repeated(url):
    with pytest.raises(LuotaError) as error:
        parse_channel({"type": "apprise", "name": "phone", "url": url})
    assert error.value.field == "url"
    assert "s3cret" not in error.value.message


def test_a_url_is_kept_as_given():
    doc = {"type": "apprise", "name": "phone", "url": "tgram://123:a_b/-5?format=text"}
    assert parse_channel(doc).settings == {"target": doc["url"]}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_nothing_of_the_hostile_corpus_is_active_or_cut_inside_a_character(text):
    async with Receiver() as receiver:
        assert (await Services(LOOPBACK).send(notice(text=text), to(receiver))).ok
    for said in (one for request in receiver.requests for one in (request.json["title"], request.json["message"])):
        assert said == visible(said, lines=True)
        assert not re.search(r"[<@][^\s\u200b]", said)
        assert not cut_inside(said)


def test_a_message_too_long_for_a_service_goes_in_parts_cut_between_characters():
    text = "line 1\nline 2\n" + FAMILY * 20 + "\n" + "x" * 50
    found = list(parts(text, 30))
    assert "".join(found) == text
    assert found[0] == "line 1\nline 2\n"
    assert all(len(part) <= 30 and not part.startswith("\u200d") and not part.endswith("\u200d") for part in found)


@pytest.mark.parametrize("line", ["row {:03}\n", "\x1b[31m<@row> {:03}\n", "row {:03} "])
async def test_a_service_that_takes_few_characters_gets_one_message_with_as_much_of_the_output_as_fits(line):
    told = notice(run=structs.replace(notice().run, output="".join(line.format(n) for n in range(200))))
    async with Receiver() as receiver:
        target = f"rocket://hookone/hooktwo@127.0.0.1:{receiver.port}/#ops"  # takes 1,000 characters
        assert (await Services(LOOPBACK).send(told, {"target": target})).ok
        (request,) = receiver.requests
    facts, _, output = request.json["text"].replace("\\", "").partition("\nOutput (end):\n")
    assert 700 < len(facts + output) <= 1000
    assert facts.endswith("Incident: 2e4ee7a6-efc7-41bb-893a-57fab210176b")
    assert output.startswith("    …")
    assert output.endswith("199")


async def test_attempts_at_once_do_not_hear_of_the_outcome_of_each_other():
    async with contextlib.AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver()) for _ in range(8)]
        for status, receiver in enumerate(receivers, start=500):
            receiver.default = reply(status)
        services = Services(LOOPBACK)
        results = await asyncio.gather(*(services.send(notice(), to(receiver)) for receiver in receivers * 2))
    assert [result.status for result in results] == [*range(500, 508)] * 2


def test_the_judgement_says_nothing_of_what_happens_while_the_process_ends():
    program = """
        import sys
        from luota.alerts import apprise, apprise_attempt
        class Last:
            def __del__(self, audit=sys.audit):
                audit("the end")
        apprise_attempt.last = Last()  # it goes once the names with an underscore have gone
        apprise._prepare()
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
