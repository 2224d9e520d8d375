"""`luota demo`: a daemon with sample workflows that live on compressed schedules (docs/demo.md).

The daemon is the real one. Beside it, in the same process and on loopback alone, run the sample jobs, which call
its TCP port as any job does, and a receiver of its notices.
"""

import asyncio
import contextlib
import secrets
import ssl
import tempfile
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import httpx

from luota import daemon
from luota.clock import SystemClock
from luota.config import Alerts, Config, LimitSettings, Server
from luota.core.errors import Code, LuotaError
from luota.demo.jobs import Job, Operator, live
from luota.demo.receiver import Receiver
from luota.demo.workflows import WORKFLOWS
from luota.store.db import FILE
from luota.unix import unix_address

MARKER = "luota.demo"
"""The file that tells a demo's data directory from all others."""
EMAIL = "demo@luota.example"

Say = Callable[[Mapping[str, Any], str], None]
"""Gets everything that the demo tells, as a document and as text for people."""

_LOOPBACK = IPv4Network("127.0.0.0/8")
_ELSEWHERE: tuple[IPv4Network | IPv6Network, ...] = (
    *IPv4Network("0.0.0.0/0").address_exclude(_LOOPBACK),
    ip_network("::/0"),
)


def serve(data_dir: Path | None, host: str, port: int, say: Say) -> int:
    """Run the demo until SIGTERM or SIGINT; return the exit status, as `luota.daemon.serve` does.

    Without `data_dir` the data lives in a fresh temporary directory, which is removed at the end. CONFLICT for a
    directory that holds an instance which is no demo's; else as the daemon refuses to start.
    """
    with contextlib.ExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luota-demo-")))
        _claim(data_dir)
        config = Config(
            data_dir=data_dir,
            server=Server(host=host, port=port, access_log=False),
            limits=LimitSettings(monitor_per_hour=0),  # an hour of a compressed schedule is a year of a real one
            alerts=Alerts(allow_networks=(_LOOPBACK,), deny_networks=_ELSEWHERE),
        )

        async def beside(url: str) -> None:
            await _live(config, url, say)

        return daemon.serve(config, beside)


def _claim(data_dir: Path) -> None:
    """Mark a directory as a demo's, making it if there is none."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (data_dir / FILE).exists() and not (data_dir / MARKER).exists():
            said = f"{data_dir} holds an instance that is no demo's. Name another --data-dir, or none."
            raise LuotaError(Code.CONFLICT, said, field="data_dir")
        (data_dir / MARKER).touch()
    except OSError as error:
        said = f"The data directory {data_dir} cannot be used: {error.strerror}."
        raise LuotaError(Code.INVALID, said, field="data_dir") from None


async def _live(config: Config, url: str, say: Say) -> None:
    """Fill the workspace of the daemon at `url`, and keep it alive until cancelled."""
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # neither end speaks any; certificates are slow to load
    with unix_address(config.data_dir / daemon.SOCKET) as address:
        transport = httpx.AsyncHTTPTransport(uds=address, verify=no_tls)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30, trust_env=False) as local,
            httpx.AsyncClient(base_url=url, timeout=30, verify=no_tls, trust_env=False) as http,
            Receiver(say) as receiver,
        ):
            operator = Operator(local)
            password = await _set_up(operator, receiver)
            greeting = {"url": url, "email": EMAIL, "password": password, "notices": receiver.url}
            say(greeting, _greeting(url, password, receiver.url))
            async with asyncio.TaskGroup() as group:
                for workflow in WORKFLOWS:
                    shown = await operator.ensure_monitor(workflow.definition)
                    job = Job(operator, http, shown["id"], shown["name"], SystemClock(), say)
                    group.create_task(live(job, workflow.cycle), name=f"demo: {job.name}")
                await operator.drill("nightly-backup", "missed")
                await asyncio.Event().wait()


async def _set_up(operator: Operator, receiver: Receiver) -> str:
    """Bring about the name, the channels and the user of the demo; return the user's new password.

    In a directory of an earlier demo the receiver's port has changed, and its password is not known any more.
    """
    await operator.ask("PATCH", "/api/workspaces/default", {"name": "Demo"})
    for channel in (await operator.ask("GET", "/api/channels"))["channels"]:
        if channel["name"] in ("desk", "pager"):
            await operator.ask("DELETE", f"/api/channels/{channel['id']}")
    await operator.ask("POST", "/api/channels", {"name": "desk", "type": "webhook", "url": f"{receiver.url}desk"})
    await operator.ask("POST", "/api/channels", {"name": "pager", "type": "webhook", "url": f"{receiver.url}pager"})
    await operator.ask("PATCH", "/api/channels/pager", {"kinds": ["failed"]})
    password = secrets.token_urlsafe(12)
    users = (await operator.ask("GET", "/api/users"))["users"]
    if any(user["email"] == EMAIL for user in users):
        await operator.ask("POST", f"/api/users/{EMAIL}/password", {"password": password})
    else:
        user = {"email": EMAIL, "name": "Demo", "role": "owner", "password": password}
        await operator.ask("POST", "/api/users", user)
    return password


def _greeting(url: str, password: str, notices: str) -> str:
    return (
        f"\nOpen {url}/ and sign in as {EMAIL} with the password {password}\n"
        f"Within a minute every status is on the board. Notices are printed here, and kept at {notices}\n"
        "Ctrl-C ends the demo.\n"
    )
