"""How the process ends, and when it refuses to start."""

import asyncio
import hashlib
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from luota.store.db import migrations
from tests.process import NO_LIMITS, NO_TLS, Daemon, Job
from tests.receiver import Receiver, hang

SETTINGS = {**NO_LIMITS, "server.access_log": "false"}


async def ping_for_ever(luota: Daemon, job: Job, acknowledged: set[str], refused: list[str]) -> None:
    """Ping over one connection after another until nobody listens any more."""
    base = f"http://127.0.0.1:{luota.port}"
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False, verify=NO_TLS) as client:
        while True:
            try:
                reply = await client.post(f"/v1/monitors/{job.id}/ping", headers=job.headers)
            except httpx.ConnectError:
                return
            except httpx.TransportError as error:
                refused.append(repr(error))  # the connection closed before the request was taken
            else:
                assert reply.status_code == 202, reply.text
                acknowledged.add(reply.json()["heartbeat"]["id"])


async def test_sigterm_under_load_answers_what_it_has_accepted_and_ends_with_status_0_within_ten_seconds(tmp_path):
    acknowledged: set[str] = set()
    refused: list[str] = []
    async with Receiver() as dead_end, Daemon(tmp_path / "data", SETTINGS) as luota:
        dead_end.default = hang
        job = await luota.monitor("pings", schedule={"every": "1d"})
        dead = await luota.monitor("dead", schedule={"every": 1})
        await luota.webhook("hung", dead_end.url)
        await luota.webhook("nobody", "http://127.0.0.1:9/")
        await luota.ping(dead)
        await dead_end.wait(1)  # an attempt is under way, and will be for as long as it may

        hung_reader, hung_writer = await asyncio.open_connection("127.0.0.1", luota.port)
        head = f"POST /v1/monitors/{job.id}/ping HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
        hung_writer.write(head.encode())
        await hung_writer.drain()

        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(ping_for_ever(luota, job, acknowledged, refused))
            while len(acknowledged) < 300:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            assert await luota.terminate(within=10) == 0
            took = time.monotonic() - began
        hung_writer.close()
        assert took < 10
        assert not (luota.data_dir / "luota.sock").exists()
        assert not (luota.data_dir / "luota.db-wal").exists(), "the log was not moved into the file"
        on_disk = {row[0] for row in luota.rows("SELECT id FROM heartbeats WHERE monitor_id = ?", job.id)}
        assert on_disk == acknowledged, "something was accepted and not answered"
        assert len(refused) <= 6, "at most the one request of each connection that met its end"
        assert "Traceback" not in luota.log

        await luota.start()  # and the notices are still there to be sent
        assert luota.rows("SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL") == [(2,)]


async def test_sigterm_while_a_channel_is_tested_ends_at_once_and_the_command_is_told_why(tmp_path):
    async with Receiver() as dead_end, Daemon(tmp_path / "data") as luota:
        dead_end.default = hang
        await luota.webhook("hung", dead_end.url)
        command = [sys.executable, "-m", "luota", "channel", "test", "hung", "--data-dir", luota.data_dir]
        tester = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        await dead_end.wait(1)
        assert await luota.terminate(within=10) == 0
        stdout, stderr = await asyncio.wait_for(tester.communicate(), 10)
        assert (tester.returncode, stdout) == (1, b"")
        assert stderr.startswith(b"error: Luota is stopping; nothing was proven.")
        assert b"Traceback" not in stderr
        assert "Traceback" not in luota.log


async def test_sigterm_while_idle_ends_at_once(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        began = time.monotonic()
        assert await luota.terminate() == 0
        assert time.monotonic() - began < 3


async def test_a_second_daemon_on_the_same_directory_refuses_and_names_the_process_that_owns_it(tmp_path):
    async with Daemon(tmp_path / "data") as luota:
        status, said = await Daemon(tmp_path / "data").refused()
        assert status == 1
        assert f"process {luota.pid}" in said
        assert str(tmp_path / "data") in said
        assert "Traceback" not in said
        assert (await luota.health()).status_code == 200


def contents(directory: Path) -> dict[str, str]:
    """Return a digest of every file of a database."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.glob("luota.db*")}


def execute_and_die(path: Path, *statements: str) -> None:
    """Execute statements in a process that ends without closing the file, so that its log stays behind."""
    script = "import os, sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    script += "for sql in sys.argv[2:]: db.execute(sql)\nos._exit(0)\n"
    subprocess.run([sys.executable, "-c", script, path, *statements], check=True, timeout=30)


@pytest.mark.parametrize("in_log", [False, True], ids=["in the file", "in the log of a killed one"])
async def test_a_schema_newer_than_the_program_is_refused_and_the_file_stays_as_it_is(tmp_path, in_log):
    async with Daemon(tmp_path / "data") as luota:
        await luota.monitor("pings", schedule={"every": "1d"})
        await luota.terminate()
        if in_log:
            execute_and_die(luota.data_dir / "luota.db", "PRAGMA user_version = 99")
        else:
            luota.change("PRAGMA user_version = 99")
        before = contents(luota.data_dir)
        assert ("luota.db-wal" in before) == in_log
        status, said = await luota.refused()
        assert status == 1
        assert "schema 99" in said
        assert "newer" in said
        assert "Traceback" not in said
        after = contents(luota.data_dir)
        assert after.keys() == before.keys()
        assert {name for name in before if after[name] != before[name]} <= {"luota.db-shm"}
        luota.change(f"PRAGMA user_version = {len(migrations())}")
        await luota.start()
        assert [m["name"] for m in (await luota.api("GET", "/api/monitors"))["monitors"]] == ["pings"]


@pytest.mark.parametrize("application", [0, 252006674], ids=["unnamed", "named"])
@pytest.mark.parametrize("version", [0, 7])
async def test_the_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path, application, version):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with closing(sqlite3.connect(data_dir / "luota.db")) as db, db:
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(f"PRAGMA user_version = {version}")
        db.execute("CREATE TABLE recipes (name TEXT)")
        db.execute("INSERT INTO recipes VALUES ('soup')")
    before = contents(data_dir)
    status, said = await Daemon(data_dir).refused()
    assert status == 1
    assert "another program" in said
    assert "Traceback" not in said
    assert contents(data_dir) == before


async def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "luota.db").write_bytes(b"Dear diary, " * 1000)
    before = contents(data_dir)
    status, said = await Daemon(data_dir).refused()
    assert status == 1
    assert "cannot be read as a database" in said
    assert "Traceback" not in said
    assert contents(data_dir) == before
