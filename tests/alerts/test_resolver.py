"""Name lookups in few threads, of which none waits for long for another."""

import asyncio
import os
import subprocess
import sys
import threading

import httpx
import pytest

from luota.alerts.resolver import Resolver, UnresolvedError


class HangingNames:
    """A lookup in which every name that starts with `hang` waits until `go` is set."""

    def __init__(self):
        self.go = threading.Event()
        self.asked = []

    def __call__(self, host, port):
        self.asked.append(host)
        if host.startswith("hang"):
            self.go.wait(60)
        return ["127.0.0.1"]


async def test_one_hanging_name_holds_one_thread_however_often_it_is_asked_for():
    names = HangingNames()
    resolver = Resolver(names, threads=2, wait=10, timeout=0.2)
    asked = [resolver.addresses("hang.test", 80) for _ in range(20)]
    failed = await asyncio.gather(*asked, return_exceptions=True)
    assert {str(error) for error in failed} == {"the host name was not resolved within 0.2 s"}
    assert names.asked == ["hang.test"]
    assert await resolver.addresses("good.test", 80) == ["127.0.0.1"]
    names.go.set()


async def test_when_every_thread_hangs_a_lookup_fails_soon_and_says_why_and_recovers_later():
    names = HangingNames()
    resolver = Resolver(names, threads=2, wait=0.1, timeout=0.1)
    for host in ("hang1.test", "hang2.test"):
        with pytest.raises(UnresolvedError, match="not resolved within"):
            await resolver.addresses(host, 80)
    with pytest.raises(UnresolvedError, match="name lookups are stuck: 2 of them wait"):
        await resolver.addresses("good.test", 80)
    assert "good.test" not in names.asked
    names.go.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await resolver.addresses("good.test", 80) == ["127.0.0.1"]
                break
            except UnresolvedError:
                continue


async def test_more_names_at_once_than_threads_are_all_resolved():
    names = HangingNames()
    resolver = Resolver(names, threads=2, wait=10, timeout=10)
    hosts = [f"n{i % 30}.test" for i in range(60)]
    assert await asyncio.gather(*(resolver.addresses(host, 80) for host in hosts)) == [["127.0.0.1"]] * 60


async def test_a_literal_needs_no_lookup():
    names = HangingNames()
    assert await Resolver(names).addresses("::1", 80) == ["::1"]
    assert await Resolver(names).addresses("127.1", 80) == ["127.0.0.1"]
    assert names.asked == []


def test_a_hanging_lookup_does_not_hold_up_the_end_of_the_process():
    program = """
import asyncio, time
from luota.alerts.resolver import Resolver, UnresolvedError
async def main():
    try:
        await Resolver(lambda host, port: time.sleep(3600), timeout=0.1).addresses("hang.test", 80)
    except UnresolvedError as error:
        print(error)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "the host name was not resolved within 0.1 s\n",
        "",
    )


async def test_a_thread_that_cannot_start_fails_the_lookup_and_leaves_its_place_free(monkeypatch):
    resolver = Resolver(lambda host, port: ["192.0.2.1"], threads=1, wait=0.1)

    def no_more(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:  # as at the limit of a service's tasks
        patch.setattr(threading.Thread, "start", no_more)
        for _ in range(3):
            with pytest.raises(UnresolvedError, match="no more threads"):
                await resolver.addresses("hook.test", 80)
    assert await resolver.addresses("hook.test", 80) == ["192.0.2.1"]


async def test_a_name_without_an_address_is_no_matter_of_http():
    with pytest.raises(UnresolvedError, match="the host name has no address") as caught:
        await Resolver(lambda host, port: []).addresses("nobody.test", 80)
    assert not isinstance(caught.value, httpx.HTTPError)
