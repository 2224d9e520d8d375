"""Opening the file: its owner, its pragmas, its schema."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from luota.clock import SystemClock
from luota.core.errors import Code, LuotaError
from luota.core.spec.ingest import Ping
from luota.engine import Engine
from luota.engine.ingest import RecordPing
from luota.store import db as files
from luota.store.heartbeats import newest_first
from luota.store.reads import fetch
from tests.engines import no_death

HERE = Path(__file__).parent


async def opened(path: Path) -> Engine:
    return await Engine.open(path, SystemClock(), "a test")


async def pragma(engine: Engine, name: str) -> object:
    rows = await engine._db.execute_fetchall(f"PRAGMA {name}")
    return next(iter(rows))[0]


async def test_a_new_file_is_durable_in_wal_mode_and_private(tmp_path):
    engine = await opened(tmp_path / "new")
    try:
        assert await pragma(engine, "journal_mode") == "wal"
        assert await pragma(engine, "synchronous") == 2
        assert await pragma(engine, "foreign_keys") == 1
        assert await pragma(engine, "wal_autocheckpoint") == 0
        assert await pragma(engine, "application_id") == files.APPLICATION_ID
        assert await pragma(engine, "user_version") == len(files.migrations())
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0
        assert (tmp_path / "new" / files.FILE).stat().st_mode & 0o077 == 0
    finally:
        await engine.close()


async def test_the_reading_connection_cannot_write(tmp_path):
    engine = await opened(tmp_path)
    try:
        with pytest.raises(sqlite3.OperationalError):
            await engine.reader.execute("DELETE FROM workspaces")
    finally:
        await engine.close()


async def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path):
    engine = await opened(tmp_path)
    try:
        with pytest.raises(LuotaError) as refused:
            await opened(tmp_path)
        assert refused.value.code is Code.CONFLICT
        assert f"a test (process {os.getpid()})" in refused.value.message
    finally:
        await engine.close()


def test_a_killed_owner_leaves_no_lock_behind(tmp_path):
    program = (
        "import asyncio, sys, pathlib\n"
        "from luota.engine import Engine\nfrom luota.clock import SystemClock\n"
        "async def main():\n"
        "    await Engine.open(pathlib.Path(sys.argv[1]), SystemClock(), 'victim')\n"
        "    print('open', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    victim = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"open\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()

    async def again() -> None:
        await (await opened(tmp_path)).close()

    asyncio.run(again())


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"PRAGMA application_id = {files.APPLICATION_ID}; PRAGMA user_version = 99; CREATE TABLE t (x)", "schema 99"),
        ("PRAGMA application_id = 77; CREATE TABLE t (x)", "another program"),
        ("PRAGMA user_version = 3; CREATE TABLE t (x)", "another program"),
    ],
)
async def test_a_file_that_is_newer_or_not_ours_is_refused_and_nothing_is_left_beside_it(tmp_path, script, said, mode):
    path = tmp_path / files.FILE
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.executescript(script)
    other.close()
    before = listed(tmp_path)
    with pytest.raises(LuotaError, match=said):
        await opened(tmp_path)
    assert listed(tmp_path) == before


@pytest.mark.parametrize("indexed", [True, False])
async def test_a_version_in_the_log_of_a_killed_process_is_seen_and_its_log_is_left_alone(tmp_path, indexed):
    await of_an_instance(tmp_path)
    index = tmp_path / f"{files.FILE}-shm"
    script = "import os, sqlite3, sys\nsqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 99')\nos._exit(0)"
    subprocess.run([sys.executable, "-c", script, tmp_path / files.FILE], check=True)
    if not indexed:
        index.unlink()
    before = listed(tmp_path)
    assert before[f"{files.FILE}-wal"]
    with pytest.raises(LuotaError, match="schema 99"):
        await opened(tmp_path)
    after = listed(tmp_path)
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} <= {index.name}


async def test_what_is_no_database_at_all_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / files.FILE).write_bytes(b"not a database " * 100)
    with pytest.raises(LuotaError, match="cannot be read as a database"):
        await opened(tmp_path)
    assert (tmp_path / files.FILE).read_bytes() == b"not a database " * 100


async def test_a_refused_directory_can_be_opened_once_its_file_is_right(tmp_path):
    (tmp_path / files.FILE).write_bytes(b"not a database " * 100)
    with pytest.raises(LuotaError):
        await opened(tmp_path)
    (tmp_path / files.FILE).unlink()
    await (await opened(tmp_path)).close()


async def of_an_instance(data_dir: Path) -> None:
    await (await opened(data_dir)).close()


def listed(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data_dir.iterdir() if path.name != "luota.lock"}


@pytest.mark.parametrize("state", ["is missing", "is empty"])
@pytest.mark.parametrize("sign", ["luota.reserve", "luota.db-wal", "luota.sock"])
async def test_a_lost_file_is_refused_and_never_replaced_by_an_empty_one(tmp_path, state, sign):
    data_dir = tmp_path / "my data"
    await of_an_instance(data_dir)
    (data_dir / "luota.reserve").unlink()
    (data_dir / files.FILE).unlink()
    if state == "is empty":
        (data_dir / files.FILE).touch()
    (data_dir / sign).write_bytes(b"x" * 100)
    before = listed(data_dir)
    with pytest.raises(LuotaError) as refused:
        await opened(data_dir)
    said = refused.value.message
    assert refused.value.code is Code.CONFLICT
    assert f"luota.db {state}" in said
    assert sign in said
    assert f"luota restore FILE --data-dir '{data_dir}'" in said
    assert listed(data_dir) == before
    subprocess.run(said[said.index("rm ") :], shell=True, check=True)
    await of_an_instance(data_dir)


def cut_short(data_dir: Path) -> None:
    """Leave what a kill leaves that came before SQLite had deleted the journal of the first transaction."""
    db = sqlite3.connect(data_dir / files.FILE)
    db.execute("PRAGMA page_size = 2048")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    head = bytes.fromhex("d9d505f920a163d7") + b"".join(n.to_bytes(4, "big") for n in (0, 7, 0, 512, 2048))
    (data_dir / f"{files.FILE}-journal").write_bytes(head.ljust(512, b"\0"))


@pytest.mark.parametrize(
    "leave",
    [
        lambda data_dir: None,
        lambda data_dir: (data_dir / files.FILE).touch(),
        lambda data_dir: [(data_dir / f"{files.FILE}{end}").touch() for end in ("", "-journal")],
        cut_short,
    ],
    ids=["the lock", "an empty file", "an empty journal", "a journal"],
)
async def test_a_first_start_that_was_killed_is_made_good_by_the_next(tmp_path, leave):
    (tmp_path / "luota.lock").write_text("a test")
    leave(tmp_path)
    engine = await opened(tmp_path)
    try:
        assert await pragma(engine, "user_version") == len(files.migrations())
        assert await pragma(engine, "page_size") == 2048
    finally:
        await engine.close()


async def test_a_file_whose_journal_would_undo_more_than_its_first_transaction_is_left_as_it_was(tmp_path):
    cut_short(tmp_path)
    journal = tmp_path / f"{files.FILE}-journal"
    journal.write_bytes(journal.read_bytes()[:19] + b"\1" + journal.read_bytes()[20:])
    before = listed(tmp_path)
    with pytest.raises(LuotaError, match="cannot be read as a database"):
        await opened(tmp_path)
    assert listed(tmp_path) == before


async def test_a_directory_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LuotaError, match="cannot be used"):
        await opened(tmp_path / "file" / "below")


def of_the_first_schema(data_dir: Path, change: str = "") -> None:
    frozen = sqlite3.connect(data_dir / files.FILE)
    frozen.executescript((HERE / "schema_1.sql").read_text() + change)
    frozen.close()


async def test_a_file_of_the_first_schema_is_brought_up_to_date_with_all_it_holds(tmp_path):
    of_the_first_schema(tmp_path)
    engine = await opened(tmp_path)
    try:
        (live,) = engine.registry.monitors.values()
        assert (live.slug, live.state.status.value, live.incident_id) == ("nightly", "incident", "i1")
        assert [run.id for run in live.state.runs] == ["r1"]
        assert engine.registry.secret == bytes(range(32))
        assert engine.registry.windows.all[0].start == 1000
        assert await pragma(engine, "user_version") == len(files.migrations())
        assert list(await engine.reader.execute_fetchall("PRAGMA foreign_key_check")) == []
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("closed", "last"),
    [
        ("finished_at = 1850, finish_received_at = 1900", 1900),
        ("finished_at = 99999, finish_received_at = 1900", 1900),
        ("finished_at = 1850, finish_received_at = 400000", 1850),
        ("finished_at = 999999, finish_received_at = 1900", 1900),
        ("finished_at = NULL, finish_received_at = NULL", 1800),
    ],
)
async def test_the_newest_close_becomes_the_last_signal_of_a_monitor_of_an_older_schema(tmp_path, closed, last):
    of_the_first_schema(tmp_path, f"UPDATE runs SET {closed} WHERE id = 'r1';")  # it began at 1800
    engine = await opened(tmp_path)
    try:
        (live,) = engine.registry.monitors.values()
        assert live.state.last_signal_at == last
    finally:
        await engine.close()


async def test_the_heartbeats_of_an_older_schema_are_chained_and_new_ones_go_on_from_them(tmp_path):
    monitors = "".join(
        f"INSERT INTO monitors VALUES ('h{n}', 'w1', 'h{n}', 'h', 'heartbeat', '{{\"every\":60}}', 1, 1, 1, 1, NULL, NULL, "
        "NULL, NULL, '{}', 'salt', 1, NULL);"
        f"INSERT INTO monitor_states SELECT 'h{n}', 'healthy', 1, '', 1, 1, 1, 1, 1, 0, 0, 0, NULL, NULL, 0, NULL, NULL, "
        "NULL, 0, NULL, 0;"
        for n in (1, 2)
    )
    sent = [(seq, f"h{1 + seq % 3 // 2}", 1000 * seq) for seq in range(1, 61)]  # of every three, h2 has one
    rows = ", ".join(f"({seq}, '{who}', {at}, 'p{seq}', {at}, {at}, 0, 0, NULL, NULL, NULL)" for seq, who, at in sent)
    of_the_first_schema(tmp_path, f"{monitors} INSERT INTO heartbeats VALUES {rows};")
    engine = await opened(tmp_path)
    try:
        lives = engine.registry.monitors
        assert (lives["h1"].last_heartbeat, lives["h1"].heartbeats) == (60, 40)
        assert (lives["h2"].last_heartbeat, lives["h2"].heartbeats) == (59, 20)
        await engine.watch(no_death)
        await engine.submit(RecordPing("h2", Ping(), engine.clock.now()))
        walked = await fetch(engine.reader, f"{newest_first('h.seq, h.number')} LIMIT 100", ("h2",))
        assert walked == [(61, 21), *((seq, (seq + 1) // 3) for seq, who, _ in reversed(sent) if who == "h2")]
    finally:
        await engine.close()


async def test_what_was_begun_and_announced_before_there_were_columns_for_that_stays_so(tmp_path):
    steps = [*files.migrations()[1:10], "PRAGMA user_version = 10;"]
    announced, on_its_way = '{"channel":{"id":"c1"}}', '{"channel":{"id":"c3"}}'
    change = f"""
        INSERT INTO channels (id, workspace_id, name, type, settings, created_at, failed_at)
        SELECT 'c2', workspace_id, 'other', type, settings, 1, 90 FROM channels WHERE id = 'c1';
        INSERT INTO channels (id, workspace_id, name, type, settings, created_at, failed_at)
        SELECT 'c3', workspace_id, 'third', type, settings, 1, 95 FROM channels WHERE id = 'c1';
        UPDATE channels SET failed_at = 80 WHERE id = 'c1';
        UPDATE deliveries SET notice = json_set(notice, '$.begun', 2);
        INSERT INTO deliveries (id, workspace_id, channel_id, type, notice, state, queued_at, finished_at, last_error)
        VALUES ('d2', 'w1', 'c1', 'watch.gap', '{{}}', 'failed_terminal', 1, 80, 'gone'),
            ('d3', 'w1', 'c2', 'channel.failed', '{announced}', 'failed_terminal', 85, 90, 'gone, too'),
            ('d4', 'w1', 'c2', 'channel.failed', '{announced}', 'delivered', 86, 91, NULL),
            ('d5', 'w1', 'c1', 'channel.test', '{{}}', 'failed_terminal', 90, 92, 'a test');
        INSERT INTO deliveries (id, workspace_id, channel_id, type, notice, state, queued_at, next_attempt_at)
        VALUES ('d6', 'w1', 'c1', 'channel.failed', '{on_its_way}', 'failed_retrying', 95, 99),
            ('d7', 'w1', 'c2', 'channel.failed', '{on_its_way}', 'failed_retrying', 94, 99);
    """
    of_the_first_schema(tmp_path, "".join([*steps, change]))
    engine = await opened(tmp_path)
    try:
        sql = "SELECT failed_error, announced_at FROM channels ORDER BY id"
        assert await fetch(engine.reader, sql) == [("gone", 86), ("gone, too", None), (None, None)]
        sql = "SELECT id, json_extract(notice, '$.failing') FROM deliveries WHERE type = 'channel.failed' ORDER BY id"
        assert await fetch(engine.reader, sql) == [("d3", None), ("d4", None), ("d6", 95), ("d7", None)], (
            "what is still on its way is known by the failure that it announces"
        )
        begun = await fetch(engine.reader, "SELECT id, begun_at FROM deliveries WHERE begun_at IS NOT NULL")
        assert begun == [("d1", 99_999)], "no attempt begins before it is due"
    finally:
        await engine.close()
