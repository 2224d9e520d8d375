"""Programs beside Python that tests run: installed where that is possible, never skipped."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = "/usr/bin/chromium"


def need(package: str) -> None:
    """Install one of Debian's packages that has a program of its name; fail, and do not skip, where that is not possible."""
    # One process at a time, and the others wait: a program that is unpacked may still lack its libraries.
    with (Path(tempfile.gettempdir()) / f"luota-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which(package) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
            for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", package]):
                subprocess.run(command, check=False, timeout=600, **quiet)
    assert shutil.which(package), f"{package} is missing: apt-get install {package}"
