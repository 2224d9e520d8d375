"""What systemd asks of a `Type=notify` service: readiness, status, watchdog. Protocol: sd_notify(3)."""

import logging
import socket
from collections.abc import Mapping

_log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"

# The manager empties its socket all the time. Should it hang, the daemon does not hang with it.
_SEND_TIMEOUT_S = 1.0


def status(text: str) -> str:
    """Return the assignment that shows `text` in `systemctl status`; line ends become spaces."""
    return "STATUS=" + " ".join(text.splitlines())


def extend_timeout(seconds: float) -> str:
    """Return the assignment that gives a start or a stop at least `seconds` more from now."""
    return f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}"


def notify(message: str, environ: Mapping[str, str]) -> None:
    """Send `message`, one or more assignments each on a line, to the socket that $NOTIFY_SOCKET names.

    Without that variable nothing happens: the daemon does not run under systemd. A socket that cannot
    be reached is logged and is no error, since the daemon does its work without it.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_SEND_TIMEOUT_S)
            sock.connect(address)
            sock.send(message.encode())
    except OSError as error:
        _log.warning("systemd could not be told %r: %s", message, error)


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between two `WATCHDOG` messages of the process `pid`, or None without a watchdog.

    That is half of $WATCHDOG_USEC, as sd_watchdog_enabled(3) advises. None too when $WATCHDOG_PID
    names another process, or when $WATCHDOG_USEC is no positive number.
    """
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    given = environ.get("WATCHDOG_USEC", "")
    if not (given.isascii() and given.isdigit() and len(given) < 20) or int(given) == 0:
        return None
    return int(given) / 2 / 1_000_000
