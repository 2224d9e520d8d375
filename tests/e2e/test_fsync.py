"""A 202 only after COMMIT with an fsync (docs/architecture.md, invariant 1).

A kill cannot show a missing fsync, since the page cache survives the process: here the system calls of the
daemon are traced. Each signal carries a text of its own that ends up in the write-ahead log, which tells
the transaction that made it durable apart from those of the others.
"""

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.e2e.strace import SYNCS, WRITES, Call, calls
from tests.process import NO_LIMITS, Daemon, Job

CONNECTIONS = 6
ROUNDS = 6

_WAL_HEADER, _FRAME_HEADER = 32, 24  # https://www.sqlite.org/fileformat2.html#walformat


@pytest.fixture
def strace() -> str:
    path = shutil.which("strace")
    if path is None:
        said = "strace is missing: apt-get install strace"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    return path


@dataclass
class Committed:
    """One transaction in the log: what it wrote, and when its last write had been made."""

    data: bytes
    end: int


def transactions(writes: list[Call], page_size: int) -> list[Committed]:
    """Return the transactions whose frames were written to the log, in order."""
    image, done, data = bytearray(), [], b""
    frame = _FRAME_HEADER + page_size
    for call in writes:
        assert call.offset >= 0, f"cannot tell where {call.name} wrote to"
        end = call.offset + len(call.data)
        image.extend(bytes(max(0, end - len(image))))
        image[call.offset : end] = call.data
        data += call.data
        if end > _WAL_HEADER and (end - _WAL_HEADER) % frame == 0:
            of_commit = image[end - frame + 4 : end - frame + 8]  # the size of the file after a commit, else 0
            if any(of_commit):
                done.append(Committed(data, call.end))
                data = b""
    return done


def replies(sent: list[Call]) -> list[tuple[int, int, bytes]]:
    """Return (when sending began, status, body) of each HTTP response."""
    found, unread, since = [], {}, {}
    for call in sorted(sent, key=lambda call: call.begin):
        since.setdefault(call.target, call.begin)
        unread[call.target] = unread.get(call.target, b"") + call.data
        while True:
            head, separator, rest = unread[call.target].partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            if not separator or length is None or len(rest) < int(length[1]):
                break
            found.append((since[call.target], int(head.split(b" ")[1]), rest[: int(length[1])]))
            unread[call.target] = rest[int(length[1]) :]
            since[call.target] = call.begin
        if not unread[call.target]:
            del since[call.target]
    return found


async def _signals(luota: Daemon, job: Job, run_job: Job, marks: dict[bytes, bytes]) -> None:
    """Send every kind of signal over one connection; note which text belongs to which reply."""

    async def send(path: str, about: Job, mark: str, body: dict[str, object]) -> httpx.Response:
        reply = await client.post(path, headers=about.headers, json=body)
        assert reply.status_code == 202, reply.text
        marks[reply.content] = mark.encode()
        return reply

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{luota.port}", timeout=60, trust_env=False) as client:
        for number in range(ROUNDS):
            mark = str(uuid4())
            await send(f"/v1/monitors/{job.id}/ping", job, mark, {"payload": {"mark": mark}})
            mark = str(uuid4())
            body = {"monitorId": run_job.id, "externalRunId": mark}
            run_id = (await send("/v1/runs/start", run_job, mark, body)).json()["run"]["id"]
            mark, word = str(uuid4()), ("success", "fail")[number % 2]
            await send(f"/v1/runs/{run_id}/{word}", run_job, mark, {"summary": mark})


async def test_each_202_is_sent_after_an_fsync_of_the_log_that_follows_the_last_write_of_its_transaction(
    tmp_path: Path, strace: str
) -> None:
    trace, marks = tmp_path / "trace", {}
    options = ["-D", "-f", "-y", "-xx", "-s", "65536", "-o", str(trace), "-e", f"trace={WRITES},{SYNCS}"]
    settings = {**NO_LIMITS, "server.access_log": "false"}
    async with Daemon(tmp_path / "data", settings, wrap=[strace, *options]) as luota:
        job = await luota.monitor("pings", schedule={"every": "1d"})
        run_job = await luota.monitor("runs", "run")
        await asyncio.gather(*(_signals(luota, job, run_job, marks) for _ in range(CONNECTIONS)))
        page_size = luota.rows("PRAGMA page_size")[0][0]
        await luota.terminate()
    traced = list(calls(trace))
    log = str(luota.data_dir / "luota.db-wal")
    of_log = [call for call in traced if call.target == log]
    committed = transactions([call for call in of_log if call.data], page_size)
    syncs = [call for call in of_log if call.name in SYNCS.split(",")]
    sent = [call for call in traced if call.data and call.target.startswith(("TCP", "socket"))]
    accepted = {body: begin for begin, status, body in replies(sent) if status == 202}

    assert len(marks) == CONNECTIONS * ROUNDS * 3
    assert accepted.keys() == marks.keys(), "the trace does not show the replies that came"
    for body, mark in marks.items():
        sending = accepted[body]
        own = next((one for one in committed if mark in one.data), None)
        assert own is not None, f"{body} was sent, and what it says was never committed"
        assert own.end < sending, f"{body} was sent before its COMMIT"
        assert any(own.end < sync.begin and sync.end < sending for sync in syncs), f"{body} was sent before an fsync"
