import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "luota.service"

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@needs_systemd_analyze
def test_the_overall_exposure_is_at_most_one_and_a_half():
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "--offline" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit offline")
    found = re.search(r"Overall exposure level for luota\.service: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= 1.5


@needs_systemd_analyze
def test_systemd_finds_no_fault_in_the_unit(tmp_path):
    # The program it names need not be installed here.
    text = UNIT.read_text().replace("/usr/local/bin/luota", shutil.which("true"))
    (tmp_path / "luota.service").write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "luota.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze verify does not work in this place")
    assert [line for line in done.stderr.splitlines() if "luota.service" in line] == []


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "ExecStart=/usr/local/bin/luota serve",
        "EnvironmentFile=-/etc/luota/environment",
        "Restart=on-failure",
        "StartLimitIntervalSec=0",
        "After=network-online.target time-sync.target",
        "DynamicUser=yes",
        "StateDirectory=luota",
        "StateDirectoryMode=0700",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "WantedBy=multi-user.target",
    ],
)
def test_the_unit_has_the_line(line):
    assert line in UNIT.read_text().splitlines()


def test_the_watchdog_is_on_and_a_stop_has_time_to_commit():
    text = UNIT.read_text()
    assert int(re.search(r"^WatchdogSec=(\d+)s$", text, re.M)[1]) >= 10
    assert int(re.search(r"^TimeoutStopSec=(\d+)s$", text, re.M)[1]) >= 15


def test_nothing_stops_dns_and_outgoing_connections():
    text = UNIT.read_text()
    assert not re.search(r"^(IPAddressDeny|PrivateNetwork|SocketBindDeny)=", text, re.M)
