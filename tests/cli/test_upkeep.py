import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from luota.store.db import OwnerLock

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
OTHER = 54321


def a_monitor(luota, name):
    return luota.json("monitor", "create", name, "--mode", "run")["token"]


def slugs(luota):
    return [monitor["slug"] for monitor in luota.json("monitor", "list")["monitors"]]


def value(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchone()[0]


# Copies


@pytest.mark.parametrize("daemon", [False, True])
def test_a_backup_is_whole_with_what_was_committed_last_and_private(initialised, tmp_path, daemon):
    file = tmp_path / "copy.db"
    with initialised.daemon() if daemon else contextlib.nullcontext():
        a_monitor(initialised, "a")
        made = initialised.json("backup", str(file))
        a_monitor(initialised, "b")
    assert made == {"file": str(file), "bytes": file.stat().st_size}
    assert file.stat().st_mode & 0o777 == 0o600
    assert value(file, "PRAGMA integrity_check") == "ok"
    assert value(file, "SELECT group_concat(slug) FROM monitors") == "a"
    left = {path.name for path in initialised.data_dir.iterdir()}
    assert left <= {"luota.db", "luota.db-wal", "luota.db-shm", "luota.lock", "luota.sock", "luota.reserve"}


def test_a_backup_replaces_no_file_and_leaves_none_that_is_not_whole(initialised, tmp_path):
    file = tmp_path / "copy.db"
    file.write_text("mine")
    said = f"error: {file} exists already: name a file that is not there yet.\n"
    assert initialised.run("backup", str(file), status=1).stderr == said
    assert file.read_text() == "mine"
    file.unlink()
    (initialised.data_dir / "luota.db").write_bytes(b"x" * 8192)
    assert "cannot be made" in initialised.run("backup", str(tmp_path / "no" / "copy.db"), status=1).stderr
    initialised.run("backup", str(file), status=1)
    assert not file.exists()


def test_a_restore_brings_back_what_was_and_keeps_what_is(initialised, tmp_path):
    file = tmp_path / "copy.db"
    token = a_monitor(initialised, "a")
    initialised.run("backup", str(file))
    initialised.run("token", "rotate", "a")
    a_monitor(initialised, "b")
    kept = initialised.json("restore", str(file))["kept"]
    assert slugs(initialised) == ["a"]
    assert initialised.json("token", "show", "a")["token"] == token
    assert value(kept, "SELECT count(*) FROM monitors") == 2
    assert (initialised.data_dir / "luota.db").stat().st_mode & 0o777 == 0o600
    with initialised.daemon():
        assert slugs(initialised) == ["a"]
    initialised.run("restore", kept)
    assert slugs(initialised) == ["a", "b"]


def test_a_restore_into_nothing_makes_the_data_directory(initialised, tmp_path):
    file = tmp_path / "copy.db"
    a_monitor(initialised, "a")
    initialised.run("backup", str(file))
    shutil.rmtree(initialised.data_dir)
    assert initialised.json("restore", str(file))["kept"] is None
    assert initialised.data_dir.stat().st_mode & 0o777 == 0o700
    assert slugs(initialised) == ["a"]


def test_a_restore_is_refused_while_somebody_owns_the_data(initialised, tmp_path):
    file = tmp_path / "copy.db"
    initialised.run("backup", str(file))
    with initialised.daemon():
        a_monitor(initialised, "a")
        assert "luota serve" in initialised.run("restore", str(file), status=1).stderr
        assert slugs(initialised) == ["a"]
    lock = OwnerLock(initialised.data_dir)
    lock.acquire("a test")
    assert "in use by a test" in initialised.run("restore", str(file), status=1).stderr
    lock.release()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_log_that_was_left_behind_does_not_reach_the_restored_file(initialised, tmp_path, damaged):
    file = tmp_path / "copy.db"
    a_monitor(initialised, "a")
    initialised.run("backup", str(file))
    with initialised.daemon() as process:
        a_monitor(initialised, "b")
        process.kill()
        process.wait(30)
    assert (initialised.data_dir / "luota.db-wal").stat().st_size
    if damaged:
        (initialised.data_dir / "luota.db").write_bytes(b"damage" * 10_000)
    kept = initialised.json("restore", str(file))["kept"]
    assert slugs(initialised) == ["a"]
    assert Path(f"{kept}-wal").exists() is damaged
    if not damaged:
        assert value(kept, "SELECT count(*) FROM monitors") == 2


@pytest.mark.parametrize("missing", [False, True])
def test_a_lost_file_is_said_by_every_command_and_a_restore_makes_it_good(initialised, tmp_path, missing):
    copy, lost, log = tmp_path / "copy.db", initialised.data_dir / "luota.db", initialised.data_dir / "luota.db-wal"
    a_monitor(initialised, "a")
    initialised.run("backup", str(copy))
    with initialised.daemon() as process:
        a_monitor(initialised, "b")
        process.kill()
        process.wait(30)
    lost.unlink()
    if not missing:
        lost.touch()
    held = log.read_bytes()
    for command in (["init"], ["monitor", "list"], ["serve"], ["backup", str(tmp_path / "second.db")]):
        said = initialised.run(*command, status=1).stderr
        assert f"{lost} is {'missing' if missing else 'empty'}" in said, command
        assert "luota restore FILE" in said
    (found,) = [check for check in looked(initialised, 1) if check["check"] == "database"]
    assert "luota restore FILE" in found["detail"]
    assert log.read_bytes() == held
    initialised.run("restore", str(copy))
    assert slugs(initialised) == ["a"]
    (kept,) = initialised.data_dir.glob("luota.db.before-*-wal")
    assert kept.read_bytes() == held


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("PRAGMA application_id = 7", "not a database of Luota"),
        ("PRAGMA user_version = 9999", "schema 9999"),
        (None, "cannot be read as a database"),
        (b"damage", "damaged"),
    ],
)
def test_what_is_no_sound_copy_is_refused_and_changes_nothing(initialised, tmp_path, spoil, said):
    file = tmp_path / "copy.db"
    many = tmp_path / "many.json"
    many.write_text(json.dumps({"monitors": [{"name": f"a{number}", "mode": "run"} for number in range(30)]}))
    initialised.run("apply", str(many))
    initialised.run("backup", str(file))
    if spoil is None:
        file.write_bytes(b"not a database" * 1000)
    elif isinstance(spoil, bytes):
        page = value(file, "SELECT rootpage FROM sqlite_master WHERE name = 'monitors'")
        with file.open("r+b") as spoiled:
            spoiled.seek((page - 1) * 2048 + 8)
            spoiled.write(b"\xff" * 1000)
    else:
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute(spoil)
    assert said in initialised.run("restore", str(file), status=1).stderr
    assert len(slugs(initialised)) == 30
    assert not list(initialised.data_dir.glob("*before*"))
    assert not list(initialised.data_dir.glob(".*"))
    assert "cannot be read" in initialised.run("restore", str(tmp_path / "none"), status=1).stderr


@needs_root
def test_root_copies_the_data_of_another_user_and_leaves_nothing_of_its_own_there(initialised, tmp_path):
    os.chown(initialised.data_dir, OTHER, OTHER)
    for path in initialised.data_dir.iterdir():
        os.chown(path, OTHER, OTHER)
    file = tmp_path / "copy.db"
    assert initialised.fork("backup", str(file)).wait(60) == 0, initialised.said()
    assert file.stat().st_uid == 0
    assert initialised.fork("restore", str(file)).wait(60) == 0, initialised.said()
    assert {path.stat().st_uid for path in initialised.data_dir.iterdir()} == {OTHER}


# Whether all is well


def looked(luota, status):
    return luota.json("doctor", status=status)["checks"]


def states(found):
    return {check["check"]: check["state"] for check in found}


def test_the_doctor_finds_a_running_daemon_well_and_nobody_told(initialised):
    with initialised.daemon():
        found = looked(initialised, 0)
        text = initialised.run("doctor").stdout
    expected = {"settings", "data directory", "database", "clock", "daemon", "address", "channels of default"}
    assert states(found).keys() == expected
    for name in ("settings", "data directory", "database", "clock", "daemon"):
        assert states(found)[name] == "ok", found
    assert states(found)["channels of default"] == "warning"
    assert "nobody is told" in text


def test_the_doctor_fails_without_a_daemon_and_tells_of_channels_that_nobody_proved(initialised):
    initialised.run("channel", "add", "webhook", "--name", "w", "--url", "http://192.0.2.1/x")
    found = looked(initialised, 1)
    assert states(found)["daemon"] == "failed"
    (channel,) = [check for check in found if check["check"] == "channels of default"]
    assert channel["state"] == "warning"
    assert "luota channel test w" in channel["detail"]


def test_the_doctor_names_every_wrong_setting(initialised, monkeypatch):
    monkeypatch.setenv("LUOTA_SERVER_PORT", "x")
    monkeypatch.setenv("LUOTA_SERVER_HOTS", "x")
    assert [check["state"] for check in looked(initialised, 1)] == ["failed", "failed"]


def test_the_doctor_sees_a_directory_that_others_may_read_and_files_of_others(initialised):
    initialised.data_dir.chmod(0o755)
    (initialised.data_dir / "luota.db").chmod(0o644)
    found = [check for check in looked(initialised, 1) if check["check"] == "data directory"]
    assert [check["state"] for check in found] == ["warning", "warning"]
    assert "chmod 700" in found[0]["detail"]


@needs_root
def test_the_doctor_sees_files_of_another_user(initialised):
    os.chown(initialised.data_dir / "luota.db", OTHER, OTHER)
    found = [check for check in looked(initialised, 1) if check["check"] == "data directory"]
    assert "luota.db must belong" in found[0]["detail"]


def test_the_doctor_sees_a_clock_that_lies_before_the_last_alive_stamp_and_a_damaged_file(initialised):
    path = initialised.data_dir / "luota.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE instance SET alive_at = 9999999999999")
    assert states(looked(initialised, 1))["clock"] == "failed"
    path.write_bytes(b"no database" * 1000)
    assert states(looked(initialised, 1))["database"] == "failed"


@pytest.mark.parametrize("command", ["doctor", "backup"])
def test_a_file_of_a_newer_luota_is_refused_and_nothing_is_left_beside_it(initialised, tmp_path, command):
    data_dir, copy = initialised.data_dir, tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(data_dir / "luota.db")) as db:
        db.execute("PRAGMA user_version = 99")
    before = {path.name for path in data_dir.iterdir()}
    assert not before & {"luota.db-wal", "luota.db-shm"}
    done = initialised.run(command, *([str(copy)] if command == "backup" else []), status=1)
    assert "schema 99" in done.stdout + done.stderr
    assert {path.name for path in data_dir.iterdir()} == before
    assert not copy.exists()


def test_the_doctor_of_nothing_says_that_there_is_nothing(luota):
    found = looked(luota, 1)
    assert states(found) == {"settings": "ok", "data directory": "failed"}


def test_what_cannot_be_restored_is_named_as_it_was_given(initialised, tmp_path):
    (tmp_path / "notes.txt").write_text("no database, but longer than nothing")
    said = json.loads(initialised.run("restore", str(tmp_path / "notes.txt"), "--json", status=1).stderr)
    assert said["message"].startswith(f"{tmp_path / 'notes.txt'} cannot be read as a database")
    assert said["field"] == "file"
