"""By a configured proxy: what goes there, what is never handed over, and that the environment names none."""

import asyncio
import contextlib
import threading
from ipaddress import ip_network

import pytest

from luota.alerts.guard import AddressPolicy
from luota.alerts.resolver import Resolver
from luota.alerts.pace import Pace
from luota.alerts.slack import address
from luota.alerts.slack import send as send_to_slack
from luota.alerts.transport import NotAllowed, open_client
from luota.alerts.webhook import send
from luota.clock import SystemClock
from tests.alerts.notices import notice
from tests.alerts.test_denied import ODD_NAMES
from tests.alerts.test_guard import DENIED
from tests.receiver import Receiver, reply, self_signed
from tests.served import NO_TLS

NOW = 1_790_000_000_000
DEFAULT = AddressPolicy()
ADDRESSES_TO_OTHERS = (
    # What the resolver here knows nothing of, and some proxy may read as an address.
    "localhost",
    "hook.localhost",
    "hook.LOCALHOST.",
    "127%2e0.0.1",
    "%31%32%37.0.0.1",
    "%6cocalhost",
    "127.0.0.1%00.example.org",
    "0x.1",
    "127.0.0.0x1.",
    "127.0.0.08",
    "0x",
)


class Proxy:
    """Forwards whatever it is asked for to one port of 127.0.0.1; `asked` has the first lines of requests."""

    def __init__(self, port, refusal=None):
        self.asked = []
        self._port, self._refusal = port, refusal
        self._tasks = set()
        self._writers = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self._writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        if self._refusal is not None:
            writer.write(f"HTTP/1.1 {self._refusal}\r\ncontent-length: 0\r\n\r\n".encode())
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(far_writer)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            path = "/" + target.split("/", 3)[3]
            far_writer.write(head.replace(target.encode(), path.encode(), 1))
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()


def names(**known):
    def lookup(host, port):
        if host not in known:
            raise OSError
        return known[host]

    return Resolver(lookup)


@contextlib.contextmanager
def hanging_names(known=None):
    """A resolver of few threads in which every name hangs but the known one."""
    end = threading.Event()

    def lookup(host, port):
        if host != known:
            end.wait(60)
        return ["127.0.0.1"]

    try:
        yield Resolver(lookup, threads=2, wait=0.1, timeout=0.3)
    finally:
        end.set()


async def test_a_name_of_the_proxy_that_hangs_is_given_up_in_time_in_one_thread_and_told_as_the_proxys():
    with hanging_names() as resolver:
        before = threading.active_count()
        url = "http://proxy.example:3128"
        async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=url) as client:
            asked = (send(client, "http://192.0.2.7/", b"{}", {}, now=NOW) for _ in range(20))
            results = await asyncio.gather(*asked)
        assert {result.error for result in results} == {"the proxy: the host name was not resolved within 0.3 s"}
        assert threading.active_count() <= before + 1


async def test_destinations_whose_names_hang_do_not_keep_the_name_of_the_proxy_from_being_looked_up():
    with hanging_names("proxy.example") as resolver:
        async with Receiver() as receiver, Proxy(receiver.port) as proxy:
            url = proxy.url.replace("127.0.0.1", "proxy.example")
            async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=url) as client:
                hosts = (f"http://inside{number}.example/" for number in range(5))
                results = await asyncio.gather(*(send(client, host, b"{}", {}, now=NOW) for host in hosts))
        assert [result.error for result in results] == [None] * 5


async def test_http_goes_by_the_proxy_whose_own_address_is_not_judged():
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        resolver = names(**{"hook.example": ["192.0.2.7"]})
        async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=proxy.url) as client:
            result = await send(client, "http://hook.example/a?b=c", b"{}", {}, now=NOW)
        assert (result.ok, proxy.asked) == (True, ["POST http://hook.example/a?b=c"])
        assert receiver.requests[0].path == "/a?b=c"


async def test_https_goes_through_a_tunnel_and_the_certificate_is_checked_here(tmp_path):
    tls, certificate = self_signed(tmp_path, "hook.example")
    trusting = NO_TLS.__class__(NO_TLS.protocol)
    trusting.load_verify_locations(certificate)
    async with Receiver(tls=tls) as receiver, Proxy(receiver.port) as proxy:
        resolver = names(**{"hook.example": ["192.0.2.7"], "other.example": ["192.0.2.7"]})
        async with open_client(DEFAULT, resolver, ssl_context=trusting, proxy=proxy.url) as client:
            assert (await send(client, "https://hook.example/s3kr", b"{}", {}, now=NOW)).ok
            wrong = await send(client, "https://other.example/", b"{}", {}, now=NOW)
        assert proxy.asked == ["CONNECT hook.example:443", "CONNECT other.example:443"]
        assert "certificate not trusted" in wrong.error
        assert len(receiver.requests) == 1


async def test_slack_goes_by_the_proxy_in_turn_and_counts_from_when_the_message_went_out(tmp_path):
    tls, certificate = self_signed(tmp_path, "hooks.example")
    trusting = NO_TLS.__class__(NO_TLS.protocol)
    trusting.load_verify_locations(certificate)
    pace, settings = Pace(0.3, SystemClock()), {"url": "https://hooks.example/services/T0/B0/x"}
    async with Receiver(tls=tls) as receiver, Proxy(receiver.port) as proxy:
        receiver.default = reply(200, body=b"ok")
        resolver = names(**{"hooks.example": ["192.0.2.7"]})
        async with open_client(DEFAULT, resolver, ssl_context=trusting, proxy=proxy.url) as client:

            async def one():
                async with pace.turn(address(settings)):
                    return await send_to_slack(client, notice(), settings, NOW, pace)

            assert all(result.ok for result in await asyncio.gather(one(), one(), one()))
        at = [request.at for request in receiver.requests]
        assert min(at[1] - at[0], at[2] - at[1]) >= 290
        assert proxy.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://[::1]/",
        "http://0x7f.1/",
        "http://169.254.169.254/latest",
        "http://here.example/",
        "https://both.example/",
    ],
)
async def test_a_destination_that_is_refused_is_not_handed_to_the_proxy(url):
    resolver = names(**{"here.example": ["127.0.0.1"], "both.example": ["192.0.2.7", "169.254.169.254"]})
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=proxy.url) as client:
            with pytest.raises(NotAllowed):
                await client.post(url)
            assert (await send(client, url, b"{}", {}, now=NOW)).unsent
        assert (proxy.asked, receiver.connections) == ([], 0)


@pytest.mark.parametrize("resolver", [names(), Resolver()], ids=["knows nothing", "of the system"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_of_a_denied_address_is_handed_to_the_proxy(resolver, scheme):
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=proxy.url) as client:
            for address in (*DENIED, *ODD_NAMES, *ADDRESSES_TO_OTHERS):
                host = f"[{address.strip('[]')}]" if ":" in address else address
                result = await send(client, f"{scheme}://{host}/", b"{}", {}, now=NOW)
                assert not result.ok, address
        assert (proxy.asked, receiver.connections) == ([], 0)


@pytest.mark.parametrize("host", ["inside.example", "inside", "inside.example.", "7.in_side", "1.2.3.4.example"])
async def test_a_name_that_the_proxy_alone_knows_is_handed_over(host):
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        async with open_client(DEFAULT, names(), ssl_context=NO_TLS, proxy=proxy.url) as client:
            assert (await send(client, f"http://{host}/", b"{}", {}, now=NOW)).ok


async def test_a_port_of_a_drill_is_dialled_directly():
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        own = {("127.0.0.1", receiver.port)}
        async with open_client(DEFAULT, Resolver(), own=own, ssl_context=NO_TLS, proxy=proxy.url) as client:
            assert (await send(client, receiver.url, b"{}", {}, now=NOW)).ok
        assert proxy.asked == []


async def test_what_the_proxy_refuses_or_its_silence_is_told_in_plain_words():
    resolver = names(**{"hook.example": ["192.0.2.7"]})
    async with Proxy(9, refusal="403 Forbidden s3kr") as proxy:
        async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=proxy.url) as client:
            result = await send(client, "https://hook.example/", b"{}", {}, now=NOW)
        assert (result.ok, result.terminal, result.error) == (False, False, "the proxy refused it: HTTP 403")
        gone = proxy.url
    async with open_client(DEFAULT, resolver, ssl_context=NO_TLS, proxy=gone) as client:
        assert (await send(client, "https://hook.example/", b"{}", {}, now=NOW)).error == "connection refused"


async def test_a_proxy_of_the_environment_is_ignored(monkeypatch):
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        loopback = AddressPolicy((ip_network("127.0.0.0/8"),))
        async with open_client(loopback, Resolver(), ssl_context=NO_TLS) as client:
            assert (await send(client, receiver.url, b"{}", {}, now=NOW)).ok
        assert proxy.asked == []


@pytest.mark.parametrize("by_proxy", [False, True])
async def test_only_with_a_proxy_there_is_a_thread_for_the_lookup_of_its_name(by_proxy):
    class Counted(Resolver):
        made = 0

        def beside(self):
            self.made += 1
            return super().beside()

    resolver = Counted(lambda host, port: ["127.0.0.1"])
    async with Receiver() as receiver, Proxy(receiver.port) as proxy:
        loopback = AddressPolicy((ip_network("127.0.0.0/8"),))
        used = proxy.url if by_proxy else None
        async with open_client(loopback, resolver, ssl_context=NO_TLS, proxy=used) as client:
            assert (await send(client, receiver.url, b"{}", {}, now=NOW)).ok
    assert resolver.made == by_proxy
