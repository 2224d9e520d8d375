import asyncio
import contextlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from ipaddress import ip_network

import httpx
import pytest

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.transport import Unreachable, open_client, refusal_of_url
from tests.alerts.rig import LOOPBACK, plain_client
from tests.alerts.test_guard import DENIED
from tests.receiver import Receiver, close, drip_body, garbage, hang, reply, reset, self_signed

SECOND_ONLY = AddressPolicy(allow=(ip_network("127.0.0.2/32"),))


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Names:
    """A lookup from a script: each name's answers in turn, the last one for ever."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked = []

    def __call__(self, host, port):
        self.asked.append(host)
        given = self.answers.get(host)
        if given is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return given.pop(0) if len(given) > 1 else given[0]


async def failure(client, url):
    with pytest.raises(Unreachable) as caught:
        await client.post(url, content=b"{}")
    return str(caught.value)


async def test_a_name_is_resolved_and_the_request_keeps_its_host_header():
    names = Names(hook_test=[["127.0.0.1"]])
    async with Receiver() as r, plain_client(LOOPBACK, Resolver(names)) as client:
        answer = await client.post(f"http://hook.test:{r.port}/a?b=c", content=b"{}")
        assert answer.status_code == 200
        assert r.requests[0].headers["host"] == f"hook.test:{r.port}"
        assert r.requests[0].path == "/a?b=c"


async def test_a_name_that_rebinds_to_a_denied_address_after_the_check_gets_no_connection():
    names = Names(hook_test=[["127.0.0.2"], ["127.0.0.1"]])
    async with Receiver() as denied, plain_client(SECOND_ONLY, resolver := Resolver(names)) as client:
        url = f"http://hook.test:{denied.port}/"
        assert await refusal_of_url(url, SECOND_ONLY, resolver) is None
        assert "127.0.0.1 is a loopback address" in await failure(client, url)
        assert names.asked == ["hook.test", "hook.test"]
        assert denied.connections == 0


async def test_only_the_allowed_ones_of_a_names_addresses_are_dialled():
    names = Names(hook_test=[["127.0.0.1", "::ffff:127.0.0.1", "0x7f.1", "not an address", "127.0.0.2"]])
    async with Receiver() as denied, Receiver(host="127.0.0.2", port=denied.port) as allowed:
        async with plain_client(SECOND_ONLY, Resolver(names)) as client:
            answer = await client.post(f"http://hook.test:{denied.port}/", content=b"{}")
        assert answer.status_code == 200
        assert (denied.connections, allowed.connections) == (0, 1)


async def test_when_the_first_address_does_not_answer_the_next_is_tried():
    names = Names(hook_test=[["127.0.0.3", "127.0.0.1"]])
    async with Receiver() as r, plain_client(LOOPBACK, Resolver(names)) as client:
        assert (await client.post(f"http://hook.test:{r.port}/", content=b"{}")).status_code == 200


async def test_no_denied_literal_in_any_spelling_nor_a_name_for_it_gets_a_connection():
    async with Receiver(host="0.0.0.0") as r:
        names = Names(**{f"n{i}_test": [[address]] for i, address in enumerate(DENIED)})
        tried = 0
        async with plain_client(AddressPolicy(), resolver := Resolver(names)) as client:
            for i, address in enumerate(DENIED):
                host = f"[{address.strip('[]')}]" if ":" in address else address
                for url in (f"http://{host}:{r.port}/", f"http://n{i}.test:{r.port}/"):
                    try:
                        httpx.URL(url)
                    except httpx.InvalidURL:
                        assert await refusal_of_url(url, AddressPolicy(), resolver) == "the URL is not valid"
                        continue
                    refusal = await failure(client, url)
                    assert "; to allow it, set [alerts] allow_networks" in refusal
                    assert await refusal_of_url(url, AddressPolicy(), resolver) == refusal
                    tried += 1
        assert tried > 80
        assert r.connections == 0


async def test_localhost_is_refused_through_the_systems_own_lookup():
    async with Receiver() as r, plain_client(AddressPolicy(), Resolver()) as client:
        assert "is a loopback address" in await failure(client, f"http://localhost:{r.port}/")
        assert r.connections == 0


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("http://unknown.test/", None),
        ("https://good.test/", None),
        ("https://mixed.test/", None),
        ("http://192.168.1.5:8080/hook", None),
        ("http://bad.test/", "169.254.169.254 is a link-local address"),
        ("http://user:secret@127.0.0.1/", "127.0.0.1 is a loopback address"),
        ("ftp://good.test/", "must start with http:// or https://"),
        ("good.test/hook", "must start with http:// or https://"),
        ("http:///hook", "name a host"),
        ("http://good.test:99999/", "port is not between 1 and 65535"),
        ("http://good.test:0/", "port is not between 1 and 65535"),
        ("http://[::1/", "not valid"),
        ("", "must start with"),
    ],
)
async def test_a_url_is_refused_when_nothing_can_ever_go_there(url, refusal):
    names = Names(
        good_test=[["192.168.1.5"]],
        bad_test=[["169.254.169.254", "::1"]],
        mixed_test=[["127.0.0.1", "192.168.1.5"]],
    )
    said = await refusal_of_url(url, AddressPolicy(), Resolver(names))
    assert (said is None) if refusal is None else (refusal in said)
    assert "secret" not in (said or "")


async def test_tls_verifies_the_name_although_the_address_is_dialled_and_the_error_does_not_tell_it(tmp_path):
    server, certificate = self_signed(tmp_path, "hook.test")
    trusting = ssl.create_default_context(cafile=certificate)
    names = Names(hook_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])
    async with Receiver(tls=server) as r:
        async with open_client(LOOPBACK, Resolver(names), ssl_context=trusting) as client:
            assert (await client.post(f"https://hook.test:{r.port}/", content=b"{}")).status_code == 200
            said = await failure(client, f"https://other.test:{r.port}/")
            assert said == "TLS certificate not trusted: Hostname mismatch"
            said = await failure(client, f"https://127.0.0.1:{r.port}/")
            assert said == "TLS certificate not trusted: IP address mismatch"
        async with open_client(LOOPBACK, Resolver(names)) as client:
            said = await failure(client, f"https://hook.test:{r.port}/")
            assert said == "TLS certificate not trusted: self-signed certificate"
        assert len(r.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reset, "the receiver closed the connection"),
        (close, "the receiver closed the connection"),
        (garbage, "the answer is not HTTP"),
    ],
)
async def test_failures_are_told_in_few_words_without_the_url(answer, words, caplog):
    caplog.set_level(logging.DEBUG)
    async with Receiver() as r, plain_client(LOOPBACK, Resolver()) as client:
        r.answers = [answer]
        assert await failure(client, f"{r.url}/sEcReT") == words
        await client.post(f"{r.url}/sEcReT", content=b"{}")
    assert "sEcReT" not in caplog.text


async def test_further_failures_below_http_have_their_words():
    names = Names(empty_test=[[]])
    async with plain_client(LOOPBACK, Resolver(names)) as client:
        assert await failure(client, f"http://127.0.0.1:{unused_port()}/") == "connection refused"
        assert await failure(client, "http://unknown.test/") == "the host name does not exist"
        assert await failure(client, "http://empty.test/") == "the host name has no address"
        assert await failure(client, "http://127.0.0.1:99999/") == "the URL's port is not between 1 and 65535"
    async with plain_client(LOOPBACK, Resolver()) as client:
        assert await failure(client, f"http://{'a' * 70}.test/") == "the host name cannot be resolved"


async def test_a_receiver_that_does_not_speak_tls_is_told():
    ended = asyncio.Event()

    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_client(LOOPBACK, Resolver()) as client:
            assert await failure(client, f"https://127.0.0.1:{port}/") == "TLS handshake failed"
        await ended.wait()


async def test_a_receiver_that_takes_no_connection_is_given_up_in_time():
    with socket.socket() as full, contextlib.ExitStack() as held:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # the backlog is full from here on: the kernel drops what comes
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with plain_client(LOOPBACK, Resolver()) as client:
            client.timeout = httpx.Timeout(0.3)
            assert await failure(client, f"http://127.0.0.1:{full.getsockname()[1]}/") == "no connection in time"


async def test_a_failure_while_the_body_is_read_is_told_in_the_same_words():
    async def cut(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nab")
        writer.close()

    async with Receiver() as r, plain_client(LOOPBACK, Resolver()) as client:
        r.answers = [cut]
        with pytest.raises(Unreachable):
            await client.post(r.url, content=b"{}")


async def test_connections_are_kept_and_used_again():
    async with Receiver() as r, plain_client(LOOPBACK, Resolver()) as client:
        for _ in range(3):
            await client.post(r.url, content=b"{}")
        assert (len(r.requests), r.connections) == (3, 1)


async def test_cookies_are_not_kept_redirects_not_followed_and_the_environment_not_asked(monkeypatch):
    async with Receiver() as r, Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        r.answers = [reply(307, {"location": "/elsewhere", "set-cookie": "a=b"})]
        async with plain_client(LOOPBACK, Resolver()) as client:
            assert (await client.post(r.url, content=b"{}")).status_code == 307
            await client.post(r.url, content=b"{}")
        assert proxy.connections == 0
        assert [request.path for request in r.requests] == ["/hook", "/hook"]
        assert "cookie" not in r.requests[1].headers


async def test_a_hanging_receiver_delays_no_other():
    async with Receiver() as stuck, Receiver() as healthy, plain_client(LOOPBACK, Resolver()) as client:
        stuck.default = hang
        waiting = [asyncio.ensure_future(client.post(stuck.url, content=b"{}")) for _ in range(20)]
        await stuck.wait(20)
        assert (await client.post(healthy.url, content=b"{}")).status_code == 200
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_cancelled_request_leaves_the_client_usable():
    async with Receiver() as r, plain_client(LOOPBACK, Resolver()) as client:
        r.answers = [hang, drip_body]
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.post(r.url, content=b"{}")
        assert (await client.post(r.url, content=b"{}")).status_code == 200
