"""Programs beside Python that tests run: installed where that is possible, never skipped."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_BROWSERS = ("chromium-headless-shell", "chromium")
"""The first is Debian's Chromium without windows to draw: the same pages take half of the processor's time."""


def browser() -> str:
    """Return the path of Debian's Chromium, installed where it is not there."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    return found or need(_BROWSERS[0])


def need(package: str, program: str = "") -> str:
    """Return the path of a program of one of Debian's packages, of its name if none is given, installed where it lacks.

    Fail, and do not skip, where that is not possible.
    """
    program = program or package
    # One process at a time, and the others wait: a program that is unpacked may still lack its libraries.
    with (Path(tempfile.gettempdir()) / f"luota-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which(program) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
            for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", package]):
                subprocess.run(command, check=False, timeout=600, **quiet)
    found = shutil.which(program)
    assert found, f"{program} is missing: apt-get install {package}"
    return found
