import logging
import os
import socket

import pytest

from luota import systemd


@pytest.fixture
def manager():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        yield sock


def test_a_message_reaches_a_path_socket(manager, tmp_path):
    manager.bind(str(tmp_path / "notify"))
    systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(4096) == b"READY=1"


def test_a_message_reaches_an_abstract_socket(manager):
    name = f"luota-test-{os.getpid()}"
    manager.bind("\0" + name)
    systemd.notify(systemd.STOPPING, {"NOTIFY_SOCKET": "@" + name})
    assert manager.recv(4096) == b"STOPPING=1"


def test_several_assignments_travel_as_one_message(manager, tmp_path):
    manager.bind(str(tmp_path / "notify"))
    message = "\n".join([systemd.WATCHDOG, systemd.status("7 monitors"), systemd.extend_timeout(2.5)])
    systemd.notify(message, {"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert manager.recv(4096) == b"WATCHDOG=1\nSTATUS=7 monitors\nEXTEND_TIMEOUT_USEC=2500000"


def test_a_status_cannot_smuggle_in_another_assignment():
    assert systemd.status("first\nREADY=1") == "STATUS=first READY=1"


def test_nothing_happens_outside_systemd(caplog):
    systemd.notify(systemd.READY, {})
    systemd.notify(systemd.READY, {"NOTIFY_SOCKET": ""})
    assert not caplog.records


def test_an_unreachable_socket_is_logged_and_no_error(caplog, tmp_path):
    with caplog.at_level(logging.WARNING, logger="luota.systemd"):
        systemd.notify(systemd.READY, {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert "READY=1" in caplog.text


def test_the_watchdog_is_fed_at_half_its_time():
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "30000000"}, 7) == 15.0
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 7) == 15.0


def test_a_watchdog_for_another_process_is_not_ours():
    assert systemd.watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 7) is None


@pytest.mark.parametrize("given", ["", "0", "-1", "soon", "1.5", "²", "9" * 5000])
def test_a_watchdog_time_that_is_no_positive_number_means_none(given):
    assert systemd.watchdog_interval({"WATCHDOG_USEC": given}, 7) is None
    assert systemd.watchdog_interval({}, 7) is None
