"""Starting on a disk that is full already: what was kept for that day lets the daemon live, and commands work."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_storage_failures import SETTINGS, full, healthy, ping_until, sick, small_disk  # noqa: F401
from tests.process import Daemon
from tests.programs import need

LINK = re.compile(r"create the first owner here, within 24 h: (\S+)")


@contextlib.contextmanager
def ext4(tmp_path: Path, block: int) -> Iterator[Path]:
    """A file system of 24 MiB that gives out its room in blocks of so many bytes."""
    directory, image = tmp_path / "disk", tmp_path / "disk.img"
    directory.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    make = [need("e2fsprogs", "mkfs.ext4"), "-q", "-m", "0", "-b", str(block), str(image)]
    subprocess.run(make, check=True)
    mount = ["mount", "-o", "loop", str(image), str(directory)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # containers may not
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@pytest.fixture(params=["tmpfs", 4096, 1024], ids=["tmpfs", "ext4", "ext4 with blocks smaller than pages"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system of each kind that gives out its room differently."""
    if request.param == "tmpfs":
        yield request.getfixturevalue("small_disk")
    else:
        with ext4(tmp_path, request.param) as directory:
            yield directory


def command(data_dir: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command of its own process, where no daemon runs."""
    line = [sys.executable, "-m", "luota", *args, "--data-dir", str(data_dir)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


async def test_a_daemon_that_starts_on_a_full_disk_lives_by_the_reserve_as_often_as_it_starts(
    disk: Path, tmp_path: Path
) -> None:
    ledger: set[str] = set()
    async with Daemon(disk / "data", SETTINGS) as luota:
        luota.log_path = tmp_path / "serve.log"
        job = await luota.monitor("pings", schedule={"every": "1d"})
        await ping_until(luota, job, 202, ledger)
        await luota.terminate()
        reserve = luota.data_dir / "luota.reserve"
        with full(disk):
            assert reserve.exists()
            for stop in (luota.terminate, luota.kill, luota.terminate):
                await luota.start(healthy=False)
                assert "disk is full" in await sick(luota)
                assert [(await luota.ping(job)).status_code for _ in range(5)] == [503] * 5, "they eat what was kept"
                await asyncio.sleep(1)
                assert (await luota.show(job))["status"] == "healthy", "what is known is still shown"
                await stop()
            await luota.start(healthy=False)
            assert not reserve.exists()
        await healthy(luota)
        await ping_until(luota, job, 202, ledger)
        assert reserve.exists()
        assert ledger == {row[0] for row in luota.rows("SELECT id FROM heartbeats")}
        assert luota.rows("SELECT reason FROM blind_windows") == [("Luota was not running",)]


async def test_the_link_for_the_first_owner_is_logged_once_it_could_be_written(
    small_disk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with Daemon(small_disk / "data", SETTINGS) as luota:
        luota.log_path = tmp_path / "serve.log"
        job = await luota.monitor("pings", schedule={"every": "1d"})
        with full(small_disk):
            await ping_until(luota, job, 503, set())
        await luota.kill()  # the log and its index stay, with which it can be opened where nothing is free
        (luota.data_dir / "luota.reserve").unlink(missing_ok=True)
        with full(small_disk):
            await luota.start(healthy=False)
            await asyncio.sleep(1)
            assert luota.running
        await healthy(luota)
        async with asyncio.timeout(20):
            while (said := LINK.search(luota.log)) is None:
                await asyncio.sleep(0.05)
        token = said[1].rpartition("/")[2]
        assert (await luota._clients[0].get(f"/setup/{token}")).status_code == 200


async def test_a_command_on_a_full_disk_uses_the_reserve_and_without_it_says_why_it_cannot(
    disk: Path, tmp_path: Path
) -> None:
    data_dir = disk / "data"
    assert command(data_dir, "init").returncode == 0
    said = f"The disk of {data_dir} is full: 0 KiB are free. Make room for 2 MiB at least, then repeat."
    with full(disk):
        made = command(data_dir, "monitor", "create", "beat", "--mode", "run")
        assert made.returncode == 0, made.stderr
        assert command(data_dir, "prune").stdout == "Deleted 0 rows.\n"
        with full(disk, "more"):
            listed = command(data_dir, "monitor", "list")
            assert listed.returncode == 1
            assert said in listed.stderr
            doctor = command(data_dir, "doctor")
            assert re.search(rf"failed +database .*{re.escape(said)}", doctor.stdout), doctor.stdout
    assert "beat" in command(data_dir, "monitor", "list").stdout
    assert (data_dir / "luota.reserve").exists()


async def test_where_blocks_are_smaller_than_pages_a_start_is_refused_in_words_before_the_kernel_kills_it(
    tmp_path: Path,
) -> None:
    with ext4(tmp_path, 1024) as disk:
        async with Daemon(disk / "data", SETTINGS) as luota:
            luota.log_path = tmp_path / "serve.log"
            await luota.terminate()
            (luota.data_dir / "luota.reserve").unlink()
            room = disk / "room"
            room.write_bytes(bytes(32 * 1024))
            with full(disk):
                room.unlink()
                os.sync()
                status, said = await luota.refused()
            assert status == 1
            assert re.search(rf"The disk of {re.escape(str(luota.data_dir))} is full: \d+ KiB are free\.", said)
            await luota.start()
