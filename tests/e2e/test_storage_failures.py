"""A full disk and I/O errors under the real process: 503, the daemon lives on and recovers by itself."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import NO_LIMITS, Daemon, Job

SETTINGS = {**NO_LIMITS, "server.access_log": "false"}


async def ping_until(luota: Daemon, job: Job, status: int, ledger: set[str], within: float = 20) -> None:
    """Ping until an answer has `status`; note what was acknowledged. Anything but 202 and 503 fails."""
    async with asyncio.timeout(within):
        while True:
            reply = await luota.ping(job, {"payload": {"fill": "x" * 8000}})
            assert reply.status_code in (202, 503), reply.text
            if reply.status_code == 202:
                ledger.add(reply.json()["heartbeat"]["id"])
            else:
                assert reply.json() == {"error": "Storage unavailable"}
                assert int(reply.headers["retry-after"]) >= 1
            if reply.status_code == status:
                return
            await asyncio.sleep(0 if reply.status_code == 202 else 0.1)


async def healthy(luota: Daemon, within: float = 20) -> None:
    async with asyncio.timeout(within):
        while (await luota.health()).status_code != 200:
            await asyncio.sleep(0.1)


async def sick(luota: Daemon) -> str:
    """Return the reason that /healthz gives, which must be a 503."""
    reply = await luota.health()
    assert reply.status_code == 503
    return reply.json()["error"]


async def judge(luota: Daemon, breakage: contextlib.AbstractContextManager[None]) -> None:
    """Break the storage of a daemon, mend it, and check that nothing was lost and nobody had to help."""
    ledger: set[str] = set()
    job = await luota.monitor("pings", schedule={"every": "1d"})
    await ping_until(luota, job, 202, ledger)
    pid = luota.pid
    with breakage:
        await ping_until(luota, job, 503, ledger)
        assert "nothing can be written" in await sick(luota)
        await asyncio.sleep(3)  # longer than the stamp's interval: it must not give up
        await ping_until(luota, job, 503, ledger)
        told = await luota.api("GET", f"/api/monitors/{job.id}")
        assert told["monitor"]["status"] == "healthy", "what is known is still shown"
        assert "cannot vouch for this at present: nothing can be written" in told["warning"]
    await healthy(luota)
    await ping_until(luota, job, 202, ledger)
    assert luota.pid == pid
    assert luota.running
    reasons = [reason for (reason,) in luota.rows("SELECT reason FROM blind_windows")]
    assert any("nothing could be written" in reason for reason in reasons), "it does not own up to the window"

    await luota.kill()  # and on disk, not only in memory
    await luota.start()
    assert luota.rows("PRAGMA integrity_check") == [("ok",)]
    assert ledger == {row[0] for row in luota.rows("SELECT id FROM heartbeats")}


@contextlib.contextmanager
def no_file_grows(luota: Daemon) -> Iterator[None]:
    """Let every write beyond the present size of the log fail (EFBIG, which SQLite calls a disk I/O error)."""
    size = (luota.data_dir / "luota.db-wal").stat().st_size
    before = resource.prlimit(luota.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(luota.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(luota.pid, resource.RLIMIT_FSIZE, before)


async def test_writes_that_fail_are_503_until_they_work_again_without_a_restart(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data", SETTINGS) as luota:
        await judge(luota, no_file_grows(luota))


@contextlib.contextmanager
def calls_fail(luota: Daemon, calls: str, error: str, said: Path) -> Iterator[None]:
    """Let every such call on the database and its log fail, as on a dying or a full disk, by strace."""
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    if shutil.which("strace") is None:
        give_up("strace is missing: apt-get install strace")
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    for name in ("luota.db", "luota.db-wal"):
        command += ["-P", str(luota.data_dir / name)]
    with said.open("wb") as output, subprocess.Popen([*command, "-p", str(luota.pid)], stderr=output) as tracer:
        try:
            while "attached" not in said.read_text():
                if tracer.poll() is not None:
                    give_up(f"cannot trace: {said.read_text()}")
            yield
        finally:
            tracer.terminate()  # it lets go of the daemon, whose calls then work


async def test_an_fsync_that_fails_is_503_until_it_works_again_without_a_restart(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data", SETTINGS) as luota:
        await judge(luota, calls_fail(luota, "fsync,fdatasync", "EIO", tmp_path / "strace.log"))


async def test_a_disk_that_says_it_is_full_is_503_until_it_takes_writes_again_without_a_restart(tmp_path: Path) -> None:
    async with Daemon(tmp_path / "data", SETTINGS) as luota:
        await judge(luota, calls_fail(luota, "pwrite64,pwritev,write", "ENOSPC", tmp_path / "strace.log"))
    assert "nothing can be written: database or disk is full" in luota.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        # Containers may not. The full disk that needs no mount: test_a_disk_that_says_it_is_full_is_503_…
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@contextlib.contextmanager
def full(disk: Path, name: str = "ballast") -> Iterator[None]:
    """Fill a disk to its last byte with somebody else's file."""
    ballast = disk / name
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


async def test_a_full_disk_is_503_until_somebody_makes_room_without_a_restart(small_disk: Path) -> None:
    async with Daemon(small_disk / "data", SETTINGS) as luota:
        await judge(luota, full(small_disk))


async def test_on_a_full_disk_retention_makes_room_from_the_reserve_and_signals_are_taken_again(
    small_disk: Path, tmp_path: Path
) -> None:
    async with Daemon(small_disk / "data", SETTINGS) as luota:
        luota.log_path = tmp_path / "serve.log"
        job = await luota.monitor("pings", schedule={"every": "1d"})
        for _ in range(170):
            await luota.ping(job, {"payload": {"fill": "x" * 8000}})
        await luota.terminate()
        with contextlib.closing(sqlite3.connect(luota.data_dir / "luota.db")) as db, db:
            db.execute("UPDATE workspaces SET retention_count = 10")
        await luota.start()
        reserve = luota.data_dir / "luota.reserve"
        assert reserve.stat().st_blocks * 512 >= 1024 * 1024
        ledger: set[str] = set()
        with full(small_disk):
            await ping_until(luota, job, 503, ledger)
            await healthy(luota, 60)
            await ping_until(luota, job, 202, ledger)
            assert luota.rows("SELECT count(*) < 100 FROM heartbeats") == [(1,)]
        async with asyncio.timeout(20):
            while not reserve.exists():
                await asyncio.sleep(0.1)
                await luota.ping(job, {"payload": {"fill": "x" * 8000}})


async def test_on_a_full_disk_the_reserve_is_not_for_signals_but_for_what_people_change(small_disk: Path) -> None:
    async with Daemon(small_disk / "data", SETTINGS) as luota:
        job = await luota.monitor("pings", schedule={"every": "1d"})
        await luota.ping(job)
        await luota.terminate()  # which empties the log
        await luota.start()
        with full(small_disk):
            await ping_until(luota, job, 503, set())
            await asyncio.sleep(1)
            assert [(await luota.ping(job)).status_code for _ in range(20)] == [503] * 20
            assert "disk is full" in await sick(luota)
            await luota.monitor("made meanwhile", schedule={"every": "1d"})
        await healthy(luota)
        assert (await luota.ping(job)).status_code == 202


async def test_a_file_that_cannot_be_opened_for_want_of_room_is_refused_in_words(
    small_disk: Path, tmp_path: Path
) -> None:
    async with Daemon(small_disk / "data", SETTINGS) as luota:
        luota.log_path = tmp_path / "serve.log"
        await luota.terminate()
        (luota.data_dir / "luota.reserve").unlink()
        with full(small_disk):
            status, said = await luota.refused()
        assert status == 1
        assert f"The disk of {luota.data_dir} is full: 0 KiB are free. Make room for 2 MiB" in said
        assert "Traceback" not in said
        await luota.start()
