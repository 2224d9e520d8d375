import http.server
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from luota.cli import client
from luota.config import Config
from luota.core.errors import Code, LuotaError
from luota.store.db import OwnerLock

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
OTHER = 54321


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers every request with what the server was given, and notes the request."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.path, dict(self.headers), body))
        if self.server.reply is None:
            return
        status, content = self.server.reply
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def listening():
    """Serve HTTP on the socket of a data directory, as a daemon does."""
    servers = []

    def listen(data_dir, reply):
        data_dir.mkdir(parents=True)
        directory = os.open(data_dir, os.O_PATH)  # the path may be longer than a socket's may be
        server = socketserver.UnixStreamServer(f"/proc/self/fd/{directory}/luota.sock", Scripted)
        os.close(directory)
        server.reply, server.seen = reply, []
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(data_dir, method="POST", path="/api/x", **how):
    with pytest.raises(LuotaError) as caught:
        client.call(Config(data_dir), method, path, **how)
    return caught.value


def test_a_request_reaches_the_daemon_whole(tmp_path, listening):
    server = listening(tmp_path / "d", (202, b'{"ok":true}'))
    config = Config(tmp_path / "d")
    assert client.call(config, "POST", "/v1/x?y=1", b'{"a":1.10}', headers={"x-luota-key": "k"}) == {"ok": True}
    ((path, headers, body),) = server.seen
    assert (path, headers["x-luota-key"], body) == ("/v1/x?y=1", "k", b'{"a":1.10}')
    assert headers["content-type"] == "application/json"


def test_a_socket_path_that_is_longer_than_the_kernel_allows_is_reached(tmp_path, listening):
    data_dir = tmp_path / ("d" * 120)
    listening(data_dir, (200, b"{}"))
    assert client.call(Config(data_dir), "POST", "/api/x", {}) == {}


@pytest.mark.parametrize(
    ("status", "body", "code", "message", "field"),
    [
        (400, {"error": "Invalid request", "message": "m", "field": "f"}, Code.INVALID, "m", "f"),
        (404, {"error": "Monitor not found"}, Code.NOT_FOUND, "Monitor not found", None),
        (409, {"error": "c"}, Code.CONFLICT, "c", None),
        (
            429,
            {"error": "Rate limit exceeded", "retryAfterSeconds": 3},
            Code.RATE_LIMITED,
            "Rate limit exceeded",
            None,
        ),
        (503, {"error": "Storage unavailable"}, Code.UNAVAILABLE, "Storage unavailable", None),
    ],
)
def test_another_answer_than_2xx_is_the_error_that_it_stands_for(
    tmp_path, listening, status, body, code, message, field
):
    listening(tmp_path / "d", (status, json.dumps(body).encode()))
    error = refusal(tmp_path / "d")
    assert (error.code, error.message, error.field) == (code, message, field)
    assert error.retry_after == body.get("retryAfterSeconds")


def test_an_answer_that_is_not_json_is_refused(tmp_path, listening):
    listening(tmp_path / "d", (200, b"<html>"))
    assert refusal(tmp_path / "d").code is Code.UNAVAILABLE


def test_a_defect_of_the_daemon_names_the_request_to_look_for(tmp_path, listening):
    listening(tmp_path / "d", (500, b'{"error":"Internal error","requestId":"req_1"}'))
    assert "req_1" in refusal(tmp_path / "d").message


def test_a_daemon_that_goes_away_leaves_open_whether_it_acted(tmp_path, listening):
    listening(tmp_path / "d", None)
    error = refusal(tmp_path / "d")
    assert error.code is Code.UNAVAILABLE
    assert "It may have done what was asked" in error.message


def test_a_directory_without_data_is_said_with_the_command_that_makes_one(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        error = refusal(path)
        assert error.code is Code.NOT_FOUND
        assert error.message == (
            f"No data in {path}. Where Luota runs already, name its directory by --data-dir or LUOTA_DATA_DIR. "
            f"Else begin: luota init --data-dir {path}"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_directory_is_said(tmp_path):
    (tmp_path / "f").touch()
    assert "cannot be used" in refusal(tmp_path / "f", create=True).message


def test_a_path_that_no_system_takes_is_said(tmp_path):
    assert "cannot be used" in refusal(tmp_path / ("d" * 300)).message


def test_a_socket_that_a_killed_daemon_left_is_passed_over(initialised):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(initialised.data_dir / "luota.sock"))
    assert initialised.json("workspace", "list")["workspaces"]


def test_a_command_waits_for_another_that_holds_the_directory_for_a_moment(initialised):
    lock = OwnerLock(initialised.data_dir)
    lock.acquire("a test")
    threading.Timer(0.5, lock.release).start()
    assert initialised.json("workspace", "list")["workspaces"]


def test_a_command_waits_for_longer_while_one_after_the_other_holds_the_directory(initialised, monkeypatch):
    monkeypatch.setattr(client, "RETRY_FOR_MS", 1000)
    lock = OwnerLock(initialised.data_dir)
    lock.acquire("command 0")

    def take_turns():
        for number in range(1, 6):
            time.sleep(0.4)  # what they hold never comes free, as in a crowd where another is always first
            (initialised.data_dir / "luota.lock").write_text(f"command {number} (process {number})\n")
        time.sleep(0.4)
        lock.release()

    others = threading.Thread(target=take_turns)
    others.start()
    try:
        assert initialised.json("workspace", "list")["workspaces"]
    finally:
        others.join()


def test_a_command_gives_up_naming_the_owner(initialised, monkeypatch):
    monkeypatch.setattr(client, "RETRY_FOR_MS", 200)
    lock = OwnerLock(initialised.data_dir)
    lock.acquire("a test")
    try:
        error = initialised.run("workspace", "list", status=1).stderr
    finally:
        lock.release()
    assert f"a test (process {os.getpid()})" in error


def test_many_commands_at_once_all_succeed(initialised):
    running = [initialised.fork("monitor", "create", "--mode", "run", f"m{n}", said=f"{n}.log") for n in range(12)]
    assert [process.wait(120) for process in running] == [0] * 12
    assert len(initialised.json("monitor", "list")["monitors"]) == 12


def test_a_command_finds_a_daemon_that_is_just_starting(initialised):
    command = [sys.executable, "-m", "luota", "serve", "--port", "0", "--data-dir", initialised.data_dir]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and "serve" not in (initialised.data_dir / "luota.lock").read_text():
                time.sleep(0.01)
            assert initialised.json("workspace", "list")["workspaces"]
            assert process.poll() is None
        finally:
            process.terminate()


@needs_root
def test_root_acts_as_the_owner_of_the_directory_even_where_only_root_can_reach_it(tmp_path, luota):
    tmp_path.chmod(0o700)
    luota.data_dir.mkdir(mode=0o700)
    os.chown(luota.data_dir, OTHER, OTHER)
    for args in (["init"], ["monitor", "create", "M", "--mode", "run"], ["monitor", "list"]):
        assert luota.fork(*args).wait(60) == 0, luota.said()
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in luota.data_dir.iterdir()}
    assert "luota.db" in owners
    assert set(owners.values()) == {(OTHER, OTHER)}


@needs_root
@pytest.mark.parametrize("command", ["init", "monitor list"])
@pytest.mark.parametrize("below", [False, True])
def test_another_user_is_refused_without_a_traceback(initialised, command, below):
    data_dir = initialised.data_dir / "below" if below else initialised.data_dir
    arguments = ["luota", *command.split(), "--data-dir", str(data_dir)]
    # The interpreter's files may be out of that user's reach: load all that a refusal takes, then become the user.
    program = (
        "import os, sys, luota.cli.app, typer.testing; "
        "typer.testing.CliRunner().invoke(luota.cli.app.app, ['monitor', 'list', '--data-dir', '/nowhere']); "
        "os.setgroups([]); os.setgid(54321); os.setuid(54321); "
        f"sys.argv = {arguments!r}; luota.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: This user may not use the data directory {data_dir}.")


@needs_root
def test_a_file_system_that_is_read_only_is_said(luota):
    luota.data_dir.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", luota.data_dir], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        luota.run("init")
        subprocess.run(["mount", "-o", "remount,ro", luota.data_dir], check=True)
        for command in ("monitor list", "init"):
            said = luota.run(*command.split(), status=1).stderr
            assert said.startswith(f"error: The data directory {luota.data_dir} cannot be used: Read-only file system.")
    finally:
        subprocess.run(["umount", luota.data_dir], check=True)
